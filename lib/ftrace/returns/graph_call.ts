/**
 * A call that the graph tracer has caught: what its users see of it, and its frame among the hooked
 * returns, in one object.
 *
 * Of a busy program there is one for each call, so it has no closure and no list that it does not
 * need.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import type { GraphReturn } from "./fgraph_ops.ts";
import type { FrameEnding, ReturnFrame } from "./return_hooks.ts";

/** The hook of a frame that no ra leads out of: no address. */
const NO_HOOK = -1n;

/** Where a call is made. */
export interface CallPlace {
  /** Address of the site, as the era names it. */
  readonly ip: bigint;
  /** The hart's stack pointer at the site. */
  readonly sp: number;
  /** What is in ra there, which may be a hook. */
  readonly returnAddress: bigint;
  /** Where the call really returns to, behind all hooks. */
  readonly parentIp: bigint;
  /** How many open traced calls are around it. */
  readonly depth: number;
  /** Number of the guest stack that the call is made on. */
  readonly stack: number;
  /** What will tell that the call has ended. */
  readonly ending: FrameEnding;
}

/** What a call needs of the graph tracer that has made it. */
export interface CallOwner {
  /** Address of `return_to_handler`. */
  readonly returnToHandler: bigint;
  /** Takes words of a task's shadow stack for `bytes` of data; undefined if there is no room. */
  reserve(task: number, bytes: number): number | undefined;
  /** The call was left without a return; `depth` counts the calls around it. */
  unwound(hart: Hart, call: GraphCall, depth: number): void;
}

/** A call as its handlers see it, at the entry and at the return, and its frame. */
export class GraphCall implements GraphReturn, ReturnFrame {
  readonly isGraph = true;
  readonly ending: FrameEnding;
  readonly hook: bigint;
  readonly stack: number;
  cpu: number;
  readonly func: bigint;
  readonly site: number;
  readonly returnAddress: bigint;
  readonly parentIp: bigint;
  readonly sp: number;
  callTime: bigint;
  readonly pid: number;
  readonly returns: boolean;
  depth: number;
  /** Nanoseconds that the guest had slept at the entry. */
  sleptBefore = 0n;
  /** Bit n is set if the user at index n wants to know of the return. */
  users = 0;
  /** Words of the task's shadow stack that the call has taken. */
  words: number;
  /** What each user keeps in `data`, by its index. */
  kept: unknown[] = [];
  data: unknown = undefined;
  returnTime = 0n;
  returnValue = 0n;
  overrun = 0;
  unwound = false;
  /** Index of the user whose handler runs. */
  user = 0;
  /** Whether that handler may reserve data. */
  isEntry = true;
  #reserved: DataView[] | undefined = undefined;
  readonly #owner: CallOwner;

  /** A call that nobody has seen yet, on `hart` now; `words` of the shadow stack are its already. */
  constructor(
    hart: Hart,
    record: DynFtrace,
    { ip, sp, returnAddress, parentIp, depth, stack, ending }: CallPlace,
    pid: number,
    returns: boolean,
    words: number,
    owner: CallOwner,
  ) {
    this.ending = ending;
    this.hook = ending === "hook"
      ? owner.returnToHandler
      : ending === "watch"
      ? returnAddress
      : NO_HOOK;
    this.stack = stack;
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
    this.#owner = owner;
  }

  /** The site, by the name that a walk of the stack asks for. */
  get ip(): bigint {
    return this.func;
  }

  /** Implements {@linkcode GraphReturn.reserveData} for the user whose entry handler runs. */
  reserveData(bytes: number): DataView | null {
    if (!this.isEntry || !this.returns) return null;
    const taken = this.#owner.reserve(this.cpu, bytes);
    if (taken === undefined) return null;
    this.words += taken;
    this.#reserved ??= [];
    return this.#reserved[this.user] = new DataView(new ArrayBuffer(Math.ceil(bytes / 8) * 8));
  }

  /** Implements {@linkcode GraphReturn.retrieveData} for the user whose exit handler runs. */
  retrieveData(): DataView | null {
    return this.isEntry ? null : this.#reserved?.[this.user] ?? null;
  }

  /** Implements {@linkcode ReturnFrame.left}: the users are told of a call that was unwound. */
  left(hart: Hart, depth: number): void {
    this.#owner.unwound(hart, this, depth);
  }
}
