/**
 * The guest's stack at a traced call, as stack events hold it.
 *
 * The kernel walks frame records. Inside a tracer's callback neither the traced function nor its
 * caller has one, so its walk shows the trampoline and then the grand-parent. Here frames are found
 * by reading code (`lib/program/unwinder.ts`), so all callers are there; the kernel's picture is
 * given where it is to be followed to the letter.
 *
 * @module
 */
import { S0 } from "../../isa/abi.ts";
import type { Hart } from "../../hart/hart.ts";
import type { Unwinder } from "../../program/unwinder.ts";

/** What {@linkcode callersOf} needs besides the hart. */
export interface StackContext {
  /** Finds frames, with hidden return addresses made real. */
  readonly unwinder: Unwinder<Hart>;
  /** Where a walk in a callback begins: inside the trampoline. */
  readonly trampoline: bigint;
  /** What the kernel would find, and nothing else. */
  readonly strict: boolean;
}

/** A call at whose entry the stack is walked. */
export interface TracedEntry {
  /** Address of the call site. */
  readonly ip: bigint;
  /** The return address at its entry. */
  readonly parentIp: bigint;
  /** The hart's stack pointer at the site. */
  readonly sp: number;
}

/**
 * Addresses, innermost first, of a hart in a callback at the entry of `call`; without a call, of a
 * hart that runs at its pc.
 */
export function callersOf(
  hart: Hart,
  call: TracedEntry | undefined,
  { unwinder, trampoline, strict }: StackContext,
): readonly bigint[] {
  if (!call) return unwinder.backtrace(hart);
  const s0 = BigInt.asUintN(64, hart.x[S0]!);
  const start = { pc: call.ip, sp: BigInt(call.sp), ra: call.parentIp, s0 };
  const callers = unwinder.frames(hart, start).map(({ pc }) => pc);
  return strict ? [trampoline, ...callers.slice(2)] : callers;
}
