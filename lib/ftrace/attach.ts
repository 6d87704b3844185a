/**
 * `ftrace.attach()`: the short way to trace, with what a call is put into words of its own.
 *
 * A call that has an exit handler is followed by the graph tracer, which keeps its object from entry
 * to exit and tells of calls that never return; one that has none costs an ftrace_ops alone. Who
 * needs the kernel's signatures, flags or a shared hash registers an ops, a graph ops or an fprobe.
 *
 * What patterns mean is `ops/filter.ts`.
 *
 * @module
 */
import type { Hart } from "../hart/hart.ts";
import type { DynFtrace } from "../patcher/dyn_ftrace.ts";
import type { FtraceRegs } from "../trampoline/ftrace_regs.ts";
import {
  type CallArguments,
  type CallResult,
  type EnteredArguments,
  enteredArguments,
  ReturnedResult,
} from "./attached_call.ts";
import type { GuestView } from "./guest_view.ts";
import { createHash, type FtraceHash, nothingLeft, selectRecords } from "./ops/filter.ts";
import type { FtraceOps, FtraceRegistration } from "./ops/ftrace_ops.ts";
import type { FgraphOps } from "./returns/fgraph_ops.ts";

/** A traced call, the same object at its entry and at its exit. */
export interface AttachedCall<Data> {
  /** Name of the function. */
  readonly name: string;
  /** Address of the function's entry. */
  readonly address: bigint;
  /** Where the call returns to: an address in its caller. */
  readonly returnAddress: bigint;
  /** Name of the function that called it, if it has a symbol. */
  readonly caller: string | undefined;
  /** The call's arguments, as they were at the entry. */
  readonly args: CallArguments;
  /** Virtual nanoseconds at the entry. */
  readonly time: bigint;
  /** The hart that makes the call. */
  readonly hart: Hart;
  /** Kept from entry to exit: what the handlers' `data()` gave, or an empty object. */
  data: Data;
}

/** The handlers that `ftrace.attach()` calls at entries and returns. */
export interface CallHandlers<Data> {
  /** Makes what `call.data` is at the entry of each call; an empty object without it. */
  readonly data?: () => Data;
  /** Called before the function's first instruction. `call.args[n] = …` changes an argument. */
  readonly onEnter?: (call: AttachedCall<Data>) => void;
  /** Called when it returns; not for a call that was left by longjmp or an exception. */
  readonly onLeave?: (call: AttachedCall<Data>, result: CallResult) => void;
}

/** Handlers that are attached to functions until they are detached. */
export interface Attachment extends Disposable {
  /** The functions that the handlers are attached to. */
  readonly functions: readonly DynFtrace[];
  /** Takes the handlers away; once is enough. */
  detach(): void;
}

/**
 * Calls handlers at the entry and the exit of functions.
 *
 * `globs` is a text of patterns (`"parse* !parse_line"`) or a list of them. At least one handler is
 * needed.
 *
 * @throws {FtraceError} EINVAL if a pattern matches nothing; whatever registering refuses.
 * @throws {TypeError} If there is neither `onEnter` nor `onLeave`.
 */
export type Attach = <Data = Record<string, unknown>>(
  globs: string | readonly string[],
  handlers: CallHandlers<Data>,
) => Attachment;

/**
 * The functions that can be traced and that patterns choose, in the order of the records: those that
 * one without `!` matches (all of them, if every pattern has one) less those that one with `!` does.
 *
 * @throws {FtraceError} EINVAL if a pattern matches nothing.
 */
export type Select = (globs: string | readonly string[]) => readonly DynFtrace[];

/** Makes the selection of functions among `records`. */
export function createSelect(records: readonly DynFtrace[]): Select {
  return (globs) => {
    const chosen = selectRecords([globs].flat(), records);
    return records.filter(({ index }) => chosen.has(index));
  };
}

/** The tracing interfaces that {@linkcode createAttach} is built on. */
export interface AttachHost {
  /** Everything that can be traced; index = `DynFtrace.index`. */
  readonly records: readonly DynFtrace[];
  /** Chooses the functions to attach to. */
  readonly select: Select;
  /** Harts, time and strings of the guest. */
  readonly guest: GuestView;
  /** Name of the function that covers an address. */
  symbol(address: bigint): string | undefined;
  /** The real return address behind the one that an entry has saved, which may be a hook of ours. */
  realReturn(hart: Hart, fregs: FtraceRegs): bigint;
  /** Registers an ops that is called at entries. */
  registerFtraceFunction(ops: FtraceOps): FtraceRegistration;
  /** Registers an ops of the graph tracer. */
  registerFtraceGraph(gops: FgraphOps): Disposable;
}

/** Makes `ftrace.attach`, the short way to trace a function. */
export function createAttach(host: AttachHost): Attach {
  return <Data>(globs: string | readonly string[], handlers: CallHandlers<Data>): Attachment => {
    if (!handlers.onEnter && !handlers.onLeave) {
      throw new TypeError("Cannot attach: there is neither an onEnter nor an onLeave");
    }
    const functions = host.select(globs);
    if (functions.length === 0) throw nothingLeft("attach to", [globs].flat());
    const hash = { ...createHash(), filter: new Set(functions.map(({ index }) => index)) };
    const registration = handlers.onLeave
      ? host.registerFtraceGraph(graphOps(host, hash, handlers))
      : host.registerFtraceFunction(entryOps(host, hash, handlers));
    const detach = () => registration[Symbol.dispose]();
    return { functions, detach, [Symbol.dispose]: detach };
  };
}

/** A call as it is entered, whose arguments can be copied. */
type EnteredCall<Data> = AttachedCall<Data> & { readonly args: EnteredArguments };

function enter<Data>(
  host: AttachHost,
  { site, parentIp }: { readonly site: number; readonly parentIp: bigint },
  fregs: FtraceRegs,
  { data, onEnter }: CallHandlers<Data>,
): EnteredCall<Data> {
  const { guest } = host;
  const { name, entry } = host.records[site]!;
  const call: EnteredCall<Data> = {
    name,
    address: entry,
    returnAddress: parentIp,
    get caller() {
      return host.symbol(parentIp);
    },
    args: enteredArguments(guest, fregs),
    time: guest.now(),
    hart: guest.currentHart,
    // Without data() the type of `data` is that of an object with members of any name.
    data: data ? data() : {} as Data,
  };
  onEnter?.(call);
  return call;
}

function entryOps<Data>(
  host: AttachHost,
  hash: FtraceHash,
  handlers: CallHandlers<Data>,
): FtraceOps {
  return {
    name: "attach",
    hash,
    hit(site, fregs) {
      const parentIp = host.realReturn(host.guest.currentHart, fregs);
      const call = enter(host, { site, parentIp }, fregs, handlers);
      call.args.leave();
    },
  };
}

function graphOps<Data>(
  host: AttachHost,
  hash: FtraceHash,
  handlers: CallHandlers<Data>,
): FgraphOps {
  return {
    name: "attach",
    hash,
    entryFunc(entry, fregs) {
      const call = enter(host, entry, fregs, handlers);
      call.args.keep();
      entry.data = call;
    },
    retFunc({ data, unwound }, fregs) {
      if (unwound || !fregs) return;
      handlers.onLeave!(data as EnteredCall<Data>, new ReturnedResult(host.guest, fregs));
    },
  };
}
