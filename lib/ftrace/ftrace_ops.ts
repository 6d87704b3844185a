/**
 * `struct ftrace_ops`: what a tracer hands over to have functions call it.
 *
 * The flags have the kernel's bit values (`include/linux/ftrace.h`), so that numbers in a kernel
 * log mean the same here. Which of them an era honours is `era.ts`; registering is `ftrace.ts`.
 *
 * @module
 */
import type { FtraceRegs } from "../trampoline/ftrace_regs.ts";
import type { FtraceHash } from "./filter.ts";

/** Set while registered. */
export const FTRACE_OPS_FL_ENABLED = 1 << 0;
/** Wants full `pt_regs`; refused where the era has none. */
export const FTRACE_OPS_FL_SAVE_REGS = 1 << 2;
/** Like SAVE_REGS, but tolerated where unsupported: `fregs.getRegs()` is null then. */
export const FTRACE_OPS_FL_SAVE_REGS_IF_SUPPORTED = 1 << 3;
/** The core must add recursion protection. */
export const FTRACE_OPS_FL_RECURSION = 1 << 4;
/** A placeholder, never called. */
export const FTRACE_OPS_FL_STUB = 1 << 5;
/** Being torn down; cannot be registered. */
export const FTRACE_OPS_FL_DELETED = 1 << 7;
/** May change the instruction pointer; at most one such ops on a site. */
export const FTRACE_OPS_FL_IPMODIFY = 1 << 12;
/** Part of the graph tracer. */
export const FTRACE_OPS_FL_GRAPH = 1 << 19;

/** The flags a tracer sets, by their kernel names without the prefix; also `ftrace.flags`. */
export const FTRACE_OPS_FL: FtraceOpsFlags = {
  ENABLED: FTRACE_OPS_FL_ENABLED,
  SAVE_REGS: FTRACE_OPS_FL_SAVE_REGS,
  SAVE_REGS_IF_SUPPORTED: FTRACE_OPS_FL_SAVE_REGS_IF_SUPPORTED,
  RECURSION: FTRACE_OPS_FL_RECURSION,
  STUB: FTRACE_OPS_FL_STUB,
  DELETED: FTRACE_OPS_FL_DELETED,
  IPMODIFY: FTRACE_OPS_FL_IPMODIFY,
  GRAPH: FTRACE_OPS_FL_GRAPH,
};

/** {@linkcode FTRACE_OPS_FL}: each flag and its bit. */
export interface FtraceOpsFlags {
  /** Bit 0. */
  readonly ENABLED: number;
  /** Bit 2. */
  readonly SAVE_REGS: number;
  /** Bit 3. */
  readonly SAVE_REGS_IF_SUPPORTED: number;
  /** Bit 4. */
  readonly RECURSION: number;
  /** Bit 5. */
  readonly STUB: number;
  /** Bit 7. */
  readonly DELETED: number;
  /** Bit 12. */
  readonly IPMODIFY: number;
  /** Bit 19. */
  readonly GRAPH: number;
}

/**
 * The callback of an ops (`ftrace_func_t`).
 *
 * `ip` is the site as the era names it (entry, or entry + 4 from 6.16 on), `parentIp` the return
 * address of the traced function. `fregs` is valid during the call only: it is one object,
 * re-pointed for each call.
 */
export type FtraceFunc = (ip: bigint, parentIp: bigint, ops: FtraceOps, fregs: FtraceRegs) => void;

/** What a tracer registers. */
export interface FtraceOps {
  /** Called at every traced entry. */
  func?: FtraceFunc;
  /** Instead of `func`, for those who count nanoseconds: the record's index as a number. */
  hit?: (site: number, fregs: FtraceRegs) => void;
  /** `FTRACE_OPS_FL_*`; ENABLED is kept by the core. */
  flags?: number;
  /** Patterns of functions to trace; none traces all. */
  filter?: readonly string[];
  /** Patterns of functions not to trace; wins over `filter`. */
  notrace?: readonly string[];
  /** A hash shared with other ops, such as `ftrace.globalHash`, in place of the two above. */
  hash?: FtraceHash;
  /** Name in reports and in `enabled_functions`. */
  name?: string;
  /** Anything the tracer wants to find again. */
  private?: unknown;
}

/** What {@linkcode FtraceOps} registration gives back. Disposing it unregisters. */
export interface FtraceRegistration extends Disposable {
  /** The ops as registered. */
  readonly ops: FtraceOps;
  /** Unregisters; a second call does nothing. */
  unregister(): void;
}
