/**
 * Where a trampoline saves registers: the layouts of `struct ftrace_regs` and `struct pt_regs`.
 *
 * Offsets are bytes from the frame's address, which is also what a callback gets as `fregs`. A slot
 * that a layout lacks is undefined: the kernel of that era does not save the register.
 *
 * The code that fills a frame is `caller.ts`; who reads it is `ftrace_regs.ts`.
 *
 * @module
 */

/** Offsets of the saved registers in a frame of `ftrace_caller` or `ftrace_regs_caller`. */
export interface FrameLayout {
  /** Bytes of stack that the frame takes. */
  readonly size: number;
  /** Offset of epc, the address where the hart resumes. */
  readonly epc: number;
  /** Offset of ra, where the traced function returns to. */
  readonly ra: number;
  /** Offset of sp, as it was before the frame, if it is saved. */
  readonly sp: number | undefined;
  /** Offset of s0, the caller's frame pointer, if it is saved. */
  readonly s0: number | undefined;
  /** In ARGS frames the address of a direct trampoline, 0 for none. */
  readonly t1: number | undefined;
  /** The field `direct_tramp` of CALL_OPS frames; trampolines leave through t1 all the same. */
  readonly directTramp: number | undefined;
  /** Offset of a0; a1 to a7 follow. */
  readonly a0: number;
  /** Offset of a1 where it does not follow a0, as at a return. */
  readonly a1?: number;
  /** Whether all of `pt_regs` is there: x1 to x31 at 8 × their number. */
  readonly full: boolean;
}

/** `struct __arch_ftrace_regs` of 6.10 to 6.15: 13 words, rounded up to 112 bytes. */
export const ARGS_FRAME: FrameLayout = {
  size: 112,
  epc: 0,
  ra: 8,
  sp: 16,
  s0: 24,
  t1: 32,
  directTramp: undefined,
  a0: 40,
  full: false,
};

/** `struct __arch_ftrace_regs` with CALL_OPS and direct calls, from 6.16 on: 14 words, still 112 bytes. */
export const CALL_OPS_FRAME: FrameLayout = { ...ARGS_FRAME, directTramp: 40, a0: 48 };

/** `struct pt_regs`, 288 bytes, as the `ftrace_caller` of 6.9 fills it: only what C needs. */
export const REGS_CALLER_FRAME: FrameLayout = {
  size: 288,
  epc: 0,
  ra: 8,
  sp: undefined,
  s0: 64,
  t1: undefined,
  directTramp: undefined,
  a0: 80,
  full: false,
};

/** `struct pt_regs` as `ftrace_regs_caller` fills it: everything. */
export const REGS_FRAME: FrameLayout = {
  size: 288,
  epc: 0,
  ra: 8,
  sp: 16,
  s0: 64,
  t1: 48,
  directTramp: undefined,
  a0: 80,
  full: true,
};

/** What `return_to_handler` saves: ra, s0, a0 and a1, where an `ftrace_regs` has them. */
export interface ReturnLayout {
  /** Bytes of stack that the frame takes. */
  readonly size: number;
  /** Offset of ra, if it is saved. */
  readonly ra: number;
  /** Offset of s0. */
  readonly s0: number;
  /** Offset of a0, the result. */
  readonly a0: number;
  /** Offset of a1. */
  readonly a1: number;
}

/** `struct fgraph_ret_regs` of 6.5 to 6.13: four words. */
export const SHORT_RETURN: ReturnLayout = { size: 32, ra: 24, s0: 16, a0: 8, a1: 0 };
/** 112 bytes in the layout of {@linkcode ARGS_FRAME}. */
export const ARGS_RETURN: ReturnLayout = { size: 112, ra: 8, s0: 24, a0: 40, a1: 48 };
/** 112 bytes in the layout of {@linkcode CALL_OPS_FRAME}. */
export const CALL_OPS_RETURN: ReturnLayout = { size: 112, ra: 8, s0: 24, a0: 48, a1: 56 };
