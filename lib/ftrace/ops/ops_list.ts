/**
 * The list of ops as it lies in guest memory: links, and the tables that their hashes become.
 *
 * Ops that share a hash share its tables. While nobody walks the list there are none, because a
 * table of every function of a kernel takes half a mebibyte.
 *
 * What walks it is `lib/trampoline/list_func.ts`; where it lies is `tracing_area.ts`.
 *
 * @module
 */
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import { type IpTable, makeIpTable } from "../../trampoline/list_func.ts";
import { type FtraceHash, isEmptyHash, setVersion } from "./filter.ts";
import type { RegisteredOps } from "./ops_dispatch.ts";
import type { TracingArea } from "./tracing_area.ts";

/** A hash as it lies in guest memory, and what it was made from. */
interface PlacedHash {
  readonly filter: IpTable | undefined;
  readonly notrace: IpTable | undefined;
  readonly filterAt: number;
  readonly notraceAt: number;
  readonly from: { readonly filter: PlacedHalf; readonly notrace: PlacedHalf };
}

/** One half of a hash at the time its table was made. */
interface PlacedHalf {
  readonly version: number | undefined;
  readonly records: ReadonlySet<number>;
}

/** Puts the list of `ops` into guest memory, in order, with tables if it is `walked`. */
export type PlaceList = (ops: readonly RegisteredOps[], walked: boolean) => void;

/** Makes a {@linkcode PlaceList} for one machine. It throws ENOMEM if tables do not fit. */
export function createListPlacer(area: TracingArea, records: readonly DynFtrace[]): PlaceList {
  const placed = new Map<FtraceHash, PlacedHash>();
  return (ops, walked) => {
    const used = new Set(walked ? ops.map(({ hash }) => hash) : []);
    for (const [hash, tables] of placed) {
      if (used.has(hash) && isPlaced(tables, hash)) continue;
      for (const address of [tables.filterAt, tables.notraceAt]) {
        if (address !== 0) area.freeTable(address);
      }
      placed.delete(hash);
    }
    for (const hash of used) {
      if (!placed.has(hash)) placed.set(hash, placeHash(area, hash, records));
    }
    ops.forEach((entry, k) => {
      entry.next = ops[k + 1];
      const tables = placed.get(entry.hash);
      const isSame = entry.tables.filter === tables?.filter &&
        entry.tables.notrace === tables?.notrace;
      if (isSame) return;
      area.setTables(entry.slot, tables?.filterAt ?? 0, tables?.notraceAt ?? 0);
      entry.tables = { filter: tables?.filter, notrace: tables?.notrace };
    });
    area.link(ops.map(({ slot }) => slot));
  };
}

function placeHash(
  area: TracingArea,
  hash: FtraceHash,
  records: readonly DynFtrace[],
): PlacedHash {
  const tableOf = (which: "filter" | "notrace") =>
    // Nothing is traced by a filter that only waits, and nothing kept by a notrace that does.
    (which === "filter" ? isEmptyHash(hash, which) : hash[which].size === 0)
      ? undefined
      : makeIpTable([...hash[which]].map((index) => Number(records[index]!.ip)));
  const filter = tableOf("filter");
  const notrace = tableOf("notrace");
  const half = (set: ReadonlySet<number>) => ({ version: setVersion(set), records: new Set(set) });
  return {
    filter,
    notrace,
    filterAt: filter ? area.placeTable(filter) : 0,
    notraceAt: notrace ? area.placeTable(notrace) : 0,
    from: { filter: half(hash.filter), notrace: half(hash.notrace) },
  };
}

function isPlaced({ from, filter }: PlacedHash, hash: FtraceHash): boolean {
  return isSameHalf(from.filter, hash.filter) && isSameHalf(from.notrace, hash.notrace) &&
    (filter === undefined) === isEmptyHash(hash, "filter");
}

function isSameHalf({ version, records }: PlacedHalf, set: ReadonlySet<number>): boolean {
  if (version !== undefined && version === setVersion(set)) return true;
  return records.size === set.size && records.isSubsetOf(set);
}
