/**
 * `current_tracer` and what goes with it: the list of tracers, the graph tracer's limits.
 *
 * @module
 */
import { type ControlFiles, numberFile, textFile } from "./control_file.ts";
import type { TraceState } from "./trace_state.ts";

/** Makes `current_tracer` and the files that go with it. */
export function tracerFiles(state: TraceState): ControlFiles {
  const { ftrace } = state;
  return {
    available_tracers: textFile(() => `${state.tracers.join(" ")}\n`),
    current_tracer: {
      read: () => `${state.currentTracer}\n`,
      write: (text) => text === "" ? undefined : state.setTracer(text.trimEnd()),
    },
    max_graph_depth: numberFile(
      "max_graph_depth",
      () => ftrace.graph.maxDepth,
      (depth) => void (ftrace.graph.maxDepth = depth),
      { most: 0x7fffffffn },
    ),
  };
}
