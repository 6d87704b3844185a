/**
 * fprobe: an entry and an exit handler on many functions, with storage from one to the other.
 *
 * As from Linux 6.14 on (`kernel/trace/fprobe.c`), probes share one user of the graph tracer whose
 * hash is the union of theirs, and what they keep of a call lies on its shadow stack. Later kernels
 * attach probes without an exit handler through a plain ftrace_ops instead: no return of theirs is
 * caught.
 *
 * Catching entries and returns is `fgraph.ts`; registering by filter, addresses and names, with
 * each refusal, is `fprobe_register.ts`.
 *
 * @module
 */
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import type { FtraceRegs } from "../../trampoline/ftrace_regs.ts";
import type { TracedCall } from "../ops/served_call.ts";
import type { FgraphOps, GraphEntry, GraphReturn } from "./fgraph_ops.ts";
import { createHash, type FtraceHash } from "../ops/filter.ts";
import { FtraceError } from "../ftrace_error.ts";

/** Most bytes that a probe keeps from entry to exit (15 longs). */
export const MAX_FPROBE_DATA_SIZE = 120;
/** Bit of {@linkcode Fprobe.flags}: soft-disabled; settable while registered. */
export const FPROBE_FL_DISABLED = 1;
/**
 * Bit of {@linkcode Fprobe.flags}: the handler is a kprobe's, too, and must not interrupt one. Here
 * no function is entered while a kprobe handler runs, so it never misses for that.
 */
export const FPROBE_FL_KPROBE_SHARED = 2;

/** Words that say whose the data of a call are, before them. */
const HEADER_WORDS = 1;

/** An entry and exit probe (`struct fprobe`). */
export interface Fprobe {
  /** At the entry. A result other than 0 or nothing cancels the exit handler of this call. */
  entryHandler?: (
    fp: Fprobe,
    entryIp: bigint,
    retIp: bigint,
    fregs: FtraceRegs,
    data: DataView | null,
  ) => number | void;
  /** At the exit; not called for a call that was unwound. `fregs.returnValue` may be set. */
  exitHandler?: (
    fp: Fprobe,
    entryIp: bigint,
    retIp: bigint,
    fregs: FtraceRegs,
    data: DataView | null,
  ) => void;
  /** Bytes of private storage for each call, at most 120; `data` is null without it. */
  entryDataSize?: number;
  /** Hits that were not served for want of room on the shadow stack. */
  nmissed?: number;
  /** `FPROBE_FL_*`. */
  flags?: number;
}

/** The probes of one trace. */
export interface Fprobes {
  /** The graph ops under probes that need one; its hash is their union. */
  readonly gops: FgraphOps & { readonly hash: FtraceHash };
  /** How many probes that one serves. */
  readonly graphCount: number;
  /** What the plain ops under the others traces. */
  readonly entryHash: FtraceHash;
  /** How many those are; 0 in kernels that have no such ops. */
  readonly entryCount: number;
  /** Serves a call that reached the plain ops. */
  entry(call: TracedCall): void;
  /** Adds a probe on these records. @throws {FtraceError} EBUSY if it is there, E2BIG for its data. */
  add(fp: Fprobe, sites: readonly DynFtrace[]): void;
  /** Removes a probe. @throws {FtraceError} EINVAL if it is not registered. */
  remove(fp: Fprobe): void;
  /** The probes on a record, newest first. */
  at(site: number): readonly Fprobe[];
}

/** What one probe keeps of one call. */
interface OpenProbe {
  readonly fp: Fprobe;
  readonly data: DataView | null;
}

/** Runs a handler, and removes its probe if it throws. */
export type FprobeGuard = (
  fp: Fprobe,
  site: number,
  body: () => number | void,
) => number | void;

/** Makes an empty set of probes; `splits` says whether entry probes have an ops of their own. */
export function createFprobes(guard: FprobeGuard, splits: boolean): Fprobes {
  const sitesOf = new Map<Fprobe, readonly number[]>();
  const byGraph = createSites();
  const byEntry = createSites();
  /** A probe stays where it was put, whatever handlers it is given later. */
  const placeOf = new Map<Fprobe, Sites>();
  const isActive = (fp: Fprobe) => ((fp.flags ?? 0) & FPROBE_FL_DISABLED) === 0 && sitesOf.has(fp);
  const enter = (
    fp: Fprobe,
    { site, ip, parentIp }: {
      readonly site: number;
      readonly ip: bigint;
      readonly parentIp: bigint;
    },
    fregs: FtraceRegs,
    data: DataView | null,
  ) => {
    const { entryHandler } = fp;
    return entryHandler && guard(fp, site, () => entryHandler(fp, ip, parentIp, fregs, data));
  };
  const gops: FgraphOps & { readonly hash: FtraceHash } = {
    name: "fprobe_graph_ops",
    hash: byGraph.hash,
    entryFunc(entry: GraphEntry, fregs) {
      const probes = byGraph.at(entry.site);
      const words = probes.filter(({ exitHandler }) => exitHandler)
        .reduce((sum, fp) => sum + HEADER_WORDS + dataWords(fp), 0);
      const room = words > 0 && entry.returns ? entry.reserveData(words * 8) : null;
      if (words > 0 && entry.returns && !room) {
        for (const fp of probes) if (isActive(fp)) fp.nmissed = (fp.nmissed ?? 0) + 1;
        return false;
      }
      const open: OpenProbe[] = [];
      const call = { site: entry.site, ip: entry.func, parentIp: entry.parentIp };
      let used = 0;
      for (const fp of [...probes]) {
        if (!isActive(fp)) continue;
        const size = fp.exitHandler ? dataWords(fp) * 8 : 0;
        const from = (used + HEADER_WORDS) * 8;
        const data = room && size > 0 ? new DataView(room.buffer, from, size) : null;
        const verdict = enter(fp, call, fregs, data);
        if (!fp.exitHandler || verdict) continue;
        // Where the exit is cancelled the next probe's data take the place.
        open.push({ fp, data });
        used += HEADER_WORDS + dataWords(fp);
      }
      entry.data = open;
      return open.length > 0;
    },
    retFunc(exit: GraphReturn, fregs) {
      if (!fregs) return;
      for (const { fp, data } of exit.data as OpenProbe[]) {
        const { exitHandler } = fp;
        if (!exitHandler || !isActive(fp)) continue;
        guard(fp, exit.site, () => exitHandler(fp, exit.func, exit.parentIp, fregs, data));
      }
    },
  };
  // By these names the kernel lists them.
  nameFunction(gops.entryFunc!, splits ? "fprobe_fgraph_entry" : "fprobe_entry");
  nameFunction(gops.retFunc!, "fprobe_return");
  return {
    gops,
    get graphCount() {
      return [...placeOf.values()].filter((place) => place === byGraph).length;
    },
    entryHash: byEntry.hash,
    get entryCount() {
      return [...placeOf.values()].filter((place) => place === byEntry).length;
    },
    entry({ record, ip, parentIp, fregs }) {
      for (const fp of [...byEntry.at(record.index)]) {
        if (isActive(fp)) enter(fp, { site: record.index, ip, parentIp }, fregs, null);
      }
    },
    add(fp, sites) {
      if (sitesOf.has(fp)) {
        throw new FtraceError(
          "EBUSY",
          "already-enabled",
          "Cannot register the fprobe: it is registered",
        );
      }
      const size = fp.entryDataSize ?? 0;
      if (!Number.isSafeInteger(size) || size < 0) {
        throw new TypeError(
          `Cannot keep ${size} bytes a call: it must be a whole number from 0 up`,
        );
      }
      if (size > MAX_FPROBE_DATA_SIZE) {
        throw new FtraceError(
          "E2BIG",
          "too-many",
          `Cannot keep ${size} bytes a call: ${MAX_FPROBE_DATA_SIZE} is the most`,
          "a Map keyed by call",
        );
      }
      fp.nmissed = 0;
      const indices = [...new Set(sites.map(({ index }) => index))];
      const place = splits && !fp.exitHandler ? byEntry : byGraph;
      sitesOf.set(fp, indices);
      placeOf.set(fp, place);
      place.add(fp, indices);
    },
    remove(fp) {
      const sites = sitesOf.get(fp);
      if (!sites) {
        throw new FtraceError(
          "EINVAL",
          "not-enabled",
          "Cannot unregister the fprobe: it is not registered",
        );
      }
      placeOf.get(fp)!.remove(fp, sites);
      placeOf.delete(fp);
      sitesOf.delete(fp);
    },
    at: (site) => [...byGraph.at(site), ...byEntry.at(site)],
  };
}

function nameFunction(named: object, name: string): void {
  Object.defineProperty(named, "name", { value: name });
}

function dataWords({ entryDataSize = 0 }: Fprobe): number {
  return Math.ceil(entryDataSize / 8);
}

/** Probes by record, and the hash of all records that have one. */
interface Sites {
  readonly hash: FtraceHash;
  at(site: number): readonly Fprobe[];
  add(fp: Fprobe, sites: readonly number[]): void;
  remove(fp: Fprobe, sites: readonly number[]): void;
}

function createSites(): Sites {
  const bySite = new Map<number, readonly Fprobe[]>();
  const hash = createHash();
  return {
    hash,
    at: (site) => bySite.get(site) ?? [],
    add(fp, sites) {
      for (const site of sites) {
        bySite.set(site, [fp, ...bySite.get(site) ?? []]);
        hash.filter.add(site);
      }
    },
    remove(fp, sites) {
      for (const site of sites) {
        const left = bySite.get(site)!.filter((each) => each !== fp);
        if (left.length > 0) bySite.set(site, left);
        else {
          bySite.delete(site);
          hash.filter.delete(site);
        }
      }
    },
  };
}
