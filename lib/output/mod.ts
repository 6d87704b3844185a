/**
 * Traces as the kernel's text, and other things to print.
 *
 * The front door, for tracers and tests, is `mod.ts` of the package.
 *
 * @module
 */
export {
  createKernelText,
  encodeKernelText,
  type KernelText,
  printKernelText,
} from "./kernel_text.ts";
export {
  kernelHeader,
  type KernelTextSettings,
  type LatencyBanner,
  type SnapshotHelp,
} from "./kernel_header.ts";
export type { BarChartScale } from "./bar_chart.ts";
export { dumpText } from "./dump_text.ts";
export { type BufferStatistics, bufferStatisticsText } from "./buffer_statistics.ts";
export { liveTraceSettings, symbolizerOf } from "./live_trace.ts";
export { decodeRingPage, type RingPage, type RingPageOptions } from "./ring_page.ts";
export type { ByteOutput, RewritableFile } from "./byte_output.ts";
export {
  type FormatContext,
  TRACE_FORMATS,
  type TraceFormat,
  traceFormat,
} from "./formats/formats.ts";
export { KernelTextSink, type StreamedTextSettings } from "./formats/kernel_text_sink.ts";
