/**
 * The shadow stack: which traced calls are open, and where each really returns to.
 *
 * A frame is known by the stack pointer at its entry. Programs leave frames without returning
 * (longjmp, exceptions), so nothing may be popped on trust: frames below the hart's stack pointer
 * are dead, and so is one at the same stack pointer unless the new call came from it by a tail call.
 *
 * What is done with frames is `fgraph.ts`; how a return is caught is `lib/trampoline`.
 *
 * @module
 */
import { SP } from "../../isa/abi.ts";
import type { Hart } from "../../hart/hart.ts";

/** A hart's stack pointer, by which frames are known: a signed address, as a number. */
export function stackPointer(hart: Hart): number {
  return hart.addressIn(SP);
}

/** The words of a stack, by address as the hart has it. */
export function wordsOf({ space }: Hart): StackWords {
  return {
    read: (address) => space.readWord(BigInt(address), 8),
    write: (address, value) => void space.writeWord(BigInt(address), 8, value),
  };
}

/** A return that is hooked. */
export interface HiddenReturn {
  /** Where it returns to; the hook itself after a tail call. */
  readonly returnAddress: bigint;
  /** The hart's stack pointer at the entry: the frame's identity. */
  readonly sp: number;
}

/** Frames of one guest stack, outermost first. */
export interface ShadowStack<F extends HiddenReturn = HiddenReturn> {
  /** Which guest stack: whatever tells stacks apart, such as the base of its mapping. */
  readonly identity: number;
  /** Outermost first. */
  readonly frames: F[];
}

/** Gives the frames that a call from a hart at `sp` proves dead, innermost first, and pops them. */
export function popDeadAtEntry<F extends HiddenReturn>(
  stack: ShadowStack<F>,
  sp: number,
  tailCall: boolean,
): F[] {
  return popWhile(stack, (frame) => frame.sp < sp || (frame.sp === sp && !tailCall));
}

/** Gives the frames that a return to a hart at `sp` has passed by, innermost first, and pops them. */
export function popDeadAtReturn<F extends HiddenReturn>(stack: ShadowStack<F>, sp: number): F[] {
  return popWhile(stack, (frame) => frame.sp < sp);
}

function popWhile<F extends HiddenReturn>(
  stack: ShadowStack<F>,
  dead: (frame: F) => boolean,
): F[] {
  const popped: F[] = [];
  for (let top = stack.frames.at(-1); top && dead(top); top = stack.frames.at(-1)) {
    popped.push(top);
    stack.frames.pop();
  }
  return popped;
}

/** Words of guest stack, as the search below needs them. */
export interface StackWords {
  /** The 8 bytes at `address`, or undefined if the guest may not read them. */
  read(address: number): bigint | undefined;
  /** Overwrites 8 bytes of guest stack. */
  write(address: number, value: bigint): void;
}

/** A return address that was put back, so that it can be hidden again. */
export interface RestoredReturn<F extends HiddenReturn = HiddenReturn> {
  /** The frame whose return address it is. */
  readonly frame: F;
  /** Guest address of the slot. */
  readonly slot: number;
}

/** An unwinder of the guest's that runs, and what it was shown. */
export interface Unwinding<F extends HiddenReturn = HiddenReturn> {
  /** The hart's stack pointer at the unwinder's entry. */
  readonly sp: number;
  /** The stack that it reads. */
  readonly stack: ShadowStack<F>;
  /** What is real for as long as it runs. */
  readonly restored: readonly RestoredReturn<F>[];
}

/**
 * Puts the real return address of every open frame back into the guest's stack, for an unwinder
 * that is about to read it. `sp` is the hart's, at the unwinder's entry.
 *
 * A compiler saves ra near the top of a frame, above everything stale, so the topmost word between
 * the next inner frame's entry and this one's that holds `hidden` is the slot.
 */
export function restoreReturns<F extends HiddenReturn>(
  stack: ShadowStack<F>,
  sp: number,
  hidden: bigint,
  words: StackWords,
): RestoredReturn<F>[] {
  const restored: RestoredReturn<F>[] = [];
  let low = sp;
  for (let k = stack.frames.length - 1; k >= 0;) {
    const frame = stack.frames[k]!;
    // Frames of a chain of tail calls share one slot; the outermost knows the way back.
    let outermost = k;
    while (outermost > 0 && stack.frames[outermost]!.returnAddress === hidden) outermost--;
    for (let slot = frame.sp - 8; slot >= low; slot -= 8) {
      if (words.read(slot) !== hidden) continue;
      words.write(slot, stack.frames[outermost]!.returnAddress);
      restored.push({ frame, slot });
      break;
    }
    low = frame.sp;
    k = outermost - 1;
  }
  return restored;
}

/**
 * What an unwinder has been shown and what another one that it calls is to be shown: only calls that
 * are newer. The older ones are real already, so a search would find nothing but stale words.
 */
export function restoreNewer<F extends HiddenReturn>(
  outer: Unwinding<F>,
  sp: number,
  hidden: bigint,
  words: StackWords,
): Unwinding<F> {
  const { identity, frames } = outer.stack;
  const newer = { identity, frames: frames.filter((frame) => frame.sp <= outer.sp) };
  const restored = restoreReturns(newer, sp, hidden, words);
  return { ...outer, restored: [...outer.restored, ...restored] };
}

/** Hides again what {@linkcode restoreReturns} put back, for the frames that are still open. */
export function hideReturns<F extends HiddenReturn>(
  stack: ShadowStack<F>,
  restored: readonly RestoredReturn<F>[],
  hidden: bigint,
  words: StackWords,
): void {
  for (const { frame, slot } of restored) {
    if (stack.frames.includes(frame)) words.write(slot, hidden);
  }
}
