/**
 * How a process waits: its virtual time passes at once, to the moment that ends the wait.
 *
 * The process has one thread, so nothing happens while it waits but its timers. A wait ends where
 * what it is for has come, a signal that is neither blocked nor ignored is there, or its time is
 * over; without any of these it would last for ever.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { Process } from "./process.ts";
import type { Timer } from "./timers.ts";

/** What ended a wait; `never` is one that nothing can end. */
export type WaitEnd = "ready" | "interrupted" | "over" | "never";

/** What a wait is for, besides its time. */
export interface WaitedFor {
  /** Whether it has come. */
  readonly isReady: () => boolean;
  /** Whether a timer's expiry may make it come. */
  readonly comesBy: (timer: Timer) => boolean;
}

/** Lets the hart's time pass to `end`, for ever if undefined, or to what ends the wait before. */
export function wait(
  process: Process,
  hart: Hart,
  end: bigint | undefined,
  waited?: WaitedFor,
): WaitEnd {
  const { signals, timers } = process;
  const wakes = (timer: Timer) =>
    timer.clock === "elapsed" &&
    ((timer.signal > 0 && signals.wouldInterrupt(timer.signal)) ||
      (waited?.comesBy(timer) ?? false));
  for (;;) {
    if (waited?.isReady()) return "ready";
    if (signals.interrupts) return "interrupted";
    const next = timers.next(wakes);
    if (end !== undefined && (next === undefined || end <= next)) {
      passTime(process, hart, end);
      return "over";
    }
    if (next === undefined) return "never";
    passTime(process, hart, next);
    timers.advance(hart);
  }
}

/** Moves the hart's time on to a moment. */
function passTime(process: Process, hart: Hart, to: bigint): void {
  const span = to - hart.now();
  if (span <= 0n) return;
  hart.idle += span;
  process.slept += span;
  process.timers.slept();
}
