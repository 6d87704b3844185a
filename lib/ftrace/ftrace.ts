/**
 * ftrace on one machine: the object a tracer gets.
 *
 * Registering an ops works out which records change, asks the patcher to switch them, and points
 * the trampoline at the ops or, where several share it, at the list (`kernel/trace/ftrace.c`).
 * Callbacks are synchronous and the guest waits for them; one that throws or returns a promise is
 * unregistered and reported once, and the guest goes on.
 *
 * Which records an ops traces and how sites follow is `function_core.ts`; how a hart reaches a
 * callback is `call_paths.ts`; what differs between kernels is `era.ts`.
 *
 * @module
 */
import type { FieldDeclarations } from "../events/event_fields.ts";
import type { Hart } from "../hart/hart.ts";
import type { Machine } from "../machine/machine.ts";
import type { DynFtrace } from "../patcher/dyn_ftrace.ts";
import { type Attach, createAttach, createSelect, type Select } from "./attach.ts";
import { describe, refusePromise } from "./callbacks.ts";
import { parsePoison } from "../trampoline/poison.ts";
import { chooseEra, type Era, type EraName, ERAS } from "./era.ts";
import { HIDDEN_BY_RETURN_TRAMPOLINE, type TraceEvent } from "./trace/events.ts";
import { Fgraph, FGRAPH_ARRAY_SIZE, type FgraphOps } from "./returns/fgraph.ts";
import { createHash, type FtraceHash, updateSet } from "./ops/filter.ts";
import { createFprobeRegister, type FprobeRegister } from "./returns/fprobe_register.ts";
import { createFilterFiles, type FilterFiles, type HashHalf } from "./ops/filter_files.ts";
import { FtraceError } from "./ftrace_error.ts";
import {
  FTRACE_OPS_FL,
  FTRACE_OPS_FL_GRAPH,
  FTRACE_OPS_FL_IPMODIFY,
  type FtraceFunc,
  type FtraceOps,
  type FtraceOpsFlags,
  type FtraceRegistration,
} from "./ops/ftrace_ops.ts";
import { type FunctionArgument, parseFunctionArguments } from "./trace/function_args.ts";
import { createDirectCalls, type DirectCalls } from "./ops/direct.ts";
import { FunctionCore } from "./ops/function_core.ts";
import { registerFunctionProbes } from "./trace/function_probes.ts";
import { createFunctionLists, type FunctionLists } from "./ops/function_lists.ts";
import { createFunctionTrace } from "./trace/function_trace.ts";
import { createGraphTrace, type GraphTrace } from "./trace/graph_trace.ts";
import { createGuestView, type GuestView } from "./guest_view.ts";
import { createKprobeCheck, type Kprobe } from "./probes/kprobe.ts";
import { createFprobeEvents, type FprobeEvents } from "./probes/fprobe_events.ts";
import { createKprobeEvents, type KprobeEvents } from "./probes/kprobe_events.ts";
import { createKprobes, type Kprobes } from "./probes/kprobes.ts";
import { createLivepatch, type Livepatch } from "./live/livepatch.ts";
import { createKretprobes, type Kretprobe, type Kretprobes } from "./probes/kretprobe.ts";
import { noReturnReason } from "./ops/records.ts";
import { createRethook } from "./returns/rethook.ts";
import { RingBuffer, type RingMode } from "./trace/ring_buffer.ts";
import { createSnapshot, type Snapshot } from "./trace/snapshot.ts";
import { callersOf } from "./trace/stack_trace.ts";
import {
  createTraceEvents,
  type Event,
  type EventDefinition,
  type TraceEvents,
} from "./trace/trace_events.ts";
import { createTraceArray, type TraceArray } from "./trace/trace_array.ts";
import type { TracingActions } from "./trace/triggers.ts";
import { hookUnwinders } from "./returns/unwinders.ts";
import { createWhy, type WhyReport } from "./explain/why.ts";

/** How {@linkcode createFtrace} sets ftrace up. */
export interface FtraceOptions {
  /** Which kernel's ways; `auto` takes the newest whose scheme switches every site. */
  readonly era?: EraName | "auto" | undefined;
  /** Refuse what that kernel refuses, instead of serving it another way. */
  readonly strict?: boolean | undefined;
  /** Also trace functions that have no call site, by hooks of the engine. */
  readonly virtual?: boolean | undefined;
  /** `guest` makes harts execute the real trampolines. */
  readonly trampoline?: "guest" | "fast" | undefined;
  /**
   * Registers, by name, that trampolines overwrite before they go on: to show which are live at an
   * entry. The fast path does the same.
   */
  readonly poison?: readonly string[] | undefined;
  /**
   * Room for open calls: as much as that kernel's graph tracer has for a task, deeper ones being
   * lost and counted as overruns, or as much as they take. `kernel` is the default if strict.
   */
  readonly graphStack?: "kernel" | "unlimited" | undefined;
  /** Size of each hart's ring, KiB. */
  readonly bufferKib?: number | undefined;
  /** What a full ring does. */
  readonly bufferMode?: RingMode | undefined;
  /** Takes a line for the user: a tracer's output. */
  readonly print?: ((text: string) => void) | undefined;
  /** Takes a line about something wrong. */
  readonly report?: ((line: string) => void) | undefined;
  /** Prints the buffer, or one hart's, on the console, for the function commands `dump` and `cpudump`. */
  readonly dump?: ((ftrace: Ftrace, hart: number | undefined) => void) | undefined;
}

/** What a tracer traces with. One a machine. */
export interface Ftrace extends TraceArray, DirectCalls, FprobeRegister {
  /** The machine: its memory, harts, symbols. */
  readonly machine: Machine;
  /** What else of the guest a tracer asks for: time, symbol + offset, strings, errno, chance. */
  readonly guest: GuestView;
  /** The kernel's ways in force. */
  readonly era: Era;
  /** Why this era, with the counts. */
  readonly eraReason: string;
  /** Follow that kernel to the letter. */
  readonly strict: boolean;
  /** `FTRACE_OPS_FL_*` by name. */
  readonly flags: FtraceOpsFlags;
  /** Everything that can be traced, and why what cannot cannot; index = `DynFtrace.index`. */
  readonly records: readonly DynFtrace[];
  /** Where events go. */
  readonly buffer: RingBuffer;
  /** `set_ftrace_filter` and `set_ftrace_notrace`: shared by function and function_graph. */
  readonly globalHash: FtraceHash;
  /** The same as control files, with `set_graph_function` and `set_ftrace_pid`, and function commands. */
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
  /** Calls handlers at the entry and the exit of functions: the short way to trace. */
  readonly attach: Attach;
  /** The functions that patterns choose, `!pattern` taking away. */
  readonly select: Select;
  /** Starts calling `ops.func` (`register_ftrace_function`). @throws {FtraceError} As the kernel. */
  registerFtraceFunction(ops: FtraceOps): FtraceRegistration;
  /** Stops calling it. @throws {FtraceError} EBUSY if it is not registered. */
  unregisterFtraceFunction(ops: FtraceOps): void;
  /** Changes what a registered ops traces. @throws {FtraceError} EINVAL if a pattern matches nothing. */
  ftraceSetFilter(
    ops: FtraceOps,
    patterns: readonly string[],
    options?: { readonly reset?: boolean },
  ): void;
  /** Changes what a registered ops does not trace. @throws {FtraceError} EINVAL if a pattern matches nothing. */
  ftraceSetNotrace(
    ops: FtraceOps,
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
  /** Removes it. @throws {FtraceError} EINVAL if it is not registered. */
  unregisterFtraceGraph(gops: FgraphOps): void;
  /** Kprobes: enabling and disabling them, and their list. */
  readonly kprobes: Kprobes;
  /** Probes an instruction (`register_kprobe`). @throws {FtraceError} By the era's table; ENOENT for an unknown symbol. */
  registerKprobe(kp: Kprobe): Disposable;
  /** Events on kprobes and kretprobes: `kprobe_events` and `kprobe_profile`. */
  readonly kprobeEvents: KprobeEvents;
  /** Events on fprobes (`f:` in `dynamic_events`). */
  readonly fprobeEvents: FprobeEvents;
  /** Kretprobes: enabling and disabling them. */
  readonly kretprobes: Kretprobes;
  /** Probes a function's return (`register_kretprobe`). @throws {FtraceError} As a kprobe at its entry; EINVAL elsewhere. */
  registerKretprobe(rp: Kretprobe): Disposable;
  /**
   * Says what can be done with a function or an address (`name`, `name+offset`, `0x…`), and what
   * not, why, and what to use instead: one report for each function of that name.
   */
  why(what: string | bigint): readonly WhyReport[];
  /** All events there are: whether they are recorded, filters, triggers (`events/`). */
  readonly traceEvents: TraceEvents;
  /** The second buffer (`snapshot`). */
  readonly snapshot: Snapshot;
  /**
   * Defines an event of one's own; its `emit` records it.
   *
   * @throws {FtraceError} EEXIST if there is one of that name.
   * @throws {SyntaxError} If a name, a type or the format is wrong.
   */
  defineEvent<const F extends FieldDeclarations>(definition: EventDefinition<F>): Event<F>;
  /**
   * Declares functions by their C prototypes, which `func-args` and `funcgraph-args` print
   * arguments by.
   *
   * @throws {SyntaxError} If the text is something else.
   */
  declarePrototypes(text: string): void;
  /** Name of the function that covers `address`, or undefined. */
  symbol(address: bigint): string | undefined;
  /** Address of a function by name, or undefined. */
  lookup(name: string): bigint | undefined;
  /** The events stored so far, of all harts, in order of time. */
  events(): Iterable<TraceEvent>;
  /** Puts an event into the trace. */
  record(event: TraceEvent): void;
  /** A line of the tracer's own output. */
  print(text: string): void;
  /** A line about something wrong. */
  report(line: string): void;
}

/**
 * Sets ftrace up on a machine that has not run yet.
 *
 * @throws {RangeError} For a buffer of no size, or a register that cannot be poisoned.
 */
export function createFtrace(machine: Machine, options: FtraceOptions = {}): Ftrace {
  const report = options.report ?? (() => {});
  const strict = options.strict ?? false;
  const choice = options.era === undefined || options.era === "auto"
    ? chooseEra(machine.sites)
    : { era: ERAS[options.era], reason: "as asked" };
  const { era } = choice;
  const buffer = new RingBuffer(machine.memory, {
    harts: machine.harts.length,
    kib: options.bufferKib ?? 1408,
    mode: options.bufferMode ?? "overwrite",
  });
  const prototypes = new Map<string, readonly FunctionArgument[]>();
  const kernelStack = options.graphStack === undefined ? strict : options.graphStack === "kernel";
  const graphStack = kernelStack ? era.graphStack : "none";
  const enumNames = era.forms.namesEnums;
  const array = createTraceArray({
    buffer,
    release: era.release,
    clock: machine,
    user: machine.kind === "linux",
    unwinder: machine.unwinder,
    get trampoline() {
      const { ftrace_call, ftrace_caller } = core.area.trampolines.symbols;
      return ftrace_call ?? ftrace_caller;
    },
    strict,
    hart: () => machine.runningHart,
    pid: () => machine.pid,
  });
  const snapshot = createSnapshot(buffer);
  const actions: TracingActions = {
    get tracingOn() {
      return buffer.on;
    },
    set tracingOn(on) {
      buffer.on = on;
    },
    stack: (hart, call) => array.traceStack(hart, call),
    snapshot: () => snapshot.take(),
    allocateSnapshot: () => snapshot.allocate(),
  };
  const traceEvents = createTraceEvents({
    harts: machine.harts,
    hart: () => machine.runningHart,
    hasEventArgs: era.hasEventArgs,
    hasHist: era.hasHist,
    strict,
    actions,
    record(event) {
      if (!buffer.write(event)) return false;
      array.traceStackAfter(machine.harts[event.cpu]!, core.current);
      return true;
    },
    pid: () => machine.pid,
    comm: (pid) => machine.commOf(pid),
    symbol: (address) => machine.symbols.at(address)?.symbol,
    functionRange(place) {
      const found = typeof place === "bigint"
        ? machine.symbols.at(place)?.symbol
        : machine.symbols.named(place)[0];
      return found && { start: found.address, end: found.address + (found.size || 1n) };
    },
    currentCall: () => core.current ?? fgraph.leaving,
    callers: (hart, call) =>
      callersOf(hart, call, {
        unwinder: machine.unwinder,
        trampoline: core.area.trampolines.symbols.ftrace_caller,
        strict,
      }),
    functionIsPlain: (plain) => buffer.requireHost("events/ftrace/function", !plain),
    report,
  });
  const recordFunction = createFunctionTrace({
    buffer,
    array,
    prototypes,
    enumNames,
    pid: () => machine.pid,
  });
  const core: FunctionCore = new FunctionCore(machine, era, {
    strict,
    virtual: options.virtual ?? false,
    guestTrampoline: options.trampoline === "guest",
    poison: parsePoison(options.poison ?? []),
    buffer,
    recordFunction: (call) => traceEvents.enterFunction(call, () => recordFunction(call)),
    report,
    onReturn: (hart, sp, fregs) => fgraph.leave(hart, sp, fregs),
  });
  const { records } = core;
  const reportThrow = (who: string, site: number, error: unknown) =>
    report(
      `[${who}] Cannot trace ${records[site]?.name ?? "a function"}: ${
        describe(error)
      }; it is unregistered`,
    );
  /** By index of the record: asked at each call. */
  const returnable: boolean[] = [];
  const fgraph: Fgraph = new Fgraph({
    returnToHandler: core.returnToHandler,
    limit: graphStack,
    users: strict && era.graphStack === "records" ? 1 : FGRAPH_ARRAY_SIZE,
    stackIdentity: (hart, sp) => machine.stackIdentity(hart, sp),
    returnable: ({ index }) => returnable[index] ??= noReturnReason(records[index]!) === undefined,
    pid: () => machine.pid,
    behindRethook: (hart, value, sp) => rethook.behind(hart, value, sp),
    realReturn: (hart, value, sp) => realReturn(hart, value, sp),
    failed(gops, site, error) {
      reportThrow(gops.name ?? "fgraph", site, error);
      unregisterFtraceGraph(gops);
    },
  });
  const rethook = createRethook({
    machine,
    leadsTo: (hart, value, sp, target) => fgraph.behind(hart, value, sp) === target,
    realReturn: (hart, value, sp) => realReturn(hart, value, sp),
  });
  // Both tracers may have hooked one return, in either order, and a tail call again on top of that:
  // of all that was replaced at the entry's sp, the real address is what is no hook.
  const realReturn = (hart: Hart, value: bigint, sp: number): bigint => {
    const isHook = (each: bigint) => each === core.returnToHandler || each === rethook.trampoline;
    if (!isHook(value)) return value;
    const replaced = [...fgraph.returnsAt(hart, sp), ...rethook.returnsAt(hart, sp)];
    return replaced.findLast((each) => !isHook(each)) ?? value;
  };
  machine.unwinder.realReturn = (hart, value, sp) =>
    realReturn(hart, value, Number(BigInt.asIntN(64, sp)));
  const graphOps: FtraceOps = { name: "graph_ops", flags: FTRACE_OPS_FL_GRAPH, hash: fgraph.hash };
  let graphRegistration: FtraceRegistration | undefined;
  /** Open calls come back through their hooks after the last user has gone, so this stays. */
  let unwinders: Disposable | undefined;
  const watchUnwinders = () => {
    unwinders ??= hookUnwinders(machine, core.hooks, (hart) => {
      // What the graph tracer puts back may be the kretprobes' hook.
      fgraph.beginUnwinding(hart);
      rethook.beginUnwinding(hart);
    }, (hart) => {
      rethook.endUnwinding(hart);
      fgraph.endUnwinding(hart);
    });
  };
  const updateGraph = () => {
    fgraph.unite(records);
    if (fgraph.count > 0 && !graphRegistration) {
      watchUnwinders();
      graphRegistration = core.registerInternal(
        graphOps,
        (call) => fgraph.enter(call.hart, call.record, call.ip, call.sp, call.fregs),
      );
    } else if (fgraph.count === 0 && graphRegistration) {
      graphRegistration.unregister();
      graphRegistration = undefined;
    } else {
      core.update();
    }
  };
  const ownHash = (
    patterns: { readonly filter?: readonly string[]; readonly notrace?: readonly string[] },
  ) => {
    const hash = createHash();
    if (patterns.filter) updateSet(hash.filter, patterns.filter, records);
    if (patterns.notrace) updateSet(hash.notrace, patterns.notrace, records);
    return hash;
  };
  const addGraph = (gops: FgraphOps, hash: FtraceHash) => {
    fgraph.add(gops, hash);
    try {
      updateGraph();
    } catch (error) {
      fgraph.remove(gops);
      throw error;
    }
  };
  function unregisterFtraceGraph(gops: FgraphOps): void {
    if (!fgraph.remove(gops)) {
      throw new FtraceError(
        "EINVAL",
        "not-enabled",
        "Cannot unregister the graph ops: it is not registered",
      );
    }
    updateGraph();
  }

  const fprobes = createFprobeRegister({
    records,
    era,
    strict,
    addGraph,
    removeGraph: (gops) => unregisterFtraceGraph(gops),
    updateGraph,
    registerInternal: (ops, handler) => core.registerInternal(ops, handler),
    reportThrow: (site, error) => reportThrow("fprobe", site, error),
    run: (body) => refusePromise(body()),
    report,
  });

  const graph = createGraphTrace(buffer, {
    array,
    prototypes,
    enumNames,
    nameOf: (site) => records[site]!.name,
    slept: () => machine.slept(),
    isTraced: () => core.isTraced(),
    events: traceEvents,
    keepsTimes: kernelStack && era.forms.keepsTimesOnStack,
  });
  const graphUserNames = ({ entryFunc, retFunc }: FgraphOps) => ({
    entry: entryFunc === graph.entryFunc
      ? "trace_graph_entry"
      : entryFunc?.name || "ftrace_graph_entry_stub",
    ret: retFunc === graph.retFunc ? "trace_graph_return" : retFunc?.name || "ftrace_stub_graph",
  });
  const commit = (hash: FtraceHash, which: "filter" | "notrace", next: HashHalf) => {
    core.commitHash(hash, which, next);
    updateGraph();
  };
  const setGlobal = (
    which: "filter" | "notrace",
    patterns: readonly string[],
    how: { readonly reset?: boolean } = {},
  ) => {
    const { globalHash } = core;
    const next = new Set(globalHash[which]);
    updateSet(next, patterns, records, how);
    const waiting = how.reset ? [] : globalHash.waiting[which];
    commit(globalHash, which, { records: next, waiting });
  };
  const check = createKprobeCheck(machine, era.kprobes, era.name, records);
  const kprobes = createKprobes({ machine, core, check, report });
  const prepare = watchUnwinders;
  const kretprobes = createKretprobes({ machine, kprobes, rethook, prepare, report });
  const kprobeEvents = createKprobeEvents({
    machine,
    era,
    kprobes,
    kretprobes,
    traceEvents,
    symbol: (address) => machine.symbols.at(address)?.symbol,
    report,
    fault: (command, text, position) =>
      traceEvents.errorLog.add("trace_kprobe", command, { text, position }),
  });

  const symbol = (address: bigint) =>
    address === rethook.trampoline
      ? HIDDEN_BY_RETURN_TRAMPOLINE
      : machine.symbols.at(address)?.symbol.name;
  const lookup = (name: string) => machine.symbols.named(name)[0]?.address;
  const why = createWhy({
    machine,
    era,
    strict,
    virtual: options.virtual ?? false,
    records,
    globalHash: core.globalHash,
    caller: core.area.trampolines.symbols.ftrace_caller,
    checkKprobe: (address) => kprobes.check(address).warning,
    ipOwner: (record) => {
      const owner = core.usesOf(record).find(({ flags }) => flags & FTRACE_OPS_FL_IPMODIFY);
      return owner && (owner.ops.name ?? "another ops");
    },
  });

  const fprobeEvents = createFprobeEvents({
    machine,
    traceEvents,
    symbol: (address) => machine.symbols.at(address)?.symbol,
    register: (fp, filter) => ftrace.registerFprobe(fp, filter),
  });
  const guest = createGuestView(machine);
  const select = createSelect(records);
  const ftrace: Ftrace = {
    machine,
    guest,
    select,
    attach: createAttach({
      records,
      select,
      guest,
      symbol,
      realReturn: (hart, { returnAddress, stackPointer }) =>
        realReturn(hart, returnAddress, Number(BigInt.asIntN(64, stackPointer))),
      registerFtraceFunction: (ops) => core.register(ops),
      registerFtraceGraph: (gops) => ftrace.registerFtraceGraph(gops),
    }),
    era,
    eraReason: choice.reason,
    strict,
    flags: FTRACE_OPS_FL,
    records,
    buffer,
    traceOptions: array.traceOptions,
    get traceClock() {
      return array.traceClock;
    },
    set traceClock(name) {
      array.traceClock = name;
    },
    get tracingThresh() {
      return array.tracingThresh;
    },
    set tracingThresh(microseconds) {
      array.tracingThresh = microseconds;
    },
    traceMarkWrite: array.traceMarkWrite,
    tracePrintk: array.tracePrintk,
    traceStack: array.traceStack,
    traceStackAfter: array.traceStackAfter,
    globalHash: core.globalHash,
    ...createDirectCalls(core, era),
    functionLists: createFunctionLists({
      core,
      symbols: machine.symbols,
      tellsUpdateTime: era.tellsUpdateTime,
      graphUsers: (record) => fgraph.usersOf(record).map(graphUserNames),
    }),
    filterFiles: createFilterFiles({
      records,
      globalHash: core.globalHash,
      graphHash: graph.graphHash,
      pids: core.pids,
      commit,
      pidsChanged: () => core.update(),
    }),
    graph,
    livepatch: createLivepatch({
      machine,
      era,
      strict,
      records,
      register: (ops) => core.register(ops),
      commitHash: (hash, which, next) => core.commitHash(hash, which, next),
      addModule(module, sites) {
        core.addModule(module, sites);
        updateGraph();
      },
    }),
    core,
    functionTraceCall: core.functionTraceCall,
    registerFtraceFunction: (ops) => core.register(ops),
    unregisterFtraceFunction: (ops) => core.unregister(ops),
    ftraceSetFilter: (ops, patterns, how) => core.setHash(ops, "filter", patterns, how),
    ftraceSetNotrace: (ops, patterns, how) => core.setHash(ops, "notrace", patterns, how),
    setFtraceFilter: (patterns, how) => setGlobal("filter", patterns, how),
    setFtraceNotrace: (patterns, how) => setGlobal("notrace", patterns, how),
    registerFtraceGraph(gops) {
      if (!gops.entryFunc && !gops.retFunc) {
        throw new TypeError("Cannot register the graph ops: it has neither entryFunc nor retFunc");
      }
      addGraph(gops, gops.hash ?? ownHash(gops));
      return once(() => unregisterFtraceGraph(gops));
    },
    pauseGraphTracing: (hart) => fgraph.pause(hart),
    ftraceGraphRetAddr: (hart, value, slot) => fgraph.returnAddress(hart, value, slot),
    unregisterFtraceGraph,
    registerFprobe: fprobes.registerFprobe,
    registerFprobeIps: fprobes.registerFprobeIps,
    registerFprobeSyms: fprobes.registerFprobeSyms,
    unregisterFprobe: fprobes.unregisterFprobe,
    kprobes,
    kretprobes,
    kprobeEvents,
    fprobeEvents,
    registerKprobe: (kp) => kprobes.register(kp),
    registerKretprobe: (rp) => kretprobes.register(rp),
    why,
    traceEvents,
    snapshot,
    defineEvent: (definition) => traceEvents.define(definition),
    declarePrototypes(text) {
      for (const [name, parameters] of parseFunctionArguments(text)) {
        prototypes.set(name, parameters);
      }
    },
    symbol,
    lookup,
    *events() {
      for (const event of buffer.all()) if (event.type !== "lost") yield event;
    },
    record: (event) => buffer.write(event),
    print: options.print ?? (() => {}),
    report,
  };
  registerFunctionProbes({
    files: ftrace.filterFiles,
    core,
    actions,
    find: traceEvents.find,
    dump(hart) {
      // As the kernel does: what follows is not to push out what was worth a dump.
      buffer.on = false;
      if (options.dump) options.dump(ftrace, hart);
      else report("nobody prints the buffer that a function command dumps");
    },
  });
  return ftrace;
}

function once(body: () => void): Disposable {
  let done = false;
  return {
    [Symbol.dispose]() {
      if (!done) body();
      done = true;
    },
  };
}
