/**
 * All system calls by number: a table a subject.
 *
 * Names of calls that are not here, too, are `names.ts`.
 *
 * @module
 */
import { FILE_CHANGE_CALLS } from "./calls/file_changes.ts";
import { FILE_CALLS } from "./calls/files.ts";
import { MEMORY_CALLS } from "./calls/memory.ts";
import { PRCTL_CALLS } from "./calls/prctl.ts";
import { PROCESS_CALLS } from "./calls/process.ts";
import { SIGNAL_CALLS } from "./calls/signals.ts";
import { call, type SystemCall, type SystemCalls } from "./calls/table.ts";
import { TIME_CALLS } from "./calls/time.ts";
import { TIMER_CALLS } from "./calls/timers.ts";
import { WAITING_CALLS } from "./calls/waiting.ts";
import { ENOSYS } from "../files/errno.ts";
import { SYSTEM_CALLS } from "./names.ts";

/** The tables of system calls, one a subject. */
const SUBJECTS: readonly SystemCalls[] = [
  FILE_CALLS,
  FILE_CHANGE_CALLS,
  MEMORY_CALLS,
  SIGNAL_CALLS,
  TIME_CALLS,
  TIMER_CALLS,
  PROCESS_CALLS,
  PRCTL_CALLS,
  WAITING_CALLS,
];

const BY_NUMBER = new Map<number, SystemCall>(
  Object.entries(SYSTEM_CALLS).flatMap(([number, name]) =>
    SUBJECTS.flatMap((calls) => Object.hasOwn(calls, name) ? [calls[name]!] : [])
      .map((found) => [Number(number), found] as const)
  ),
);

/** The system call with this number; one that is not there gives ENOSYS and says so once. */
export function systemCall(number: number): SystemCall {
  return BY_NUMBER.get(number) ?? call([], ({ warnOnce }) => {
    const name = SYSTEM_CALLS[number] ?? "unknown";
    warnOnce(`system call ${number} (${name}) is not implemented: ENOSYS`);
    return -ENOSYS;
  });
}
