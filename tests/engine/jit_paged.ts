/**
 * Page tables for the random programs: each virtual page has a physical one far from it, and far from
 * its neighbours' or beside them; what a program may do with it can change while it runs. Entries are
 * marked as accessed and dirty by the hart, or are to be by whoever handles the fault.
 *
 * @module
 */
import type { Hart } from "../../lib/hart/hart.ts";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../../lib/memory/page.ts";
import { LeafTables } from "./leaf_tables.ts";
import type { Random } from "./random.ts";

/** Where physical pages are handed out, and where the tables are. */
const FRAMES = 0x8000000, TABLES = 0xc000000;
/** How many frames there are: a prime, so that any stride reaches all of them. */
const FRAME_COUNT = 251, STRIDES = [1, 1, 97];
/** Pages that tables take. */
const TABLE_COUNT = 64;
/** Bits of a page table's entry: valid, for users, accessed, dirty. */
const VALID = 1, USER = 16, ACCESSED = 64, DIRTY = 128;
/** How far from its code a program finds it a second time. */
export const ALIAS = 0x10000000;

/** The page tables of one hart. */
export class PageTables {
  readonly #hart: Hart;
  readonly #random: Random;
  readonly #frames = new Map<number, number>();
  readonly #stride: number;
  readonly #tables: LeafTables;

  /** Puts the hart into `mode` behind empty tables. */
  constructor(hart: Hart, mode: "S" | "U", random: Random) {
    this.#hart = hart;
    this.#random = random;
    this.#stride = random.pick(STRIDES);
    const { memory, csrs } = hart;
    memory.map(FRAMES, FRAME_COUNT * PAGE_SIZE, READ | WRITE | EXECUTE);
    memory.map(TABLES, TABLE_COUNT * PAGE_SIZE, READ | WRITE);
    this.#tables = new LeafTables(memory, TABLES);
    csrs.write(0x3b0, -1n);
    csrs.write(0x3a0, 0x1fn);
    csrs.write(0x180, 8n << 60n | BigInt(TABLES / PAGE_SIZE));
    if (random.below(4) === 0) hart.system!.menvcfg = 0n;
    hart.mode = mode;
    hart.system!.changed();
  }

  /** Physical address of what a virtual one was ever mapped to. */
  physical(address: number): number {
    const page = Math.floor(address / PAGE_SIZE);
    let frame = this.#frames.get(page);
    if (frame === undefined) {
      if (this.#frames.size === FRAME_COUNT) throw new RangeError("Cannot map: no frame is left");
      this.#frames.set(
        page,
        frame = FRAMES + (this.#frames.size * this.#stride % FRAME_COUNT) * PAGE_SIZE,
      );
    }
    return frame + address % PAGE_SIZE;
  }

  /** What the tables say, and of what has been accessed. */
  get bytes(): Uint8Array {
    return this.#hart.memory.bytes.subarray(TABLES, TABLES + TABLE_COUNT * PAGE_SIZE);
  }

  /** Makes a page another name of one that is mapped. */
  alias(address: number, of: number): void {
    this.#frames.set(address / PAGE_SIZE, this.physical(of));
  }

  /** Maps a page with these permissions, or unmaps it; its bytes stay. */
  protect(address: number, permissions: number): void {
    const user = this.#hart.mode === "U" ? USER : 0;
    const seen = this.#random.pick([0, ACCESSED, ACCESSED | DIRTY]);
    const rights = (permissions & READ ? 2 : 0) | (permissions & WRITE ? 4 : 0) |
      (permissions & EXECUTE ? 8 : 0);
    const flags = permissions === 0 ? 0 : VALID | user | seen | rights;
    const frame = BigInt(this.physical(address) / PAGE_SIZE);
    this.#tables.set(address, flags === 0 ? 0n : frame << 10n | BigInt(flags));
    this.#hart.system!.translation.fence(undefined, undefined);
  }
}
