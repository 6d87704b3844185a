/**
 * Where the instructions of a region lie in physical memory, and what it costs.
 *
 * @module
 */
import { PAGE_SIZE } from "../../memory/page.ts";
import type { Extent } from "../code_cache.ts";
import { MODULE_COST } from "./module_cache.ts";
import type { Region } from "./region.ts";

/** Bytes that a region costs beyond its code, without its module: what V8 keeps of an instance. */
const INSTANCE_COST = 24_000 - MODULE_COST;
/** Bytes of WASM and of machine code that an instruction becomes, about. */
const INSTRUCTION_COST = 150;

/** A region and its pages. */
export interface PlacedRegion {
  readonly region: Region;
  /** Physical pages of its instructions, by the numbers that the hart has for them. */
  readonly pages: ReadonlyMap<number, number>;
}

/** The physical addresses that a region's instructions lie between, both included. */
export function extentOf(placed: PlacedRegion): Extent {
  let first = Infinity, last = -Infinity;
  for (const pc of placed.region.steps.keys()) {
    const at = physicalIn(placed, pc);
    if (at < first) first = at;
    if (at > last) last = at;
  }
  return { first, last };
}

/** Whether an instruction of a region began at a physical address from `start` up to `end`. */
export function hasStepIn(placed: PlacedRegion, start: number, end: number): boolean {
  const { pages, region: { steps } } = placed;
  for (const [page, physical] of pages) {
    const base = physical * PAGE_SIZE;
    const last = Math.min(end, base + PAGE_SIZE);
    for (let at = Math.max(start, base); at < last; at += 2) {
      if (steps.has(page * PAGE_SIZE + (at - base))) return true;
    }
  }
  return false;
}

/** Where an instruction of a region lay when that was made. */
export function physicalIn({ pages }: PlacedRegion, pc: number): number {
  const page = Math.floor(pc / PAGE_SIZE);
  return pages.get(page)! * PAGE_SIZE + (pc - page * PAGE_SIZE);
}

/** Bytes that a region counts as. */
export function costOf({ written }: Region): number {
  return written * INSTRUCTION_COST + MODULE_COST + INSTANCE_COST;
}
