/**
 * Trace clocks: what the time of an event is counted in.
 *
 * All are the guest's virtual time, seen as the kernel's clocks of the same names see real time
 * (`kernel/trace/trace.c trace_clocks`); there is one hart's worth of it, so `local`, `global` and
 * `perf` agree. `counter` counts events, `uptime` hundredths of a second. Durations are always
 * nanoseconds, whatever the clock.
 *
 * @module
 */

/** Names of the clocks, in the order of the `trace_clock` file. */
export const TRACE_CLOCKS = [
  "local",
  "global",
  "counter",
  "uptime",
  "perf",
  "mono",
  "mono_raw",
  "boot",
  "tai",
] as const;

/** Name of a trace clock, as `trace_clock` takes it. */
export type TraceClockName = typeof TRACE_CLOCKS[number];

/** What a clock is made from. */
export interface TraceClockSource {
  /** CLOCK_REALTIME of the first instruction, nanoseconds. */
  readonly epoch: bigint;
}

/** Whether a clock's stamps are nanoseconds, which print as seconds; else they are bare counts. */
export function clockCountsNanoseconds(name: TraceClockName): boolean {
  return name !== "counter" && name !== "uptime";
}

/** What turns virtual nanoseconds into stamps; undefined for a clock that changes nothing. */
export function createTraceClock(
  name: TraceClockName,
  { epoch }: TraceClockSource,
): ((time: bigint) => bigint) | undefined {
  switch (name) {
    case "counter": {
      let count = 0n;
      return () => ++count;
    }
    case "uptime":
      return (time) => time / 10_000_000n;
    case "tai":
      return (time) => epoch + time;
    default:
      return undefined;
  }
}

/** The text of the `trace_clock` file, without its newline: all names, the one in use in brackets. */
export function traceClockText(current: TraceClockName): string {
  return TRACE_CLOCKS.map((name) => name === current ? `[${name}]` : name).join(" ");
}
