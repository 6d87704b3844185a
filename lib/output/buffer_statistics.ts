/**
 * The text of a CPU's `stats` file (`kernel/trace/trace.c tracing_stats_read`).
 *
 * @module
 */
import { formatSeconds, toMicroseconds } from "./columns.ts";

/** Figures of one CPU's ring. */
export interface BufferStatistics {
  /** Events that can be read. */
  readonly entries: number;
  /** Old events lost to newer ones. */
  readonly overrun: number;
  /** Times that a writer was interrupted for a whole ring. */
  readonly commitOverrun: number;
  /** Bytes of the readable events. */
  readonly bytes: number;
  /** Time of the oldest event, nanoseconds. */
  readonly oldest: bigint;
  /** Time of reading, nanoseconds. */
  readonly now: bigint;
  /** New events refused by a full ring. */
  readonly dropped: number;
  /** Events consumed by readers. */
  readonly read: number;
  /** Whether times are nanoseconds, printed as seconds, or bare counts; nanoseconds by default. */
  readonly clock?: "nanoseconds" | "counter" | undefined;
}

/** Formats the eight lines of `per_cpu/cpuN/stats`. */
export function bufferStatisticsText(statistics: BufferStatistics): string {
  const seconds = (time: bigint) =>
    statistics.clock === "counter" ? `${time}` : formatSeconds(toMicroseconds(time));
  return [
    `entries: ${statistics.entries}`,
    `overrun: ${statistics.overrun}`,
    `commit overrun: ${statistics.commitOverrun}`,
    `bytes: ${statistics.bytes}`,
    `oldest event ts: ${seconds(statistics.oldest)}`,
    `now ts: ${seconds(statistics.now)}`,
    `dropped events: ${statistics.dropped}`,
    `read events: ${statistics.read}`,
  ].map((line) => `${line}\n`).join("");
}
