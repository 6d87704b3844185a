import { assertEquals, assertThrows } from "@std/assert";
import type { EraName } from "../../lib/ftrace/era.ts";
import { FGRAPH_ARRAY_SIZE, type FgraphOps } from "../../lib/ftrace/returns/fgraph_ops.ts";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import { createShadowRoom } from "../../lib/ftrace/returns/shadow_room.ts";
import { graph, traced } from "./guest.ts";

const ERAS = ["regs", "args", "preset", "call-ops"] satisfies EraName[];
const SUM = `${2 * 50005000}\n`;

Deno.test("createShadowRoom() refuses a frame as each kernel does", () => {
  const depth = (limit: "words" | "records", data?: number) => {
    const room = createShadowRoom(limit);
    let calls = 0;
    while (room.push(0) !== undefined) {
      if (data !== undefined && room.reserve(0, data) === undefined) break;
      calls++;
    }
    return [calls, room.overrun(0)];
  };
  // 98 × 5 words end at 490, below the limit of 512 − (4 + 1 + 16).
  assertEquals(depth("words"), [98, 1]);
  // With 16 bytes of data a call takes 8 words; with 128 it is the data that find none.
  assertEquals(depth("words", 16), [61, 1]);
  assertEquals(depth("words", 128), [22, 0]);
  assertEquals(depth("records"), [50, 1]);
  const room = createShadowRoom("none");
  assertEquals([room.reserve(0, 256), room.reserve(0, 257), room.reserve(0, 1)], [
    33,
    undefined,
    2,
  ]);
});

Deno.test("a graph is complete however deep the guest calls; with the kernel's room it is cut and says so", async () => {
  for (const era of ERAS) {
    for (const trampoline of ["fast", "guest"] as const) {
      if (trampoline === "guest" && era !== "call-ops") continue;
      const whole = await traced("descend_p84", { era, trampoline, bufferKib: 8192 });
      graph(whole.ftrace);
      await whole.run();
      assertEquals(whole.output(), SUM, era);
      const all = [...whole.ftrace.events()];
      const deepest = all.reduce(
        (most, event) => event.type === "funcgraph_entry" ? Math.max(most, event.depth) : most,
        0,
      );
      const base = deepest - 10000;
      assertEquals(all.every((event) => !("overrun" in event) || event.overrun === 0), true);

      const cut = await traced("descend_p84", {
        era,
        trampoline,
        graphStack: "kernel",
        bufferKib: 8192,
      });
      graph(cut.ftrace);
      await cut.run();
      assertEquals(cut.output(), SUM, era);
      const events = [...cut.ftrace.events()];
      const calls = events.filter(({ type }) => type === "funcgraph_entry");
      const depths = calls.map((event) => event.type === "funcgraph_entry" ? event.depth : 0);
      // As many as there is room for; the graph tracer of 6.13 and later keeps its times there, too.
      const limit = era === "regs" ? 50 : era === "args" ? 98 : 61;
      assertEquals(Math.max(...depths), limit - 1, era);
      // Two calls do not return: the program ends inside them.
      assertEquals(calls.length - 2, events.filter(({ type }) => type === "funcgraph_exit").length);
      const last = events.findLast((event) => event.type === "funcgraph_exit")!;
      const perDescent = 10001 - (limit - base);
      assertEquals(last.type === "funcgraph_exit" && last.overrun, 2 * perDescent, era);
    }
  }
});

Deno.test("exits tell the overruns of the task so far", async () => {
  const guest = await traced("descend_p84", { era: "args", strict: true, bufferKib: 8192 });
  graph(guest.ftrace);
  await guest.run();
  const overruns = [...guest.ftrace.events()].flatMap((event) =>
    event.type === "funcgraph_exit" ? [event.overrun] : []
  );
  assertEquals(overruns.every((count, k) => k === 0 || count >= overruns[k - 1]!), true);
  assertEquals(new Set(overruns.filter((count) => count > 0)).size, 2, "one number a descent");
});

Deno.test("registerFtraceGraph() takes sixteen, ENOSPC after; strict 6.9 takes one", async () => {
  const { ftrace } = await traced("sample_p84");
  const ops = (): FgraphOps => ({ entryFunc: () => true, filter: ["bill"] });
  const all = Array.from({ length: FGRAPH_ARRAY_SIZE }, ops);
  for (const each of all) ftrace.registerFtraceGraph(each);
  assertEquals(assertThrows(() => ftrace.registerFtraceGraph(ops()), FtraceError).code, "ENOSPC");
  assertEquals(assertThrows(() => ftrace.registerFtraceGraph(all[3]!), FtraceError).code, "EBUSY");
  ftrace.unregisterFtraceGraph(all[3]!);
  ftrace.registerFtraceGraph(ops());
  const old = await traced("sample_p84", { era: "regs", strict: true });
  old.ftrace.registerFtraceGraph(ops());
  const error = assertThrows(() => old.ftrace.registerFtraceGraph(ops()), FtraceError);
  assertEquals([error.code, error.reason], ["EBUSY", "too-many"]);
});

Deno.test("an index is used again only after all others: a new user gets no returns of an old one's calls", async () => {
  const guest = await traced("sample_p84");
  const { ftrace } = guest;
  const returns: string[] = [];
  const user = (name: string): FgraphOps => ({
    name,
    entryFunc: () => true,
    retFunc: (exit) => void returns.push(`${name} ${ftrace.records[exit.site]!.name}`),
    filter: ["bill", "add_prices"],
  });
  const first = user("first");
  ftrace.registerFtraceGraph(first);
  let changed = false;
  ftrace.registerFtraceFunction({
    filter: ["price_of"],
    func() {
      if (changed) return;
      changed = true;
      ftrace.unregisterFtraceGraph(first);
      ftrace.registerFtraceGraph(user("second"));
    },
  });
  await guest.run();
  assertEquals(returns, ["second add_prices", "second bill"]);
});

Deno.test("an entry handler that returns false leaves the return alone; one that returns true among others gets it", async () => {
  const guest = await traced("sample_p84");
  const { ftrace } = guest;
  const { return_to_handler } = ftrace.core.area.trampolines.symbols;
  const hidden: boolean[] = [];
  let exits = 0;
  const looking = ftrace.registerFtraceFunction({
    filter: ["price_of"],
    func: (_ip, _parent, _ops, fregs) => {
      hidden.push(fregs.returnAddress === return_to_handler);
      if (hidden.length === 2) {
        ftrace.registerFtraceGraph({
          filter: ["price_of"],
          entryFunc: () => true,
          retFunc: () => void exits++,
        });
      }
    },
  });
  // Ops run newest first, so this one comes before the one that looks.
  ftrace.registerFtraceGraph({ filter: ["price_of"], entryFunc: () => false });
  await guest.run();
  looking.unregister();
  assertEquals(hidden, [false, false, true, true, true]);
  assertEquals(exits, 3);
});

Deno.test("pauseGraphTracing() lets calls pass by until all pauses have ended", async () => {
  const guest = await traced("sample_p84");
  const { ftrace, machine } = guest;
  let calls = 0, entries = 0;
  const pauses: Disposable[] = [];
  ftrace.registerFtraceGraph({ filter: ["price_of"], entryFunc: () => void entries++ });
  ftrace.registerFtraceFunction({
    filter: ["add_prices"],
    func() {
      if (calls++ === 0) {
        for (let k = 0; k < 2; k++) pauses.push(ftrace.pauseGraphTracing(machine.harts[0]!));
      } else for (const pause of pauses) pause[Symbol.dispose]();
    },
  });
  await guest.run();
  assertEquals([calls, entries], [2, 3], "of two and three calls");
});

Deno.test("reserveData() keeps bytes from entry to exit for each user, at most 256", async () => {
  const guest = await traced("sample_p84");
  const { ftrace } = guest;
  const kept: bigint[] = [];
  let refused = 0;
  for (const factor of [1n, 10n]) {
    ftrace.registerFtraceGraph({
      filter: ["price_of"],
      entryFunc(entry, fregs) {
        if (entry.reserveData(257) === null) refused++;
        entry.reserveData(8)!.setBigUint64(0, factor * fregs.argument(0), true);
      },
      retFunc(exit) {
        kept.push(exit.retrieveData()!.getBigUint64(0, true));
        assertEquals(exit.reserveData(8), null);
      },
    });
  }
  await guest.run();
  assertEquals(refused, 10);
  // Return handlers run in the reverse order of entry handlers.
  assertEquals(kept.length, 10);
  for (let k = 0; k < 10; k += 2) assertEquals(kept[k], 10n * kept[k + 1]!);
});

Deno.test("registerFtraceGraph() gives a handle that ends its own registration, and no later one of the ops", async () => {
  const { ftrace, run } = await traced("sample_p84");
  let calls = 0;
  const gops: FgraphOps = { filter: ["price_of"], entryFunc: () => (calls++, true) };
  const first = ftrace.registerFtraceGraph(gops);
  ftrace.unregisterFtraceGraph(gops);
  first[Symbol.dispose]();
  const second = ftrace.registerFtraceGraph(gops);
  first[Symbol.dispose]();
  await run();
  assertEquals(calls > 0, true);
  second[Symbol.dispose]();
  assertThrows(() => ftrace.unregisterFtraceGraph(gops), FtraceError, "EINVAL");
});
