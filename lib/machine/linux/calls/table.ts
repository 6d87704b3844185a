/**
 * What a system call is: an entry of a table, with what its arguments are and what it does.
 *
 * Whoever prints calls reads the same entry that serves them.
 *
 * @module
 */
import type { Hart } from "../../../hart/hart.ts";
import type { Outcome } from "../../outcome.ts";
import type { Process } from "../process.ts";

/** What an argument is: `in` and `out` point at what the call reads and writes. */
export type ArgumentKind =
  | "fd"
  | "folder"
  | "path"
  | "in"
  | "out"
  | "inout"
  | "vectors"
  | "size"
  | "offset"
  | "address"
  | "flags"
  | "mode"
  | "protection"
  | "signal"
  | "clock"
  | "pid"
  | "int";

/** Arguments of a system call: a0 to a5, unsigned. */
export type CallArguments = readonly [bigint, bigint, bigint, bigint, bigint, bigint];
/** A result for a0, negative for an errno, or the end of the run. */
export type CallResult = number | bigint | Outcome;
/** What a call does; where it waits for input, a promise of that. */
export type CallHandler = (
  process: Process,
  args: CallArguments,
  hart: Hart,
) => CallResult | Promise<CallResult>;

/** A system call: its arguments and what carries it out. */
export interface SystemCall {
  /** The kinds of the call's arguments, in order. */
  readonly takes: readonly ArgumentKind[];
  /** Carries out the call. */
  readonly serve: CallHandler;
}

/** System calls by name. */
export type SystemCalls = Readonly<Record<string, SystemCall>>;

/** Makes an entry of a table of system calls. */
export function call(takes: readonly ArgumentKind[], serve: CallHandler): SystemCall {
  return { takes, serve };
}
