/**
 * Functions without a call site that are asked for by their name: each gets a record then, and is
 * served by a hook of the engine where it begins.
 *
 * How a record of that kind is made is `records.ts`; what looks names up is `filter.ts`.
 *
 * @module
 */
import { setUnlisted } from "./filter.ts";
import type { RecordTable } from "./record_table.ts";

/**
 * Says what functions a table has no record of, and if they are wanted lets them come into it by name;
 * `report` is told of each.
 */
export function serveByName(
  table: RecordTable,
  isWanted: boolean,
  report: (line: string) => void,
): void {
  const { siteless } = table;
  setUnlisted(table.records, {
    give(name) {
      if (!isWanted || !siteless.add(name)) return false;
      report(`${name} has no call site: it is hooked where it begins (a virtual site)`);
      return true;
    },
    count: (matches) => siteless.names().filter((names) => names.some(matches)).length,
  });
}
