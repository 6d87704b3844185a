/**
 * What `ftrace_dump()` prints on the console: the buffer between two rules.
 *
 * @module
 */
import type { Ftrace } from "../ftrace/ftrace.ts";
import { printKernelText } from "./kernel_text.ts";
import { liveTraceSettings } from "./live_trace.ts";

const RULE = "---------------------------------\n";

/** The buffer of `ftrace` as `tracer` prints it, of one hart or of all, without a header. */
export function* dumpText(ftrace: Ftrace, tracer: string, hart?: number): Generator<string> {
  const settings = liveTraceSettings(ftrace, tracer, undefined, hart);
  yield "Dumping ftrace buffer:\n";
  if (settings.entriesInBuffer === 0) {
    yield "   (ftrace buffer empty)\n";
    return;
  }
  yield RULE;
  const events = hart === undefined ? ftrace.buffer.all() : ftrace.buffer.events(hart);
  yield* printKernelText(events, settings, { header: false });
  yield RULE;
}
