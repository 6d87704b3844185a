/**
 * Areas of guest memory that compiled code takes for granted: runs of pages that all allow reads, or
 * quiet writes.
 *
 * A check is then one comparison with the area that its register pointed into when it was last
 * looked at; another area is the exact question's (`look_closer.ts`). What an area allows can only
 * change while no region runs, and whoever relies on one is dropped when it loses a page.
 *
 * @module
 */
import type { Memory } from "../../memory/memory.ts";
import { EXECUTE, GUEST_PAGES, PAGE_SIZE, READ, WRITE } from "../../memory/page.ts";
import { QUIET } from "../../memory/store_watch.ts";

/** Bytes from `start` up to `end` that may be read, and quietly written if `writes`. */
export interface Area {
  readonly start: number;
  readonly end: number;
  readonly writes: boolean;
}

/** The areas that some code relies on. */
export class Areas {
  readonly #memory: Memory;
  /** All areas that somebody may rely on, by what they are. */
  readonly #all = new Map<string, Area>();
  /** Those that were measured since a page last changed. */
  #measured: Area[] = [];
  /** Pages that were taken for data and then fetched from: code is written there again and again. */
  readonly #fickle = new Set<number>();
  /** What each page allows for quiet stores. */
  readonly #quiet: Uint8Array;

  /** Areas of `memory`; `lost` is told of each that no longer allows what it did. */
  constructor(memory: Memory, lost: (area: Area) => void) {
    this.#memory = memory;
    this.#quiet = memory.hostBytes.subarray(QUIET, QUIET + GUEST_PAGES);
    memory.watch.onChange((first, last) => {
      this.#measured = [];
      for (const [key, area] of this.#all) {
        if (!this.#isBroken(area, first, last)) continue;
        this.#all.delete(key);
        if (area.writes) this.#distrust(first, last);
        lost(area);
      }
    });
  }

  /** The area around an address, or undefined if nothing there allows the access. */
  around(address: number, writes: boolean): Area | undefined {
    if (!(address >= 0 && address < 2 ** 32)) return undefined;
    const page = Math.floor(address / PAGE_SIZE);
    if (!this.#allows(page, writes)) return undefined;
    const known = this.#measured.find((each) =>
      each.writes === writes && each.start <= address && address < each.end
    );
    if (known) return known;
    const now = this.#measure(page, writes);
    const key = `${now.start} ${now.end} ${writes}`;
    const area = this.#all.get(key) ?? now;
    this.#all.set(key, area);
    this.#measured.push(area);
    return area;
  }

  /** Takes pages that are text now for data no more. */
  #distrust(first: number, last: number): void {
    const { permissions } = this.#memory;
    for (let page = first; page < last; page++) {
      if ((permissions[page]! & EXECUTE) !== 0) this.#fickle.add(page);
    }
  }

  /** Where text may be written, only what lies behind is data: text that is still to come is not. */
  #measure(page: number, writes: boolean): Area {
    const { permissions } = this.#memory;
    const mixed = writes && (permissions[page]! & EXECUTE) !== 0;
    let first = page, last = page + 1;
    // Memory is often a hundred thousand pages in one piece.
    const wanted = writes ? READ | WRITE : READ;
    const pages = writes ? this.#quiet : permissions;
    const fickle = writes && this.#fickle.size > 0 ? this.#fickle : undefined;
    while (
      !mixed && first > 0 && (pages[first - 1]! & wanted) === wanted && !fickle?.has(first - 1)
    ) first--;
    while (
      last < GUEST_PAGES && (pages[last]! & wanted) === wanted && !fickle?.has(last)
    ) last++;
    return { start: first * PAGE_SIZE, end: last * PAGE_SIZE, writes };
  }

  #allows(page: number, writes: boolean): boolean {
    const { permissions, watch } = this.#memory;
    const wanted = writes ? READ | WRITE : READ;
    return (permissions[page]! & wanted) === wanted &&
      (!writes || (watch.isQuiet(page) && !this.#fickle.has(page)));
  }

  #isBroken({ start, end, writes }: Area, first: number, last: number): boolean {
    const from = Math.max(first, start / PAGE_SIZE), to = Math.min(last, end / PAGE_SIZE);
    for (let page = from; page < to; page++) if (!this.#allows(page, writes)) return true;
    return false;
  }
}
