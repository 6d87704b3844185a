/**
 * Writes the instructions of one block, and the exits of those that may be left to the reference.
 *
 * The exits of a block lie behind its code, one behind the other: the last one stores what was
 * written last and falls into the one before it, so each register is stored in one place. Where it
 * left, and how far it had come, an instruction says in locals, which costs nothing where it stays.
 *
 * @module
 */
import type { Code } from "../../wasm/code.ts";
import type { Check, Checks } from "./access_facts.ts";
import type { Liveness, RegisterSet } from "./liveness.ts";
import { addWrites } from "./liveness.ts";
import type { NarrowRegisters } from "./narrow.ts";
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

/** The exits of a block: what each stores, from the first on. */
class Exits {
  readonly sets: RegisterSet[] = [];
  /** Which exit each step takes. */
  readonly #of = new Map<Step, number>();

  constructor(block: Block, dirtyIn: RegisterSet, leaves: (step: Step, at: number) => boolean) {
    const dirty = { ...dirtyIn };
    block.steps.forEach((step, at) => {
      if (leaves(step, at)) {
        const last = this.sets.at(-1);
        if (!last || last.x !== dirty.x || last.f !== dirty.f) this.sets.push({ ...dirty });
        this.#of.set(step, this.sets.length - 1);
      }
      addWrites(dirty, step);
    });
  }

  /** How many blocks out the exit of a step is; undefined if it has none. */
  depth(step: Step): number | undefined {
    const exit = this.#of.get(step);
    return exit === undefined ? undefined : this.sets.length - 1 - exit;
  }
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
    const { facts, sink, narrow } = this.#parts;
    const checks = facts.checks(block, 1)[0]!;
    sink.narrow = narrow.of(block);
    const exits = this.#exits(block, [checks]);
    this.#open(exits);
    this.#steps(block, { checks, exits, spent: pending, nested: 0 });
    this.#close(exits);
  }

  /**
   * Writes a block several times in a row. `between` ends each copy, `depth` blocks inside of where
   * the block is written; it leaves the copies by a branch to the innermost block.
   */
  writeCopies(block: Block, copies: number, between: (copy: number, depth: number) => void): void {
    const { code, facts, sink, narrow } = this.#parts;
    const checks = facts.checks(block, copies);
    sink.narrow = narrow.of(block);
    const exits = this.#exits(block, checks);
    this.#open(exits);
    code.block();
    for (let copy = 1; copy <= copies; copy++) {
      const spent = (copy - 1) * block.count;
      this.#steps(block, { checks: checks[copy - 1]!, exits, spent, nested: 1 });
      between(copy, 1 + (exits.sets.length > 0 ? exits.sets.length + 1 : 0));
    }
    code.op("end");
    this.#close(exits);
  }

  /** Writes the instruction that ends a block: what decides is left on the stack. */
  writeEnd({ end }: Block): void {
    this.#parts.notes?.mark(end.step!.pc);
    this.#parts.sink.write({ step: end.step!, check: undefined, exit: 0 });
  }

  #exits(block: Block, copies: readonly (readonly (Check | undefined)[])[]): Exits {
    const { liveness, model } = this.#parts;
    const leaves = (step: Step, at: number) =>
      copies.some((checks) => mayLeave(step, checks[at], model));
    return new Exits(block, liveness.of(block).dirtyIn, leaves);
  }

  #open({ sets }: Exits): void {
    if (sets.length === 0) return;
    this.#parts.code.block();
    for (const _ of sets) this.#parts.code.block();
  }

  #steps(
    { steps }: Block,
    { checks, exits, spent, nested }: {
      readonly checks: readonly (Check | undefined)[];
      readonly exits: Exits;
      readonly spent: number;
      /** Blocks that are open inside the exits. */
      readonly nested: number;
    },
  ): void {
    const { code, sink, model, notes } = this.#parts;
    steps.forEach((step, at) => {
      notes?.mark(step.pc);
      const check = checks[at];
      const exit = exits.depth(step);
      if (exit !== undefined && mayLeave(step, check, model)) {
        code.i64(BigInt(step.pc)).set(RegionLocal.exitPc).i32(spent + at).set(RegionLocal.spent);
      }
      if (!isIdle(step)) sink.write({ step, check, exit: (exit ?? 0) + nested });
    });
  }

  #close({ sets }: Exits): void {
    const { code, frame, notes } = this.#parts;
    if (sets.length === 0) return;
    notes?.mark("exits");
    code.br(sets.length);
    for (let exit = sets.length - 1; exit >= 0; exit--) {
      code.op("end");
      const before = exit > 0 ? sets[exit - 1]! : { x: 0, f: 0 };
      const { x, f } = sets[exit]!;
      frame.store(code, { x: x & ~before.x, f: f & ~before.f });
    }
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
