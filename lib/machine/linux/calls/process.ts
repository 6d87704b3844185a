/**
 * The system calls about the process itself: who it is, its limits, the machine, its end.
 *
 * What is random comes from the seed.
 *
 * @module
 */
import { ALL_EXTENSIONS, hwprobeOf } from "../../../isa/isa_string.ts";
import { EFAULT, EINVAL, ESRCH } from "../../files/errno.ts";
import { MOST_DESCRIPTORS } from "../../files/files.ts";
import { STACK_SIZE } from "../mappings.ts";
import { answerInt, answerWords, int, readWords, size } from "./arguments.ts";
import type { Process } from "../process.ts";
import { call, type CallArguments, type SystemCalls } from "./table.ts";
import { BILLION } from "../../calendar.ts";

const RLIMIT_STACK = 3, RLIMIT_NOFILE = 7, RLIMITS = 16;

/** riscv_hwprobe keys and what this machine answers (arch/riscv/include/uapi/asm/hwprobe.h). */
const HWPROBE: Readonly<Record<string, bigint>> = {
  "0": 0n,
  "1": 0n,
  "2": 0n,
  /** Base behaviour: the IMA extensions. */
  "3": 1n,
  /** Extensions; every hart of a Linux program has all of them. */
  "4": hwprobeOf(ALL_EXTENSIONS),
  /** Misaligned accesses are slow, but work. */
  "5": 2n,
  /** Bytes that cbo.zero zeroes. */
  "6": 64n,
  /** The highest virtual address that a process may use, inclusive. */
  "7": 2n ** 32n - 1n,
  /** Ticks of the time CSR a second. */
  "8": BILLION,
};

/** Calls about the process, by name. */
export const PROCESS_CALLS: SystemCalls = {
  getpid: call([], ({ pid }) => pid),
  gettid: call([], ({ pid }) => pid),
  getppid: call([], () => 1),
  getuid: call([], ({ uid }) => uid),
  geteuid: call([], ({ uid }) => uid),
  getgid: call([], ({ uid }) => uid),
  getegid: call([], ({ uid }) => uid),
  getpgid: call(["pid"], ({ pid }, [of]) => isSelf(pid, of) ? pid : -ESRCH),
  getsid: call(["pid"], ({ pid }, [of]) => isSelf(pid, of) ? pid : -ESRCH),
  getresuid: call(["out", "out", "out"], answerIds),
  getresgid: call(["out", "out", "out"], answerIds),
  // The process is in no group but its own.
  getgroups: call(["int", "out"], (_process, [room]) => int(room) < 0 ? -EINVAL : 0),
  set_tid_address: call(["address"], ({ pid }) => pid),
  set_robust_list: call(["address", "size"], () => 0),
  sched_yield: call([], () => 0),
  // Files are made with the permissions that the host's own mask leaves.
  umask: call(["mode"], () => 0o022),
  sched_getaffinity: call(["pid", "size", "out"], (process, [, length, at]) => {
    if (length < 8n || length % 8n !== 0n) return -EINVAL;
    return answerWords(process, at, [1n]) < 0 ? -EFAULT : 8;
  }),
  rseq: call(["address", "size", "flags", "int"], ({ space }, [at, length]) => {
    if (length < 32n) return -EINVAL;
    return space.write(at, new Uint8Array(8)) ? 0 : -EFAULT;
  }),
  uname: call(["out"], ({ space }, [at]) => {
    const fields = ["Linux", "hartrace", "6.12.107", "#1 hartrace", "riscv64", "(none)"];
    const data = new Uint8Array(fields.length * 65);
    fields.forEach((field, k) => data.set(new TextEncoder().encode(field), k * 65));
    return space.write(at, data) ? 0 : -EFAULT;
  }),
  prlimit64: call(["pid", "int", "in", "out"], (process, [pid, resource, newAt, oldAt]) => {
    if (int(pid) !== 0 && int(pid) !== process.pid) return -ESRCH;
    if (int(resource) < 0 || int(resource) >= RLIMITS) return -EINVAL;
    const most = (1n << 64n) - 1n;
    const limit = int(resource) === RLIMIT_STACK
      ? BigInt(STACK_SIZE)
      : int(resource) === RLIMIT_NOFILE
      ? BigInt(MOST_DESCRIPTORS)
      : most;
    if (newAt !== 0n && !readWords(process.space, newAt, 2)) return -EFAULT;
    return oldAt === 0n ? 0 : answerWords(process, oldAt, [limit, limit]);
  }),
  getrusage: call(["int", "out"], (process, [, at], hart) => {
    const words = new Array<bigint>(18).fill(0n);
    words[0] = hart.now() / BILLION;
    words[1] = hart.now() % BILLION / 1000n;
    return answerWords(process, at, words);
  }),
  sysinfo: call(["out"], (process, [at], hart) => {
    const words = new Array<bigint>(14).fill(0n);
    words[0] = hart.now() / BILLION;
    words[4] = words[5] = 2n ** 32n;
    // Processes, a count of 16 bits, and bytes of a unit of memory, 32 bits.
    words[10] = 1n;
    words[13] = 1n;
    return answerWords(process, at, words);
  }),
  getrandom: call(["out", "size", "flags"], (process, [at, length]) => {
    const bytes = new Uint8Array(Math.min(size(length), 2 ** 20));
    process.random(bytes);
    return process.space.write(at, bytes) ? bytes.length : -EFAULT;
  }),
  riscv_hwprobe: call(
    ["inout", "size", "size", "address", "flags"],
    ({ space }, [pairs, count, , , flags]) => {
      if (flags !== 0n) return -EINVAL;
      for (let k = 0n; k < count; k++) {
        const at = pairs + k * 16n;
        const key = readWords(space, at, 1)?.[0];
        if (key === undefined) return -EFAULT;
        const value = HWPROBE[String(key)];
        const answer = value === undefined ? [-1n, 0n] : [key, value];
        if (!space.write(at, new Uint8Array(new BigInt64Array(answer).buffer))) return -EFAULT;
      }
      return 0;
    },
  ),
  exit: call(["int"], (_process, [code]) => ({ kind: "exit", code: int(code) & 255 })),
  exit_group: call(["int"], (_process, [code]) => ({ kind: "exit", code: int(code) & 255 })),
};

function isSelf(pid: number, of: bigint): boolean {
  return int(of) === 0 || int(of) === pid;
}

/** Writes the real, the effective and the saved ID, which are one. */
function answerIds(process: Process, places: CallArguments): number {
  const isWritten = places.slice(0, 3).every((at) => answerInt(process, at, process.uid) === 0);
  return isWritten ? 0 : -EFAULT;
}
