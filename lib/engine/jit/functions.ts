/**
 * Where functions begin and end: as symbols say, or as calls show where there are none.
 *
 * A stripped program shows its functions by being called: each address that compiled code calls
 * begins one, and the next such address ends it. Before any call is known, code that was executed in
 * one row is taken for a function.
 *
 * @module
 */

/** A function reaches no further than this where nothing ends it. */
const MOST_BYTES = 16384;

/** Addresses from the first instruction up to behind the last. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** Finds functions. */
export class Functions {
  readonly #named: (pc: number) => Bounds | undefined;
  /** Addresses that are called, in order. */
  readonly #called: number[] = [];

  /** Finds those that `named` knows, and those that are called. */
  constructor(named: (pc: number) => Bounds | undefined = () => undefined) {
    this.#named = named;
  }

  /** Says that an address is called. */
  note(pc: number): void {
    const at = this.#firstBehind(pc);
    if (this.#called[at - 1] !== pc) this.#called.splice(at, 0, pc);
  }

  /** The function around an address; one that begins there if nothing is known. */
  around(pc: number): Bounds {
    const named = this.#named(pc);
    if (named) return named;
    const at = this.#firstBehind(pc);
    const before = this.#called[at - 1] ?? -Infinity;
    const low = pc - before < MOST_BYTES ? before : pc;
    return { low, high: Math.min(this.#called[at] ?? Infinity, low + MOST_BYTES) };
  }

  /** Index of the first called address behind one. */
  #firstBehind(pc: number): number {
    let low = 0, high = this.#called.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#called[middle]! <= pc) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
