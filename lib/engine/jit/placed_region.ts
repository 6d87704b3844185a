/**
 * Where the instructions of a region lie in physical memory.
 *
 * @module
 */
import { PAGE_SIZE } from "../../memory/page.ts";
import type { Extent } from "../code_cache.ts";
import type { Region } from "./region.ts";

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
