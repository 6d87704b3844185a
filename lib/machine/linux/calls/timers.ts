/**
 * The system calls that set timers: interval timers, POSIX timers and timerfds.
 *
 * What they are set to runs in virtual time, as `../timers.ts` says.
 *
 * @module
 */
import { BILLION, EPOCH } from "../../calendar.ts";
import { EBADF, EFAULT, EINVAL, EOPNOTSUPP, EPERM } from "../../files/errno.ts";
import { O_NONBLOCK } from "../../files/files.ts";
import type { Process } from "../process.ts";
import { LAST_SIGNAL } from "../signals.ts";
import { type Timer, type TimerClock, TimerCounter } from "../timers.ts";
import { answerInt, answerWords, int, readWords } from "./arguments.ts";
import { call, type SystemCalls } from "./table.ts";
import * as time from "./time.ts";

const O_RDWR = 2, O_CLOEXEC = 0o2000000;
const MILLION = 1_000_000n;
/** Signals of the three interval timers: of time that passes, and twice of time that is worked. */
const INTERVAL_TIMERS = [
  { signal: 14, clock: "elapsed" },
  { signal: 26, clock: "worked" },
  { signal: 27, clock: "worked" },
] as const;
const SI_KERNEL = 128, SI_TIMER = -2;
const SIGALRM = 14;
const SIGEV_SIGNAL = 0, SIGEV_NONE = 1, SIGEV_THREAD = 2, SIGEV_THREAD_ID = 4;
const SIGEV_SIZE = 64;

/** Calls about timers, by name. */
export const TIMER_CALLS: SystemCalls = {
  getitimer: call(["int", "out"], (process, [which, at]) => {
    const timer = intervalTimer(process, int(which));
    return timer ? answerSetting(process, at, timer.setting, 1000n) : -EINVAL;
  }),
  setitimer: call(["int", "in", "out"], (process, [which, at, oldAt]) => {
    const words = at === 0n ? [0n, 0n, 0n, 0n] : readWords(process.space, at, 4);
    if (!words) return -EFAULT;
    const [interval, value] = [words.slice(0, 2), words.slice(2)].map(([seconds, micros]) =>
      seconds! < 0n || micros! < 0n || micros! >= MILLION
        ? undefined
        : seconds! * BILLION + micros! * 1000n
    );
    const timer = intervalTimer(process, int(which));
    if (interval === undefined || value === undefined || !timer) return -EINVAL;
    const old = timer.setting;
    const due = value > 0n ? process.timers.now(timer.clock) + value : undefined;
    process.timers.set(timer, { due, interval });
    return oldAt === 0n ? 0 : answerSetting(process, oldAt, old, 1000n);
  }),
  timer_create: call(["clock", "in", "out"], (process, [clock, eventAt, idAt]) => {
    const goesBy = timerClock(int(clock));
    if (typeof goesBy === "number") return goesBy;
    const id = process.timers.nextId;
    const timer = createTimer(process, goesBy, eventAt, id);
    if (typeof timer === "number") return timer;
    if (answerInt(process, idAt, id) < 0) {
      process.timers.remove(timer);
      return -EFAULT;
    }
    process.timers.register(timer, int(clock));
    return 0;
  }),
  timer_settime: call(["int", "flags", "in", "out"], (process, [id, flags, at, oldAt]) => {
    if (at === 0n) return -EINVAL;
    const asked = readSetting(process, at);
    if (typeof asked === "number") return asked;
    const found = process.timers.byId(int(id));
    if (!found) return -EINVAL;
    const old = found.timer.setting;
    process.timers.forget(found.timer);
    setTimer(process, found, asked, int(flags));
    return oldAt === 0n ? 0 : answerSetting(process, oldAt, old, 1n);
  }),
  timer_gettime: call(["int", "out"], (process, [id, at]) => {
    const found = process.timers.byId(int(id));
    return found ? answerSetting(process, at, found.timer.setting, 1n) : -EINVAL;
  }),
  timer_getoverrun: call(["int"], ({ timers }, [id]) => {
    const found = timers.byId(int(id));
    if (!found) return -EINVAL;
    return found.timer.overrun > MOST_OVERRUN ? MOST_OVERRUN : found.timer.overrun;
  }),
  timer_delete: call(["int"], ({ timers }, [id]) => timers.delete(int(id)) ? 0 : -EINVAL),
  timerfd_create: call(["clock", "flags"], ({ files, timers }, [clock, flags]) => {
    const goesBy = timerClock(int(clock));
    if (goesBy === -EPERM) return goesBy;
    if (goesBy !== "elapsed" || int(clock) === time.CLOCK_TAI) return -EINVAL;
    if ((int(flags) & ~(O_NONBLOCK | O_CLOEXEC)) !== 0) return -EINVAL;
    const stream = new TimerCounter(timers, int(clock));
    return files.add({ kind: "stream", stream, flags: int(flags) & O_NONBLOCK | O_RDWR });
  }),
  timerfd_settime: call(["fd", "flags", "in", "out"], (process, [fd, flags, at, oldAt]) => {
    const asked = readSetting(process, at);
    if (typeof asked === "number") return asked;
    if ((int(flags) & ~TFD_SETTIME_FLAGS) !== 0) return -EINVAL;
    const counter = timerCounter(process, int(fd));
    if (typeof counter === "number") return counter;
    const old = counter.timer.setting;
    counter.clear();
    setTimer(process, counter, asked, int(flags));
    return oldAt === 0n ? 0 : answerSetting(process, oldAt, old, 1n);
  }),
  timerfd_gettime: call(["fd", "out"], (process, [fd, at]) => {
    const counter = timerCounter(process, int(fd));
    if (typeof counter === "number") return counter;
    return answerSetting(process, at, counter.timer.setting, 1n);
  }),
};

const MOST_OVERRUN = 2n ** 31n - 1n;
/** TFD_TIMER_ABSTIME, and TFD_TIMER_CANCEL_ON_SET: nobody sets the clock. */
const TFD_SETTIME_FLAGS = 3;

/** The interval timer of a number, which is made when somebody asks for it first. */
function intervalTimer({ timers }: Process, which: number): Timer | undefined {
  const kind = INTERVAL_TIMERS[which];
  return kind && timers.interval(which, () => {
    return timers.addSignalling(kind.clock, { signal: kind.signal, code: SI_KERNEL, value: 0n });
  });
}

/** The time that timers on a clock go by, or a negated errno. */
function timerClock(clock: number): TimerClock | number {
  switch (clock) {
    case time.CLOCK_REALTIME:
    case time.CLOCK_MONOTONIC:
    case time.CLOCK_BOOTTIME:
    case time.CLOCK_TAI:
      return "elapsed";
    case time.CLOCK_PROCESS_CPUTIME_ID:
    case time.CLOCK_THREAD_CPUTIME_ID:
      return "worked";
    case time.CLOCK_REALTIME_ALARM:
    case time.CLOCK_BOOTTIME_ALARM:
      return -EPERM;
    default:
      return clock >= 0 && clock < time.CLOCKS ? -EOPNOTSUPP : -EINVAL;
  }
}

/** Makes the timer that a `struct sigevent` asks for: without one, it sends SIGALRM. */
function createTimer(
  { space, timers, pid }: Process,
  clock: TimerClock,
  eventAt: bigint,
  id: number,
): Timer | number {
  let [payload, signal, notify, thread] = [BigInt(id), SIGALRM, SIGEV_SIGNAL, pid];
  if (eventAt !== 0n) {
    const event = space.read(eventAt, SIGEV_SIZE);
    if (!event) return -EFAULT;
    const view = new DataView(event.buffer);
    payload = view.getBigUint64(0, true);
    [signal, notify, thread] = [8, 12, 16].map((at) => view.getInt32(at, true)) as [
      number,
      number,
      number,
    ];
  }
  if (notify === SIGEV_NONE) return timers.add(clock, 0);
  if ((notify & ~SIGEV_THREAD_ID & ~SIGEV_THREAD) !== SIGEV_SIGNAL) return -EINVAL;
  if (notify & SIGEV_THREAD_ID && thread !== pid) return -EINVAL;
  if (signal < 1 || signal > LAST_SIGNAL) return -EINVAL;
  return timers.addSignalling(clock, { signal, code: SI_TIMER, value: BigInt(id), payload });
}

/** A timer, and the clock whose moments it is set to. */
interface ClockedTimer {
  readonly timer: Timer;
  readonly clock: number;
}

/** Sets a timer to a span, or to a moment of its clock. */
function setTimer(
  { timers }: Process,
  { timer, clock }: ClockedTimer,
  { value, interval }: { readonly value: bigint; readonly interval: bigint },
  flags: number,
): void {
  if (value === 0n) return timers.set(timer, { due: undefined, interval: 0n });
  const epoch = clock === time.CLOCK_REALTIME || clock === time.CLOCK_TAI ? EPOCH : 0n;
  const due = flags & time.TIMER_ABSTIME ? value - epoch : timers.now(timer.clock) + value;
  timers.set(timer, { due, interval });
}

/** A `struct itimerspec`, or a negated errno. */
function readSetting(
  process: Process,
  at: bigint,
): { readonly value: bigint; readonly interval: bigint } | number {
  const interval = time.readTime(process, at);
  if (typeof interval === "number") return interval;
  const value = time.readTime(process, at + 16n);
  return typeof value === "number" ? value : { value, interval };
}

/** Writes interval and time left, in seconds and units of so many nanoseconds. */
function answerSetting(
  process: Process,
  at: bigint,
  { left, interval }: Timer["setting"],
  unit: bigint,
): number {
  const words = [interval, left].flatMap((span) => {
    // What is left is never rounded to nothing.
    const rounded = span + unit - 1n;
    return [rounded / BILLION, rounded % BILLION / unit];
  });
  return answerWords(process, at, words);
}

function timerCounter({ files }: Process, fd: number): TimerCounter | number {
  const open = files.get(fd);
  if (!open) return -EBADF;
  return open.kind === "stream" && open.stream instanceof TimerCounter ? open.stream : -EINVAL;
}
