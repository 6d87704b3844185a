/**
 * mcycle and minstret: what the hart counts anyway, as the guest has set, stopped and restarted it.
 *
 * @module
 */
/** Numbers of mcycle and minstret, which are their bits in mcountinhibit. */
const CYCLE = 0, INSTRET = 2;
/** The bits of mcountinhibit that can be set: bit 1 would be `time`, which never stops. */
const INHIBITABLE = 0xfffffffdn;

/** The hart whose time and retired instructions the counters show. */
export interface CountedHart {
  /** Instructions of the guest's own that have retired. */
  readonly instret: bigint;
  /** Virtual nanoseconds since the first instruction. */
  now(): bigint;
}

/** The state of mcycle or of minstret. */
interface Counter {
  /** What the counter is ahead of the hart's own count while it runs. */
  delta: bigint;
  /** The counter's value while it is stopped, else undefined. */
  held: bigint | undefined;
  /** The hart's own count, which never stops. */
  readonly count: () => bigint;
}

/** mcycle, minstret and mcountinhibit of a hart with machine mode. */
export class Counters {
  readonly #counters: Readonly<Record<number, Counter>>;
  #inhibited = 0n;

  /** Counters that run and show what `hart` has counted. */
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

  /** The value of mcountinhibit: a set bit stops the counter of its number. */
  get inhibited(): bigint {
    return this.#inhibited;
  }

  /** Stops and restarts counters, which takes effect behind the instruction that writes. */
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
