/**
 * The function tracers' core: which ops are registered, what they trace, and sites that follow.
 *
 * An update goes in the kernel's order (`ftrace_modify_all_code`): the list is installed first, then
 * sites are switched, then the ops and the final function are published, so that a hart in between
 * finds something harmless at every moment.
 *
 * How a hart gets from a site to {@linkcode FunctionCore} is `call_paths.ts`; the words of sites are
 * `lib/patcher`; the tracer's view of all this is `ftrace.ts`.
 *
 * @module
 */
import type { Hart } from "../hart/hart.ts";
import type { Machine } from "../machine/machine.ts";
import { type DynFtrace, FTRACE_FL_REF_MASK, FTRACE_FL_TOUCHED } from "../patcher/dyn_ftrace.ts";
import { Patcher, type SiteChange } from "../patcher/patcher.ts";
import type { Target } from "../patcher/scheme.ts";
import type { FtraceRegs } from "../trampoline/ftrace_regs.ts";
import { createCallPaths, type TracedCall } from "./call_paths.ts";
import type { Era } from "./era.ts";
import { createHash, type FtraceHash, hashAllows, updateSet } from "./filter.ts";
import { FtraceError } from "./ftrace_error.ts";
import {
  FTRACE_OPS_FL_DELETED,
  FTRACE_OPS_FL_ENABLED,
  FTRACE_OPS_FL_IPMODIFY,
  FTRACE_OPS_FL_SAVE_REGS,
  FTRACE_OPS_FL_SAVE_REGS_IF_SUPPORTED,
  type FtraceFunc,
  type FtraceOps,
  type FtraceRegistration,
} from "./ftrace_ops.ts";
import { createHookTable, type HookTable } from "./hook_table.ts";
import { createRecords } from "./records.ts";
import type { RingBuffer } from "./ring_buffer.ts";
import { createTracingArea, OPS_SLOT, type TracingArea } from "./tracing_area.ts";

/** What {@linkcode createFunctionCore} needs besides the machine and the era. */
export interface FunctionCoreOptions {
  /** Refuse what that kernel refuses. */
  readonly strict: boolean;
  /** Records for functions without a site too. */
  readonly virtual: boolean;
  /** Harts execute the real trampolines. */
  readonly guestTrampoline: boolean;
  /** Where the function tracer's events go. */
  readonly buffer: RingBuffer;
  /** Takes a line about something wrong. */
  readonly report: (line: string) => void;
  /** A hart came back to `return_to_handler`; gives where it goes on. */
  readonly onReturn: (hart: Hart, sp: number, fregs: FtraceRegs) => bigint;
}

/** An ops the core has taken in. */
interface RegisteredOps {
  readonly ops: FtraceOps;
  readonly hash: FtraceHash;
  readonly flags: number;
  readonly slot: number;
  readonly call: (call: TracedCall) => void;
  calls: number;
}

/** See the module. */
export interface FunctionCore {
  /** Everything that can be traced; index = `DynFtrace.index`. */
  readonly records: readonly DynFtrace[];
  /** `set_ftrace_filter` and `set_ftrace_notrace`. */
  readonly globalHash: FtraceHash;
  /** Hooks of the engine, shared. */
  readonly hooks: HookTable;
  /** Trampolines, stubs, structs. */
  readonly area: TracingArea;
  /** What has been written and fenced. */
  readonly patcher: Patcher;
  /** Address of `return_to_handler`. */
  readonly returnToHandler: bigint;
  /** Records a function event. */
  readonly functionTraceCall: FtraceFunc;
  /** Calls that reached an ops so far. */
  readonly calls: number;
  /** What is switched where, for a record: the trampoline and the ops its literal names. */
  targetOf(record: DynFtrace): Target;
  /** `register_ftrace_function`. */
  register(ops: FtraceOps): FtraceRegistration;
  /** Registers an ops of our own, whose handler gets the whole call. */
  registerInternal(ops: FtraceOps, handler: (call: TracedCall) => void): FtraceRegistration;
  /** `unregister_ftrace_function`. @throws {FtraceError} EBUSY if it is not registered. */
  unregister(ops: FtraceOps): void;
  /** `ftrace_set_filter`, `ftrace_set_notrace`. */
  setHash(
    ops: FtraceOps,
    which: "filter" | "notrace",
    patterns: readonly string[],
    how?: { readonly reset?: boolean },
  ): void;
  /** Makes the sites follow the hashes. */
  update(): void;
}
