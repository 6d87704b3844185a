/**
 * The call that tracers are served with now: one object, filled anew for each call.
 *
 * Whoever records something while a tracer runs looks here for the call around it. The dispatch of
 * entries and the graph tracer's returns fill it; a callback that runs guest code nests.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { Machine } from "../../machine/machine.ts";
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import type { FrameLayout } from "../../trampoline/frame.ts";
import { FtraceRegs } from "../../trampoline/ftrace_regs.ts";
import type { TracedEntry } from "../trace/stack_trace.ts";

/** A call at a traced entry, as the ops see it. */
export interface TracedCall {
  /** The hart that makes the call. */
  hart: Hart;
  /** Record of the call site. */
  record: DynFtrace;
  /** The site as the era names it. */
  ip: bigint;
  /** The return address of the traced function at its entry. */
  parentIp: bigint;
  /** The hart's stack pointer at the site. */
  sp: number;
  /** The registers that the trampoline saved. */
  fregs: FtraceRegs;
}

/** The traced entry that one machine is serving. */
export class ServedCall {
  /** The entry that is served, or was last. */
  readonly call: TracedCall;
  /** Entries that are being served, one inside the other. */
  depth = 0;
  /** The call whose exit handlers run now, as it was at its entry: for a walk of the stack. */
  leaving: TracedEntry | undefined = undefined;

  /** Starts with nothing served; `record` is any record, for the object to have its shape. */
  constructor(machine: Machine, frame: FrameLayout, record: DynFtrace) {
    this.call = {
      hart: machine.harts[0]!,
      record,
      ip: 0n,
      parentIp: 0n,
      sp: 0,
      fregs: new FtraceRegs(machine.memory, frame, machine.space),
    };
  }

  /** The entry that is being served, or undefined. */
  get entry(): TracedCall | undefined {
    return this.depth > 0 ? this.call : undefined;
  }

  /** The call around whatever is recorded now: at its entry or at its exit. */
  get current(): TracedEntry | undefined {
    return this.entry ?? this.leaving;
  }
}
