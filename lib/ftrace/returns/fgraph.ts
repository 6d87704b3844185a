/**
 * The graph tracer's core: entries and returns of functions, for its users.
 *
 * Returns are caught as the kernel does it (`kernel/trace/fgraph.c`): ra is replaced by
 * `return_to_handler` and kept on a shadow stack. Guest programs, unlike the kernel, throw and jump;
 * a call that is left so ends with an exit that says unwound.
 *
 * Frames are kept in `return_hooks.ts`; users are `graph_users.ts`, registered in `graph_register.ts`;
 * what a user does with a call is up to it (`graph_trace.ts` records it).
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { SP } from "../../isa/abi.ts";
import type { Machine } from "../../machine/machine.ts";
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import type { FtraceRegs } from "../../trampoline/ftrace_regs.ts";
import { refusePromise } from "../callbacks.ts";
import { hashAllows } from "../ops/filter.ts";
import { noReturnReason } from "../ops/records.ts";
import type { ServedCall } from "../ops/served_call.ts";
import { FGRAPH_ARRAY_SIZE, type FgraphOps } from "./fgraph_ops.ts";
import { type CallOwner, GraphCall } from "./graph_call.ts";
import { type GraphUser, GraphUsers } from "./graph_users.ts";
import type { FrameEnding, ReturnHooks } from "./return_hooks.ts";
import { isUnwinder } from "./unwinders.ts";
import { createShadowRoom, type ShadowLimit, type ShadowRoom } from "./shadow_room.ts";

/** In place of the return address of a handler, which has none. */
const NO_RETURN = -2n;

/**
 * How returns are noticed: `hijack` replaces ra, as the kernel does; `shadow` leaves ra alone and
 * watches return addresses, which costs more; `auto` takes the second where a function reads its own
 * return address.
 */
export type ReturnsMode = "auto" | "hijack" | "shadow";

/** Lends the registers of the hart at hand. */
export type ShowRegisters = (use: (fregs: FtraceRegs) => void) => void;

/** What {@linkcode Fgraph} stands on. */
export interface FgraphParts {
  /** The machine whose calls are caught. */
  readonly machine: Machine;
  /** Where frames are kept. */
  readonly hooks: ReturnHooks;
  /** The call that tracers are served with: told which one is left. */
  readonly served: Pick<ServedCall, "leaving">;
  /** How returns are noticed. */
  readonly returns: ReturnsMode;
  /** Whether the time that the guest sleeps counts as a call's (option `sleep-time`). */
  readonly countsSleep: () => boolean;
  /** Whether the program's runtime walks its stacks and moves them, as Go's does. */
  readonly walksStacks: boolean;
  /** Whether a function's code does more with ra at its entry than to keep it and go back. */
  readonly readsReturnAddress: (entry: bigint) => boolean;
  /** Calls `reached` whenever a hart is about to execute the instruction at an address. */
  readonly watchAddress: (
    address: bigint,
    reached: (hart: Hart, show: ShowRegisters) => void,
  ) => void;
  /** Which limits a task's shadow stack has. */
  readonly limit: ShadowLimit;
  /** How many users there may be: 16, or 1 in the kernels before 6.11. */
  readonly users: number;
}

/** The graph tracer of one machine. */
export class Fgraph implements CallOwner {
  /** The users of the graph tracer. */
  readonly users: GraphUsers;
  /** Address of `return_to_handler`. */
  readonly returnToHandler: bigint;
  readonly #machine: Machine;
  readonly #hooks: ReturnHooks;
  readonly #served: Pick<ServedCall, "leaving">;
  readonly #room: ShadowRoom;
  readonly #returns: ReturnsMode;
  readonly #countsSleep: () => boolean;
  readonly #walksStacks: boolean;
  readonly #readsReturnAddress: (entry: bigint) => boolean;
  readonly #watchAddress: FgraphParts["watchAddress"];
  /** What ends the calls of a record, by its index: asked at each call. */
  readonly #endings: (FrameEnding | "none")[] = [];
  /** Return addresses that are watched. */
  readonly #watched = new Set<bigint>();
  /** Harts that are not to be traced (`tracing_graph_pause`): how many want so. */
  readonly #paused: number[] = [];

  /** Starts without users. */
  constructor(parts: FgraphParts) {
    const { machine, hooks, served, limit, users } = parts;
    this.#machine = machine;
    this.#hooks = hooks;
    this.#returns = parts.returns;
    this.#countsSleep = parts.countsSleep;
    this.#walksStacks = parts.walksStacks;
    this.#readsReturnAddress = parts.readsReturnAddress;
    this.#watchAddress = parts.watchAddress;
    this.#served = served;
    this.returnToHandler = hooks.returnToHandler;
    this.#room = createShadowRoom(limit);
    this.users = new GraphUsers(users);
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

  /** Implements {@linkcode CallOwner.reserve}. */
  reserve(task: number, bytes: number): number | undefined {
    return this.#room.reserve(task, bytes);
  }

  /** Removes a user; its open calls end without a word to it. False if it was not there. */
  remove(gops: FgraphOps): boolean {
    const index = this.users.remove(gops);
    if (index < 0) return false;
    for (const frame of this.#hooks.frames()) {
      if (frame instanceof GraphCall) frame.users &= ~(1 << index);
    }
    return true;
  }

  /** A traced entry; `sp` is the hart's at the site. Rewrites the return address in `fregs`. */
  enter(hart: Hart, record: DynFtrace, ip: bigint, sp: number, fregs: FtraceRegs): void {
    const hooks = this.#hooks;
    const known = this.#endings[record.index] ??= this.#endingOf(record);
    const isHandler = known === "trap";
    const returnAddress = isHandler ? NO_RETURN : fregs.returnAddress;
    const stack = isHandler
      ? hooks.arriveByTrap(hart, sp)
      : hooks.arrive(hart, sp, returnAddress, true);
    if ((this.#paused[hart.id] ?? 0) > 0) return;
    const returns = known !== "none";
    const ending = known === "none" ? "hook" : known;
    const words = returns ? this.#room.push(hart.id) : 0;
    if (words === undefined) return;
    const parentIp = isHandler ? interruptedAt(hart) : hooks.realReturnAt(stack, returnAddress, sp);
    const { depth, id } = stack;
    const place = { ip, sp, returnAddress, parentIp, depth, stack: id, ending };
    const call = new GraphCall(hart, record, place, this.#machine.pid, returns, words, this);
    for (let index = 0; index < FGRAPH_ARRAY_SIZE; index++) {
      const user = this.users.at(index);
      if (user !== undefined && hashAllows(user.hash, record.index)) {
        this.#enterFor(user, index, call, fregs);
      }
    }
    if (call.users === 0) {
      if (returns) this.#room.release(hart.id, call.words);
      return;
    }
    call.isEntry = false;
    call.sleptBefore = this.#machine.slept();
    hooks.push(stack, call);
    if (ending === "hook") fregs.returnAddress = this.returnToHandler;
    else if (ending === "watch") this.#watch(returnAddress);
  }

  /** What ends the calls of a record's function; `none` if nothing that can be seen does. */
  #endingOf(record: DynFtrace): FrameEnding | "none" {
    if (record.reason === "interrupt-handler") return "trap";
    if (noReturnReason(record) !== undefined) return "none";
    switch (this.#returns) {
      case "hijack":
        return "hook";
      case "shadow":
        return "watch";
      case "auto":
        return this.#walksStacks || isUnwinder(record.name) ||
            this.#readsReturnAddress(record.entry)
          ? "watch"
          : "hook";
    }
  }

  /** Notices harts at a return address; the trampolines notice those that come to them. */
  #watch(address: bigint): void {
    if (this.#hooks.isHook(address) || this.#watched.has(address)) return;
    this.#watched.add(address);
    this.#watchAddress(
      address,
      (hart, show) => this.#leaveWithoutHook(hart, show, "watch", address),
    );
  }

  /**
   * A hart is about to return from a trap: a handler's frame ends that was opened at the same stack
   * pointer.
   */
  leaveHandler(hart: Hart, show: ShowRegisters): void {
    this.#leaveWithoutHook(hart, show, "trap");
  }

  /** Ends the innermost call of that kind, and those that it was jumped to from. */
  #leaveWithoutHook(
    hart: Hart,
    show: ShowRegisters,
    ending: "watch" | "trap",
    to?: bigint,
  ): void {
    const sp = hart.addressIn(SP);
    for (;;) {
      const taken = this.#hooks.takeEnding(hart, sp, ending, to);
      if (!taken) return;
      const [call, { depth, frames }] = taken;
      if (!(call instanceof GraphCall)) return;
      this.#served.leaving = call;
      show((fregs) => {
        if (ending === "watch") call.returnValue = BigInt.asUintN(64, fregs.returnValue);
        this.#end(hart, call, depth, fregs);
      });
      const outer = frames.at(-1);
      if (!(outer instanceof GraphCall && jumpedTo(outer, call))) return;
    }
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
    if (!call.returns || this.users.at(index) !== user) return;
    call.users |= 1 << index;
    call.kept[index] = call.data;
  }

  /**
   * A traced return; the hart's stack pointer is `sp` again. Gives the address to go on at.
   *
   * @throws {RangeError} If no call is open there: the guest made up a return.
   */
  leave(hart: Hart, sp: number, fregs: FtraceRegs): bigint {
    const stack = this.#hooks.comeBack(hart, sp, true);
    const call = this.#hooks.take(hart, stack, this.returnToHandler, sp);
    if (!(call instanceof GraphCall)) {
      const lost = this.#hooks.lostReturn(this.returnToHandler, sp);
      if (lost !== undefined) return lost;
      throw new RangeError(
        "Cannot return to the caller: a hart came to return_to_handler at sp 0x" +
          `${sp.toString(16)} and no traced call is open on that stack`,
      );
    }
    call.returnValue = BigInt.asUintN(64, fregs.returnValue);
    this.#served.leaving = call;
    this.#end(hart, call, stack.depth, fregs);
    return call.returnAddress;
  }

  /** Implements {@linkcode CallOwner.unwound}: exit handlers run without registers. */
  unwound(hart: Hart, call: GraphCall, depth: number): void {
    call.unwound = true;
    this.#end(hart, call, depth, null);
  }

  #end(hart: Hart, call: GraphCall, depth: number, fregs: FtraceRegs | null): void {
    // What the shadow stack gave stands with the hart that it was given on.
    const task = call.cpu;
    call.depth = depth;
    call.cpu = hart.id;
    call.returnTime = hart.now();
    // As the kernel: a call that is not to count sleeping began so much later.
    const slept = this.#machine.slept() - call.sleptBefore;
    if (slept > 0n && !this.#countsSleep()) call.callTime += slept;
    call.overrun = this.#room.overrun(hart.id);
    // The kernel runs return handlers in the reverse order of entry handlers.
    for (let index = FGRAPH_ARRAY_SIZE - 1; index >= 0; index--) {
      if ((call.users & (1 << index)) === 0) continue;
      const user = this.users.at(index);
      if (!user?.gops.retFunc) continue;
      call.user = index;
      call.data = call.kept[index];
      try {
        refusePromise(user.gops.retFunc(call, fregs));
      } catch (error) {
        user.failed(call.site, error);
      }
    }
    this.#served.leaving = undefined;
    this.#room.release(task, call.words);
  }
}

/** Where the code goes on that a trap has interrupted, as the handler's return will find it. */
function interruptedAt({ system, mode }: Hart): bigint {
  if (!system) return 0n;
  return mode === "M" ? system.mepc : system.sepc;
}

/** Whether a call has ended in a jump to another one, as a vector table does: both end at once. */
function jumpedTo(outer: GraphCall, inner: GraphCall): boolean {
  return outer.ending === inner.ending && outer.sp === inner.sp &&
    outer.parentIp === inner.parentIp && outer.returnAddress === inner.returnAddress;
}
