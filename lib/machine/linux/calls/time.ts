/**
 * The system calls about time, and those that wait.
 *
 * Time is the hart's virtual time, and sleeping lets it pass at once: so a run is the same each time,
 * whatever the host does.
 *
 * @module
 */
import type { Hart } from "../../../hart/hart.ts";
import {
  EAGAIN,
  EFAULT,
  EINVAL,
  ENOSYS,
  ERESTARTNOHAND,
  ERESTARTSYS,
  ETIMEDOUT,
} from "../../files/errno.ts";
import type { Process } from "../process.ts";
import { wait } from "../waits.ts";
import { BILLION, EPOCH } from "../../calendar.ts";
import { answerWords, deadlock, int, readWords } from "./arguments.ts";
import { call, type SystemCalls } from "./table.ts";

/** The clocks that timers run on, too (include/uapi/linux/time.h). */
export const CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, CLOCK_BOOTTIME = 7;
export const CLOCK_REALTIME_ALARM = 8, CLOCK_BOOTTIME_ALARM = 9, CLOCK_TAI = 11;
/** Clocks of the process's work. */
export const CLOCK_PROCESS_CPUTIME_ID = 2, CLOCK_THREAD_CPUTIME_ID = 3;
const CLOCK_REALTIME_COARSE = 5;
/** How many clocks there are. */
export const CLOCKS = 12;
/** Flag of calls whose time is a moment, no span. */
export const TIMER_ABSTIME = 1;
const FUTEX_COMMAND = 0x7f, FUTEX_WAIT = 0, FUTEX_WAKE = 1, FUTEX_WAIT_BITSET = 9;
const FUTEX_WAKE_BITSET = 10, FUTEX_CLOCK_REALTIME = 0x100;
/** clock_t: 100 a second, as AT_CLKTCK says. */
const NANOSECONDS_A_TICK = BILLION / 100n;

/** Calls about time, by name. */
export const TIME_CALLS: SystemCalls = {
  clock_gettime: call(["clock", "out"], (process, [clock, at], hart) => {
    const now = readClock(process, int(clock), hart);
    return now === undefined ? -EINVAL : answerTime(process, at, now);
  }),
  clock_getres: call(
    ["clock", "out"],
    (process, [clock, at]) =>
      int(clock) < 0 || int(clock) >= CLOCKS
        ? -EINVAL
        : at === 0n
        ? 0
        : answerTime(process, at, 1n),
  ),
  gettimeofday: call(["out", "out"], (process, [at], hart) => {
    const now = EPOCH + hart.now();
    return at === 0n ? 0 : answerWords(process, at, [now / BILLION, now % BILLION / 1000n]);
  }),
  times: call(["out"], (process, [at], hart) => {
    const ticks = workedTime(process, hart) / NANOSECONDS_A_TICK;
    if (at !== 0n && answerWords(process, at, [ticks, 0n, 0n, 0n]) < 0) return -EFAULT;
    return hart.now() / NANOSECONDS_A_TICK;
  }),
  nanosleep: call(
    ["in", "out"],
    (process, [at, restAt], hart) => sleep(process, hart, at, { since: 0n, restAt }),
  ),
  clock_nanosleep: call(
    ["clock", "flags", "in", "out"],
    (process, [clock, flags, at, restAt], hart) => {
      const now = readClock(process, int(clock), hart);
      if (now === undefined || int(clock) === CLOCK_THREAD_CPUTIME_ID) return -EINVAL;
      return sleep(
        process,
        hart,
        at,
        int(flags) & TIMER_ABSTIME ? { since: now } : { since: 0n, restAt },
      );
    },
  ),
  futex: call(
    ["address", "int", "int", "in", "address", "int"],
    (process, [at, operation, value, timeout], hart) => {
      switch (int(operation) & FUTEX_COMMAND) {
        case FUTEX_WAKE:
        case FUTEX_WAKE_BITSET:
          return 0;
        case FUTEX_WAIT:
        case FUTEX_WAIT_BITSET: {
          const word = process.space.read(at, 4);
          if (!word) return -EFAULT;
          if (new DataView(word.buffer).getUint32(0, true) !== Number(value & 0xffffffffn)) {
            return -EAGAIN;
          }
          if (timeout !== 0n) {
            const isAbsolute = (int(operation) & FUTEX_COMMAND) === FUTEX_WAIT_BITSET;
            const epoch = int(operation) & FUTEX_CLOCK_REALTIME ? EPOCH : 0n;
            const since = isAbsolute ? hart.now() + epoch : 0n;
            const slept = sleep(process, hart, timeout, { since });
            return slept < 0 ? slept : -ETIMEDOUT;
          }
          if (wait(process, hart, undefined) === "interrupted") return -ERESTARTSYS;
          // Nobody is left who could wake the only thread.
          return deadlock(process, hart, "its only thread waits for a futex that nobody can wake");
        }
        default:
          return -ENOSYS;
      }
    },
  ),
};

/** Virtual time that the process has worked: without its sleeps. */
function workedTime(process: Process, hart: Hart): bigint {
  return hart.now() - process.slept;
}

/** What a clock shows, or undefined if there is none of that number. */
function readClock(process: Process, clock: number, hart: Hart): bigint | undefined {
  if (clock < 0 || clock >= CLOCKS) return undefined;
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
      return EPOCH + hart.now();
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
      return workedTime(process, hart);
    default:
      return hart.now();
  }
}

/** Writes a `struct timespec`, or says EFAULT. */
export function answerTime(process: Process, at: bigint, time: bigint): number {
  return answerWords(process, at, [time / BILLION, time % BILLION]);
}

/** Nanoseconds of a `struct timespec`, or a negated errno. */
export function readTime(process: Process, at: bigint): bigint | number {
  const words = readWords(process.space, at, 2);
  if (!words) return -EFAULT;
  const [seconds, nanoseconds] = words as [bigint, bigint];
  if (seconds < 0n || nanoseconds < 0n || nanoseconds >= BILLION) return -EINVAL;
  return seconds * BILLION + nanoseconds;
}

/** Lets the time of a `struct timespec` pass at once, for the hart as for everybody who looks at it. */
function sleep(
  process: Process,
  hart: Hart,
  at: bigint,
  { since, restAt = 0n }: { readonly since: bigint; readonly restAt?: bigint },
): number {
  const span = readTime(process, at);
  if (typeof span === "number") return span;
  const end = hart.now() + span - since;
  if (wait(process, hart, end) !== "interrupted") return 0;
  const rest = end - hart.now();
  if (restAt !== 0n && answerTime(process, restAt, rest > 0n ? rest : 0n) < 0) return -EFAULT;
  return -ERESTARTNOHAND;
}
