/**
 * Page tables of three levels (Sv39), made as leaves are asked for: where the leaf of each page lies.
 *
 * What a leaf says is the test's affair.
 *
 * @module
 */
import type { Memory } from "../../lib/memory/memory.ts";
import { PAGE_SIZE } from "../../lib/memory/page.ts";

/** Tables in guest memory, from their root on. */
export class LeafTables {
  readonly #memory: Memory;
  readonly #root: number;
  /** Where the next table goes. */
  #next: number;

  /** Tables whose root is the page at `root`, which holds zeros, as do those behind it. */
  constructor(memory: Memory, root: number) {
    this.#memory = memory;
    this.#root = root;
    this.#next = root + PAGE_SIZE;
  }

  /** Makes the leaf of the page at a virtual address say `entry`. */
  set(address: number, entry: bigint): void {
    const { view } = this.#memory;
    let table = this.#root;
    for (const shift of [30, 21]) {
      const at = table + (Math.floor(address / 2 ** shift) % 512) * 8;
      if (view.getBigUint64(at, true) === 0n) {
        view.setBigUint64(at, BigInt(this.#next / PAGE_SIZE) << 10n | 1n, true);
        this.#next += PAGE_SIZE;
      }
      table = Number(view.getBigUint64(at, true) >> 10n) * PAGE_SIZE;
    }
    view.setBigUint64(table + (Math.floor(address / PAGE_SIZE) % 512) * 8, entry, true);
  }
}
