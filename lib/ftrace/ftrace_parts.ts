/**
 * The parts of ftrace on one machine, put together in an order: each is given what is there before.
 *
 * The tracing range and the records come first, then what is recorded, then hooked returns, then the
 * core that leads harts to both, and on top of it the registers: graph users, fprobes, kprobes.
 *
 * What a tracer sees of them is `ftrace.ts`.
 *
 * @module
 */
import type { Machine } from "../machine/machine.ts";
import type { Poison } from "../trampoline/poison.ts";
import type { Era } from "./era.ts";
import { EntryLiveness } from "./ops/entry_liveness.ts";
import { matchRecords, parsePattern } from "./ops/filter.ts";
import { FunctionCore } from "./ops/function_core.ts";
import { addressKey, RecordTable } from "./ops/record_table.ts";
import { serveByName } from "./ops/named_sites.ts";
import type { VirtualSites } from "./ops/records.ts";
import { ServedCall } from "./ops/served_call.ts";
import { createTracingArea } from "./ops/tracing_area.ts";
import { FprobeEvents } from "./probes/fprobe_events.ts";
import { createKprobeCheck } from "./probes/kprobe_check.ts";
import { KprobeEvents } from "./probes/kprobe_events.ts";
import { Kprobes } from "./probes/kprobes.ts";
import { Kretprobes } from "./probes/kretprobe.ts";
import { Recording } from "./recording.ts";
import { Fgraph, type ReturnsMode } from "./returns/fgraph.ts";
import { FGRAPH_ARRAY_SIZE } from "./returns/fgraph_ops.ts";
import { type FprobeRegister, Fprobes } from "./returns/fprobe_register.ts";
import { GraphRegister } from "./returns/graph_register.ts";
import { placeRethookTrampoline, Rethook } from "./returns/rethook.ts";
import { ReturnHooks } from "./returns/return_hooks.ts";
import { walksStacks } from "./returns/unwinders.ts";
import { createGraphTrace, type GraphTrace } from "./trace/graph_trace.ts";
import type { RingMode } from "./trace/hart_ring.ts";

/** The options of ftrace after defaults, from which its parts are made. */
export interface FtraceSettings {
  /** The era whose kernel is followed. */
  readonly era: Era;
  /** Whether to refuse what the era's kernel refuses, even where it could be served. */
  readonly strict: boolean;
  /** Which functions without a site get records, too, served by hooks of the engine. */
  readonly virtual: VirtualSites;
  /** Whether harts execute the real trampolines instead of the fast path. */
  readonly guestTrampoline: boolean;
  /** Registers that trampolines overwrite. */
  readonly poison: Poison;
  /** How the graph tracer notices returns. */
  readonly returns: ReturnsMode;
  /** Open calls have as much room as that kernel's graph tracer gives a task. */
  readonly kernelStack: boolean;
  /** Size of each hart's ring, KiB. */
  readonly bufferKib: number;
  /** Which events a full ring gives up: the oldest, the newest, or none because it is drained. */
  readonly bufferMode: RingMode;
  /** Takes a line about something wrong. */
  readonly report: (line: string) => void;
  /** Takes a line about a choice that was made for the user. */
  readonly note: (line: string) => void;
}

/** The parts that trace functions and record events. */
export interface TracingParts {
  /** The rings, options and events of the trace. */
  readonly recording: Recording;
  /** Hooked returns, of the graph tracer's and kretprobes' kind. */
  readonly returns: ReturnHooks;
  /** The returns that kretprobes wait for. */
  readonly rethook: Rethook;
  /** The graph tracer, which serves hooked entries and returns to its users. */
  readonly fgraph: Fgraph;
  /** The function tracer's core: registered ops, and the sites they trace. */
  readonly core: FunctionCore;
  /** The registered users of the graph tracer (`fgraph_ops`). */
  readonly graphUsers: GraphRegister;
  /** The callbacks that record graph events. */
  readonly graph: GraphTrace;
}

/** Probes, which are built on the function tracer and on breakpoints. */
export interface ProbeParts {
  /** Entry and exit probes. */
  readonly fprobes: FprobeRegister;
  /** Probes on instructions. */
  readonly kprobes: Kprobes;
  /** Return probes. */
  readonly kretprobes: Kretprobes;
  /** Events on kprobes and kretprobes. */
  readonly kprobeEvents: KprobeEvents;
  /** Events on fprobes. */
  readonly fprobeEvents: FprobeEvents;
}

/**
 * Lays out the tracing range, makes the records, and puts the tracers on top.
 *
 * @throws {RangeError} For a buffer of no size.
 */
export function createTracingParts(machine: Machine, settings: FtraceSettings): TracingParts {
  const { era, strict, virtual, report, kernelStack } = settings;
  const area = createTracingArea(machine, era, settings.poison);
  const { ftrace_caller: caller, return_to_handler: returnToHandler } = area.trampolines.symbols;
  const table = new RecordTable(machine, era, { strict, virtual, caller });
  const served = new ServedCall(machine, area.trampolines.frame, table.records[0]!);
  const { bufferKib, bufferMode } = settings;
  const recording = new Recording({
    machine,
    era,
    area,
    served,
    strict,
    bufferKib,
    bufferMode,
    report,
  });
  const { buffer, recordFunction, array, parameters, enumNames } = recording;
  const trampoline = placeRethookTrampoline(machine);
  const { arch_rethook_trampoline: rethookTrampoline } = trampoline;
  const returns = new ReturnHooks(machine, { returnToHandler, rethookTrampoline });
  machine.unwinder.realReturn = (hart, value, sp) =>
    returns.realReturn(hart, value, addressKey(sp));
  const rethook = new Rethook(machine, returns, trampoline);
  const liveness = new EntryLiveness(machine.space);
  const fgraph = new Fgraph({
    machine,
    hooks: returns,
    served,
    returns: settings.returns,
    walksStacks: walksStacks(machine.symbols),
    readsReturnAddress: (entry) => liveness.readsReturnAddress(entry),
    countsSleep: () => array.traceOptions.values["sleep-time"] ?? true,
    watchAddress: (address, reached) =>
      void core.hooks.add(
        Number(address),
        (hart) => reached(hart, (use) => core.showRegisters(hart, use, true)),
      ),
    limit: kernelStack ? era.graphStack : "none",
    users: strict && era.graphStack === "records" ? 1 : FGRAPH_ARRAY_SIZE,
  });
  const core = new FunctionCore({
    machine,
    era,
    area,
    table,
    served,
    buffer,
    recordFunction,
    leave: (hart, sp, fregs) => fgraph.leave(hart, sp, fregs),
    guestTrampoline: settings.guestTrampoline,
    report,
  });
  serveByName(table, settings.virtual === "auto", settings.note);
  const graph = createGraphTrace(buffer, {
    array,
    parameters,
    enumNames,
    hartOf: (cpu) => machine.harts[cpu]!,
    nameOf: (site) => core.records[site]!.name,
    isTraced: () => core.isTraced(),
    events: recording.traceEvents,
    keepsTimes: kernelStack && era.forms.keepsTimesOnStack,
  });
  const graphUsers = new GraphRegister({ machine, core, hooks: returns, fgraph, report });
  return { recording, returns, rethook, fgraph, core, graphUsers, graph };
}

/** Puts probes and their events on top of the tracers. */
export function createProbeParts(
  machine: Machine,
  { era, strict, report }: FtraceSettings,
  { recording: { traceEvents, prototypes }, rethook, core, graphUsers }: TracingParts,
): ProbeParts {
  const symbol = (address: bigint) => machine.symbols.at(address)?.symbol;
  const prototypeOf = (name: string) => prototypes.get(name);
  const fprobes = new Fprobes({ core, graphUsers, era, strict, report });
  const check = createKprobeCheck(machine, era.kprobes, era.name, core.records);
  const kprobes = new Kprobes({ machine, core, check, report });
  const prepare = () => graphUsers.watchStacks();
  const kretprobes = new Kretprobes({ machine, kprobes, rethook, prepare, report });
  const kprobeEvents = new KprobeEvents({
    machine,
    era,
    kprobes,
    kretprobes,
    traceEvents,
    symbol,
    prototypeOf,
    report,
    fault: (command, text, position) =>
      traceEvents.errorLog.add("trace_kprobe", command, { text, position }),
  });
  const fprobeEvents = new FprobeEvents({
    machine,
    traceEvents,
    symbol,
    prototypeOf,
    hasMaxactive: !era.forms.dropsFprobeMaxactive,
    matches: (filter) => matchRecords(parsePattern(filter), core.records).length > 0,
    register: (fp, filter) => fprobes.registerFprobe(fp, filter),
    report,
  });
  return { fprobes, kprobes, kretprobes, kprobeEvents, fprobeEvents };
}
