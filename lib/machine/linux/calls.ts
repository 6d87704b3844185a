/**
 * The system calls about memory, signals, time and the process itself, and all of them by number.
 *
 * Time is the hart's virtual time; what is random comes from the seed. So a run is the same each
 * time, whatever the host does.
 *
 * Calls about files are `linux_file_calls.ts`; names of calls that are not here `linux_names.ts`.
 *
 * @module
 */
import { SP } from "../../isa/abi.ts";
import { ALL_EXTENSIONS, hwprobeOf } from "../../isa/isa_string.ts";
import type { Hart } from "../../hart/hart.ts";
import { EAGAIN, EBADF, EFAULT, EINVAL, ENODEV, ENOSYS, ESRCH, ETIMEDOUT } from "./errno.ts";
import { answerWords, FILE_CALLS } from "./file_calls.ts";
import { STACK_SIZE } from "./mappings.ts";
import { SYSTEM_CALLS } from "./names.ts";
import { type Call, type Calls, int, type Process, readWords, size } from "./process.ts";

const BILLION = 1_000_000_000n;
/** CLOCK_REALTIME of the first instruction: 2033-05-18, a time that no real run is mistaken for. */
export const EPOCH: bigint = 2_000_000_000n * BILLION;
const CLOCK_REALTIME = 0, CLOCK_PROCESS_CPUTIME_ID = 2, CLOCK_THREAD_CPUTIME_ID = 3;
const CLOCK_REALTIME_COARSE = 5, CLOCK_REALTIME_ALARM = 8, CLOCK_TAI = 11;
const CLOCKS = 12;
const TIMER_ABSTIME = 1;
const PROT_WRITE = 2;
const MAP_TYPE = 0x0f, MAP_PRIVATE = 0x02, MAP_ANONYMOUS = 0x20;
const MADV_DONTNEED = 4;
const RLIMIT_STACK = 3, RLIMIT_NOFILE = 7, RLIMITS = 16;
const FUTEX_COMMAND = 0x7f, FUTEX_WAIT = 0, FUTEX_WAKE = 1, FUTEX_WAIT_BITSET = 9;
const FUTEX_WAKE_BITSET = 10, FUTEX_CLOCK_REALTIME = 0x100;
/** clock_t: 100 a second, as AT_CLKTCK says. */
const NANOSECONDS_A_TICK = BILLION / 100n;

/** riscv_hwprobe keys and what this machine answers (arch/riscv/include/uapi/asm/hwprobe.h). */
const HWPROBE: Readonly<Record<string, bigint>> = {
  "0": 0n,
  "1": 0n,
  "2": 0n,
  /** Base behaviour: IMA. */
  "3": 1n,
  /** Extensions; every hart of a Linux program has all of them. */
  "4": hwprobeOf(ALL_EXTENSIONS),
  /** Misaligned accesses are slow, but work. */
  "5": 2n,
  /** Bytes that cbo.zero zeroes. */
  "6": 64n,
  /** The highest address. */
  "7": 2n ** 32n - 1n,
  /** Ticks of the time CSR a second. */
  "8": BILLION,
};

const PROCESS_CALLS: Calls = {
  brk: ({ space }, [wanted]) => space.brk(wanted),
  mmap(process, [address, length, protection, flags, fd, offset]) {
    const { space, files, memory } = process;
    const anonymous = (int(flags) & MAP_ANONYMOUS) !== 0;
    if (anonymous) return space.mmap(address, length, int(protection), int(flags));
    const open = files.get(int(fd));
    if (!open) return -EBADF;
    if (open.kind !== "file") return -ENODEV;
    if (offset % 4096n !== 0n) return -EINVAL;
    // What the guest writes to a shared mapping would have to reach the file.
    const shared = (int(flags) & MAP_TYPE) !== MAP_PRIVATE;
    if (shared && (int(protection) & PROT_WRITE) !== 0) return -ENODEV;
    return space.mmap(address, length, int(protection), int(flags), (at) => {
      const data = new Uint8Array(size(length));
      const count = files.read(open, data, Number(offset));
      if (count > 0) memory.poke(at, data.subarray(0, count));
    });
  },
  munmap: ({ space }, [address, length]) => space.munmap(address, length),
  mprotect: ({ space }, [address, length, protection]) =>
    space.mprotect(address, length, int(protection)),
  mremap: ({ space }, [address, oldLength, newLength, flags]) =>
    space.mremap(address, oldLength, newLength, int(flags)),
  madvise: ({ space }, [address, length, advice]) =>
    int(advice) === MADV_DONTNEED ? space.discard(address, length) : 0,
  riscv_flush_icache({ harts }, [start, end]) {
    for (const hart of harts) hart.fetched.drop(Number(start), Number(end));
    return 0;
  },
  riscv_hwprobe({ memory }, [pairs, count, , , flags]) {
    if (flags !== 0n) return -EINVAL;
    for (let k = 0n; k < count; k++) {
      const at = pairs + k * 16n;
      const key = readWords(memory, at, 1)?.[0];
      if (key === undefined) return -EFAULT;
      const value = HWPROBE[String(key)];
      const answer = value === undefined ? [-1n, 0n] : [key, value];
      if (!memory.write(at, new Uint8Array(new BigInt64Array(answer).buffer))) return -EFAULT;
    }
    return 0;
  },

  rt_sigaction: ({ signals }, [signal, newAt, oldAt, setSize]) =>
    signals.action(int(signal), newAt, oldAt, setSize),
  rt_sigprocmask: ({ signals }, [how, newAt, oldAt, setSize]) =>
    signals.procmask(int(how), newAt, oldAt, setSize),
  rt_sigpending: ({ signals }, [at]) => signals.pending(at),
  sigaltstack: ({ signals }, [newAt, oldAt], hart) =>
    signals.alternateStack(newAt, oldAt, BigInt.asUintN(64, hart.x[SP]!)),
  tgkill: (process, [group, thread, signal]) =>
    sendTo(process, int(group) === process.pid ? int(thread) : -1, int(signal)),
  tkill: (process, [thread, signal]) => sendTo(process, int(thread), int(signal)),
  kill(process, [pid, signal]) {
    // Its group has its number, and nobody else is in it.
    const isGroup = int(pid) === 0 || int(pid) === -process.pid;
    return sendTo(process, isGroup ? process.pid : int(pid), int(signal));
  },

  clock_gettime(process, [clock, at], hart) {
    const now = readClock(process, int(clock), hart);
    return now === undefined ? -EINVAL : answerTime(process, at, now);
  },
  clock_getres: (process, [clock, at]) =>
    int(clock) < 0 || int(clock) >= CLOCKS ? -EINVAL : at === 0n ? 0 : answerTime(process, at, 1n),
  gettimeofday(process, [at], hart) {
    const now = EPOCH + clockOf(process, hart);
    return at === 0n ? 0 : answerWords(process, at, [now / BILLION, now % BILLION / 1000n]);
  },
  times(process, [at], hart) {
    const ticks = hart.now() / NANOSECONDS_A_TICK;
    if (at !== 0n && answerWords(process, at, [ticks, 0n, 0n, 0n]) < 0) return -EFAULT;
    return clockOf(process, hart) / NANOSECONDS_A_TICK;
  },
  nanosleep: (process, [at]) => sleep(process, at, 0n),
  clock_nanosleep(process, [clock, flags, at], hart) {
    const now = readClock(process, int(clock), hart);
    if (now === undefined || int(clock) === CLOCK_THREAD_CPUTIME_ID) return -EINVAL;
    return sleep(process, at, int(flags) & TIMER_ABSTIME ? now : 0n);
  },
  getrandom(process, [at, length]) {
    const bytes = new Uint8Array(Math.min(size(length), 2 ** 20));
    process.random(bytes);
    return process.memory.write(at, bytes) ? bytes.length : -EFAULT;
  },

  getpid: ({ pid }) => pid,
  gettid: ({ pid }) => pid,
  getppid: () => 1,
  getuid: ({ uid }) => uid,
  geteuid: ({ uid }) => uid,
  getgid: ({ uid }) => uid,
  getegid: ({ uid }) => uid,
  set_tid_address: ({ pid }) => pid,
  set_robust_list: () => 0,
  sched_yield: () => 0,
  // Files are made with the permissions that the host's own mask leaves.
  umask: () => 0o022,
  sched_getaffinity(process, [, length, at]) {
    if (length < 8n || length % 8n !== 0n) return -EINVAL;
    return answerWords(process, at, [1n]) < 0 ? -EFAULT : 8;
  },
  rseq({ memory }, [at, length]) {
    if (length < 32n) return -EINVAL;
    return memory.write(at, new Uint8Array(8)) ? 0 : -EFAULT;
  },
  uname({ memory }, [at]) {
    const fields = ["Linux", "hartrace", "6.12.107", "#1 hartrace", "riscv64", "(none)"];
    const data = new Uint8Array(fields.length * 65);
    fields.forEach((field, k) => data.set(new TextEncoder().encode(field), k * 65));
    return memory.write(at, data) ? 0 : -EFAULT;
  },
  prlimit64(process, [pid, resource, newAt, oldAt]) {
    if (int(pid) !== 0 && int(pid) !== process.pid) return -ESRCH;
    if (int(resource) < 0 || int(resource) >= RLIMITS) return -EINVAL;
    const most = (1n << 64n) - 1n;
    const limit = int(resource) === RLIMIT_STACK
      ? BigInt(STACK_SIZE)
      : int(resource) === RLIMIT_NOFILE
      ? 1024n
      : most;
    if (newAt !== 0n && !readWords(process.memory, newAt, 2)) return -EFAULT;
    return oldAt === 0n ? 0 : answerWords(process, oldAt, [limit, limit]);
  },
  getrusage(process, [, at], hart) {
    const words = new Array<bigint>(18).fill(0n);
    words[0] = hart.now() / BILLION;
    words[1] = hart.now() % BILLION / 1000n;
    return answerWords(process, at, words);
  },
  sysinfo(process, [at], hart) {
    const words = new Array<bigint>(14).fill(0n);
    words[0] = clockOf(process, hart) / BILLION;
    words[4] = words[5] = 2n ** 32n;
    // Processes, a count of 16 bits, and bytes of a unit of memory, 32 bits.
    words[10] = 1n;
    words[13] = 1n;
    return answerWords(process, at, words);
  },
  futex(process, [at, operation, value, timeout], hart) {
    switch (int(operation) & FUTEX_COMMAND) {
      case FUTEX_WAKE:
      case FUTEX_WAKE_BITSET:
        return 0;
      case FUTEX_WAIT:
      case FUTEX_WAIT_BITSET: {
        const word = process.memory.read(at, 4);
        if (!word) return -EFAULT;
        if (new DataView(word.buffer).getUint32(0, true) !== Number(value & 0xffffffffn)) {
          return -EAGAIN;
        }
        if (timeout !== 0n) {
          const isAbsolute = (int(operation) & FUTEX_COMMAND) === FUTEX_WAIT_BITSET;
          const epoch = int(operation) & FUTEX_CLOCK_REALTIME ? EPOCH : 0n;
          const since = isAbsolute ? clockOf(process, hart) + epoch : 0n;
          const slept = sleep(process, timeout, since);
          return slept < 0 ? slept : -ETIMEDOUT;
        }
        // Nobody is left who could wake the only thread.
        const reason = "its only thread waits for a futex that nobody can wake";
        return { kind: "deadlock", reason, backtrace: process.unwinder.backtrace(hart) };
      }
      default:
        return -ENOSYS;
    }
  },
  exit: (_process, [code]) => ({ kind: "exit", code: int(code) & 255 }),
  exit_group: (_process, [code]) => ({ kind: "exit", code: int(code) & 255 }),
};

/** Virtual time, with what sleeps have added. */
function clockOf(process: Process, hart: Hart): bigint {
  return hart.now() + process.slept;
}

/** What a clock shows, or undefined if there is none of that number. */
function readClock(process: Process, clock: number, hart: Hart): bigint | undefined {
  if (clock < 0 || clock >= CLOCKS) return undefined;
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
      return EPOCH + clockOf(process, hart);
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
      return hart.now();
    default:
      return clockOf(process, hart);
  }
}

function answerTime(process: Process, at: bigint, time: bigint): number {
  return answerWords(process, at, [time / BILLION, time % BILLION]);
}

/** Lets the time of a `struct timespec` pass at once. */
function sleep(process: Process, at: bigint, since: bigint): number {
  const words = readWords(process.memory, at, 2);
  if (!words) return -EFAULT;
  const [seconds, nanoseconds] = words as [bigint, bigint];
  if (seconds < 0n || nanoseconds < 0n || nanoseconds >= BILLION) return -EINVAL;
  const span = seconds * BILLION + nanoseconds - since;
  if (span > 0n) process.slept += span;
  return 0;
}

function sendTo({ signals, pid, uid }: Process, target: number, signal: number): number {
  return target === pid ? signals.send(signal, pid, uid) : -ESRCH;
}

const CALLS: Calls = { ...FILE_CALLS, ...PROCESS_CALLS };
const BY_NUMBER = new Map<number, Call>(
  Object.entries(SYSTEM_CALLS).flatMap(([number, name]) => {
    const call = CALLS[name];
    return call ? [[Number(number), call]] : [];
  }),
);

/** The system call with this number; one that is not there gives ENOSYS and says so once. */
export function systemCall(number: number): Call {
  return BY_NUMBER.get(number) ?? (({ warnOnce }) => {
    const name = SYSTEM_CALLS[number] ?? "unknown";
    warnOnce(`system call ${number} (${name}) is not implemented: ENOSYS`);
    return -ENOSYS;
  });
}
