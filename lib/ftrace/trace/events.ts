/**
 * Events: what a trace is made of, whoever wrote it down.
 *
 * The ring buffer yields these, the kernel-text parser yields these, and every writer in
 * `lib/output` takes these and nothing else. Addresses are plain numbers in a bigint: names belong
 * to a {@linkcode Symbolizer}, which a live trace takes from the program and a parsed one makes up.
 *
 * How events are stored while the guest runs is `ring_buffer.ts`; how they look is `lib/output`.
 *
 * @module
 */
import type { EventDescription } from "../../events/event_format.ts";
import type { EventValues } from "../../events/event_fields.ts";

/** What every event carries (`struct trace_entry` and where it was written). */
export interface EventCommon {
  /** Nanoseconds since the trace's clock began. */
  readonly time: bigint;
  /** Hart (the kernel's CPU number). */
  readonly cpu: number;
  /** Task. */
  readonly pid: number;
  /** `common_flags`: 0x01 irqs off, 0x04 need-resched, 0x08 hardirq, 0x10 softirq, 0x40 NMI, 0x80 BH off. */
  readonly flags: number;
  /** `common_preempt_count`: low nibble depth, high nibble migrate-disable count. */
  readonly preemptCount: number;
}

/** A function was entered (`TRACE_FN`). */
export interface FunctionEvent extends EventCommon {
  /** What kind of event it is. */
  readonly type: "function";
  /** The address of the call site, in the era's sense of `ip`. */
  readonly ip: bigint;
  /** The return address at its entry. */
  readonly parentIp: bigint;
  /** Text between the parentheses with the func-args option, without them. */
  readonly args?: string | undefined;
}

/** A function was called again from the place of its last call (`TRACE_FUNC_REPEATS`). */
export interface FunctionRepeatsEvent extends EventCommon {
  /** What kind of event it is. */
  readonly type: "func_repeats";
  /** The address of the call site, in the era's sense of `ip`. */
  readonly ip: bigint;
  /** The return address at its entry. */
  readonly parentIp: bigint;
  /** How many repetitions there were. */
  readonly count: number;
  /** Time of the last repetition, nanoseconds. */
  readonly lastTime: bigint;
}

/** A function was entered under the graph tracer (`TRACE_GRAPH_ENT`). */
export interface GraphEntryEvent extends EventCommon {
  /** What kind of event it is. */
  readonly type: "funcgraph_entry";
  /** The entry of the function. */
  readonly func: bigint;
  /** Calls around it on its stack, from 0. */
  readonly depth: number;
  /** Text between the parentheses, without them. */
  readonly args?: string | undefined;
  /** Where it returns to, with the funcgraph-retaddr option. */
  readonly retaddr?: bigint | undefined;
}

/** A function returned under the graph tracer (`TRACE_GRAPH_RET`). */
export interface GraphExitEvent extends EventCommon {
  /** What kind of event it is. */
  readonly type: "funcgraph_exit";
  /** The entry of the function. */
  readonly func: bigint;
  /** Calls around it on its stack, from 0. */
  readonly depth: number;
  /** When the function was entered, nanoseconds. */
  readonly callTime: bigint;
  /** When the function returned, nanoseconds. */
  readonly returnTime: bigint;
  /** Calls lost for want of room on the shadow stack. */
  readonly overrun: number;
  /** a0 at the return, unsigned. */
  readonly returnValue?: bigint | undefined;
  /** The function did not return: an outer frame was reached past it (longjmp, exception). */
  readonly unwound?: boolean | undefined;
}

/** Text put into the trace (`trace_marker`, `TRACE_PRINT`). */
export interface PrintEvent extends EventCommon {
  /** What kind of event it is. */
  readonly type: "print";
  /** The address of the call site, in the era's sense of `ip`. */
  readonly ip: bigint;
  /** The text that was written. */
  readonly text: string;
}

/** Bytes put into the trace (`trace_marker_raw`, `TRACE_RAW_DATA`). */
export interface RawDataEvent extends EventCommon {
  /** What kind of event it is. */
  readonly type: "raw_data";
  /** The number that the writer put before the bytes. */
  readonly id: number;
  /** The bytes that the writer put behind the number. */
  readonly bytes: Uint8Array;
}

/** A stack of return addresses, innermost first (`TRACE_STACK`). */
export interface StackEvent extends EventCommon {
  /** What kind of event it is. */
  readonly type: "kernel_stack";
  /** Return addresses. */
  readonly callers: readonly bigint[];
}

/** A user program's stack, innermost first (`TRACE_USER_STACK`). */
export interface UserStackEvent extends EventCommon {
  /** What kind of event it is. */
  readonly type: "user_stack";
  /** Addresses. */
  readonly callers: readonly bigint[];
}

/** A system call was entered (`events/syscalls/sys_enter_NAME`). */
export interface SyscallEnterEvent extends EventCommon {
  /** What kind of event it is. */
  readonly type: "sys_enter";
  /** Without `sys_`. */
  readonly name: string;
  /** Text between the parentheses, without them. */
  readonly args: readonly { readonly name: string; readonly value: bigint }[];
}

/** A system call was left (`events/syscalls/sys_exit_NAME`). */
export interface SyscallExitEvent extends EventCommon {
  /** What kind of event it is. */
  readonly type: "sys_exit";
  /** Without `sys_`. */
  readonly name: string;
  /** a0, unsigned. */
  readonly returnValue: bigint;
}

/** Any other event, such as one of `defineEvent`: its name and its text as printed. */
export interface NamedEvent extends EventCommon {
  /** What kind of event it is. */
  readonly type: "event";
  /** Name of the event, without its group. */
  readonly name: string;
  /** What the event prints behind its name. */
  readonly text: string;
  /** What its record looks like; undefined if only its text was read. */
  readonly description?: EventDescription | undefined;
  /** The values of its fields, as `encodeRecord` takes them. */
  readonly values?: EventValues | undefined;
}

/** Everything a trace can hold. */
export type TraceEvent =
  | FunctionEvent
  | FunctionRepeatsEvent
  | GraphEntryEvent
  | GraphExitEvent
  | PrintEvent
  | RawDataEvent
  | StackEvent
  | UserStackEvent
  | SyscallEnterEvent
  | SyscallExitEvent
  | NamedEvent;

/** Events a full buffer has thrown away, told where they are missing. */
export interface LostEvents {
  /** What kind of event it is. */
  readonly type: "lost";
  /** Hart. */
  readonly cpu: number;
  /** How many; -1 if only that there were some is known. */
  readonly count: number;
}

/** What stands for a parent whose return a kretprobe has hooked; it has no offset. */
export const HIDDEN_BY_RETURN_TRAMPOLINE = "[unknown/kretprobe'd]";

/** Names for addresses. */
export interface Symbolizer {
  /** The symbol that covers `address`, or undefined. `size` is in bytes. */
  symbol(
    address: bigint,
  ): { readonly name: string; readonly address: bigint; readonly size: bigint } | undefined;
  /** Name of a task, as `comm`; undefined prints `<...>`. */
  comm(pid: number): string | undefined;
  /** The file that a user address was mapped from, and where in it; the option sym-userobj prints it. */
  object?(address: bigint): { readonly path: string; readonly offset: bigint } | undefined;
  /** Thread group of a task, if the record-tgid option had it recorded. */
  tgid?(pid: number): number | undefined;
}
