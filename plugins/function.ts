/**
 * `function`: one line a call, as the kernel's function tracer prints it.
 *
 * The callback is `ftrace.functionTraceCall`, which the fast path has as WASM; which functions are
 * traced is the global hash, that is `-l` and `-n`.
 *
 * @module
 */
import { defineTracer, type Tracer } from "../mod.ts";

/** Records an event at each traced entry, as the kernel's `function` tracer does. */
const functionTracer: Tracer = defineTracer({
  name: "function",
  description: "one line a call: task, hart, time, function and caller",
  prints: "function",
  init(ftrace) {
    return ftrace.registerFtraceFunction({
      name: "global_ops",
      func: ftrace.functionTraceCall,
      flags: ftrace.flags.PID,
      hash: ftrace.globalHash,
    });
  },
});
export default functionTracer;
