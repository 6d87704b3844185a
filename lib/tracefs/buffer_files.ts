/**
 * The trace and its buffers: reading it, emptying it, switching it off, each CPU's part of it.
 *
 * @module
 */
import { bufferStatisticsText } from "../output/buffer_statistics.ts";
import { printKernelText } from "../output/kernel_text.ts";
import { liveTraceSettings } from "../output/live_trace.ts";
import { type ControlFile, type ControlFiles, numberFile, textFile } from "./control_file.ts";
import type { TraceState } from "./trace_state.ts";

/** The files. */
export function bufferFiles(state: TraceState): ControlFiles {
  const { ftrace } = state;
  const { buffer, machine } = ftrace;
  const traceFile = (hart?: number): ControlFile => ({
    read: () => traceText(state, hart),
    write(_text, { append }) {
      if (!append) buffer.clear();
    },
  });
  const files: Record<string, ControlFile> = {
    trace: traceFile(),
    tracing_on: numberFile(
      "tracing_on",
      () => buffer.on ? 1 : 0,
      (on) => void (buffer.on = on !== 0),
    ),
  };
  for (const { id } of machine.harts) {
    files[`per_cpu/cpu${id}/trace`] = traceFile(id);
    files[`per_cpu/cpu${id}/stats`] = textFile(() => statisticsText(state, id));
  }
  return files;
}

function traceText(state: TraceState, hart?: number): string {
  const { ftrace, options, currentTracer } = state;
  const events = hart === undefined ? ftrace.buffer.all() : ftrace.buffer.events(hart);
  return [...printKernelText(events, liveTraceSettings(ftrace, currentTracer, options, hart))].join(
    "",
  );
}

function statisticsText({ ftrace }: TraceState, hart: number): string {
  const { entries, overrun, bytes, dropped } = ftrace.buffer.statistics(hart);
  const [oldest] = ftrace.buffer.events(hart);
  return bufferStatisticsText({
    entries,
    overrun,
    commitOverrun: 0,
    bytes,
    oldest: oldest?.time ?? 0n,
    now: ftrace.machine.harts[hart]!.now(),
    dropped,
    read: 0,
  });
}
