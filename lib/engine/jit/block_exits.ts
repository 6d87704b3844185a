/**
 * The exits of one block: where its instructions leave it for the reference, and what is stored there.
 *
 * They lie behind the block's code, one behind the other: the last one stores what was written last
 * and falls into the one before it, so each register is stored in one place. A register that is a
 * half at one exit and a whole at the next is extended on the way from one to the other; where it
 * becomes a half only at the later one, those that arrive at the earlier one extend it and are
 * joined behind that.
 *
 * @module
 */
import type { Code } from "../../wasm/code.ts";
import { addWrites, type RegisterSet } from "./liveness.ts";
import { narrowBehind } from "./narrow.ts";
import type { NarrowRegisters } from "./narrow_registers.ts";
import type { Block, Step } from "./region.ts";
import type { RegionFrame } from "./region_frame.ts";

/** One exit. */
interface Exit {
  /** Registers that the hart's state does not know. */
  readonly dirty: RegisterSet;
  /** Those that are kept as halves by who arrives. */
  readonly halves: number;
  /** Those that are extended before what comes from the exit behind it joins. */
  widened: number;
}

/** The exits of one block. */
export class BlockExits {
  readonly #exits: Exit[] = [];
  /** Which exit each step takes. */
  readonly #of = new Map<Step, Exit>();

  /** Gives each step of `block` that `leaves` an exit; `x` and `f` are dirty where it begins. */
  constructor(
    block: Block,
    { x, f }: RegisterSet,
    registers: NarrowRegisters,
    leaves: (step: Step, at: number) => boolean,
  ) {
    const dirty = { x, f };
    let narrow = registers.of(block);
    block.steps.forEach((step, at) => {
      if (leaves(step, at)) this.#of.set(step, this.#exitAt(dirty, narrow.halves));
      addWrites(dirty, step);
      narrow = narrowBehind(narrow, step, registers.wantAt(block, at));
    });
    for (let exit = this.#exits.length - 2; exit >= 0; exit--) this.#join(exit);
  }

  /** The last exit if it stores the same, or another one. */
  #exitAt({ x, f }: RegisterSet, halves: number): Exit {
    const last = this.#exits.at(-1);
    const found = { dirty: { x, f }, halves: halves & x, widened: 0 };
    if (last && last.dirty.x === x && last.dirty.f === f && last.halves === found.halves) {
      return last;
    }
    this.#exits.push(found);
    return found;
  }

  /** Registers that an exit stores as halves. */
  #stored({ halves, widened }: Exit): number {
    return halves & ~widened;
  }

  /** What those that arrive at an exit extend, because the exit behind it has it as a whole. */
  #join(at: number): void {
    const exit = this.#exits[at]!;
    exit.widened = exit.halves & ~this.#stored(this.#exits[at + 1]!);
  }

  /** How many blocks are open inside of where the block is written. */
  get depth(): number {
    const joined = this.#exits.filter(({ widened }) => widened !== 0).length;
    return this.#exits.length === 0 ? 0 : 1 + this.#exits.length + joined;
  }

  /** How many blocks out the exit of a step is; undefined if it has none. */
  of(step: Step): number | undefined {
    const exit = this.#of.get(step);
    if (!exit) return undefined;
    let depth = 0;
    for (let at = this.#exits.length - 1; this.#exits[at] !== exit; at--) {
      depth += this.#exits[at]!.widened === 0 ? 1 : 2;
    }
    return depth;
  }

  /** Opens the blocks that lead to the exits. */
  open(code: Code): void {
    for (let each = this.depth; each > 0; each--) code.block();
  }

  /** Writes what all exits store; the block itself goes on behind the last `end`, which is missing. */
  write(code: Code, frame: RegionFrame): void {
    code.br(this.depth - 1);
    for (let at = this.#exits.length - 1; at >= 0; at--) {
      const exit = this.#exits[at]!;
      const stored = this.#stored(exit);
      code.op("end");
      if (exit.widened !== 0) {
        frame.widen(code, exit.widened);
        code.op("end");
      }
      const before = this.#exits[at - 1];
      const { x, f } = before?.dirty ?? { x: 0, f: 0 };
      frame.store(code, { x: exit.dirty.x & ~x, f: exit.dirty.f & ~f }, stored);
      if (!before) return;
      frame.widen(code, stored & x & ~this.#stored(before));
      if (before.widened !== 0) code.br(1);
    }
  }
}
