/**
 * What regions have done, of all harts together and by functions.
 *
 * @module
 */
import type { TierStatistics } from "../meter.ts";
import type { FunctionStatistics } from "../statistics.ts";
import type { Functions } from "./functions.ts";
import type { RegionCounters } from "./region_counters.ts";
import type { RegionCounts, Regions } from "./regions.ts";

/** Adds up what the regions of all harts have counted. */
export function tierStatistics(
  all: readonly Regions[],
  counters: RegionCounters,
  functions: Functions,
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
    functions: rowsOf(counters, functions),
  };
}

/** Several regions of one function are one row. */
function rowsOf(counters: RegionCounters, functions: Functions): FunctionStatistics[] {
  const rows = new Map<number, FunctionStatistics>();
  for (const { entry, calls, instructions } of counters.entries()) {
    const { low: address } = functions.around(entry);
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
