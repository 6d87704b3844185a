/**
 * `function_graph`: calls nested as they happen, with durations, as the kernel prints them.
 *
 * @module
 */
import { defineTracer, type Tracer } from "../mod.ts";

/** Records entries and returns, as the kernel's `function_graph` tracer does. */
const functionGraph: Tracer = defineTracer({
  name: "function_graph",
  description: "calls and returns, nested, with durations",
  prints: "function_graph",
  init(ftrace) {
    return ftrace.registerFtraceGraph({
      name: "function_graph",
      entryFunc: ftrace.graph.entryFunc,
      retFunc: ftrace.graph.retFunc,
      hash: ftrace.globalHash,
    });
  },
});
export default functionGraph;
