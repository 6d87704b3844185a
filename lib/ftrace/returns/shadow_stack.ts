/**
 * The shadow stack: which hooked returns are open on one guest stack, and where each really leads.
 *
 * A frame is known by the stack pointer at its entry. Programs leave frames without returning
 * (longjmp, exceptions), so nothing may be popped on trust: frames below the hart's stack pointer
 * are dead, and so is one at the same stack pointer unless the new call came from it by a tail call.
 * One return may be hooked several times, by the graph tracer, by kretprobes and again after a tail
 * call; then the outermost of those frames holds the real address, and they share one slot.
 *
 * Which stacks there are is `return_hooks.ts`; what a frame does at its return is `graph_call.ts` and
 * `rethook.ts`.
 *
 * @module
 */

/** A return that is hooked: a frame of a shadow stack. */
export interface HiddenReturn {
  /** What ra holds instead: the address of a return trampoline. */
  readonly hook: bigint;
  /** What was in ra before; itself a hook if another frame waits for the same return. */
  readonly returnAddress: bigint;
  /** The hart's stack pointer at the entry, a signed address: the frame's identity. */
  readonly sp: number;
}

/** Frames of one guest stack, outermost first. */
export interface ShadowStack<F extends HiddenReturn = HiddenReturn> {
  /** Which guest stack: whatever tells stacks apart, such as the base of its mapping. */
  readonly identity: number;
  /** The open frames; the last one's hook is what ra holds inside it. */
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

/** Index of the outermost frame that shares the return of the frame at `index`. */
function outermostOf(frames: readonly HiddenReturn[], index: number): number {
  let outermost = index;
  while (outermost > 0 && frames[outermost]!.returnAddress === frames[outermost - 1]!.hook) {
    outermost--;
  }
  return outermost;
}

/** Where the frame at `index` really returns to, behind all hooks of that return. */
export function realReturnOf(frames: readonly HiddenReturn[], index: number): bigint {
  return frames[outermostOf(frames, index)]!.returnAddress;
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
  /** Guest address of the word that holds the frame's return address. */
  readonly slot: number;
}

/** An unwinder of the guest's that runs, and what it was shown. */
export interface Unwinding<F extends HiddenReturn = HiddenReturn> {
  /** The hart's stack pointer at the unwinder's entry. */
  readonly sp: number;
  /** Where the unwinder begins. */
  readonly entry: bigint;
  /** What is real for as long as it runs. */
  readonly restored: readonly RestoredReturn<F>[];
}

/**
 * Puts the real return address of every open frame back into the guest's stack, for an unwinder
 * that is about to read it. `sp` is the hart's, at the unwinder's entry.
 *
 * A compiler saves ra near the top of a frame, above everything stale, so the topmost word between
 * the next inner frame's entry and this one's that holds the frame's hook is the slot.
 */
export function restoreReturns<F extends HiddenReturn>(
  frames: readonly F[],
  sp: number,
  words: StackWords,
): RestoredReturn<F>[] {
  const restored: RestoredReturn<F>[] = [];
  let low = sp;
  for (let k = frames.length - 1; k >= 0;) {
    const frame = frames[k]!;
    const outermost = outermostOf(frames, k);
    for (let slot = frame.sp - 8; slot >= low; slot -= 8) {
      if (words.read(slot) !== frame.hook) continue;
      words.write(slot, frames[outermost]!.returnAddress);
      restored.push({ frame, slot });
      break;
    }
    low = Math.max(low, frame.sp);
    k = outermost - 1;
  }
  return restored;
}

/**
 * What an unwinder has been shown and what another one that it calls is to be shown: only calls that
 * are newer. The older ones are real already, so a search would find nothing but stale words.
 */
export function restoreNewer<F extends HiddenReturn>(
  frames: readonly F[],
  outer: Unwinding<F>,
  sp: number,
  words: StackWords,
): Unwinding<F> {
  const newer = frames.filter((frame) => frame.sp <= outer.sp);
  const restored = restoreReturns(newer, sp, words);
  return { ...outer, restored: [...outer.restored, ...restored] };
}

/** Hides again what {@linkcode restoreReturns} put back, for the frames that are still open. */
export function hideReturns<F extends HiddenReturn>(
  frames: readonly F[],
  restored: readonly RestoredReturn<F>[],
  words: StackWords,
): void {
  for (const { frame, slot } of restored) {
    if (frames.includes(frame)) words.write(slot, frame.hook);
  }
}
