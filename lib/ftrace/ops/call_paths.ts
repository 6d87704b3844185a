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
import { A0, A1, A2, A3, RA, S0, SP, T0, T1, T4 } from "../../isa/abi.ts";
import type { ThunkWriter } from "../../engine/thunk.ts";
import type { Hart } from "../../hart/hart.ts";
import type { Machine } from "../../machine/machine.ts";
import { PAGE_SIZE, WRITE } from "../../memory/page.ts";
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import { NOP4 } from "../../patcher/scheme.ts";
import type { PathCost } from "../../trampoline/caller.ts";
import type { FrameLayout } from "../../trampoline/frame.ts";
import { type FramePlace, FtraceRegs, returnFrame } from "../../trampoline/ftrace_regs.ts";
import { LIST_FRAME, LIST_FRAME_RA } from "../../trampoline/list_func.ts";
import { applyPoison } from "../../trampoline/poison.ts";
import { type RecordingState, writeRecordingThunk } from "./recording_thunk.ts";
import type { Recursion } from "./recursion.ts";
import { type Dispatch, LITERAL_OFFSET, OPS_SLOT, type TracingArea } from "./tracing_area.ts";

/** A call on its way to the tracers. One object, filled anew for each call. */
export interface TracedCall {
  /** The hart that makes it. */
  hart: Hart;
  /** The site. */
  record: DynFtrace;
  /** The site as the era names it. */
  ip: bigint;
  /** The return address of the traced function at its entry. */
  parentIp: bigint;
  /** The hart's stack pointer at the site: a signed address, as a number. */
  sp: number;
  /** The saved registers. */
  fregs: FtraceRegs;
}

/** What a hart at a trampoline is led to. */
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
  /** A traced return; gives where the hart goes on. */
  leave(hart: Hart, sp: number, fregs: FtraceRegs): bigint;
}

/** How harts reach the handlers. */
export interface CallPaths {
  /** Makes the stub of a slot reach {@linkcode CallHandlers.stub}. */
  serve(slot: number): void;
  /** Calls the handlers at a virtual site. */
  enterVirtual(hart: Hart, record: DynFtrace): void;
}

/** Connects trampolines and stubs to the handlers; `guest` leaves it to the real trampolines. */
export function createCallPaths(
  machine: Machine,
  area: TracingArea,
  handlers: CallHandlers,
  recording: RecordingState,
  guest: boolean,
): CallPaths {
  const { memory, engine, space } = machine;
  const { view } = memory;
  const { trampolines } = area;
  const { symbols, frame, regsFrame, cost } = trampolines;
  const { poison } = trampolines;
  const isPoisoned = poison.x.length + poison.f.length > 0;
  const back = returnFrame(trampolines.returnFrame);
  const returned = new FtraceRegs(memory, back, machine.space);

  // Frames are aligned, so words of a typed array reach them: V8 is slow at DataView beyond 2 GiB.
  const words = new Int32Array(memory.guest.buffer);
  const put = (at: number, offset: number | undefined, x32: Int32Array, register: number) => {
    if (offset === undefined) return;
    const to = (at + offset) >>> 2;
    words[to] = x32[register * 2]!;
    words[to + 1] = x32[register * 2 + 1]!;
  };
  const take = (at: number, offset: number | undefined, x32: Int32Array, register: number) => {
    if (offset === undefined) return;
    const from = (at + offset) >>> 2;
    x32[register * 2] = words[from]!;
    x32[register * 2 + 1] = words[from + 1]!;
  };
  const save = ({ x32 }: Hart, at: number, layout: FrameLayout, epc: number) => {
    if (layout.full) { for (let n = 1; n < 32; n++) put(at, 8 * n, x32, n); }
    put(at, layout.ra, x32, RA);
    put(at, layout.sp, x32, SP);
    put(at, layout.s0, x32, S0);
    for (let n = 0; n < 8; n++) put(at, layout.a0 + 8 * n, x32, A0 + n);
    // x0 is what a trampoline without a direct call leaves in the slot of t1.
    put(at, layout.t1, x32, 0);
    words[(at + layout.epc) >>> 2] = epc;
    words[(at + layout.epc + 4) >>> 2] = 0;
  };
  const restore = ({ x32 }: Hart, at: number, layout: FrameLayout) => {
    if (layout.full) { for (let n = 1; n < 32; n++) if (n !== SP) take(at, 8 * n, x32, n); }
    take(at, layout.ra, x32, RA);
    take(at, layout.s0, x32, S0);
    for (let n = 0; n < 8; n++) take(at, layout.a0 + 8 * n, x32, A0 + n);
  };
  /** Whether the fast path can build a frame there; if not, the real trampoline is to. */
  const isUsable = (at: number, size: number): boolean => {
    const { permissions } = memory;
    return at >= 0 && at % 8 === 0 && (permissions[Math.floor(at / PAGE_SIZE)]! & WRITE) !== 0 &&
      (permissions[Math.floor((at + size - 1) / PAGE_SIZE)]! & WRITE) !== 0;
  };

  /** Frames of flat harts are found where their address says. */
  const flatPlace = (at: number): FramePlace => ({ offset: at, address: at, space });
  /** Both entries: what the trampoline does, without executing it. */
  const enterFast = (hart: Hart, layout: FrameLayout, price: PathCost) => {
    const sp = low(hart, SP);
    const at = sp - layout.size;
    // A frame that cannot be written, or a site that is called directly, is the trampoline's affair.
    if (!hart.flat || high(hart, SP) !== 0 || !isUsable(at, layout.size)) return;
    const ip = low(hart, T0) - trampolines.ipOffset;
    const slot = area.slotAt(ip);
    if (slot === undefined || area.literals && area.isDirect(slot)) return;
    const by = area.literals ? (slot === OPS_SLOT.list ? "list" : "direct") : area.sharedBy;
    if (by !== "direct" && !isUsable(at - LIST_FRAME, LIST_FRAME)) return;
    save(hart, at, layout, low(hart, T0));
    if (layout.full) view.setBigInt64(at + 16, BigInt(at), true);
    if (layout.full) view.setBigInt64(at + 40, hart.x[T0]!, true);
    // The callee's first instruction is in the price; the list and the assist function have their own.
    hart.charge(by === "direct" ? price.before : price.before - 1);
    if (slot !== OPS_SLOT.nop) handlers.enter(hart, ip, sp, flatPlace(at), layout, slot, by);
    hart.charge(price.after);
    restore(hart, at, layout);
    if (layout.full) hart.x[SP] = view.getBigInt64(at + 16, true) + BigInt(layout.size);
    if (trampolines.clobbersT4 && !layout.full) hart.x[T4] = BigInt(sp);
    const { x32 } = hart;
    take(at, layout.epc, x32, T0);
    take(at, layout.t1, x32, T1);
    const direct = layout.t1 !== undefined && (x32[T1 * 2] !== 0 || x32[T1 * 2 + 1] !== 0);
    hart.goToRegister(direct ? T1 : T0);
    if (isPoisoned && !direct) applyPoison(poison, hart.x, hart.f);
  };
  const leaveFast = (hart: Hart) => {
    const sp = low(hart, SP);
    const at = sp - back.size;
    if (!hart.flat || high(hart, SP) !== 0 || !isUsable(at, back.size)) return;
    const { ra, s0, a0, a1 } = trampolines.returnFrame;
    const { x32 } = hart;
    put(at, ra, x32, RA);
    put(at, s0, x32, S0);
    put(at, a0, x32, A0);
    put(at, a1, x32, A1);
    hart.charge(cost.returnToHandler.before);
    returned.point(flatPlace(at), back);
    const target = handlers.leave(hart, sp, returned);
    hart.charge(cost.returnToHandler.after);
    take(at, s0, x32, S0);
    take(at, a0, x32, A0);
    take(at, a1, x32, A1);
    hart.x[A2] = BigInt.asIntN(64, target);
    hart.x[RA] = symbols.return_to_handler_end;
    hart.pc = target;
  };
  if (!guest) {
    const entry = Number(symbols.ftrace_caller);
    const emit = (thunk: ThunkWriter) => {
      const literalOffset = area.literals ? LITERAL_OFFSET : undefined;
      const { ipOffset, clobbersT4 } = trampolines;
      const caller = { frame, cost: cost.caller, ipOffset, literalOffset, clobbersT4 };
      writeRecordingThunk(thunk, caller, recording);
    };
    // The recording thunk knows nothing of poison.
    engine.hook(entry, {
      host: (hart) => enterFast(hart, frame, cost.caller),
      ...(isPoisoned ? {} : { emit }),
    });
    engine.hook(Number(symbols.return_to_handler), { host: leaveFast });
    if (symbols.ftrace_regs_caller !== undefined && regsFrame && cost.regsCaller) {
      const regs = Number(symbols.ftrace_regs_caller);
      const price = cost.regsCaller;
      engine.hook(regs, { host: (hart) => enterFast(hart, regsFrame, price) });
    }
  }

  /** Whether the site still has its two nops. */
  const areNops = (entry: number) =>
    view.getUint32(entry, true) === NOP4 && view.getUint32(entry + 4, true) === NOP4;

  // The guest path: a stub is a function of one instruction, so it returns to ra.
  const regsBack = regsFrame && regsCallBack(symbols.ftrace_regs_call);
  const { ftrace_ops_list_back, ftrace_ops_assist_back } = symbols;
  /** Where the trampoline goes on: behind its call, also when a list function lies between. */
  const trampolineBack = (hart: Hart): bigint => {
    const ra = hart.x[RA]!;
    if (ra !== ftrace_ops_list_back && ra !== ftrace_ops_assist_back) return ra;
    return hart.space.readWord(hart.x[SP]! + BigInt(LIST_FRAME_RA), 8) ?? 0n;
  };
  const goBack = (hart: Hart) => {
    hart.pc = BigInt.asUintN(64, hart.x[RA]!);
  };
  const serve = (slot: number) => {
    machine.hostCall(Number(area.stub(slot)), (hart) => {
      const layout = regsFrame && trampolineBack(hart) === regsBack ? regsFrame : frame;
      const place = placeOf(hart, hart.addressIn(A3), layout.size);
      handlers.stub(hart, low(hart, A0), place.address + layout.size, place, layout, slot);
      goBack(hart);
    });
  };
  machine.hostCall(Number(symbols.ftrace_test_recursion_trylock), (hart) => {
    // ra tells whose lock it is: the list function comes first.
    const layer = hart.x[RA]! < symbols.ftrace_ops_assist_func ? "list" : "ftrace";
    hart.x[A0] = BigInt(handlers.recursion.trylock(hart.id, layer, low(hart, A0)));
    goBack(hart);
  });
  machine.hostCall(Number(symbols.ftrace_test_recursion_unlock), (hart) => {
    handlers.recursion.unlock(hart.id, low(hart, A0));
    goBack(hart);
  });
  machine.hostCall(Number(symbols.ftrace_return_to_handler), (hart) => {
    const place = placeOf(hart, hart.addressIn(A0), back.size);
    returned.point(place, back);
    hart.x[A0] = BigInt.asIntN(64, handlers.leave(hart, place.address + back.size, returned));
    hart.pc = BigInt.asUintN(64, hart.x[RA]!);
  });

  return {
    serve,
    enterVirtual(hart, record) {
      const at = area.scratchFrame;
      const layout = regsFrame ?? frame;
      // A site with nops has them behind it when the tracer runs, as a patched one has.
      // A probe's breakpoint among them is for the hart to run into.
      const skip = record.after >= 8 && areNops(Number(record.entry)) ? 8 : 0;
      if (skip > 0) hart.instret += 2n;
      const epc = Number(record.entry) + skip;
      save(hart, at, layout, epc);
      const place = { offset: at, address: at, space: hart.space };
      handlers.virtual(hart, record, hart.addressIn(SP), place, layout);
      restore(hart, at, layout);
      hart.pc = view.getBigUint64(at + layout.epc, true);
      if (isPoisoned) applyPoison(poison, hart.x, hart.f);
    },
  };
}

/** Where the frame of `size` bytes is that a hart has saved at an address. */
function placeOf({ flat, space }: Hart, address: number, size: number): FramePlace {
  const offset = flat ? address : space.offset(BigInt(address), size);
  return { offset, address, space };
}

function regsCallBack(pair: bigint | undefined): bigint | undefined {
  return pair === undefined ? undefined : pair + 8n;
}

function low(hart: Hart, register: number): number {
  return hart.x32[register * 2]! >>> 0;
}

function high(hart: Hart, register: number): number {
  return hart.x32[register * 2 + 1]!;
}
