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
import type { Hart } from "../hart/hart.ts";
import type { Machine } from "../machine/machine.ts";
import { WRITE } from "../memory/memory.ts";
import type { DynFtrace } from "../patcher/dyn_ftrace.ts";
import type { PathCost } from "../trampoline/caller.ts";
import type { FrameLayout } from "../trampoline/frame.ts";
import { FtraceRegs, returnFrame } from "../trampoline/ftrace_regs.ts";
import { type RecordingState, writeRecordingThunk } from "./recording_thunk.ts";
import { LITERAL_OFFSET, OPS_SLOT, type TracingArea } from "./tracing_area.ts";

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
  /** The hart's stack pointer at the site. */
  sp: number;
  /** The saved registers. */
  fregs: FtraceRegs;
}

/** What a hart at a trampoline is led to. */
export interface CallHandlers {
  /** A traced entry through the stub of `slot`; the frame lies at `at`. */
  entry(hart: Hart, ip: number, sp: number, at: number, layout: FrameLayout, slot: number): void;
  /** The same at a virtual site. */
  virtual(hart: Hart, record: DynFtrace, sp: number, at: number, layout: FrameLayout): void;
  /** A traced return; gives where the hart goes on. */
  leave(hart: Hart, sp: number, fregs: FtraceRegs): bigint;
}

/** How harts reach the handlers. */
export interface CallPaths {
  /** Makes the stub of a slot reach {@linkcode CallHandlers.entry}. */
  serve(slot: number): void;
  /** Calls the handlers at a virtual site. */
  enterVirtual(hart: Hart, record: DynFtrace): void;
}

const RA = 1;
const SP = 2;
const T0 = 5;
const T1 = 6;
const S0 = 8;
const A0 = 10;
const A1 = 11;
const A2 = 12;
const A3 = 13;
const T4 = 29;

/** Connects trampolines and stubs to the handlers; `guest` leaves it to the real trampolines. */
export function createCallPaths(
  machine: Machine,
  area: TracingArea,
  handlers: CallHandlers,
  recording: RecordingState,
  guest: boolean,
): CallPaths {
  const { memory, engine } = machine;
  const { view } = memory;
  const { trampolines } = area;
  const { symbols, frame, regsFrame, cost } = trampolines;
  const back = returnFrame(trampolines.returnFrame);
  const returned = new FtraceRegs(memory, back);

  const save = (hart: Hart, at: number, layout: FrameLayout, epc: number) => {
    const { x32 } = hart;
    const put = (offset: number | undefined, register: number) => {
      if (offset === undefined) return;
      view.setInt32(at + offset, x32[register * 2]!, true);
      view.setInt32(at + offset + 4, x32[register * 2 + 1]!, true);
    };
    if (layout.full) { for (let n = 1; n < 32; n++) put(8 * n, n); }
    put(layout.ra, RA);
    put(layout.sp, SP);
    put(layout.s0, S0);
    for (let n = 0; n < 8; n++) put(layout.a0 + 8 * n, A0 + n);
    if (layout.t1 !== undefined) view.setBigInt64(at + layout.t1, 0n, true);
    view.setUint32(at + layout.epc, epc, true);
    view.setUint32(at + layout.epc + 4, 0, true);
  };
  const restore = (hart: Hart, at: number, layout: FrameLayout) => {
    const { x32 } = hart;
    const take = (offset: number | undefined, register: number) => {
      if (offset === undefined) return;
      x32[register * 2] = view.getInt32(at + offset, true);
      x32[register * 2 + 1] = view.getInt32(at + offset + 4, true);
    };
    if (layout.full) { for (let n = 1; n < 32; n++) if (n !== SP) take(8 * n, n); }
    take(layout.ra, RA);
    take(layout.s0, S0);
    for (let n = 0; n < 8; n++) take(layout.a0 + 8 * n, A0 + n);
  };

  /** Both entries: what the trampoline does, without executing it. */
  const enterFast = (hart: Hart, layout: FrameLayout, price: PathCost) => {
    const sp = low(hart, SP);
    const at = sp - layout.size;
    // A frame that cannot be written, or a site that is called directly, is the trampoline's affair.
    if (high(hart, SP) !== 0 || at < 0 || !memory.allows(BigInt(at), layout.size, WRITE)) return;
    const ip = low(hart, T0) - trampolines.ipOffset;
    const slot = area.slotAt(ip);
    if (slot === undefined) return;
    save(hart, at, layout, low(hart, T0));
    if (layout.full) view.setBigInt64(at + 16, BigInt(at), true);
    if (layout.full) view.setBigInt64(at + 40, hart.x[T0]!, true);
    hart.overhead += BigInt(price.before);
    if (slot !== OPS_SLOT.nop) handlers.entry(hart, ip, sp, at, layout, slot);
    hart.overhead += BigInt(price.after);
    restore(hart, at, layout);
    if (layout.full) hart.x[SP] = view.getBigInt64(at + 16, true) + BigInt(layout.size);
    if (trampolines.clobbersT4 && !layout.full) hart.x[T4] = BigInt(sp);
    hart.x[T0] = view.getBigInt64(at + layout.epc, true);
    const direct = layout.t1 === undefined ? 0n : view.getBigInt64(at + layout.t1, true);
    if (layout.t1 !== undefined) hart.x[T1] = direct;
    hart.pc = BigInt.asUintN(64, direct === 0n ? hart.x[T0]! : direct);
  };
  const leaveFast = (hart: Hart) => {
    const sp = low(hart, SP);
    const at = sp - back.size;
    if (high(hart, SP) !== 0 || at < 0 || !memory.allows(BigInt(at), back.size, WRITE)) return;
    const { ra, s0, a0, a1 } = trampolines.returnFrame;
    for (const [offset, register] of [[ra, RA], [s0, S0], [a0, A0], [a1, A1]] as const) {
      view.setBigInt64(at + offset, hart.x[register]!, true);
    }
    hart.overhead += BigInt(cost.returnToHandler.before);
    returned.point(at, back);
    const target = handlers.leave(hart, sp, returned);
    hart.overhead += BigInt(cost.returnToHandler.after);
    for (const [offset, register] of [[s0, S0], [a0, A0], [a1, A1]] as const) {
      hart.x[register] = view.getBigInt64(at + offset, true);
    }
    hart.x[A2] = BigInt.asIntN(64, target);
    hart.x[RA] = symbols.return_to_handler_end;
    hart.pc = target;
  };
  if (!guest) {
    const entry = Number(symbols.ftrace_caller);
    engine.hook(entry, {
      host: (hart) => enterFast(hart, frame, cost.caller),
      emit(thunk) {
        const literalOffset = area.literals ? LITERAL_OFFSET : undefined;
        const { ipOffset, clobbersT4 } = trampolines;
        const caller = { frame, cost: cost.caller, ipOffset, literalOffset, clobbersT4 };
        writeRecordingThunk(thunk, caller, recording);
      },
    });
    engine.hook(Number(symbols.return_to_handler), { host: leaveFast });
    if (symbols.ftrace_regs_caller !== undefined && regsFrame && cost.regsCaller) {
      const regs = Number(symbols.ftrace_regs_caller);
      const price = cost.regsCaller;
      engine.hook(regs, { host: (hart) => enterFast(hart, regsFrame, price) });
    }
  }

  // The guest path: a stub is a function of one instruction, so it returns to ra.
  const regsBack = regsFrame && regsCallBack(symbols.ftrace_regs_call);
  const serve = (slot: number) => {
    machine.hostCall(Number(area.stub(slot)), (hart) => {
      const at = low(hart, A3);
      const layout = regsFrame && hart.x[RA] === regsBack ? regsFrame : frame;
      handlers.entry(hart, low(hart, A0), at + layout.size, at, layout, slot);
      hart.pc = BigInt.asUintN(64, hart.x[RA]!);
    });
  };
  serve(OPS_SLOT.list);
  machine.hostCall(Number(symbols.ftrace_return_to_handler), (hart) => {
    const at = low(hart, A0);
    returned.point(at, back);
    hart.x[A0] = BigInt.asIntN(64, handlers.leave(hart, at + back.size, returned));
    hart.pc = BigInt.asUintN(64, hart.x[RA]!);
  });

  return {
    serve,
    enterVirtual(hart, record) {
      const at = area.scratchFrame;
      const layout = regsFrame ?? frame;
      // A site with nops has them behind it when the tracer runs, as a patched one has.
      const skip = record.after >= 8 ? 8 : 0;
      if (skip > 0) hart.instret += 2n;
      const epc = Number(record.entry) + skip;
      save(hart, at, layout, epc);
      handlers.virtual(hart, record, low(hart, SP), at, layout);
      restore(hart, at, layout);
      hart.pc = view.getBigUint64(at + layout.epc, true);
    },
  };
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
