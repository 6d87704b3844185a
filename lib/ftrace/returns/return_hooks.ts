/**
 * Hooked returns of one machine: a shadow stack for each guest stack met, with the frames of the
 * graph tracer and of kretprobes in one order.
 *
 * ra is rewritten once for each kind, as the kernel does: `return_to_handler` for the graph tracer,
 * `arch_rethook_trampoline` for kretprobes, in whichever order their entries come. The last frame's
 * hook is what ra holds, so the real return address is found by looking down the one stack. Frames
 * are matched by the hart's stack pointer, and an unwinder of the guest's is shown the real addresses
 * for as long as it reads them.
 *
 * How frames of one stack are popped and restored is `shadow_stack.ts`; what they do at a return is
 * up to them (`graph_call.ts`, `rethook.ts`).
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { RA, SP } from "../../isa/abi.ts";
import type { Machine } from "../../machine/machine.ts";
import { GuestStacks, type StackPlace } from "./guest_stacks.ts";
import {
  type HiddenReturn,
  hideReturns,
  popDeadAtEntry,
  popDeadAtReturn,
  realReturnOf,
  restoreNewer,
  restoreReturns,
  type StackWords,
  type Unwinding,
} from "./shadow_stack.ts";

/** How many frames that were taken for left are remembered, the newest. */
const MOST_LOST = 4096;

/**
 * What tells that a call has ended: `hook`, the trampoline that ra was made to lead to; `watch`, that
 * its return address is reached, ra being as the guest set it; `trap`, a return from a trap, for a
 * handler that a trap has led to.
 */
export type FrameEnding = "hook" | "watch" | "trap";

/** A hooked return of either kind. */
export interface ReturnFrame extends HiddenReturn {
  /** Whether it is a call of the graph tracer, which counts in the depth of those inside it. */
  readonly isGraph: boolean;
  /** What tells that the call has ended. */
  readonly ending: FrameEnding;
  /**
   * It will never return: an outer frame was reached past it. Called when it is popped already;
   * `depth` counts the graph tracer's calls around it.
   */
  left(hart: Hart, depth: number): void;
}

/** The hooked returns of one guest stack. */
export interface GuestStack extends StackPlace<ReturnFrame> {
  /** How many of its frames are calls of the graph tracer. */
  depth: number;
  /** The unwinder that reads this stack now. */
  unwinding: Unwinding<ReturnFrame> | undefined;
  /**
   * Calls of the graph tracer that were popped on account of a kretprobe, innermost first. They are
   * told when the graph tracer sees the hart next: its trace does not depend on kretprobes.
   */
  readonly passed: PassedCall[];
}

/** A call that will never return, and what is to be told of it. */
interface PassedCall {
  readonly frame: ReturnFrame;
  readonly depth: number;
}

/** The trampolines that hooked returns lead to. */
export interface ReturnTrampolines {
  /** Address of `return_to_handler`: the graph tracer's. */
  readonly returnToHandler: bigint;
  /** Address of `arch_rethook_trampoline`: the kretprobes'. */
  readonly rethookTrampoline: bigint;
}

/** The shadow stacks of one machine: every return that is hooked. */
export class ReturnHooks {
  /** What ra holds inside a call of the graph tracer: the address of `return_to_handler`. */
  readonly returnToHandler: bigint;
  /** What ra holds inside a call that a kretprobe waits for: the address of `arch_rethook_trampoline`. */
  readonly rethookTrampoline: bigint;
  readonly #stacks: GuestStacks<GuestStack>;
  /** Frames that were taken for left, by their stack pointers: should one return after all, it can. */
  readonly #lost = new Map<number, ReturnFrame>();

  /** Starts with no return hooked. */
  constructor(machine: Pick<Machine, "stackIdentity">, trampolines: ReturnTrampolines) {
    this.#stacks = new GuestStacks(machine, makeStack);
    this.returnToHandler = trampolines.returnToHandler;
    this.rethookTrampoline = trampolines.rethookTrampoline;
  }

  /** Whether an address is a hook: then it is no return address of the guest's. */
  isHook(address: bigint): boolean {
    return address === this.returnToHandler || address === this.rethookTrampoline;
  }

  /** All frames of all stacks that have neither returned nor been left. */
  *frames(): Iterable<ReturnFrame> {
    for (const { frames, passed } of this.#stacks) {
      yield* frames;
      for (const { frame } of passed) yield frame;
    }
  }

  /**
   * A hart is at the entry of a function whose return is about to be hooked: pops the frames that
   * this proves dead. `sp` is the hart's, `ra` its ra; `isGraph` says whether the graph tracer is to
   * hook it. Gives the stack, for {@linkcode push}.
   */
  arrive(hart: Hart, sp: number, ra: bigint, isGraph: boolean): GuestStack {
    const stack = this.#stacks.at(hart, sp);
    this.#arrive(hart, stack, sp, this.isHook(ra) || isWatched(stack, sp, ra), isGraph);
    return stack;
  }

  /** A trap has led a hart to a handler: as {@linkcode arrive}, for a frame that no ra leads out of. */
  arriveByTrap(hart: Hart, sp: number): GuestStack {
    // What was interrupted may be about to return, or have just been called: it has this sp, too.
    const stack = this.#stacks.at(hart, sp);
    this.#arrive(hart, stack, sp, true, true);
    return stack;
  }

  #arrive(
    hart: Hart,
    stack: GuestStack,
    sp: number,
    sharesFrame: boolean,
    isGraph: boolean,
  ): void {
    if (isGraph && stack.passed.length > 0) tellPassed(hart, stack);
    if (this.#stacks.areSeveral) this.#forgetOverwritten(hart, stack, sp);
    if (stack.unwinding) this.#endUnwinding(hart, stack, sp, sharesFrame, isGraph);
    const top = stack.frames.at(-1);
    if (top && (top.sp < sp || (top.sp === sp && !sharesFrame))) {
      this.#leave(hart, stack, popDeadAtEntry(stack, sp, sharesFrame), isGraph);
    }
    stack.low = sp;
  }

  /** Opens a frame; ra must be set to its hook. */
  push(stack: GuestStack, frame: ReturnFrame): void {
    stack.frames.push(frame);
    if (frame.isGraph) stack.depth++;
  }

  /**
   * A hart has come to a trampoline, the graph tracer's or not, with its stack pointer at `sp` again:
   * pops the frames that it has passed by. Gives the stack, for {@linkcode take}.
   */
  comeBack(hart: Hart, sp: number, isGraph: boolean): GuestStack {
    let stack = this.#stacks.at(hart, sp);
    const hook = isGraph ? this.returnToHandler : this.rethookTrampoline;
    if (!hasFrame(stack, sp, hook)) {
      // The hart has changed its stack in a way that nobody saw.
      for (const other of this.#stacks) if (hasFrame(other, sp, hook)) stack = other;
      this.#stacks.adopt(hart, stack);
    }
    if (isGraph && stack.passed.length > 0) tellPassed(hart, stack);
    const top = stack.frames.at(-1);
    if (top && top.sp < sp) this.#leave(hart, stack, popDeadAtReturn(stack, sp), isGraph);
    stack.low = sp;
    return stack;
  }

  /**
   * Pops the innermost frame with this hook, whose entry was at `sp`, and what was left inside it.
   * Undefined if none is open: the guest made up a return.
   */
  take(hart: Hart, stack: GuestStack, hook: bigint, sp: number): ReturnFrame | undefined {
    const { frames } = stack;
    let at = frames.length - 1;
    if (frames[at]?.hook !== hook) at = frames.findLastIndex((frame) => frame.hook === hook);
    if (at < 0 || frames[at]!.sp !== sp) return undefined;
    this.#leave(hart, stack, frames.splice(at + 1).reverse(), hook === this.returnToHandler);
    return popTop(stack);
  }

  /**
   * Pops the innermost frame of a kind that no trampoline ends, if one is open at this `sp`: a handler's
   * when a hart is about to return from a trap, a watched one's when it is at its return address `to`.
   */
  takeEnding(
    hart: Hart,
    sp: number,
    ending: "watch" | "trap",
    to?: bigint,
  ): [ReturnFrame, GuestStack] | undefined {
    const stack = this.#stacks.peek(hart, sp);
    const at = stack?.frames.findLastIndex((frame) =>
      frame.ending === ending && frame.sp === sp &&
      (to ?? frame.returnAddress) === frame.returnAddress
    ) ?? -1;
    if (!stack || at < 0) return undefined;
    if (stack.passed.length > 0) tellPassed(hart, stack);
    this.#leave(hart, stack, stack.frames.splice(at + 1).reverse(), true);
    stack.low = sp;
    return [popTop(stack), stack];
  }

  /**
   * Where a frame goes on that was taken for left and returns after all: the guest is not to be
   * harmed by what we believed of it. Undefined if there was no such frame.
   */
  lostReturn(hook: bigint, sp: number): bigint | undefined {
    const frame = this.#lost.get(sp);
    return frame?.hook === hook ? frame.returnAddress : undefined;
  }

  /** A hart has loaded its stack pointer, which was `from`, with `to`: in a longjmp, or elsewhere. */
  switched(hart: Hart, from: number, to: number, isJump: boolean): void {
    this.#stacks.switched(hart, from, to, isJump);
  }

  /** The real address behind a value found in ra at the entry of a call with this sp. */
  realReturn(hart: Hart, value: bigint, sp: number): bigint {
    if (!this.isHook(value)) return value;
    const frames = this.#stacks.peek(hart, sp)?.frames ?? [];
    const at = frames.findLastIndex((frame) => frame.sp === sp && frame.hook === value);
    return at < 0 ? value : realReturnOf(frames, at);
  }

  /** The real address behind the ra of a hart at `sp`, where frames below it are dead. */
  realReturnAt({ frames }: GuestStack, ra: bigint, sp: number): bigint {
    if (!this.isHook(ra)) return ra;
    const at = frames.findLastIndex((frame) => frame.sp >= sp && frame.hook === ra);
    return at < 0 ? ra : realReturnOf(frames, at);
  }

  /** The real address behind a value that was read from a slot of a guest stack. */
  realReturnInSlot(hart: Hart, value: bigint, slot: number): bigint {
    if (!this.isHook(value)) return value;
    const frames = this.#stacks.peek(hart, slot)?.frames ?? [];
    // The slot lies below the entry sp of the frame it belongs to, and above the next inner one's.
    const at = frames.findLastIndex((frame) => frame.sp > slot && frame.hook === value);
    return at < 0 ? value : realReturnOf(frames, at);
  }

  /** The guest's unwinder is about to run, at its entry: shows it the real return addresses. */
  beginUnwinding(hart: Hart): void {
    const sp = hart.addressIn(SP);
    const stack = this.#stacks.at(hart, sp);
    this.#endUnwinding(hart, stack, sp, false, true);
    const words = wordsOf(hart);
    const outer = stack.unwinding;
    stack.unwinding = outer
      ? restoreNewer(stack.frames, outer, sp, words)
      : { sp, entry: hart.pc, restored: restoreReturns(stack.frames, sp, words) };
    // The unwinder itself may have been reached by a tail call from a traced function.
    const ra = BigInt.asUintN(64, hart.x[RA]!);
    if (this.isHook(ra)) hart.x[RA] = this.realReturnAt(stack, ra, sp);
  }

  /** A hart is where an unwinder leads to, or back where it was called: hides them again. */
  endUnwinding(hart: Hart): void {
    const sp = hart.addressIn(SP);
    // The unwinder's own frame ends here, too, if its return is watched; then that is not told yet.
    const stack = this.#stacks.at(hart, sp);
    this.#endUnwinding(hart, stack, sp, isWatched(stack, sp, hart.pc), true);
  }

  #endUnwinding(
    hart: Hart,
    stack: GuestStack,
    sp: number,
    tailCall: boolean,
    isGraph: boolean,
  ): void {
    const { unwinding } = stack;
    // Calls made by the unwinder lie below it; it may be traced itself, and just be entered.
    if (!unwinding || sp < unwinding.sp || hart.pc === unwinding.entry) return;
    stack.unwinding = undefined;
    if (isGraph) tellPassed(hart, stack);
    this.#leave(hart, stack, popDeadAtEntry(stack, sp, tailCall), isGraph);
    hideReturns(stack.frames, unwinding.restored, wordsOf(hart));
  }

  /** Pops frames of other stacks whose memory serves `stack` now. */
  #forgetOverwritten(hart: Hart, stack: GuestStack, sp: number): void {
    for (const [other, first] of this.#stacks.overwrittenBy(stack, sp)) {
      this.#leave(hart, other, other.frames.splice(first).reverse(), true);
      this.#stacks.dropIfEmpty(other);
    }
  }

  /** Tells frames, popped already, that they were left; the graph tracer's later, unless it looks now. */
  #leave(
    hart: Hart,
    stack: GuestStack,
    popped: readonly ReturnFrame[],
    isGraph: boolean,
  ): void {
    for (const frame of popped) {
      if (frame.isGraph) stack.depth--;
      const { depth } = stack;
      if (frame.ending === "hook") this.#remember(frame);
      if (frame.isGraph && !isGraph) stack.passed.push({ frame, depth });
      else frame.left(hart, depth);
    }
  }

  #remember(frame: ReturnFrame): void {
    this.#lost.delete(frame.sp);
    this.#lost.set(frame.sp, frame);
    if (this.#lost.size <= MOST_LOST) return;
    for (const oldest of this.#lost.keys()) {
      this.#lost.delete(oldest);
      break;
    }
  }
}

function makeStack(id: number, identity: number): GuestStack {
  const stack: GuestStack = {
    id,
    identity,
    frames: [],
    low: Infinity,
    depth: 0,
    unwinding: undefined,
    passed: [],
    isInUse: () => stack.unwinding !== undefined || stack.passed.length > 0,
  };
  return stack;
}

/** Whether the innermost frame at this `sp` or above has that hook, and is at `sp`. */
function hasFrame({ frames }: GuestStack, sp: number, hook: bigint): boolean {
  for (let k = frames.length - 1; k >= 0 && frames[k]!.sp <= sp; k--) {
    if (frames[k]!.sp === sp && frames[k]!.hook === hook) return true;
  }
  return false;
}

/** Whether the innermost call at that place waits for this return address itself. */
function isWatched({ frames }: GuestStack, sp: number, ra: bigint): boolean {
  const top = frames.at(-1);
  return top?.ending === "watch" && top.sp === sp && top.returnAddress === ra;
}

function popTop(stack: GuestStack): ReturnFrame {
  const frame = stack.frames.pop()!;
  if (frame.isGraph) stack.depth--;
  return frame;
}

function tellPassed(hart: Hart, { passed }: GuestStack): void {
  for (const { frame, depth } of passed.splice(0)) frame.left(hart, depth);
}

/** The words of a stack, by address as the hart has it. */
function wordsOf({ space }: Hart): StackWords {
  return {
    read: (address) => space.readWord(BigInt(address), 8),
    write: (address, value) => void space.writeWord(BigInt(address), 8, value),
  };
}
