import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import type { FtraceErrorCode } from "../../lib/ftrace/ftrace_error.ts";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import type { FtraceOps } from "../../lib/ftrace/ops/ftrace_ops.ts";
import type { FtraceRegs } from "../../lib/trampoline/ftrace_regs.ts";
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

Deno.test("ftrace_enabled = 0 turns every site off and keeps registrations, filters and counts", async () => {
  for (const era of ["regs", "args", "preset", "call-ops"] as const) {
    const guest = await traced("sample_p84", { era });
    const { ftrace } = guest;
    const { core, functionLists } = ftrace;
    const { bytes } = guest.machine.memory;
    const text = () => bytes.slice(0x10000, 0x11000);
    const before = text();
    let calls = 0;
    ftrace.registerFtraceFunction({ func: () => void calls++, filter: ["bill"] });
    const listed = functionLists.enabled_functions();
    core.setEnabled(false);
    assertEquals(text(), before);
    assertEquals(functionLists.enabled_functions(), "");
    ftrace.registerFtraceFunction({ func: () => void calls++, filter: ["price_of"] });
    assertEquals(text(), before);
    core.setEnabled(true);
    assert(functionLists.enabled_functions().includes(listed), era);
    await guest.run();
    assertEquals(calls, 7, era);
  }
});

Deno.test("ftrace_enabled stays 1 while a PERMANENT ops is registered, which wants it to be 1", async () => {
  const { ftrace } = await traced("sample_p84");
  const ops = { name: "patch", func() {}, flags: ftrace.flags.PERMANENT };
  ftrace.core.setEnabled(false);
  const late = refusal(() => ftrace.registerFtraceFunction(ops));
  assertEquals([late.code, late.instead], ["EBUSY", "ftrace_enabled = 1 first"]);
  ftrace.core.setEnabled(true);
  const registration = ftrace.registerFtraceFunction(ops);
  const error = refusal(() => ftrace.core.setEnabled(false));
  assertEquals([error.code, error.reason], ["EBUSY", "permanent"]);
  assertEquals(ftrace.core.enabled, true);
  registration.unregister();
  ftrace.core.setEnabled(false);
});

Deno.test("registerFtraceFunction() refuses DELETED, and an ops that says it is ENABLED", async () => {
  const { ftrace } = await traced("sample_p84");
  const { DELETED, ENABLED } = ftrace.flags;
  assertEquals(code(() => ftrace.registerFtraceFunction({ func() {}, flags: DELETED })), "EINVAL");
  assertEquals(code(() => ftrace.registerFtraceFunction({ func() {}, flags: ENABLED })), "EBUSY");
});

Deno.test("a second IPMODIFY on a site is refused when the filter changes, too, and nothing has changed", async () => {
  const { ftrace } = await traced("sample_p84");
  const { IPMODIFY } = ftrace.flags;
  const first: FtraceOps = { name: "first", func() {}, flags: IPMODIFY, filter: ["bill"] };
  const second: FtraceOps = { name: "second", func() {}, flags: IPMODIFY, filter: ["price_of"] };
  ftrace.registerFtraceFunction(first);
  ftrace.registerFtraceFunction(second);
  const before = ftrace.functionLists.enabled_functions();
  const error = refusal(() => ftrace.ftraceSetFilter(second, ["bill"]));
  assertEquals([error.code, error.reason], ["EBUSY", "already-ipmodify"]);
  assertMatch(error.message, /first has it/);
  assertEquals(code(() => ftrace.ftraceSetFilter(second, ["!price_of"])), "EINVAL");
  assertEquals(ftrace.functionLists.enabled_functions(), before);
});

Deno.test("setFilterIp() takes a site by ip or entry, and refuses an address that is none", async () => {
  for (const era of ["args", "call-ops"] as const) {
    const { ftrace } = await traced("sample_p84", { era });
    const ops: FtraceOps = { func() {}, filter: ["bill"] };
    ftrace.registerFtraceFunction(ops);
    const { ip, entry } = ftrace.records.find(({ name }) => name === "price_of")!;
    const users = () => ftrace.functionLists.enabled_functions().match(/^\w+/gm)!.sort();
    ftrace.core.setFilterIp(ops, ip);
    assertEquals(users(), ["bill", "price_of"]);
    ftrace.core.setFilterIp(ops, entry, { remove: true });
    assertEquals(users(), ["bill"]);
    ftrace.core.setFilterIp(ops, entry, { reset: true });
    assertEquals(users(), ["price_of"]);
    const error = refusal(() => ftrace.core.setFilterIp(ops, entry + 16n));
    assertEquals([error.code, error.reason], ["ENOENT", "no-site"]);
  }
});

Deno.test("a site that is not what its record says ends tracing, with the kernel's report", async () => {
  const guest = await traced("sample_p84", { era: "call-ops" });
  const { ftrace, reports } = guest;
  const { memory } = guest.machine;
  let calls = 0;
  const first: FtraceOps = { func: () => void calls++, filter: ["bill"] };
  const registration = ftrace.registerFtraceFunction(first);
  const site = ftrace.records.find(({ name }) => name === "bill")!;
  memory.poke(Number(site.entry), new Uint8Array([0x13, 0, 0, 0]));
  const second: FtraceOps = { func() {}, filter: ["bill"] };
  const error = refusal(() => ftrace.registerFtraceFunction(second));
  assertEquals([error.code, error.reason], ["ENODEV", "ftrace-disabled"]);
  assertEquals(second.flags, undefined);
  assertEquals(registration.flags & ftrace.flags.ENABLED, ftrace.flags.ENABLED);
  assertEquals(reports[0], "------------[ ftrace bug ]------------");
  assertMatch(reports.join("\n"), /failed to modify \n\[<[0-9a-f]{16}>\] bill\+0x4\/0x/);
  assertMatch(reports.join("\n"), / actual: {3}13:00:00:00\n expected: 97:/);
  assertMatch(reports.join("\n"), /Updating ftrace call site to call a different ftrace function/);
  for (
    const body of [
      () => ftrace.registerFtraceFunction({ func() {} }),
      () => ftrace.unregisterFtraceFunction(first),
      () => ftrace.ftraceSetFilter(first, ["price_of"]),
      () => ftrace.setFtraceFilter(["bill"]),
      () => ftrace.core.setEnabled(true),
      () => ftrace.filterFiles.files.set_ftrace_filter.write("bill"),
    ]
  ) assertEquals(code(body), "ENODEV");
  assertEquals([ftrace.core.disabled, ftrace.core.enabled], [true, false]);
  registration.unregister();
  await guest.run();
  assertEquals(calls, 0);
});

Deno.test("an ops is never written to: a frozen one serves two machines, and unregister() needs no this", async () => {
  const seen: string[] = [];
  const ops: FtraceOps = Object.freeze({
    func: () => void seen.push("call"),
    filter: Object.freeze(["bill"]),
    flags: 0,
  });
  const before = JSON.stringify(ops);
  const guests = [await traced("sample_p84"), await traced("sample_p84")];
  const registrations = guests.map(({ ftrace }) => ftrace.registerFtraceFunction(ops));
  for (const guest of guests) {
    const before = seen.length;
    await guest.run();
    assert(seen.length > before);
  }
  assertEquals(guests.flatMap(({ reports }) => reports), []);
  assertEquals(JSON.stringify(ops), before);
  const [first, second] = registrations;
  const { unregister } = first!;
  unregister();
  unregister();
  const { ENABLED } = guests[0]!.ftrace.flags;
  assertEquals([first!, second!].map(({ flags }) => flags & ENABLED), [0, ENABLED]);
  guests[0]!.ftrace.registerFtraceFunction(ops);
  assertEquals(code(() => guests[0]!.ftrace.registerFtraceFunction(ops)), "EBUSY");
});

Deno.test("a registration that fails, at whatever step, leaves its slot to others", async () => {
  const { ftrace } = await traced("sample_p84");
  const filter = ["bill"];
  const func = () => {};
  const owner = ftrace.registerFtraceFunction({ func, filter, flags: ftrace.flags.IPMODIFY });
  const throwing: FtraceOps = {
    func,
    get filter(): readonly string[] {
      throw new RangeError("no filter today");
    },
  };
  const { space } = ftrace.machine;
  const poke = space.poke.bind(space);
  for (let k = 0; k < 500; k++) {
    assertThrows(() => ftrace.registerFtraceFunction(throwing), RangeError, "no filter today");
    const again = { func, filter, flags: ftrace.flags.IPMODIFY };
    assertEquals(code(() => ftrace.registerFtraceFunction(again)), "EBUSY");
    assertEquals(code(() => ftrace.registerFtraceFunction({ func, filter: ["nobody"] })), "EINVAL");
    // The last step, an update of the sites, fails too.
    let left = 5;
    space.poke = (address, bytes) => {
      if (left-- === 0) throw new TypeError("no room");
      return poke(address, bytes);
    };
    assertThrows(() => ftrace.registerFtraceFunction({ func, filter }), TypeError, "no room");
    space.poke = poke;
  }
  owner.unregister();
  const all = Array.from({ length: 1022 }, () => ftrace.registerFtraceFunction({ func, filter }));
  assertEquals(code(() => ftrace.registerFtraceFunction({ func, filter })), "ENOMEM");
  for (const each of all) each.unregister();
});

Deno.test("fregs that a callback kept throws a TypeError once the callback has returned", async () => {
  for (const era of ["regs", "args", "call-ops"] as const) {
    for (const trampoline of ["guest", "fast"] as const) {
      const { ftrace, run, reports } = await traced("sample_p84", { era, trampoline });
      const kept: FtraceRegs[] = [];
      ftrace.registerFtraceFunction({
        filter: ["bill"],
        func: (_ip, _parentIp, _ops, fregs) => void (fregs.argument(0), kept.push(fregs)),
      });
      ftrace.registerFtraceGraph({
        filter: ["bill"],
        retFunc: (_exit, fregs) => void (fregs!.returnValue, kept.push(fregs!)),
      });
      await run();
      assertEquals(reports, []);
      const [entry, exit] = [kept[0]!, kept.at(-1)!];
      for (
        const use of [
          () => entry.argument(0),
          () => entry.argumentNumber(0),
          () => entry.returnAddress = 0n,
          () => entry.kernelStackNth(0),
          () => exit.returnValue,
        ]
      ) assertThrows(use, TypeError, "Cannot use fregs: its callback has returned");
    }
  }
});

Deno.test("an ops has func or hit, never both: the type says so, and registering does", async () => {
  const { ftrace } = await traced("sample_p84");
  const func = () => {};
  const hit = () => {};
  const both = { func, hit };
  const isOps: typeof both extends FtraceOps ? true : false = false;
  assertEquals(isOps, false);
  const { registerFtraceFunction } = ftrace;
  assertThrows(() => registerFtraceFunction(both as never), TypeError, "both func and hit");
  assertThrows(() => registerFtraceFunction({} as never), TypeError, "neither func nor hit");
  registerFtraceFunction({ hit }).unregister();
  registerFtraceFunction({ func }).unregister();
});
