/**
 * Registering fprobes: by filter, by addresses and by names, with each of the kernel's refusals.
 *
 * Up to 6.9 it needs full registers (DYNAMIC_FTRACE_WITH_REGS), from 6.14 on `ftrace_regs` do. What
 * lies between has none on RISC-V: there it is served as with the series that put it on the graph
 * tracer, which is said once, unless the kernel is to be followed to the letter.
 *
 * What a probe does at a call is `fprobe_calls.ts`.
 *
 * @module
 */
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import type { Era } from "../era.ts";
import { FtraceError, throwRefusal } from "../ftrace_error.ts";
import { matchRecords, parsePattern, recordsNamed } from "../ops/filter.ts";
import type { AnyFtraceOps, FtraceRegistration } from "../ops/ftrace_ops.ts";
import type { FunctionCore } from "../ops/function_core.ts";
import { type Fprobe, type FprobeRegistration, MAX_FPROBE_DATA_SIZE } from "./fprobe.ts";
import { FprobeCalls, type PlacedFprobe } from "./fprobe_calls.ts";
import type { GraphRegister } from "./graph_register.ts";

/** How probes on entries and exits are registered. */
export interface FprobeRegister {
  /**
   * Probes functions by patterns; disposing takes the probe away.
   *
   * @throws {FtraceError} EINVAL without a filter, ENOENT if nothing matches, E2BIG for its data,
   *   EBUSY if it is registered, EOPNOTSUPP if strict and the kernel has none.
   */
  registerFprobe(fp: Fprobe, filter: string, notfilter?: string): FprobeRegistration;
  /**
   * Probes sites by address; disposing takes the probe away.
   *
   * @throws {FtraceError} See {@linkcode FprobeRegister.registerFprobe}; ENOENT if one is no site.
   */
  registerFprobeIps(fp: Fprobe, addresses: readonly bigint[]): FprobeRegistration;
  /**
   * Probes functions by exact name; disposing takes the probe away.
   *
   * @throws {FtraceError} See {@linkcode FprobeRegister.registerFprobe}; ENOENT if one has no site.
   */
  registerFprobeSyms(fp: Fprobe, names: readonly string[]): FprobeRegistration;
  /** Removes a probe. @throws {FtraceError} EINVAL if it is not registered. */
  unregisterFprobe(fp: Fprobe): void;
}

/** What {@linkcode Fprobes} stands on. */
export interface FprobesParts {
  /** Records, and the plain ops. */
  readonly core: FunctionCore;
  /** Takes the graph ops. */
  readonly graphUsers: GraphRegister;
  /** The era whose kernel is followed. */
  readonly era: Era;
  /** Whether to refuse what the era's kernel refuses, even where it could be served. */
  readonly strict: boolean;
  /** Takes a line about something worth knowing. */
  readonly report: (line: string) => void;
}

/** The fprobes of one machine. */
export class Fprobes implements FprobeRegister {
  readonly #parts: FprobesParts;
  readonly #calls: FprobeCalls;
  readonly #placed = new Map<Fprobe, PlacedFprobe>();
  readonly #entryOps: AnyFtraceOps;
  #entryRegistration: FtraceRegistration | undefined;
  #hasGraph = false;
  #saidOlder = false;

  /** Starts without probes. */
  constructor(parts: FprobesParts) {
    this.#parts = parts;
    this.#calls = new FprobeCalls(parts.era.forms.hasEntryFprobes, (placed, site, error) => {
      parts.graphUsers.reportThrow("fprobe", site, error);
      this.#remove(placed);
    });
    this.#entryOps = { name: "fprobe_ftrace_ops", hash: this.#calls.byEntry.hash };
  }

  /** Implements {@linkcode FprobeRegister.registerFprobe}. */
  registerFprobe(fp: Fprobe, filter: string, notfilter?: string): FprobeRegistration {
    if (!filter) throw empty("the filter is empty");
    const { records } = this.#parts.core;
    const unwanted = new Set(notfilter ? matchRecords(parsePattern(notfilter), records) : []);
    const sites = matchRecords(parsePattern(filter), records)
      .filter((record) => !unwanted.has(record));
    if (sites.length === 0) throw noSite(`"${filter}"`);
    return this.#add(fp, sites);
  }

  /** Implements {@linkcode FprobeRegister.registerFprobeIps}. */
  registerFprobeIps(fp: Fprobe, addresses: readonly bigint[]): FprobeRegistration {
    if (addresses.length === 0) throw empty("there are no addresses");
    const sites = addresses.map((address) => {
      const record = this.#parts.core.records.find(({ ip, entry }) =>
        ip === address || entry === address
      );
      if (!record || record.kind === "disabled") throw noSite(`0x${address.toString(16)}`);
      return record;
    });
    return this.#add(fp, sites);
  }

  /** Implements {@linkcode FprobeRegister.registerFprobeSyms}. */
  registerFprobeSyms(fp: Fprobe, names: readonly string[]): FprobeRegistration {
    if (names.length === 0) throw empty("there are no names");
    const sites = names.flatMap((name) => {
      const found = recordsNamed(name, this.#parts.core.records);
      if (found.length === 0) throw noSite(name);
      return found;
    });
    return this.#add(fp, sites);
  }

  /** Implements {@linkcode FprobeRegister.unregisterFprobe}. */
  unregisterFprobe(fp: Fprobe): void {
    const placed = this.#placed.get(fp);
    if (!placed) {
      throw new FtraceError(
        "EINVAL",
        "not-enabled",
        "Cannot unregister the fprobe: it is not registered",
      );
    }
    this.#remove(placed);
  }

  #add(fp: Fprobe, records: readonly DynFtrace[]): FprobeRegistration {
    this.#checkEra();
    if (this.#placed.has(fp)) {
      throw new FtraceError(
        "EBUSY",
        "already-enabled",
        "Cannot register the fprobe: it is registered",
      );
    }
    checkDataSize(fp.entryDataSize ?? 0);
    const sites = [...new Set(records.map(({ index }) => index))];
    const splits = this.#parts.era.forms.hasEntryFprobes;
    const place = splits && !fp.exitHandler ? this.#calls.byEntry : this.#calls.byGraph;
    const placed: PlacedFprobe = { fp, sites, place, registered: true, nmissed: 0 };
    this.#placed.set(fp, placed);
    place.add(placed);
    try {
      this.#follow();
    } catch (error) {
      this.#forget(placed);
      throw error;
    }
    return {
      get nmissed() {
        return placed.nmissed;
      },
      [Symbol.dispose]: () => this.#remove(placed),
    };
  }

  #remove(placed: PlacedFprobe): void {
    if (!placed.registered) return;
    this.#forget(placed);
    this.#follow();
  }

  #forget(placed: PlacedFprobe): void {
    placed.registered = false;
    placed.place.remove(placed);
    this.#placed.delete(placed.fp);
  }

  /** Attaches what has probes now, and lets sites follow. */
  #follow(): void {
    const { byGraph, byEntry, gops } = this.#calls;
    const { core, graphUsers } = this.#parts;
    if (byGraph.count > 0 && !this.#hasGraph) {
      graphUsers.add(gops, byGraph.hash, this.#parts.era.savesRegs);
      this.#hasGraph = true;
    } else if (byGraph.count === 0 && this.#hasGraph) {
      this.#hasGraph = false;
      graphUsers.unregister(gops);
    }
    if (byEntry.count > 0 && !this.#entryRegistration) {
      this.#entryRegistration = core.registerInternal(
        this.#entryOps,
        (call) => this.#calls.entry(call),
      );
    } else if (byEntry.count === 0 && this.#entryRegistration) {
      this.#entryRegistration.unregister();
      this.#entryRegistration = undefined;
    }
    graphUsers.update();
  }

  #checkEra(): void {
    const { era, strict, report } = this.#parts;
    if (era.hasFprobe) return;
    throwRefusal(checkFprobeEra(era, strict));
    if (!this.#saidOlder) {
      report(`fprobe runs on the graph tracer, as from Linux 6.14 on; ${era.name} is older`);
    }
    this.#saidOlder = true;
  }
}

function checkDataSize(size: number): void {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new TypeError(`Cannot keep ${size} bytes a call: it must be a whole number from 0 up`);
  }
  if (size > MAX_FPROBE_DATA_SIZE) {
    throw new FtraceError(
      "E2BIG",
      "too-many",
      `Cannot keep ${size} bytes a call: ${MAX_FPROBE_DATA_SIZE} is the most`,
      "a Map keyed by call",
    );
  }
}

/** That an era has fprobes, or is not followed to the letter: the refusal if neither is so. */
export function checkFprobeEra(era: Era, strict: boolean): FtraceError | undefined {
  if (era.hasFprobe || !strict) return undefined;
  return new FtraceError(
    "EOPNOTSUPP",
    "not-supported-by-era",
    `Cannot register an fprobe: era ${era.name} is Linux ${era.release.split("-")[0]}, ` +
      "which has no full registers for fprobe, and RISC-V has it without them from 6.14 on",
    "--era call-ops or regs, or no --strict",
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
