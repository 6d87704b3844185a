/**
 * When code is worth compiling, and where a region for it begins.
 *
 * The interpreter is looked at once in so many of its own instructions, so what it is seen in is
 * what it spends its time on, and counting costs the guest nothing. A function that was seen often
 * enough is compiled from its start. If the interpreter is still seen in it, either it has come to
 * instructions that the region does not hold, which then grows, or it never comes by the start: then
 * a second region begins at the loop, or behind the call, that it is in.
 *
 * Where a guest writes code anew before its region was worth making, the next one waits longer.
 *
 * @module
 */
import { ControlFlow } from "./control_flow.ts";
import type { Block } from "./region.ts";
import type { Functions } from "./functions.ts";
import type { CompiledRegion, Regions } from "./regions.ts";

/** Regions of one function, beyond which it stays interpreted. */
const MOST_REGIONS = 24;
/** Bytes of memory that are told apart when code is written anew. */
const WINDOW = 64;
/** Compiled code has to execute this many times the threshold for a region to have been worth it. */
const WORTH = 50;
/** Code that is written anew all the time has to be seen this many times as often as other code. */
const MOST_DOUBT = 128;

/** How far up the beginning of a function is looked for that nothing else shows. */
const FARTHEST = 4096;

/** How often one function was seen, and what was done about it. */
interface Heat {
  seen: number;
  /** How often it has to be seen before something is compiled again. */
  needed: number;
  regions: number;
  /** How many instructions its first region had when it was last compiled. */
  steps: number;
  /** Whether other code was written in its place before its last region was worth making. */
  isDoubted: boolean;
}

/** Decides for one hart. */
export class Hotness {
  readonly #regions: Regions;
  readonly #functions: Functions;
  readonly #threshold: number;
  readonly #worth: number;
  readonly #heat = new Map<number, Heat>();
  /** What was seen in each window of physical memory. */
  readonly #windows = new Map<number, Heat>();

  /** Compiles what was seen `threshold` times, once in `period` instructions. */
  constructor(regions: Regions, functions: Functions, threshold: number, period: number) {
    this.#regions = regions;
    this.#functions = functions;
    this.#threshold = threshold;
    this.#worth = threshold * period * WORTH;
    regions.hart.fetched.onDrop((physical) => this.#rewritten(physical));
  }

  /** Other code than was seen is written in its place. */
  #rewritten(physical: number): void {
    const heat = this.#windows.get(Math.floor(physical / WINDOW));
    if (heat) heat.seen = 0;
  }

  /** How often the function at `low` was seen, and has to be. */
  heatOf(low: number): { readonly seen: number; readonly needed: number } {
    return this.#heat.get(low) ?? { seen: 0, needed: this.#threshold };
  }

  /** The interpreter was seen at `pc`. @returns Whether something was compiled. */
  seen(pc: number): boolean {
    const low = this.#lowOf(pc);
    const heat = this.#heatAt(low);
    this.#windows.set(Math.floor(this.#regions.physical(pc) / WINDOW), heat);
    if (++heat.seen < heat.needed || heat.regions > MOST_REGIONS) return false;
    heat.seen = 0;
    const compiled = this.#compile(pc, low, heat);
    // What cannot be helped is looked at ever more seldom.
    if (compiled) heat.regions++;
    else heat.needed *= 2;
    return compiled;
  }

  #lowOf(pc: number): number {
    const { low } = this.#functions.around(pc);
    return low === pc ? this.#regions.source.leaderBefore(pc, pc - FARTHEST) ?? pc : low;
  }

  #heatAt(low: number): Heat {
    let heat = this.#heat.get(low);
    if (!heat) {
      heat = { seen: 0, needed: this.#threshold, regions: 0, steps: 0, isDoubted: false };
      this.#heat.set(low, heat);
    }
    return heat;
  }

  /** What was known of a region is no longer there: other code was written in its place. */
  spoilt(entry: number, executed: number): void {
    const heat = this.#heatAt(this.#lowOf(entry));
    heat.regions = Math.max(0, heat.regions - 1);
    heat.steps = 0;
    const threshold = this.#threshold;
    heat.isDoubted = executed < this.#worth;
    if (heat.isDoubted) heat.needed = Math.min(heat.needed * 2, threshold * MOST_DOUBT);
    else heat.needed = Math.max(heat.needed / 2, threshold);
  }

  /** Whether what is written at an address has to be seen before it is compiled, as it never stays. */
  isDoubted(pc: number): boolean {
    return this.#heat.get(this.#lowOf(pc))?.isDoubted === true;
  }

  #compile(pc: number, start: number, heat: Heat): boolean {
    const low = this.#regions.sites.begin(start);
    const covering = this.#regions.covering(pc);
    const first = this.#regions.at(low);
    const isLeft = first ? !covering.includes(first) : covering.length === 0;
    if (isLeft && this.#grow(low, pc, heat)) return true;
    const entry = covering.length > 0
      ? this.#leaderIn(covering[0]!, pc)
      : this.#regions.source.leaderBefore(pc, low);
    if (entry === undefined || this.#regions.at(entry)) return false;
    return this.#regions.compile(entry) !== undefined;
  }

  /** Compiles a function from its start, if that holds `pc` now or knows more than before. */
  #grow(low: number, pc: number, heat: Heat): boolean {
    const before = this.#regions.at(low);
    const region = this.#regions.discover(low);
    if (!region) return false;
    const { size } = region.steps;
    if (!region.steps.has(pc) && (before || heat.steps >= size)) return false;
    heat.steps = size;
    return this.#regions.compile(low, region) !== undefined;
  }

  /** Where in a region the interpreter will come by again: the loop around `pc`, or behind a call. */
  #leaderIn({ region }: CompiledRegion, pc: number): number | undefined {
    const flow = new ControlFlow(region);
    let block = flow.order.find((each) => holds(each, pc));
    while (block) {
      if (isArrival(flow, block) && !this.#regions.at(block.pc)) return block.pc;
      const { dominator } = flow.of(block);
      if (dominator === block) return undefined;
      block = dominator;
    }
    return undefined;
  }
}

function holds({ pc: first, steps, end }: Block, pc: number): boolean {
  return first === pc || end.step?.pc === pc || steps.some((step) => step.pc === pc);
}

/** Whether control comes to a block from outside of a region's straight way. */
function isArrival(flow: ControlFlow, block: Block): boolean {
  if (block.end.kind === "jumpTable") return false;
  return flow.of(block).isLoop || block.predecessors.some(({ isCall }) => isCall);
}
