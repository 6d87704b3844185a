/**
 * The instructions that one hart has fetched, kept until its `fence.i`.
 *
 * An instruction is read from memory when it is first executed and kept until the hart's `fence.i`;
 * a store in between is not seen. The ISA allows more (a hart may fetch again whenever it likes);
 * this is the choice that makes a missing fence show, and the same on every engine, because all of
 * them fetch here.
 *
 * What was decoded from the words belongs to the engine that decoded it;
 * {@linkcode FetchCache.onDrop} tells it when to forget.
 *
 * @module
 */
import { EXECUTE, PAGE_SIZE } from "./page.ts";
import type { Memory } from "./memory.ts";

/** {@linkcode FetchCache.fetch}: nothing can be fetched at pc. */
export const FETCH_FAULT = -1;
/** {@linkcode FetchCache.fetch}: the first half is there, the second, at pc + 2, cannot be fetched. */
export const FETCH_FAULT_SECOND = -2;

const HALVES = PAGE_SIZE / 2;

/** Halfwords of a line: a page has room for as many instructions as it needs, a line at a time. */
const LINE = 128;
const LINE_SHIFT = 7;
/**
 * What a line says of an instruction is its bits with these ones the other way round. So 0 says that
 * none is held: no instruction of 16 bits has an upper half.
 */
const MARK = 0xffff0000;

/** Fetched instructions whose first halfword lies in one page. */
class FetchedPage {
  readonly #lines: (Uint32Array | undefined)[] = new Array(HALVES / LINE).fill(undefined);
  #count = 0;

  /** Whether no instruction of the page is held. */
  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** The bits of the instruction at a halfword of the page, or undefined. */
  at(half: number): number | undefined {
    const marked = this.#lines[Math.floor(half / LINE)]?.[half % LINE];
    return marked ? (marked ^ MARK) >>> 0 : undefined;
  }

  /** Holds an instruction at a halfword that has none yet. */
  hold(half: number, word: number): void {
    const line = this.#lines[Math.floor(half / LINE)] ??= new Uint32Array(LINE);
    line[half % LINE] = word ^ MARK;
    this.#count++;
  }

  /** Holds the instruction at a halfword no more. */
  drop(half: number): void {
    this.#lines[Math.floor(half / LINE)]![half % LINE] = 0;
    this.#count--;
  }

  /**
   * The halfwords from `start` up to `end` where an instruction is held that `halves`, what the
   * page has now and a halfword behind it, does not say.
   */
  changed(start: number, end: number, halves: Uint16Array): number[] {
    const changed: number[] = [];
    for (let first = start; first < end; first = (first | (LINE - 1)) + 1) {
      const line = this.#lines[first >>> LINE_SHIFT];
      const last = Math.min(end, (first | (LINE - 1)) + 1);
      for (let half = first; line && half < last; half++) {
        const marked = line[half & (LINE - 1)]!;
        if (marked === 0) continue;
        const low = halves[half]!;
        const now = (low & 3) !== 3 ? low : low | halves[half + 1]! << 16;
        if ((marked ^ MARK) !== now) changed.push(half);
      }
    }
    return changed;
  }

  /** The halfwords where an instruction is held. */
  all(): number[] {
    const held: number[] = [];
    this.#lines.forEach((line, number) => {
      line?.forEach((marked, at) => {
        if (marked !== 0) held.push(number * LINE + at);
      });
    });
    return held;
  }
}

/** One hart's fetched instructions, by halfword address. */
export class FetchCache {
  readonly #memory: Memory;
  readonly #pages = new Map<number, FetchedPage>();
  /** Pages whose text may have changed since it was fetched. */
  readonly #suspects = new Set<number>();
  /**
   * Instructions whose halves lie in two pages that are not adjacent, by the first half's address
   * and the second half's page.
   */
  readonly #split = new Map<number, Map<number, number>>();
  /** Pages that halves of such instructions lie in. */
  readonly #splitPages = new Set<number>();
  readonly #listeners = new Set<(pc: number) => void>();

  /** A cache of instructions in `memory` that holds none yet. */
  constructor(memory: Memory) {
    this.#memory = memory;
    memory.watch.onTextChange((page) => {
      if (this.#pages.has(page) || this.#pages.has(page - 1) || this.#splitPages.has(page)) {
        this.#suspects.add(page);
      }
    });
  }

  /**
   * The instruction at the even address `pc` as first fetched: 32 bits, unsigned, or 16 if it is
   * compressed. {@linkcode FETCH_FAULT} or {@linkcode FETCH_FAULT_SECOND} if it cannot be fetched.
   */
  fetch(pc: number): number {
    const number = Math.floor(pc / PAGE_SIZE);
    const half = (pc % PAGE_SIZE) >>> 1;
    let page = this.#pages.get(number);
    const held = page?.at(half);
    if (held !== undefined) return held;
    const word = this.#read(pc);
    if (word < 0) return word;
    if (!page) this.#pages.set(number, page = new FetchedPage());
    page.hold(half, word);
    this.#watch(pc, word);
    return word;
  }

  /** The instruction at `pc` if it is held, as {@linkcode FetchCache.fetch} gives it; fetches nothing. */
  peek(pc: number): number | undefined {
    return this.#pages.get(Math.floor(pc / PAGE_SIZE))?.at((pc % PAGE_SIZE) >>> 1);
  }

  /**
   * The first two bytes of the instruction at the even address `pc`: as they were fetched, also where
   * the other half lies apart, else as memory has them.
   */
  firstHalf(pc: number): number {
    const [apart] = this.#split.get(pc)?.values() ?? [];
    return (apart ?? this.peek(pc) ?? this.#memory.view.getUint16(pc, true)) & 0xffff;
  }

  /**
   * The instruction of four bytes whose halves lie at two places, as translation can make it, as
   * first fetched from there. Both must be executable.
   */
  fetchSplit(first: number, second: number): number {
    let words = this.#split.get(first);
    const page = Math.floor(second / PAGE_SIZE);
    let word = words?.get(page);
    if (word !== undefined) return word;
    word = (this.firstHalf(first) | this.#memory.view.getUint16(second, true) << 16) >>> 0;
    if (!words) this.#split.set(first, words = new Map());
    words.set(page, word);
    for (const each of [Math.floor(first / PAGE_SIZE), page]) {
      this.#splitPages.add(each);
      this.#memory.watch.watchText(each);
    }
    return word;
  }

  /** Asks to be told when the text of an instruction changes. */
  #watch(pc: number, word: number): void {
    const page = Math.floor(pc / PAGE_SIZE);
    this.#memory.watch.watchText(page);
    if ((word & 3) === 3 && (pc + 2) % PAGE_SIZE === 0) this.#memory.watch.watchText(page + 1);
  }

  /** What memory holds at `pc` now, as {@linkcode FetchCache.fetch} gives it. */
  #read(pc: number): number {
    if (!this.#executable(pc)) return FETCH_FAULT;
    const low = this.#memory.view.getUint16(pc, true);
    if ((low & 3) !== 3) return low;
    if (!this.#executable(pc + 2)) return FETCH_FAULT_SECOND;
    return (low | (this.#memory.view.getUint16(pc + 2, true) << 16)) >>> 0;
  }

  #executable(pc: number): boolean {
    const permissions = this.#memory.permissions[Math.floor(pc / PAGE_SIZE)] ?? 0;
    return (permissions & EXECUTE) !== 0;
  }

  /**
   * Forgets what was fetched, as `fence.i` does: looks only at pages whose text was stored to, or
   * whose permissions changed, since it last looked.
   */
  fence(): void {
    if (this.#suspects.size === 0) return;
    this.#dropSplit();
    for (const page of this.#suspects) {
      const base = page * PAGE_SIZE;
      this.#dropPages(base - 2, base + PAGE_SIZE);
      const here = this.#pages.get(page);
      if (here) this.#memory.watch.watchText(page);
      const before = this.#pages.get(page - 1);
      if (before?.at(HALVES - 1) !== undefined) this.#memory.watch.watchText(page);
    }
    this.#suspects.clear();
  }

  /**
   * Forgets what was fetched of the bytes from `start` up to `end`.
   *
   * An instruction that memory still holds unchanged would be fetched again as it is, so only
   * changed ones, and those no longer executable, are dropped: nobody can tell the difference.
   */
  drop(start = 0, end: number = 2 ** 32): void {
    this.#dropSplit();
    // An instruction of four bytes that begins at start - 2 reaches into the range.
    const first = Math.max(0, start - 2);
    for (const number of this.#pages.keys()) {
      const base = number * PAGE_SIZE;
      if (base + PAGE_SIZE <= first || base >= end) continue;
      this.#dropPages(Math.max(first, base), Math.min(end, base + PAGE_SIZE));
    }
  }

  /** Drops the changed instructions that begin from `start` up to `end`. */
  #dropPages(start: number, end: number): void {
    const last = Math.floor((end - 1) / PAGE_SIZE);
    for (let number = Math.floor(start / PAGE_SIZE); number <= last; number++) {
      const page = this.#pages.get(number);
      if (!page) continue;
      this.#dropChanged(page, number * PAGE_SIZE, start, end);
      if (page.isEmpty) this.#pages.delete(number);
    }
  }

  #dropChanged(page: FetchedPage, base: number, start: number, end: number): void {
    const first = Math.max(0, start - base) >>> 1;
    const last = Math.min(HALVES, Math.ceil((end - base) / 2));
    for (const half of this.#changedIn(page, base, first, last)) {
      page.drop(half);
      for (const listener of this.#listeners) listener(base + half * 2);
    }
  }

  /** Halfwords of a page from `first` up to `last` whose instructions are not what was fetched. */
  #changedIn(page: FetchedPage, base: number, first: number, last: number): number[] {
    if (!this.#executable(base)) return page.all().filter((half) => half >= first && half < last);
    const { bytes: { buffer } } = this.#memory;
    const whole = base + PAGE_SIZE < buffer.byteLength;
    const halves = new Uint16Array(buffer, base, HALVES + (whole ? 1 : 0));
    const changed = page.changed(first, last, halves);
    // An instruction of four bytes at the end is gone, too, where its second half is nowhere.
    const end = page.at(HALVES - 1);
    if (last < HALVES || end === undefined || (end & 3) !== 3) return changed;
    if (changed.at(-1) !== HALVES - 1 && !this.#executable(base + PAGE_SIZE)) {
      changed.push(HALVES - 1);
    }
    return changed;
  }

  /** Drops split instructions of which a half changed or can no longer be fetched. */
  #dropSplit(): void {
    const { view, watch } = this.#memory;
    for (const [first, words] of this.#split) {
      const start = Math.floor(first / PAGE_SIZE);
      const held = words.size;
      for (const [page, word] of words) {
        const second = first % PAGE_SIZE === PAGE_SIZE - 2 ? page * PAGE_SIZE : first + 2;
        const now = (view.getUint16(first, true) | view.getUint16(second, true) << 16) >>> 0;
        if (now === word && this.#executable(first) && this.#executable(second)) {
          watch.watchText(start);
          watch.watchText(page);
        } else words.delete(page);
      }
      if (words.size === held) continue;
      if (words.size === 0) this.#split.delete(first);
      for (const listener of this.#listeners) listener(first);
    }
  }

  /**
   * Calls `listener` with the address of each instruction that is dropped, until it is disposed of.
   * Where halves lie apart, that is the first one's.
   */
  onDrop(listener: (pc: number) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}
