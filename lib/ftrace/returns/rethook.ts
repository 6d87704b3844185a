/**
 * rethook: returns of functions caught one by one, for kretprobes (`kernel/trace/rethook.c`).
 *
 * ra is replaced by `arch_rethook_trampoline` and kept on a list beside the guest's stack. As with
 * the graph tracer, which may have hidden the same return before or after, frames are known by the
 * stack pointer at their entry, those that a program jumps out of are dropped, and an unwinder of
 * the guest's is shown the real addresses.
 *
 * Who waits for a return is `kretprobe.ts`; the code is `lib/trampoline/rethook.ts`.
 *
 * @module
 */
import { A0, RA, SP } from "../../isa/abi.ts";
import type { Hart } from "../../hart/hart.ts";
import type { Machine } from "../../machine/machine.ts";
import { EXECUTE, PAGE_SIZE, READ } from "../../memory/page.ts";
import { REGS_FRAME } from "../../trampoline/frame.ts";
import { FtraceRegs, type PtRegs } from "../../trampoline/ftrace_regs.ts";
import { buildRethookTrampoline } from "../../trampoline/rethook.ts";
import {
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

/** One return that is waited for (`struct rethook_node`). */
export interface RethookNode {
  /** Where the function returns to; the trampoline itself if another node waits for the same return. */
  readonly returnAddress: bigint;
  /** The hart's stack pointer at the entry. */
  readonly sp: number;
  /** The function returns: to `returnAddress`, with these registers. Writing them counts. */
  onReturn(regs: PtRegs, returnAddress: bigint): void;
  /** The node is of no more use: returned, or left by a jump. */
  release(): void;
}

/** Hooked returns of one machine. */
export interface Rethook {
  /** Address of the trampoline. */
  readonly trampoline: bigint;
  /** Hooks a return at a function's entry: `sp` is the hart's there, and ra is changed in `regs`. */
  hook(hart: Hart, sp: number, regs: PtRegs, node: Pick<RethookNode, "onReturn" | "release">): void;
  /** The value that was in ra before it was hooked at an entry with this sp. */
  behind(hart: Hart, value: bigint, sp: number): bigint;
  /** All that was replaced in ra at an entry with this sp, oldest first. */
  returnsAt(hart: Hart, sp: number): readonly bigint[];
  /** The guest's unwinder is about to run: shows it the real return addresses. */
  beginUnwinding(hart: Hart): void;
  /** It has ended: hides them again. */
  endUnwinding(hart: Hart): void;
}

/** What {@linkcode createRethook} needs of its surroundings. */
export interface RethookHost {
  /** The machine. */
  readonly machine: Machine;
  /** Whether a return address at an entry leads to the trampoline through the graph tracer's hook. */
  leadsTo(hart: Hart, value: bigint, sp: number, target: bigint): boolean;
  /** The real return address behind hooks of both kinds. */
  realReturn(hart: Hart, value: bigint, sp: number): bigint;
}

/** Puts the trampoline into the tracing range. */
export function createRethook({ machine, leadsTo, realReturn }: RethookHost): Rethook {
  const { memory } = machine;
  const text = machine.tracing.allocate(PAGE_SIZE, READ | EXECUTE);
  const built = buildRethookTrampoline(BigInt(text));
  memory.poke(text, built.bytes);
  const trampoline = built.arch_rethook_trampoline;
  const stacks: ShadowStack<RethookNode>[][] = [];
  const fregs = new FtraceRegs(memory, REGS_FRAME, machine.space);
  let unwinding: Unwinding<RethookNode> | undefined;

  const stackOf = (hart: Hart, sp: number): ShadowStack<RethookNode> => {
    const identity = machine.stackIdentity(hart, sp);
    const mine = stacks[hart.id] ??= [];
    let stack = mine.find((each) => each.identity === identity);
    if (!stack) mine.push(stack = { identity, frames: [] });
    return stack;
  };
  const release = (nodes: readonly RethookNode[]) => nodes.forEach((node) => node.release());
  const finishUnwinding = (
    hart: Hart,
    stack: ShadowStack<RethookNode>,
    sp: number,
    tailCall: boolean,
  ) => {
    if (!unwinding || stack !== unwinding.stack || sp < unwinding.sp) return;
    release(popDeadAtEntry(stack, sp, tailCall));
    hideReturns(stack, unwinding.restored, trampoline, wordsOf(hart));
    unwinding = undefined;
  };

  /** A hooked function has returned; the frame of the trampoline lies at a0. */
  const comeBack = (hart: Hart): bigint => {
    const at = hart.addressIn(A0);
    const sp = at + REGS_FRAME.size;
    const stack = stackOf(hart, sp);
    release(popDeadAtReturn(stack, sp));
    const nodes: RethookNode[] = [];
    do {
      const node = stack.frames.at(-1);
      if (!node || node.sp !== sp) {
        throw new RangeError(
          "Cannot return to the caller: a hart came to arch_rethook_trampoline at sp " +
            `0x${sp.toString(16)} and no kretprobe waits for a return there`,
        );
      }
      nodes.push(node);
      stack.frames.pop();
    } while (nodes.at(-1)!.returnAddress === trampoline);
    const { returnAddress } = nodes.at(-1)!;
    const real = realReturn(hart, returnAddress, sp);
    const offset = hart.flat ? at : hart.space.offset(BigInt(at), REGS_FRAME.size);
    fregs.point({ offset, address: at, space: hart.space }, REGS_FRAME);
    const regs = fregs.getRegs()!;
    regs.epc = real;
    regs.setX(SP, BigInt(sp));
    for (const node of nodes) {
      node.onReturn(regs, real);
      node.release();
    }
    return returnAddress;
  };
  machine.hostCall(Number(built.arch_rethook_trampoline_callback), (hart) => {
    hart.x[A0] = BigInt.asIntN(64, comeBack(hart));
    hart.pc = BigInt.asUintN(64, hart.x[RA]!);
  });

  const behind = (hart: Hart, value: bigint, sp: number): bigint => {
    if (value !== trampoline) return value;
    const node = stackOf(hart, sp).frames.findLast((each) =>
      each.sp === sp && each.returnAddress !== trampoline
    );
    return node?.returnAddress ?? value;
  };

  return {
    trampoline,
    behind,
    returnsAt: (hart, sp) =>
      stackOf(hart, sp).frames.filter((node) => node.sp === sp)
        .map(({ returnAddress }) => returnAddress),
    hook(hart, sp, regs, { onReturn, release: released }) {
      const stack = stackOf(hart, sp);
      const returnAddress = regs.x(RA);
      const tailCall = leadsTo(hart, returnAddress, sp, trampoline);
      finishUnwinding(hart, stack, sp, tailCall);
      release(popDeadAtEntry(stack, sp, tailCall));
      stack.frames.push({ returnAddress, sp, onReturn, release: released });
      regs.setX(RA, trampoline);
    },
    beginUnwinding(hart) {
      const sp = stackPointer(hart);
      const stack = stackOf(hart, sp);
      finishUnwinding(hart, stack, sp, false);
      const words = wordsOf(hart);
      const outer = unwinding;
      unwinding = outer?.stack === stack
        ? restoreNewer(outer, sp, trampoline, words)
        : { sp, stack, restored: restoreReturns(stack, sp, trampoline, words) };
      for (
        const { frame, slot } of unwinding.restored.slice(
          outer?.stack === stack ? outer.restored.length : 0,
        )
      ) {
        // What stood there before may be the graph tracer's hook.
        words.write(slot, realReturn(hart, trampoline, frame.sp));
      }
      const ra = BigInt.asUintN(64, hart.x[RA]!);
      if (ra === trampoline) hart.x[RA] = realReturn(hart, ra, sp);
    },
    endUnwinding(hart) {
      const sp = stackPointer(hart);
      finishUnwinding(hart, stackOf(hart, sp), sp, false);
    },
  };
}
