/**
 * The table of formats: what a trace can be written as. A new one is a file here and a row.
 *
 * @module
 */
import type { Ftrace } from "../../ftrace/ftrace.ts";
import type { EventSink } from "../../ftrace/trace/event_sink.ts";
import type { ByteOutput } from "../byte_output.ts";
import { liveTraceSettings } from "../live_trace.ts";
import { KernelTextSink } from "./kernel_text_sink.ts";

/** The trace and the output that a format's sink is made from. */
export interface FormatContext {
  /** The ftrace whose events are written. */
  readonly ftrace: Ftrace;
  /** The output that the sink writes to. */
  readonly output: ByteOutput;
  /** In which of the kernel's forms events print; asked when the first one comes. */
  readonly prints: () => string;
}

/** A format that a trace can be written in. */
export interface TraceFormat {
  /** Name of the format, by which {@linkcode traceFormat} finds it. */
  readonly name: string;
  /** What the format is for, in one line. */
  readonly description: string;
  /** Makes a sink that writes events in the format. */
  create(context: FormatContext): EventSink;
}

/** Every format, the usual one first. */
export const TRACE_FORMATS: readonly TraceFormat[] = [
  {
    name: "text",
    description: "the kernel's `trace` file, to the character",
    create: ({ ftrace, output, prints }) =>
      new KernelTextSink(output, () => liveTraceSettings(ftrace, prints())),
  },
];

/**
 * The format of that name in a table.
 *
 * @throws {RangeError} If there is none.
 */
export function traceFormat(name: string, table = TRACE_FORMATS): TraceFormat {
  const format = table.find((each) => each.name === name);
  if (format) return format;
  const names = table.map((each) => each.name).join(", ");
  throw new RangeError(
    `Cannot write a trace as ${name}: there is no such format; there are ${names}`,
  );
}
