/**
 * rethook: returns of functions caught one by one, for kretprobes (`kernel/trace/rethook.c`).
 *
 * ra is replaced by `arch_rethook_trampoline`; when a hart comes there, every node that waits for
 * that return is told, the newest first, and the hart goes on at what was in ra before: the caller,
 * or the graph tracer's hook.
 *
 * Where frames are kept is `return_hooks.ts`; who waits for a return is `kretprobe.ts`; the code is
 * `lib/trampoline/rethook_trampoline.ts`.
 *
 * @module
 */
import { A0, RA, SP } from "../../isa/abi.ts";
import type { Hart } from "../../hart/hart.ts";
import type { Machine } from "../../machine/machine.ts";
import { EXECUTE, PAGE_SIZE, READ } from "../../memory/page.ts";
import { REGS_FRAME } from "../../trampoline/frame.ts";
import { FtraceRegs, type PtRegs } from "../../trampoline/ftrace_regs.ts";
import {
  buildRethookTrampoline,
  type RethookTrampoline,
} from "../../trampoline/rethook_trampoline.ts";
import type { GuestStack, ReturnFrame, ReturnHooks } from "./return_hooks.ts";

/** One return that is waited for (`struct rethook_node`). */
export interface RethookNode {
  /** The function returns: to `returnAddress`, with these registers. Writing them counts. */
  onReturn(regs: PtRegs, returnAddress: bigint): void;
  /** The node is of no more use: returned, or left by a jump. */
  release(): void;
}

/** Puts `arch_rethook_trampoline` into the tracing range. @throws {RangeError} If that is full. */
export function placeRethookTrampoline({ memory, tracing }: Machine): RethookTrampoline {
  const text = tracing.allocate(PAGE_SIZE, READ | EXECUTE);
  const built = buildRethookTrampoline(BigInt(text));
  memory.poke(text, built.bytes);
  return built;
}

/** A node's place among the hooked returns. */
class RethookFrame implements ReturnFrame {
  readonly isGraph = false;
  readonly ending = "hook";
  readonly hook: bigint;
  readonly returnAddress: bigint;
  readonly sp: number;
  readonly node: RethookNode;

  constructor(hook: bigint, returnAddress: bigint, sp: number, node: RethookNode) {
    this.hook = hook;
    this.returnAddress = returnAddress;
    this.sp = sp;
    this.node = node;
  }

  left(): void {
    this.node.release();
  }
}

/** The returns of one machine that kretprobes wait for. */
export class Rethook {
  readonly #hooks: ReturnHooks;
  readonly #regs: FtraceRegs;

  /** Serves the trampoline whose C function is at `trampoline.arch_rethook_trampoline_callback`. */
  constructor(machine: Machine, hooks: ReturnHooks, trampoline: RethookTrampoline) {
    this.#hooks = hooks;
    this.#regs = new FtraceRegs(machine.memory, REGS_FRAME, machine.space);
    machine.hostCall(Number(trampoline.arch_rethook_trampoline_callback), (hart) => {
      hart.x[A0] = BigInt.asIntN(64, this.#comeBack(hart));
      hart.pc = BigInt.asUintN(64, hart.x[RA]!);
    });
  }

  /** Address of `arch_rethook_trampoline`: what a hooked ra holds. */
  get trampoline(): bigint {
    return this.#hooks.rethookTrampoline;
  }

  /** Hooks a return at a function's entry: `sp` is the hart's there, and ra is changed in `regs`. */
  hook(hart: Hart, sp: number, regs: PtRegs, node: RethookNode): void {
    const hooks = this.#hooks;
    const returnAddress = regs.x(RA);
    const stack = hooks.arrive(hart, sp, returnAddress, false);
    hooks.push(stack, new RethookFrame(this.trampoline, returnAddress, sp, node));
    regs.setX(RA, this.trampoline);
  }

  /**
   * A hooked function has returned; the frame of the trampoline lies at a0. Gives where to go on.
   *
   * @throws {RangeError} If no node waits for a return there: the guest made it up.
   */
  #comeBack(hart: Hart): bigint {
    const at = hart.addressIn(A0);
    const sp = at + REGS_FRAME.size;
    const stack = this.#hooks.comeBack(hart, sp, false);
    const frames = [this.#take(hart, stack, sp)];
    while (frames.at(-1)!.returnAddress === this.trampoline) {
      frames.push(this.#take(hart, stack, sp));
    }
    const { returnAddress } = frames.at(-1)!;
    const real = this.#hooks.realReturnAt(stack, returnAddress, sp);
    const offset = hart.flat ? at : hart.space.offset(BigInt(at), REGS_FRAME.size);
    this.#regs.point({ offset, address: at, space: hart.space }, REGS_FRAME);
    const regs = this.#regs.getRegs()!;
    regs.epc = real;
    regs.setX(SP, BigInt(sp));
    for (const { node } of frames) {
      node.onReturn(regs, real);
      node.release();
    }
    return returnAddress;
  }

  #take(hart: Hart, stack: GuestStack, sp: number): RethookFrame {
    const frame = this.#hooks.take(hart, stack, this.trampoline, sp);
    if (frame instanceof RethookFrame) return frame;
    throw new RangeError(
      "Cannot return to the caller: a hart came to arch_rethook_trampoline at sp " +
        `0x${sp.toString(16)} and no kretprobe waits for a return there`,
    );
  }
}
