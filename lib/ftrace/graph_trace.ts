/**
 * The function_graph tracer's recording half: entries and returns become events.
 *
 * `set_graph_function`, `set_graph_notrace` and `max_graph_depth` act here, on what is recorded,
 * not on which sites are switched (`kernel/trace/trace_functions_graph.c trace_graph_entry`).
 *
 * @module
 */
import type { FgraphOps, GraphEntry, GraphReturn } from "./fgraph.ts";
import { createHash, type FtraceHash } from "./filter.ts";
import type { RingBuffer } from "./ring_buffer.ts";

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

/** Makes the recording handlers of one trace. */
export function createGraphTrace(buffer: RingBuffer): GraphTrace {
  const graphHash = createHash();
  const harts: OpenCalls[] = [];
  const of = (cpu: number): OpenCalls => harts[cpu] ??= { recorded: 0, suppressed: 0 };
  const trace: GraphTrace = {
    graphHash,
    maxDepth: 0,
    entryFunc(entry: GraphEntry): boolean {
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
      buffer.writeGraphEntry(entry.cpu, entry.callTime, entry.func, depth, entry.pid);
      if (entry.returns) open.recorded++;
      entry.data = depth;
      return true;
    },
    retFunc(exit: GraphReturn): void {
      const open = of(exit.cpu);
      if (exit.data === SUPPRESSED) {
        open.suppressed--;
        return;
      }
      open.recorded--;
      buffer.writeGraphExit(exit.cpu, { ...exit, depth: exit.data as number }, exit.pid);
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

/** Marks a call inside a `set_graph_notrace` function. */
const SUPPRESSED = -1;
