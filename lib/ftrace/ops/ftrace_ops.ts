/**
 * `struct ftrace_ops`: what a tracer hands over to have functions call it.
 *
 * The flags have the kernel's bit values (`include/linux/ftrace.h`), so that numbers in a kernel
 * log mean the same here. Which of them an era honours is `era.ts`; registering is `function_core.ts`.
 *
 * @module
 */
import type { FtraceRegs } from "../../trampoline/ftrace_regs.ts";
import type { FtraceHash } from "./filter.ts";

/** Set while registered; kept by the core. */
export const FTRACE_OPS_FL_ENABLED = 1 << 0;
/** Not an ops of the kernel's own: up to 6.15 it is called through the list; set by the core. */
export const FTRACE_OPS_FL_DYNAMIC = 1 << 1;
/** Wants full `pt_regs`; refused where the era has none. */
export const FTRACE_OPS_FL_SAVE_REGS = 1 << 2;
/** Like SAVE_REGS, but tolerated where unsupported: `fregs.getRegs()` is null then. */
export const FTRACE_OPS_FL_SAVE_REGS_IF_SUPPORTED = 1 << 3;
/** The core must add recursion protection. */
export const FTRACE_OPS_FL_RECURSION = 1 << 4;
/** The ops is a placeholder that is never called. */
export const FTRACE_OPS_FL_STUB = 1 << 5;
/** The hash of the ops is set up; the core sets this. */
export const FTRACE_OPS_FL_INITIALIZED = 1 << 6;
/** The ops is being torn down and cannot be registered. */
export const FTRACE_OPS_FL_DELETED = 1 << 7;
/** Sites are being switched for it; set by the core. */
export const FTRACE_OPS_FL_ADDING = 1 << 8;
/** Sites are being switched because it goes; set by the core. */
export const FTRACE_OPS_FL_REMOVING = 1 << 9;
/** Sites are being switched because its hash has changed; set by the core. */
export const FTRACE_OPS_FL_MODIFYING = 1 << 10;
/** The architecture made a trampoline for it; never on RISC-V. */
export const FTRACE_OPS_FL_ALLOC_TRAMP = 1 << 11;
/** May change the instruction pointer; at most one such ops on a site. */
export const FTRACE_OPS_FL_IPMODIFY = 1 << 12;
/** Obeys `set_ftrace_pid` and `set_ftrace_notrace_pid`. */
export const FTRACE_OPS_FL_PID = 1 << 13;
/** Called only where RCU is watching, which a guest's code always is here; up to 6.15 through the list. */
export const FTRACE_OPS_FL_RCU = 1 << 14;
/** `private` is a tracing instance. */
export const FTRACE_OPS_FL_TRACE_ARRAY = 1 << 15;
/** Stays when `ftrace_enabled` is written 0, which is refused while it is registered. */
export const FTRACE_OPS_FL_PERMANENT = 1 << 16;
/** Helper of the direct-call interface; not for tracers. */
export const FTRACE_OPS_FL_DIRECT = 1 << 17;
/** Managed by another ops. */
export const FTRACE_OPS_FL_SUBOP = 1 << 18;
/** Part of the graph tracer. */
export const FTRACE_OPS_FL_GRAPH = 1 << 19;

/** The flags by their kernel names without the prefix; also `ftrace.flags`. */
export const FTRACE_OPS_FL: FtraceOpsFlags = {
  ENABLED: FTRACE_OPS_FL_ENABLED,
  DYNAMIC: FTRACE_OPS_FL_DYNAMIC,
  SAVE_REGS: FTRACE_OPS_FL_SAVE_REGS,
  SAVE_REGS_IF_SUPPORTED: FTRACE_OPS_FL_SAVE_REGS_IF_SUPPORTED,
  RECURSION: FTRACE_OPS_FL_RECURSION,
  STUB: FTRACE_OPS_FL_STUB,
  INITIALIZED: FTRACE_OPS_FL_INITIALIZED,
  DELETED: FTRACE_OPS_FL_DELETED,
  ADDING: FTRACE_OPS_FL_ADDING,
  REMOVING: FTRACE_OPS_FL_REMOVING,
  MODIFYING: FTRACE_OPS_FL_MODIFYING,
  ALLOC_TRAMP: FTRACE_OPS_FL_ALLOC_TRAMP,
  IPMODIFY: FTRACE_OPS_FL_IPMODIFY,
  PID: FTRACE_OPS_FL_PID,
  RCU: FTRACE_OPS_FL_RCU,
  TRACE_ARRAY: FTRACE_OPS_FL_TRACE_ARRAY,
  PERMANENT: FTRACE_OPS_FL_PERMANENT,
  DIRECT: FTRACE_OPS_FL_DIRECT,
  SUBOP: FTRACE_OPS_FL_SUBOP,
  GRAPH: FTRACE_OPS_FL_GRAPH,
};

/** {@linkcode FTRACE_OPS_FL}: each flag and its bit. */
export interface FtraceOpsFlags {
  /** Bit 0. */
  readonly ENABLED: number;
  /** Bit 1. */
  readonly DYNAMIC: number;
  /** Bit 2. */
  readonly SAVE_REGS: number;
  /** Bit 3. */
  readonly SAVE_REGS_IF_SUPPORTED: number;
  /** Bit 4. */
  readonly RECURSION: number;
  /** Bit 5. */
  readonly STUB: number;
  /** Bit 6. */
  readonly INITIALIZED: number;
  /** Bit 7. */
  readonly DELETED: number;
  /** Bit 8. */
  readonly ADDING: number;
  /** Bit 9. */
  readonly REMOVING: number;
  /** Bit 10. */
  readonly MODIFYING: number;
  /** Bit 11. */
  readonly ALLOC_TRAMP: number;
  /** Bit 12. */
  readonly IPMODIFY: number;
  /** Bit 13. */
  readonly PID: number;
  /** Bit 14. */
  readonly RCU: number;
  /** Bit 15. */
  readonly TRACE_ARRAY: number;
  /** Bit 16. */
  readonly PERMANENT: number;
  /** Bit 17. */
  readonly DIRECT: number;
  /** Bit 18. */
  readonly SUBOP: number;
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

/** What an ops traces, whatever is done at a call. */
export interface FtraceOpsFields {
  /** `FTRACE_OPS_FL_*` that it asks for; what is in force is {@linkcode FtraceRegistration.flags}. */
  flags?: number;
  /**
   * Patterns of functions to trace, less those with `!` wherever they stand; none traces all, and
   * ones with `!` alone all others.
   */
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

/** An ops whose callback has the arguments of the kernel's (`ftrace_func_t`). */
export interface FtraceFuncOps extends FtraceOpsFields {
  /** Called at every traced entry. */
  func: FtraceFunc;
  /** Absent: an ops has either `func` or `hit`. */
  hit?: undefined;
}

/** An ops with a cheaper callback, for tracers to which each call's cost matters. */
export interface FtraceHitOps extends FtraceOpsFields {
  /** Called at every traced entry, with the record's index as a number. */
  hit: (site: number, fregs: FtraceRegs) => void;
  /** Absent: an ops has either `func` or `hit`. */
  func?: undefined;
}

/** An ops without a callback: what a direct call names its functions by. */
export interface FtraceSilentOps extends FtraceOpsFields {
  /** Absent: sites call guest code and no callback. */
  func?: undefined;
  /** Absent: sites call guest code and no callback. */
  hit?: undefined;
}

/** What a tracer registers: `func` or `hit`, never both. */
export type FtraceOps = FtraceFuncOps | FtraceHitOps;

/** Any ops: a tracer's, or one without a callback. */
export type AnyFtraceOps = FtraceOps | FtraceSilentOps;

/** What {@linkcode FtraceOps} registration gives back. Disposing it unregisters. */
export interface FtraceRegistration extends Disposable {
  /** The ops as registered; it is never written to, so it may be frozen, or registered elsewhere too. */
  readonly ops: AnyFtraceOps;
  /** `FTRACE_OPS_FL_*` in force: with ENABLED while it is registered, and what the core adds. */
  readonly flags: number;
  /** Unregisters; a second call does nothing. It needs no `this`. */
  readonly unregister: () => void;
}
