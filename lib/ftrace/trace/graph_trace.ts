/**
 * The function_graph tracer's recording half: entries and returns become events.
 *
 * `set_graph_function`, `set_graph_notrace`, `max_graph_depth` and `tracing_thresh` act here, on
 * what is recorded, not on which sites are switched (`kernel/trace/trace_functions_graph.c
 * trace_graph_entry`, `trace_graph_return`, `trace_graph_thresh_return`).
 *
 * @module
 */
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
  readonly prototypes?: FunctionArguments;
  /** Whether names of enum values are printed. */
  readonly enumNames?: boolean;
  /** Name of a record's function. */
  readonly nameOf?: (site: number) => string;
  /** Nanoseconds that the guest has slept so far, counted in durations unless `sleep-time` is off. */
  readonly slept?: () => bigint;
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
  const { array, events, prototypes, enumNames = false, nameOf, slept = () => 0n } = settings;
  const graphHash = createHash();
  const harts: OpenCalls[] = [];
  const of = (cpu: number): OpenCalls => harts[cpu] ??= { recorded: 0, suppressed: 0 };
  const writeEntry = (entry: GraphEntry, depth: number, fregs: FtraceRegs) => {
    const values = array?.traceOptions.values;
    const { cpu, pid, func, callTime } = entry;
    if (!values?.["funcgraph-args"] && !values?.["funcgraph-retaddr"]) {
      buffer.writeGraphEntry(cpu, callTime, func, depth, pid);
      return;
    }
    const parameters = prototypes?.get(nameOf?.(entry.site) ?? "");
    const register = (n: number) => fregs.argument(n);
    buffer.write({
      type: "funcgraph_entry",
      time: callTime,
      cpu,
      pid,
      flags: 0,
      preemptCount: 0,
      func,
      depth,
      args: values["funcgraph-args"]
        ? functionArgumentsText(parameters, register, enumNames)
        : undefined,
      retaddr: values["funcgraph-retaddr"] ? entry.parentIp : undefined,
    });
  };
  // Closures of their own, so that a call that is only recorded makes none.
  const enterEvent = (
    to: GraphEvents,
    entry: GraphEntry,
    depth: number,
    fregs: FtraceRegs,
    written: boolean,
  ) =>
    to.enterGraph(entry, depth, fregs, () => {
      if (written) writeEntry(entry, depth, fregs);
    });
  const leaveEvent = (
    to: GraphEvents,
    exit: GraphReturn,
    depth: number,
    returnTime: bigint,
  ) =>
    to.leaveGraph(
      exit,
      depth,
      returnTime,
      () => void buffer.writeGraphExit(exit.cpu, exit, exit.pid, depth, returnTime),
    );
  const trace: GraphTrace = {
    graphHash,
    maxDepth: 0,
    entryFunc(entry: GraphEntry, fregs: FtraceRegs): boolean {
      if (settings.isTraced && !settings.isTraced()) return false;
      const open = of(entry.cpu);
      if (open.suppressed > 0 || graphHash.notrace.has(entry.site)) {
        if (!entry.returns) return false;
        open.suppressed++;
        entry.data = SUPPRESSED;
        return true;
      }
      if (open.recorded === 0 && graphHash.filter.size > 0 && !graphHash.filter.has(entry.site)) {
        return false;
      }
      const depth = open.recorded;
      if (trace.maxDepth > 0 && depth >= trace.maxDepth) return false;
      if (settings.keepsTimes && entry.returns && !entry.reserveData(TIMES_SIZE)) return false;
      // With a threshold an entry says nothing yet: its end will, if it took long enough.
      const written = !array?.tracingThresh;
      if (!events || events.graphIsPlain) {
        if (written) writeEntry(entry, depth, fregs);
      } else if (!enterEvent(events, entry, depth, fregs, written)) return false;
      if (entry.returns) open.recorded++;
      entry.data = { depth, slept: slept() } satisfies RecordedCall;
      return true;
    },
    retFunc(exit: GraphReturn): void {
      const open = of(exit.cpu);
      if (exit.data === SUPPRESSED) {
        open.suppressed--;
        return;
      }
      open.recorded--;
      const call = exit.data as RecordedCall;
      const asleep = array?.traceOptions.values["sleep-time"] ?? true ? slept() - call.slept : 0n;
      const returnTime = exit.returnTime + asleep;
      const threshold = array?.tracingThresh ?? 0;
      if (
        threshold > 0 && returnTime - exit.callTime < BigInt(Math.round(threshold * 1000))
      ) return;
      if (!events || events.graphIsPlain) {
        buffer.writeGraphExit(exit.cpu, exit, exit.pid, call.depth, returnTime);
      } else leaveEvent(events, exit, call.depth, returnTime);
    },
  };
  return trace;
}

/** Calls of one hart that have been entered and not left. */
interface OpenCalls {
  recorded: number;
  /** Those in and below a `set_graph_notrace` function. */
  suppressed: number;
}

/** What is kept of a recorded call. */
interface RecordedCall {
  readonly depth: number;
  /** Nanoseconds that the guest had slept at its entry. */
  readonly slept: bigint;
}

/** Bytes of a call's times on the shadow stack (`struct fgraph_times`). */
const TIMES_SIZE = 16;

/** Marks a call inside a `set_graph_notrace` function. */
const SUPPRESSED = -1;
