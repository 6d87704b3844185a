/**
 * What the decoder has to know of an instruction to write its micro-op: which handler serves it, and
 * what its plan asks for.
 *
 * Rows are packed into numbers, so that a start reads them without recording a single plan. They are
 * made from plans by `handler_table.ts`, and kept in `loop_bytes.json`.
 *
 * @module
 */
import type { Instruction } from "../../isa/encoding.ts";
import type { Asks, Flow, Plan } from "../plan/plan.ts";
import { planKey } from "../plan/plan_key.ts";
import { Handler } from "./micro_op.ts";

/** Four handlers: `[length 2 near, length 2 far, length 4 near, length 4 far]`; equal where nothing differs. */
export type HandlerNumbers = readonly [number, number, number, number];

/** What the decoder asks of an instruction. */
export interface HandlerRow {
  /** How it hands over to the next; `leave` has no handler of its own. */
  readonly flow: Flow;
  /** What its micro-op has to say. */
  readonly asks: Asks;
  /** Its handlers. */
  readonly numbers: HandlerNumbers;
}

const FLOWS: readonly Flow[] = ["next", "branch", "jump", "indirect", "leave"];
const ASKS: readonly (keyof Asks)[] = ["next", "target", "rs3", "mode", "writesX"];
/** Bits of a packed row, from the lowest: the flow, five asks, whether it is compressed, the number. */
const ASKS_AT = 3, COMPRESSED_AT = 8, NUMBER_AT = 9;

type Flags = [boolean, boolean, boolean, boolean, boolean];

/** The row of an instruction that has no handler. */
const LEFT: HandlerRow = rowOf((Handler.leave << NUMBER_AT) | FLOWS.indexOf("leave"));

/** Whether far and near targets have different handlers. */
export function isTargeted(flow: Flow): boolean {
  return flow === "branch" || flow === "jump";
}

/** Packs a row: the first number of a plan's handlers says the others. */
export function packRow({ flow, asks }: Plan, first: number, compressed: boolean): number {
  const bits = ASKS.reduce((sum, name, at) => sum | (Number(asks[name]) << (ASKS_AT + at)), 0);
  return FLOWS.indexOf(flow) | bits | (Number(compressed) << COMPRESSED_AT) | (first << NUMBER_AT);
}

function rowOf(packed: number): HandlerRow {
  const flow = FLOWS[packed & 7]!;
  const asks = (at: number) => ((packed >>> (ASKS_AT + at)) & 1) !== 0;
  const [next, target, rs3, mode, writesX] = ASKS.map((_, at) => asks(at)) as Flags;
  const first = packed >>> NUMBER_AT;
  const far = Number(isTargeted(flow));
  const long = ((packed >>> COMPRESSED_AT) & 1) * (1 + far);
  return {
    flow,
    asks: { next, target, rs3, mode, writesX },
    numbers: [first, first + far, first + long, first + long + far],
  };
}

/** The rows of the instruction set, each unpacked when it is first asked for. */
export class HandlerRows {
  readonly #packed: ReadonlyMap<number, number>;
  readonly #rows: (HandlerRow | undefined)[] = [];

  /** Rows by the keys of their plans (`planKey`); what is not among them has no handler. */
  constructor(packed: Iterable<readonly [key: number, packed: number]>) {
    this.#packed = new Map(packed);
  }

  /** The row of an instruction. */
  of({ definition, word }: Pick<Instruction, "definition" | "word">): HandlerRow {
    const key = planKey(definition, word);
    return this.#rows[key] ??= this.#unpack(key);
  }

  #unpack(key: number): HandlerRow {
    const packed = this.#packed.get(key);
    return packed === undefined ? LEFT : rowOf(packed);
  }
}
