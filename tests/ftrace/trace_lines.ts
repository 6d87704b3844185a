/**
 * What a trace prints, for tests: its lines without a header.
 *
 * @module
 */
import type { LostEvents, TraceEvent } from "../../lib/ftrace/trace/events.ts";
import type { Ftrace } from "../../lib/ftrace/ftrace.ts";
import { type TraceOptions, traceOptions } from "../../lib/ftrace/trace/trace_options.ts";
import { printKernelText } from "../../lib/output/kernel_text.ts";
import { liveTraceSettings } from "../../lib/output/live_trace.ts";

/** The lines of what is in the buffer (or of `events`) as `tracer` prints them. */
export function traceLines(
  ftrace: Ftrace,
  tracer: string,
  options: Partial<TraceOptions> = {},
  events: Iterable<TraceEvent | LostEvents> = ftrace.buffer.all(),
): string[] {
  const settings = liveTraceSettings(ftrace, tracer, traceOptions(options));
  const text = [...printKernelText(events, settings, { header: false })].join("");
  return text === "" ? [] : text.trimEnd().split("\n");
}
