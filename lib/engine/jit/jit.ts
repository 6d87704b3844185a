/**
 * The JIT: the interpreter, and compiled regions for what it spends its time on.
 *
 * What a region is, is `region.ts`; which code gets one, `hotness.ts`; where they are kept,
 * `regions.ts`.
 *
 * @module
 */
import type { Memory } from "../../memory/memory.ts";
import { type CodeUnit, DEFAULT_BUDGET } from "../code_cache.ts";
import type { Uncompiled } from "../compiled_code.ts";
import type { Engine, EngineOptions } from "../engine.ts";
import { engineOf, Interpreter } from "../interpreter/interpreter.ts";
import type { MicroOpSpace } from "../interpreter/micro_op_space.ts";
import type { Tier, TierParts } from "../interpreter/tier.ts";
import { Meter, type TierStatistics } from "../meter.ts";
import { Hotness } from "./hotness.ts";
import { Functions } from "./functions.ts";
import { RegionCounters } from "./region_counters.ts";
import { Regions } from "./regions.ts";
import { PERIOD, startsOf } from "./starts.ts";
import { tierStatistics } from "./tier_statistics.ts";

/** Regions that are made because they are called: so many, and one more in so many instructions. */
const CALLED = { free: 400, each: 50_000 } as const;
/** Instructions that regions may execute at once: few while V8 may have better code soon. */
const BUDGET = { least: 200_000, most: 4_000_000 } as const;

/** The regions of one hart and what decides about them. */
interface HartTier {
  readonly regions: Regions;
  readonly hotness: Hotness;
}

/** Compiles what the interpreter of one memory is seen in. */
export class Jit implements Tier {
  readonly period: number;
  readonly #threshold: number;
  readonly #needed: number;
  budget: number = BUDGET.least;
  readonly #parts: TierParts;
  readonly #options: EngineOptions;
  readonly #harts = new Map<MicroOpSpace, HartTier>();
  readonly #counters: RegionCounters | undefined;
  readonly #functions: Functions;

  /** Works with `parts`, as `options` say; `meter` is told of what is executed. */
  constructor(parts: TierParts, options: EngineOptions, meter: Meter | undefined) {
    this.#parts = parts;
    this.#options = options;
    this.#counters = meter && new RegionCounters(parts.memory, meter);
    this.#functions = new Functions(options.functionAt);
    const { threshold, period, needed } = startsOf(options);
    this.#threshold = threshold;
    this.period = period;
    this.#needed = needed;
  }

  arrive(space: MicroOpSpace, pc: number): void {
    if (this.#threshold > 1) return;
    const { regions } = this.#tierOf(space);
    if (!regions.at(pc)) regions.compile(pc);
  }

  look(space: MicroOpSpace, pc: number): void {
    if (this.#threshold <= 1) return;
    const { regions, hotness } = this.#tierOf(space);
    const left = regions.slots.takeLeft();
    // Where a region is entered nothing is interpreted: what was, was where another one had ended.
    this.#compiled(hotness.seen(left !== undefined && regions.at(pc) ? left : pc));
  }

  #tierOf(space: MicroOpSpace): HartTier {
    let tier = this.#harts.get(space);
    if (!tier) this.#harts.set(space, tier = this.#adopt(space));
    return tier;
  }

  #adopt(space: MicroOpSpace): HartTier {
    const { unchecked = false, onCompiled } = this.#options;
    const regions = new Regions(space, this.#parts, this.#functions, {
      unchecked,
      ahead: this.#threshold === 0,
      counters: this.#counters,
      read: onCompiled,
    });
    const hotness = new Hotness(regions, this.#functions, this.#needed, this.period);
    regions.onSpoilt((region, executed) => hotness.spoilt(region.entry, executed));
    return { regions, hotness };
  }

  /** After new code V8 is to be given the chance of replacing it soon, later ever more seldom. */
  #compiled(any: boolean): void {
    if (any) this.budget = BUDGET.least;
  }

  /** Whether what is called is compiled at once: not what never stays, and not more than pays. */
  #mayMake({ regions, hotness }: HartTier, pc: number): boolean {
    if (hotness.isDoubted(pc)) return false;
    const made = regions.counts.compiled - CALLED.free;
    return this.#threshold < PERIOD || made * CALLED.each <= Number(regions.hart.instret);
  }

  cameBack(space: MicroOpSpace): void {
    if (this.budget < BUDGET.most) this.budget += BUDGET.least / 8;
    const tier = this.#harts.get(space);
    if (!tier) return;
    const { regions } = tier;
    const wanted = regions.slots.takeWanted();
    if (wanted !== undefined) {
      const there = regions.at(wanted);
      if (there) this.#compiled(regions.wanted(there));
      else if (this.#mayMake(tier, wanted)) this.#compiled(regions.compile(wanted) !== undefined);
    }
    const jump = regions.slots.takeJump();
    if (jump) this.#compiled(regions.learnJump(jump.from, jump.target));
    const target = regions.slots.takeTarget();
    if (target === undefined || regions.at(target) || !this.#mayMake(tier, target)) return;
    this.#functions.note(target);
    this.#compiled(regions.compile(target) !== undefined);
  }

  pageMade(space: MicroOpSpace, page: number): void {
    this.#harts.get(space)?.regions.link(page);
  }

  decoded(space: MicroOpSpace, pc: number): void {
    this.#harts.get(space)?.regions.sites.changed(pc);
  }

  hookChanged(pc: number): void {
    for (const { regions } of this.#harts.values()) regions.hookChanged(pc);
  }

  statistics(): TierStatistics {
    const all = [...this.#harts.values()].map(({ regions }) => regions);
    return tierStatistics(all, this.#counters!, this.#functions);
  }

  /** See {@linkcode Engine.whyNotCompiled}; `spaces` are those of all harts. */
  whyNot(pc: number, spaces: readonly MicroOpSpace[]): Uncompiled | undefined {
    const { low, high } = this.#functions.around(pc);
    let why: Uncompiled = { reason: "unfetched" };
    for (const { regions, hotness } of spaces.map((space) => this.#tierOf(space))) {
      for (const { entry } of regions.all()) if (entry >= low && entry < high) return undefined;
      const reason = regions.reasonAt(low);
      const { period } = this;
      if (reason === "hook" || reason === "reference") why = { reason };
      else if (regions.wasCompiled(low)) why = { reason: "dropped" };
      else if (reason !== "unfetched") why = { reason: "cold", ...hotness.heatOf(low), period };
    }
    return why;
  }

  release(units: ReadonlySet<CodeUnit>): void {
    for (const unit of units) {
      const { owner } = unit;
      if (owner instanceof Regions) owner.released(unit);
    }
  }
}

/**
 * Makes a JIT for harts on `memory`, which keeps `budget` bytes of translated code at most. It has all
 * that it needs, for who runs an engine without a machine; that of machines is `late_jit.ts`.
 */
export function createJit(
  memory: Memory,
  options: EngineOptions = {},
  budget: number = DEFAULT_BUDGET,
): Engine {
  const meter = options.statistics ? new Meter() : undefined;
  const interpreter = new Interpreter(memory, budget, meter);
  let jit: Jit;
  interpreter.addTier((parts) => jit = new Jit(parts, options, meter));
  return {
    ...engineOf("jit", interpreter),
    whyNotCompiled: (pc) => jit.whyNot(pc, interpreter.guestSpaces()),
  };
}
