/**
 * ftrace on one machine: the object a tracer gets.
 *
 * Registering an ops works out which records change, asks the patcher to switch them, and points
 * the trampoline at the ops or, where several share it, at the list (`kernel/trace/ftrace.c`).
 * Callbacks are synchronous and the guest waits for them; one that throws or returns a promise is
 * unregistered and reported once, and the guest goes on.
 *
 * The parts behind it, in the order in which they are put together, are `ftrace_parts.ts`; what
 * differs between kernels is `era.ts`.
 *
 * @module
 */
import type { FieldDeclarations } from "../events/event_fields.ts";
import type { Hart } from "../hart/hart.ts";
import type { Machine } from "../machine/machine.ts";
import type { DynFtrace } from "../patcher/dyn_ftrace.ts";
import { parsePoison } from "../trampoline/poison.ts";
import { type Attachment, type CallHandlers, createAttach, createSelect } from "./attach.ts";
import { chooseEra, type Era, type EraName, ERAS } from "./era.ts";
import { createWhy, type WhyReport } from "./explain/why.ts";
import {
  createProbeParts,
  createTracingParts,
  type FtraceSettings,
  type ProbeParts,
  type TracingParts,
} from "./ftrace_parts.ts";
import { createGuestView, type GuestView } from "./guest_view.ts";
import { createLivepatch, type Livepatch } from "./live/livepatch.ts";
import { createDirectCalls, type DirectCalls } from "./ops/direct.ts";
import { type FilterChange, type FtraceHash, updateSet } from "./ops/filter.ts";
import { createFilterFiles, type FilterFiles, type HashHalf } from "./ops/filter_files.ts";
import {
  type AnyFtraceOps,
  FTRACE_OPS_FL,
  type FtraceFunc,
  type FtraceOps,
  type FtraceOpsFlags,
  type FtraceRegistration,
} from "./ops/ftrace_ops.ts";
import type { FunctionCore } from "./ops/function_core.ts";
import {
  createFunctionLists,
  type FunctionLists,
  type GraphUserNames,
} from "./ops/function_lists.ts";
import { addressKey } from "./ops/record_table.ts";
import type { FprobeEvents } from "./probes/fprobe_events.ts";
import type { Kprobe, KprobeRegistration } from "./probes/kprobe.ts";
import type { KprobeEvents } from "./probes/kprobe_events.ts";
import type { Kprobes } from "./probes/kprobes.ts";
import type { Kretprobe, KretprobeRegistration, Kretprobes } from "./probes/kretprobe.ts";
import type { PrototypeRegister, Recording } from "./recording.ts";
import type { FgraphOps } from "./returns/fgraph_ops.ts";
import type { FprobeRegister } from "./returns/fprobe_register.ts";
import { HIDDEN_BY_RETURN_TRAMPOLINE, type TraceEvent } from "./trace/events.ts";
import { registerFunctionProbes } from "./trace/function_probes.ts";
import type { GraphTrace } from "./trace/graph_trace.ts";
import type { VirtualSites } from "./ops/records.ts";
import type { RingMode } from "./trace/hart_ring.ts";
import type { RingBuffer } from "./trace/ring_buffer.ts";
import type { Snapshot } from "./trace/snapshot.ts";
import type { TraceArray } from "./trace/trace_array.ts";
import type { Event, EventDefinition, TraceEvents } from "./trace/trace_events.ts";

/** How {@linkcode createFtrace} sets ftrace up. */
export interface FtraceOptions {
  /** The era whose kernel is followed; `auto` takes the newest whose scheme switches every site. */
  readonly era?: EraName | "auto" | undefined;
  /** Whether to refuse what the era's kernel refuses, instead of serving it another way. */
  readonly strict?: boolean | undefined;
  /** Functions without a call site that are hooked, too: named ones (`auto`), all (true), or none. */
  readonly virtual?: boolean | "auto" | undefined;
  /** `guest` makes harts execute the real trampolines. */
  readonly trampoline?: "guest" | "fast" | undefined;
  /**
   * Registers, by name, that trampolines overwrite before they go on: to show which are live at an
   * entry. The fast path does the same.
   */
  readonly poison?: readonly string[] | undefined;
  /**
   * How the graph tracer notices returns: by what it puts into ra, as the kernel does; by watching the
   * return addresses, ra being left alone, which costs more; or, the default, by the second where a
   * function reads its own return address.
   */
  readonly returns?: "auto" | "hijack" | "shadow" | undefined;
  /**
   * Room for open calls: as much as that kernel's graph tracer has for a task, deeper ones being
   * lost and counted as overruns, or as much as they take. `kernel` is the default if strict.
   */
  readonly graphStack?: "kernel" | "unlimited" | undefined;
  /** Size of each hart's ring, KiB. */
  readonly bufferKib?: number | undefined;
  /** Which events a full ring gives up: the oldest, the newest, or none because it is drained. */
  readonly bufferMode?: RingMode | undefined;
  /** Takes a line for the user: a tracer's output. */
  readonly print?: ((text: string) => void) | undefined;
  /** Takes a line about something wrong. */
  readonly report?: ((line: string) => void) | undefined;
  /** Takes a line about a choice that was made for the user; `report` unless given. */
  readonly note?: ((line: string) => void) | undefined;
  /** Prints the buffer, or one hart's, on the console, for the function commands `dump` and `cpudump`. */
  readonly dump?: ((ftrace: Ftrace, hart: number | undefined) => void) | undefined;
}

/** The tracing interface that a tracer's `init` gets; a machine has one. */
export interface Ftrace extends TraceArray, DirectCalls, FprobeRegister, PrototypeRegister {
  /** The traced machine: its memory, harts, symbols. */
  readonly machine: Machine;
  /** What else of the guest a tracer asks for: time, symbol + offset, strings, errno, chance. */
  readonly guest: GuestView;
  /** The era in force, which decides what this kernel would do. */
  readonly era: Era;
  /** Why the era was chosen, in one line with the counts of sites. */
  readonly eraReason: string;
  /** Whether to refuse what the era's kernel refuses, even where it could be served. */
  readonly strict: boolean;
  /** `FTRACE_OPS_FL_*` by name. */
  readonly flags: FtraceOpsFlags;
  /** Everything that can be traced, and why what cannot cannot; index = `DynFtrace.index`. */
  readonly records: readonly DynFtrace[];
  /** The ring buffers that events are recorded into. */
  readonly buffer: RingBuffer;
  /** `set_ftrace_filter` and `set_ftrace_notrace`: shared by function and function_graph. */
  readonly globalHash: FtraceHash;
  /** The filters as control files, with `set_graph_function` and `set_ftrace_pid`, and function commands. */
  readonly filterFiles: FilterFiles;
  /** `enabled_functions` and the other lists, as text. */
  readonly functionLists: FunctionLists;
  /** The graph tracer's recording: its handlers, `set_graph_function`, `max_graph_depth`. */
  readonly graph: GraphTrace;
  /** Live patching: an object file's functions in place of the program's. */
  readonly livepatch: Livepatch;
  /** Call sites, trampolines and calls in figures. */
  readonly core: FunctionCore;
  /** The function tracer's callback: records a function event. The fast path has it in WASM. */
  readonly functionTraceCall: FtraceFunc;
  /**
   * Calls handlers at entries and exits of functions (`"parse* !parse_line"`): the short way to trace.
   *
   * @throws {FtraceError} EINVAL if a pattern matches nothing; whatever registering refuses.
   */
  attach<Data = Record<string, unknown>>(
    globs: string | readonly string[],
    handlers: CallHandlers<Data>,
  ): Attachment;
  /** The functions that patterns choose; `!` takes away. @throws {FtraceError} EINVAL for no match. */
  select(globs: string | readonly string[]): readonly DynFtrace[];
  /** Starts calling `ops.func` (`register_ftrace_function`). @throws {FtraceError} As the kernel. */
  registerFtraceFunction(ops: FtraceOps): FtraceRegistration;
  /** Stops calling it. @throws {FtraceError} EBUSY if it is not registered. */
  unregisterFtraceFunction(ops: AnyFtraceOps): void;
  /** Changes what a registered ops traces. @throws {FtraceError} EINVAL if a pattern matches nothing. */
  ftraceSetFilter(
    ops: AnyFtraceOps,
    patterns: readonly string[],
    options?: { readonly reset?: boolean },
  ): void;
  /** Changes what a registered ops does not trace. @throws {FtraceError} EINVAL if a pattern matches nothing. */
  ftraceSetNotrace(
    ops: AnyFtraceOps,
    patterns: readonly string[],
    options?: { readonly reset?: boolean },
  ): void;
  /** Writes `set_ftrace_filter`. @throws {FtraceError} EINVAL if a pattern matches nothing. */
  setFtraceFilter(patterns: readonly string[], options?: { readonly reset?: boolean }): void;
  /** Writes `set_ftrace_notrace`. @throws {FtraceError} EINVAL if a pattern matches nothing. */
  setFtraceNotrace(patterns: readonly string[], options?: { readonly reset?: boolean }): void;
  /** Adds a user of the graph tracer (`register_ftrace_graph`). @throws {FtraceError} EBUSY, ENODEV. */
  registerFtraceGraph(gops: FgraphOps): Disposable;
  /** Lets the graph tracer pass calls of a hart by until disposed (`tracing_graph_pause`). */
  pauseGraphTracing(hart: Hart): Disposable;
  /** The real return address behind one found at `slot` of a guest stack (`ftrace_graph_ret_addr`). */
  ftraceGraphRetAddr(hart: Hart, value: bigint, slot: number): bigint;
  /** Ends a graph ops. @throws {FtraceError} EINVAL if it is not registered. */
  unregisterFtraceGraph(gops: FgraphOps): void;
  /** Kprobes: enabling and disabling them, and their list. */
  readonly kprobes: Kprobes;
  /** Probes an instruction (`register_kprobe`). @throws {FtraceError} By the era's table; ENOENT for an unknown symbol. */
  registerKprobe(kp: Kprobe): KprobeRegistration;
  /** Events on kprobes and kretprobes: `kprobe_events` and `kprobe_profile`. */
  readonly kprobeEvents: KprobeEvents;
  /** Events on fprobes (`f:` in `dynamic_events`). */
  readonly fprobeEvents: FprobeEvents;
  /** Kretprobes: enabling and disabling them. */
  readonly kretprobes: Kretprobes;
  /** Probes a function's return (`register_kretprobe`). @throws {FtraceError} As a kprobe at its entry; EINVAL elsewhere. */
  registerKretprobe(rp: Kretprobe): KretprobeRegistration;
  /**
   * Says what can be done with a function or an address (`name`, `name+offset`, `0x…`), and what
   * not, why, and what to use instead: one report for each function of that name.
   */
  why(what: string | bigint): readonly WhyReport[];
  /** All events: whether they are recorded, their filters and triggers (`events/`). */
  readonly traceEvents: TraceEvents;
  /** The snapshot: a second buffer that the trace is swapped with (`snapshot`). */
  readonly snapshot: Snapshot;
  /**
   * Defines an event of one's own; its `emit` records it.
   *
   * @throws {FtraceError} EEXIST if there is one of that name.
   * @throws {SyntaxError} If a name, a type or the format is wrong.
   */
  defineEvent<const F extends FieldDeclarations>(definition: EventDefinition<F>): Event<F>;
  /** Name of the function that covers `address`, or undefined. */
  symbol(address: bigint): string | undefined;
  /** Address of a function by name, or undefined. */
  lookup(name: string): bigint | undefined;
  /** The events stored so far, of all harts, in order of time. */
  events(): Iterable<TraceEvent>;
  /** Puts an event into the trace. */
  record(event: TraceEvent): void;
  /** Prints a line of the tracer's own output. */
  print(text: string): void;
  /** Reports that something went wrong, in one line. */
  report(line: string): void;
}

function virtualSites(asked: FtraceOptions["virtual"], strict: boolean): VirtualSites {
  if (asked === true) return "all";
  return asked === false || strict ? "off" : "auto";
}

/**
 * Sets ftrace up on a machine that has not run yet.
 *
 * @throws {RangeError} For a buffer of no size, or a register that cannot be poisoned.
 */
export function createFtrace(machine: Machine, options: FtraceOptions = {}): Ftrace {
  const strict = options.strict ?? false;
  const choice = options.era === undefined || options.era === "auto"
    ? chooseEra(machine.sites)
    : { era: ERAS[options.era], reason: "as asked" };
  const ftrace = new MachineFtrace(machine, choice.reason, {
    era: choice.era,
    strict,
    virtual: virtualSites(options.virtual, strict),
    guestTrampoline: options.trampoline === "guest",
    poison: parsePoison(options.poison ?? []),
    returns: options.returns ?? (strict ? "hijack" : "auto"),
    kernelStack: options.graphStack === undefined ? strict : options.graphStack === "kernel",
    bufferKib: options.bufferKib ?? 1408,
    bufferMode: options.bufferMode ?? "overwrite",
    report: options.report ?? (() => {}),
    note: options.note ?? options.report ?? (() => {}),
  }, options.print ?? (() => {}));
  registerFunctionProbes({
    files: ftrace.filterFiles,
    core: ftrace.core,
    actions: ftrace.recording.actions,
    find: (system, name) => ftrace.traceEvents.find(system, name),
    dump(hart) {
      // As the kernel does: what follows is not to push out what was worth a dump.
      ftrace.buffer.on = false;
      if (options.dump) options.dump(ftrace, hart);
      else ftrace.report("nobody prints the buffer that a function command dumps");
    },
  });
  return ftrace;
}

/** {@linkcode Ftrace} of one machine: its parts by name, and what can be asked of them, bound. */
class MachineFtrace implements Ftrace {
  readonly flags = FTRACE_OPS_FL;
  readonly machine: Machine;
  readonly era: Era;
  readonly eraReason: string;
  readonly strict: boolean;
  readonly recording: Recording;
  readonly core: FunctionCore;
  readonly graph: GraphTrace;
  readonly guest: GuestView;
  readonly select: Ftrace["select"];
  readonly attach: Ftrace["attach"];
  readonly why: Ftrace["why"];
  readonly functionLists: FunctionLists;
  readonly filterFiles: FilterFiles;
  readonly livepatch: Livepatch;
  readonly print: (text: string) => void;
  readonly report: (line: string) => void;
  readonly #tracing: TracingParts;
  readonly #probes: ProbeParts;
  readonly #direct: DirectCalls;

  constructor(
    machine: Machine,
    eraReason: string,
    settings: FtraceSettings,
    print: (text: string) => void,
  ) {
    const { era, strict, report } = settings;
    const tracing = this.#tracing = createTracingParts(machine, settings);
    const probes = this.#probes = createProbeParts(machine, settings, tracing);
    const { core, graph, returns, fgraph } = tracing;
    const { records } = core;
    this.machine = machine;
    this.era = era;
    this.eraReason = eraReason;
    this.strict = strict;
    this.report = report;
    this.print = print;
    this.recording = tracing.recording;
    this.core = core;
    this.graph = graph;
    const guest = this.guest = createGuestView(machine);
    const select = this.select = createSelect(records);
    this.attach = createAttach({
      records,
      select,
      guest,
      symbol: this.symbol,
      realReturn: (hart, { returnAddress, stackPointer }) =>
        returns.realReturn(hart, returnAddress, addressKey(stackPointer)),
      registerFtraceFunction: this.registerFtraceFunction,
      registerFtraceGraph: this.registerFtraceGraph,
    });
    this.#direct = createDirectCalls(core, era);
    this.functionLists = createFunctionLists({
      core,
      symbols: machine.symbols,
      tellsUpdateTime: era.tellsUpdateTime,
      graphUsers: (record) => fgraph.users.of(record).map((gops) => userNames(graph, gops)),
    });
    this.filterFiles = createFilterFiles({
      records,
      globalHash: core.globalHash,
      graphHash: graph.graphHash,
      pids: core.pids,
      commit: (hash, which, next) => this.#commit(hash, which, next),
      pidsChanged: () => core.update(),
    });
    this.livepatch = createLivepatch({
      machine,
      era,
      strict,
      records,
      register: this.registerFtraceFunction,
      commitHash: (hash, which, next) => core.commitHash(hash, which, next),
      addModule: (module, sites) => {
        core.addModule(module, sites);
        tracing.graphUsers.update();
      },
    });
    this.why = createWhy({
      machine,
      era,
      strict,
      virtual: settings.virtual,
      records,
      globalHash: core.globalHash,
      caller: core.area.trampolines.symbols.ftrace_caller,
      checkKprobe: (address) => probes.kprobes.verdict(address),
      usesOf: (record) => core.usesOf(record),
    });
  }

  get records(): readonly DynFtrace[] {
    return this.core.records;
  }
  get buffer(): RingBuffer {
    return this.recording.buffer;
  }
  get snapshot(): Snapshot {
    return this.recording.snapshot;
  }
  get traceEvents(): TraceEvents {
    return this.recording.traceEvents;
  }
  get globalHash(): FtraceHash {
    return this.core.globalHash;
  }
  get functionTraceCall(): FtraceFunc {
    return this.core.functionTraceCall;
  }
  get kprobes(): Kprobes {
    return this.#probes.kprobes;
  }
  get kretprobes(): Kretprobes {
    return this.#probes.kretprobes;
  }
  get kprobeEvents(): KprobeEvents {
    return this.#probes.kprobeEvents;
  }
  get fprobeEvents(): FprobeEvents {
    return this.#probes.fprobeEvents;
  }

  get traceOptions(): TraceArray["traceOptions"] {
    return this.recording.array.traceOptions;
  }
  get traceClock(): TraceArray["traceClock"] {
    return this.recording.array.traceClock;
  }
  set traceClock(name: TraceArray["traceClock"]) {
    this.recording.array.traceClock = name;
  }
  get tracingThresh(): number {
    return this.recording.array.tracingThresh;
  }
  set tracingThresh(microseconds: number) {
    this.recording.array.tracingThresh = microseconds;
  }
  readonly traceMarkWrite: Ftrace["traceMarkWrite"] = (text) =>
    this.recording.array.traceMarkWrite(text);
  readonly tracePrintk: Ftrace["tracePrintk"] = (ip, text) =>
    this.recording.array.tracePrintk(ip, text);
  readonly traceStack: Ftrace["traceStack"] = (hart, call) =>
    this.recording.array.traceStack(hart, call);
  readonly traceStackAfter: Ftrace["traceStackAfter"] = (hart, call) =>
    this.recording.array.traceStackAfter(hart, call);

  readonly registerFtraceFunction: Ftrace["registerFtraceFunction"] = (ops) =>
    this.core.register(ops);
  readonly unregisterFtraceFunction: Ftrace["unregisterFtraceFunction"] = (ops) =>
    this.core.unregister(ops);
  readonly ftraceSetFilter: Ftrace["ftraceSetFilter"] = (ops, patterns, how) =>
    this.core.setHash(ops, "filter", patterns, how);
  readonly ftraceSetNotrace: Ftrace["ftraceSetNotrace"] = (ops, patterns, how) =>
    this.core.setHash(ops, "notrace", patterns, how);
  readonly setFtraceFilter: Ftrace["setFtraceFilter"] = (patterns, how) =>
    this.#setGlobal("filter", patterns, how);
  readonly setFtraceNotrace: Ftrace["setFtraceNotrace"] = (patterns, how) =>
    this.#setGlobal("notrace", patterns, how);

  readonly registerFtraceDirect: Ftrace["registerFtraceDirect"] = (ops, address) =>
    this.#direct.registerFtraceDirect(ops, address);
  readonly unregisterFtraceDirect: Ftrace["unregisterFtraceDirect"] = (ops, address) =>
    this.#direct.unregisterFtraceDirect(ops, address);
  readonly modifyFtraceDirect: Ftrace["modifyFtraceDirect"] = (ops, address) =>
    this.#direct.modifyFtraceDirect(ops, address);
  readonly assembleTracingCode: Ftrace["assembleTracingCode"] = (source, symbols) =>
    this.#direct.assembleTracingCode(source, symbols);

  readonly registerFtraceGraph: Ftrace["registerFtraceGraph"] = (gops) =>
    this.#tracing.graphUsers.register(gops);
  readonly unregisterFtraceGraph: Ftrace["unregisterFtraceGraph"] = (gops) =>
    this.#tracing.graphUsers.unregister(gops);
  readonly pauseGraphTracing: Ftrace["pauseGraphTracing"] = (hart) =>
    this.#tracing.fgraph.pause(hart);
  readonly ftraceGraphRetAddr: Ftrace["ftraceGraphRetAddr"] = (hart, value, slot) =>
    this.#tracing.returns.realReturnInSlot(hart, value, slot);

  readonly registerFprobe: Ftrace["registerFprobe"] = (fp, filter, notfilter) =>
    this.#probes.fprobes.registerFprobe(fp, filter, notfilter);
  readonly registerFprobeIps: Ftrace["registerFprobeIps"] = (fp, addresses) =>
    this.#probes.fprobes.registerFprobeIps(fp, addresses);
  readonly registerFprobeSyms: Ftrace["registerFprobeSyms"] = (fp, names) =>
    this.#probes.fprobes.registerFprobeSyms(fp, names);
  readonly unregisterFprobe: Ftrace["unregisterFprobe"] = (fp) =>
    this.#probes.fprobes.unregisterFprobe(fp);
  readonly registerKprobe: Ftrace["registerKprobe"] = (kp) => this.kprobes.register(kp);
  readonly registerKretprobe: Ftrace["registerKretprobe"] = (rp) => this.kretprobes.register(rp);

  readonly defineEvent: Ftrace["defineEvent"] = (definition) => this.traceEvents.define(definition);
  readonly declarePrototypes: Ftrace["declarePrototypes"] = (...header) =>
    this.recording.declarePrototypes(...header);
  get prototypes(): Ftrace["prototypes"] {
    return this.recording.prototypes;
  }
  readonly record: Ftrace["record"] = (event) => void this.buffer.write(event);
  readonly symbol: Ftrace["symbol"] = (address) =>
    address === this.#tracing.returns.rethookTrampoline
      ? HIDDEN_BY_RETURN_TRAMPOLINE
      : this.machine.symbols.at(address)?.symbol.name;
  readonly lookup: Ftrace["lookup"] = (name) => this.machine.symbols.called(name)[0]?.address;

  *events(): Iterable<TraceEvent> {
    for (const event of this.buffer.all()) if (event.type !== "lost") yield event;
  }

  #setGlobal(which: "filter" | "notrace", patterns: readonly string[], how: FilterChange = {}) {
    const { globalHash, records } = this.core;
    const next = new Set(globalHash[which]);
    updateSet(next, patterns, records, how);
    const waiting = how.reset ? [] : globalHash.waiting[which];
    this.#commit(globalHash, which, { records: next, waiting });
  }

  /** Changes a hash that users of the graph tracer may have, too. */
  #commit(hash: FtraceHash, which: "filter" | "notrace", next: HashHalf): void {
    this.core.commitHash(hash, which, next);
    this.#tracing.graphUsers.update();
  }
}

/** A user of the graph tracer as the kernel lists it: by the names of its handlers. */
function userNames(graph: GraphTrace, { entryFunc, retFunc }: FgraphOps): GraphUserNames {
  return {
    entry: entryFunc === graph.entryFunc
      ? "trace_graph_entry"
      : entryFunc?.name || "ftrace_graph_entry_stub",
    ret: retFunc === graph.retFunc ? "trace_graph_return" : retFunc?.name || "ftrace_stub_graph",
  };
}
