/**
 * Where the running hart's state lies in host memory.
 *
 * Emitted code addresses these places with constants; {@linkcode Hart} gives them names.
 *
 * @module
 */
import { HART } from "../memory/memory.ts";

/** Integer registers, 32 × i64. */
export const X: number = HART;
/** Floating-point registers, 32 × 64 raw bits. */
export const F: number = HART + 256;
/** i64: the pc, the address of the next instruction. */
export const PC: number = HART + 512;
/** u32: fflags in bits 0 to 4, frm in bits 5 to 7. */
export const FCSR: number = HART + 520;
/** i64: address reserved by the last lr, −1 if none. */
export const RESERVED_ADDRESS: number = HART + 528;
/** i64: the value that lr read. */
export const RESERVED_VALUE: number = HART + 536;
/** i64: instructions of the guest's own that have retired. */
export const INSTRET: number = HART + 544;
/** i64: instructions of trampolines that have retired. */
export const OVERHEAD: number = HART + 552;
/** u32: why emitted code came back. */
export const EXIT_REASON: number = HART + 560;
/** i64: virtual nanoseconds that the hart has waited instead of executing. */
export const IDLE: number = HART + 568;
/** i64: where emitted code writes what goes to x0. */
export const SINK: number = HART + 576;
/** u32: 1 if `overhead` counts as time. */
export const CHARGE_TRACING: number = HART + 584;
/** u32: 1 if float registers are off, or are to be marked when written. */
export const FLOAT_GUARD: number = HART + 588;
/** u32: 1 unless addresses are physical and nothing but a page's permissions restricts them. */
export const TRANSLATED: number = HART + 592;
/** u32: number of the hart. */
export const HART_ID: number = HART + 596;
/** u32: instructions that compiled regions may execute beyond what the interpreter may. */
export const REGION_BUDGET: number = HART + 600;
/** u32: table entry of a function that is often called and not compiled, 0 if none. */
export const WANTED_REGION: number = HART + 604;
/** i64: instructions that compiled regions have executed. */
export const REGION_INSTRET: number = HART + 608;
/** u32: host address of the TLB's entries for data in the present mode. */
export const DATA_ENTRIES: number = HART + 616;
/** u32: host address of the TLB's entries for fetches in the present mode. */
export const FETCH_ENTRIES: number = HART + 620;
/** i64: the number of what the TLB knew in the present mode when the host was last asked. */
export const GENERATION: number = HART + 624;
/** i64: where compiled code was last led by a pointer and found no region, or 0. */
export const WANTED_TARGET: number = HART + 640;
/** i64: where an indirect jump of compiled code last went that its jump table did not know, or 0. */
export const WANTED_JUMP: number = HART + 648;
/** i64: the entry of the region that it left. */
export const JUMPED_FROM: number = HART + 656;
/** i64: where compiled code was last left as it goes no further there, or 0. */
export const LEFT_AT: number = HART + 664;
/** Bytes of a hart's state. */
export const STATE_SIZE = 704;
