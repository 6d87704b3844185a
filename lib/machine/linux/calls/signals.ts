/**
 * The system calls about signals.
 *
 * Actions and frames are `../signals.ts`.
 *
 * @module
 */
import { SP } from "../../../isa/abi.ts";
import { ESRCH } from "../errno.ts";
import type { Process } from "../process.ts";
import { int } from "./arguments.ts";
import { call, type SystemCalls } from "./table.ts";

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
