/**
 * The timers of a process: interval timers, POSIX timers, and what a timerfd counts with.
 *
 * Each runs on the hart's virtual time, or on the part of it that the process has worked. A timer
 * that sends a signal stands still until the signal is taken, as in the kernel: the periods that
 * passed meanwhile are its overrun.
 *
 * The calls are `calls/timers.ts`; who sleeps until one expires is `waits.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { EventSource } from "../event_queue.ts";
import { EAGAIN, EINVAL } from "../files/errno.ts";
import type { SignalInfo, Signals } from "./signals.ts";
import { type GuestStream, POLLIN } from "../files/streams.ts";

/** The time that a timer goes by: all that passes, or what the process has not slept. */
export type TimerClock = "elapsed" | "worked";

/** When a timer expires next, in nanoseconds of its clock, and how often after that; 0 is once. */
export interface TimerSetting {
  /** The moment, undefined for a timer that is off. */
  readonly due: bigint | undefined;
  /** Nanoseconds between two expirations. */
  readonly interval: bigint;
}

/** What a timer does when it has expired `count` times; true if it stands still until that is taken. */
type Expiry = (timer: Timer, count: bigint) => boolean;

/** One timer. */
export class Timer {
  /** The time it goes by. */
  readonly clock: TimerClock;
  /** The signal that it sends, 0 for none. */
  readonly signal: number;
  /** Expirations that the signal taken last stands for, besides the one it was sent for. */
  overrun = 0n;
  readonly #now: () => bigint;
  readonly #expired: Expiry | undefined;
  #due: bigint | undefined;
  #interval = 0n;
  /** When it sent the signal that is still pending. */
  #sent: bigint | undefined;

  /** A timer that is off. Without `expired` it tells nobody. */
  constructor(clock: TimerClock, now: () => bigint, signal: number, expired?: Expiry) {
    this.clock = clock;
    this.signal = signal;
    this.#now = now;
    this.#expired = expired;
  }

  /** When it has something to do, undefined for never. */
  get due(): bigint | undefined {
    return this.#expired && this.#due;
  }

  /** Sets it anew; what it has sent stays sent. */
  set({ due, interval }: TimerSetting): void {
    this.#sent = undefined;
    this.#due = due;
    this.#interval = interval;
  }

  /** Nanoseconds until it expires and its interval, as the calls that look at a timer give them. */
  get setting(): { readonly left: bigint; readonly interval: bigint } {
    const due = this.#due ?? (this.#interval > 0n ? this.#sent : undefined);
    if (due === undefined) return { left: 0n, interval: this.#interval };
    let left = due - this.#now();
    if (left <= 0n && this.#interval > 0n) left += (-left / this.#interval + 1n) * this.#interval;
    // A timer that is about to tell somebody is not off.
    const least = this.#expired ? 1n : 0n;
    return { left: left > least ? left : least, interval: this.#interval };
  }

  /** Does what is due. */
  advance(): void {
    const due = this.due;
    if (due === undefined || due > this.#now()) return;
    const count = this.#periodsSince(due) + 1n;
    this.#due = this.#interval > 0n ? due + count * this.#interval : undefined;
    if (!this.#expired?.(this, count)) return;
    this.#sent = due;
    this.#due = undefined;
  }

  /** The signal is taken: it goes on. Gives the overrun. */
  goOn(): bigint {
    if (this.#sent === undefined) return 0n;
    const passed = this.#periodsSince(this.#sent);
    this.overrun = passed;
    if (this.#interval > 0n) this.#due = this.#sent + (passed + 1n) * this.#interval;
    this.#sent = undefined;
    return passed;
  }

  #periodsSince(moment: bigint): bigint {
    return this.#interval > 0n ? (this.#now() - moment) / this.#interval : 0n;
  }
}

/** A timerfd: it reads as the number of expirations since it was read last. */
export class TimerCounter implements GuestStream {
  readonly takesAll = false;
  /** The timer that counts. */
  readonly timer: Timer;
  /** The clock whose moments the timer is set to. */
  readonly clock: number;
  readonly #remove: () => void;
  #count = 0n;

  /** Counts what `timers` makes expire, until the last descriptor is closed. */
  constructor(timers: Timers, clock: number) {
    this.clock = clock;
    this.timer = timers.add("elapsed", 0, (_timer, count) => {
      this.#count += count;
      return false;
    });
    this.#remove = () => timers.remove(this.timer);
  }

  /** Begins to count anew. */
  clear(): void {
    this.#count = 0n;
  }

  /** Takes the count as 64 bits. */
  read(data: Uint8Array): number {
    if (data.length < 8) return -EINVAL;
    if (this.#count === 0n) return -EAGAIN;
    new DataView(data.buffer, data.byteOffset).setBigUint64(0, this.#count, true);
    this.#count = 0n;
    return 8;
  }

  /** A timerfd cannot be written to. */
  write(): number {
    return -EINVAL;
  }

  get events(): number {
    return this.#count > 0n ? POLLIN : 0;
  }

  close(): void {
    this.#remove();
  }
}

/** The timer that makes a stream readable, if it is a timerfd. */
export function timerOf(stream: GuestStream): Timer | undefined {
  return stream instanceof TimerCounter ? stream.timer : undefined;
}

/** What {@linkcode Timers} works with. */
export interface TimerParts {
  /** The hart whose time it is. */
  readonly hart: Hart;
  /** Takes the signals of timers that expire. */
  readonly signals: Signals;
  /** Nanoseconds of that time that the process has slept. */
  readonly slept: () => bigint;
  /** Called when the next moment may be another. */
  readonly changed: () => void;
}

/** All timers of one process. */
export class Timers implements EventSource {
  readonly name = "the process's timers";
  readonly #parts: TimerParts;
  readonly #all = new Set<Timer>();
  readonly #intervals = new Map<number, Timer>();
  readonly #byId = new Map<number, { readonly timer: Timer; readonly clock: number }>();
  /** What a timer's signals name as their source. */
  readonly #sources = new Map<Timer, { taken(): bigint }>();
  #nextId = 0;

  /** A process begins without timers. */
  constructor(parts: TimerParts) {
    this.#parts = parts;
  }

  /** The present moment of a clock, in nanoseconds. */
  now(clock: TimerClock): bigint {
    const now = this.#parts.hart.now();
    return clock === "worked" ? now - this.#parts.slept() : now;
  }

  /** Makes a timer that is off; one that sends no signal tells `expired`, or nobody. */
  add(clock: TimerClock, signal: number, expired?: Expiry): Timer {
    const timer = new Timer(clock, () => this.now(clock), signal, expired);
    this.#all.add(timer);
    return timer;
  }

  /** Makes a timer that sends a signal, whose upper half of `value` is the overrun. */
  addSignalling(clock: TimerClock, info: Omit<SignalInfo, "timer">): Timer {
    const source = {
      taken: () => {
        const overrun = timer.goOn();
        this.#parts.changed();
        return info.value | (overrun << 32n);
      },
    };
    const timer = this.add(clock, info.signal, () => {
      return this.#parts.signals.post({ ...info, timer: source });
    });
    this.#sources.set(timer, source);
    return timer;
  }

  /** Forgets a timer and what it has pending. */
  remove(timer: Timer): void {
    this.forget(timer);
    this.#sources.delete(timer);
    this.#all.delete(timer);
    this.#parts.changed();
  }

  /** Forgets what a timer has pending. */
  forget(timer: Timer): void {
    const source = this.#sources.get(timer);
    if (source) this.#parts.signals.forget(source);
  }

  /** The next number of a POSIX timer. */
  get nextId(): number {
    return this.#nextId;
  }

  /** Gives a timer the next number, and notes the clock that it was made for. */
  register(timer: Timer, clock: number): void {
    this.#byId.set(this.#nextId++, { timer, clock });
  }

  /** The interval timer of a number, made by `make` when somebody asks for it first. */
  interval(which: number, make: () => Timer): Timer {
    const timer = this.#intervals.get(which) ?? make();
    this.#intervals.set(which, timer);
    return timer;
  }

  /** The POSIX timer of a number. */
  byId(id: number): { readonly timer: Timer; readonly clock: number } | undefined {
    return this.#byId.get(id);
  }

  /** Deletes the POSIX timer of a number; false if there is none. */
  delete(id: number): boolean {
    const found = this.#byId.get(id);
    if (found) this.remove(found.timer);
    return this.#byId.delete(id);
  }

  /** To be called when the process has slept: what goes by its work is due later. */
  slept(): void {
    this.#parts.changed();
  }

  /** Sets a timer, whose first moment may be due already. */
  set(timer: Timer, setting: TimerSetting): void {
    timer.set(setting);
    timer.advance();
    this.#parts.changed();
  }

  /** The earliest moment of the hart's time at which a timer that is asked for expires. */
  next(isAskedFor: (timer: Timer) => boolean): bigint | undefined {
    let earliest: bigint | undefined;
    for (const timer of this.#all) {
      if (timer.due === undefined || !isAskedFor(timer)) continue;
      const due = timer.clock === "worked" ? timer.due + this.#parts.slept() : timer.due;
      if (earliest === undefined || due < earliest) earliest = due;
    }
    return earliest;
  }

  nextEvent(): bigint | undefined {
    return this.next(() => true);
  }

  advance(hart: Hart): void {
    for (const timer of this.#all) timer.advance();
    // The run loop leads the hart out of sites and trampolines first.
    if (this.#parts.signals.interrupts) hart.attention = true;
  }

  mayWake(): boolean {
    return true;
  }
}
