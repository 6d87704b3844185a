/**
 * Which of the guest's stacks a hart is on, and the shadow stack of each that has hooked returns.
 *
 * A kernel knows its tasks; here nobody says what a task is, and the stacks of a small RTOS lie side
 * by side in one array. So a stack is known by what happens to sp. As long as only calls, returns and
 * allocations move it, a hart stays where it is; where the guest loads sp from elsewhere
 * (`stack_switches.ts` tells of that) it has left one stack at an address and goes on at another: on
 * the stack that was left exactly there, or on the one whose frames lie around that place (after a
 * longjmp), or on a new one. What lies below that place on the same stack is dead, what lies on
 * another one waits.
 *
 * A stack is forgotten when it has no frames. That its memory serves somebody else shows when frames
 * of the stack in use come to lie over its own.
 *
 * What a frame is, and what pops it, is `return_hooks.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { Machine } from "../../machine/machine.ts";
import type { HiddenReturn, ShadowStack } from "./shadow_stack.ts";

/** A guest stack as this module sees it; who keeps frames on it adds what it needs. */
export interface StackPlace<F extends HiddenReturn = HiddenReturn> extends ShadowStack<F> {
  /** Number of the stack, as small as can be: free again when it has no frames. */
  readonly id: number;
  /**
   * The stack pointer when a hart was last seen on the stack, or left it. What has been pushed since
   * lies below.
   */
  low: number;
  /** Whether it must be kept although it has no frames. */
  isInUse(): boolean;
}

/** The guest stacks of one machine. */
export class GuestStacks<S extends StackPlace> {
  readonly #machine: Pick<Machine, "stackIdentity">;
  readonly #make: (id: number, identity: number) => S;
  /** By number; a hole is a number that is free. */
  readonly #stacks: (S | undefined)[] = [];
  /** By number of the hart: the stack that it is on, as far as is known. */
  readonly #current: (S | undefined)[] = [];
  /** By number of the hart and identity: stacks that it left while nobody saw it. */
  readonly #leftUnseen: (Map<number, S> | undefined)[] = [];
  #count = 0;

  /** Starts without stacks; `make` makes one. */
  constructor(
    machine: Pick<Machine, "stackIdentity">,
    make: (id: number, identity: number) => S,
  ) {
    this.#machine = machine;
    this.#make = make;
  }

  /** Every stack that is known. */
  *[Symbol.iterator](): Iterator<S> {
    for (const stack of this.#stacks) if (stack) yield stack;
  }

  /** Whether there is more than one. */
  get areSeveral(): boolean {
    return this.#count > 1;
  }

  /** The stack that a hart is on now, its stack pointer at `sp`. */
  at(hart: Hart, sp: number): S {
    const identity = this.#machine.stackIdentity(hart, sp);
    const current = this.#current[hart.id];
    if (current && current.identity === identity) return current;
    // Nobody saw the switch: to a signal's stack, say.
    const found = this.#unseenOf(hart, identity) ?? this.#around(hart, identity, sp) ??
      this.#add(identity);
    if (current) (this.#leftUnseen[hart.id] ??= new Map()).set(current.identity, current);
    this.#enter(hart, found);
    return found;
  }

  /** The stack that an address of a hart's lies on, as {@linkcode at} gives it, while nothing moves. */
  peek(hart: Hart, sp: number): S | undefined {
    const identity = this.#machine.stackIdentity(hart, sp);
    const current = this.#current[hart.id];
    if (current && current.identity === identity) return current;
    return this.#unseenOf(hart, identity) ?? this.#around(hart, identity, sp);
  }

  /**
   * A hart has loaded its stack pointer, which was `from`, with `to`; `isJump` says that a longjmp did
   * it. Only a longjmp goes up on the same stack past open calls: whatever else loads an address inside
   * a stack has found memory for another one there, such as an array in a frame.
   */
  switched(hart: Hart, from: number, to: number, isJump: boolean): void {
    const current = this.#current[hart.id];
    if (current) current.low = from;
    const identity = this.#machine.stackIdentity(hart, to);
    let found = this.#leftAt(identity, to) ?? this.#around(hart, identity, to);
    if (found && found === current && !isJump && found.frames.at(-1)!.sp < to) found = undefined;
    if (!found && !current) return;
    const next = found ?? this.#add(identity);
    this.#enter(hart, next);
    next.low = to;
  }

  /** Makes a hart go on a stack, because a frame of it is where the hart has come back to. */
  adopt(hart: Hart, stack: S): void {
    this.#enter(hart, stack);
  }

  /**
   * Where frames of other stacks begin that cannot be alive, because a hart that is on `stack` has
   * pushed something from its last place down to `sp`: each stack with the index of its outermost
   * dead frame.
   */
  *overwrittenBy(stack: S, sp: number): Iterable<readonly [S, number]> {
    const high = Math.max(sp, stack.low);
    for (const other of this) {
      if (other === stack || other.frames.length === 0 || this.#current.includes(other)) continue;
      if (other.frames.at(-1)!.sp > high || other.frames[0]!.sp < sp) continue;
      const first = other.frames.findIndex((frame) => frame.sp >= sp && frame.sp <= high);
      if (first >= 0) yield [other, first];
    }
  }

  #enter(hart: Hart, stack: S): void {
    const left = this.#current[hart.id];
    this.#current[hart.id] = stack;
    if (left && left !== stack) this.dropIfEmpty(left);
  }

  /** Forgets a stack that has no frames, unless a hart is on it. */
  dropIfEmpty(stack: S): void {
    if (stack.frames.length > 0 || stack.isInUse() || this.#current.includes(stack)) return;
    if (this.#stacks[stack.id] !== stack) return;
    this.#stacks[stack.id] = undefined;
    this.#count--;
  }

  #add(identity: number): S {
    let id = 0;
    while (this.#stacks[id]) id++;
    const stack = this.#make(id, identity);
    this.#stacks[id] = stack;
    this.#count++;
    return stack;
  }

  /** The stack that was left with its stack pointer at `sp`. */
  #leftAt(identity: number, sp: number): S | undefined {
    for (const stack of this) {
      if (stack.identity === identity && stack.low === sp && !this.#current.includes(stack)) {
        return stack;
      }
    }
    return undefined;
  }

  /** The smallest stack whose part in use, as far as frames show it, has `sp` in it. */
  #around(hart: Hart, identity: number, sp: number): S | undefined {
    let best: S | undefined;
    let size = Infinity;
    for (const stack of this) {
      const [outermost] = stack.frames;
      if (stack.identity !== identity || !outermost) continue;
      if (stack !== this.#current[hart.id] && this.#current.includes(stack)) continue;
      if (sp < stack.low || sp > outermost.sp || outermost.sp - stack.low >= size) continue;
      best = stack;
      size = outermost.sp - stack.low;
    }
    return best;
  }

  /** The stack of that identity that the hart left while nobody saw it. */
  #unseenOf(hart: Hart, identity: number): S | undefined {
    const stack = this.#leftUnseen[hart.id]?.get(identity);
    return stack && this.#stacks[stack.id] === stack && !this.#current.includes(stack)
      ? stack
      : undefined;
  }
}
