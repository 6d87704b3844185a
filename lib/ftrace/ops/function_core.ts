/**
 * The function tracers' core: which ops are registered, what they trace, and sites that follow.
 *
 * An update goes in the kernel's order (`ftrace_modify_all_code`): where the callback changes, the
 * list is installed first, then sites are switched, then the ops and the final function are
 * published, so that a hart in between finds something harmless at every moment. A site that is not
 * what its record says ends tracing for good (`ftrace_bug`, `ftrace_disabled`).
 *
 * What is demanded of an ops is `ops_rules.ts`; how a call reaches it is `call_paths.ts` and
 * `ops_dispatch.ts`; the words of sites are `lib/patcher`; the tracer's view of all this is
 * `ftrace.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { Machine } from "../../machine/machine.ts";
import type { SiteSource } from "../../program/sites.ts";
import {
  type DynFtrace,
  FTRACE_FL_CALL_OPS,
  FTRACE_FL_CALL_OPS_EN,
  FTRACE_FL_DIRECT,
  FTRACE_FL_DIRECT_EN,
  FTRACE_FL_ENABLED,
  FTRACE_FL_IPMODIFY,
  FTRACE_FL_MODIFIED,
  FTRACE_FL_REF_MASK,
  FTRACE_FL_REGS,
  FTRACE_FL_REGS_EN,
  FTRACE_FL_TOUCHED,
} from "../../patcher/dyn_ftrace.ts";
import { FtraceBug, Patcher, type SiteChange } from "../../patcher/patcher.ts";
import type { Target } from "../../patcher/scheme.ts";
import type { FtraceRegs } from "../../trampoline/ftrace_regs.ts";
import type { Poison } from "../../trampoline/poison.ts";
import { createCallPaths, type TracedCall } from "./call_paths.ts";
import { refusePromise } from "../callbacks.ts";
import type { Era } from "../era.ts";
import { createHash, type FtraceHash, hashAllows, resolveWaiting, updateSet } from "./filter.ts";
import type { HashHalf } from "./filter_files.ts";
import { ftraceBugReport } from "./ftrace_bug.ts";
import { FtraceError } from "../ftrace_error.ts";
import {
  FTRACE_OPS_FL_ADDING,
  FTRACE_OPS_FL_DIRECT,
  FTRACE_OPS_FL_ENABLED,
  FTRACE_OPS_FL_IPMODIFY,
  FTRACE_OPS_FL_MODIFYING,
  FTRACE_OPS_FL_PERMANENT,
  FTRACE_OPS_FL_PID,
  FTRACE_OPS_FL_REMOVING,
  type FtraceFunc,
  type FtraceOps,
  type FtraceRegistration,
} from "./ftrace_ops.ts";
import { createHookTable, type HookTable } from "./hook_table.ts";
import { createOpsDispatch, type RegisteredOps } from "./ops_dispatch.ts";
import { createListPlacer } from "./ops_list.ts";
import {
  checkFlags,
  checkIpModify,
  dispatchOf,
  freezeFlags,
  restoreFlags,
  wantsRegs,
} from "./ops_rules.ts";
import { createPidFilter, hasPidFilter, pidAllows, type PidFilter } from "./pid_filter.ts";
import { createModuleRecords, createRecords, type RecordOptions } from "./records.ts";
import type { RecordingState } from "./recording_thunk.ts";
import type { Recursion } from "./recursion.ts";
import type { RingBuffer } from "../trace/ring_buffer.ts";
import { createTracingArea, type Dispatch, OPS_SLOT, type TracingArea } from "./tracing_area.ts";

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

/** See the module. */
export interface FunctionCore {
  /** Everything that can be traced; index = `DynFtrace.index`. */
  readonly records: readonly DynFtrace[];
  /** `set_ftrace_filter` and `set_ftrace_notrace`. */
  readonly globalHash: FtraceHash;
  /** `set_ftrace_pid` and `set_ftrace_notrace_pid`; call {@linkcode FunctionCore.update} after a change. */
  readonly pids: PidFilter;
  /** `kernel.ftrace_enabled`: while false every site is off, and registrations stay. */
  readonly enabled: boolean;
  /** `ftrace_disabled`: a site was not what its record said; everything gives ENODEV from then on. */
  readonly disabled: boolean;
  /** Calls dropped because a callback ran traced code. */
  readonly recursion: Recursion;
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
  /** The call whose tracers run now, until they are done. */
  readonly current: TracedCall | undefined;
  /** What is switched where, for a record: the trampoline and the ops its literal names. */
  targetOf(record: DynFtrace): Target;
  /** The ops that trace a record now, newest first. */
  opsOf(record: DynFtrace): readonly FtraceOps[];
  /** `register_ftrace_function`. */
  register(ops: FtraceOps): FtraceRegistration;
  /** The same with what the core keeps of each. */
  usesOf(record: DynFtrace): readonly RegisteredOps[];
  /** The record of a site, by its ip or its function's entry. */
  recordAt(address: bigint): DynFtrace | undefined;
  /** Registers an ops of our own, whose handler gets the whole call. */
  registerInternal(
    ops: FtraceOps,
    handler: (call: TracedCall) => void,
    directCall?: bigint,
  ): FtraceRegistration;
  /** Changes where the sites of a direct call lead. @throws {FtraceError} EBUSY if it is not registered. */
  redirect(ops: FtraceOps, directCall: bigint): void;
  /** Writes `kernel.ftrace_enabled`. @throws {FtraceError} EBUSY with a PERMANENT ops, ENODEV. */
  setEnabled(enabled: boolean): void;
  /** `unregister_ftrace_function`. @throws {FtraceError} EBUSY if it is not registered. */
  unregister(ops: FtraceOps): void;
  /** `ftrace_set_filter`, `ftrace_set_notrace`. */
  setHash(
    ops: FtraceOps,
    which: "filter" | "notrace",
    patterns: readonly string[],
    how?: { readonly reset?: boolean },
  ): void;
  /**
   * `ftrace_set_filter_ip`: adds a site to the filter, or removes it, by its ip or its entry.
   *
   * @throws {FtraceError} ENOENT if there is no site.
   */
  setFilterIp(
    ops: FtraceOps,
    address: bigint,
    how?: { readonly remove?: boolean; readonly reset?: boolean },
  ): void;
  /** Replaces half of a hash, and makes sites follow. @throws {FtraceError} EBUSY, EINVAL: nothing has changed. */
  commitHash(hash: FtraceHash, which: "filter" | "notrace", next: HashHalf): void;
  /**
   * Takes in the functions of a module (an object that was loaded later): they are in every list
   * from now on, and filters that waited for them have them.
   */
  addModule(module: string, sites: readonly SiteSource[]): void;
  /** Whether the running task passes the pid filter. */
  isTraced(): boolean;
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
  const recordOptions: RecordOptions = {
    strict: options.strict,
    virtual: options.virtual,
    caller: symbols.ftrace_caller,
  };
  const records = createRecords(machine, era, recordOptions);
  const byIp = new Map<number, DynFtrace>(records.map((record) => [Number(record.ip), record]));
  const globalHash = createHash();
  const pids = createPidFilter();
  const hooks = createHookTable(machine.engine);
  const patcher = new Patcher(
    {
      read: (address, length) => machine.space.peek(address, length)!,
      write: (address, bytes) => void machine.space.poke(address, bytes),
      park: (inside) => machine.park(inside),
      localFenceI: () => machine.fenceI(),
      remoteFenceI: () => machine.fenceI(),
    },
    era.scheme,
    records,
  );
  /** Newest first, as the kernel's list is. */
  let registered: readonly RegisteredOps[] = [];
  let enabled = true;
  const cells = memory.heap.allocate(16 + 4 * machine.harts.length);
  const recording: RecordingState = {
    recorder: cells,
    shared: cells + 4,
    calls: cells + 8,
    controls: cells + 16,
    pid: machine.pid,
  };
  for (const { id } of machine.harts) {
    memory.hostView.setUint32(recording.controls + 4 * id, options.buffer.controlOf(id), true);
  }
  const virtualHooks = new Map<number, Disposable>();
  const targets = new Map<number, Target>();

  const nopTarget: Target = { caller: symbols.ftrace_caller, ops: area.ops(OPS_SLOT.nop) };
  for (const record of records) patcher.ftraceInitNop(record, nopTarget);
  const pairs = [symbols.ftrace_call, symbols.ftrace_regs_call].filter((pair) =>
    pair !== undefined
  );
  for (const pair of pairs) patcher.addPair(pair);
  machine.fenceI();

  const isTraced = () => !hasPidFilter(pids) || pidAllows(pids, machine.pid);
  /** Whether the pid filter lets everything through that runs here, so that nobody need be asked. */
  const everyTask = () => !hasPidFilter(pids) || machine.harts.length === 1 && isTraced();
  const dispatch = createOpsDispatch(machine, frame, records[0]!, {
    recordAt: (ip) => byIp.get(ip),
    isTraced,
    report: options.report,
    remove(entry) {
      if (registered.includes(entry)) remove(entry);
    },
  });
  const refuseIfDisabled = () => {
    if (!dispatch.dead) return;
    throw new FtraceError(
      "ENODEV",
      "ftrace-disabled",
      "Cannot trace any more: ftrace shut itself down after the bug it reported",
      "a new machine",
    );
  };

  const usesOf = (record: DynFtrace) =>
    record.kind === "disabled"
      ? []
      : registered.filter(({ hash }) => hashAllows(hash, record.index));

  /** Whom the literal of a site names: its one ops, the list of all, or nobody. */
  const slotFor = (users: readonly RegisteredOps[]): number => {
    if (users.length === 0) return OPS_SLOT.nop;
    const [only] = users;
    const alone = users.length === 1 && dispatchOf(only!.flags, era.opsLiteral) === "direct";
    return alone ? only!.slot : OPS_SLOT.list;
  };
  const targetFor = (users: readonly RegisteredOps[]): Target => {
    const [only] = users;
    const direct = users.length === 1 ? only!.directCall : 0n;
    if (direct !== 0n && !era.opsLiteral) return { caller: direct, ops: area.ops(OPS_SLOT.list) };
    const { ftrace_caller, ftrace_regs_caller } = symbols;
    return {
      caller: ftrace_regs_caller !== undefined && users.some(({ flags }) => wantsRegs(flags))
        ? ftrace_regs_caller
        : ftrace_caller,
      ops: area.ops(era.opsLiteral ? slotFor(users) : OPS_SLOT.list),
    };
  };
  /** What a record is wanted for, in its flags. */
  const wantedFlags = (users: readonly RegisteredOps[]): number => {
    let flags = users.length;
    if (users.length > 0) flags |= FTRACE_FL_TOUCHED;
    for (const { flags: ops } of users) {
      if (era.savesRegs && wantsRegs(ops)) flags |= FTRACE_FL_REGS;
      if (ops & FTRACE_OPS_FL_IPMODIFY) flags |= FTRACE_FL_IPMODIFY | FTRACE_FL_MODIFIED;
      if (ops & FTRACE_OPS_FL_DIRECT) flags |= FTRACE_FL_DIRECT | FTRACE_FL_MODIFIED;
    }
    const named = era.opsLiteral && users.length > 0 && slotFor(users) !== OPS_SLOT.list;
    return named ? flags | FTRACE_FL_CALL_OPS : flags;
  };

  /** Points the trampoline itself at whom it calls, where that is not said by each site. */
  const publish = (slot: number, by: Dispatch) => {
    area.shared = slot;
    area.sharedBy = by;
    const recordable = by === "direct" ? area.ops(slot) : area.ops(OPS_SLOT.list);
    memory.hostView.setUint32(recording.shared, Number(recordable), true);
    if (era.opsLiteral) return;
    const { function_trace_op, ftrace_call_dest } = area.trampolines.data;
    const func = slot === OPS_SLOT.nop
      ? symbols.ftrace_stub
      : by === "list"
      ? symbols.ftrace_ops_list_func
      : by === "assist"
      ? symbols.ftrace_ops_assist_func
      : area.stub(slot);
    if (function_trace_op !== undefined) area.writeWord(function_trace_op, area.ops(slot));
    if (ftrace_call_dest !== undefined) area.writeWord(ftrace_call_dest, func);
    for (const pair of pairs) patcher.ftraceUpdateFtraceFunc(pair, func);
  };
  const placeList = createListPlacer(area, records);
  const destination = (): { readonly slot: number; readonly by: Dispatch } => {
    const [only] = registered;
    if (!enabled || !only) return { slot: OPS_SLOT.nop, by: "direct" };
    const by = registered.length > 1 ? "list" : dispatchOf(only.flags, false);
    return { slot: by === "list" ? OPS_SLOT.list : only.slot, by };
  };

  const patch = (changes: readonly SiteChange[]) => {
    try {
      patcher.update(changes, nopTarget);
    } catch (error) {
      if (!(error instanceof FtraceBug)) throw error;
      dispatch.dead = true;
      enabled = false;
      memory.hostView.setUint32(recording.recorder, 0, true);
      const record = byIp.get(Number(error.ip))!;
      const change = changes.find((each) => each.record === record);
      for (const line of ftraceBugReport(machine.symbols, record, error, change)) {
        options.report(line);
      }
      refuseIfDisabled();
    }
  };

  const update = () => {
    if (dispatch.dead) return;
    const changes: SiteChange[] = [];
    const hooked: DynFtrace[] = [];
    let lists = false;
    for (const record of records) {
      const users = usesOf(record);
      const kept = ~(FTRACE_FL_REF_MASK | WANTED);
      record.flags = (record.flags & kept) | wantedFlags(users);
      const active = enabled ? users : [];
      if (record.kind === "virtual") {
        if (active.length > 0) hooked.push(record);
        else if (virtualHooks.has(record.index)) {
          virtualHooks.get(record.index)![Symbol.dispose]();
          virtualHooks.delete(record.index);
          record.flags &= ~FTRACE_FL_ENABLED;
        }
        continue;
      }
      const from = targets.get(record.index);
      const to = active.length > 0 ? targetFor(active) : undefined;
      lists ||= era.opsLiteral && to?.ops === area.ops(OPS_SLOT.list);
      // Without a literal a site does not say which ops it calls, so there is nothing to modify.
      const isSameOps = !era.opsLiteral || from?.ops === to?.ops;
      if (from?.caller === to?.caller && isSameOps) continue;
      changes.push({ record, from, to });
    }
    // The recording ops needs no host while its callback is the built-in one.
    const recorder = registered.find(({ ops, flags }) =>
      ops.func === functionTraceCall && !ops.hit && (!(flags & FTRACE_OPS_FL_PID) || everyTask())
    );
    const final = destination();
    dispatch.head = registered[0];
    placeList(registered, lists || !era.opsLiteral && final.by === "list");
    const recorderOps = recorder ? Number(area.ops(recorder.slot)) : 0;
    memory.hostView.setUint32(recording.recorder, recorderOps, true);
    const isSame = area.shared === final.slot && area.sharedBy === final.by;
    if (!isSame && registered.length > 0) publish(OPS_SLOT.list, "list");
    patch(changes);
    if (!isSame) publish(final.slot, final.by);
    for (const { record, to } of changes) {
      if (to) targets.set(record.index, to);
      else targets.delete(record.index);
      record.flags = (record.flags & ~IN_FORCE) | (to ? inForce(record, to) : 0);
    }
    for (const record of hooked) {
      record.flags |= FTRACE_FL_ENABLED;
      if (virtualHooks.has(record.index)) continue;
      const hook = hooks.add(Number(record.entry), (hart) => paths.enterVirtual(hart, record));
      virtualHooks.set(record.index, hook);
    }
  };
  const inForce = ({ flags }: DynFtrace, { caller, ops }: Target): number => {
    const straight = flags & FTRACE_FL_DIRECT && (flags & FTRACE_FL_REF_MASK) === 1;
    return (caller === symbols.ftrace_regs_caller ? FTRACE_FL_REGS_EN : 0) |
      (straight ? FTRACE_FL_DIRECT_EN : 0) |
      (era.opsLiteral && ops !== area.ops(OPS_SLOT.list) ? FTRACE_FL_CALL_OPS_EN : 0);
  };

  const paths = createCallPaths(
    machine,
    area,
    {
      enter: dispatch.enter,
      stub: dispatch.stub,
      virtual: dispatch.virtual,
      recursion: dispatch.recursion,
      leave: options.onReturn,
    },
    recording,
    options.guestTrampoline,
  );

  const add = (
    ops: FtraceOps,
    handler: (call: TracedCall) => void,
    isStatic: boolean,
    directCall = 0n,
  ): FtraceRegistration => {
    refuseIfDisabled();
    const given = ops.flags;
    const flags = checkFlags(ops, { era, enabled, isStatic });
    const hash = ops.hash ?? createHash();
    if (!ops.hash) {
      if (ops.filter) updateSet(hash.filter, ops.filter, records);
      if (ops.notrace) updateSet(hash.notrace, ops.notrace, records);
    }
    checkIpModify({ ops, flags, hash }, registered, records);
    const slot = area.take(flags, directCall);
    const entry: RegisteredOps = {
      ops,
      hash,
      flags,
      slot,
      directCall,
      call: handler,
      calls: 0,
      next: undefined,
      tables: { filter: undefined, notrace: undefined },
    };
    paths.serve(slot);
    dispatch.bySlot[slot] = entry;
    registered = [entry, ...registered];
    try {
      holding(entry, FTRACE_OPS_FL_ADDING, update);
    } catch (error) {
      registered = registered.filter((each) => each !== entry);
      release(entry, given);
      update();
      throw error;
    }
    freezeFlags(ops, flags | FTRACE_OPS_FL_ENABLED);
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

  const release = (entry: RegisteredOps, flags: number | undefined) => {
    restoreFlags(entry.ops, flags);
    dispatch.bySlot[entry.slot] = undefined;
    area.free(entry.slot);
  };
  const remove = (entry: RegisteredOps) => {
    registered = registered.filter((each) => each !== entry);
    try {
      holding(entry, FTRACE_OPS_FL_REMOVING, update);
    } finally {
      release(entry, entry.flags);
    }
  };
  /** Runs `body` with a passing flag on an ops, for who looks at it meanwhile. */
  const holding = (entry: RegisteredOps, flag: number, body: () => void) => {
    freezeFlags(entry.ops, entry.flags | FTRACE_OPS_FL_ENABLED | flag);
    body();
    freezeFlags(entry.ops, entry.flags | FTRACE_OPS_FL_ENABLED);
  };

  const find = (ops: FtraceOps): RegisteredOps => {
    refuseIfDisabled();
    const entry = registered.find((each) => each.ops === ops);
    if (entry) return entry;
    throw new FtraceError(
      "EBUSY",
      "not-enabled",
      `Cannot change ${ops.name ?? "the ops"}: it is not registered`,
    );
  };

  const commitHash = (hash: FtraceHash, which: "filter" | "notrace", next: HashHalf) => {
    refuseIfDisabled();
    const half: FtraceHash = {
      ...hash,
      [which]: next.records,
      waiting: { ...hash.waiting, [which]: next.waiting },
    };
    const users = registered.filter((each) => each.hash === hash);
    for (const { ops, flags } of users) {
      const others = registered.filter((each) => each.hash !== hash);
      checkIpModify({ ops, flags, hash: half }, others, records);
    }
    const waiting = [...next.waiting];
    hash[which].clear();
    for (const index of next.records) hash[which].add(index);
    hash.waiting[which].splice(0, Infinity, ...waiting);
    const [first] = users;
    if (first) holding(first, FTRACE_OPS_FL_MODIFYING, update);
    else update();
  };

  const functionTraceCall: FtraceFunc = () => options.recordFunction(dispatch.call);

  return {
    records,
    globalHash,
    pids,
    hooks,
    area,
    patcher,
    recursion: dispatch.recursion,
    returnToHandler: symbols.return_to_handler,
    get current() {
      return dispatch.current;
    },
    functionTraceCall,
    get enabled() {
      return enabled;
    },
    get disabled() {
      return dispatch.dead;
    },
    get calls() {
      return dispatch.calls + Number(memory.hostView.getBigUint64(recording.calls, true));
    },
    targetOf: (record) => targets.get(record.index) ?? nopTarget,
    opsOf: (record) => usesOf(record).map(({ ops }) => ops),
    usesOf,
    recordAt(address) {
      return byIp.get(Number(address)) ?? byIp.get(Number(era.scheme.ip(address)));
    },
    register(ops) {
      const { func, hit } = ops;
      if (!func && !hit) {
        throw new TypeError("Cannot register the ops: it has neither func nor hit");
      }
      return add(ops, ({ record, ip, parentIp, fregs }) => {
        refusePromise(hit ? hit(record.index, fregs) : func!(ip, parentIp, ops, fregs));
      }, func === functionTraceCall && !hit);
    },
    registerInternal: (ops, handler, directCall) => add(ops, handler, true, directCall),
    unregister: (ops) => remove(find(ops)),
    redirect(ops, directCall) {
      const entry = find(ops);
      entry.directCall = directCall;
      area.setDirectCall(entry.slot, directCall);
      update();
    },
    setEnabled(wanted) {
      refuseIfDisabled();
      const permanent = registered.find(({ flags }) => flags & FTRACE_OPS_FL_PERMANENT);
      if (!wanted && permanent) {
        throw new FtraceError(
          "EBUSY",
          "permanent",
          `Cannot set ftrace_enabled to 0: ${permanent.ops.name ?? "an ops"} is PERMANENT`,
          "unregistering it first",
        );
      }
      enabled = wanted;
      update();
    },
    setHash(ops, which, patterns, how) {
      const { hash } = find(ops);
      const next = new Set(hash[which]);
      updateSet(next, patterns, records, how);
      commitHash(hash, which, { records: next, waiting: how?.reset ? [] : hash.waiting[which] });
    },
    setFilterIp(ops, address, { remove: take = false, reset = false } = {}) {
      const { hash } = find(ops);
      const record = this.recordAt(address);
      if (!record || record.kind === "disabled") {
        throw new FtraceError(
          "ENOENT",
          "no-site",
          `Cannot filter by 0x${address.toString(16)}: it is no ftrace location`,
          "the address of a function that is in available_filter_functions",
        );
      }
      const next = new Set(reset ? [] : hash.filter);
      if (take) next.delete(record.index);
      else next.add(record.index);
      commitHash(hash, "filter", { records: next, waiting: reset ? [] : hash.waiting.filter });
    },
    commitHash,
    isTraced,
    addModule(module, sites) {
      refuseIfDisabled();
      for (const record of createModuleRecords(module, sites, records.length, era, recordOptions)) {
        records.push(record);
        byIp.set(Number(record.ip), record);
        patcher.addSite(record);
        patcher.ftraceInitNop(record, nopTarget);
      }
      machine.fenceI();
      const added = records.slice(records.length - sites.length);
      for (const hash of new Set([globalHash, ...registered.map((each) => each.hash)])) {
        resolveWaiting(hash, module, added);
      }
      update();
    },
    update,
  };
}

/** Flags of a record that say what is wanted of it, made anew at each update. */
const WANTED = FTRACE_FL_REGS | FTRACE_FL_IPMODIFY | FTRACE_FL_DIRECT | FTRACE_FL_CALL_OPS;
/** Those that say how its site is switched, besides ENABLED. */
const IN_FORCE = FTRACE_FL_REGS_EN | FTRACE_FL_DIRECT_EN | FTRACE_FL_CALL_OPS_EN;
