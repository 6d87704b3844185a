/**
 * fprobe: an entry and an exit handler on many functions, with storage from one to the other.
 *
 * All probes share one user of the graph tracer, as from Linux 6.14 on (`kernel/trace/fprobe.c`);
 * its hash is the union of theirs. Eras before that series get the same thing and are told so once.
 *
 * Catching entries and returns is `fgraph.ts`.
 *
 * @module
 */
import type { DynFtrace } from "../patcher/dyn_ftrace.ts";
import type { FtraceRegs } from "../trampoline/ftrace_regs.ts";
import type { FgraphOps, GraphReturn } from "./fgraph.ts";
import { createHash, type FtraceHash } from "./filter.ts";
import { FtraceError } from "./ftrace_error.ts";

/** Most bytes that a probe keeps from entry to exit (15 longs). */
export const MAX_FPROBE_DATA_SIZE = 120;

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
  /** Hits that were not served. */
  nmissed?: number;
  /** Soft-disabled while true. */
  disabled?: boolean;
}

/** The probes of one trace. */
export interface Fprobes {
  /** The one graph ops under them; its hash is their union. */
  readonly gops: FgraphOps & { readonly hash: FtraceHash };
  /** How many probes there are. */
  readonly count: number;
  /** Adds a probe on these records. @throws {FtraceError} As `register_fprobe_ips`. */
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

/** Makes an empty set of probes; `guard` runs a handler and removes its probe if it throws. */
export function createFprobes(
  guard: (fp: Fprobe, site: number, body: () => number | void) => number | void,
): Fprobes {
  const sitesOf = new Map<Fprobe, ReadonlySet<number>>();
  const bySite = new Map<number, Fprobe[]>();
  const hash = createHash();
  const unite = () => {
    hash.filter.clear();
    for (const site of bySite.keys()) hash.filter.add(site);
  };
  const active = (fp: Fprobe) => !fp.disabled && sitesOf.has(fp);
  const gops: FgraphOps & { readonly hash: FtraceHash } = {
    name: "fprobe_graph_ops",
    hash,
    entryFunc(entry, fregs) {
      const open: OpenProbe[] = [];
      for (const fp of [...bySite.get(entry.site) ?? []]) {
        if (!active(fp)) continue;
        const size = fp.exitHandler ? fp.entryDataSize ?? 0 : 0;
        const data = size > 0 ? new DataView(new ArrayBuffer((size + 7) & ~7)) : null;
        const verdict = fp.entryHandler &&
          guard(
            fp,
            entry.site,
            () => fp.entryHandler!(fp, entry.func, entry.parentIp, fregs, data),
          );
        if (fp.exitHandler && !verdict) open.push({ fp, data });
      }
      entry.data = open;
      return open.length > 0;
    },
    retFunc(exit: GraphReturn, fregs) {
      if (!fregs) return;
      for (const { fp, data } of exit.data as OpenProbe[]) {
        if (!active(fp)) continue;
        guard(fp, exit.site, () => fp.exitHandler!(fp, exit.func, exit.parentIp, fregs, data));
      }
    },
  };
  return {
    gops,
    get count() {
      return sitesOf.size;
    },
    add(fp, sites) {
      if (!fp.entryHandler && !fp.exitHandler) {
        throw new TypeError(
          "Cannot register the fprobe: it has neither entryHandler nor exitHandler",
        );
      }
      if (sitesOf.has(fp)) {
        throw new FtraceError(
          "EBUSY",
          "already-enabled",
          "Cannot register the fprobe: it is registered",
        );
      }
      if ((fp.entryDataSize ?? 0) > MAX_FPROBE_DATA_SIZE) {
        throw new FtraceError(
          "E2BIG",
          "too-many",
          `Cannot keep ${fp.entryDataSize} bytes a call: ${MAX_FPROBE_DATA_SIZE} is the most`,
          "a Map keyed by call",
        );
      }
      fp.nmissed ??= 0;
      sitesOf.set(fp, new Set(sites.map(({ index }) => index)));
      for (const { index } of sites) bySite.set(index, [fp, ...bySite.get(index) ?? []]);
      unite();
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
      sitesOf.delete(fp);
      for (const site of sites) {
        const left = bySite.get(site)!.filter((each) => each !== fp);
        if (left.length > 0) bySite.set(site, left);
        else bySite.delete(site);
      }
      unite();
    },
    at: (site) => bySite.get(site) ?? [],
  };
}
