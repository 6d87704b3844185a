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
import type { FrameLayout } from "../trampoline/frame.ts";
import { FtraceRegs } from "../trampoline/ftrace_regs.ts";
import type { Poison } from "../trampoline/poison.ts";
import { createCallPaths, type TracedCall } from "./call_paths.ts";
import { describe, refusePromise } from "./callbacks.ts";
import type { Era } from "./era.ts";
import { createHash, type FtraceHash, hashAllows, isEmptyHash, updateSet } from "./filter.ts";
import type { HashHalf } from "./filter_files.ts";
import { FtraceError } from "./ftrace_error.ts";
import {
  FTRACE_OPS_FL_DELETED,
  FTRACE_OPS_FL_ENABLED,
  FTRACE_OPS_FL_IPMODIFY,
  FTRACE_OPS_FL_PID,
  FTRACE_OPS_FL_SAVE_REGS,
  FTRACE_OPS_FL_SAVE_REGS_IF_SUPPORTED,
  type FtraceFunc,
  type FtraceOps,
  type FtraceRegistration,
} from "./ftrace_ops.ts";
import { createHookTable, type HookTable } from "./hook_table.ts";
import { createPidFilter, hasPidFilter, pidAllows, type PidFilter } from "./pid_filter.ts";
import { createRecords } from "./records.ts";
import type { RecordingState } from "./recording_thunk.ts";
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
  /** Registers that trampolines overwrite. */
  readonly poison: Poison;
  /** Where the function tracer's events go. */
  readonly buffer: RingBuffer;
  /** Records one call, as the function tracer's callback does. */
  readonly recordFunction: (call: TracedCall) => void;
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
  /** `set_ftrace_pid` and `set_ftrace_notrace_pid`; call {@linkcode FunctionCore.update} after a change. */
  readonly pids: PidFilter;
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
  /** The ops that trace a record now, newest first. */
  opsOf(record: DynFtrace): readonly FtraceOps[];
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
  /** Replaces half of a hash, and makes sites follow. @throws {FtraceError} EBUSY, EINVAL: nothing has changed. */
  commitHash(hash: FtraceHash, which: "filter" | "notrace", next: HashHalf): void;
  /** Makes the sites follow the hashes. */
  update(): void;
}

/** Makes the core of one machine: records, tracing area, sites in their initial state. */
export function createFunctionCore(
  machine: Machine,
  era: Era,
  options: FunctionCoreOptions,
): FunctionCore {
  const { memory } = machine;
  const area = createTracingArea(machine, era.name, era.opsLiteral, options.poison);
  const { symbols, frame } = area.trampolines;
  const records = createRecords(machine, era, {
    strict: options.strict,
    virtual: options.virtual,
    caller: symbols.ftrace_caller,
  });
  const byIp = new Map<number, DynFtrace>(records.map((record) => [Number(record.ip), record]));
  const globalHash = createHash();
  const pids = createPidFilter();
  const hooks = createHookTable(machine.engine);
  const patcher = new Patcher(
    {
      read: (address, length) => memory.bytes.slice(Number(address), Number(address) + length),
      write: (address, bytes) => memory.poke(Number(address), bytes),
      park: (inside) => machine.park(inside),
      localFenceI: () => machine.fenceI(),
      remoteFenceI: () => machine.fenceI(),
    },
    era.scheme,
    records,
  );
  /** Newest first, as the kernel's list is. */
  let registered: readonly RegisteredOps[] = [];
  let calls = 0;
  const cells = memory.allocateHost(16);
  const recording: RecordingState = {
    recorder: cells,
    shared: cells + 4,
    calls: cells + 8,
    control: options.buffer.controlOf(0),
    pid: machine.pid,
  };
  const virtualHooks = new Map<number, Disposable>();
  const targets = new Map<number, Target>();

  const nopTarget: Target = { caller: symbols.ftrace_caller, ops: area.ops(OPS_SLOT.nop) };
  for (const record of records) patcher.ftraceInitNop(record, nopTarget);
  for (const pair of [symbols.ftrace_call, symbols.ftrace_regs_call]) {
    if (pair !== undefined) patcher.addPair(pair);
  }
  machine.fenceI();

  /** Who a record's site calls: one ops by itself, the list of all, or nobody. */
  const slotFor = (users: readonly RegisteredOps[]): number =>
    users.length === 0 ? OPS_SLOT.nop : users.length === 1 ? users[0]!.slot : OPS_SLOT.list;

  const usersOf = (record: DynFtrace) =>
    record.kind === "disabled"
      ? []
      : registered.filter(({ hash }) => hashAllows(hash, record.index));

  const targetFor = (users: readonly RegisteredOps[]): Target => ({
    caller: users.some(({ flags }) => wantsRegs(flags)) && symbols.ftrace_regs_caller !== undefined
      ? symbols.ftrace_regs_caller
      : symbols.ftrace_caller,
    ops: area.ops(slotFor(users)),
  });

  const isTraced = () => !hasPidFilter(pids) || pidAllows(pids, machine.pid);

  /** Points the trampoline itself at whom it calls, where that is not said by each site. */
  const publish = (slot: number) => {
    area.shared = slot;
    memory.hostView.setUint32(recording.shared, Number(area.ops(slot)), true);
    if (era.opsLiteral) return;
    const { function_trace_op, ftrace_call_dest } = area.trampolines.data;
    const func = slot === OPS_SLOT.nop ? symbols.ftrace_stub : area.stub(slot);
    if (function_trace_op !== undefined) area.writeWord(function_trace_op, area.ops(slot));
    if (ftrace_call_dest !== undefined) area.writeWord(ftrace_call_dest, func);
    const pairs = [symbols.ftrace_call, symbols.ftrace_regs_call].filter((pair) =>
      pair !== undefined
    );
    for (const pair of pairs) patcher.ftraceUpdateFtraceFunc(pair, func);
  };

  const update = () => {
    const changes: SiteChange[] = [];
    const hooked: DynFtrace[] = [];
    for (const record of records) {
      const users = usersOf(record);
      record.flags = (record.flags & ~FTRACE_FL_REF_MASK) | users.length;
      if (users.length > 0) record.flags |= FTRACE_FL_TOUCHED;
      if (record.kind === "virtual") {
        if (users.length > 0) hooked.push(record);
        else if (virtualHooks.has(record.index)) {
          virtualHooks.get(record.index)![Symbol.dispose]();
          virtualHooks.delete(record.index);
        }
        continue;
      }
      const from = targets.get(record.index);
      const to = users.length > 0 ? targetFor(users) : undefined;
      if (from?.caller === to?.caller && from?.ops === to?.ops) continue;
      changes.push({ record, from, to });
      if (to) targets.set(record.index, to);
      else targets.delete(record.index);
    }
    // The recording ops needs no host while its callback is the built-in one.
    const recorder = registered.find(({ ops, flags }) =>
      ops.func === functionTraceCall && !ops.hit && (!(flags & FTRACE_OPS_FL_PID) || isTraced())
    );
    const recorderOps = recorder ? Number(area.ops(recorder.slot)) : 0;
    memory.hostView.setUint32(recording.recorder, recorderOps, true);
    const slot = slotFor(registered);
    if (registered.length > 1) publish(OPS_SLOT.list);
    patcher.update(changes, nopTarget);
    publish(slot);
    for (const record of hooked) {
      if (virtualHooks.has(record.index)) continue;
      const hook = hooks.add(Number(record.entry), (hart) => paths.enterVirtual(hart, record));
      virtualHooks.set(record.index, hook);
    }
  };

  const call: TracedCall = {
    hart: machine.harts[0]!,
    record: records[0]!,
    ip: 0n,
    parentIp: 0n,
    sp: 0,
    fregs: new FtraceRegs(memory, frame),
  };

  /** Runs one ops on the call at hand; a throw unregisters it. */
  const serve = (entry: RegisteredOps, epcAt: number) => {
    entry.calls++;
    calls++;
    const epc = memory.view.getUint32(epcAt, true);
    try {
      entry.call(call);
      if (
        (entry.flags & FTRACE_OPS_FL_IPMODIFY) === 0 && memory.view.getUint32(epcAt, true) !== epc
      ) {
        memory.view.setUint32(epcAt, epc, true);
        memory.view.setUint32(epcAt + 4, 0, true);
        throw new FtraceError(
          "EINVAL",
          "no-ipmodify",
          "it changed the instruction pointer without FTRACE_OPS_FL_IPMODIFY",
          "flags: ftrace.flags.IPMODIFY and a filter",
        );
      }
    } catch (error) {
      const where = `${call.record.name}, call ${entry.calls}`;
      options.report(
        `[${entry.ops.name ?? "ops"}] Cannot trace ${where}: ${
          describe(error)
        }; it is unregistered`,
      );
      if (registered.includes(entry)) remove(entry);
    }
  };

  const dispatch = (
    hart: Hart,
    record: DynFtrace,
    sp: number,
    at: number,
    layout: FrameLayout,
    slot: number,
  ) => {
    call.hart = hart;
    call.record = record;
    call.ip = record.ip;
    call.sp = sp;
    call.fregs.point(at, layout);
    call.parentIp = call.fregs.returnAddress;
    const { view } = memory;
    const returnsTo = view.getUint32(at + layout.ra, true);
    for (const entry of registered) {
      const wanted = slot === OPS_SLOT.list
        ? hashAllows(entry.hash, record.index)
        : entry.slot === slot;
      if (wanted && ((entry.flags & FTRACE_OPS_FL_PID) === 0 || isTraced())) {
        serve(entry, at + layout.epc);
      }
    }
    // An ops made the function return at once, and one behind it hooked the return: through there.
    if (view.getUint32(at + layout.epc, true) === returnsTo) {
      view.setUint32(at + layout.epc, view.getUint32(at + layout.ra, true), true);
    }
  };

  const paths = createCallPaths(
    machine,
    area,
    {
      entry(hart, ip, sp, at, layout, slot) {
        const record = byIp.get(ip);
        if (record) dispatch(hart, record, sp, at, layout, slot);
      },
      virtual: (hart, record, sp, at, layout) =>
        dispatch(hart, record, sp, at, layout, OPS_SLOT.list),
      leave: options.onReturn,
    },
    recording,
    options.guestTrampoline,
  );

  const add = (ops: FtraceOps, handler: (call: TracedCall) => void): FtraceRegistration => {
    const flags = checkFlags(ops, era, registered);
    const hash = ops.hash ?? createHash();
    if (!ops.hash) {
      if (ops.filter) updateSet(hash.filter, ops.filter, records);
      if (ops.notrace) updateSet(hash.notrace, ops.notrace, records);
    }
    checkIpModify(ops, flags, hash, registered, records);
    const slot = area.take(flags);
    const entry: RegisteredOps = { ops, hash, flags, slot, call: handler, calls: 0 };
    paths.serve(slot);
    ops.flags = flags | FTRACE_OPS_FL_ENABLED;
    registered = [entry, ...registered];
    update();
    return {
      ops,
      unregister() {
        if (registered.includes(entry)) remove(entry);
      },
      [Symbol.dispose]() {
        this.unregister();
      },
    };
  };

  const remove = (entry: RegisteredOps) => {
    registered = registered.filter((each) => each !== entry);
    entry.ops.flags = entry.flags & ~FTRACE_OPS_FL_ENABLED;
    update();
    area.free(entry.slot);
  };

  const find = (ops: FtraceOps): RegisteredOps => {
    const entry = registered.find((each) => each.ops === ops);
    if (entry) return entry;
    throw new FtraceError(
      "EBUSY",
      "not-enabled",
      `Cannot change ${ops.name ?? "the ops"}: it is not registered`,
    );
  };

  const commitHash = (hash: FtraceHash, which: "filter" | "notrace", next: HashHalf) => {
    const half = {
      ...hash,
      [which]: next.records,
      waiting: { ...hash.waiting, [which]: next.waiting },
    };
    for (const { ops, hash: used, flags } of registered) {
      if (used !== hash) continue;
      const others = registered.filter((each) => each.hash !== hash);
      checkIpModify(ops, flags, half, others, records);
    }
    const waiting = [...next.waiting];
    hash[which].clear();
    for (const index of next.records) hash[which].add(index);
    hash.waiting[which].splice(0, Infinity, ...waiting);
    update();
  };

  const functionTraceCall: FtraceFunc = () => options.recordFunction(call);

  return {
    records,
    globalHash,
    pids,
    hooks,
    area,
    patcher,
    returnToHandler: symbols.return_to_handler,
    functionTraceCall,
    get calls() {
      return calls + Number(memory.hostView.getBigUint64(recording.calls, true));
    },
    targetOf: (record) => targets.get(record.index) ?? nopTarget,
    opsOf: (record) => usersOf(record).map(({ ops }) => ops),
    register(ops) {
      const { func, hit } = ops;
      if (!func && !hit) {
        throw new TypeError("Cannot register the ops: it has neither func nor hit");
      }
      return add(ops, ({ record, ip, parentIp, fregs }) => {
        refusePromise(hit ? hit(record.index, fregs) : func!(ip, parentIp, ops, fregs));
      });
    },
    registerInternal: add,
    unregister: (ops) => remove(find(ops)),
    setHash(ops, which, patterns, how) {
      const { hash } = find(ops);
      const next = new Set(hash[which]);
      updateSet(next, patterns, records, how);
      commitHash(hash, which, { records: next, waiting: how?.reset ? [] : hash.waiting[which] });
    },
    commitHash,
    update,
  };
}

function wantsRegs(flags: number): boolean {
  return (flags & (FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_SAVE_REGS_IF_SUPPORTED)) !== 0;
}

/** The flags an ops is registered with. @throws {FtraceError} As `__register_ftrace_function`. */
function checkFlags(ops: FtraceOps, era: Era, registered: readonly RegisteredOps[]): number {
  const who = ops.name ?? "the ops";
  const flags = (ops.flags ?? 0) & ~FTRACE_OPS_FL_ENABLED;
  if (flags & FTRACE_OPS_FL_DELETED) {
    throw new FtraceError("EINVAL", "deleted", `Cannot register ${who}: it is being deleted`);
  }
  if (registered.some((each) => each.ops === ops)) {
    throw new FtraceError("EBUSY", "already-enabled", `Cannot register ${who}: it is registered`);
  }
  const tolerant = (flags & FTRACE_OPS_FL_SAVE_REGS_IF_SUPPORTED) !== 0;
  if ((flags & FTRACE_OPS_FL_SAVE_REGS) !== 0 && !tolerant && !era.savesRegs) {
    throw new FtraceError(
      "EINVAL",
      "no-regs",
      `Cannot register ${who} with SAVE_REGS: era ${era.name} saves arguments, not full pt_regs`,
      "fregs.argument(n), SAVE_REGS_IF_SUPPORTED or --era regs",
    );
  }
  return flags;
}

/** @throws {FtraceError} EINVAL without a filter, EBUSY if another ops owns a site's ip. */
function checkIpModify(
  ops: FtraceOps,
  flags: number,
  hash: FtraceHash,
  registered: readonly RegisteredOps[],
  records: readonly DynFtrace[],
): void {
  if ((flags & FTRACE_OPS_FL_IPMODIFY) === 0) return;
  const who = ops.name ?? "the ops";
  if (isEmptyHash(hash, "filter")) {
    throw new FtraceError(
      "EINVAL",
      "empty-filter",
      `Cannot let ${who} modify the ip of every function`,
      "a filter that names the functions",
    );
  }
  const owners = registered.filter((each) => (each.flags & FTRACE_OPS_FL_IPMODIFY) !== 0);
  for (const index of hash.filter) {
    const owner = owners.find((each) => hashAllows(each.hash, index));
    if (!owner) continue;
    throw new FtraceError(
      "EBUSY",
      "already-ipmodify",
      `Cannot take the ip of ${records[index]!.name}: ${owner.ops.name ?? "another ops"} has it`,
      "one IPMODIFY ops for both",
    );
  }
}
