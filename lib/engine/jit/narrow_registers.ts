/**
 * What is known of the width of registers in all blocks of a region: see `narrow.ts`.
 *
 * First it is found out which of them are narrow, then how each is wanted, then how it is kept: each
 * needs what was found before.
 *
 * @module
 */
import type { ControlFlow } from "./control_flow.ts";
import type { Liveness } from "./liveness.ts";
import { knownBehind, type Narrow, narrowBehind, type Want } from "./narrow.ts";
import type { Block } from "./region.ts";
import { WantedHalves } from "./wanted.ts";

/** Before anything is known to be otherwise. */
const ALL: Narrow = { known: -1, halves: -1 };
/** What was loaded from the hart's state. */
const NONE: Narrow = { known: 0, halves: 0 };

/** What is known of the registers in all blocks of a region. */
export class NarrowRegisters {
  readonly #flow: ControlFlow;
  readonly #liveness: Liveness;
  readonly #wanted: WantedHalves;
  readonly #in = new Map<Block, Narrow>();
  readonly #out = new Map<Block, Narrow>();

  /** Goes through the region until nothing more changes. */
  constructor(flow: ControlFlow, liveness: Liveness) {
    this.#flow = flow;
    this.#liveness = liveness;
    for (let changed = true; changed;) {
      changed = this.#spread(({ all }, { known }) => ({
        known: all.reduce(knownBehind, known),
        halves: -1,
      }));
    }
    this.#wanted = new WantedHalves(flow, (block) => this.of(block).known);
    this.#out.clear();
    for (let changed = true; changed;) {
      changed = this.#spread((block, narrow) => this.#behind(block, narrow));
    }
  }

  /** What is known where a block begins. */
  of(block: Block): Narrow {
    return this.#in.get(block)!;
  }

  /** What is known behind a block, its last instruction included. */
  behind(block: Block): Narrow {
    return this.#out.get(block)!;
  }

  /** How what a block's step at an index writes is wanted; the one that ends it is behind all others. */
  wantAt(block: Block, at: number): Want {
    return this.#wanted.at(block, at);
  }

  #behind(block: Block, before: Narrow): Narrow {
    return block.all.reduce(
      (narrow, step, at) => narrowBehind(narrow, step, this.wantAt(block, at)),
      before,
    );
  }

  /** Goes through all blocks once. */
  #spread(through: (block: Block, before: Narrow) => Narrow): boolean {
    let changed = false;
    for (const block of this.#flow.order) {
      let { known, halves } = block === this.#flow.order[0] ? NONE : ALL;
      for (const predecessor of block.predecessors) {
        // What a callee leaves is not known.
        const out = predecessor.isCall ? NONE : this.#out.get(predecessor) ?? ALL;
        known &= out.known;
        halves &= out.halves;
      }
      // What a loop only reads is extended once, before it.
      halves &= this.#liveness.writtenInLoop(block)?.x ?? -1;
      const before = this.#in.get(block);
      if (this.#out.has(block) && before?.known === known && before.halves === halves) continue;
      changed = true;
      this.#in.set(block, { known, halves });
      this.#out.set(block, through(block, { known, halves }));
    }
    return changed;
  }
}
