/**
 * Recursion protection: a callback that runs traced code does not call itself without end.
 *
 * Each task has a set of bits, four contexts and a spare one in each of two layers: callbacks that
 * protect themselves, and the list. The spare bit lets exactly one nested entry through, because an
 * interrupt is known as one only a little after it has come; the second is dropped
 * (`include/linux/trace_recursion.h`).
 *
 * Who takes the lock is `call_paths.ts` (list and assist function) and the recording callback.
 *
 * @module
 */

/** The code that a recursion lock protects: an ops' callback, or the list function. */
export type RecursionLayer = "ftrace" | "list";

/** A site whose calls were dropped because they recursed. */
export interface RecursedFunction {
  /** Address of the site (`ip`). */
  readonly ip: number;
  /** How many of the site's calls were dropped. */
  count: number;
}

/** The recursion locks of one machine's tasks. */
export interface Recursion {
  /** Takes a lock for the task on `hart`; gives its bit, or −1: drop the call. */
  trylock(hart: number, layer: RecursionLayer, ip: number): number;
  /** Releases the lock that `trylock` gave. */
  unlock(hart: number, bit: number): void;
  /** The sites with dropped calls, by ip (`recursed_functions`). */
  readonly recursed: ReadonlyMap<number, RecursedFunction>;
}

/** Bits of a layer: NMI, IRQ, softirq, normal, and the spare one. */
const START = { ftrace: 0, list: 5 } as const;
const NORMAL = 3;
const TRANSITION = 4;

/** Starts with no lock taken. Guest interrupts are held off in tracing code, so context is normal. */
export function createRecursion(): Recursion {
  const taken: number[] = [];
  const recursed = new Map<number, RecursedFunction>();
  return {
    recursed,
    trylock(hart, layer, ip) {
      const bits = taken[hart] ?? 0;
      let bit = START[layer] + NORMAL;
      if (bits & 1 << bit) bit = START[layer] + TRANSITION;
      if (bits & 1 << bit) {
        const known = recursed.get(ip);
        if (known) known.count++;
        else recursed.set(ip, { ip, count: 1 });
        return -1;
      }
      taken[hart] = bits | 1 << bit;
      return bit;
    },
    unlock(hart, bit) {
      taken[hart] = (taken[hart] ?? 0) & ~(1 << bit);
    },
  };
}
