/**
 * How a call reaches its ops: by itself, through the recursion lock, through the list, in each era,
 * and that the fast path leaves what the guest code leaves.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { FtraceOps, FtraceOpsFields } from "../../lib/ftrace/ops/ftrace_ops.ts";
import type { Ftrace } from "../../lib/ftrace/ftrace.ts";
import { makeFirmware, tracedFirmware } from "./made_guest.ts";

const ERAS = ["regs", "args", "preset", "call-ops"] as const;
const NAMES = ["a", "b", "c", "d", "e", "f", "g", "h"];
const FUNCTIONS = NAMES.map((name, k) => ({
  name,
  body: k < 7
    ? `addi sp, sp, -16\nsd ra, 8(sp)\nmv t4, a0\ncall f${
      k + 1
    }\naddi a0, a0, 1\nld ra, 8(sp)\naddi sp, sp, 16\nret`
    : "addi a0, a0, 1\nret",
}));
const PROGRAM = makeFirmware(
  FUNCTIONS,
  "li s0, 3\n1: call f0\ncall f4\naddi s0, s0, -1\nbnez s0, 1b",
  "back: ebreak",
);

/** Runs the program with what `prepare` registers; gives everything that could differ. */
async function outcome(
  era: (typeof ERAS)[number],
  trampoline: "guest" | "fast",
  prepare: (ftrace: Ftrace, log: (line: string) => void) => void,
) {
  const guest = tracedFirmware(PROGRAM, { era, trampoline }, { chargeTracing: true });
  const { ftrace, machine, reports } = guest;
  const hart = machine.harts[0]!;
  const log: string[] = [];
  prepare(ftrace, (line) => log.push(`${hart.now()} ${hart.overhead} ${line}`));
  const ended = await machine.run();
  const { start, end } = machine.tracing;
  const bytes = machine.memory.bytes;
  return {
    ended,
    log,
    reports,
    events: [...ftrace.events()].map((event) =>
      JSON.stringify(event, (_, v) => typeof v === "bigint" ? `${v}` : v)
    ),
    registers: [...hart.x],
    counts: [hart.instret, hart.overhead],
    records: ftrace.records.map(({ flags }) => flags >>> 0),
    text: bytes.slice(0x80000000, 0x80001000),
    tracing: await crypto.subtle.digest("SHA-256", bytes.slice(start, end)).then((
      d,
    ) => [...new Uint8Array(d)]),
  };
}

const counting = (
  log: (line: string) => void,
  name: string,
  rest: FtraceOpsFields = {},
): FtraceOps => ({
  name,
  func: (_ip, _parent, _ops, fregs) => log(`${name} ${fregs.argument(0)} ${fregs.returnAddress}`),
  ...rest,
});

const CASES: Readonly<Record<string, (ftrace: Ftrace, log: (line: string) => void) => void>> = {
  "nobody": () => {},
  "the recording ops": (ftrace) => {
    ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall, hash: ftrace.globalHash });
  },
  "the recording ops with RECURSION": (ftrace) => {
    const flags = ftrace.flags.RECURSION;
    ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall, flags });
  },
  "the recording ops with RCU and a filter": (ftrace) => {
    const flags = ftrace.flags.RCU;
    ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall, flags, filter: ["b", "f"] });
  },
  "one ops of a tracer's": (ftrace, log) => {
    ftrace.registerFtraceFunction(counting(log, "one"));
  },
  "one ops with SAVE_REGS_IF_SUPPORTED": (ftrace, log) => {
    const flags = ftrace.flags.SAVE_REGS_IF_SUPPORTED;
    ftrace.registerFtraceFunction(counting(log, "one", { flags, filter: ["c", "e"] }));
  },
  "ten ops with filters, notraces and shared hashes": (ftrace, log) => {
    ftrace.setFtraceNotrace(["g"]);
    for (let k = 0; k < 10; k++) {
      const rest: FtraceOpsFields = k % 3 === 0
        ? { filter: [NAMES[k % 8]!, NAMES[(k + 3) % 8]!] }
        : k % 3 === 1
        ? { notrace: [NAMES[k % 8]!] }
        : { hash: ftrace.globalHash };
      ftrace.registerFtraceFunction(counting(log, `ops${k}`, rest));
    }
    ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall, hash: ftrace.globalHash });
  },
  "a stub, which is never called, and one beside it": (ftrace, log) => {
    ftrace.registerFtraceFunction(counting(log, "stub", { flags: ftrace.flags.STUB }));
    ftrace.registerFtraceFunction(counting(log, "one", { filter: ["b"] }));
  },
  "ops that come and go in a callback": (ftrace, log) => {
    const second = ftrace.registerFtraceFunction(counting(log, "second"));
    const first = ftrace.registerFtraceFunction({
      name: "first",
      func(ip) {
        log(`first at ${ftrace.symbol(ip)}`);
        if (ftrace.symbol(ip) === "c") second.unregister();
        if (ftrace.symbol(ip) !== "e") return;
        first.unregister();
        ftrace.registerFtraceFunction(counting(log, "third", { filter: ["f", "g"] }));
        ftrace.registerFtraceFunction(counting(log, "fourth", { filter: ["f"] }));
      },
    });
  },
  "the graph tracer beside others": (ftrace, log) => {
    const { entryFunc, retFunc } = ftrace.graph;
    ftrace.registerFtraceGraph({ entryFunc, retFunc, filter: ["b", "c", "h"] });
    ftrace.registerFtraceFunction(counting(log, "one", { filter: ["c", "d"] }));
  },
};

for (const [what, prepare] of Object.entries(CASES)) {
  for (const era of ERAS) {
    Deno.test(`both paths leave the same state, events and times with ${what} in ${era}`, async () => {
      const fast = await outcome(era, "fast", prepare);
      assertEquals(fast.ended, { kind: "exit", code: 0 });
      assertEquals(fast.reports, []);
      assertEquals(fast, await outcome(era, "guest", prepare));
    });
  }
}

/** What one call of `a` adds to overhead while `ops` are registered. */
async function price(
  era: (typeof ERAS)[number],
  register: (ftrace: Ftrace) => void,
): Promise<number> {
  const overhead = async (calls: number) => {
    const functions = Array.from({ length: 130 }, (_, k) => ({ name: k === 0 ? "a" : `u${k}` }));
    const program = makeFirmware(functions, "call f0\n".repeat(calls));
    const { ftrace, machine } = tracedFirmware(program, { era, trampoline: "guest" });
    register(ftrace);
    await machine.run();
    return Number(machine.harts[0]!.overhead);
  };
  return await overhead(2) - await overhead(1);
}
const many = (ftrace: Ftrace, count: number, filter: (k: number) => string) => {
  for (let k = 0; k < count; k++) {
    ftrace.registerFtraceFunction({ name: `ops${k}`, hit() {}, filter: [filter(k)] });
  }
};

Deno.test("a list walk costs each ops the same, so that its price grows in a straight line", async () => {
  for (const era of ERAS) {
    const at = async (count: number) =>
      await price(era, (ftrace) => many(ftrace, count, () => "a"));
    const [two, ten, hundred] = [await at(2), await at(10), await at(100)];
    const each = (ten - two) / 8;
    assert(each > 10, `${era}: ${each} instructions for each ops`);
    assertEquals((hundred - ten) / 90, each, era);
  }
});

Deno.test("ops on other functions cost nothing in call-ops, and a walk past each of them before", async () => {
  for (const era of ERAS) {
    const at = async (count: number) =>
      await price(era, (ftrace) => {
        many(ftrace, count, (k) => `u${k % 129 + 1}`);
        ftrace.registerFtraceFunction({ name: "mine", hit() {}, filter: ["a"] });
      });
    const [none, hundred, twice] = [await at(0), await at(100), await at(200)];
    if (era === "call-ops") assertEquals([hundred, twice], [none, none]);
    else {
      assert(hundred > none + 1000, `${era}: ${none}, then ${hundred}`);
      const slope = (twice - hundred) / 100;
      assert(slope > 10 && slope < 40, `${era}: ${slope} instructions for each ops passed by`);
    }
  }
});

Deno.test("the destination of ftrace_call follows who is registered", () => {
  for (const era of ["args", "preset"] as const) {
    const { ftrace } = tracedFirmware(PROGRAM, { era });
    const { area } = ftrace.core;
    const { IPMODIFY, RECURSION, RCU } = ftrace.flags;
    const now = () => [area.shared === 1 ? "stub" : area.sharedBy, area.shared > 1];
    const own = (flags: number) => ({ func: ftrace.functionTraceCall, flags });
    assertEquals(now(), ["stub", false]);
    for (
      const [ops, by] of [
        [own(0), "direct"],
        [own(RECURSION), "assist"],
        [own(RCU), "list"],
        [{ func() {} }, "list"],
        [{ func() {}, flags: IPMODIFY, filter: ["a"] }, "list"],
      ] as const
    ) {
      const registration = ftrace.registerFtraceFunction(ops);
      assertEquals(now(), [by, by !== "list"], era);
      const second = ftrace.registerFtraceFunction({ func() {}, filter: ["b"] });
      assertEquals(now(), ["list", false], era);
      second.unregister();
      assertEquals(now(), [by, by !== "list"], era);
      registration.unregister();
      assertEquals(now(), ["stub", false], era);
    }
  }
});

Deno.test("in call-ops a site's literal names its one ops, the list, or nobody", () => {
  const { ftrace } = tracedFirmware(PROGRAM, { era: "call-ops" });
  const { area } = ftrace.core;
  const slot = () => area.slotAt(Number(ftrace.records[0]!.ip))!;
  assertEquals(slot(), 1);
  const one = ftrace.registerFtraceFunction({ func() {}, filter: ["a"] });
  assert(slot() > 1);
  const two = ftrace.registerFtraceFunction({ func() {}, filter: ["a", "b"] });
  assertEquals(slot(), 0);
  one.unregister();
  assert(slot() > 1);
  two.unregister();
  assertEquals(slot(), 1);
  ftrace.registerFtraceFunction({ func() {}, flags: ftrace.flags.RECURSION });
  assertEquals(slot(), 0);
});

Deno.test("a callback that runs traced code is let through once more, then dropped and counted", async () => {
  const { ftrace, machine } = tracedFirmware(PROGRAM, { era: "args" });
  const hart = machine.harts[0]!;
  const back = ftrace.lookup("back")!;
  let deepest = 0;
  let depth = 0;
  ftrace.registerFtraceFunction({
    filter: ["h"],
    func() {
      deepest = Math.max(deepest, ++depth);
      const saved = [...hart.x];
      const { pc } = hart;
      hart.x[1] = back;
      hart.x[2] = hart.x[2]! - 1024n;
      hart.pc = ftrace.lookup("h")!;
      assertEquals(machine.engine.run(hart, hart.instret + 100n).kind, "trap");
      saved.forEach((value, k) => k > 0 && (hart.x[k] = value));
      hart.pc = pc;
      depth--;
    },
  });
  await machine.run();
  assertEquals(deepest, 2);
  const [dropped] = ftrace.core.recursion.recursed.values();
  assertEquals([ftrace.symbol(BigInt(dropped!.ip)), dropped!.count], ["h", 6]);
});

Deno.test("both paths record each hart's calls in its own ring", async () => {
  const start = `csrr t0, mhartid
    slli t0, t0, 10
    sub sp, sp, t0
    li s0, 50
    1: call f0
    addi s0, s0, -1
    bnez s0, 1b
    csrr t0, mhartid
    beqz t0, 3f
    2: j 2b
    3: li s0, 1000
    4: addi s0, s0, -1
    bnez s0, 4b`;
  const program = makeFirmware([{ name: "a" }], start);
  const traces = [];
  for (const trampoline of ["guest", "fast"] as const) {
    const { ftrace, machine } = tracedFirmware(program, { trampoline }, { harts: 2 });
    ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall });
    await machine.run();
    assertEquals([0, 1].map((cpu) => ftrace.buffer.statistics(cpu).entries), [50, 50]);
    const events = [...ftrace.events()];
    assert(events.every((event) => event.type === "function" && event.pid === event.cpu + 1));
    traces.push(events);
  }
  assertEquals(traces[0], traces[1]);
});

Deno.test("a pid filter tells harts apart on both paths", async () => {
  const start = `csrr t0, mhartid
    1: call f0
    bnez t0, 1b
    li s0, 100
    2: addi s0, s0, -1
    bnez s0, 2b`;
  const program = makeFirmware([{ name: "a", body: "csrr t0, mhartid\nret" }], start);
  for (const trampoline of ["guest", "fast"] as const) {
    const { ftrace, machine } = tracedFirmware(program, { trampoline }, { harts: 2 });
    const flags = ftrace.flags.PID;
    ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall, flags });
    ftrace.filterFiles.files.set_ftrace_notrace_pid.write("2");
    await machine.run();
    assertEquals([0, 1].map((cpu) => ftrace.buffer.statistics(cpu).entries), [1, 0], trampoline);
  }
});

Deno.test("registration.flags tells the flags in force; the ops keeps those it came with", () => {
  const { ftrace } = tracedFirmware(PROGRAM);
  const { PID, ENABLED, DYNAMIC, INITIALIZED } = ftrace.flags;
  const ops: FtraceOps = { func() {}, flags: PID };
  const registration = ftrace.registerFtraceFunction(ops);
  assertEquals(registration.flags, PID | ENABLED | DYNAMIC | INITIALIZED);
  assertEquals(ops.flags, PID);
  ops.flags = 0;
  assertEquals(registration.flags, PID | ENABLED | DYNAMIC | INITIALIZED);
  registration.unregister();
  assertEquals(registration.flags, PID | DYNAMIC | INITIALIZED);
  assertEquals(ops.flags, 0);
});
