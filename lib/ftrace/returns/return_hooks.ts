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
import {
  type HiddenReturn,
  hideReturns,
  popDeadAtEntry,
  popDeadAtReturn,
  realReturnOf,
  restoreNewer,
  restoreReturns,
  type ShadowStack,
  type StackWords,
  type Unwinding,
} from "./shadow_stack.ts";

/** A hooked return of either kind. */
export interface ReturnFrame extends HiddenReturn {
  /** Whether it is a call of the graph tracer, which counts in the depth of those inside it. */
  readonly isGraph: boolean;
  /**
   * It will never return: an outer frame was reached past it. Called when it is popped already;
   * `depth` counts the graph tracer's calls around it.
   */
  left(hart: Hart, depth: number): void;
}

/** The hooked returns of one guest stack. */
export interface GuestStack extends ShadowStack<ReturnFrame> {
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
  readonly #machine: Pick<Machine, "stackIdentity">;
  /** By number of the hart, in the order in which stacks were met. */
  readonly #stacks: GuestStack[][] = [];

  /** Starts with no return hooked. */
  constructor(machine: Pick<Machine, "stackIdentity">, trampolines: ReturnTrampolines) {
    this.#machine = machine;
    this.returnToHandler = trampolines.returnToHandler;
    this.rethookTrampoline = trampolines.rethookTrampoline;
  }

  /** Whether an address is a hook: then it is no return address of the guest's. */
  isHook(address: bigint): boolean {
    return address === this.returnToHandler || address === this.rethookTrampoline;
  }

  /** All frames of all stacks that have neither returned nor been left. */
  *frames(): Iterable<ReturnFrame> {
    for (const { frames, passed } of this.#stacks.flat()) {
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
    const stack = this.#stackOf(hart, sp);
    const tailCall = this.isHook(ra);
    if (isGraph && stack.passed.length > 0) tellPassed(hart, stack);
    if (stack.unwinding) this.#endUnwinding(hart, stack, sp, tailCall, isGraph);
    const top = stack.frames.at(-1);
    if (top && (top.sp < sp || (top.sp === sp && !tailCall))) {
      leave(hart, stack, popDeadAtEntry(stack, sp, tailCall), isGraph);
    }
    return stack;
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
    const stack = this.#stackOf(hart, sp);
    if (isGraph && stack.passed.length > 0) tellPassed(hart, stack);
    const top = stack.frames.at(-1);
    if (top && top.sp < sp) leave(hart, stack, popDeadAtReturn(stack, sp), isGraph);
    return stack;
  }

  /**
   * Pops the innermost frame with this hook, and what was left inside it. Undefined if none is open:
   * the guest made up a return.
   */
  take(hart: Hart, stack: GuestStack, hook: bigint): ReturnFrame | undefined {
    const { frames } = stack;
    if (frames.at(-1)?.hook !== hook) {
      const at = frames.findLastIndex((frame) => frame.hook === hook);
      if (at < 0) return undefined;
      leave(hart, stack, frames.splice(at + 1).reverse(), hook === this.returnToHandler);
    }
    const frame = frames.pop()!;
    if (frame.isGraph) stack.depth--;
    return frame;
  }

  /** The real address behind a value found in ra at the entry of a call with this sp. */
  realReturn(hart: Hart, value: bigint, sp: number): bigint {
    if (!this.isHook(value)) return value;
    const { frames } = this.#stackOf(hart, sp);
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
    const { frames } = this.#stackOf(hart, slot);
    // The slot lies below the entry sp of the frame it belongs to, and above the next inner one's.
    const at = frames.findLastIndex((frame) => frame.sp > slot);
    return at < 0 ? value : realReturnOf(frames, at);
  }

  /** The guest's unwinder is about to run, at its entry: shows it the real return addresses. */
  beginUnwinding(hart: Hart): void {
    const sp = hart.addressIn(SP);
    const stack = this.#stackOf(hart, sp);
    this.#endUnwinding(hart, stack, sp, false, true);
    const words = wordsOf(hart);
    const outer = stack.unwinding;
    stack.unwinding = outer
      ? restoreNewer(stack.frames, outer, sp, words)
      : { sp, restored: restoreReturns(stack.frames, sp, words) };
    // The unwinder itself may have been reached by a tail call from a traced function.
    const ra = BigInt.asUintN(64, hart.x[RA]!);
    if (this.isHook(ra)) hart.x[RA] = this.realReturnAt(stack, ra, sp);
  }

  /** A hart is where an unwinder leads to, or back where it was called: hides them again. */
  endUnwinding(hart: Hart): void {
    const sp = hart.addressIn(SP);
    this.#endUnwinding(hart, this.#stackOf(hart, sp), sp, false, true);
  }

  #stackOf(hart: Hart, sp: number): GuestStack {
    const identity = this.#machine.stackIdentity(hart, sp);
    const stacks = this.#stacks[hart.id] ??= [];
    for (const stack of stacks) if (stack.identity === identity) return stack;
    const stack: GuestStack = { identity, frames: [], depth: 0, unwinding: undefined, passed: [] };
    stacks.push(stack);
    return stack;
  }

  #endUnwinding(
    hart: Hart,
    stack: GuestStack,
    sp: number,
    tailCall: boolean,
    isGraph: boolean,
  ): void {
    const { unwinding } = stack;
    // Calls made by the unwinder itself lie below it.
    if (!unwinding || sp < unwinding.sp) return;
    stack.unwinding = undefined;
    if (isGraph) tellPassed(hart, stack);
    leave(hart, stack, popDeadAtEntry(stack, sp, tailCall), isGraph);
    hideReturns(stack.frames, unwinding.restored, wordsOf(hart));
  }
}

/** Tells frames, popped already, that they were left; the graph tracer's later, unless it looks now. */
function leave(
  hart: Hart,
  stack: GuestStack,
  popped: readonly ReturnFrame[],
  isGraph: boolean,
): void {
  for (const frame of popped) {
    if (frame.isGraph) stack.depth--;
    const { depth } = stack;
    if (frame.isGraph && !isGraph) stack.passed.push({ frame, depth });
    else frame.left(hart, depth);
  }
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
