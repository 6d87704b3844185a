/**
 * Who wants to know of stores: fetch caches of text that changes, devices of words in RAM.
 *
 * Emitted code stores only to pages that nobody watches. It reads that off a second table of
 * permissions, in which a watched page has none ({@linkcode QUIET}), and leaves a store to any other
 * page to the reference, which tells the watch. A page whose text was fetched is watched until its
 * first store; one with a word that a device looks at, until the listener is disposed of.
 *
 * @module
 */
import { GUEST_PAGES, PAGE_SIZE } from "./page.ts";

/** Host memory: permissions of each guest page for stores that nobody watches, one byte a page. */
export const QUIET = 0x200000;

/** Why a page is watched: a hart has fetched from it. */
const TEXT = 1;
/** Why a page is watched: somebody listens to each store. */
const STORES = 2;

/** Which pages are watched, and who is told. */
export class StoreWatch {
  /** The permissions that each page has for somebody who watches nothing. */
  readonly #permissions: Uint8Array;
  readonly #quiet: Uint8Array;
  readonly #reasons: Uint8Array = new Uint8Array(GUEST_PAGES);
  readonly #textListeners = new Set<(page: number) => void>();
  /** Listeners to stores, by page. */
  readonly #storeListeners = new Map<number, Set<(address: number) => void>>();

  readonly #changeListeners = new Set<(first: number, last: number) => void>();

  /** Watches nothing yet; `permissions` has a byte a page, and host memory is `host`. */
  constructor(permissions: Uint8Array, host: ArrayBufferLike) {
    this.#permissions = permissions;
    this.#quiet = new Uint8Array(host, QUIET, GUEST_PAGES);
  }

  /** Calls `listener` whenever what pages from `first` up to `last` allow, quietly, may have changed. */
  onChange(listener: (first: number, last: number) => void): Disposable {
    this.#changeListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#changeListeners.delete(listener) };
  }

  /** From now on the next store to the page, or change of it, is told to text listeners. */
  watchText(page: number): void {
    this.#reasons[page]! |= TEXT;
    this.#setQuiet(page, 0);
  }

  /** Calls `listener` with the number of a watched page of text that may have changed. */
  onTextChange(listener: (page: number) => void): Disposable {
    this.#textListeners.add(listener);
    return { [Symbol.dispose]: () => void this.#textListeners.delete(listener) };
  }

  /** Calls `listener` with the address of each store of the guest's to a page, until disposed of. */
  watchStores(page: number, listener: (address: number) => void): Disposable {
    const here = this.#storeListeners.get(page) ?? new Set();
    this.#storeListeners.set(page, here.add(listener));
    this.#reasons[page]! |= STORES;
    this.#setQuiet(page, 0);
    return {
      [Symbol.dispose]: () => {
        here.delete(listener);
        if (here.size > 0 || this.#storeListeners.get(page) !== here) return;
        this.#storeListeners.delete(page);
        this.#forget(page, STORES);
      },
    };
  }

  /** Whether a store to the page has to be told to nobody. */
  isQuiet(page: number): boolean {
    return this.#reasons[page] === 0;
  }

  /** To be called after each store to an address whose page is not quiet. */
  stored(address: number): void {
    const page = Math.floor(address / PAGE_SIZE);
    const reasons = this.#reasons[page]!;
    if (reasons & TEXT) this.#textChanged(page);
    if (reasons & STORES) {
      for (const listener of this.#storeListeners.get(page) ?? []) listener(address);
    }
  }

  /** To be called when permissions of pages from `first` up to `last` have changed, or bytes. */
  changed(first: number, last: number): void {
    for (let page = first; page < last; page++) {
      const reasons = this.#reasons[page]!;
      if (reasons & TEXT) this.#textChanged(page);
      this.#quiet[page] = this.#reasons[page] === 0 ? this.#permissions[page]! : 0;
    }
    for (const listener of this.#changeListeners) listener(first, last);
  }

  #textChanged(page: number): void {
    this.#forget(page, TEXT);
    for (const listener of this.#textListeners) listener(page);
  }

  #forget(page: number, reason: number): void {
    const left = this.#reasons[page]! & ~reason;
    this.#reasons[page] = left;
    if (left === 0) this.#setQuiet(page, this.#permissions[page]!);
  }

  #setQuiet(page: number, permissions: number): void {
    if (this.#quiet[page] === permissions) return;
    this.#quiet[page] = permissions;
    for (const listener of this.#changeListeners) listener(page, page + 1);
  }
}
