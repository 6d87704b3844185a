/**
 * Micro-ops: what the interpreter's function reads instead of instructions, and why it comes back.
 *
 * A micro-op stands for each halfword of a page, in a block in host memory. Which one an instruction
 * becomes is `decoder.ts`; what each does is `handler_writer.ts`.
 *
 * @module
 */
/** Layout of a micro-op. */
export const MICRO_OP = {
  size: 16,
  /** u16: number of its handler. */
  handler: 0,
  /** u16: offset of the register in its file; rd is {@linkcode SINK} where nothing is to be written. */
  rd: 2,
  rs1: 4,
  rs2: 6,
  /** u16. */
  rs3: 8,
  /**
   * i64 immediate or pc + immediate; or i32 immediate, or distance to a near target, or far target.
   * Where addresses are translated: i64 immediate, or distance to a near target.
   */
  imm: 8,
  /** u32: address of the following instruction, where the plan asks for it. */
  next: 12,
} as const;

/** Handlers that stand for no plan; 0 is what memory holds where nothing was decoded. */
export const Handler = { undecoded: 0, leave: 1, cross: 2, hook: 3, thunk: 4 } as const;
/** Number of the first handler that stands for a plan. */
export const FIRST_PLAN = 5;

/** Why the function came back, in EXIT_REASON. */
export const Exit = { fuel: 0, undecoded: 1, reference: 2, hook: 3, noPage: 4 } as const;
