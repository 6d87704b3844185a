/**
 * What the interpreter's loop and its handlers share: parameters, locals, labels, and the few
 * instructions on them that both write.
 *
 * The loop is `emitted_loop.ts`, the handlers are `handler_writer.ts`.
 *
 * @module
 */
import { type Code, I32, I64, type ValueType } from "../../wasm/code.ts";
import { HOST, SCRATCH, SCRATCH_BASE } from "../plan/plan.ts";

/**
 * Numbers of parameters and locals. The translating function has one parameter more, which leads to
 * data, and one local serves it for two; recorded code's scratch locals follow, at SCRATCH_BASE.
 */
export const Local = {
  /** Host address of the micro-op at hand: all the pc there is. */
  pointer: 0,
  /** Instructions that may still be executed. */
  fuel: 1,
  /** Host address of the page table, or of the entries for fetches. */
  table: 2,
  /** Host address of the counter of instructions. */
  counter: 3,
  /** pc less an eighth of the pointer. */
  bias: 4,
  /** Translating: host address of the entries for data. */
  data: 5,
  reason: 6,
  target: 7,
  address: 8,
  /** Plain: host address of a block. */
  block: 9,
  /** Behind recorded code's scratch locals: what a region was given, or where its entrance is. */
  given: SCRATCH_BASE + SCRATCH.length,
} as const;

/** Of one of the functions: its parameters, its own locals, and where `fuel` was at the start. */
export interface Frame {
  /** Whether addresses go through the TLB. */
  readonly translating: boolean;
  /** Whether float instructions ask if the float registers are on, and are not to be marked. */
  readonly guarding: boolean;
  /** Types of its parameters. */
  readonly parameters: readonly ValueType[];
  /** Types of the locals behind them, without the scratch locals. */
  readonly locals: readonly ValueType[];
  /** Number of the local that holds the fuel of which nothing is counted yet. */
  readonly start: number;
}

/** The frame of the plain function. */
export const PLAIN_FRAME: Frame = {
  translating: false,
  guarding: false,
  parameters: [I32, I32, I32, I32, I32],
  locals: [I32, I32, I64, I64, I32],
  start: 5,
};

/** The frame of the plain function for harts whose float registers are off, or have to be marked. */
export const GUARDING_FRAME: Frame = { ...PLAIN_FRAME, guarding: true };

/** The frame of the translating function. */
export const TRANSLATING_FRAME: Frame = {
  translating: true,
  guarding: true,
  parameters: [I32, I32, I32, I32, I64, I32],
  locals: [I32, I64, I64, I32],
  start: 9,
};

/** Labels around the handlers, counted from inside the `goTo` block. */
export const Label = {
  /** Goes to the pc in `target`. */
  goTo: 0,
  /** Executes the micro-op at the pointer. */
  dispatch: 1,
  /** Comes back for the reference to execute the instruction at the pointer. */
  byReference: 2,
  /** Comes back because fuel is out. */
  fuelOut: 3,
  /** Comes back for `reason`; the fuel that the micro-op took is given back. */
  refund: 4,
  /** Comes back for `reason`, where PC is in the hart's state already. */
  pcKnown: 5,
} as const;

/** Pushes the guest address of the micro-op at the pointer, as i64. */
export function writePc(code: Code, { translating }: Frame): void {
  code.get(Local.pointer).i32(3).op("i32.shr_u");
  if (translating) code.op("i64.extend_i32_u").get(Local.bias).op("i64.add");
  else code.get(Local.bias).op("i32.add", "i64.extend_i32_u");
}

/** Adds what was executed since `start` to the counter. */
export function writeCount(code: Code, { start }: Frame): void {
  code.get(Local.counter).get(Local.counter).access("i64.load", HOST);
  code.get(start).get(Local.fuel).op("i32.sub", "i64.extend_i32_s", "i64.add");
  code.access("i64.store", HOST);
}
