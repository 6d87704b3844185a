/**
 * fprobe: an entry and an exit handler on many functions, with storage from one to the other
 * (`struct fprobe`).
 *
 * A probe is its owner's object: it is read at each call and never written to, so it may be frozen.
 * Its count is its registration's.
 *
 * Registering by filter, addresses and names, with each refusal, is `fprobe_register.ts`; what a
 * probe does at a call is `fprobe_calls.ts`.
 *
 * @module
 */
import type { FtraceRegs } from "../../trampoline/ftrace_regs.ts";

/** Most bytes that a probe keeps from entry to exit (15 longs). */
export const MAX_FPROBE_DATA_SIZE = 120;
/** Bit of {@linkcode Fprobe.flags}: soft-disabled; settable while registered. */
export const FPROBE_FL_DISABLED = 1;
/**
 * Bit of {@linkcode Fprobe.flags}: the handler is a kprobe's, too, and must not interrupt one. Here
 * no function is entered while a kprobe handler runs, so it never misses for that.
 */
export const FPROBE_FL_KPROBE_SHARED = 2;

/** An entry and exit probe (`struct fprobe`). */
export interface Fprobe {
  /** At the entry. A result other than 0 or nothing cancels the exit handler of this call. */
  entryHandler?: (
    fp: Fprobe,
    entryIp: bigint,
    retIp: bigint,
    fregs: FtraceRegs,
    data: DataView | null,
  ) => number | void;
  /** At the exit; not called for a call that was unwound. `fregs.returnValue` may be set. */
  exitHandler?: (
    fp: Fprobe,
    entryIp: bigint,
    retIp: bigint,
    fregs: FtraceRegs,
    data: DataView | null,
  ) => void;
  /** Bytes of private storage for each call, at most 120; `data` is null without it. */
  entryDataSize?: number;
  /** `FPROBE_FL_*`, read at each call; its owner may change it while the probe is registered. */
  flags?: number;
}

/** A probe that is registered, or was. */
export interface FprobeRegistration extends Disposable {
  /** Hits that were not served for want of room on the shadow stack. */
  readonly nmissed: number;
}
