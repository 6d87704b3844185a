/**
 * A line written to a trigger file, taken apart: `!name:parameter if condition`.
 *
 * What each trigger makes of its parameter is `triggers.ts` and `hist_triggers.ts`.
 *
 * @module
 */
import type { EventFilter } from "../../events/event_filter.ts";
import { compileEventFilter, type EventFileHost, type TraceEventFile } from "./event_file.ts";
import { FtraceError } from "../ftrace_error.ts";

/** A line of a trigger file. */
export interface Command {
  /** Whether it began with `!`. */
  readonly remove: boolean;
  /** Name of the trigger. */
  readonly name: string;
  /** What stands behind the first colon. */
  readonly parameter: string | undefined;
  /** What stands behind `if`. */
  readonly condition: string | undefined;
  /** All of it. */
  readonly text: string;
}

/** The error of a trigger that cannot be. */
export function refusedTrigger(text: string, why: string, instead = ""): FtraceError {
  return new FtraceError(
    "EINVAL",
    "bad-syntax",
    `Cannot set the trigger "${text}": ${why}`,
    instead,
  );
}

/**
 * Splits `!name:parameter if condition` (`event_trigger_separate_filter`).
 *
 * @throws {FtraceError} EINVAL.
 */
export function parseCommand(line: string): Command {
  const text = line.trim();
  const [, mark, name, behind = ""] = /^(!?)([^:\s]*)(?::|\s+|$)([^]*)$/.exec(text)!;
  const isParameter = text[mark!.length + name!.length] === ":";
  const [, parameter, rest] = isParameter
    ? /^(\S*)\s*([^]*)$/.exec(behind)!
    : [, undefined, behind];
  const condition = /^if\s+(\S[^]*)$/.exec(rest!)?.[1];
  if (rest !== "" && condition === undefined) {
    throw refusedTrigger(text, `behind the trigger comes "if FILTER", not "${rest}"`);
  }
  const remove = mark === "!";
  if (parameter === "" && !remove) {
    throw refusedTrigger(text, `nothing stands behind "${name}:"`, `${name}, or ${name}:COUNT`);
  }
  return { remove, name: name!, parameter: parameter || undefined, condition, text };
}

/** The filter of a command. @throws {FtraceError} EINVAL, with an entry in the error log. */
export function filterOf(
  { condition }: Command,
  file: TraceEventFile,
  host: Pick<EventFileHost, "errorLog" | "words">,
): EventFilter | undefined {
  return condition === undefined ? undefined : compileEventFilter(condition, file.fields, host);
}

/** ` if CONDITION`, or nothing. */
export function ifText({ condition }: Command): string {
  return condition === undefined ? "" : ` if ${condition}`;
}
