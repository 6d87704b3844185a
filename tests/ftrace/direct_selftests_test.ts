/**
 * What the kernel's own tests of direct calls assert (`tools/testing/selftests/ftrace/test.d`,
 * `direct/`): a direct call beside every tracer, and beside a kprobe on the same function, coming and
 * going in every order.
 *
 * The module of the scripts is a registration here, and "my_direct_func: waking up" a count that the
 * function keeps. Era `preset` has no direct calls, which is asserted in their place.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import type { EngineName } from "../../lib/engine/engines.ts";
import type { EraName } from "../../lib/ftrace/era.ts";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import { ftraceRefCount } from "../../lib/patcher/dyn_ftrace.ts";
import { createTracefs } from "../../lib/tracefs/tracefs.ts";
import { filesOf, TRACERS } from "../tracefs/guest.ts";
import { makeFirmware, tracedFirmware } from "./made_guest.ts";
import { WAYS } from "./selftest_kernel.ts";

/** A direct trampoline as the kernel's sample modules have it: it keeps what an entry needs. */
const trampoline = (name: string, callee: string) => `
${name}:
  addi sp, sp, -32
  sd t0, 0(sp)
  sd ra, 8(sp)
  sd a0, 16(sp)
  call ${callee}
  ld t0, 0(sp)
  ld ra, 8(sp)
  ld a0, 16(sp)
  addi sp, sp, 32
  jr t0`;

/** Who counts calls in which register. */
const COUNTERS = { my_direct_func: 9, my_direct_func_too: 18, wake_up_process: 19 } as const;

const PROGRAM = makeFirmware(
  [
    { name: "wake_up_process", body: "addi s3, s3, 1\nret" },
    { name: "handle_mm_fault", body: "ret" },
    { name: "my_direct_func", body: "addi s1, s1, 1\nret" },
    { name: "my_direct_func_too", body: "addi s2, s2, 1\nret" },
  ],
  "1: li a0, 77\ncall f0\ncall f1\nj 1b",
  trampoline("my_tramp", "f2") + trampoline("my_tramp_too", "f3"),
);

/** A kernel with the two modules of the scripts, not loaded yet. */
function boot(era: EraName, engine: EngineName) {
  const { ftrace, machine } = tracedFirmware(PROGRAM, { era }, { engine });
  const tracefs = createTracefs(ftrace, { tracers: TRACERS });
  const { echo, append, cat } = filesOf(tracefs);
  const hart = machine.harts[0]!;
  const load = (filter: string, tramp: string) =>
    ftrace.registerFtraceDirect({ filter: [filter] }, ftrace.lookup(tramp)!);
  return {
    ...{ ftrace, append, cat },
    async write(text: string, file: string): Promise<void> {
      assertEquals(await echo(text, file), "", `echo ${text} > ${file}`);
    },
    /** What `modprobe` does; disposing of it is `rmmod`. */
    modprobe: () => load("wake_up_process", "my_tramp"),
    modprobeToo: () => load("handle_mm_fault", "my_tramp_too"),
    /** Runs a while; how much each counter went up. */
    async run(): Promise<Record<keyof typeof COUNTERS, number>> {
      const before = [...hart.x];
      await machine.run({ limit: hart.instret + 600n });
      const counts = Object.entries(COUNTERS).map(([name, x]) =>
        [name, Number(hart.x[x]! - before[x]!)] as const
      );
      return Object.fromEntries(counts) as Record<keyof typeof COUNTERS, number>;
    },
    /** How many functions are traced now. */
    enabled: () => ftrace.records.filter((record) => ftraceRefCount(record) > 0).length,
  };
}

type Kernel = ReturnType<typeof boot>;

/** Runs a while: the guest goes on, and each of its calls goes through the direct call, or none. */
async function check(kernel: Kernel, isDirect: boolean, what: string): Promise<void> {
  const { wake_up_process: calls, my_direct_func: direct } = await kernel.run();
  assert(calls > 10, `${what}: the guest makes ${calls} calls`);
  // The run may end between a direct call and its function.
  if (isDirect) assert(Math.abs(direct - calls) <= 1, `${what}: ${direct} of ${calls}`);
  else assert(direct <= 1, `${what}: ${direct} of ${calls}`);
}

/** Four steps, of which the first two switch on; `D` and `d` are the module, `T` and `t` the other. */
const ORDERS = ["TDdt", "TDtd", "DTtd", "DTdt"] as const;

/** Does the steps of each order, and looks at the direct call and at the other after each. */
async function inEveryOrder(
  kernel: Kernel,
  what: string,
  other: { set(on: boolean): Promise<void>; check(on: boolean): void },
): Promise<void> {
  for (const order of ORDERS) {
    let module: Disposable | undefined, on = false;
    for (const step of order) {
      if (step === "D") module = kernel.modprobe();
      else if (step === "d") {
        module![Symbol.dispose]();
        module = undefined;
      } else await other.set(on = step === "T");
      await kernel.write("", "trace");
      await check(kernel, module !== undefined, `${what}, ${step} of ${order}`);
      other.check(on);
    }
  }
}

for (const [era, engine] of WAYS) {
  if (era === "preset") {
    Deno.test(`ftrace-direct, kprobe-direct: there are no direct calls to test (${era}, ${engine})`, () => {
      assertEquals(assertThrows(() => boot(era, engine).modprobe(), FtraceError).code, "ENODEV");
    });
    continue;
  }

  Deno.test(`ftrace-direct: each tracer and a direct call come and go in every order (${era}, ${engine})`, async () => {
    const kernel = boot(era, engine);
    const first = kernel.modprobe();
    await check(kernel, true, "alone");
    first[Symbol.dispose]();
    const tracers = kernel.cat("available_tracers").trim().split(" ").filter((t) => t !== "nop");
    assert(tracers.includes("function") && tracers.includes("function_graph"));
    for (const tracer of tracers) {
      await inEveryOrder(kernel, tracer, {
        set: (on) => kernel.write(on ? tracer : "nop", "current_tracer"),
        check(on) {
          if (!/^function(_graph)?$/.test(tracer)) return;
          assertEquals(/\bwake_up_process\b/.test(kernel.cat("trace")), on, tracer);
        },
      });
    }
    await kernel.write("nop", "current_tracer");
    assertEquals(kernel.enabled(), 0);
  });

  Deno.test(`kprobe-direct: a kprobe and a direct call come and go in every order, alone and beside another (${era}, ${engine})`, async () => {
    const kernel = boot(era, engine);
    // On 6.12 an entry cannot be probed and a hit is not recorded: there hits are counted.
    const isRecorded = era !== "args";
    const definition = isRecorded ? "wake_up_process task=$arg1" : "wake_up_process+8 task=%a0";
    await kernel.write(`p:kwake ${definition}`, "kprobe_events");
    let hits = 0;
    const probe = {
      set: (on: boolean) => kernel.write(on ? "1" : "0", "events/kprobes/kwake/enable"),
      check(on: boolean) {
        const lines = kernel.cat("trace").match(/kwake: .* task=0x4d$/gm) ?? [];
        assertEquals(lines.length > 0, on && isRecorded, kernel.cat("trace"));
        const before = hits;
        hits = Number(/kwake +(\d+) +0$/m.exec(kernel.cat("kprobe_profile"))![1]);
        assertEquals(hits > before, on);
      },
    };
    await inEveryOrder(kernel, "kwake", probe);
    const too = kernel.modprobeToo();
    await inEveryOrder(kernel, "kwake beside another", probe);
    assert((await kernel.run()).my_direct_func_too > 10);
    too[Symbol.dispose]();
    assert((await kernel.run()).my_direct_func_too <= 1);
    await kernel.write("", "kprobe_events");
    assertMatch(kernel.cat("kprobe_events"), /^$/);
    assertEquals(kernel.enabled(), 0);
  });
}
