/**
 * mcycle and minstret: what the hart counts anyway, as the guest has set, stopped and restarted it.
 *
 * @module
 */
/** mcountinhibit: the counters are numbered as its bits are. */
const CYCLE = 0, INSTRET = 2;
/** There is nothing to inhibit in `time`. */
const INHIBITABLE = 0xfffffffdn;

/** What a hart counts. */
export interface CountedHart {
  /** Instructions of the guest's own that have retired. */
  readonly instret: bigint;
  /** Virtual nanoseconds since the first instruction. */
  now(): bigint;
}

/** One counter. */
interface Counter {
  /** What is added to what the hart counts, while it runs. */
  delta: bigint;
  /** Its value while it is stopped. */
  held: bigint | undefined;
  /** What the hart counts. */
  readonly count: () => bigint;
}

/** The counters of a hart with machine mode. */
export class Counters {
  readonly #counters: Readonly<Record<number, Counter>>;
  #inhibited = 0n;

  /** Counters of `hart`, which run. */
  constructor(hart: CountedHart) {
    this.#counters = {
      [CYCLE]: { delta: 0n, held: undefined, count: () => hart.now() },
      [INSTRET]: { delta: 0n, held: undefined, count: () => hart.instret },
    };
  }

  /** A counter by its number in mcountinhibit; those for events are always 0. */
  read(number: number): bigint {
    const counter = this.#counters[number];
    if (!counter) return 0n;
    return BigInt.asUintN(64, counter.held ?? counter.count() + counter.delta);
  }

  /** The next instruction reads exactly `value`: the one that writes is not counted. */
  write(number: number, value: bigint): void {
    const counter = this.#counters[number];
    if (!counter) return;
    if (counter.held !== undefined) counter.held = value;
    else counter.delta = value - counter.count() - 1n;
  }

  /** mcountinhibit. */
  get inhibited(): bigint {
    return this.#inhibited;
  }

  /** Takes effect behind the instruction that writes. */
  set inhibited(value: bigint) {
    this.#inhibited = value & INHIBITABLE;
    for (const number of [CYCLE, INSTRET]) {
      const counter = this.#counters[number]!;
      const next = counter.count() + 1n;
      if (this.#inhibited >> BigInt(number) & 1n) counter.held ??= next + counter.delta;
      else if (counter.held !== undefined) {
        counter.delta = counter.held - next;
        counter.held = undefined;
      }
    }
  }
}
