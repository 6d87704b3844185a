/**
 * The function tracers' core: which ops are registered, what they trace, and sites that follow.
 *
 * An update goes in the kernel's order (`ftrace_modify_all_code`): where the callback changes, the
 * list is installed first, then sites are switched, then the ops and the final function are
 * published, so that a hart in between finds something harmless at every moment. A site that is not
 * what its record says ends tracing for good (`ftrace_bug`, `ftrace_disabled`).
 *
 * Who is registered is `ops_registry.ts`; who traces a record, `record_users.ts`; what its site calls,
 * `site_target.ts` and `site_updater.ts`; whom the trampoline calls, `shared_target.ts`; how a call
 * reaches an ops, `call_paths.ts` and `ops_dispatch.ts`; the words of sites, `lib/patcher`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { Machine } from "../../machine/machine.ts";
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import { FtraceBug, Patcher, type SiteChange } from "../../patcher/patcher.ts";
import type { Target } from "../../patcher/scheme.ts";
import type { SiteSource } from "../../program/sites.ts";
import type { FtraceRegs } from "../../trampoline/ftrace_regs.ts";
import { refusePromise } from "../callbacks.ts";
import type { Era } from "../era.ts";
import { FtraceError } from "../ftrace_error.ts";
import type { RingBuffer } from "../trace/ring_buffer.ts";
import { CallPaths, type LeaveHandler } from "./call_paths.ts";
import { FastPath } from "./fast_path.ts";
import type { ServedCall, TracedCall } from "./served_call.ts";
import {
  createHash,
  type FilterChange,
  type FtraceHash,
  noLocation,
  replaceSet,
  resolveWaiting,
  updateSet,
} from "./filter.ts";
import type { HashHalf } from "./filter_files.ts";
import { ftraceBugReport } from "./ftrace_bug.ts";
import {
  type AnyFtraceOps,
  FTRACE_OPS_FL_ADDING,
  FTRACE_OPS_FL_MODIFYING,
  FTRACE_OPS_FL_PID,
  FTRACE_OPS_FL_REMOVING,
  type FtraceFunc,
  type FtraceOps,
  type FtraceRegistration,
} from "./ftrace_ops.ts";
import { MachineText } from "./machine_text.ts";
import { createHookTable, type HookTable } from "./hook_table.ts";
import { OpsDispatch, type RegisteredOps } from "./ops_dispatch.ts";
import { createListPlacer, type PlaceList } from "./ops_list.ts";
import { OpsRegistry } from "./ops_registry.ts";
import { dispatchOf } from "./ops_rules.ts";
import { createPidFilter, hasPidFilter, pidAllows, type PidFilter } from "./pid_filter.ts";
import type { RecordTable } from "./record_table.ts";
import { RecordUsers } from "./record_users.ts";
import type { Recursion } from "./recursion.ts";
import { type SharedDestination, SharedTarget } from "./shared_target.ts";
import { SiteTargets } from "./site_target.ts";
import { SiteUpdater } from "./site_updater.ts";
import { OPS_SLOT, type TracingArea } from "./tracing_area.ts";

/** What {@linkcode FunctionCore} stands on; all of it is there before. */
export interface FunctionCoreParts {
  /** The machine whose sites are switched. */
  readonly machine: Machine;
  /** Which kernel's rules and trampolines hold. */
  readonly era: Era;
  /** Trampolines, stubs and structs in the tracing range. */
  readonly area: TracingArea;
  /** The records of everything that can be traced. */
  readonly table: RecordTable;
  /** The call that tracers are served with. */
  readonly served: ServedCall;
  /** Where the function tracer's events go. */
  readonly buffer: RingBuffer;
  /** Records one call, as the function tracer's callback does. */
  readonly recordFunction: (call: TracedCall) => void;
  /** A hart came back to `return_to_handler`. */
  readonly leave: LeaveHandler;
  /** Harts execute the real trampolines. */
  readonly guestTrampoline: boolean;
  /** Takes a line about something wrong. */
  readonly report: (line: string) => void;
}

/** Which ops are registered on one machine, and its sites. */
export class FunctionCore {
  /** `set_ftrace_filter` and `set_ftrace_notrace`. */
  readonly globalHash: FtraceHash = createHash();
  /** `set_ftrace_pid` and `set_ftrace_notrace_pid`; call {@linkcode FunctionCore.update} after a change. */
  readonly pids: PidFilter = createPidFilter();
  /** Hooks of the engine, shared. */
  readonly hooks: HookTable;
  /** Trampolines, stubs and structs in the tracing range. */
  readonly area: TracingArea;
  /** What has been written and fenced. */
  readonly patcher: Patcher;
  readonly #text: MachineText;
  /** Records a function event. */
  readonly functionTraceCall: FtraceFunc;
  readonly #machine: Machine;
  readonly #era: Era;
  readonly #report: (line: string) => void;
  readonly #table: RecordTable;
  readonly #users: RecordUsers;
  readonly #targets: SiteTargets;
  readonly #sites: SiteUpdater;
  readonly #shared: SharedTarget;
  readonly #dispatch: OpsDispatch;
  readonly #registry: OpsRegistry;
  readonly #served: ServedCall;
  readonly #paths: CallPaths;
  readonly #placeList: PlaceList;
  #enabled = true;

  /** Gives sites their initial words, and leads harts at trampolines to the ops that will come. */
  constructor(parts: FunctionCoreParts) {
    const { machine, era, area, table, served } = parts;
    const { records } = table;
    this.#machine = machine;
    this.#era = era;
    this.#report = parts.report;
    this.area = area;
    this.#table = table;
    this.#served = served;
    this.hooks = createHookTable(machine.engine);
    this.#text = new MachineText(machine);
    this.patcher = new Patcher(this.#text, era.scheme, records);
    this.#targets = new SiteTargets(era, area);
    for (const record of records) this.patcher.ftraceInitNop(record, this.#targets.nop);
    this.#shared = new SharedTarget(machine, area, this.patcher, parts.buffer);
    machine.fenceI();
    this.#users = new RecordUsers(records);
    this.#placeList = createListPlacer(area, records);
    this.#dispatch = new OpsDispatch(machine, area.trampolines.frame, served, {
      recordAt: (ip) => table.byIp(ip),
      isTraced: () => this.isTraced(),
      report: parts.report,
      remove: (entry) => this.#removeIfThere(entry),
    });
    const dispatch = this.#dispatch;
    this.#registry = new OpsRegistry({ era, area, dispatch, records: () => this.records });
    const paths = this.#paths = new CallPaths(machine, area, this.#dispatch, parts.leave);
    if (!parts.guestTrampoline) {
      new FastPath(machine, area, this.#dispatch, parts.leave).hook(this.#shared.recording);
    }
    this.#sites = new SiteUpdater({
      users: this.#users,
      targets: this.#targets,
      hooks: this.hooks,
      enterVirtual: (hart, record) => paths.enterVirtual(hart, record),
    });
    this.functionTraceCall = () => parts.recordFunction(served.call);
  }

  /** Everything that can be traced; index = `DynFtrace.index`. */
  get records(): readonly DynFtrace[] {
    return this.#table.records;
  }

  /** `kernel.ftrace_enabled`: while false every site is off, and registrations stay. */
  get enabled(): boolean {
    return this.#enabled;
  }

  /** `ftrace_disabled`: a site was not what its record said; everything gives ENODEV from then on. */
  get disabled(): boolean {
    return this.#dispatch.dead;
  }

  /** Calls dropped because a callback ran traced code. */
  get recursion(): Recursion {
    return this.#dispatch.recursion;
  }

  /** Address of `return_to_handler`. */
  get returnToHandler(): bigint {
    return this.area.trampolines.symbols.return_to_handler;
  }

  /** Calls that reached an ops so far. */
  get calls(): number {
    return this.#dispatch.calls + this.#shared.recordedCalls;
  }

  /** The call whose tracers run now, until they are done. */
  get current(): TracedCall | undefined {
    return this.#served.entry;
  }

  /** Records that updates have looked at so far: what they cost, whatever the machine they run on. */
  get visitedRecords(): number {
    return this.#sites.visited;
  }

  /** What is switched where, for a record: the trampoline and the ops its literal names. */
  targetOf(record: DynFtrace): Target {
    return this.#sites.targetOf(record);
  }

  /** The ops that trace a record, newest first. */
  opsOf(record: DynFtrace): readonly AnyFtraceOps[] {
    return this.usesOf(record).map(({ ops }) => ops);
  }

  /** The registered ops that trace a record with what the core keeps of each, newest first. */
  usesOf(record: DynFtrace): readonly RegisteredOps[] {
    return this.#users.of(record);
  }

  /** The record of a site, by its ip or its function's entry. */
  recordAt(address: bigint): DynFtrace | undefined {
    return this.#table.at(address);
  }

  /** Lends `use` a hart's registers between two instructions; it changes a0 and a1 if `isReturn`. */
  showRegisters(hart: Hart, use: (fregs: FtraceRegs) => void, isReturn: boolean): void {
    this.#paths.showRegisters(hart, use, isReturn);
  }

  /** Whether the running task passes the pid filter. */
  isTraced(): boolean {
    return !hasPidFilter(this.pids) || pidAllows(this.pids, this.#machine.pid);
  }

  /**
   * `register_ftrace_function`. The ops is not written to, and may be registered on other machines.
   *
   * @throws {FtraceError} As the kernel; nothing is registered then.
   * @throws {TypeError} If it has no callback, or both kinds.
   */
  register(ops: FtraceOps): FtraceRegistration {
    const { func, hit } = ops;
    if (!func && !hit) {
      throw new TypeError("Cannot register the ops: it has neither func nor hit");
    }
    if (func && hit) throw new TypeError("Cannot register the ops: it has both func and hit");
    const isStatic = func === this.functionTraceCall;
    return this.#add(ops, isStatic, ({ record, ip, parentIp, fregs }) => {
      refusePromise(hit ? hit(record.index, fregs) : func!(ip, parentIp, ops, fregs));
    });
  }

  /** Registers an ops of our own, whose handler gets the whole call. */
  registerInternal(
    ops: AnyFtraceOps,
    handler: (call: TracedCall) => void,
    directCall?: bigint,
  ): FtraceRegistration {
    return this.#add(ops, true, handler, directCall);
  }

  /** `unregister_ftrace_function`. @throws {FtraceError} EBUSY if it is not registered. */
  unregister(ops: AnyFtraceOps): void {
    this.#remove(this.#find(ops));
  }

  /** Changes where the sites of a direct call lead. @throws {FtraceError} EBUSY if it is not registered. */
  redirect(ops: AnyFtraceOps, directCall: bigint): void {
    const entry = this.#find(ops);
    entry.directCall = directCall;
    this.area.setDirectCall(entry.slot, directCall);
    this.#users.changed(entry);
    this.update();
  }

  /** Writes `kernel.ftrace_enabled`. @throws {FtraceError} EBUSY with a PERMANENT ops, ENODEV. */
  setEnabled(enabled: boolean): void {
    this.#refuseIfDisabled();
    const { permanent } = this.#registry;
    if (!enabled && permanent) {
      throw new FtraceError(
        "EBUSY",
        "permanent",
        `Cannot set ftrace_enabled to 0: ${permanent.ops.name ?? "an ops"} is PERMANENT`,
        "unregistering it first",
      );
    }
    this.#enabled = enabled;
    this.#users.everyUserChanged();
    this.update();
  }

  /** `ftrace_set_filter`, `ftrace_set_notrace`. */
  setHash(
    ops: AnyFtraceOps,
    which: "filter" | "notrace",
    patterns: readonly string[],
    how?: FilterChange,
  ): void {
    const { hash } = this.#find(ops);
    const next = new Set(hash[which]);
    updateSet(next, patterns, this.records, how);
    const waiting = how?.reset ? [] : hash.waiting[which];
    this.commitHash(hash, which, { records: next, waiting });
  }

  /**
   * `ftrace_set_filter_ip`: adds a site to the filter, or removes it, by its ip or its entry.
   *
   * @throws {FtraceError} ENOENT if there is no site.
   */
  setFilterIp(
    ops: AnyFtraceOps,
    address: bigint,
    { remove = false, reset = false }: FilterChange & { readonly remove?: boolean } = {},
  ): void {
    const { hash } = this.#find(ops);
    const record = this.recordAt(address);
    if (!record || record.kind === "disabled") throw noLocation(address);
    const next = new Set(reset ? [] : hash.filter);
    if (remove) next.delete(record.index);
    else next.add(record.index);
    this.commitHash(hash, "filter", { records: next, waiting: reset ? [] : hash.waiting.filter });
  }

  /** Replaces half of a hash, and makes sites follow. @throws {FtraceError} EBUSY, EINVAL: nothing has changed. */
  commitHash(hash: FtraceHash, which: "filter" | "notrace", next: HashHalf): void {
    this.#refuseIfDisabled();
    const waits = { ...hash.waiting, [which]: next.waiting };
    const half: FtraceHash = { ...hash, [which]: next.records, waiting: waits };
    const users = this.#registry.usersOf(hash, half);
    const waiting = [...next.waiting];
    replaceSet(hash[which], next.records);
    hash.waiting[which].splice(0, Infinity, ...waiting);
    const [first] = users;
    if (first) this.#updateFor(first, FTRACE_OPS_FL_MODIFYING);
    else this.update();
  }

  /**
   * Takes in the functions of a module (an object that was loaded later): they are in every list
   * from now on, and filters that waited for them have them.
   */
  addModule(module: string, sites: readonly SiteSource[]): void {
    this.#refuseIfDisabled();
    const added = this.#table.addModule(module, sites);
    for (const record of added) {
      this.patcher.addSite(record);
      this.patcher.ftraceInitNop(record, this.#targets.nop);
    }
    this.#machine.fenceI();
    for (const hash of new Set([this.globalHash, ...this.#registry.hashes])) {
      resolveWaiting(hash, module, added);
    }
    this.update();
  }

  /** Makes the sites follow the hashes: those that a change since the last update can reach. */
  update(): void {
    if (this.#dispatch.dead) return;
    this.#users.follow();
    const plan = this.#sites.plan(this.#enabled);
    const final = this.#destination();
    this.#dispatch.head = this.#registry.all[0];
    const isWalked = this.#era.opsLiteral ? this.#sites.walksList : final.by === "list";
    this.#placeList(this.#registry.all, isWalked);
    this.#shared.setRecorder(this.#recorder()?.slot);
    const isPublished = this.#shared.isAt(final);
    // A hart between two sites finds the list, which serves whoever is registered.
    if (!isPublished && this.#registry.all.length > 0) this.#shared.publish(LIST);
    this.#patch(plan.changes);
    if (!isPublished) this.#shared.publish(final);
    this.#sites.settle(plan);
  }

  /** Whom the trampoline calls where no site says it. */
  #destination(): SharedDestination {
    const [only] = this.#registry.all;
    if (!this.#enabled || !only) return { slot: OPS_SLOT.nop, by: "direct" };
    if (this.#registry.all.length > 1) return LIST;
    const by = dispatchOf(only.flags, false);
    return { slot: by === "list" ? OPS_SLOT.list : only.slot, by };
  }

  /** The ops that needs no host, because its callback is the built-in one and no task is left out. */
  #recorder(): RegisteredOps | undefined {
    const isEveryTask = !hasPidFilter(this.pids) ||
      this.#machine.harts.length === 1 && this.isTraced();
    return this.#registry.all.find(({ ops, flags }) =>
      ops.func === this.functionTraceCall && !ops.hit &&
      (!(flags & FTRACE_OPS_FL_PID) || isEveryTask)
    );
  }

  #patch(changes: readonly SiteChange[]): void {
    try {
      this.#text.together(() => this.patcher.update(changes, this.#targets.nop));
    } catch (error) {
      if (!(error instanceof FtraceBug)) throw error;
      this.#dispatch.dead = true;
      this.#enabled = false;
      this.#shared.setRecorder(undefined);
      const record = this.recordAt(error.ip)!;
      const change = changes.find((each) => each.record === record);
      for (const line of ftraceBugReport(this.#machine.symbols, record, error, change)) {
        this.#report(line);
      }
      this.#refuseIfDisabled();
    }
  }

  #add(
    ops: AnyFtraceOps,
    isStatic: boolean,
    handler: (call: TracedCall) => void,
    directCall = 0n,
  ): FtraceRegistration {
    this.#refuseIfDisabled();
    const enabled = this.#enabled;
    const entry = this.#registry.admit({ ops, isStatic, call: handler, directCall, enabled });
    try {
      this.#paths.serve(entry.slot);
      this.#users.add(entry);
      this.#updateFor(entry, FTRACE_OPS_FL_ADDING);
    } catch (error) {
      this.#forget(entry);
      this.#registry.release(entry);
      this.update();
      throw error;
    }
    return this.#registrationOf(entry);
  }

  #registrationOf(entry: RegisteredOps): FtraceRegistration {
    const flagsOf = () => this.#registry.flagsOf(entry);
    const unregister = () => this.#removeIfThere(entry);
    return {
      ops: entry.ops,
      get flags() {
        return flagsOf();
      },
      unregister,
      [Symbol.dispose]: unregister,
    };
  }

  #removeIfThere(entry: RegisteredOps): void {
    if (this.#registry.all.includes(entry)) this.#remove(entry);
  }

  #remove(entry: RegisteredOps): void {
    this.#forget(entry);
    try {
      this.#updateFor(entry, FTRACE_OPS_FL_REMOVING);
    } finally {
      this.#registry.release(entry);
    }
  }

  #forget(entry: RegisteredOps): void {
    this.#registry.forget(entry);
    this.#users.remove(entry);
  }

  /** An update with a passing flag on the ops that it is for, for who looks at it meanwhile. */
  #updateFor(entry: RegisteredOps, flag: number): void {
    entry.passing = flag;
    try {
      this.update();
    } finally {
      entry.passing = 0;
    }
  }

  #find(ops: AnyFtraceOps): RegisteredOps {
    this.#refuseIfDisabled();
    return this.#registry.find(ops);
  }

  #refuseIfDisabled(): void {
    if (!this.#dispatch.dead) return;
    throw new FtraceError(
      "ENODEV",
      "ftrace-disabled",
      "Cannot trace any more: ftrace shut itself down after the bug it reported",
      "a new machine",
    );
  }
}

/** The walk of all ops. */
const LIST: SharedDestination = { slot: OPS_SLOT.list, by: "list" };
