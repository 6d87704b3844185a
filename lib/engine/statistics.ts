/**
 * What an engine has done, in figures, for whoever asks where the time of a run goes.
 *
 * They cost time themselves, so an engine has them only where
 * {@linkcode EngineOptions.statistics} asked for them when it was made; code that counts is emitted
 * only then.
 *
 * Who reads the clock is `meter.ts`; what compiled code counts, `jit/region_counters.ts`.
 *
 * @module
 */

/** Why compiled code was left, in the words of {@linkcode EngineStatistics.exits}. */
export const EXIT_REASONS = [
  "returned",
  "limit",
  "declined",
  "reference",
  "uncompiled",
  "unknownTarget",
  "unfetched",
  "hook",
  "outside",
  "depth",
  "floats",
  "moved",
] as const;

/**
 * Why compiled code was left for the interpreter:
 *
 * - `returned`: its function returned to code that is not compiled;
 * - `limit`: the instructions that it was given were executed;
 * - `declined`: an instruction that it holds was left to the reference, as it might trap or be inexact;
 * - `reference`: it came to an instruction that is always the reference's, such as `ecall`;
 * - `uncompiled`: it called, or jumped to, a function that is not compiled;
 * - `unknownTarget`: a pointer or jump table led to where no region begins;
 * - `unfetched`: it came to code that had not been executed when it was compiled;
 * - `hook`: it came to where a tracer, probe or breakpoint waits;
 * - `outside`: it came to code of another function, or beyond the size of a region;
 * - `depth`: its calls were nested too deep;
 * - `floats`: the float unit was off, or its first write had to be noticed;
 * - `moved`: page tables had its code elsewhere than when it was compiled, or the TLB forgot where.
 */
export type ExitReason = typeof EXIT_REASONS[number];

/** A function, and what its compiled code has done. */
export interface FunctionStatistics {
  /** Where it begins; of code without symbols where compiled code was entered. */
  readonly address: number;
  /** How often its compiled code was entered or called. */
  readonly calls: number;
  /** Instructions that its compiled code has executed, without those of what it called. */
  readonly instructions: number;
}

/** What an engine has done since it was made. */
export interface EngineStatistics {
  /** Compiled code; all zeros for an engine that compiles nothing. */
  readonly regions: {
    /** How many were compiled, those in place of an earlier one included. */
    readonly compiled: number;
    /** How many of them are gone again. */
    readonly dropped: number;
    /** Instructions of the guest's in all that were compiled. */
    readonly instructions: number;
    /** Bytes of WASM that they became. */
    readonly bytes: number;
    /** How often the interpreter entered one. */
    readonly entered: number;
  };
  /** Instructions of the guest's, as `Hart.instret` counts them, by who executed them. */
  readonly instructions: {
    /** Compiled. */
    readonly regions: number;
    /** Interpreted by micro-ops. */
    readonly interpreter: number;
    /** One at a time by the definition, or by the platform, as system calls are. */
    readonly reference: number;
  };
  /**
   * Milliseconds of the host's; what is missing from a run's is the platform's and the tracers'. Where
   * regions are entered often for little, theirs are measured on some entries and go by instructions.
   */
  readonly milliseconds: {
    /** In compiled code. */
    readonly regions: number;
    /** In the interpreter's function. */
    readonly interpreter: number;
    /** In the reference. */
    readonly reference: number;
    /** Analysing and writing regions. */
    readonly writing: number;
    /** What the host's engine took to take them in, as far as it does so at once. */
    readonly compiling: number;
  };
  /** How often compiled code was left for the interpreter, by reason; all together `entered`. */
  readonly exits: Readonly<Record<ExitReason, number>>;
  /** Functions with compiled code, the one that has executed most first. */
  readonly functions: readonly FunctionStatistics[];
}
