/**
 * `error_log`: what was wrong with the last commands, each with a caret under the place.
 *
 * Newest eight, printed oldest first (`kernel/trace/trace.c tracing_log_err`).
 *
 * @module
 */

/** What is wrong with a command. */
export interface CommandFault {
  /** The kernel's message for the fault. */
  readonly text: string;
  /** Characters of the command before the place; the caret stands under the next. */
  readonly position: number;
}

/** The `error_log` of one trace: its latest refused commands. */
export interface ErrorLog {
  /** Adds an entry: `location` is who found it (`event filter parse error`, `trace_kprobe`). */
  add(location: string, command: string, fault: CommandFault): void;
  /** The file's text, "" if nothing went wrong. */
  read(): string;
  /** Empties the log (`echo > error_log`). */
  clear(): void;
}

/** Most entries that are kept (`TRACING_LOG_ERRS_MAX`). */
export const MOST_ERRORS = 8;

const COMMAND = "  Command: ";

/** Makes an empty log; `now` gives nanoseconds. */
export function createErrorLog(now: () => bigint): ErrorLog {
  let entries: readonly string[] = [];
  return {
    add(location, command, { text, position }) {
      const microseconds = now() / 1000n;
      const seconds = (microseconds / 1_000_000n).toString().padStart(5);
      const rest = (microseconds % 1_000_000n).toString().padStart(6, "0");
      const entry = `[${seconds}.${rest}] ${location}: error: ${text}\n` +
        `${COMMAND}${command}\n${" ".repeat(COMMAND.length + position)}^\n`;
      entries = [...entries, entry].slice(-MOST_ERRORS);
    },
    read: () => entries.join(""),
    clear: () => void (entries = []),
  };
}
