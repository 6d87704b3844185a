/**
 * From a hart at a trampoline to the tracers, and back.
 *
 * Two paths lead there and leave the same registers, memory, events and times behind. On the guest
 * path the hart executes the real trampoline, which reaches a host-call stub. On the fast path a
 * hook at the trampoline's first instruction builds the same frame, runs the same handlers on it and
 * adds to `overhead` what the trampoline would have retired. Where the frame cannot be written the
 * fast path steps aside, so that the real trampoline faults as it must.
 *
 * Which tracers run is `function_core.ts`; frames and trampolines are `lib/trampoline`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { A0, A3, RA, SP, T1 } from "../../isa/abi.ts";
import type { Machine } from "../../machine/machine.ts";
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import { NOP4 } from "../../patcher/scheme.ts";
import type { FrameLayout } from "../../trampoline/frame.ts";
import { type FramePlace, FtraceRegs, returnFrame } from "../../trampoline/ftrace_regs.ts";
import { LIST_FRAME_RA } from "../../trampoline/list_func.ts";
import { applyPoison } from "../../trampoline/poison.ts";
import { hasLiveLink } from "./entry_liveness.ts";
import { FrameWords, low } from "./frame_words.ts";
import type { Recursion } from "./recursion.ts";
import type { Dispatch, TracingArea } from "./tracing_area.ts";

/** The handlers of traced entries that both paths lead to, and the recursion locks. */
export interface CallHandlers {
  /** A traced entry on the fast path, with its frame. Charges what lies behind the trampoline. */
  enter(
    hart: Hart,
    ip: number,
    sp: number,
    place: FramePlace,
    layout: FrameLayout,
    slot: number,
    by: Dispatch,
  ): void;
  /** A traced entry that has reached the stub of `slot`. */
  stub(
    hart: Hart,
    ip: number,
    sp: number,
    place: FramePlace,
    layout: FrameLayout,
    slot: number,
  ): void;
  /** An entry of a virtual site, with a frame made for it. */
  virtual(hart: Hart, record: DynFtrace, sp: number, place: FramePlace, layout: FrameLayout): void;
  /** The locks that the list and assist functions take. */
  readonly recursion: Recursion;
}

/** A traced return: gives where the hart goes on; `sp` is the hart's in its caller. */
export type LeaveHandler = (hart: Hart, sp: number, fregs: FtraceRegs) => bigint;

/** How the harts of one machine reach the handlers by executing code, and at virtual sites. */
export class CallPaths {
  readonly #machine: Machine;
  readonly #area: TracingArea;
  readonly #handlers: CallHandlers;
  readonly #frames: FrameWords;
  /** What {@linkcode CallPaths.showRegisters} lends. */
  readonly #shown: FtraceRegs;
  /** Where `ftrace_regs_caller` goes on behind its call. */
  readonly #regsBack: bigint | undefined;

  /** Connects stubs and the host calls of trampolines to the handlers. */
  constructor(machine: Machine, area: TracingArea, handlers: CallHandlers, leave: LeaveHandler) {
    const { symbols, regsFrame } = area.trampolines;
    this.#machine = machine;
    this.#area = area;
    this.#handlers = handlers;
    this.#frames = new FrameWords(machine.memory);
    this.#shown = new FtraceRegs(machine.memory, area.trampolines.frame, machine.space);
    this.#regsBack = regsFrame && regsCallBack(symbols.ftrace_regs_call);
    this.#serveLocks();
    this.#serveReturns(leave);
  }

  /** Makes the stub of a slot, a function of one instruction, reach {@linkcode CallHandlers.stub}. */
  serve(slot: number): void {
    const { frame, regsFrame } = this.#area.trampolines;
    this.#machine.hostCall(Number(this.#area.stub(slot)), (hart) => {
      const isFull = regsFrame && this.#trampolineBack(hart) === this.#regsBack;
      const layout = isFull ? regsFrame : frame;
      const place = placeOf(hart, hart.addressIn(A3), layout.size);
      this.#handlers.stub(hart, low(hart, A0), place.address + layout.size, place, layout, slot);
      goBack(hart);
    });
  }

  /** Calls the handlers at a virtual site, on a frame of ours: the guest's stack is not touched. */
  enterVirtual(hart: Hart, record: DynFtrace): void {
    const { trampolines: { frame, regsFrame, poison }, scratchFrame: at } = this.#area;
    const layout = regsFrame ?? frame;
    // A site with nops has them behind it when the tracer runs, as a patched one has.
    // A probe's breakpoint among them is for the hart to run into.
    const skip = record.after >= 8 && this.#areNops(Number(record.entry)) ? 8 : 0;
    if (skip > 0) hart.instret += 2n;
    // A handler's caller is whoever was interrupted: t1 is as live as all else.
    this.#frames.save(hart, at, layout, Number(record.entry) + skip, T1);
    const place = { offset: at, address: at, space: hart.space };
    this.#handlers.virtual(hart, record, hart.addressIn(SP), place, layout);
    this.#frames.restore(hart, at, layout);
    hart.pc = this.#machine.memory.view.getBigUint64(at + layout.epc, true);
    if (poison.x.length + poison.f.length > 0 && !hasLiveLink(record)) {
      applyPoison(poison, hart.x, hart.f);
    }
  }

  /**
   * Lends `use` a hart's registers, on a frame of ours. Of what it writes, a0 and a1 count where a
   * function returns; where a handler does, they are the interrupted code's.
   */
  showRegisters(hart: Hart, use: (fregs: FtraceRegs) => void, isReturn: boolean): void {
    const { trampolines: { frame, regsFrame }, scratchFrame: at } = this.#area;
    const layout = regsFrame ?? frame;
    this.#frames.save(hart, at, layout, Number(hart.pc), T1);
    this.#shown.point({ offset: at, address: at, space: hart.space }, layout);
    try {
      use(this.#shown);
    } finally {
      this.#shown.release();
    }
    if (!isReturn) return;
    for (const n of [0, 1]) this.#frames.take(at, layout.a0 + 8 * n, hart.x32, A0 + n);
  }

  /** Whether the site still has its two nops. */
  #areNops(entry: number): boolean {
    const { view } = this.#machine.memory;
    return view.getUint32(entry, true) === NOP4 && view.getUint32(entry + 4, true) === NOP4;
  }

  /** Where the trampoline goes on: behind its call, also when a list function lies between. */
  #trampolineBack(hart: Hart): bigint {
    const { ftrace_ops_list_back, ftrace_ops_assist_back } = this.#area.trampolines.symbols;
    const ra = hart.x[RA]!;
    if (ra !== ftrace_ops_list_back && ra !== ftrace_ops_assist_back) return ra;
    return hart.space.readWord(hart.x[SP]! + BigInt(LIST_FRAME_RA), 8) ?? 0n;
  }

  #serveLocks(): void {
    const { symbols } = this.#area.trampolines;
    const { recursion } = this.#handlers;
    this.#machine.hostCall(Number(symbols.ftrace_test_recursion_trylock), (hart) => {
      // ra tells whose lock it is: the list function comes first.
      const layer = hart.x[RA]! < symbols.ftrace_ops_assist_func ? "list" : "ftrace";
      hart.x[A0] = BigInt(recursion.trylock(hart.id, layer, low(hart, A0)));
      goBack(hart);
    });
    this.#machine.hostCall(Number(symbols.ftrace_test_recursion_unlock), (hart) => {
      recursion.unlock(hart.id, low(hart, A0));
      goBack(hart);
    });
  }

  #serveReturns(leave: LeaveHandler): void {
    const { memory, space } = this.#machine;
    const { symbols, returnFrame: layout } = this.#area.trampolines;
    const back = returnFrame(layout);
    const returned = new FtraceRegs(memory, back, space);
    this.#machine.hostCall(Number(symbols.ftrace_return_to_handler), (hart) => {
      const place = placeOf(hart, hart.addressIn(A0), back.size);
      returned.point(place, back);
      hart.x[A0] = BigInt.asIntN(64, leave(hart, place.address + back.size, returned));
      returned.release();
      goBack(hart);
    });
  }
}

function goBack(hart: Hart): void {
  hart.pc = BigInt.asUintN(64, hart.x[RA]!);
}

/** Where the frame of `size` bytes is that a hart has saved at an address. */
function placeOf({ flat, space }: Hart, address: number, size: number): FramePlace {
  const offset = flat ? address : space.offset(BigInt(address), size);
  return { offset, address, space };
}

function regsCallBack(pair: bigint | undefined): bigint | undefined {
  return pair === undefined ? undefined : pair + 8n;
}
