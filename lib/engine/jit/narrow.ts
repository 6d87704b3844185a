/**
 * Which integer registers are known to hold the sign-extension of 32 bits.
 *
 * The word instructions of RV64 extend each result; where only low halves are asked for, V8 leaves
 * the extension out, and it finds rotations among operations of 32 bits alone. So what is done with
 * two such values is done with their low halves.
 *
 * @module
 */
import type { ControlFlow } from "./control_flow.ts";
import { registerAt } from "./plan_use.ts";
import type { Block, Step } from "./region.ts";

/** Bits of all registers. */
const ALL = -1;

/** The registers that are narrow behind a step, if those in `narrow` were before it. */
export function narrowBehind(narrow: number, step: Step): number {
  if (step.use.writes !== "x") return narrow;
  const rd = registerAt(step.instruction, "rd");
  if (rd === 0) return narrow;
  return writesNarrow(narrow, step) ? narrow | (1 << rd) : narrow & ~(1 << rd);
}

/** Whether both operands of a step's pair are narrow. */
export function isNarrowPair(narrow: number, { instruction, use }: Step): boolean {
  const { pair } = use;
  if (!pair || !isIn(narrow, registerAt(instruction, pair.left))) return false;
  return pair.right === "imm" || isIn(narrow, registerAt(instruction, pair.right));
}

function isIn(narrow: number, register: number): boolean {
  return register === 0 || ((narrow >>> register) & 1) !== 0;
}

function writesNarrow(narrow: number, step: Step): boolean {
  const { instruction, use, pc } = step;
  const { imm } = instruction;
  if (use.narrow || use.form === "immediate") return true;
  if (use.form === "target") return pc + imm < 2 ** 31 && pc + imm >= -(2 ** 31);
  const left = () => registerAt(instruction, "rs1");
  if (use.form === "offset") return left() === 0 || (imm === 0 && isIn(narrow, left()));
  if (use.form === "sum") {
    const right = registerAt(instruction, "rs2");
    return (left() === 0 || right === 0) && isIn(narrow, left() || right);
  }
  if (isNarrowPair(narrow, step)) return true;
  // What a mask that is not negative leaves of anything.
  return use.pair?.operation === "i64.and" && use.pair.right === "imm" && imm >= 0;
}

/** The narrow registers where each block of a region begins. */
export class NarrowRegisters {
  readonly #in = new Map<Block, number>();

  /** Goes through the region until nothing more changes. */
  constructor({ order }: ControlFlow) {
    const out = new Map<Block, number>();
    for (let changed = true; changed;) {
      changed = false;
      for (const block of order) {
        let narrow = block === order[0] ? 0 : ALL;
        for (const predecessor of block.predecessors) narrow &= out.get(predecessor) ?? ALL;
        if (this.#in.get(block) === narrow) continue;
        changed = true;
        this.#in.set(block, narrow);
        // What a callee leaves is not known.
        out.set(block, block.isCall ? 0 : behind(block, narrow));
      }
    }
  }

  /** The registers that are narrow where a block begins. */
  of(block: Block): number {
    return this.#in.get(block)!;
  }
}

function behind({ steps, end }: Block, before: number): number {
  let narrow = before;
  for (const step of steps) narrow = narrowBehind(narrow, step);
  return end.step ? narrowBehind(narrow, end.step) : narrow;
}
