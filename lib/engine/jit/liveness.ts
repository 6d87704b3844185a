/**
 * Which registers each block of a region must find in locals, and which of them the hart's state
 * may not know yet.
 *
 * A region keeps registers in locals and stores them where it is left; what is dirty there must have
 * been loaded on every way, even on those that did not write it.
 *
 * What a loop leaves behind each time round and nobody reads in the next is dirty all the same: the
 * loop may be left before it is written again. Where a loop has more registers than the host, these
 * are stored on the way back, instead of being carried round and kept beside all others.
 *
 * @module
 */
import type { ControlFlow } from "./control_flow.ts";
import { registerAt } from "./plan_use.ts";
import type { Block, Step } from "./region.ts";

/** A set of registers: bit r of `x` for integer register r, of `f` for float register r. */
export interface RegisterSet {
  x: number;
  f: number;
}

/** The registers of one block. */
export interface BlockRegisters {
  /** Those it reads before it writes them. */
  readonly reads: RegisterSet;
  /** Those it writes. */
  readonly writes: RegisterSet;
  /** Those that may be dirty where it begins. */
  readonly dirtyIn: RegisterSet;
  /** Those that may be dirty where it ends. */
  readonly dirty: RegisterSet;
  /** Those that have to be in locals where it begins. */
  readonly live: RegisterSet;
}

/** No register. */
export function noRegisters(): RegisterSet {
  return { x: 0, f: 0 };
}

/** Adds the registers that a step writes to a set. */
export function addWrites(set: RegisterSet, { instruction, use }: Step): void {
  if (use.writes === undefined) return;
  const bit = 1 << registerAt(instruction, "rd");
  if (use.writes === "x") set.x |= bit & ~1;
  else set.f |= bit;
}

function addReads(set: RegisterSet, written: RegisterSet, { instruction, use }: Step): void {
  for (const field of use.readsX) set.x |= (1 << registerAt(instruction, field)) & ~written.x & ~1;
  for (const field of use.readsF) set.f |= (1 << registerAt(instruction, field)) & ~written.f;
}

/** The most registers of a loop, of integers and of floats, that are all kept in locals. */
const MOST_KEPT: RegisterSet = { x: 11, f: 14 };

/** The registers of all blocks of a region. */
export class Liveness {
  readonly #flow: ControlFlow;
  readonly #blocks = new Map<Block, BlockRegisters>();
  /** The registers that each loop writes, by its header. */
  readonly #written = new Map<Block, RegisterSet>();
  /** Those that are stored on every way to a loop's header. */
  readonly #stored = new Map<Block, RegisterSet>();

  /**
   * Looks at every block.
   *
   * @param leaving Blocks that may be left before their end.
   */
  constructor(flow: ControlFlow, leaving: ReadonlySet<Block>) {
    this.#flow = flow;
    for (const block of flow.order) this.#blocks.set(block, ownRegisters(block));
    this.#findStored();
    for (let changed = true; changed;) changed = this.#spreadDirty();
    for (let changed = true; changed;) changed = this.#spreadLive(leaving);
  }

  /** The registers of a block. */
  of(block: Block): BlockRegisters {
    return this.#blocks.get(block)!;
  }

  /** The registers that a loop writes; undefined where none begins. */
  writtenInLoop(header: Block): RegisterSet | undefined {
    return this.#written.get(header);
  }

  /** The registers that are stored on the way from a block to another. */
  storedBetween(from: Block, to: Block): RegisterSet {
    const stored = this.#stored.get(to);
    // A call has stored everything.
    if (!stored || from.isCall) return noRegisters();
    const { x, f } = this.of(from).dirty;
    return { x: stored.x & x, f: stored.f & f };
  }

  #findStored(): void {
    const loops = this.#flow.order.filter((block) => this.#flow.of(block).isLoop);
    if (loops.length === 0) return;
    const read = this.#readBefore();
    for (const header of loops) {
      const written = noRegisters();
      for (const block of this.#flow.loopOf(header)) add(written, this.of(block).writes);
      this.#written.set(header, written);
      const { x, f } = read.get(header)!;
      this.#stored.set(header, {
        x: count(written.x | x) > MOST_KEPT.x ? written.x & ~x : 0,
        f: count(written.f | f) > MOST_KEPT.f ? written.f & ~f : 0,
      });
    }
  }

  /** The registers that each block, or what comes behind it, reads before they are written. */
  #readBefore(): Map<Block, RegisterSet> {
    const read = new Map(this.#flow.order.map((block) => [block, { ...this.of(block).reads }]));
    for (let changed = true; changed;) {
      changed = false;
      for (const block of [...this.#flow.order].reverse()) {
        if (block.isCall) continue;
        const { writes } = this.of(block);
        for (const successor of block.successors) {
          const { x, f } = read.get(successor)!;
          changed = add(read.get(block)!, { x: x & ~writes.x, f: f & ~writes.f }) || changed;
        }
      }
    }
    return read;
  }

  #spreadDirty(): boolean {
    let changed = false;
    for (const block of this.#flow.order) {
      const { dirtyIn, dirty, writes } = this.of(block);
      dirty.x = dirtyIn.x | writes.x;
      dirty.f = dirtyIn.f | writes.f;
      // A call finds everything stored, and nothing in locals is true behind it.
      if (block.isCall) continue;
      for (const successor of block.successors) {
        const stored = this.storedBetween(block, successor);
        const left = { x: dirty.x & ~stored.x, f: dirty.f & ~stored.f };
        changed = add(this.of(successor).dirtyIn, left) || changed;
      }
    }
    return changed;
  }

  #spreadLive(leaving: ReadonlySet<Block>): boolean {
    let changed = false;
    for (const block of [...this.#flow.order].reverse()) {
      const { reads, writes, dirtyIn, dirty, live } = this.of(block);
      const after = this.#leavesAtEnd(block) ? { ...dirty } : noRegisters();
      if (!block.isCall) {
        for (const successor of block.successors) {
          add(after, this.of(successor).live);
          add(after, this.storedBetween(block, successor));
        }
      }
      const found = { x: reads.x | (after.x & ~writes.x), f: reads.f | (after.f & ~writes.f) };
      if (this.#flow.of(block).isLoop || leaving.has(block)) add(found, dirtyIn);
      changed = add(live, found) || changed;
    }
    return changed;
  }

  /** Whether the region may be left, or everything be stored, at the end of a block. */
  #leavesAtEnd(block: Block): boolean {
    const { kind } = block.end;
    const stays = kind === "branch" ? 2 : 1;
    return block.isCall || kind === "return" || kind === "comeBack" || kind === "enter" ||
      kind === "jumpTable" ||
      kind === "exit" ||
      this.#flow.of(block).dropped.size > 0 || block.successors.length < stays;
  }
}

/** How many registers are in half of a set. */
function count(registers: number): number {
  let found = 0;
  for (let each = registers; each !== 0; each &= each - 1) found++;
  return found;
}

function add(to: RegisterSet, from: RegisterSet): boolean {
  const { x, f } = to;
  to.x |= from.x;
  to.f |= from.f;
  return to.x !== x || to.f !== f;
}

function ownRegisters({ all }: Block): BlockRegisters {
  const reads = noRegisters(), writes = noRegisters();
  for (const step of all) {
    addReads(reads, writes, step);
    addWrites(writes, step);
  }
  return { reads, writes, dirtyIn: noRegisters(), dirty: noRegisters(), live: noRegisters() };
}
