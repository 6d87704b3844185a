/**
 * What the system calls of one Linux process work on.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { AddressSpace } from "../../memory/space.ts";
import type { Unwinder } from "../../program/unwinder.ts";
import type { Files } from "../files/files.ts";
import type { Mappings } from "./mappings.ts";
import type { Signals } from "./signals.ts";
import type { Timers } from "./timers.ts";
import type { PlatformOptions } from "../platform.ts";

/** What `prctl` sets and tells. */
export interface Attributes {
  /** Name of the task, at most 15 bytes, as traces show it. */
  comm: Uint8Array;
  /** The signal that its parent's end would send; 0 is none. */
  deathSignal: number;
  /** 1 where a core may be dumped. */
  dumpable: number;
  /** 1 once it has renounced privileges of what it executes. */
  noNewPrivileges: number;
}

/** What system calls see of the process, which has one thread. */
export interface Process {
  /** The process's address space. */
  readonly space: AddressSpace;
  /** All harts, for what must reach each of them. */
  readonly harts: readonly Hart[];
  /** The process's memory mappings and heap. */
  readonly mappings: Mappings;
  /** The process's signal actions, masks and frames. */
  readonly signals: Signals;
  /** The process's timers. */
  readonly timers: Timers;
  /** The process's descriptor table. */
  readonly files: Files;
  /** Where standard input and output go. */
  readonly options: PlatformOptions;
  /** Name of the program, as /proc/self/exe gives it. */
  readonly executable: string;
  /** The process ID, which is the thread ID, too. */
  readonly pid: number;
  /** Finds the callers of a hart's present function. */
  readonly unwinder: Unwinder<Hart>;
  /** What the process has told of itself. */
  readonly attributes: Attributes;
  /** The user ID, which is the group ID, too. */
  readonly uid: number;
  /** Fills bytes with the next pseudorandom ones of the seed. */
  random(bytes: Uint8Array): void;
  /** Warns with a line, but not twice with the same one. */
  warnOnce(line: string): void;
  /** Virtual nanoseconds that sleeps have added to the process's clocks. */
  slept: bigint;
}
