/**
 * Micro-ops: what the interpreter's function reads instead of instructions, and why it comes back.
 *
 * A micro-op stands for each halfword of a page, in a block in host memory. Which one an instruction
 * becomes is `decoder.ts`; what each does is `handler_writer.ts`.
 *
 * @module
 */
import { PAGE_SIZE } from "../../memory/page.ts";

/** Layout of a micro-op. */
export const MICRO_OP = {
  size: 16,
  /** u16: number of its handler. */
  handler: 0,
  /** u16: offset of the register in its file; for rd that of SINK where nothing is to be written. */
  rd: 2,
  /** u16: offset of the first source register in its file. */
  rs1: 4,
  /** u16: offset of the second source register in its file. */
  rs2: 6,
  /** u16: offset of the third source register in its file. */
  rs3: 8,
  /** u16: the rounding mode that it says, where the plan asks for it; behind `rs3`. */
  mode: 10,
  /**
   * i64 immediate or pc + immediate; or i32 immediate, or distance to a near target, or far target.
   * Where addresses are translated: i64 immediate, or distance to a near target.
   */
  imm: 8,
  /**
   * u32: address of the following instruction, where the plan asks for it; for a region that of the
   * micro-op which stands for its first instruction.
   */
  next: 12,
} as const;

/** Layout of a block, in micro-ops. */
export const BLOCK = {
  /** The halfwords of the page. */
  halves: PAGE_SIZE / 2,
  /** Behind them, where straight-line code ends up: it goes on in another page. */
  guards: PAGE_SIZE / 2,
  /** The instruction that begins in the page's last halfword and ends in another page. */
  split: PAGE_SIZE / 2 + 2,
  /** Where straight-line code ends up behind that instruction. */
  splitGuard: PAGE_SIZE / 2 + 4,
  /** Micro-ops of a block. */
  count: PAGE_SIZE / 2 + 5,
} as const;

/** Bytes of a micro-op that lies apart, and of the ends of straight-line code behind it. */
export const APART_SIZE: number = 3 * MICRO_OP.size;
/**
 * Layout of what stands at a region's entrance: such a micro-op, i64 the pc that it is for, and u8
 * whether it was entered in any way since somebody looked.
 */
export const ENTRANCE = {
  microOp: 0,
  pc: APART_SIZE,
  used: APART_SIZE + 8,
  size: APART_SIZE + 16,
} as const;

/** Bytes of a block. */
export const BLOCK_SIZE: number = BLOCK.count * MICRO_OP.size;

/**
 * Handlers that stand for no plan; 0 is what memory holds where nothing was decoded. From `leave` on
 * they stand for an instruction.
 */
export const Handler = {
  undecoded: 0,
  cross: 1,
  hook: 2,
  thunk: 3,
  /** A compiled region is entered here: `imm` is its table entry, `next` the micro-op in its place. */
  region: 4,
  leave: 5,
} as const;
/** Number of the first handler that stands for a plan. */
export const FIRST_PLAN = 6;

/** Calls of compiled code that may nest: the host's stack is not much deeper. */
export const REGION_DEPTH = 400;

/** Why the function came back, in EXIT_REASON. */
export const Exit = { fuel: 0, undecoded: 1, reference: 2, hook: 3, noPage: 4 } as const;
