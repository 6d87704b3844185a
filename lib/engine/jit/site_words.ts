/**
 * What a call site is to the JIT: two words at the beginning of a function that do nothing but
 * perhaps set t0, or whose second one calls whatever t0 then leads to.
 *
 * Tracers switch them while the guest runs, so they are part of no region: see `sites.ts`. Nothing
 * is known here of who writes them.
 *
 * @module
 */
import { T0 } from "../../isa/abi.ts";
import type { Instruction } from "../../isa/encoding.ts";
import { ENTRY_TRAIL, follow } from "../../isa/follow.ts";
import type { Plan } from "../plan/plan.ts";
import { useOf } from "./plan_use.ts";

/** Bytes of a site: two instructions that are not compressed. */
export const SITE_SIZE = 8;
/** Instructions of a site. */
export const SITE_COUNT = 2;

/** What the words of a site say. */
export interface SiteWords {
  /** Whether it leads to what is behind it. */
  readonly isOff: boolean;
  /** What t0 is behind it; undefined if that is what it was before. */
  readonly t0: bigint | undefined;
}

/** An instruction and what was recorded of it. */
export interface Planned {
  readonly instruction: Instruction;
  readonly plan: Plan;
}

/** What the words of the site at `pc` say; undefined if they are none. */
export function readSite(pc: number, first: Planned, second: Planned): SiteWords | undefined {
  if (first.instruction.length !== 4 || second.instruction.length !== 4) return undefined;
  if (!isSilent(first)) return undefined;
  const begun = follow(first.instruction, BigInt(pc), ENTRY_TRAIL).trail;
  if (begun.x.some((value, k) => k !== T0 && value !== ENTRY_TRAIL.x[k])) return undefined;
  const { trail: { x }, flow, link } = follow(second.instruction, BigInt(pc + 4), begun);
  if (flow === "call" && link === T0) return { isOff: false, t0: undefined };
  if (!isSilent(second) || x.some((value, k) => k !== T0 && value !== begun.x[k])) return undefined;
  const t0 = x[T0];
  if (t0 === ENTRY_TRAIL.x[T0]) return { isOff: true, t0: undefined };
  return t0?.register === 0 ? { isOff: true, t0: t0.plus } : undefined;
}

/** Whether an instruction goes on behind it and does nothing but set an integer register. */
function isSilent({ plan }: Planned): boolean {
  if (plan.flow !== "next") return false;
  const { writes, access, declines } = useOf(plan);
  return writes !== "f" && access === undefined && !declines;
}
