import { assert, assertEquals, assertThrows } from "@std/assert";
import { ftraceRefCount } from "../../lib/patcher/dyn_ftrace.ts";
import type { EraName } from "../../lib/ftrace/era.ts";
import {
  type Fprobe,
  FPROBE_FL_DISABLED,
  FPROBE_FL_KPROBE_SHARED,
} from "../../lib/ftrace/returns/fprobe.ts";
import type { Ftrace } from "../../lib/ftrace/ftrace.ts";
import type { FgraphOps } from "../../lib/ftrace/returns/fgraph_ops.ts";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import { traced } from "./guest.ts";

const ERAS = ["regs", "args", "preset", "call-ops"] satisfies EraName[];

function recordOf(ftrace: Ftrace, name: string) {
  return ftrace.records.find((record) => record.name === name)!;
}

Deno.test("probes on one function run newest first, at the entry and at the exit", async () => {
  for (const era of ERAS) {
    const guest = await traced("sample_p84", { era });
    const order: string[] = [];
    for (const name of ["first", "second"]) {
      guest.ftrace.registerFprobe({
        entryHandler: () => void order.push(`${name} in`),
        exitHandler: () => void order.push(`${name} out`),
      }, "bill");
    }
    await guest.run();
    const call = ["second in", "first in", "second out", "first out"];
    assertEquals(order, [...call, ...call], era);
  }
});

Deno.test("handlers get the site as the era names it, the caller, and data rounded up to longs", async () => {
  for (const era of ERAS) {
    for (const trampoline of ["fast", "guest"] as const) {
      const guest = await traced("sample_p84", { era, trampoline });
      const { ftrace } = guest;
      const record = recordOf(ftrace, "bill");
      const seen: string[] = [];
      const note = (when: string, ip: bigint, ret: bigint, data: DataView | null) =>
        seen.push(`${when} +${ip - record.entry} ${ftrace.symbol(ret)} ${data?.byteLength}`);
      ftrace.registerFprobe({
        entryDataSize: 9,
        entryHandler: (_fp, ip, ret, _fregs, data) => void note("in", ip, ret, data),
        exitHandler: (_fp, ip, ret, _fregs, data) => void note("out", ip, ret, data),
      }, "bill");
      // Without an exit handler there is nothing to keep data for.
      ftrace.registerFprobe({
        entryDataSize: 8,
        entryHandler: (_fp, ip, ret, _fregs, data) => void note("only", ip, ret, data),
      }, "bill");
      await guest.run();
      const at = era === "regs" || era === "args" ? 0 : 4;
      const ordered = seen.slice(0, 3).sort();
      assertEquals(ordered, [
        `in +${at} program 16`,
        `only +${at} program undefined`,
        `out +${at} program 16`,
      ], `${era} ${trampoline}`);
    }
  }
});

Deno.test("entry-only probes are attached as each kernel attaches them: a reference of their own from 7.x on", async () => {
  for (const era of ERAS) {
    const { ftrace } = await traced("sample_p84", { era });
    const record = recordOf(ftrace, "bill");
    const counts = [];
    const entryOnly = ftrace.registerFprobe({ entryHandler() {} }, "bill");
    counts.push(ftraceRefCount(record));
    const both = ftrace.registerFprobe({ entryHandler() {}, exitHandler() {} }, "bill");
    counts.push(ftraceRefCount(record));
    entryOnly[Symbol.dispose]();
    counts.push(ftraceRefCount(record));
    both[Symbol.dispose]();
    counts.push(ftraceRefCount(record));
    const splits = era === "preset" || era === "call-ops";
    assertEquals(counts, splits ? [1, 2, 1, 0] : [1, 1, 1, 0], era);
  }
});

Deno.test("an entry-only probe leaves the return address alone where it has an ops of its own", async () => {
  for (const era of ["args", "call-ops"] as const) {
    const guest = await traced("sample_p84", { era });
    const { ftrace } = guest;
    const { return_to_handler } = ftrace.core.area.trampolines.symbols;
    const hooked = new Set<boolean>();
    // Ops run newest first, so this one looks after the probe's.
    ftrace.registerFtraceFunction({
      filter: ["bill"],
      func: (_ip, _parent, _ops, fregs) =>
        void hooked.add(fregs.returnAddress === return_to_handler),
    });
    let hits = 0;
    ftrace.registerFprobe({ entryHandler: () => void hits++ }, "bill");
    await guest.run();
    assertEquals([hits, [...hooked]], [2, [false]], era);
  }
});

Deno.test("flags disable a probe softly, at the entry and at the exit of a call that is open", async () => {
  const guest = await traced("sample_p84");
  const { ftrace } = guest;
  let exits = 0, entries = 0;
  const probe: Fprobe = {
    flags: FPROBE_FL_KPROBE_SHARED,
    entryHandler: () => void entries++,
    exitHandler: () => void exits++,
  };
  const registration = ftrace.registerFprobe(probe, "bill");
  let prices = 0;
  ftrace.registerFprobe({
    entryHandler() {
      // Inside the first bill: its exit is skipped, and the second bill's entry.
      if (prices++ === 0) probe.flags! |= FPROBE_FL_DISABLED;
    },
  }, "price_of");
  await guest.run();
  assertEquals([entries, exits, registration.nmissed], [1, 0, 0]);
});

Deno.test("a probe that is unregistered while a call is open gets no exit", async () => {
  const guest = await traced("sample_p84");
  const { ftrace } = guest;
  let exits = 0;
  const bill: Fprobe = { exitHandler: () => void exits++ };
  ftrace.registerFprobe(bill, "bill");
  let prices = 0;
  const inner = ftrace.registerFprobe({
    entryHandler() {
      if (prices++ === 0) ftrace.unregisterFprobe(bill);
    },
  }, "price_of");
  await guest.run();
  inner[Symbol.dispose]();
  assertEquals([exits, prices], [0, 5]);
  assertEquals(assertThrows(() => ftrace.unregisterFprobe(bill), FtraceError).code, "EINVAL");
});

Deno.test("data of all probes on a call must fit the shadow stack, or every one of them misses it", async () => {
  const guest = await traced("sample_p84");
  const { ftrace } = guest;
  // Two take 2 × (1 + 15) = 32 words, the most a user of the graph tracer gets for a call.
  const probes: Fprobe[] = [0, 1].map(() => ({ entryDataSize: 120, exitHandler() {} }));
  const placed = probes.map((probe) => ftrace.registerFprobe(probe, "price_of"));
  const third: Fprobe = { entryDataSize: 8, exitHandler() {} };
  placed.push(ftrace.registerFprobe(third, "price_*"));
  await guest.run();
  assertEquals(placed.map(({ nmissed }) => nmissed), [5, 5, 5]);
});

Deno.test("probes miss calls that are too deep for the kernel's shadow stack", async () => {
  const guest = await traced("descend_p84", { graphStack: "kernel" });
  let hits = 0;
  const probe: Fprobe = {
    entryDataSize: 8,
    entryHandler: () => void hits++,
    exitHandler() {},
  };
  const registration = guest.ftrace.registerFprobe(probe, "descend");
  await guest.run();
  // A call takes 5 words and 1 + 1 + 1 for its data: 61 fit; the frame of the next does not, which
  // is the graph tracer's loss, not the probe's.
  assertEquals([hits, registration.nmissed], [122, 0]);
  const tight = await traced("descend_p84", { graphStack: "kernel" });
  const large: Fprobe = { entryDataSize: 112, entryHandler: () => void hits++, exitHandler() {} };
  const missed = tight.ftrace.registerFprobe(large, "descend");
  hits = 0;
  await tight.run();
  // 21 words each: 23 end at 483, and of the next one the frame fits but not the data. Its frame is
  // given back then, so every deeper call tries again.
  assertEquals([hits, missed.nmissed], [46, 2 * (10001 - 23)]);
  assertEquals([guest.output(), tight.output()], ["100010000\n", "100010000\n"]);
});

Deno.test("cancelling an exit leaves the other probes' data and exits as they are", async () => {
  const guest = await traced("sample_p84");
  const { ftrace } = guest;
  const kept: bigint[] = [];
  const keep = (cancels: boolean): Fprobe => ({
    entryDataSize: 8,
    entryHandler(_fp, _ip, _ret, fregs, data) {
      data!.setBigUint64(0, fregs.argument(0), true);
      return cancels ? 1 : 0;
    },
    exitHandler: (_fp, _ip, _ret, _fregs, data) => void kept.push(data!.getBigUint64(0, true)),
  });
  const without = await traced("sample_p84");
  const argumentsOf: bigint[] = [];
  without.ftrace.registerFprobe({
    entryHandler: (_fp, _ip, _ret, fregs) => void argumentsOf.push(fregs.argument(0)),
  }, "price_of");
  await without.run();
  for (const cancels of [false, true, false]) ftrace.registerFprobe(keep(cancels), "price_of");
  await guest.run();
  assertEquals(kept, argumentsOf.flatMap((value) => [value, value]));
});

Deno.test("registerFprobe*() refuses an empty filter, no addresses and no names with EINVAL", async () => {
  const { ftrace } = await traced("sample_p84");
  const probe: Fprobe = { entryHandler() {} };
  const code = (body: () => unknown) => assertThrows(body, FtraceError).code;
  assertEquals([
    code(() => ftrace.registerFprobe(probe, "")),
    code(() => ftrace.registerFprobeIps(probe, [])),
    code(() => ftrace.registerFprobeSyms(probe, [])),
    code(() => ftrace.registerFprobe(probe, "bill", "b*")),
    code(() => ftrace.unregisterFprobe(probe)),
  ], ["EINVAL", "EINVAL", "EINVAL", "ENOENT", "EINVAL"]);
  // Nothing of that is left behind.
  ftrace.registerFprobeSyms(probe, ["bill", "price_of", "bill"]);
  ftrace.unregisterFprobe(probe);
  const { entry, ip } = recordOf(ftrace, "bill");
  ftrace.registerFprobeIps(probe, [entry, ip]);
  assertEquals(ftraceRefCount(recordOf(ftrace, "bill")), 1);
});

Deno.test("enabled_functions names probes as the kernel does: an ops for entries, a subops for both", async () => {
  const { ftrace } = await traced("sample_p84", { era: "call-ops" });
  const entryOnly = ftrace.registerFprobe({ entryHandler() {} }, "bill");
  const lines = [ftrace.functionLists.enabled_functions()];
  entryOnly[Symbol.dispose]();
  ftrace.registerFprobe({ exitHandler() {} }, "bill");
  lines.push(ftrace.functionLists.enabled_functions());
  assertEquals(lines.map((line) => /fprobe\w*_entry/.exec(line)?.[0]), [
    ...["fprobe_ftrace_entry", "fprobe_fgraph_entry"],
  ]);
});

Deno.test("registerFprobe() never writes to the probe: a frozen one serves two machines", async () => {
  let hits = 0;
  const fp: Fprobe = Object.freeze({
    entryDataSize: 8,
    entryHandler: () => void hits++,
    exitHandler: () => void hits++,
  });
  for (const graphStack of ["kernel", "unlimited"] as const) {
    const { ftrace, run } = await traced("sample_p84", { graphStack });
    using registration = ftrace.registerFprobe(fp, "price_of");
    await run();
    assertEquals(registration.nmissed, 0);
  }
  assertEquals(hits, 20);
});

Deno.test("registerFprobe()'s registration ends its own registration, not a later one of the probe", async () => {
  const { ftrace } = await traced("sample_p84");
  const fp: Fprobe = { entryHandler() {} };
  const first = ftrace.registerFprobe(fp, "bill");
  ftrace.unregisterFprobe(fp);
  ftrace.registerFprobe(fp, "bill");
  first[Symbol.dispose]();
  ftrace.unregisterFprobe(fp);
  assertEquals(assertThrows(() => ftrace.unregisterFprobe(fp), FtraceError).code, "EINVAL");
});

Deno.test("registerFtraceGraph() never writes to the ops: a frozen one serves two machines", async () => {
  const calls: string[] = [];
  const gops: FgraphOps = Object.freeze({
    entryFunc: () => void calls.push("entry"),
    retFunc: () => void calls.push("exit"),
    filter: Object.freeze(["price_of"]),
  });
  for (let machine = 0; machine < 2; machine++) {
    const { ftrace, run } = await traced("sample_p84");
    using _registration = ftrace.registerFtraceGraph(gops);
    await run();
  }
  assertEquals(calls.length, 20);
});

Deno.test("fprobe hands over all registers and needs no graph tracer in era regs, strict or not", async () => {
  for (const trampoline of ["fast", "guest"] as const) {
    const { ftrace, run } = await traced("sample_p84", { era: "regs", strict: true, trampoline });
    const seen: bigint[] = [];
    const graphed: string[] = [];
    ftrace.registerFtraceGraph({
      entryFunc: ({ func }) => void graphed.push(ftrace.symbol(func)!),
    });
    using registration = ftrace.registerFprobe({
      entryHandler: (_fp, _ip, _ret, fregs) => void seen.push(fregs.getRegs()!.x(4)),
      exitHandler: (_fp, _ip, _ret, fregs) => void seen.push(fregs.returnValue),
    }, "bill");
    assert(/^bill \(\d+\) R /m.test(ftrace.functionLists.enabled_functions()));
    await run();
    assertEquals(seen.length, 4);
    assertEquals(graphed.filter((name) => name === "bill").length, 2);
    registration[Symbol.dispose]();
    assert(!/ R /.test(ftrace.functionLists.enabled_functions()));
  }
});

Deno.test("registerFprobe() is refused where full registers are gone and ftrace_regs not yet enough", async () => {
  const { ftrace } = await traced("sample_p84", { era: "args", strict: true });
  const error = assertThrows(
    () => ftrace.registerFprobe({ entryHandler() {} }, "bill"),
    FtraceError,
  );
  assertEquals([error.code, error.reason], ["EOPNOTSUPP", "not-supported-by-era"]);
});
