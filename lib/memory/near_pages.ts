/**
 * Which pages allow an access together with both their neighbours.
 *
 * Compiled code that has looked one address up may then access whatever lies up to a page before or
 * behind it. A byte of 0 only says that it has to look closer: the address may be allowed all the
 * same. What pages allow is `memory.ts`, and which stores somebody watches `store_watch.ts`.
 *
 * @module
 */
import { GUEST_PAGES, READ, WRITE } from "./page.ts";

/** Host memory: 1 for each guest page that may be read, and its neighbours, too. */
export const NEAR_READ = 0x300000;
/** Host memory: 1 for each guest page that may be read and quietly written, and its neighbours, too. */
export const NEAR_WRITE = 0x400000;

/** The two tables, kept up to date. */
export class NearPages {
  readonly #permissions: Uint8Array;
  readonly #quiet: Uint8Array;
  readonly #read: Uint8Array;
  readonly #write: Uint8Array;

  /** Looks at all pages; `quiet` are the permissions for stores that nobody watches. */
  constructor(host: ArrayBufferLike, permissions: Uint8Array, quiet: Uint8Array) {
    this.#permissions = permissions;
    this.#quiet = quiet;
    this.#read = new Uint8Array(host, NEAR_READ, GUEST_PAGES);
    this.#write = new Uint8Array(host, NEAR_WRITE, GUEST_PAGES);
    for (const [first, last] of mapped(permissions)) this.update(first, last);
  }

  /** To be called when what pages from `first` up to `last` allow has changed. */
  update(first: number, last: number): void {
    const start = Math.max(1, first - 1), end = Math.min(GUEST_PAGES - 1, last + 1);
    for (let page = start; page < end; page++) {
      this.#read[page] = Number(this.#all(this.#permissions, page, READ));
      this.#write[page] = Number(this.#all(this.#quiet, page, READ | WRITE));
    }
  }

  #all(table: Uint8Array, page: number, wanted: number): boolean {
    return (table[page - 1]! & table[page]! & table[page + 1]! & wanted) === wanted;
  }
}

/** Runs of pages that are mapped, without looking at each of those that are not. */
function* mapped(permissions: Uint8Array): Iterable<[number, number]> {
  const words = new BigUint64Array(permissions.buffer, permissions.byteOffset, GUEST_PAGES / 8);
  let first = -1;
  for (let at = 0; at <= words.length; at++) {
    const any = at < words.length && words[at] !== 0n;
    if (any && first < 0) first = at * 8;
    if (any || first < 0) continue;
    yield [first, at * 8];
    first = -1;
  }
}
