/**
 * The system calls about signals.
 *
 * Actions and frames are `../signals.ts`.
 *
 * @module
 */
import { SP } from "../../../isa/abi.ts";
import type { Hart } from "../../../hart/hart.ts";
import { EAGAIN, EFAULT, EINVAL, ERESTARTNOHAND, ESRCH } from "../../files/errno.ts";
import type { Process } from "../process.ts";
import { LAST_SIGNAL, SIGINFO_SIZE } from "../signals.ts";
import { wait } from "../waits.ts";
import { deadlock, int, readWords } from "./arguments.ts";
import { call, type CallArguments, type CallResult, type SystemCalls } from "./table.ts";
import { readTime } from "./time.ts";

/** Calls about signals, by name. */
export const SIGNAL_CALLS: SystemCalls = {
  rt_sigaction: call(
    ["signal", "in", "out", "size"],
    ({ signals }, [signal, newAt, oldAt, setSize]) =>
      signals.action(int(signal), newAt, oldAt, setSize),
  ),
  rt_sigprocmask: call(
    ["int", "in", "out", "size"],
    ({ signals }, [how, newAt, oldAt, setSize]) =>
      signals.procmask(int(how), newAt, oldAt, setSize),
  ),
  rt_sigpending: call(["out", "size"], ({ signals }, [at]) => signals.pending(at)),
  sigaltstack: call(
    ["in", "out"],
    ({ signals }, [newAt, oldAt], hart) =>
      signals.alternateStack(newAt, oldAt, BigInt.asUintN(64, hart.x[SP]!)),
  ),
  rt_sigsuspend: call(["in", "size"], (process, [setAt, setSize], hart) => {
    if (setAt === 0n) return -EFAULT;
    const failed = process.signals.suspend(setAt, setSize);
    if (failed < 0) return failed;
    if (wait(process, hart, undefined) === "interrupted") return -ERESTARTNOHAND;
    return deadlock(process, hart, "its only thread waits for a signal that nobody can send");
  }),
  rt_sigtimedwait: call(["in", "out", "in", "size"], awaitSignal),
  rt_sigqueueinfo: call(
    ["pid", "signal", "in"],
    (process, [pid, signal, infoAt]) => queue(process, int(pid), int(signal), infoAt),
  ),
  rt_tgsigqueueinfo: call(
    ["pid", "pid", "signal", "in"],
    (process, [group, thread, signal, infoAt]) =>
      queue(process, int(group) === process.pid ? int(thread) : -1, int(signal), infoAt),
  ),
  tgkill: call(
    ["pid", "pid", "signal"],
    (process, [group, thread, signal]) =>
      sendTo(process, int(group) === process.pid ? int(thread) : -1, int(signal)),
  ),
  tkill: call(
    ["pid", "signal"],
    (process, [thread, signal]) => sendTo(process, int(thread), int(signal)),
  ),
  kill: call(["pid", "signal"], (process, [pid, signal]) => {
    // Its group has its number, and nobody else is in it.
    const isGroup = int(pid) === 0 || int(pid) === -process.pid;
    return sendTo(process, isGroup ? process.pid : int(pid), int(signal));
  }),
};

function sendTo({ signals, pid, uid }: Process, target: number, signal: number): number {
  return target === pid ? signals.send(signal, pid, uid) : -ESRCH;
}

/** Takes a blocked signal of a set, which may still have to come. */
function awaitSignal(
  process: Process,
  [setAt, infoAt, timeout, setSize]: CallArguments,
  hart: Hart,
): CallResult {
  const { signals, space } = process;
  if (setSize !== 8n) return -EINVAL;
  const words = readWords(space, setAt, 1);
  if (!words) return -EFAULT;
  const set = BigInt.asUintN(64, words[0]!);
  const span = timeout === 0n ? undefined : readTime(process, timeout);
  if (typeof span === "number") return span;
  const end = wait(process, hart, span === undefined ? undefined : hart.now() + span, {
    isReady: () => signals.hasPending(set),
    comesBy: ({ signal }) => signal > 0 && (set >> BigInt(signal - 1) & 1n) !== 0n,
  });
  if (end === "ready") return signals.take(set, infoAt);
  if (end === "interrupted") return -ERESTARTNOHAND;
  if (end === "over") return -EAGAIN;
  return deadlock(process, hart, "its only thread waits for a signal that nobody can send");
}

/** Sends the process a signal with a value of its own. */
function queue({ signals, space, pid }: Process, to: number, signal: number, at: bigint): number {
  const info = space.read(at, SIGINFO_SIZE);
  if (!info) return -EFAULT;
  if (to !== pid) return -ESRCH;
  if (signal < 0 || signal > LAST_SIGNAL) return -EINVAL;
  if (signal === 0) return 0;
  const view = new DataView(info.buffer);
  signals.post({
    signal,
    code: view.getInt32(8, true),
    value: view.getBigUint64(16, true),
    payload: view.getBigUint64(24, true),
  });
  return 0;
}
