import { FlatSpace } from "../../lib/memory/space.ts";
import { assertEquals } from "@std/assert";
import type { GraphEntry, GraphReturn } from "../../lib/ftrace/returns/fgraph_ops.ts";
import { createGraphTrace } from "../../lib/ftrace/trace/graph_trace.ts";
import { createLiveOptions } from "../../lib/ftrace/trace/live_options.ts";
import { RingBuffer } from "../../lib/ftrace/trace/ring_buffer.ts";
import { FtraceRegs } from "../../lib/trampoline/ftrace_regs.ts";
import { returnFrame } from "../../lib/trampoline/ftrace_regs.ts";
import { buildTrampolines } from "../../lib/trampoline/caller.ts";
import { Memory } from "../../lib/memory/memory.ts";

const memory = new Memory();
const { returnFrame: layout } = buildTrampolines("call-ops", 0x1000n, 0x2000n);
const fregs = new FtraceRegs(memory, returnFrame(layout), new FlatSpace(memory));

function entryAt(
  site: number,
  callTime: bigint,
): { -readonly [K in keyof GraphEntry]: GraphEntry[K] } {
  return {
    func: BigInt(site),
    site,
    parentIp: 1n,
    depth: 0,
    stack: 0,
    callTime,
    cpu: 0,
    pid: 1,
    returns: true,
    data: undefined,
    reserveData: () => null,
    retrieveData: () => null,
  };
}

/** Calls a function that is entered at 100 ns and returns at 400 ns. */
function record(tracingThresh = 0) {
  const buffer = new RingBuffer(memory, { harts: 1, kib: 4, mode: "overwrite" });
  const traceOptions = createLiveOptions("7.2");
  const trace = createGraphTrace(buffer, {
    array: { traceOptions, tracingThresh },
  });
  const entry = entryAt(7, 100n);
  trace.entryFunc(entry, fregs);
  const exit: GraphReturn = {
    ...entry,
    returnTime: 400n,
    returnValue: 0n,
    overrun: 0,
    unwound: false,
  };
  trace.retFunc(exit, null);
  return [...buffer.events(0)];
}

Deno.test("an exit has the times of its call, and is stamped with its end", () => {
  const [entry, exit] = record();
  assertEquals([entry!.time, exit!.time], [100n, 400n]);
  assertEquals(exit!.type === "funcgraph_exit" && exit!.returnTime - exit!.callTime, 300n);
});

Deno.test("tracing_thresh asks for the duration that is recorded", () => {
  assertEquals(record(0.4), []);
  // As long as the threshold is long enough.
  assertEquals(record(0.3).map(({ type }) => type), ["funcgraph_exit"]);
});
