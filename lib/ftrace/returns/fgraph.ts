/**
 * The graph tracer's core: entries and returns of functions, for up to sixteen users.
 *
 * Returns are caught as the kernel does it (`kernel/trace/fgraph.c`): ra is replaced by
 * `return_to_handler` and kept on a shadow stack. Guest programs, unlike the kernel, throw and jump:
 * before an unwinder of theirs runs, the real return addresses are put back for as long as it reads
 * them.
 *
 * Frames are `shadow_stack.ts`; what a user does with a call is up to it (`graph_trace.ts` records it).
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import type { FtraceRegs } from "../../trampoline/ftrace_regs.ts";
import { refusePromise } from "../callbacks.ts";
import { FtraceError } from "../ftrace_error.ts";
import { createHash, type FtraceHash, hashAllows, isEmptyHash, replaceSet } from "../ops/filter.ts";
import type { ServedCall } from "../ops/served_call.ts";
import { createShadowRoom, type ShadowLimit, type ShadowRoom } from "./shadow_room.ts";
import {
  type HiddenReturn,
  hideReturns,
  popDeadAtEntry,
  popDeadAtReturn,
  restoreNewer,
  restoreReturns,
  type ShadowStack,
  stackPointer,
  type Unwinding,
  wordsOf,
} from "./shadow_stack.ts";

/** Most users at a time (`FGRAPH_ARRAY_SIZE`). */
export const FGRAPH_ARRAY_SIZE = 16;

/** A call, as its entry handler sees it (`struct ftrace_graph_ent`). */
export interface GraphEntry {
  /** The site, as the era names it. */
  readonly func: bigint;
  /** Index of the site's record. */
  readonly site: number;
  /** Where it was called from: the real return address. */
  readonly parentIp: bigint;
  /** Open traced calls around it. */
  readonly depth: number;
  /** Virtual nanoseconds. */
  readonly callTime: bigint;
  /** Hart. */
  readonly cpu: number;
  /** Task. */
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
  /** Virtual nanoseconds. */
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
  /** Name in reports. */
  name?: string;
}

/** What the core needs of its surroundings. */
export interface FgraphHost {
  /** Address of `return_to_handler`. */
  readonly returnToHandler: bigint;
  /** Which guest stack an sp lies on. */
  stackIdentity(hart: Hart, sp: number): number;
  /** Whether the record's return can be caught at all (not where functions return twice). */
  returnable(record: DynFtrace): boolean;
  /** Task of a hart. */
  pid(hart: Hart): number;
  /** What was in ra before a kretprobe hooked the return at an entry with this sp. */
  behindRethook(hart: Hart, value: bigint, sp: number): bigint;
  /** The real return address behind hooks of both kinds. */
  realReturn(hart: Hart, value: bigint, sp: number): bigint;
  /** Which limits a task's shadow stack has. */
  readonly limit: ShadowLimit;
  /** How many users there may be: 16, or 1 in the kernels before 6.11. */
  readonly users: number;
  /** The call that tracers are served with: told which one is left. */
  readonly served: Pick<ServedCall, "leaving">;
}

/** A pattern that no module ever answers: while a hash waits for it, it is not an empty one. */
const NO_MODULE = ":mod:!*";

/** A user and the functions it traces. */
interface GraphUser {
  readonly gops: FgraphOps;
  readonly hash: FtraceHash;
  /** A handler of its has thrown. */
  readonly failed: (site: number, error: unknown) => void;
}

/** Where a call is made. */
interface CallPlace {
  readonly ip: bigint;
  readonly sp: number;
  readonly returnAddress: bigint;
  readonly parentIp: bigint;
  readonly depth: number;
}

/** A call as its handlers see it, at the entry and at the return, and its frame: one object for all. */
class GraphCall implements GraphReturn, HiddenReturn {
  readonly cpu: number;
  readonly func: bigint;
  readonly site: number;
  readonly returnAddress: bigint;
  readonly parentIp: bigint;
  readonly sp: number;
  readonly callTime: bigint;
  readonly pid: number;
  readonly returns: boolean;
  depth: number;
  users = 0;
  words: number;
  kept: unknown[] = [];
  reserved: DataView[] | undefined = undefined;
  data: unknown = undefined;
  returnTime = 0n;
  returnValue = 0n;
  overrun = 0;
  unwound = false;
  /** Index of the user whose handler runs. */
  user = 0;
  /** Whether that handler may reserve data. */
  isEntry = true;
  readonly #room: ShadowRoom;

  constructor(
    hart: Hart,
    record: DynFtrace,
    { ip, sp, returnAddress, parentIp, depth }: CallPlace,
    pid: number,
    returns: boolean,
    words: number,
    room: ShadowRoom,
  ) {
    this.cpu = hart.id;
    this.func = ip;
    this.site = record.index;
    this.sp = sp;
    this.returnAddress = returnAddress;
    this.parentIp = parentIp;
    this.depth = depth;
    this.callTime = hart.now();
    this.pid = pid;
    this.returns = returns;
    this.words = words;
    this.#room = room;
  }

  get ip(): bigint {
    return this.func;
  }

  reserveData(bytes: number): DataView | null {
    if (!this.isEntry || !this.returns) return null;
    const taken = this.#room.reserve(this.cpu, bytes);
    if (taken === undefined) return null;
    this.words += taken;
    this.reserved ??= [];
    return this.reserved[this.user] = new DataView(new ArrayBuffer(Math.ceil(bytes / 8) * 8));
  }

  retrieveData(): DataView | null {
    return this.isEntry ? null : this.reserved?.[this.user] ?? null;
  }
}

/** The users and the shadow stacks of one machine. */
export class Fgraph {
  readonly #host: FgraphHost;
  readonly #users: (GraphUser | undefined)[] = Array(FGRAPH_ARRAY_SIZE).fill(undefined);
  readonly #stacks: ShadowStack<GraphCall>[][] = [];
  readonly #room: ShadowRoom;
  /** Indices that are free, the one longest out of use first. */
  readonly #free: number[] = Array.from({ length: FGRAPH_ARRAY_SIZE }, (_, index) => index);
  /** Harts that are not to be traced (`tracing_graph_pause`): how many want so. */
  readonly #paused: number[] = [];
  #unwinding: Unwinding<GraphCall> | undefined;
  /** What all users together trace; {@linkcode Fgraph.unite} keeps it. */
  readonly hash: FtraceHash = createHash();

  /** Starts without users. */
  constructor(host: FgraphHost) {
    this.#host = host;
    this.#room = createShadowRoom(host.limit);
  }

  /** Lets entries of a hart's task pass untraced until it is disposed; pauses nest. */
  pause(hart: Hart): Disposable {
    this.#paused[hart.id] = (this.#paused[hart.id] ?? 0) + 1;
    let over = false;
    return {
      [Symbol.dispose]: () => {
        if (!over) this.#paused[hart.id]!--;
        over = true;
      },
    };
  }

  /** Calls of a hart's task that found no room on its shadow stack. */
  overrun(hart: Hart): number {
    return this.#room.overrun(hart.id);
  }

  /** How many users there are. */
  get count(): number {
    return this.#users.filter((user) => user !== undefined).length;
  }

  /**
   * Adds a user (`register_ftrace_graph`).
   *
   * @throws {FtraceError} EBUSY if it is registered, or another one is and this kernel serves one
   *   only; ENOSPC if there are sixteen already.
   */
  add(
    gops: FgraphOps,
    hash: FtraceHash,
    failed: (site: number, error: unknown) => void,
  ): void {
    if (this.#users.some((user) => user?.gops === gops)) {
      throw new FtraceError(
        "EBUSY",
        "already-enabled",
        "Cannot register the graph ops: it is registered",
      );
    }
    if (this.count >= this.#host.users) {
      const one = this.#host.users === 1;
      throw new FtraceError(
        one ? "EBUSY" : "ENOSPC",
        "too-many",
        one
          ? "Cannot register a second graph ops: this kernel has room for one"
          : `Cannot register a graph ops: ${FGRAPH_ARRAY_SIZE} are in use`,
        one ? "no --strict, or a later --era" : "",
      );
    }
    this.#users[this.#free.shift()!] = { gops, hash, failed };
  }

  /** Removes a user; its open calls end without a word to it. */
  remove(gops: FgraphOps): boolean {
    const index = this.#users.findIndex((user) => user?.gops === gops);
    if (index < 0) return false;
    this.#users[index] = undefined;
    this.#free.push(index);
    for (const frame of this.#stacks.flat().flatMap(({ frames }) => frames)) {
      frame.users &= ~(1 << index);
    }
    return true;
  }

  /** The users that trace a record. */
  usersOf(record: DynFtrace): readonly FgraphOps[] {
    return this.#users.filter((user) => user !== undefined && hashAllows(user.hash, record.index))
      .map((user) => user!.gops);
  }

  /**
   * Rewrites {@linkcode hash} to what all users together trace: what a user names, and with one that
   * names nothing all but what every such user leaves out and no other names.
   */
  unite(): void {
    const users = this.#users.filter((user) => user !== undefined).map(({ hash }) => hash);
    const named = new Set<number>();
    const wide = users.filter((hash) => isEmptyHash(hash, "filter"));
    for (const hash of users) {
      for (const index of hash.filter) if (!hash.notrace.has(index)) named.add(index);
    }
    if (wide.length === 0) {
      replaceSet(this.hash.filter, named);
      replaceSet(this.hash.notrace, new Set());
      const isNothing = named.size === 0 && users.length > 0;
      this.hash.waiting.filter.splice(0, Infinity, ...isNothing ? [NO_MODULE] : []);
      return;
    }
    this.hash.waiting.filter.length = 0;
    const left = wide.map(({ notrace }) => notrace as ReadonlySet<number>)
      .reduce((all, each) => all.intersection(each));
    replaceSet(this.hash.filter, new Set());
    replaceSet(this.hash.notrace, left.difference(named));
  }

  #stackOf(hart: Hart, sp: number): ShadowStack<GraphCall> {
    const identity = this.#host.stackIdentity(hart, sp);
    const stacks = this.#stacks[hart.id] ??= [];
    for (const stack of stacks) if (stack.identity === identity) return stack;
    const stack = { identity, frames: [] };
    stacks.push(stack);
    return stack;
  }

  /** The real return address behind a value read from a guest stack (`ftrace_graph_ret_addr`). */
  returnAddress(hart: Hart, value: bigint, slot: number): bigint {
    if (value !== this.#host.returnToHandler) return value;
    const frames = this.#stackOf(hart, slot).frames;
    // The slot lies below the entry sp of the frame it belongs to, and above the next inner one's.
    for (let k = frames.length - 1; k >= 0; k--) {
      if (frames[k]!.sp <= slot) continue;
      while (k > 0 && frames[k]!.returnAddress === this.#host.returnToHandler) k--;
      return frames[k]!.returnAddress;
    }
    return value;
  }

  /** What was in ra before the graph tracer hooked the return at an entry with this sp. */
  behind(hart: Hart, value: bigint, sp: number): bigint {
    if (value !== this.#host.returnToHandler) return value;
    return this.returnsAt(hart, sp).findLast((each) => each !== value) ?? value;
  }

  /** All that was replaced in ra at an entry with this sp, oldest first. */
  returnsAt(hart: Hart, sp: number): readonly bigint[] {
    return this.#stackOf(hart, sp).frames.filter((frame) => frame.sp === sp)
      .map(({ returnAddress }) => returnAddress);
  }

  /** A traced entry; `sp` is the hart's at the site. Rewrites the return address in `fregs`. */
  enter(hart: Hart, record: DynFtrace, ip: bigint, sp: number, fregs: FtraceRegs): void {
    const host = this.#host;
    const stack = this.#stackOf(hart, sp);
    const { frames } = stack;
    const returnAddress = fregs.returnAddress;
    const tailCall = host.behindRethook(hart, returnAddress, sp) === host.returnToHandler;
    if (this.#unwinding) this.#endUnwinding(hart, stack, sp, tailCall);
    const top = frames.at(-1);
    if (top && (top.sp < sp || (top.sp === sp && !tailCall))) {
      this.#unwound(hart, stack, popDeadAtEntry(stack, sp, tailCall));
    }
    if ((this.#paused[hart.id] ?? 0) > 0) return;
    const returns = host.returnable(record);
    const words = returns ? this.#room.push(hart.id) : 0;
    if (words === undefined) return;
    const parentIp = host.realReturn(hart, this.#realReturn(frames, returnAddress), sp);
    const depth = frames.length;
    const pid = host.pid(hart);
    const room = this.#room;
    const place = { ip, sp, returnAddress, parentIp, depth };
    const call = new GraphCall(hart, record, place, pid, returns, words, room);
    for (let index = 0; index < FGRAPH_ARRAY_SIZE; index++) {
      const user = this.#users[index];
      if (user !== undefined && hashAllows(user.hash, record.index)) {
        this.#enterFor(user, index, call, fregs);
      }
    }
    if (call.users === 0) {
      if (returns) room.release(hart.id, call.words);
      return;
    }
    call.isEntry = false;
    frames.push(call);
    fregs.returnAddress = host.returnToHandler;
  }

  #enterFor(user: GraphUser, index: number, call: GraphCall, fregs: FtraceRegs): void {
    const { gops } = user;
    call.user = index;
    call.data = undefined;
    if (gops.entryFunc) {
      try {
        if (refusePromise(gops.entryFunc(call, fregs)) === false) return;
      } catch (error) {
        user.failed(call.site, error);
        return;
      }
    }
    // A handler may have removed its own user.
    if (!call.returns || this.#users[index] !== user) return;
    call.users |= 1 << index;
    call.kept[index] = call.data;
  }

  /** Follows a chain of tail calls among `frames` back to a real address. */
  #realReturn(frames: readonly GraphCall[], returnAddress: bigint): bigint {
    let address = returnAddress;
    for (let k = frames.length - 1; k >= 0 && address === this.#host.returnToHandler; k--) {
      address = frames[k]!.returnAddress;
    }
    return address;
  }

  /**
   * A traced return; the hart's stack pointer is `sp` again. Gives the address to go on at.
   *
   * @throws {RangeError} If no call is open there: the guest made up a return.
   */
  leave(hart: Hart, sp: number, fregs: FtraceRegs): bigint {
    const stack = this.#stackOf(hart, sp);
    const { frames } = stack;
    if (frames.length > 0 && frames.at(-1)!.sp < sp) {
      this.#unwound(hart, stack, popDeadAtReturn(stack, sp));
    }
    const call = frames.pop();
    if (!call) {
      throw new RangeError(
        `Cannot return to the caller: a hart came to return_to_handler at sp 0x${
          sp.toString(16)
        } ` +
          "and no traced call is open on that stack",
      );
    }
    call.returnValue = BigInt.asUintN(64, fregs.returnValue);
    this.#end(hart, call, frames.length, fregs);
    return call.returnAddress;
  }

  #end(hart: Hart, call: GraphCall, depth: number, fregs: FtraceRegs | null): void {
    call.depth = depth;
    call.returnTime = hart.now();
    call.overrun = this.#room.overrun(hart.id);
    if (!call.unwound) this.#host.served.leaving = call;
    // The kernel runs return handlers in the reverse order of entry handlers.
    for (let index = FGRAPH_ARRAY_SIZE - 1; index >= 0; index--) {
      if ((call.users & (1 << index)) === 0) continue;
      const user = this.#users[index];
      if (!user?.gops.retFunc) continue;
      call.user = index;
      call.data = call.kept[index];
      try {
        refusePromise(user.gops.retFunc(call, fregs));
      } catch (error) {
        user.failed(call.site, error);
      }
    }
    this.#host.served.leaving = undefined;
    this.#room.release(hart.id, call.words);
  }

  #unwound(hart: Hart, stack: ShadowStack<GraphCall>, calls: readonly GraphCall[]): void {
    calls.forEach((call, k) => {
      // Depth counts as if the inner ones had been popped one by one.
      const depth = stack.frames.length + calls.length - 1 - k;
      call.unwound = true;
      this.#end(hart, call, depth, null);
    });
  }

  /** The guest's unwinder is about to run, at its entry: shows it the real return addresses. */
  beginUnwinding(hart: Hart): void {
    const sp = stackPointer(hart);
    const stack = this.#stackOf(hart, sp);
    this.#endUnwinding(hart, stack, sp, false);
    const { returnToHandler } = this.#host;
    const words = wordsOf(hart);
    const outer = this.#unwinding;
    this.#unwinding = outer?.stack === stack
      ? restoreNewer(outer, sp, returnToHandler, words)
      : { sp, stack, restored: restoreReturns(stack, sp, returnToHandler, words) };
    // The unwinder itself may have been reached by a tail call from a traced function.
    hart.x[1] = this.#realReturn(stack.frames, BigInt.asUintN(64, hart.x[1]!));
  }

  /** A hart is where an unwinder leads to, or back where it was called: hides them again. */
  endUnwinding(hart: Hart): void {
    const sp = stackPointer(hart);
    this.#endUnwinding(hart, this.#stackOf(hart, sp), sp, false);
  }

  #endUnwinding(
    hart: Hart,
    stack: ShadowStack<GraphCall>,
    sp: number,
    tailCall: boolean,
  ): void {
    const unwinding = this.#unwinding;
    // Calls made by the unwinder itself lie below it.
    if (!unwinding || stack !== unwinding.stack || sp < unwinding.sp) return;
    this.#unwinding = undefined;
    this.#unwound(hart, stack, popDeadAtEntry(stack, sp, tailCall));
    hideReturns(stack, unwinding.restored, this.#host.returnToHandler, wordsOf(hart));
  }
}
