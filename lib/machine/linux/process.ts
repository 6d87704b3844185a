/**
 * What the system calls of one Linux process work on.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { AddressSpace } from "../../memory/space.ts";
import type { Unwinder } from "../../program/unwinder.ts";
import type { Files } from "./files.ts";
import type { Mappings } from "./mappings.ts";
import type { Signals } from "./signals.ts";
import type { PlatformOptions } from "../platform.ts";

/** A process: one thread so far. */
export interface Process {
  /** What its addresses lead to. */
  readonly space: AddressSpace;
  /** All harts, for what must reach each of them. */
  readonly harts: readonly Hart[];
  /** Mapped pages. */
  readonly mappings: Mappings;
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
