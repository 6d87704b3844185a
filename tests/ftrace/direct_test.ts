/**
 * Direct calls: what a site leads to, alone and beside tracers, and what is refused.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import { FTRACE_FL_DIRECT_EN } from "../../lib/patcher/dyn_ftrace.ts";
import type { AnyFtraceOps } from "../../lib/ftrace/ops/ftrace_ops.ts";
import { makeFirmware, tracedFirmware } from "./made_guest.ts";

/** `a` and `b` add 1 and 2 to s1; `tramp` adds 100 and goes on, `other` 1000. */
const PROGRAM = makeFirmware(
  [{ name: "a", body: "addi s1, s1, 1\nret" }, { name: "b", body: "addi s1, s1, 2\nret" }],
  "li s1, 0\ncall f0\ncall f1\ncall f0",
  "tramp: addi s1, s1, 100\njr t0\nother: addi s1, s1, 1000\njr t0\ninstead: addi s1, s1, 7\nret",
);
const S1 = 9;
const ERAS = ["regs", "args", "call-ops"] as const;
const PATHS = ["guest", "fast"] as const;

const boot = (era: (typeof ERAS)[number] | "preset", trampoline: "guest" | "fast" = "fast") =>
  tracedFirmware(PROGRAM, { era, trampoline });

for (const era of ERAS) {
  Deno.test(`registerFtraceDirect() calls a guest function from the site in ${era}`, async () => {
    for (const trampoline of PATHS) {
      const { ftrace, machine } = boot(era, trampoline);
      ftrace.registerFtraceDirect({ filter: ["a"] }, ftrace.lookup("tramp")!);
      // Only the trampoline that saves all registers knows t1 in the oldest era.
      assert((ftrace.records[0]!.flags & FTRACE_FL_DIRECT_EN) !== 0);
      await machine.run();
      assertEquals(machine.harts[0]!.x[S1], 204n, trampoline);
    }
  });

  Deno.test(`a direct call shares its site with tracers through t1 in ${era}`, async () => {
    const outcomes = [];
    for (const trampoline of PATHS) {
      const { ftrace, machine } = boot(era, trampoline);
      const seen: string[] = [];
      ftrace.registerFtraceFunction({ func: (ip) => void seen.push(ftrace.symbol(ip)!) });
      ftrace.registerFtraceDirect({ filter: ["a"] }, ftrace.lookup("tramp")!);
      ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall });
      assertEquals(ftrace.records[0]!.flags & FTRACE_FL_DIRECT_EN, 0);
      await machine.run();
      const [hart] = machine.harts;
      assertEquals([hart!.x[S1], seen], [204n, ["a", "b", "a"]], trampoline);
      outcomes.push([[...hart!.x], hart!.instret, hart!.overhead, [...ftrace.events()]]);
    }
    assertEquals(outcomes[0], outcomes[1]);
  });

  Deno.test(`modifyFtraceDirect() leads elsewhere, and unregistering back, while running in ${era}`, async () => {
    for (const trampoline of PATHS) {
      const { ftrace, machine } = boot(era, trampoline);
      const ops: AnyFtraceOps = { filter: ["a"] };
      ftrace.registerFtraceDirect(ops, ftrace.lookup("tramp")!);
      const only = ftrace.registerFtraceFunction({
        filter: ["b"],
        func: () => ftrace.modifyFtraceDirect(ops, ftrace.lookup("other")!),
      });
      await machine.run();
      assertEquals(machine.harts[0]!.x[S1], 1104n, trampoline);
      only.unregister();
      const before = ftrace.core.patcher.statistics.writes;
      ftrace.unregisterFtraceDirect(ops, ftrace.lookup("other")!);
      assert(ftrace.core.patcher.statistics.writes > before);
      assertEquals(ftrace.records.map(({ flags }) => flags & 0xff), [0, 0]);
      assertEquals(ops.flags, undefined);
    }
  });

  Deno.test(`a direct trampoline may replace the function, and be assembled by us, in ${era}`, async () => {
    const { ftrace, machine } = boot(era);
    ftrace.registerFtraceDirect({ filter: ["b"] }, ftrace.lookup("instead")!);
    const { address } = ftrace.assembleTracingCode(
      "addi s1, s1, 20\naddi s1, s1, 10\nj ftrace_stub_direct_tramp",
    );
    ftrace.registerFtraceDirect({ filter: ["a"] }, address);
    const hart = machine.harts[0]!;
    await machine.run();
    assertEquals(hart.x[S1], 69n);
    // Two calls of four instructions, and in call-ops three that find the way.
    const found = era === "call-ops" ? 4n : 0n;
    assertEquals(hart.overhead, 2n * (4n + found) + found);
  });
}

Deno.test("a direct call goes with the graph tracer, which hooks the same function's return", async () => {
  for (const era of ERAS) {
    const { ftrace, machine } = boot(era);
    const { entryFunc, retFunc } = ftrace.graph;
    ftrace.registerFtraceGraph({ entryFunc, retFunc });
    ftrace.registerFtraceDirect({ filter: ["a", "b"] }, ftrace.lookup("tramp")!);
    assertEquals(await machine.run(), { kind: "exit", code: 0 });
    assertEquals(machine.harts[0]!.x[S1], 304n, era);
    const kinds = [...ftrace.events()].map(({ type }) => type);
    assertEquals(kinds.filter((type) => type === "funcgraph_exit").length, 3, era);
  }
});

Deno.test("direct calls are refused as the kernel refuses them, with what to do", () => {
  const refusal = (body: () => unknown) => assertThrows(body, FtraceError);
  const old = boot("preset").ftrace;
  const none = refusal(() => old.registerFtraceDirect({ filter: ["a"] }, old.lookup("tramp")!));
  assertEquals([none.code, none.reason], ["ENODEV", "not-supported-by-era"]);
  assertMatch(none.instead, /call-ops/);
  assertEquals(refusal(() => old.modifyFtraceDirect({}, 0n)).code, "ENODEV");

  const { ftrace } = boot("call-ops");
  const tramp = ftrace.lookup("tramp")!;
  const direct = (ops: AnyFtraceOps) => refusal(() => ftrace.registerFtraceDirect(ops, tramp));
  assertEquals(direct({ filter: ["a"], func() {} }).code, "EINVAL");
  assertEquals(direct({}).reason, "empty-filter");
  const ops: AnyFtraceOps = { filter: ["a"] };
  ftrace.registerFtraceDirect(ops, tramp);
  assertEquals(direct(ops).reason, "already-enabled");
  const second = direct({ filter: ["a", "b"] });
  assertEquals([second.code, second.reason], ["EBUSY", "already-direct"]);
  const { IPMODIFY } = ftrace.flags;
  const patch = { func() {}, flags: IPMODIFY, filter: ["a"] };
  const both = refusal(() => ftrace.registerFtraceFunction(patch));
  assertEquals([both.code, both.reason], ["EBUSY", "already-direct"]);
  ftrace.registerFtraceFunction({ func() {}, flags: IPMODIFY, filter: ["b"] });
  assertEquals(direct({ filter: ["b"] }).reason, "already-ipmodify");
  assertEquals(refusal(() => ftrace.unregisterFtraceDirect({}, tramp)).code, "EINVAL");
});

Deno.test("a direct call out of the pair's reach is refused, and through the literal it is not", () => {
  const far = 0x1_2000_0000n;
  const { ftrace } = boot("args");
  const error = assertThrows(
    () => ftrace.registerFtraceDirect({ filter: ["a"] }, far),
    FtraceError,
  );
  assertEquals([error.code, error.reason], ["EINVAL", "out-of-reach"]);
  boot("call-ops").ftrace.registerFtraceDirect({ filter: ["a"] }, far);
});
