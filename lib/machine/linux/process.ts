/**
 * What the system calls of one Linux process work on, and the forms of their handlers.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { Memory } from "../../memory/memory.ts";
import type { Unwinder } from "../../program/unwinder.ts";
import type { Files } from "./files.ts";
import type { AddressSpace } from "./mappings.ts";
import type { Signals } from "./signals.ts";
import type { Outcome } from "../outcome.ts";
import type { PlatformOptions } from "../platform.ts";

/** A process: one thread so far. */
export interface Process {
  /** Its memory. */
  readonly memory: Memory;
  /** All harts, for what must reach each of them. */
  readonly harts: readonly Hart[];
  /** Mapped pages. */
  readonly space: AddressSpace;
  /** Signal actions and frames. */
  readonly signals: Signals;
  /** Descriptors. */
  readonly files: Files;
  /** Where standard input and output go. */
  readonly options: PlatformOptions;
  /** Name of the program, as /proc/self/exe gives it. */
  readonly executable: string;
  /** Process and thread number. */
  readonly pid: number;
  /** Finds where a hart has come from. */
  readonly unwinder: Unwinder<Hart>;
  /** User and group. */
  readonly uid: number;
  /** Fills bytes with what the seed gives next. */
  random(bytes: Uint8Array): void;
  /** Says a line once. */
  warnOnce(line: string): void;
  /** Virtual nanoseconds that sleeps have added. */
  slept: bigint;
}

/** Arguments of a system call: a0 to a5, unsigned. */
export type CallArguments = readonly [bigint, bigint, bigint, bigint, bigint, bigint];
/** A result for a0, or the end of the run. */
export type CallResult = number | bigint | Outcome;
/** A system call. */
export type Call = (
  process: Process,
  args: CallArguments,
  hart: Hart,
) => CallResult | Promise<CallResult>;
/** System calls by name. */
export type Calls = Readonly<Record<string, Call>>;

/** An argument that is an int. */
export function int(value: bigint): number {
  return Number(BigInt.asIntN(32, value));
}
/** An argument that is a length; what is too long for any buffer stays too long. */
export function size(value: bigint): number {
  return Number(value > 0x7ffff000n ? 0x7ffff000n : value);
}

/** A string of the guest's that ends in 0, or undefined (EFAULT). */
export function readString(memory: Memory, at: bigint): string | undefined {
  const bytes: number[] = [];
  for (let address = at; bytes.length < 4096; address++) {
    const byte = memory.read(address, 1)?.[0];
    if (byte === undefined) return undefined;
    if (byte === 0) return new TextDecoder().decode(new Uint8Array(bytes));
    bytes.push(byte);
  }
  return undefined;
}

/** Writes 64-bit words for the guest; false is EFAULT. */
export function writeWords(memory: Memory, at: bigint, words: readonly bigint[]): boolean {
  const data = new BigUint64Array(words.map((word) => BigInt.asUintN(64, word)));
  return memory.write(at, new Uint8Array(data.buffer));
}

/** Reads 64-bit words of the guest's; undefined is EFAULT. */
export function readWords(
  memory: Memory,
  at: bigint,
  count: number,
): readonly bigint[] | undefined {
  const bytes = memory.read(at, count * 8);
  return bytes && [...new BigInt64Array(bytes.buffer)];
}
