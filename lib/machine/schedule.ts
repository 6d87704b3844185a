/**
 * Who runs when: several harts in one thread, on a schedule that a seed decides.
 *
 * Time goes on in rounds. In each round every hart runs, in an order of chance, until its own time
 * is the round's end; a round lasts between one and two thousand nanoseconds, short ones as
 * often as long ones, so that every distance between two harts' instructions happens. Turns end at
 * exact instructions of the guest's, so tracing does not change who meets whom.
 *
 * @module
 */
import type { Hart } from "../hart/hart.ts";
import { randomWords } from "./random.ts";

/** log2 of the longest round, in nanoseconds. */
const LONGEST = 11;

/** Turns of several harts. */
export interface Schedule {
  /** The hart whose state emitted code works on. */
  readonly running: Hart;
  /** Makes a hart the running one. */
  enter(hart: Hart): void;
  /** Whose turn it is, now the running one, and until when of its own time. */
  turn(): { readonly hart: Hart; readonly end: bigint };
}

/** A schedule for these harts; the first of them is made the running one. */
export function createSchedule(harts: readonly Hart[], seed: bigint): Schedule {
  const random = randomWords(seed);
  let running = harts[0]!;
  running.enter(undefined);
  let end = 0n;
  let waiting: Hart[] = [];
  const enter = (hart: Hart) => {
    hart.enter(running);
    running = hart;
  };
  const beginRound = () => {
    const exponent = Number(random() % BigInt(LONGEST));
    end += (1n << BigInt(exponent)) + (random() & (1n << BigInt(exponent)) - 1n);
    const left = [...harts];
    while (left.length > 0) {
      waiting.push(...left.splice(Number(random() % BigInt(left.length)), 1));
    }
  };
  return {
    get running() {
      return running;
    },
    enter,
    turn() {
      // A turn that was broken off goes on.
      while (waiting.length === 0 || waiting[0]!.now() >= end) {
        waiting = waiting.slice(1);
        if (waiting.length === 0) beginRound();
      }
      enter(waiting[0]!);
      return { hart: running, end };
    },
  };
}
