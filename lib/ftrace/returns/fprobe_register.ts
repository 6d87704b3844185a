/**
 * Registering fprobes: by filter, by addresses and by names, with each of the kernel's refusals.
 *
 * Eras before 6.14 have no fprobe on RISC-V. They get it as with the series that put it on the graph
 * tracer, and say so once, unless they are to be followed to the letter.
 *
 * What a probe does at a call is `fprobe.ts`.
 *
 * @module
 */
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import type { TracedCall } from "../ops/served_call.ts";
import type { Era } from "../era.ts";
import type { FgraphOps } from "./fgraph_ops.ts";
import { type FtraceHash, matchRecords, parsePattern } from "../ops/filter.ts";
import { createFprobes, type Fprobe, type FprobeGuard, type Fprobes } from "./fprobe.ts";
import { FtraceError, throwRefusal } from "../ftrace_error.ts";
import type { AnyFtraceOps, FtraceRegistration } from "../ops/ftrace_ops.ts";

/** See the module. */
export interface FprobeRegister {
  /**
   * Probes functions by patterns.
   *
   * @throws {FtraceError} EINVAL without a filter, ENOENT if nothing matches, E2BIG for its data,
   *   EBUSY if it is registered, EOPNOTSUPP if strict and the kernel has none.
   */
  registerFprobe(fp: Fprobe, filter: string, notfilter?: string): Disposable;
  /** Probes sites by address. @throws {FtraceError} The same; ENOENT if one is no site. */
  registerFprobeIps(fp: Fprobe, addresses: readonly bigint[]): Disposable;
  /** Probes functions by exact name. @throws {FtraceError} The same; ENOENT if one has no site. */
  registerFprobeSyms(fp: Fprobe, names: readonly string[]): Disposable;
  /** Removes a probe. @throws {FtraceError} EINVAL if it is not registered. */
  unregisterFprobe(fp: Fprobe): void;
}

/** What {@linkcode createFprobeRegister} needs of ftrace. */
export interface FprobeHost {
  /** Everything that can be traced. */
  readonly records: readonly DynFtrace[];
  /** The kernel's ways. */
  readonly era: Era;
  /** Follow that kernel to the letter. */
  readonly strict: boolean;
  /** Adds the graph ops, or lets sites follow its hash. */
  addGraph(gops: FgraphOps, hash: FtraceHash): void;
  /** Removes it. */
  removeGraph(gops: FgraphOps): void;
  /** Lets sites follow hashes. */
  updateGraph(): void;
  /** Registers the plain ops. */
  registerInternal(ops: AnyFtraceOps, handler: (call: TracedCall) => void): FtraceRegistration;
  /** A handler threw; its probe is removed then. */
  reportThrow(site: number, error: unknown): void;
  /** Runs a handler; refuses a promise. */
  run(body: () => number | void): number | void;
  /** A line about something worth knowing. */
  report(line: string): void;
}

/** Starts without probes. */
export function createFprobeRegister(host: FprobeHost): FprobeRegister & Pick<Fprobes, "at"> {
  const { records, era, strict } = host;
  const guard: FprobeGuard = (fp, site, body) => {
    try {
      return host.run(body);
    } catch (error) {
      host.reportThrow(site, error);
      unregisterFprobe(fp);
      return 1;
    }
  };
  const fprobes = createFprobes(guard, era.forms.hasEntryFprobes);
  const entryOps: AnyFtraceOps = { name: "fprobe_ftrace_ops", hash: fprobes.entryHash };
  let entryRegistration: FtraceRegistration | undefined;
  let hasGraph = false;
  /** Attaches what has probes now, and lets sites follow. */
  const follow = () => {
    if (fprobes.graphCount > 0 && !hasGraph) {
      host.addGraph(fprobes.gops, fprobes.gops.hash);
      hasGraph = true;
    } else if (fprobes.graphCount === 0 && hasGraph) {
      hasGraph = false;
      host.removeGraph(fprobes.gops);
    }
    if (fprobes.entryCount > 0 && !entryRegistration) {
      entryRegistration = host.registerInternal(entryOps, (call) => fprobes.entry(call));
    } else if (fprobes.entryCount === 0 && entryRegistration) {
      entryRegistration.unregister();
      entryRegistration = undefined;
    }
    host.updateGraph();
  };
  let saidOlder = false;
  const checkEra = () => {
    if (era.hasFprobe) return;
    throwRefusal(checkFprobeEra(era, strict));
    if (!saidOlder) {
      host.report(`fprobe runs on the graph tracer, as from Linux 6.14 on; ${era.name} is older`);
    }
    saidOlder = true;
  };
  const add = (fp: Fprobe, sites: readonly DynFtrace[]): Disposable => {
    checkEra();
    fprobes.add(fp, sites);
    try {
      follow();
    } catch (error) {
      fprobes.remove(fp);
      throw error;
    }
    let done = false;
    return {
      [Symbol.dispose]() {
        if (!done) unregisterFprobe(fp);
        done = true;
      },
    };
  };
  function unregisterFprobe(fp: Fprobe): void {
    fprobes.remove(fp);
    follow();
  }
  return {
    registerFprobe(fp, filter, notfilter) {
      if (!filter) throw empty("the filter is empty");
      const unwanted = new Set(notfilter ? matchRecords(parsePattern(notfilter), records) : []);
      const sites = matchRecords(parsePattern(filter), records)
        .filter((record) => !unwanted.has(record));
      if (sites.length === 0) throw noSite(`"${filter}"`);
      return add(fp, sites);
    },
    registerFprobeIps(fp, addresses) {
      if (addresses.length === 0) throw empty("there are no addresses");
      return add(
        fp,
        addresses.map((address) => {
          const record = records.find(({ ip, entry }) => ip === address || entry === address);
          if (!record || record.kind === "disabled") throw noSite(`0x${address.toString(16)}`);
          return record;
        }),
      );
    },
    registerFprobeSyms(fp, names) {
      if (names.length === 0) throw empty("there are no names");
      return add(
        fp,
        names.flatMap((name) => {
          const found = records.filter((each) => each.name === name && each.kind !== "disabled");
          if (found.length === 0) throw noSite(name);
          return found;
        }),
      );
    },
    unregisterFprobe,
    at: (site) => fprobes.at(site),
  };
}

/** That an era has fprobes, or is not followed to the letter: the refusal if neither is so. */
export function checkFprobeEra(era: Era, strict: boolean): FtraceError | undefined {
  if (era.hasFprobe || !strict) return undefined;
  return new FtraceError(
    "EOPNOTSUPP",
    "not-supported-by-era",
    `Cannot register an fprobe: era ${era.name} is Linux ${era.release.split("-")[0]}, ` +
      "and RISC-V has fprobe with ftrace_regs from 6.14 on",
    "--era call-ops, or no --strict",
  );
}

function empty(why: string): FtraceError {
  return new FtraceError("EINVAL", "empty-filter", `Cannot register the fprobe: ${why}`);
}

function noSite(what: string): FtraceError {
  return new FtraceError(
    "ENOENT",
    "no-site",
    `Cannot probe ${what}: it is no ftrace location`,
    "--virtual",
  );
}
