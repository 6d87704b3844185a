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
import type { FtraceRegs } from "../trampoline/ftrace_regs.ts";
import type { TracingArea } from "./tracing_area.ts";

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
  /** A traced entry. `slot` says for whom: an ops of its own, or the list. */
  entry(hart: Hart, ip: number, sp: number, frame: number, slot: number): void;
  /** A traced return; gives where the hart goes on. */
  leave(hart: Hart, sp: number, frame: number): bigint;
}
