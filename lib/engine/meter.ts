/**
 * Who reads the clock for an engine's statistics.
 *
 * A look at the clock takes as long as hundreds of compiled instructions. The interpreter's function
 * and the reference are entered seldom enough to time each entry, and so are regions at first and while
 * they execute much at a time; of other entries one in so many is timed, and what an instruction took
 * there stands for all of these.
 *
 * What comes of it is `statistics.ts`.
 *
 * @module
 */
import type { Hart } from "../hart/hart.ts";
import { INSTRET } from "../hart/state.ts";
import type { Memory } from "../memory/memory.ts";
import type { Engine, Stop } from "./engine.ts";
import {
  type EngineStatistics,
  EXIT_REASONS,
  type ExitReason,
  type FunctionStatistics,
} from "./statistics.ts";

/** Entries of regions that are timed before any average counts. */
const FIRST = 4096;
/** Instructions that the last entries executed on average, from which on each entry is timed. */
const ALL_TIMED = 10_000;
/** Entries that the average is about. */
const AVERAGED = 64;
/** Of others one in so many; a prime, so that it falls into no step with a loop of the guest's. */
const TIMED = 61;
/** Looks at the clock that tell what one takes, as often as they are made: the fastest time counts. */
const CLOCK_LOOKS = 32, CLOCK_ROUNDS = 32;

/** What a tier has compiled, and what that has counted. */
export interface TierStatistics {
  readonly regions: Omit<EngineStatistics["regions"], "entered">;
  /** Milliseconds. */
  readonly writing: number;
  /** Milliseconds. */
  readonly compiling: number;
  /** Exits by reason, but for those that returned. */
  readonly exits: Readonly<Record<ExitReason, number>>;
  readonly functions: readonly FunctionStatistics[];
}

const NOTHING: TierStatistics = {
  regions: { compiled: 0, dropped: 0, instructions: 0, bytes: 0 },
  writing: 0,
  compiling: 0,
  exits: Object.fromEntries(EXIT_REASONS.map((reason) => [reason, 0])) as TierStatistics["exits"],
  functions: [],
};

/** Counts instructions and times of one engine's tiers. */
export class Meter {
  /** Milliseconds in the interpreter's function, regions included. */
  #loop = 0;
  /** Milliseconds in the reference. */
  #reference = 0;
  /** Instructions that the interpreter's function has retired, regions included. */
  #looped = 0;
  /** Entries of regions by the interpreter. */
  #entered = 0;
  readonly #clock = clockCost();
  /** Milliseconds in regions whose entries were all timed. */
  #regions = 0;
  /** Instructions of other entries, and of those among them that were timed, with milliseconds. */
  readonly #others = { all: 0, timed: 0, took: 0 };
  #average = 0;
  #timesAll = true;
  #started: number | undefined;

  /** A region is about to be entered. */
  enter(): void {
    const entry = this.#entered++;
    this.#timesAll = entry < FIRST || this.#average >= ALL_TIMED;
    const isTimed = this.#timesAll || entry % TIMED === 0;
    this.#started = isTimed ? performance.now() : undefined;
  }

  /** The region was left, after so many instructions. */
  leave(instructions: number): void {
    this.#average += (instructions - this.#average) / AVERAGED;
    if (!this.#timesAll) this.#others.all += instructions;
    if (this.#started === undefined) return;
    const took = performance.now() - this.#started - this.#clock;
    // The interpreter's function had to wait for both looks.
    this.#loop -= 2 * this.#clock;
    if (this.#timesAll) this.#regions += took;
    else {
      this.#others.took += took;
      this.#others.timed += instructions;
    }
  }

  /** All figures of an engine that runs `harts`. */
  statistics(harts: readonly Hart[], tier: TierStatistics = NOTHING): EngineStatistics {
    const all = harts.reduce((sum, { instret }) => sum + Number(instret), 0);
    const compiled = harts.reduce((sum, { compiledInstret }) => sum + compiledInstret, 0);
    const loop = Math.max(0, this.#loop);
    const regions = Math.min(loop, this.#inRegions());
    const left = EXIT_REASONS.reduce((sum, reason) => sum + tier.exits[reason], 0);
    return {
      regions: { ...tier.regions, entered: this.#entered },
      instructions: {
        regions: compiled,
        interpreter: this.#looped - compiled,
        reference: all - this.#looped,
      },
      milliseconds: {
        regions,
        interpreter: loop - regions,
        reference: Math.max(0, this.#reference),
        writing: tier.writing,
        compiling: tier.compiling,
      },
      exits: { ...tier.exits, returned: this.#entered - left },
      functions: tier.functions,
    };
  }

  /** Milliseconds that regions took. */
  #inRegions(): number {
    const { all, timed, took } = this.#others;
    return Math.max(0, this.#regions + (timed === 0 ? 0 : all * took / timed));
  }

  /** The interpreter's function, measured. */
  measured<Arguments extends readonly unknown[]>(
    { hostView }: Memory,
    run: (...args: Arguments) => number,
  ): (...args: Arguments) => number {
    const retired = () => Number(hostView.getBigUint64(INSTRET, true));
    return (...args) => {
      const before = retired(), started = performance.now();
      const left = run(...args);
      this.#loop += performance.now() - started - this.#clock;
      this.#looped += retired() - before;
      return left;
    };
  }

  /** The reference, measured where it executes one instruction. */
  measuredReference(reference: Engine): Engine {
    const timed = (execute: () => Stop | undefined) => {
      const started = performance.now();
      const stop = execute();
      this.#reference += performance.now() - started - this.#clock;
      return stop;
    };
    return {
      ...reference,
      step: (hart: Hart) => timed(() => reference.step(hart)),
      executeBits: (hart: Hart, bits: number) => timed(() => reference.executeBits(hart, bits)),
    };
  }
}

/** Milliseconds between two looks at the clock that follow each other. */
function clockCost(): number {
  let least = Infinity;
  for (let round = 0; round < CLOCK_ROUNDS; round++) {
    const started = performance.now();
    for (let look = 1; look < CLOCK_LOOKS; look++) performance.now();
    least = Math.min(least, (performance.now() - started) / CLOCK_LOOKS);
  }
  return least;
}
