/**
 * One hart's translations, in host memory, where emitted code looks them up.
 *
 * There are several banks, one for each mode and kind of access, so that changing between them
 * forgets nothing. An entry maps one page of 4 KiB, also where the leaf covers more; what larger
 * leaves were filled from is remembered beside, so that one address of them names all their pages.
 *
 * A bank has entries for data, and others for fetches, to which an engine may add where it keeps
 * what it made of the page. Who fills them is `lib/hart/translation.ts`.
 *
 * A bank has room, too, for areas: runs of pages that lie in one row in physical memory as well and
 * all have an entry for data. An engine keeps them there (`lib/engine/jit/find_area.ts`); they are
 * forgotten as soon as a bank loses any translation, or a page may no longer be stored to quietly.
 *
 * @module
 */
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "./page.ts";
import type { Memory } from "./memory.ts";

/** How many TLB banks a hart has, for its modes and kinds of access. */
export const TLB_BANKS = 5;

/** Layout of an entry for data. */
export const DATA_ENTRY = {
  size: 32,
  count: 1024,
  /** i64: address of the virtual page if it may be read, else −1. */
  read: 0,
  /** i64: the same for writing. */
  write: 8,
  /** i32: what is added to a virtual address, modulo 2^32. */
  addend: 16,
  /** u32: 1 if the page is for all address spaces. */
  global: 20,
  /** u8: number of the area for reads that the page may be in; behind it that of the one for writes. */
  area: 24,
} as const;

/** Layout of an entry for fetches. */
export const FETCH_ENTRY = {
  size: 16,
  count: 512,
  /** i64: address of the virtual page, or −1. */
  page: 0,
  /** u32: number of the physical page; bit 31 is set if it is for all address spaces. */
  physical: 8,
  /** u32: a word of the engine's own, 0 when the entry is filled. */
  own: 12,
} as const;

/**
 * Layout of an area: i64 address of its first byte, i64 its size, i32 what is added to an address in
 * it, modulo 2^32. One without bytes is none.
 */
export const AREA = { size: 24, start: 0, bytes: 8, addend: 16 } as const;
/** Areas for reads that a bank has room for, and as many for writes: a power of two. */
export const AREA_COUNT = 16;

const PAGE_BITS = Math.log2(PAGE_SIZE);
const DATA_SIZE = DATA_ENTRY.size * DATA_ENTRY.count;
const FETCH_SIZE = FETCH_ENTRY.size * FETCH_ENTRY.count;

/** Where a bank has its areas, in bytes behind its entries for data. */
export const BANK_AREAS = {
  /** Areas for reads, each followed by one for writes. */
  all: DATA_SIZE + FETCH_SIZE,
  /** u32: how many areas were put there. */
  used: DATA_SIZE + FETCH_SIZE + 2 * AREA_COUNT * AREA.size,
} as const;
const BANK_SIZE = BANK_AREAS.used + 8;
const GLOBAL = 0x80000000;
/** log2 of the sizes of larger leaves. */
const LARGE = [21n, 30n, 39n, 48n];
const OFFSET = 4095n;

/** The translation of one page, to be put into the TLB. */
export interface Translated {
  /** Address of the virtual page, signed. */
  readonly page: bigint;
  /** Address of the physical page. */
  readonly physical: number;
  /** READ and WRITE, or EXECUTE: what may be done without asking again. */
  readonly permissions: number;
  /** log2 of the bytes that its leaf covers. */
  readonly bits: number;
  /** Whether the leaf is for all address spaces. */
  readonly global: boolean;
}

/** The low half of an address, signed. */
function low32(address: bigint): number {
  return Number(BigInt.asIntN(32, address));
}

/** Which of `count` entries is for an address, by its low half: no bit above is asked for. */
function indexOf(low: number, count: number): number {
  return (low >>> PAGE_BITS) & (count - 1);
}

/** Where in a bank the entry for fetches from a virtual page is, in bytes, by the page's number. */
export function fetchOffset(page: number): number {
  const { count, size } = FETCH_ENTRY;
  return (((page % count) + count) % count) * size;
}

/** One hart's TLB: translations of pages, in banks. */
export class Tlb {
  readonly #memory: Memory;
  readonly #view: DataView;
  readonly #start: number;
  readonly #used: boolean[] = new Array(TLB_BANKS).fill(true);
  /** By both banks, those that were asked for since something was last lost. */
  readonly #generations: (bigint | undefined)[] = new Array(TLB_BANKS ** 2).fill(undefined);
  #lastGeneration = 0n;
  /** Larger leaves that entries were filled from, by log2 of their size. */
  readonly #large = new Map<bigint, Set<bigint>>(LARGE.map((bits) => [bits, new Set()]));

  /** Allocates empty banks in host memory. */
  constructor(memory: Memory) {
    this.#memory = memory;
    this.#view = memory.hostView;
    this.#start = memory.heap.allocate(BANK_SIZE * TLB_BANKS, PAGE_SIZE);
    this.flush();
    memory.watch.onChange(() => this.#lost());
  }

  /**
   * A number for what these banks know now. It is another one whenever what they knew before may no
   * longer be true, or somebody has to be told of stores to a page.
   */
  generation(dataBank: number, fetchBank: number): bigint {
    return this.#generations[dataBank * TLB_BANKS + fetchBank] ??= ++this.#lastGeneration;
  }

  /** Something is no longer known: forgets what was made of it. */
  #lost(): void {
    this.#generations.fill(undefined);
    for (let bank = 0; bank < TLB_BANKS; bank++) {
      if (!this.#used[bank]) continue;
      const start = this.dataOf(bank);
      this.#memory.hostBytes.fill(0, start + BANK_AREAS.all, start + BANK_SIZE);
    }
  }

  /** Host address of a bank's entries for data. */
  dataOf(bank: number): number {
    return this.#start + bank * BANK_SIZE;
  }

  /** Host address of a bank's entries for fetches. */
  fetchesOf(bank: number): number {
    return this.dataOf(bank) + DATA_SIZE;
  }

  /** Host address of the entry for fetches from an address. */
  fetchEntry(bank: number, address: bigint): number {
    return this.fetchesOf(bank) + indexOf(low32(address), FETCH_ENTRY.count) * FETCH_ENTRY.size;
  }

  #dataEntry(bank: number, address: bigint): number {
    return this.dataOf(bank) + indexOf(low32(address), DATA_ENTRY.count) * DATA_ENTRY.size;
  }

  /** Whether a tag is the page of an address; in halves, as V8 allocates other numbers of 64 bits. */
  #isPageOf(tag: number, address: bigint): boolean {
    const view = this.#view;
    return view.getInt32(tag, true) === (low32(address) & -PAGE_SIZE) &&
      view.getInt32(tag + 4, true) === Number(BigInt.asIntN(32, address >> 32n));
  }

  /** The physical address of data at a signed virtual one, or −1 where none is known. */
  data(bank: number, address: bigint, access: number): number {
    const entry = this.#dataEntry(bank, address);
    const tag = entry + (access & WRITE ? DATA_ENTRY.write : DATA_ENTRY.read);
    if (!this.#isPageOf(tag, address)) return -1;
    const addend = this.#view.getInt32(entry + DATA_ENTRY.addend, true);
    return (low32(address) + addend) >>> 0;
  }

  /** The physical address of a fetch, or -1 if the TLB does not have its page. */
  fetch(bank: number, address: bigint): number {
    const entry = this.fetchEntry(bank, address);
    if (!this.#isPageOf(entry, address)) return -1;
    const page = this.#view.getUint32(entry + FETCH_ENTRY.physical, true) & 0x7fffffff;
    return page * PAGE_SIZE + (low32(address) & (PAGE_SIZE - 1));
  }

  /** Enters the translation of a page for loads and stores. */
  fillData(bank: number, { page, physical, permissions, bits, global }: Translated): void {
    const view = this.#view;
    const entry = this.#dataEntry(bank, page);
    const addend = physical - Number(BigInt.asUintN(32, page));
    if (this.#loses(entry, page, addend | 0, permissions)) this.#lost();
    view.setBigInt64(entry + DATA_ENTRY.read, permissions & READ ? page : -1n, true);
    view.setBigInt64(entry + DATA_ENTRY.write, permissions & WRITE ? page : -1n, true);
    view.setInt32(entry + DATA_ENTRY.addend, addend, true);
    view.setUint32(entry + DATA_ENTRY.global, global ? 1 : 0, true);
    this.#filled(bank, page, bits);
  }

  /** Whether an entry for data says something that is no longer true when it is filled so. */
  #loses(entry: number, page: bigint, addend: number, permissions: number): boolean {
    const view = this.#view;
    const read = view.getBigInt64(entry + DATA_ENTRY.read, true);
    const write = view.getBigInt64(entry + DATA_ENTRY.write, true);
    if (read === -1n && write === -1n) return false;
    return view.getInt32(entry + DATA_ENTRY.addend, true) !== addend ||
      (read !== -1n && (read !== page || !(permissions & READ))) ||
      (write !== -1n && (write !== page || !(permissions & WRITE)));
  }

  /** Enters the translation of a page for fetches, if it is executable. */
  fillFetch(bank: number, { page, physical, permissions, bits, global }: Translated): void {
    if (!(permissions & EXECUTE)) return;
    const view = this.#view;
    const entry = this.fetchEntry(bank, page);
    if (view.getBigInt64(entry, true) !== -1n) this.#lost();
    view.setBigInt64(entry, page, true);
    const number = physical / PAGE_SIZE + (global ? GLOBAL : 0);
    view.setUint32(entry + FETCH_ENTRY.physical, number, true);
    view.setUint32(entry + FETCH_ENTRY.own, 0, true);
    this.#filled(bank, page, bits);
  }

  #filled(bank: number, page: bigint, bits: number): void {
    this.#used[bank] = true;
    if (bits > 12) this.#large.get(BigInt(bits))!.add(page >> BigInt(bits));
  }

  /** Clears the engine's own word in the entries for fetches from an address. */
  forgetOwn(address: bigint): void {
    for (let bank = 0; bank < TLB_BANKS; bank++) {
      this.#view.setUint32(this.fetchEntry(bank, address) + FETCH_ENTRY.own, 0, true);
    }
  }

  /** Clears the engine's own word in all entries for fetches where it is one of these. */
  forgetOwns(owns: ReadonlySet<number>): void {
    for (let bank = 0; bank < TLB_BANKS; bank++) {
      if (!this.#used[bank]) continue;
      for (let k = 0; k < FETCH_ENTRY.count; k++) {
        const at = this.fetchesOf(bank) + k * FETCH_ENTRY.size + FETCH_ENTRY.own;
        if (owns.has(this.#view.getUint32(at, true))) this.#view.setUint32(at, 0, true);
      }
    }
  }

  /** Empties all banks, as `sfence.vma` without operands does. */
  flush(): void {
    for (let bank = 0; bank < TLB_BANKS; bank++) this.flushBank(bank);
    for (const leaves of this.#large.values()) leaves.clear();
  }

  /** Empties one bank. */
  flushBank(bank: number): void {
    if (!this.#used[bank]) return;
    this.#lost();
    this.#used[bank] = false;
    const start = this.dataOf(bank);
    this.#memory.hostBytes.fill(0xff, start, start + BANK_AREAS.all);
  }

  /** Drops the entries that are not global. */
  flushLocal(): void {
    this.#dropWhere((_page, global) => !global);
  }

  /** Forgets what the leaf for one address led to; `all` is false to spare what is global. */
  flushPage(address: bigint, all: boolean): void {
    const page = address & ~OFFSET;
    this.#lost();
    const leaf = LARGE.find((bits) => this.#large.get(bits)!.has(page >> bits));
    if (leaf !== undefined) {
      this.#dropWhere((each, global) => each >> leaf === page >> leaf && (all || !global));
      if (all) this.#large.get(leaf)!.delete(page >> leaf);
      return;
    }
    const matches = (each: bigint, global: boolean) => each === page && (all || !global);
    for (let bank = 0; bank < TLB_BANKS; bank++) {
      if (!this.#used[bank]) continue;
      this.#dropData(this.#dataEntry(bank, page), matches);
      this.#dropFetch(this.fetchEntry(bank, page), matches);
    }
  }

  #dropWhere(matches: (page: bigint, global: boolean) => boolean): void {
    this.#lost();
    for (let bank = 0; bank < TLB_BANKS; bank++) {
      if (!this.#used[bank]) continue;
      for (let k = 0; k < DATA_ENTRY.count; k++) {
        this.#dropData(this.dataOf(bank) + k * DATA_ENTRY.size, matches);
      }
      for (let k = 0; k < FETCH_ENTRY.count; k++) {
        this.#dropFetch(this.fetchesOf(bank) + k * FETCH_ENTRY.size, matches);
      }
    }
  }

  #dropData(entry: number, matches: (page: bigint, global: boolean) => boolean): void {
    const view = this.#view;
    // Only what is no address ends in ones; most entries are none, and this is quick.
    const none = (tag: number) => view.getInt32(entry + tag, true) === -1;
    if (none(DATA_ENTRY.read) && none(DATA_ENTRY.write)) return;
    const read = view.getBigInt64(entry + DATA_ENTRY.read, true);
    const page = read !== -1n ? read : view.getBigInt64(entry + DATA_ENTRY.write, true);
    if (!matches(page, view.getUint32(entry + DATA_ENTRY.global, true) === 1)) return;
    view.setBigInt64(entry + DATA_ENTRY.read, -1n, true);
    view.setBigInt64(entry + DATA_ENTRY.write, -1n, true);
  }

  #dropFetch(entry: number, matches: (page: bigint, global: boolean) => boolean): void {
    if (this.#view.getInt32(entry, true) === -1) return;
    const page = this.#view.getBigInt64(entry, true);
    const physical = this.#view.getUint32(entry + FETCH_ENTRY.physical, true);
    if (matches(page, physical >= GLOBAL)) this.#view.setBigInt64(entry, -1n, true);
  }
}
