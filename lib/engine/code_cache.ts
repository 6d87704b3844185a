/**
 * Who owns what was translated: units of decoded or emitted code by physical page, in host memory.
 *
 * A unit is what an engine made of instructions that one hart has fetched: the micro-ops of a page,
 * or a region that was compiled. The cache knows where each lies and what it was made from, lets the
 * oldest go when a budget is spent, and drops what is no longer true. That is never a loss, because
 * the words themselves are kept by the hart's `FetchCache`: whoever comes by again translates the
 * same words anew.
 *
 * A unit goes only while no emitted code runs, and never by itself: whoever leads jumps to units
 * listens, and takes its pointers back before the memory is anybody else's.
 *
 * @module
 */
import type { Hart } from "../hart/hart.ts";
import type { HostHeap } from "../memory/host_heap.ts";
import { PAGE_SIZE } from "../memory/page.ts";

/** Bytes of units that are kept unless another budget is given: 256 MiB. */
export const DEFAULT_BUDGET: number = 256 * 2 ** 20;
/** How much of the budget becomes free at once when it is spent. */
const EVICTED = 1 / 16;

/** An instruction that a unit was made from. */
export interface SourceWord {
  /** Physical address of the instruction. */
  readonly address: number;
  /** The bits as fetched: 16 of them if compressed. */
  readonly bits: number;
}

/** Whose units they are: one hart's, in one way in which it executes. */
export interface CodeOwner {
  /** The hart that fetched what they were made from. */
  readonly hart: Hart;
  /**
   * Takes out of a unit what was made from the bytes from `start` up to `end`.
   *
   * @returns Whether anything is left for which the unit is to be kept.
   */
  forget(unit: CodeUnit, start: number, end: number): boolean;
  /** Whether a unit was in use since this was last asked; absent where the owner says so itself. */
  takeUsed?(unit: CodeUnit): boolean;
  /** Physical addresses at which a unit can be entered. */
  entries(unit: CodeUnit): Iterable<number>;
  /** What a unit was made from. */
  words(unit: CodeUnit): Iterable<SourceWord>;
}

/** A piece of translated code. */
export interface CodeUnit {
  /** Who made it. */
  readonly owner: CodeOwner;
  /** Numbers of the physical pages that its instructions begin in. */
  readonly pages: readonly number[];
  /** Where it lies in host memory. */
  readonly address: number;
  /** Bytes there. */
  readonly size: number;
  /** How many instructions it stands for now; the owner counts them. */
  instructions: number;
}

/** Addresses that instructions begin between, both included. */
export interface Extent {
  readonly first: number;
  readonly last: number;
}

/** The extent of a unit that does not say it. */
const EVERYWHERE: Extent = { first: 0, last: Infinity };
/** Bytes of a line: many units of a page are told apart by where in it they are. */
const LINE = 128;
/** A unit that reaches over more lines is looked for by its pages alone. */
const MOST_LINES = 128;

/** What a unit is to be. */
export interface UnitRequest {
  /** Who makes it. */
  readonly owner: CodeOwner;
  /** Numbers of the physical pages that its instructions begin in. */
  readonly pages: readonly number[];
  /** Physical addresses that its instructions begin between, both included; else all of the pages. */
  readonly extent?: Extent;
  /** Bytes of host memory; 0 if all of it lies elsewhere. */
  readonly bytes: number;
  /** What its address is a multiple of; 16 unless given. */
  readonly align?: number;
  /** Bytes that count: more than `bytes` where some lie elsewhere, as a compiled module does. */
  readonly cost?: number;
}

/** A unit, what it costs, and when it was last used. */
interface AgedUnit extends CodeUnit {
  readonly extent: Extent;
  readonly cost: number;
  age: number;
}

/** All translated code of one memory. */
export class CodeCache {
  readonly #heap: HostHeap;
  readonly #budget: number;
  readonly #units = new Set<AgedUnit>();
  readonly #byPage = new Index();
  /** Those that reach over few lines, by these. */
  readonly #byLine = new Index();
  /** The others, by page. */
  readonly #wide = new Index();
  readonly #listeners = new Set<(units: ReadonlySet<CodeUnit>) => void>();
  #used = 0;
  #clock = 0;

  /** An empty cache on a heap, of `budget` bytes at most. */
  constructor(heap: HostHeap, budget: number = DEFAULT_BUDGET) {
    this.#heap = heap;
    this.#budget = budget;
  }

  /** Bytes that all units cost. */
  get used(): number {
    return this.#used;
  }

  /** How many units there are. */
  get size(): number {
    return this.#units.size;
  }

  /**
   * Makes a unit of zeroed bytes. The oldest others go where the budget, or the heap, has no room.
   *
   * @throws {RangeError} If the heap has no room even without any other unit.
   */
  allocate(request: UnitRequest): CodeUnit {
    const { owner, pages, extent = EVERYWHERE, bytes, align = 16, cost = bytes } = request;
    const missing = this.#used + cost - this.#budget;
    if (missing > 0) this.evict(missing + this.#budget * EVICTED);
    const unit: AgedUnit = {
      owner,
      pages,
      extent,
      cost,
      size: bytes,
      address: bytes > 0 ? this.#take(bytes, align) : 0,
      instructions: 0,
      age: ++this.#clock,
    };
    this.#units.add(unit);
    this.#used += cost;
    for (const page of pages) this.#byPage.add(page, unit);
    const lines = linesOf(unit);
    if (lines) { for (const line of lines) this.#byLine.add(line, unit); }
    else for (const page of pages) this.#wide.add(page, unit);
    return unit;
  }

  /** Room on the heap, which rings and whatever else take from, too. */
  #take(bytes: number, align: number): number {
    try {
      return this.#heap.allocate(bytes, align);
    } catch (reason) {
      if (!(reason instanceof RangeError) || this.#units.size === 0) throw reason;
      this.evict(this.#used);
      return this.#heap.allocate(bytes, align);
    }
  }

  /** Whether units that cost so much together can all be kept. */
  fits(cost: number): boolean {
    return cost <= this.#budget * (1 - EVICTED);
  }

  /** Says that a unit is in use: of all, it is now the youngest. */
  touch(unit: CodeUnit): void {
    (unit as AgedUnit).age = ++this.#clock;
  }

  /** Units with instructions that begin in a physical page. */
  at(page: number): readonly CodeUnit[] {
    return this.#byPage.at(page);
  }

  /** Lets the oldest units go, as many as cost `bytes`, or all of them. */
  evict(bytes: number): void {
    const going = new Set<AgedUnit>();
    let left = bytes;
    const byAge = (a: AgedUnit, b: AgedUnit) => a.age - b.age;
    const units = [...this.#units].sort(byAge);
    for (const unit of units) if (unit.owner.takeUsed?.(unit)) this.touch(unit);
    for (const unit of units.sort(byAge)) {
      if (left <= 0) break;
      going.add(unit);
      left -= unit.cost;
    }
    this.#release(going);
  }

  /** Lets one unit go. */
  drop(unit: CodeUnit): void {
    if (this.#units.has(unit as AgedUnit)) this.#release(new Set([unit as AgedUnit]));
  }

  /** Drops what was made from a physical page: all of it, or one hart's. */
  invalidatePage(page: number, hart?: Hart): void {
    this.invalidate(page * PAGE_SIZE, (page + 1) * PAGE_SIZE, hart);
  }

  /** Drops what was made from the instruction that begins at a physical address. */
  invalidateAddress(address: number, hart?: Hart): void {
    this.#forget(this.#wide.at(Math.floor(address / PAGE_SIZE)), address, address + 2, hart);
    this.#forget(this.#byLine.at(Math.floor(address / LINE)), address, address + 2, hart);
  }

  /** Drops what was made from instructions that begin from `start` up to `end`. */
  invalidate(start: number, end: number, hart?: Hart): void {
    const first = Math.floor(start / PAGE_SIZE), last = Math.ceil(end / PAGE_SIZE);
    for (let page = first; page < last; page++) {
      this.#forget(this.#byPage.at(page), start, end, hart);
    }
  }

  #forget(units: readonly AgedUnit[], start: number, end: number, hart?: Hart): void {
    let going: Set<AgedUnit> | undefined;
    for (const unit of units) {
      const { first, last } = unit.extent;
      if (start > last || end <= first) continue;
      if (hart !== undefined && unit.owner.hart !== hart) continue;
      if (!unit.owner.forget(unit, start, end)) (going ??= new Set()).add(unit);
    }
    if (going) this.#release(going);
  }

  /** Calls `listener` with units that are about to go, until it is disposed of. */
  onRelease(listener: (units: ReadonlySet<CodeUnit>) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Gives units back: first nothing leads there any more, then the memory is free. */
  #release(units: ReadonlySet<AgedUnit>): void {
    if (units.size === 0) return;
    for (const listener of this.#listeners) listener(units);
    for (const unit of units) {
      this.#units.delete(unit);
      this.#used -= unit.cost;
      for (const page of unit.pages) {
        this.#byPage.remove(page, unit);
        this.#wide.remove(page, unit);
      }
      for (const line of linesOf(unit) ?? []) this.#byLine.remove(line, unit);
      if (unit.size > 0) this.#heap.free(unit.address);
    }
  }
}

const NONE: readonly AgedUnit[] = [];

/** Units by numbers of where they are. */
class Index {
  readonly #units = new Map<number, AgedUnit[]>();

  at(number: number): readonly AgedUnit[] {
    return this.#units.get(number) ?? NONE;
  }

  add(number: number, unit: AgedUnit): void {
    const here = this.#units.get(number);
    if (here) here.push(unit);
    else this.#units.set(number, [unit]);
  }

  /** Takes a unit out, if it is there; whoever goes through a list goes on with what it was. */
  remove(number: number, unit: AgedUnit): void {
    const here = this.#units.get(number);
    if (!here) return;
    const rest = here.filter((each) => each !== unit);
    if (rest.length > 0) this.#units.set(number, rest);
    else this.#units.delete(number);
  }
}

/** Numbers of the lines that a unit reaches over; undefined if they are many. */
function linesOf({ extent: { first, last } }: AgedUnit): number[] | undefined {
  const line = Math.floor(first / LINE), count = Math.floor(last / LINE) - line + 1;
  return count > MOST_LINES ? undefined : Array.from({ length: count }, (_, k) => line + k);
}
