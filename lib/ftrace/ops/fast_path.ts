/**
 * The fast path: what a trampoline does to a hart, done by a hook at its first instruction.
 *
 * It builds the same frame, runs the same handlers on it and adds to `overhead` what the trampoline
 * would have retired. Where the frame cannot be written it steps aside, so that the real trampoline
 * faults as it must.
 *
 * The path through the real trampolines is `call_paths.ts`; the hook that only records, in WASM, is
 * `recording_thunk.ts`.
 *
 * @module
 */
import type { ThunkWriter } from "../../engine/thunk.ts";
import type { Hart } from "../../hart/hart.ts";
import { A0, A1, A2, RA, S0, SP, T0, T1, T4 } from "../../isa/abi.ts";
import type { Machine } from "../../machine/machine.ts";
import type { PathCost } from "../../trampoline/caller.ts";
import type { FrameLayout } from "../../trampoline/frame.ts";
import { type FramePlace, FtraceRegs, returnFrame } from "../../trampoline/ftrace_regs.ts";
import { LIST_FRAME } from "../../trampoline/list_func.ts";
import { applyPoison } from "../../trampoline/poison.ts";
import type { CallHandlers, LeaveHandler } from "./call_paths.ts";
import { FrameWords, high, low } from "./frame_words.ts";
import { type RecordingState, writeRecordingThunk } from "./recording_thunk.ts";
import { LITERAL_OFFSET, OPS_SLOT, type TracingArea } from "./tracing_area.ts";

/** Hooks at the trampolines of one machine. */
export class FastPath {
  readonly #machine: Machine;
  readonly #area: TracingArea;
  readonly #handlers: CallHandlers;
  readonly #leave: LeaveHandler;
  readonly #frames: FrameWords;
  readonly #back: FrameLayout;
  readonly #returned: FtraceRegs;
  readonly #isPoisoned: boolean;

  /** Leads harts at the trampolines of `area` to the handlers, once it is {@linkcode hook}ed. */
  constructor(machine: Machine, area: TracingArea, handlers: CallHandlers, leave: LeaveHandler) {
    const { poison, returnFrame: layout } = area.trampolines;
    this.#machine = machine;
    this.#area = area;
    this.#handlers = handlers;
    this.#leave = leave;
    this.#frames = new FrameWords(machine.memory);
    this.#back = returnFrame(layout);
    this.#returned = new FtraceRegs(machine.memory, this.#back, machine.space);
    this.#isPoisoned = poison.x.length + poison.f.length > 0;
  }

  /** Places the hooks. */
  hook(recording: RecordingState): void {
    const { engine } = this.#machine;
    const { trampolines, literals } = this.#area;
    const { symbols, frame, regsFrame, cost } = trampolines;
    const emit = (thunk: ThunkWriter) => {
      const literalOffset = literals ? LITERAL_OFFSET : undefined;
      const { ipOffset, clobbersT4, leavesByT1 } = trampolines;
      const caller = { frame, cost: cost.caller, ipOffset, literalOffset, clobbersT4, leavesByT1 };
      writeRecordingThunk(thunk, caller, recording);
    };
    engine.hook(Number(symbols.ftrace_caller), {
      host: (hart) => this.#enter(hart, frame, cost.caller),
      // The recording thunk knows nothing of poison.
      ...(this.#isPoisoned ? {} : { emit }),
    });
    engine.hook(Number(symbols.return_to_handler), { host: (hart) => this.#comeBack(hart) });
    if (symbols.ftrace_regs_caller !== undefined && regsFrame && cost.regsCaller) {
      const price = cost.regsCaller;
      engine.hook(Number(symbols.ftrace_regs_caller), {
        host: (hart) => this.#enter(hart, regsFrame, price),
      });
    }
  }

  /** Does what `ftrace_caller` or `ftrace_regs_caller` does, without executing it. */
  #enter(hart: Hart, layout: FrameLayout, price: PathCost): void {
    const area = this.#area;
    const frames = this.#frames;
    const { trampolines } = area;
    const { view } = this.#machine.memory;
    const sp = low(hart, SP);
    const at = sp - layout.size;
    // A frame that cannot be written, or a site that is called directly, is the trampoline's affair.
    if (!hart.flat || high(hart, SP) !== 0 || !frames.isUsable(at, layout.size)) return;
    const ip = low(hart, T0) - trampolines.ipOffset;
    const slot = area.slotAt(ip);
    if (slot === undefined || area.literals && area.isDirect(slot)) return;
    const by = area.literals ? (slot === OPS_SLOT.list ? "list" : "direct") : area.sharedBy;
    if (by !== "direct" && !frames.isUsable(at - LIST_FRAME, LIST_FRAME)) return;
    // The full trampoline of 6.9 leaves by t1; the short one has no slot for it.
    const leavesByT1 = layout.full || trampolines.leavesByT1;
    frames.save(hart, at, layout, low(hart, T0), leavesByT1 ? 0 : T1);
    if (layout.full) view.setBigInt64(at + 16, BigInt(at), true);
    if (layout.full) view.setBigInt64(at + 40, hart.x[T0]!, true);
    // The callee's first instruction is in the price; the list and the assist function have their own.
    hart.charge(by === "direct" ? price.before : price.before - 1);
    if (slot !== OPS_SLOT.nop) {
      this.#handlers.enter(hart, ip, sp, this.#placeAt(at), layout, slot, by);
    }
    hart.charge(price.after);
    frames.restore(hart, at, layout);
    if (layout.full) hart.x[SP] = view.getBigInt64(at + 16, true) + BigInt(layout.size);
    if (trampolines.clobbersT4 && !layout.full) hart.x[T4] = BigInt(sp);
    const { x32 } = hart;
    frames.take(at, layout.epc, x32, T0);
    frames.take(at, layout.t1, x32, T1);
    const direct = leavesByT1 && (x32[T1 * 2] !== 0 || x32[T1 * 2 + 1] !== 0);
    hart.goToRegister(direct ? T1 : T0);
    if (this.#isPoisoned && !direct) applyPoison(trampolines.poison, hart.x, hart.f);
  }

  #comeBack(hart: Hart): void {
    const frames = this.#frames;
    const { returnFrame: { ra, s0, a0, a1 }, cost, symbols } = this.#area.trampolines;
    const sp = low(hart, SP);
    const at = sp - this.#back.size;
    if (!hart.flat || high(hart, SP) !== 0 || !frames.isUsable(at, this.#back.size)) return;
    const { x32 } = hart;
    frames.put(at, ra, x32, RA);
    frames.put(at, s0, x32, S0);
    frames.put(at, a0, x32, A0);
    frames.put(at, a1, x32, A1);
    hart.charge(cost.returnToHandler.before);
    this.#returned.point(this.#placeAt(at), this.#back);
    const target = this.#leave(hart, sp, this.#returned);
    this.#returned.release();
    hart.charge(cost.returnToHandler.after);
    frames.take(at, s0, x32, S0);
    frames.take(at, a0, x32, A0);
    frames.take(at, a1, x32, A1);
    hart.x[A2] = BigInt.asIntN(64, target);
    hart.x[RA] = symbols.return_to_handler_end;
    hart.pc = target;
  }

  /** Frames of flat harts are found where their address says. */
  #placeAt(at: number): FramePlace {
    return { offset: at, address: at, space: this.#machine.space };
  }
}
