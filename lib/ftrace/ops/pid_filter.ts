/**
 * `set_ftrace_pid` and `set_ftrace_notrace_pid`: which tasks are traced.
 *
 * Only an ops with FTRACE_OPS_FL_PID asks. A task in both lists is not traced, and an empty first
 * list lets every task through (`kernel/trace/trace.c trace_ignore_this_task`).
 *
 * What the two files look like is `filter_files.ts`; who is asked at a call is `function_core.ts`.
 *
 * @module
 */

/** Which tasks' calls are traced: `set_ftrace_pid` and `set_ftrace_notrace_pid`. */
export interface PidFilter {
  /** Tasks that are traced; none set traces all. */
  readonly pids: Set<number>;
  /** Tasks that are not traced. */
  readonly notracePids: Set<number>;
}

/** Starts with every task traced. */
export function createPidFilter(): PidFilter {
  return { pids: new Set(), notracePids: new Set() };
}

/** Whether there is anything to ask (`ftrace_pids_enabled`). */
export function hasPidFilter({ pids, notracePids }: PidFilter): boolean {
  return pids.size > 0 || notracePids.size > 0;
}

/** Whether a task's calls are traced. */
export function pidAllows({ pids, notracePids }: PidFilter, pid: number): boolean {
  return (pids.size === 0 || pids.has(pid)) && !notracePids.has(pid);
}
