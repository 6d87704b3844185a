/**
 * The region that would be entered at an address, as it is to be written: with what its calls pass,
 * functions inlined, loops entered in one place and unrolled.
 *
 * What belongs to it is found by `region.ts`.
 *
 * @module
 */
import type { Hooks } from "../hooks.ts";
import type { CallSlots } from "./call_slots.ts";
import type { FetchedCode } from "./fetched_code.ts";
import type { Functions } from "./functions.ts";
import { type Callee, inlineCalls, isComplete } from "./inlining.ts";
import { passedSite } from "./passed_site.ts";
import { discoverRegion, type Region } from "./region.ts";
import { SITE_SIZE } from "./site_words.ts";
import type { Sites } from "./sites.ts";
import { splitLoops } from "./splitting.ts";
import { unrollLoops } from "./unrolling.ts";

/** Bytes of another function that is inlined, at most. */
const LONGEST_CALLEE = 256;

/** What regions are found with. */
export interface FinderParts {
  readonly source: FetchedCode;
  readonly functions: Functions;
  readonly hooks: Hooks;
  readonly sites: Sites;
  readonly slots: CallSlots;
  /** Whether addresses are translated. */
  readonly translated: boolean;
  /** Whether calls are counted, which have to be calls then. */
  readonly counts: boolean;
}

/** Finds the regions of one hart. */
export class RegionFinder {
  readonly #parts: FinderParts;

  /** Looks at what `parts` say. */
  constructor(parts: FinderParts) {
    this.#parts = parts;
  }

  /** The region that would be entered at `pc` now, where no site is; nobody else has it. */
  find(pc: number): Region | undefined {
    const { source, hooks, functions, counts } = this.#parts;
    if (hooks.at(pc)) return undefined;
    const region = discoverRegion(source, pc);
    if (!region) return undefined;
    for (const block of region.blocks.values()) {
      const { end } = block;
      if (end.kind !== "call") continue;
      functions.note(end.target);
      block.endAs({ ...end, passes: this.#passed(end.target, pc) });
    }
    const whole = counts ? region : inlineCalls(region, (at) => this.#calleeAt(at, region));
    const split = splitLoops(whole);
    return unrollLoops(split.region, split.flow);
  }

  /** What the stub of the site at a called address reads, if the call needs not go by its slot. */
  #passed(pc: number, entry: number): number | undefined {
    const { sites, slots, translated, counts } = this.#parts;
    // What the stub of a site executes is counted there.
    if (counts || sites.begin(pc) === pc) return undefined;
    // Behind page tables a slot asks where its site is: that of a region is where the region is.
    return translated && pc + SITE_SIZE !== entry ? undefined : slots.stubOf(pc);
  }

  /** What is called at an address from `region`, if it may be inlined there. */
  #calleeAt(pc: number, region: Region): Callee | undefined {
    const { source, sites, slots, functions, hooks } = this.#parts;
    const entry = region.entry.pc;
    if (pc === entry) return { region };
    if (sites.begin(pc) !== pc) {
      const isOwn = pc + SITE_SIZE === entry;
      return isOwn ? { region, site: passedSite(pc, slots.stubOf(pc)) } : undefined;
    }
    const { low, high } = functions.around(pc);
    if (low !== pc || high - low > LONGEST_CALLEE || hooks.at(pc)) return undefined;
    const callee = discoverRegion(source, pc);
    return callee && isComplete(callee) ? { region: callee } : undefined;
  }
}
