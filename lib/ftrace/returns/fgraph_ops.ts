/**
 * Users of the graph tracer: what one is (`struct fgraph_ops`), and how it sees a call.
 *
 * One object is a call at its entry and at its exit. A user's ops is read at each call and never
 * written to, so one may be frozen, and one may serve two machines.
 *
 * Where users are kept is `graph_users.ts`; who calls them is `fgraph.ts`.
 *
 * @module
 */
import type { FtraceRegs } from "../../trampoline/ftrace_regs.ts";
import type { FtraceHash } from "../ops/filter.ts";

/** Most users at a time (`FGRAPH_ARRAY_SIZE`). */
export const FGRAPH_ARRAY_SIZE = 16;

/** A call, as its entry handler sees it (`struct ftrace_graph_ent`). */
export interface GraphEntry {
  /** Address of the called function's site, as the era names it. */
  readonly func: bigint;
  /** Index of the called function's record. */
  readonly site: number;
  /** Where it was called from: the real return address. */
  readonly parentIp: bigint;
  /** How many open traced calls are around this one. */
  readonly depth: number;
  /**
   * Which of the guest's stacks the call is made on: a small number that a stack keeps as long as it
   * has open traced calls. Depths count on one stack.
   */
  readonly stack: number;
  /**
   * When the call was entered, in virtual nanoseconds. At its end, with option `sleep-time` off, later
   * by what the guest has slept meanwhile: so the kernel keeps that out of durations.
   */
  readonly callTime: bigint;
  /** Number of the hart that makes the call. */
  readonly cpu: number;
  /** Number of the task that makes the call. */
  readonly pid: number;
  /** Whether its return can be caught: not where a function returns twice or links in t0. */
  readonly returns: boolean;
  /** Storage kept for this user until the exit handler runs. */
  data: unknown;
  /**
   * At the entry: takes bytes of the shadow stack for this user, zeroed, which
   * {@linkcode GraphEntry.retrieveData} gives at the exit (`fgraph_reserve_data`); null if they are
   * more than 256, or there is no room.
   */
  reserveData(bytes: number): DataView | null;
  /** What {@linkcode GraphEntry.reserveData} took for this call, or null (`fgraph_retrieve_data`). */
  retrieveData(): DataView | null;
}

/** A call that has ended (`struct ftrace_graph_ret`). */
export interface GraphReturn extends GraphEntry {
  /** When the call returned, or was found to be unwound, in virtual nanoseconds. */
  readonly returnTime: bigint;
  /** a0 as it returns, unsigned; 0 if it was unwound. */
  readonly returnValue: bigint;
  /** Calls of the task, ever since, that could not be recorded for want of room. */
  readonly overrun: number;
  /** It never returned: an outer frame was reached past it. */
  readonly unwound: boolean;
}

/** A user of the graph tracer (`struct fgraph_ops`). */
export interface FgraphOps {
  /** At the entry; false means that the return is of no interest. */
  entryFunc?: (entry: GraphEntry, fregs: FtraceRegs) => boolean | void;
  /** At the return. `fregs` is null for a call that was unwound. */
  retFunc?: (exit: GraphReturn, fregs: FtraceRegs | null) => void;
  /** Patterns of functions to trace; none traces all. */
  filter?: readonly string[];
  /** Patterns of functions not to trace. */
  notrace?: readonly string[];
  /** A hash shared with others, in place of the two above. */
  hash?: FtraceHash;
  /** Name of the user, for reports; `fgraph` without it. */
  name?: string;
}
