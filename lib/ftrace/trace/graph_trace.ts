/**
 * The function_graph tracer's recording half: entries and returns become events.
 *
 * `set_graph_function`, `set_graph_notrace`, `max_graph_depth` and `tracing_thresh` act here, on
 * what is recorded, not on which sites are switched (`kernel/trace/trace_functions_graph.c
 * trace_graph_entry`, `trace_graph_return`, `trace_graph_thresh_return`).
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { FtraceRegs } from "../../trampoline/ftrace_regs.ts";
import type { FgraphOps, GraphEntry, GraphReturn } from "../returns/fgraph_ops.ts";
import { createHash, type FtraceHash } from "../ops/filter.ts";
import { type FunctionArguments, functionArgumentsText } from "./function_args.ts";
import type { RingBuffer } from "./ring_buffer.ts";
import type { TraceArray } from "./trace_array.ts";
import type { TraceEvents } from "./trace_events.ts";

/** What {@linkcode createGraphTrace} gives: handlers for a graph ops, and their settings. */
export interface GraphTrace {
  /** Records the entry. */
  readonly entryFunc: NonNullable<FgraphOps["entryFunc"]>;
  /** Records the return. */
  readonly retFunc: NonNullable<FgraphOps["retFunc"]>;
  /** `set_graph_function` and `set_graph_notrace`. */
  readonly graphHash: FtraceHash;
  /** `max_graph_depth`; 0 is unlimited. */
  maxDepth: number;
}

/** What of a trace decides how calls are recorded. */
export interface GraphTraceSettings {
  /** Options and threshold; without one, all are at their defaults. */
  readonly array?: Pick<TraceArray, "traceOptions" | "tracingThresh">;
  /** Filters and triggers of the graph's events; without them every event is recorded. */
  readonly events?: Pick<TraceEvents, "graphIsPlain" | "enterGraph" | "leaveGraph">;
  /** Parameters of functions, for `funcgraph-args`. */
  readonly parameters?: FunctionArguments;
  /** Whether names of enum values are printed. */
  readonly enumNames?: boolean;
  /** The hart with a number, whose registers arguments are in. */
  readonly hartOf?: (cpu: number) => Hart;
  /** Name of a record's function. */
  readonly nameOf?: (site: number) => string;
  /** Whether the running task passes `set_ftrace_pid`; without it every task does. */
  readonly isTraced?: () => boolean;
  /** Whether a call's times take room on the shadow stack; without any the call is not recorded. */
  readonly keepsTimes?: boolean;
}

/** Who filters the graph's events and acts on them. */
type GraphEvents = NonNullable<GraphTraceSettings["events"]>;

/** Makes the recording handlers of one trace. */
export function createGraphTrace(
  buffer: RingBuffer,
  settings: GraphTraceSettings = {},
): GraphTrace {
  return new GraphRecorder(buffer, settings);
}

/** What stands between the graph tracer's calls and the rings. */
class GraphRecorder implements GraphTrace {
  readonly graphHash: FtraceHash = createHash();
  maxDepth = 0;
  readonly #buffer: RingBuffer;
  readonly #settings: GraphTraceSettings;
  /** By number of the guest stack. */
  readonly #stacks: OpenCalls[] = [];

  constructor(buffer: RingBuffer, settings: GraphTraceSettings) {
    this.#buffer = buffer;
    this.#settings = settings;
  }

  // A graph ops has its handlers as functions, so they know their trace.
  readonly entryFunc = (entry: GraphEntry, fregs: FtraceRegs): boolean => {
    const { isTraced, keepsTimes } = this.#settings;
    if (isTraced && !isTraced()) return false;
    const open = this.#openOf(entry.stack);
    const { filter, notrace } = this.graphHash;
    if (open.suppressed > 0 || notrace.has(entry.site)) {
      if (!entry.returns) return false;
      open.suppressed++;
      entry.data = SUPPRESSED;
      return true;
    }
    if (open.recorded === 0 && filter.size > 0 && !filter.has(entry.site)) return false;
    const depth = open.recorded;
    if (this.maxDepth > 0 && depth >= this.maxDepth) return false;
    if (keepsTimes && entry.returns && !entry.reserveData(TIMES_SIZE)) return false;
    if (!this.#enter(entry, depth, fregs)) return false;
    if (entry.returns) open.recorded++;
    entry.data = depth;
    return true;
  };

  readonly retFunc = (exit: GraphReturn): void => {
    const { array, events } = this.#settings;
    const open = this.#openOf(exit.stack);
    if (exit.data === SUPPRESSED) {
      open.suppressed--;
      return;
    }
    open.recorded--;
    const depth = exit.data as number;
    const { callTime, returnTime } = exit;
    const threshold = array?.tracingThresh ?? 0;
    if (threshold > 0 && returnTime - callTime < BigInt(Math.round(threshold * 1000))) return;
    if (!events || events.graphIsPlain) {
      this.#buffer.writeGraphExit(exit.cpu, exit, exit.pid, depth);
    } else this.#leaveEvent(events, exit, depth);
  };

  #openOf(stack: number): OpenCalls {
    return this.#stacks[stack] ??= { recorded: 0, suppressed: 0 };
  }

  /** Records an entry; false if a filter or trigger on its event is against it. */
  #enter(entry: GraphEntry, depth: number, fregs: FtraceRegs): boolean {
    const { array, events } = this.#settings;
    // With a threshold an entry says nothing yet: its end will, if it took long enough.
    const written = !array?.tracingThresh;
    if (events && !events.graphIsPlain) {
      return this.#enterEvent(events, entry, depth, fregs, written);
    }
    if (written) this.#writeEntry(entry, depth, fregs);
    return true;
  }

  #writeEntry(entry: GraphEntry, depth: number, fregs: FtraceRegs): void {
    const { array, parameters: declared, nameOf, hartOf, enumNames = false } = this.#settings;
    const values = array?.traceOptions.values;
    const { cpu, pid, func, callTime } = entry;
    if (!values?.["funcgraph-args"] && !values?.["funcgraph-retaddr"]) {
      this.#buffer.writeGraphEntry(cpu, callTime, func, depth, pid);
      return;
    }
    const parameters = declared?.get(nameOf?.(entry.site) ?? "");
    this.#buffer.write({
      type: "funcgraph_entry",
      time: callTime,
      cpu,
      pid,
      flags: 0,
      preemptCount: 0,
      func,
      depth,
      args: values["funcgraph-args"]
        ? functionArgumentsText(parameters, fregs, hartOf!(cpu), enumNames)
        : undefined,
      retaddr: values["funcgraph-retaddr"] ? entry.parentIp : undefined,
    });
  }

  // Methods of their own, so that a call that is only recorded makes no closure.
  #enterEvent(
    to: GraphEvents,
    entry: GraphEntry,
    depth: number,
    fregs: FtraceRegs,
    written: boolean,
  ): boolean {
    return to.enterGraph(entry, depth, fregs, () => {
      if (written) this.#writeEntry(entry, depth, fregs);
    });
  }

  #leaveEvent(to: GraphEvents, exit: GraphReturn, depth: number): void {
    to.leaveGraph(
      exit,
      depth,
      exit.returnTime,
      () => void this.#buffer.writeGraphExit(exit.cpu, exit, exit.pid, depth),
    );
  }
}

/** Calls on one guest stack that have been entered and not left. */
interface OpenCalls {
  recorded: number;
  /** Those in and below a `set_graph_notrace` function. */
  suppressed: number;
}

/** Bytes of a call's times on the shadow stack (`struct fgraph_times`). */
const TIMES_SIZE = 16;

/** Marks a call inside a `set_graph_notrace` function. */
const SUPPRESSED = -1;
