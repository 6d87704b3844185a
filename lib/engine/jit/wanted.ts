/**
 * How the next readers of what an instruction writes want it: as its low half, as all of it.
 *
 * A move hands on what is wanted of its own result. Behind a call, and where a region is left,
 * nobody wants anything in particular.
 *
 * @module
 */
import type { ControlFlow } from "./control_flow.ts";
import { isNarrowPair, knownBehind, type Want } from "./narrow.ts";
import { movedFrom, registerAt } from "./plan_use.ts";
import type { Block, Step } from "./region.ts";

/** Registers that are wanted at one place, by their next readers; one may be in both sets. */
interface Wanted {
  half: number;
  whole: number;
}

/** What is wanted of all that a region writes. */
export class WantedHalves {
  readonly #flow: ControlFlow;
  readonly #in = new Map<Block, Wanted>();
  /** How what each step of a block writes is wanted, and the one that ends it. */
  readonly #wants = new Map<Block, Want[]>();

  /** Goes through the region; `knownIn` are the registers known to be narrow where a block begins. */
  constructor(flow: ControlFlow, knownIn: (block: Block) => number) {
    this.#flow = flow;
    const pairs = new Map(flow.order.map((block) => [block, narrowPairs(block, knownIn(block))]));
    for (let changed = true; changed;) {
      changed = false;
      for (const block of [...flow.order].reverse()) {
        const wanted = this.#before(block, pairs.get(block)!);
        const known = this.#in.get(block);
        if (known && known.half === wanted.half && known.whole === wanted.whole) continue;
        changed = true;
        this.#in.set(block, wanted);
      }
    }
  }

  /** How what a block's step at an index writes is wanted. */
  at(block: Block, at: number): Want {
    return this.#wants.get(block)![at]!;
  }

  /** What is wanted where a block begins. */
  #before(block: Block, pairs: ReadonlySet<number>): Wanted {
    const wanted: Wanted = { half: 0, whole: 0 };
    if (!block.isCall) {
      for (const successor of block.successors) {
        const { half, whole } = this.#in.get(successor) ?? { half: 0, whole: 0 };
        wanted.half |= half;
        wanted.whole |= whole;
      }
    }
    const steps = block.all;
    const wants = new Array<Want>(steps.length);
    for (let at = steps.length - 1; at >= 0; at--) {
      wants[at] = wantOf(steps[at]!, wanted);
      goBack(wanted, steps[at]!, pairs.has(at));
    }
    this.#wants.set(block, wants);
    return wanted;
  }
}

/** Which of a block's steps are done on halves. */
function narrowPairs(block: Block, knownIn: number): Set<number> {
  let known = knownIn;
  const pairs = new Set<number>();
  block.all.forEach((step, at) => {
    if (isNarrowPair(known, step)) pairs.add(at);
    known = knownBehind(known, step);
  });
  return pairs;
}

function wantOf({ instruction, use }: Step, { half, whole }: Wanted): Want {
  if (use.writes !== "x") return "either";
  const bit = 1 << registerAt(instruction, "rd");
  if ((half & bit) !== 0) return (whole & bit) !== 0 ? "either" : "half";
  return (whole & bit) !== 0 ? "whole" : "either";
}

/** From behind a step to before it. */
function goBack(wanted: Wanted, step: Step, isPair: boolean): void {
  const { instruction, use } = step;
  const bitOf = (register: number) => register === 0 ? 0 : 1 << register;
  const rd = use.writes === "x" ? bitOf(registerAt(instruction, "rd")) : 0;
  const isHalf = (wanted.half & rd) !== 0, isWhole = (wanted.whole & rd) !== 0;
  wanted.half &= ~rd;
  wanted.whole &= ~rd;
  const source = movedFrom(step);
  if (source !== undefined) {
    if (isHalf) wanted.half |= bitOf(source);
    if (isWhole) wanted.whole |= bitOf(source);
    return;
  }
  let half = 0, whole = 0;
  for (const field of use.readsX) {
    const bit = bitOf(registerAt(instruction, field));
    if (isPair || use.readsHalf.includes(field)) half |= bit;
    else whole |= bit;
  }
  wanted.half = (wanted.half & ~whole) | half;
  wanted.whole = (wanted.whole & ~half) | whole;
}
