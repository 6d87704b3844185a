/**
 * Events that flow out of the rings while the guest runs: all of them, in order, with payloads.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { Ftrace, FtraceOptions, Machine, MachineOptions, TraceEvent } from "../../mod.ts";
import { EventFeed, type EventSink, type EventTotals } from "../../lib/ftrace/mod.ts";
import { createFtrace } from "../../lib/ftrace/ftrace.ts";
import { createMachine } from "../../lib/machine/machine.ts";
import { hartsProgram } from "./harts_guest.ts";
import { graph, traced } from "./guest.ts";

/** A sink that keeps what it is given, decoded. */
class Kept implements EventSink {
  readonly calls: string[] = [];
  readonly events: TraceEvent[] = [];
  totals: EventTotals | undefined;
  /** How often the events were read while they were still the sink's. */
  readonly #reads: number;

  constructor(reads = 1) {
    this.#reads = reads;
  }

  begin(): void {
    this.calls.push("begin");
  }

  async block(block: Iterable<TraceEvent> & { readonly count: number }): Promise<void> {
    this.calls.push("block");
    await Promise.resolve();
    let events: TraceEvent[] = [];
    for (let k = 0; k < this.#reads; k++) events = [...block];
    assertEquals(events.length, block.count);
    this.events.push(...events);
  }

  end(totals: EventTotals): void {
    this.calls.push("end");
    this.totals = totals;
  }
}

/** Functions to compare, as a text: events have getters. */
const texts = (events: Iterable<TraceEvent>) =>
  [...events].map((event) =>
    JSON.stringify(event, (_key, value) => typeof value === "bigint" ? `${value}` : value)
  );

/** Everything that {@linkcode run} records, by a buffer that is read at the end, and by a feed. */
async function bothWays(
  make: (options: FtraceOptions) => Promise<{ machine: Machine; ftrace: Ftrace }>,
  register: (ftrace: Ftrace) => void,
  limit?: bigint,
): Promise<{ readonly stored: string[]; readonly fed: string[]; readonly kept: Kept }> {
  const until = limit === undefined ? {} : { limit };
  const plain = await make({ bufferKib: 100_000 });
  register(plain.ftrace);
  await plain.machine.run(until);
  const { machine, ftrace } = await make({ bufferKib: 2, bufferMode: "drain" });
  register(ftrace);
  const kept = new Kept(), other = new Kept(2);
  const feed = new EventFeed({ buffer: ftrace.buffer, harts: machine.harts }, [kept, other]);
  let now = 0;
  await machine.run({ ...until, slice: () => feed.flow(now += 1000) });
  const totals = await feed.end();
  assertEquals(await feed.end(), totals, "a second end does nothing");
  assertEquals(kept.calls.filter((call) => call !== "block"), ["begin", "end"]);
  assertEquals([kept.totals, other.totals], [totals, totals]);
  assertEquals(totals, { events: kept.events.length, lost: 0 });
  assertEquals(texts(other.events), texts(kept.events), "sinks share blocks");
  assertEquals([...ftrace.events()], [], "nothing is left");
  return { stored: texts(plain.ftrace.events()), fed: texts(kept.events), kept };
}

Deno.test("EventFeed gives sinks every event of one hart, payloads among them", async () => {
  const { stored, fed } = await bothWays((options) => traced("calls_p84", options), (ftrace) => {
    graph(ftrace);
    const mark = ftrace.defineEvent({ name: "mark", fields: { n: "u32" }, print: "n=%u" });
    let n = 0;
    ftrace.registerFtraceFunction({ hit: () => mark.emit({ n: n++ }) });
  });
  assert(stored.length > 100 && stored.some((text) => text.includes('"mark"')));
  assertEquals(fed, stored);
});

Deno.test("EventFeed merges the events of several harts in order of time, block by block", async () => {
  const make = (options: FtraceOptions, machineOptions: MachineOptions = {}) => {
    const machine = createMachine(hartsProgram(4000), {
      ...{ machine: "bare", harts: 4, seed: 3n, warn() {} },
      ...machineOptions,
    });
    return Promise.resolve({ machine, ftrace: createFtrace(machine, options) });
  };
  const register = (ftrace: Ftrace) =>
    void ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall });
  const { stored, fed, kept } = await bothWays(make, register, 2_000_000n);
  assert(kept.calls.length > 4, "there were several blocks");
  assert(new Set(kept.events.map(({ cpu }) => cpu)).size === 4);
  assertEquals(fed.length, stored.length);
  assertEquals(fed, stored);
});

Deno.test("EventFeed begins and ends a trace without events", async () => {
  const { machine, ftrace } = await traced("calls_p84", { bufferMode: "drain" });
  const kept = new Kept();
  const feed = new EventFeed({ buffer: ftrace.buffer, harts: machine.harts }, [kept]);
  await machine.run({ slice: () => feed.flow(0) });
  assertEquals(await feed.end(), { events: 0, lost: 0 });
  assertEquals(kept.calls, ["begin", "end"]);
});

Deno.test("the guest waits for a sink that takes its time", async () => {
  const { machine, ftrace } = await traced("calls_p84", { bufferMode: "drain", bufferKib: 1 });
  graph(ftrace);
  let busy = false, blocks = 0;
  const slow: EventSink = {
    begin() {},
    async block() {
      busy = true;
      blocks++;
      const before = machine.harts[0]!.instret;
      await new Promise((resolve) => setTimeout(resolve, 5));
      assertEquals(machine.harts[0]!.instret, before);
      busy = false;
    },
    end() {},
  };
  const feed = new EventFeed({ buffer: ftrace.buffer, harts: machine.harts }, [slow]);
  let now = 0;
  await machine.run({ slice: () => feed.flow(now += 1000) });
  await feed.end();
  assert(blocks > 0 && !busy);
});
