/**
 * Serves fprobes at traced calls: their entry and exit handlers, and the data kept between the two.
 *
 * As from Linux 6.14 on (`kernel/trace/fprobe.c`), probes share one user of the graph tracer whose
 * hash is the union of theirs, and what they keep of a call lies on its shadow stack. Later kernels
 * attach probes without an exit handler through a plain ftrace_ops instead: no return of theirs is
 * caught.
 *
 * Catching entries and returns is `fgraph.ts`; who puts probes here is `fprobe_register.ts`.
 *
 * @module
 */
import type { FtraceRegs } from "../../trampoline/ftrace_regs.ts";
import { refusePromise } from "../callbacks.ts";
import { createHash, type FtraceHash } from "../ops/filter.ts";
import type { TracedCall } from "../ops/served_call.ts";
import type { FgraphOps, GraphEntry, GraphReturn } from "./fgraph_ops.ts";
import { type Fprobe, FPROBE_FL_DISABLED } from "./fprobe.ts";

/** Words that say whose the data of a call are, before them. */
const HEADER_WORDS = 1;

/** What is kept of one registered probe. */
export interface PlacedFprobe {
  /** The probe itself, its owner's object. */
  readonly fp: Fprobe;
  /** Indices of the records that it is on. */
  readonly sites: readonly number[];
  /** The probes that it is one of; it stays there, whatever handlers it is given later. */
  readonly place: FprobeSites;
  /** Whether the probe is still registered. */
  registered: boolean;
  /** Hits of the probe that were not served. */
  nmissed: number;
}

/** Probes by record, and the hash of all records that have one. */
export class FprobeSites {
  /** Exactly the records that have a probe; empty if none has. */
  readonly hash: FtraceHash = createHash();
  /** How many probes there are. */
  count = 0;
  readonly #bySite = new Map<number, readonly PlacedFprobe[]>();

  /** The probes on a record, newest first. */
  at(site: number): readonly PlacedFprobe[] {
    return this.#bySite.get(site) ?? [];
  }

  /** Adds a probe on its records. */
  add(placed: PlacedFprobe): void {
    this.count++;
    for (const site of placed.sites) {
      this.#bySite.set(site, [placed, ...this.at(site)]);
      this.hash.filter.add(site);
    }
  }

  /** Removes a probe that was added. */
  remove(placed: PlacedFprobe): void {
    this.count--;
    for (const site of placed.sites) {
      const left = this.at(site).filter((each) => each !== placed);
      if (left.length > 0) this.#bySite.set(site, left);
      else {
        this.#bySite.delete(site);
        this.hash.filter.delete(site);
      }
    }
  }
}

/** Where a handler is called. */
interface CallSite {
  readonly site: number;
  readonly ip: bigint;
  readonly parentIp: bigint;
}

/** What one probe keeps of one call. */
interface OpenProbe {
  readonly placed: PlacedFprobe;
  readonly data: DataView | null;
}

/** Serves the calls of functions that have probes. */
export class FprobeCalls {
  /** Probes that the graph tracer serves. */
  readonly byGraph: FprobeSites = new FprobeSites();
  /** Probes that the plain ops serves: in kernels that have one, those without an exit handler. */
  readonly byEntry: FprobeSites = new FprobeSites();
  /** The graph ops under the first kind. */
  readonly gops: FgraphOps;
  readonly #failed: (placed: PlacedFprobe, site: number, error: unknown) => void;

  /**
   * Starts without probes. `splits` says whether the plain ops is used; `failed` is told of a handler
   * that has thrown, at the record with that index.
   */
  constructor(
    splits: boolean,
    failed: (placed: PlacedFprobe, site: number, error: unknown) => void,
  ) {
    this.#failed = failed;
    const entryFunc = (entry: GraphEntry, fregs: FtraceRegs) => this.#enter(entry, fregs);
    const retFunc = (exit: GraphReturn, fregs: FtraceRegs | null) => this.#leave(exit, fregs);
    // By these names the kernel lists them.
    nameFunction(entryFunc, splits ? "fprobe_fgraph_entry" : "fprobe_entry");
    nameFunction(retFunc, "fprobe_return");
    this.gops = { name: "fprobe_graph_ops", hash: this.byGraph.hash, entryFunc, retFunc };
  }

  /** Serves a call that reached the plain ops. */
  entry({ record: { index: site }, ip, parentIp, fregs }: TracedCall): void {
    for (const placed of this.byEntry.at(site)) {
      if (isActive(placed)) this.#runEntry(placed, { site, ip, parentIp }, fregs, null);
    }
  }

  #enter(entry: GraphEntry, fregs: FtraceRegs): boolean {
    const probes = this.byGraph.at(entry.site);
    const words = probes.reduce((sum, { fp }) => sum + wordsOf(fp), 0);
    const room = words > 0 && entry.returns ? entry.reserveData(words * 8) : null;
    if (words > 0 && entry.returns && !room) {
      for (const placed of probes) if (isActive(placed)) placed.nmissed++;
      return false;
    }
    const open: OpenProbe[] = [];
    const call = { site: entry.site, ip: entry.func, parentIp: entry.parentIp };
    let used = 0;
    for (const placed of probes) {
      if (!isActive(placed)) continue;
      const { fp } = placed;
      const size = fp.exitHandler ? dataWords(fp) * 8 : 0;
      const from = (used + HEADER_WORDS) * 8;
      const data = room && size > 0 ? new DataView(room.buffer, from, size) : null;
      const verdict = this.#runEntry(placed, call, fregs, data);
      if (!fp.exitHandler || verdict) continue;
      // Where the exit is cancelled the next probe's data take the place.
      open.push({ placed, data });
      used += wordsOf(fp);
    }
    entry.data = open;
    return open.length > 0;
  }

  #leave({ site, func, parentIp, data: open }: GraphReturn, fregs: FtraceRegs | null): void {
    if (!fregs) return;
    for (const { placed, data } of open as OpenProbe[]) {
      const { fp } = placed;
      if (!fp.exitHandler || !isActive(placed)) continue;
      this.#run(placed, site, () => fp.exitHandler!(fp, func, parentIp, fregs, data));
    }
  }

  #runEntry(
    placed: PlacedFprobe,
    { site, ip, parentIp }: CallSite,
    fregs: FtraceRegs,
    data: DataView | null,
  ): number | void {
    const { fp } = placed;
    if (!fp.entryHandler) return undefined;
    return this.#run(placed, site, () => fp.entryHandler!(fp, ip, parentIp, fregs, data));
  }

  /** Runs a handler; the result of one that throws cancels the exit handler. */
  #run(placed: PlacedFprobe, site: number, body: () => number | void): number | void {
    try {
      return refusePromise(body());
    } catch (error) {
      this.#failed(placed, site, error);
      return 1;
    }
  }
}

function isActive({ fp, registered }: PlacedFprobe): boolean {
  return registered && ((fp.flags ?? 0) & FPROBE_FL_DISABLED) === 0;
}

function nameFunction(named: object, name: string): void {
  Object.defineProperty(named, "name", { value: name });
}

/** Words of the shadow stack that a probe takes for a call. */
function wordsOf(fp: Fprobe): number {
  return fp.exitHandler ? HEADER_WORDS + dataWords(fp) : 0;
}

function dataWords({ entryDataSize = 0 }: Fprobe): number {
  return Math.ceil(entryDataSize / 8);
}
