/**
 * Writes the instructions of one block, and the exits of those that may be left to the reference.
 *
 * The exits of a block lie behind its code (`block_exits.ts`). Where it left, and how far it had come,
 * an instruction says in locals, which costs nothing where it stays.
 *
 * @module
 */
import type { Code } from "../../wasm/code.ts";
import type { Check, Checks } from "./access_facts.ts";
import { BlockExits } from "./block_exits.ts";
import type { Liveness } from "./liveness.ts";
import type { NarrowRegisters } from "./narrow_registers.ts";
import { registerAt } from "./plan_use.ts";
import type { Block, Step } from "./region.ts";
import { type RegionFrame, RegionLocal } from "./region_frame.ts";
import type { RegionNotes } from "./region_notes.ts";
import { type AccessModel, mayLeave, type RegionSink } from "./region_sink.ts";

/** What blocks are written with. */
export interface BlockParts {
  readonly code: Code;
  readonly frame: RegionFrame;
  readonly sink: RegionSink;
  readonly model: AccessModel;
  readonly facts: Checks;
  readonly liveness: Liveness;
  readonly narrow: NarrowRegisters;
  /** Absent if nobody looks. */
  readonly notes: RegionNotes | undefined;
}

/** Writes blocks. */
export class BlockWriter {
  readonly #parts: BlockParts;

  /** To be written with `parts`. */
  constructor(parts: BlockParts) {
    this.#parts = parts;
  }

  /** Writes all but the end of a block that begins with `pending` instructions not yet taken off. */
  write(block: Block, pending: number): void {
    const { code, facts, sink, narrow } = this.#parts;
    const checks = facts.checks(block, 1)[0]!;
    sink.narrow = narrow.of(block);
    const exits = this.#exits(block, [checks]);
    exits.open(code);
    this.#steps(block, { checks, exits, spent: pending, nested: 0 });
    this.#close(exits);
  }

  /**
   * Writes a block several times in a row. `between` ends each copy, `depth` blocks inside of where
   * the block is written; it leaves the copies by a branch to the innermost block, and otherwise
   * brings the registers into the locals where the block finds them.
   */
  writeCopies(block: Block, copies: number, between: (copy: number, depth: number) => void): void {
    const { code, facts, sink, narrow } = this.#parts;
    const checks = facts.checks(block, copies);
    const exits = this.#exits(block, checks);
    exits.open(code);
    code.block();
    for (let copy = 1; copy <= copies; copy++) {
      const spent = (copy - 1) * block.count;
      sink.narrow = narrow.of(block);
      this.#steps(block, { checks: checks[copy - 1]!, exits, spent, nested: 1 });
      between(copy, 1 + exits.depth);
    }
    code.op("end");
    this.#close(exits);
  }

  /** Writes the instruction that ends a block: what decides is left on the stack. */
  writeEnd(block: Block): void {
    const { notes, sink, narrow } = this.#parts;
    const step = block.end.step!;
    notes?.mark(step.pc);
    const want = narrow.wantAt(block, block.steps.length);
    sink.write({ step, want, check: undefined, exit: 0 });
  }

  #exits(block: Block, copies: readonly (readonly (Check | undefined)[])[]): BlockExits {
    const { liveness, model, narrow } = this.#parts;
    const leaves = (step: Step, at: number) =>
      copies.some((checks) => mayLeave(step, checks[at], model));
    return new BlockExits(block, liveness.of(block).dirtyIn, narrow, leaves);
  }

  #steps(
    block: Block,
    { checks, exits, spent, nested }: {
      readonly checks: readonly (Check | undefined)[];
      readonly exits: BlockExits;
      readonly spent: number;
      /** Blocks that are open inside the exits. */
      readonly nested: number;
    },
  ): void {
    const { code, sink, model, notes, narrow } = this.#parts;
    block.steps.forEach((step, at) => {
      notes?.mark(step.pc);
      const check = checks[at];
      const exit = exits.of(step);
      if (exit !== undefined && mayLeave(step, check, model)) {
        code.i64(BigInt(step.pc)).set(RegionLocal.exitPc).i32(spent + at).set(RegionLocal.spent);
      }
      const want = narrow.wantAt(block, at);
      if (!isIdle(step)) sink.write({ step, want, check, exit: (exit ?? 0) + nested });
    });
  }

  #close(exits: BlockExits): void {
    const { code, frame, notes } = this.#parts;
    if (exits.depth === 0) return;
    notes?.mark("exits");
    exits.write(code, frame);
    notes?.left("declined");
    code.get(RegionLocal.exitPc).get(RegionLocal.left).get(RegionLocal.spent);
    code.op("i32.sub", "return", "end");
    notes?.mark("goes on");
  }
}

/** Whether a step does nothing but write to x0, as a nop does. */
function isIdle({ use, plan: { body }, instruction }: Step): boolean {
  return use.writes === "x" && registerAt(instruction, "rd") === 0 && !use.access &&
    !use.declines && body[0]?.kind === "begin" && body.at(-1)?.kind === "end";
}
