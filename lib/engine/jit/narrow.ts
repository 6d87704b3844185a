/**
 * Which integer registers are known to hold the sign-extension of 32 bits, and which of them a
 * region keeps as those 32 bits alone.
 *
 * The word instructions of RV64 extend each result. What is done with two such values is done with
 * their low halves, where V8 finds rotations among other things, and a result that is kept as its
 * low half is extended only where all of it is asked for: most are read as halves again, or only by
 * exits that are never taken. What comes as either without an instruction, as what is loaded does,
 * is kept as its next reader wants it (`wanted.ts`). This is said here step by step; what holds in
 * each block of a region is `narrow_registers.ts`.
 *
 * @module
 */
import { movedFrom, registerAt } from "./plan_use.ts";
import type { Step } from "./region.ts";

/** How a value is wanted by who reads it next: as its low half, as all of it. */
export type Want = "half" | "whole" | "either";

/** What is known of the registers at one place; bit r stands for integer register r. */
export interface Narrow {
  /** Those that hold the sign-extension of 32 bits. */
  readonly known: number;
  /** Those of them of which only the low half is in a local. */
  readonly halves: number;
}

/** What is known behind a step whose result is wanted as `want`, if `before` was known before it. */
export function narrowBehind(before: Narrow, step: Step, want: Want): Narrow {
  if (step.use.writes !== "x") return before;
  const rd = registerAt(step.instruction, "rd");
  if (rd === 0) return before;
  const bit = 1 << rd;
  const known = knownBehind(before.known, step);
  const isHalf = (known & bit) !== 0 &&
    (comesAsHalf(before.halves, step) ? want !== "whole" : want === "half");
  return { known, halves: isHalf ? before.halves | bit : before.halves & ~bit };
}

/** The registers that are known to be narrow behind a step, if those in `known` are before it. */
export function knownBehind(known: number, step: Step): number {
  if (step.use.writes !== "x") return known;
  const rd = registerAt(step.instruction, "rd");
  if (rd === 0) return known;
  return writesNarrow(known, step) ? known | (1 << rd) : known & ~(1 << rd);
}

/** Whether both operands of a step's pair are known to be narrow. */
export function isNarrowPair(known: number, { instruction, use }: Step): boolean {
  const { pair } = use;
  if (!pair || !isIn(known, registerAt(instruction, pair.left))) return false;
  return pair.right === "imm" || isIn(known, registerAt(instruction, pair.right));
}

/** Whether an operand of a step's pair is kept as its half. */
export function hasHalf(halves: number, { instruction, use: { pair } }: Step): boolean {
  const isHalf = (register: number) => ((halves >>> register) & 1) !== 0;
  if (!pair) return false;
  if (isHalf(registerAt(instruction, pair.left))) return true;
  return pair.right !== "imm" && isHalf(registerAt(instruction, pair.right));
}

/** Whether all of a narrow result costs an extension. */
function comesAsHalf(halves: number, step: Step): boolean {
  const source = movedFrom(step);
  if (source !== undefined) return ((halves >>> source) & 1) !== 0;
  return step.use.extends || hasHalf(halves, step);
}

function isIn(known: number, register: number): boolean {
  return register === 0 || ((known >>> register) & 1) !== 0;
}

function writesNarrow(known: number, step: Step): boolean {
  const { instruction, use, pc } = step;
  const { imm } = instruction;
  if (use.narrow || use.form === "immediate") return true;
  if (use.form === "target") return pc + imm < 2 ** 31 && pc + imm >= -(2 ** 31);
  const source = movedFrom(step);
  if (source !== undefined) return isIn(known, source);
  // An offset from x0.
  if (use.form === "offset") return registerAt(instruction, "rs1") === 0;
  if (isNarrowPair(known, step)) return true;
  // What a mask that is not negative leaves of anything.
  return use.pair?.operation === "i64.and" && use.pair.right === "imm" && imm >= 0;
}
