import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import type { FtraceErrorCode } from "../../lib/ftrace/ftrace_error.ts";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import type { FtraceOps } from "../../lib/ftrace/ftrace_ops.ts";
import { traced } from "./guest.ts";

/** What `body` is refused with. */
function refusal(body: () => unknown): FtraceError {
  return assertThrows(body, FtraceError);
}
function code(body: () => unknown): FtraceErrorCode {
  return refusal(body).code;
}

Deno.test("registerFtraceFunction() refuses an ops that is registered already", async () => {
  const { ftrace } = await traced("sample_p84");
  const ops: FtraceOps = { func() {} };
  ftrace.registerFtraceFunction(ops);
  assertEquals(code(() => ftrace.registerFtraceFunction(ops)), "EBUSY");
});

Deno.test("unregisterFtraceFunction() refuses an ops that is not registered", async () => {
  const { ftrace } = await traced("sample_p84");
  assertEquals(code(() => ftrace.unregisterFtraceFunction({ func() {} })), "EBUSY");
});

Deno.test("registerFtraceFunction() refuses SAVE_REGS where only arguments are saved, and says what helps", async () => {
  for (const era of ["regs", "args", "preset", "call-ops"] as const) {
    const { ftrace } = await traced("sample_p84", { era });
    const strict = { func() {}, flags: ftrace.flags.SAVE_REGS };
    if (era === "regs") ftrace.registerFtraceFunction(strict);
    else {
      const error = refusal(() => ftrace.registerFtraceFunction(strict));
      assertEquals(error.code, "EINVAL");
      assertMatch(error.message, /saves arguments, not full pt_regs/);
      assertMatch(error.instead ?? "", /SAVE_REGS_IF_SUPPORTED/);
    }
    ftrace.registerFtraceFunction({ func() {}, flags: ftrace.flags.SAVE_REGS_IF_SUPPORTED });
  }
});

Deno.test("registerFtraceFunction() calls exactly the functions that filter and notrace leave", async () => {
  const guest = await traced("sample_p84");
  const { ftrace } = guest;
  const seen = new Set<string>();
  ftrace.registerFtraceFunction({
    func: (ip) => void seen.add(ftrace.symbol(ip)!),
    filter: ["*bill", "common*", "price_of"],
    notrace: ["print*"],
  });
  await guest.run();
  assertEquals([...seen].sort(), ["bill", "common_coin", "price_of"]);
});

Deno.test("ftraceSetFilter() takes functions back with ! and refuses what matches nothing", async () => {
  const guest = await traced("sample_p84");
  const { ftrace } = guest;
  let calls = 0;
  const ops: FtraceOps = { func: () => void calls++, filter: ["bill", "price_of"] };
  ftrace.registerFtraceFunction(ops);
  ftrace.ftraceSetFilter(ops, ["!price_of"], { reset: false });
  assertEquals(code(() => ftrace.ftraceSetFilter(ops, ["nosuch*"])), "EINVAL");
  await guest.run();
  assertEquals(calls, 2);
});

Deno.test("registerFtraceFunction() calls every ops of a site, in each era on both paths", async () => {
  for (const era of ["regs", "args", "preset", "call-ops"] as const) {
    for (const trampoline of ["guest", "fast"] as const) {
      const guest = await traced("sample_p84", { era, trampoline });
      const { ftrace } = guest;
      const calls = { all: 0, bills: 0, recorded: 0 };
      ftrace.registerFtraceFunction({ func: () => void calls.all++ });
      ftrace.registerFtraceFunction({ func: () => void calls.bills++, filter: ["bill"] });
      ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall, filter: ["price_of"] });
      await guest.run();
      for (const event of ftrace.events()) if (event.type === "function") calls.recorded++;
      assertEquals(calls, { all: 45, bills: 2, recorded: 5 }, `${era} ${trampoline}`);
    }
  }
});

Deno.test("an ops registered and one unregistered inside a callback take effect at once", async () => {
  for (const era of ["regs", "args", "preset", "call-ops"] as const) {
    const guest = await traced("sample_p84", { era });
    const { ftrace } = guest;
    const order: string[] = [];
    const first = ftrace.registerFtraceFunction({
      filter: ["bill"],
      func() {
        order.push("bill");
        first.unregister();
        ftrace.registerFtraceFunction({
          filter: ["bill", "tenth_off"],
          func: (ip) => void order.push(`then ${ftrace.symbol(ip)}`),
        });
      },
    });
    const outcome = await guest.run();
    assertEquals(outcome, { kind: "exit", code: 0 });
    assertEquals(order, ["bill", "then bill", "then tenth_off"], era);
  }
});

for (
  const [what, func, says] of [
    ["throws", () => {
      throw new Error("oops");
    }, /\[mine\] .*price_of, call 1: oops/],
    ["returns a promise", async () => {}, /\[mine\] .*price_of, call 1: .*promise/],
  ] as const
) {
  Deno.test(`a callback that ${what} is unregistered and reported once, and the guest goes on`, async () => {
    const guest = await traced("sample_p84");
    guest.ftrace.registerFtraceFunction({ name: "mine", filter: ["price_of"], func });
    assertEquals(await guest.run(), { kind: "exit", code: 0 });
    assertEquals(guest.reports.length, 1);
    assertMatch(guest.reports[0]!, says);
  });
}

Deno.test("an ops without IPMODIFY that changes ip is unregistered, and the change undone", async () => {
  const guest = await traced("sample_p84");
  const { ftrace } = guest;
  ftrace.registerFtraceFunction({
    name: "mine",
    filter: ["no_discount"],
    func: (_ip, _parent, _ops, fregs) => {
      fregs.instructionPointer = ftrace.lookup("tenth_off")!;
    },
  });
  await guest.run();
  assertMatch(guest.output(), /total 1350,/);
  assertMatch(guest.reports.join(), /\[mine\] .*without FTRACE_OPS_FL_IPMODIFY/);
});

Deno.test("registerFtraceFunction() refuses IPMODIFY without a filter, and twice on one function", async () => {
  const { ftrace } = await traced("sample_p84");
  const { IPMODIFY } = ftrace.flags;
  assertEquals(code(() => ftrace.registerFtraceFunction({ func() {}, flags: IPMODIFY })), "EINVAL");
  ftrace.registerFtraceFunction({ func() {}, flags: IPMODIFY, filter: ["bill"] });
  const second = { func() {}, flags: IPMODIFY, filter: ["b*"] };
  assertEquals(code(() => ftrace.registerFtraceFunction(second)), "EBUSY");
});

Deno.test("registerFtraceFunction() leaves no site switched when all ops are gone", async () => {
  const { ftrace, machine } = await traced("sample_p84");
  const { bytes } = machine.memory;
  const text = () => bytes.slice(0x10000, 0x11000);
  const before = text();
  const registration = ftrace.registerFtraceFunction({ func() {} });
  assert(text().join() !== before.join());
  registration.unregister();
  assertEquals(text(), before);
});

Deno.test("getRegs() is null where arguments are saved and pt_regs where all registers are", async () => {
  for (const trampoline of ["guest", "fast"] as const) {
    for (const era of ["regs", "args", "preset", "call-ops"] as const) {
      const guest = await traced("sample_p84", { era, trampoline });
      const { ftrace } = guest;
      let found: bigint | null | undefined;
      ftrace.registerFtraceFunction({
        filter: ["price_of"],
        flags: ftrace.flags.SAVE_REGS_IF_SUPPORTED,
        func(_ip, _parent, _ops, fregs) {
          found ??= fregs.getRegs() === null ? null : fregs.argument(0);
          assertEquals(fregs.argument(8), 0n);
        },
      });
      await guest.run();
      assertEquals(found === null, era !== "regs", `${era} ${trampoline}`);
      assertEquals(guest.reports, []);
    }
  }
});

Deno.test("the ring says exactly how many events it lost, in both modes", async () => {
  for (const bufferMode of ["overwrite", "drop"] as const) {
    const guest = await traced("sample_p84", { bufferKib: 1, bufferMode });
    const { ftrace } = guest;
    ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall });
    await guest.run();
    const { entries, overrun, dropped } = ftrace.buffer.statistics(0);
    const lost = bufferMode === "overwrite"
      ? { overrun: 13, dropped: 0 }
      : { overrun: 0, dropped: 13 };
    assertEquals({ entries, overrun, dropped }, { entries: 32, ...lost });
    const names = [...ftrace.events()].flatMap((event) =>
      "ip" in event ? [ftrace.symbol(event.ip)] : []
    );
    assertEquals(names.includes("tiny_main"), bufferMode === "drop");
  }
});
