/**
 * Who runs when: several harts in one thread, on a schedule that a seed decides.
 *
 * Time goes on in rounds. In each round every hart runs, in an order of chance, until its own time
 * is the round's end; a round lasts between one and two thousand nanoseconds, short ones as
 * often as long ones, so that every distance between two harts' instructions happens. Turns end at
 * exact instructions of the guest's, so tracing does not change who meets whom.
 *
 * What happens within a turn is `run_loop.ts`; what happens at a moment is `event_queue.ts`.
 *
 * @module
 */
import type { Hart } from "../hart/hart.ts";
import { randomWords } from "./random.ts";

/** log2 of the longest round, in nanoseconds. */
const LONGEST = 11;

/** A hart's turn: until when, on its own time (`Hart.now`, nanoseconds), it is the running hart. */
export interface HartTurn {
  /** The hart that runs in this turn. */
  readonly hart: Hart;
  /** The hart's own time at which the turn ends. */
  readonly end: bigint;
}

/** Turns of the harts of a machine, and which of them is the running one. */
export class Schedule {
  readonly #harts: readonly Hart[];
  readonly #random: () => bigint;
  #running: Hart;
  /** The time at which the present round ends. */
  #end = 0n;
  /** Harts of the present round whose turn is not over, in order. */
  #waiting: Hart[] = [];

  /** The schedule that `seed` decides; the first hart is made the running one. */
  constructor(harts: readonly Hart[], seed: bigint) {
    this.#harts = harts;
    this.#random = randomWords(seed);
    this.#running = harts[0]!;
    this.#running.enter(undefined);
  }

  /** The hart whose state emitted code works on. */
  get running(): Hart {
    return this.#running;
  }

  /** Makes a hart the running one. */
  enter(hart: Hart): void {
    hart.enter(this.#running);
    this.#running = hart;
  }

  /** The turn that is on: one that was broken off goes on, else the next hart's begins. */
  turn(): HartTurn {
    while (this.#waiting.length === 0 || this.#waiting[0]!.now() >= this.#end) {
      this.#waiting = this.#waiting.slice(1);
      if (this.#waiting.length === 0) this.#beginRound();
    }
    this.enter(this.#waiting[0]!);
    return { hart: this.#running, end: this.#end };
  }

  #beginRound(): void {
    const exponent = this.#random() % BigInt(LONGEST);
    this.#end += (1n << exponent) + (this.#random() & (1n << exponent) - 1n);
    const left = [...this.#harts];
    while (left.length > 0) {
      this.#waiting.push(...left.splice(Number(this.#random() % BigInt(left.length)), 1));
    }
  }
}
