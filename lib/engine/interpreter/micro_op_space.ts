/**
 * The micro-ops of one hart in one way of executing: blocks by page, and the page table through
 * which emitted code finds them.
 *
 * Blocks are units of the code cache, so any of them may be gone whenever the host looks again; the
 * words stay in the hart's fetch cache. A block goes, too, when nothing of it stands for an
 * instruction any more. Hooks are put back whenever a block is made.
 *
 * What a block's micro-ops say is `decoder.ts`; which space runs when is `interpreter.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { INSTRET, OVERHEAD } from "../../hart/state.ts";
import type { Memory } from "../../memory/memory.ts";
import { PAGE_SIZE } from "../../memory/page.ts";
import type { CodeCache, CodeOwner, CodeUnit, SourceWord } from "../code_cache.ts";
import type { Hooks } from "../hooks.ts";
import { BLOCK, BLOCK_SIZE, Handler, MICRO_OP } from "./micro_op.ts";
import type { ThunkTable } from "./thunk_table.ts";

/** Bytes of a page table: a host address for each guest page. */
const TABLE_SIZE = 2 ** 20 * 4;

/** What the spaces of a memory share. */
export interface SpaceParts {
  /** Where blocks and tables lie. */
  readonly memory: Memory;
  /** The cache that owns the blocks' memory. */
  readonly cache: CodeCache;
  /** Hooks that are to be in blocks. */
  readonly hooks: Hooks;
  /** Their thunks. */
  readonly thunks: ThunkTable;
  /** The handler of an instruction that ends in another page. */
  readonly split: number;
  /** Told when the micro-ops of a page were made anew. */
  pageMade(space: MicroOpSpace, page: number): void;
}

/** Which of a hart's spaces one is. */
export interface SpaceKind {
  /** Whether it is for the tracing range, whose instructions count as overhead. */
  readonly tracing: boolean;
  /** Whether micro-ops are of physical pages and say only where targets lie from pc. */
  readonly translated: boolean;
}

/** Micro-ops of one hart: plain or translated, the guest's or the tracing range's. */
export class MicroOpSpace implements CodeOwner {
  readonly hart: Hart;
  /** Whether it is for the tracing range. */
  readonly tracing: boolean;
  /** Whether micro-ops are of physical pages. */
  readonly translated: boolean;
  /** Host address of its page table. */
  readonly table: number;
  /** Host address of the counter of instructions. */
  readonly counter: number;
  readonly #parts: SpaceParts;
  readonly #view: DataView;
  readonly #units = new Map<number, CodeUnit>();
  /** The page entered last, and its block. */
  #page = -1;
  #block = 0;

  /** An empty space of `hart`. */
  constructor(hart: Hart, parts: SpaceParts, { tracing, translated }: SpaceKind) {
    this.hart = hart;
    this.tracing = tracing;
    this.translated = translated;
    this.#parts = parts;
    this.#view = parts.memory.hostView;
    this.table = parts.memory.heap.allocate(TABLE_SIZE, PAGE_SIZE);
    this.counter = tracing ? OVERHEAD : INSTRET;
  }

  /** Host address of a page's block, which is made if there is none; it is in use now. */
  enter(page: number): number {
    if (page === this.#page) return this.#block;
    const unit = this.unitOf(page);
    this.#parts.cache.touch(unit);
    this.#page = page;
    return this.#block = unit.address;
  }

  /** Whether a page has a block. */
  has(page: number): boolean {
    return this.#units.has(page);
  }

  /** A page's block, which is made if there is none. */
  unitOf(page: number): CodeUnit {
    return this.#units.get(page) ?? this.#make(page);
  }

  #make(page: number): CodeUnit {
    const unit = this.#parts.cache.allocate({
      owner: this,
      pages: [page],
      bytes: BLOCK_SIZE,
      align: MICRO_OP.size,
    });
    this.#units.set(page, unit);
    this.#view.setUint32(this.table + page * 4, unit.address, true);
    for (const guard of [BLOCK.guards, BLOCK.guards + 1, BLOCK.splitGuard]) {
      this.#view.setUint16(unit.address + guard * MICRO_OP.size, Handler.cross, true);
    }
    for (const pc of this.#parts.hooks.pages.get(page) ?? []) this.writeHook(pc, unit);
    this.#parts.pageMade(this, page);
    return unit;
  }

  /** Takes back what leads to units that are about to go. */
  release(unit: CodeUnit): void {
    const page = unit.pages[0]!;
    this.#units.delete(page);
    this.#view.setUint32(this.table + page * 4, 0, true);
    if (page === this.#page) this.#page = -1;
  }

  /** Says which handler a micro-op of a block has. */
  setHandler(unit: CodeUnit, at: number, handler: number): void {
    const before = this.#view.getUint16(at + MICRO_OP.handler, true);
    this.#view.setUint16(at + MICRO_OP.handler, handler, true);
    unit.instructions += Number(handler >= Handler.leave) - Number(before >= Handler.leave);
  }

  /** Makes what was decoded be decoded anew; hooks stay. See {@linkcode CodeOwner.forget}. */
  forget(unit: CodeUnit, start: number, end: number): boolean {
    const base = unit.pages[0]! * PAGE_SIZE;
    const last = Math.min(end, base + PAGE_SIZE);
    for (let pc = Math.max(start, base); pc < last; pc += 2) {
      const at = unit.address + (pc - base) * 8;
      const handler = this.#view.getUint16(at + MICRO_OP.handler, true);
      if (handler >= Handler.leave) this.setHandler(unit, at, Handler.undecoded);
    }
    return unit.instructions > 0;
  }

  /** Addresses of a block's instructions: it can be entered at each. */
  *entries(unit: CodeUnit): Iterable<number> {
    for (let half = 0; half < BLOCK.halves; half++) {
      const at = unit.address + half * MICRO_OP.size;
      if (this.#view.getUint16(at + MICRO_OP.handler, true) < Handler.leave) continue;
      yield unit.pages[0]! * PAGE_SIZE + half * 2;
    }
  }

  /** The words that a block's instructions were decoded from. */
  *words(unit: CodeUnit): Iterable<SourceWord> {
    const { fetched } = this.hart;
    for (const address of this.entries(unit)) {
      const at = unit.address + (address % PAGE_SIZE) * 8;
      const isSplit = this.#view.getUint16(at + MICRO_OP.handler, true) === this.#parts.split;
      const second = this.#view.getUint32(at + MICRO_OP.imm, true) * PAGE_SIZE;
      const bits = isSplit ? fetched.fetchSplit(address, second) : fetched.peek(address);
      if (bits !== undefined) yield { address, bits };
    }
  }

  /** Makes the micro-op at `pc` enter the region of a table entry; `shadow` is the one in its place. */
  writeEntrance(pc: number, slot: number, shadow: number): void {
    const unit = this.unitOf(Math.floor(pc / PAGE_SIZE));
    const at = unit.address + (pc % PAGE_SIZE) * 8;
    this.setHandler(unit, at, Handler.region);
    this.#view.setUint32(at + MICRO_OP.imm, slot, true);
    this.#view.setUint32(at + MICRO_OP.next, shadow, true);
  }

  /** Makes the micro-op at `pc` decoded anew if it enters the region of this table entry. */
  removeEntrance(pc: number, slot: number): void {
    const unit = this.#units.get(Math.floor(pc / PAGE_SIZE));
    if (!unit) return;
    const at = unit.address + (pc % PAGE_SIZE) * 8;
    if (this.#view.getUint16(at + MICRO_OP.handler, true) !== Handler.region) return;
    if (this.#view.getUint32(at + MICRO_OP.imm, true) !== slot) return;
    this.setHandler(unit, at, Handler.undecoded);
  }

  /** Makes the micro-op at `pc` the hook's, or decoded anew if there is none any more. */
  placeHook(pc: number): void {
    const unit = this.#units.get(Math.floor(pc / PAGE_SIZE));
    if (unit) this.writeHook(pc, unit);
  }

  /** Makes the micro-op at `pc` the hook's in the block that the page of `pc` leads to. */
  writeHook(pc: number, unit: CodeUnit): void {
    const at = unit.address + (pc % PAGE_SIZE) * 8;
    const hook = this.#parts.hooks.at(pc);
    // A thunk knows nothing of translation.
    const emit = this.translated ? undefined : hook?.emit;
    this.setHandler(unit, at, !hook ? Handler.undecoded : emit ? Handler.thunk : Handler.hook);
    if (!hook || !emit) return;
    this.#view.setUint32(at + MICRO_OP.imm, this.#parts.thunks.numberOf(pc, hook, emit), true);
  }
}
