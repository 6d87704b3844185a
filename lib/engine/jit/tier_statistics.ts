/**
 * What regions have done, of all harts together and by functions.
 *
 * @module
 */
import type { TierStatistics } from "../meter.ts";
import type { FunctionStatistics } from "../statistics.ts";
import type { FunctionBounds } from "./fetched_code.ts";
import type { RegionCounters } from "./region_counters.ts";
import type { RegionCounts, Regions } from "./regions.ts";

/** Adds up what the regions of all harts have counted. */
export function tierStatistics(
  all: readonly Regions[],
  counters: RegionCounters,
  bounds: FunctionBounds,
): TierStatistics {
  const sum = (of: keyof RegionCounts) => all.reduce((total, { counts }) => total + counts[of], 0);
  const uncompiled = all.reduce((total, { slots }) => total + slots.uncompiled, 0);
  return {
    regions: {
      compiled: sum("compiled"),
      dropped: sum("dropped"),
      instructions: sum("instructions"),
      bytes: sum("bytes"),
    },
    writing: sum("writing"),
    compiling: sum("compiling"),
    exits: { ...counters.exits(), uncompiled },
    functions: functionsOf(counters, bounds),
  };
}

/** Several regions of one function are one row. */
function functionsOf(counters: RegionCounters, bounds: FunctionBounds): FunctionStatistics[] {
  const rows = new Map<number, FunctionStatistics>();
  for (const { entry, calls, instructions } of counters.entries()) {
    const { low: address } = bounds(entry);
    const row = rows.get(address);
    rows.set(address, {
      address,
      calls: calls + (row?.calls ?? 0),
      instructions: instructions + (row?.instructions ?? 0),
    });
  }
  return [...rows.values()].sort((a, b) =>
    b.instructions - a.instructions || a.address - b.address
  );
}
