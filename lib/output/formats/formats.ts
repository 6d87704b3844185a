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

/** What a sink is made from. */
export interface FormatContext {
  /** The trace. */
  readonly ftrace: Ftrace;
  /** Where its bytes go. */
  readonly output: ByteOutput;
  /** In which of the kernel's forms events print; asked when the first one comes. */
  readonly prints: () => string;
}

/** One format. */
export interface TraceFormat {
  /** As it is named. */
  readonly name: string;
  /** One line of what it is. */
  readonly description: string;
  /** Makes a sink that writes it. */
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
