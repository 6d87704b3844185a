/**
 * What a hart has fetched, as regions are made from it.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { Instruction } from "../../isa/encoding.ts";
import { PAGE_SIZE } from "../../memory/page.ts";
import type { Hooks } from "../hooks.ts";
import { LEAVE, type Plan } from "../plan/plan.ts";
import { Plans } from "../plan/plans.ts";
import type { Bounds, Functions } from "./functions.ts";
import type { CodeSource } from "./region.ts";
import { type Planned, readSite, SITE_SIZE, type SiteWords } from "./site_words.ts";

/** Plans are the same for all machines. */
const plans = new Plans();

/**
 * Instructions of a region at most. Where everything is compiled at once they are few: what comes
 * behind each instruction that leaves a region is compiled too, and n instructions would be n²/2.
 */
const MOST = { usual: 3000, ahead: 200 } as const;

/** Where instructions lie: at their own addresses, or where the TLB has them. */
export interface Placement {
  /** Physical address of the instruction at `pc`; −1 if none is known, or it lies in two pages. */
  physical(pc: number): number;
}

/** The addresses of a hart that translates none. */
export const PLAIN: Placement = {
  physical: (pc) => pc >= 0 && pc < 2 ** 32 ? pc : -1,
};

/** The addresses of a hart as its TLB has them now. */
export function translatedPlacement({ system, memory }: Hart): Placement {
  return {
    physical(pc) {
      if (!Number.isSafeInteger(pc) || memory.isTracing(pc)) return -1;
      const { tlb, fetchBank } = system!.translation;
      return tlb.fetch(fetchBank, BigInt(pc));
    },
  };
}

/** What fetched code is read with. */
export interface FetchedParts {
  readonly hart: Hart;
  readonly hooks: Hooks;
  readonly placement: Placement;
  readonly functions: Functions;
  /** Where indirect jumps of regions were seen to go, by their entries. */
  readonly jumpTargets: ReadonlyMap<number, ReadonlySet<number>>;
  /** Whether the hart fetches what is asked for. */
  readonly ahead: boolean;
}

/** The fetched instructions of one hart, up to where somebody has to be asked. */
export class FetchedCode implements CodeSource {
  readonly #parts: FetchedParts;
  /** Where sites were found: they stay while their words are about to be fetched anew. */
  readonly #sites = new Set<number>();
  readonly most: number;

  /** Reads what `parts` say. */
  constructor(parts: FetchedParts) {
    this.#parts = parts;
    this.most = parts.ahead ? MOST.ahead : MOST.usual;
  }

  peek(pc: number): Instruction | undefined {
    return this.#read(pc, this.#parts.ahead);
  }

  /** As {@linkcode FetchedCode.peek}, and never fetches: a look may come while memory changes. */
  held(pc: number): Instruction | undefined {
    return this.#read(pc, false);
  }

  #read(pc: number, ahead: boolean): Instruction | undefined {
    const { hart, hooks, placement } = this.#parts;
    // Instructions of the tracing range are counted apart.
    if (hooks.at(pc) || hart.memory.isTracing(pc)) return undefined;
    const physical = placement.physical(pc);
    if (physical < 0) return undefined;
    const { fetched, isa } = hart;
    // What lies behind the page in physical memory is another page's.
    const isLast = placement !== PLAIN && (pc & (PAGE_SIZE - 1)) === PAGE_SIZE - 2;
    if (isLast && (fetched.firstHalf(physical) & 3) === 3) return undefined;
    const bits = ahead ? fetched.fetch(physical) : fetched.peek(physical);
    return bits === undefined || bits < 0 ? undefined : isa.decode(bits);
  }

  /** The site at an address, whoever is to be asked there; nothing is fetched for it. */
  siteAt(pc: number): SiteWords | undefined {
    return this.#siteAt(pc, false) || undefined;
  }

  /** As {@linkcode FetchedCode.siteAt}, or false if other words are there. */
  #siteAt(pc: number, ahead: boolean): SiteWords | undefined | false {
    const first = this.#planned(pc, ahead), second = first && this.#planned(pc + 4, ahead);
    return second && (readSite(pc, first, second) ?? false);
  }

  #planned(pc: number, ahead: boolean): Planned | undefined {
    const { hart: { fetched, memory, isa }, placement } = this.#parts;
    const physical = placement.physical(pc);
    if (physical < 0 || memory.isTracing(pc)) return undefined;
    const bits = ahead ? fetched.fetch(physical) : fetched.peek(physical);
    if (bits === undefined || bits < 0) return undefined;
    const instruction = isa.decode(bits);
    return { instruction, plan: this.plan(instruction) };
  }

  behindSite(pc: number): number {
    const { functions, ahead, placement } = this.#parts;
    if (functions.around(pc).low !== pc) return pc;
    // Behind page tables, what is behind it has to be where the site is.
    const first = pc - Math.floor(pc / PAGE_SIZE) * PAGE_SIZE;
    if (placement !== PLAIN && first + SITE_SIZE >= PAGE_SIZE) return pc;
    const site = this.#siteAt(pc, ahead);
    if (site) this.#sites.add(pc);
    else if (site === false) this.#sites.delete(pc);
    return this.#sites.has(pc) ? pc + SITE_SIZE : pc;
  }

  /** Whether the second word of a site is at an address. */
  isInSite(pc: number): boolean {
    return this.#sites.has(pc - SITE_SIZE / 2);
  }

  /** Without compressed instructions the reference sees to it that targets are aligned. */
  plan(instruction: Instruction): Plan {
    const plan = plans.of(instruction);
    const { flow } = plan;
    const jumps = flow === "indirect" ||
      ((flow === "jump" || flow === "branch") && instruction.imm % 4 !== 0);
    return jumps && !this.#parts.hart.hasCompressed ? LEAVE : plan;
  }

  /** The first instruction of the code in one row that leads to `pc`, no further down than `low`. */
  leaderBefore(pc: number, low: number): number | undefined {
    if (!this.held(pc)) return undefined;
    let leader = pc;
    for (;;) {
      const before = [2, 4].map((length) => leader - length).find((at) => {
        const instruction = at >= low ? this.held(at) : undefined;
        if (instruction?.length !== leader - at) return false;
        const { flow } = this.plan(instruction);
        return flow === "next" || flow === "branch";
      });
      if (before === undefined) return leader;
      leader = before;
    }
  }

  jumpTargets(entry: number): Iterable<number> {
    return this.#parts.jumpTargets.get(entry) ?? [];
  }

  bounds(pc: number): Bounds {
    return this.#parts.functions.around(pc);
  }
}
