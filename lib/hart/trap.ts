/**
 * Traps as values, and what their causes are called.
 *
 * @module
 */

/** What stopped a hart. Guest faults are never host exceptions. */
export interface Trap {
  /** The trap's cause as mcause numbers it; the host call is 24, the first custom cause. */
  readonly cause: number;
  /** mtval: the faulting address, or the instruction. */
  readonly value: bigint;
  /** Where the instruction is; nothing of it has happened. */
  readonly pc: bigint;
  /** The instruction's bits, where memory at `pc` holds a probe's breakpoint in its place. */
  readonly bits?: number | undefined;
}

const NAMES: Readonly<Record<number, string>> = {
  0: "instruction address misaligned",
  1: "instruction access fault",
  2: "illegal instruction",
  3: "breakpoint",
  4: "load address misaligned",
  5: "load access fault",
  6: "store address misaligned",
  7: "store access fault",
  8: "environment call from U-mode",
  9: "environment call from S-mode",
  11: "environment call from M-mode",
  12: "instruction page fault",
  13: "load page fault",
  15: "store page fault",
  24: "host call",
};

/** What the privileged specification calls a cause. */
export function causeName(cause: number): string {
  return NAMES[cause] ?? `cause ${cause}`;
}
