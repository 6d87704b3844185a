/**
 * The order and nesting of a region's blocks, as structured code wants them, and the longest way
 * between two questions for what is left to execute.
 *
 * A block is written inside the one that dominates it; blocks with several predecessors become
 * labels, headers of loops become loops (N. Ramsey, "Beyond Relooper", 2022). An edge into the
 * middle of a loop leaves the region.
 *
 * @module
 */
import type { Block, Region } from "./region.ts";
import { SITE_COUNT } from "./site_words.ts";

/** Where a block stands among the others. */
export interface Place {
  /** Its position in reverse post-order. */
  readonly order: number;
  /** The nearest block on all ways from the entry to it; the entry's is itself. */
  dominator: Block;
  /** Blocks whose dominator it is, the last in order first. */
  readonly dominated: Block[];
  /** Whether an edge leads back to it from inside its loop. */
  isLoop: boolean;
  /** Whether it is a label that several blocks go to. */
  isMerge: boolean;
  /** Successors to which no structured edge leads. */
  readonly dropped: Set<Block>;
  /** Instructions on the longest way from its start to the next question, or out. */
  longest: number;
  /** Instructions that were executed before it and are not yet taken from what is left. */
  pending: number;
  /** Whether its successors take over what is pending. */
  carries: boolean;
}

/** Times that a loop of one block is written in a row. */
export const UNROLL = 4;
/** A loop of more instructions is written once. */
const MOST_UNROLLED = 24;

/** The control flow of a region. */
export class ControlFlow {
  /** The blocks in reverse post-order: dominators come before what they dominate. */
  readonly order: readonly Block[];
  readonly #places = new Map<Block, Place>();
  readonly #entry: Block;

  /** Orders the blocks of `region` that can be reached. */
  constructor({ entry }: Region) {
    this.#entry = entry;
    this.order = reversePostOrder(entry);
    this.order.forEach((block, order) => {
      this.#places.set(block, {
        order,
        dominator: entry,
        dominated: [],
        isLoop: false,
        isMerge: false,
        dropped: new Set(),
        longest: 0,
        pending: 0,
        carries: false,
      });
    });
    this.#findDominators();
    this.#classifyEdges();
    this.#carryPending();
    this.#measure();
  }

  /** Where a block stands. */
  of(block: Block): Place {
    return this.#places.get(block)!;
  }

  /** Whether a block is among those that were ordered. */
  has(block: Block): boolean {
    return this.#places.has(block);
  }

  /** Whether a block is a loop of its own that is written several times in a row. */
  isUnrolled(block: Block): boolean {
    const { end } = block;
    return end.kind === "branch" && end.to === block && end.behind !== block &&
      block.count <= MOST_UNROLLED && this.of(block).isLoop;
  }

  /** Whether every way to `block` leads through `above`. */
  dominates(above: Block, block: Block): boolean {
    const order = this.of(above).order;
    let each = block;
    while (this.of(each).order > order) each = this.of(each).dominator;
    return each === above;
  }

  /**
   * The blocks on the ways from a loop's header back to it, the header first. Of a loop that is
   * entered elsewhere, too, the header is what comes first in order.
   */
  loopOf(header: Block): Set<Block> {
    const { order } = this.of(header);
    const body = new Set([header]);
    const work = this.before(header).filter((block) => this.of(block).order >= order);
    for (let block = work.pop(); block; block = work.pop()) {
      if (body.has(block)) continue;
      body.add(block);
      work.push(...this.before(block).filter((each) => this.of(each).order >= order));
    }
    return body;
  }

  /** Predecessors; copies of other loops, and what nothing leads to any more, are not among them. */
  before({ predecessors }: Block): Block[] {
    return predecessors.filter((block) => this.has(block));
  }

  #findDominators(): void {
    const known = new Set([this.#entry]);
    for (let changed = true; changed;) {
      changed = false;
      for (const block of this.order.slice(1)) {
        let found: Block | undefined;
        for (const predecessor of block.predecessors) {
          if (known.has(predecessor)) {
            found = found ? this.#common(found, predecessor) : predecessor;
          }
        }
        const place = this.of(block);
        if (known.has(block) && place.dominator === found) continue;
        place.dominator = found!;
        known.add(block);
        changed = true;
      }
    }
  }

  #common(a: Block, b: Block): Block {
    while (a !== b) {
      if (this.of(a).order > this.of(b).order) a = this.of(a).dominator;
      else b = this.of(b).dominator;
    }
    return a;
  }

  #classifyEdges(): void {
    const forward = new Map<Block, number>();
    for (const block of this.order) {
      const place = this.of(block);
      for (const successor of block.successors) {
        const to = this.of(successor);
        if (to.order > place.order) forward.set(successor, (forward.get(successor) ?? 0) + 1);
        else if (this.dominates(successor, block)) to.isLoop = true;
        else place.dropped.add(successor);
      }
      if (block !== this.#entry) this.of(place.dominator).dominated.push(block);
    }
    for (const block of this.order) {
      const place = this.of(block);
      place.isMerge = block !== this.#entry &&
        ((forward.get(block) ?? 0) >= 2 || block.isSwitchTarget);
      place.dominated.sort((a, b) => this.of(b).order - this.of(a).order);
    }
  }

  /** A successor with one predecessor can go on counting where the block stopped. */
  #carryPending(): void {
    for (const block of this.order) {
      const place = this.of(block);
      const { kind } = block.end;
      place.carries = (kind === "goto" || kind === "branch") && !this.isUnrolled(block) &&
        block.successors.every((successor) => {
          const { isLoop, isMerge } = this.of(successor);
          return !isLoop && !isMerge && successor !== this.#entry;
        });
      if (!place.carries) continue;
      for (const successor of block.successors) {
        if (!place.dropped.has(successor)) {
          this.of(successor).pending = place.pending + block.count;
        }
      }
    }
  }

  #measure(): void {
    for (const block of [...this.order].reverse()) {
      const place = this.of(block);
      const times = this.isUnrolled(block) ? UNROLL : 1;
      const { kind, passes } = block.end;
      const passed = kind === "call" && passes !== undefined ? SITE_COUNT : 0;
      place.longest = block.count * times + passed + this.#behind(block);
    }
  }

  #behind(block: Block): number {
    const { order, dropped } = this.of(block);
    let longest = 0;
    for (const successor of block.successors) {
      const to = this.of(successor);
      if (to.order <= order || to.isLoop || dropped.has(successor)) continue;
      longest = Math.max(longest, to.longest);
    }
    return longest;
  }

  /** Instructions that have to be left when a call comes back to go on to the next question. */
  reserveBehind(block: Block): number {
    return this.#behind(block);
  }
}

function reversePostOrder(entry: Block): Block[] {
  const order: Block[] = [];
  const seen = new Set([entry]);
  const stack: { readonly block: Block; next: number }[] = [{ block: entry, next: 0 }];
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const successor = top.block.successors[top.next++];
    if (!successor) {
      order.push(top.block);
      stack.pop();
    } else if (!seen.has(successor)) {
      seen.add(successor);
      stack.push({ block: successor, next: 0 });
    }
  }
  return order.reverse();
}
