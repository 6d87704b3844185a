/**
 * The handlers of the interpreter's function: one for each plan that an instruction can have, by the
 * instruction's length and by whether its target is near, all numbered.
 *
 * What a handler does is `handler_writer.ts`.
 *
 * @module
 */
import { RV64 } from "../../isa/decode.ts";
import type { Definition } from "../../isa/encoding.ts";
import type { Plan } from "../plan/plan.ts";
import { planKey } from "../plan/plan_key.ts";
import type { Plans } from "../plan/plans.ts";
import { isTargeted, packRow } from "./handler_rows.ts";
import { FIRST_PLAN } from "./micro_op.ts";

/** A handler that stands for a plan. */
export interface PlannedHandler {
  /** The recorded plan that the handler executes. */
  readonly plan: Plan;
  /** Bytes of the instructions that it serves. */
  readonly length: 2 | 4;
  /** Whether their targets are in the same page. */
  readonly near: boolean;
}

/** Handlers by number, as the function is written from them. */
export interface Handlers {
  /** How many there are, the fixed ones included, without {@linkcode Handlers.split}. */
  readonly size: number;
  /**
   * Goes on at `BLOCK.split` if the page behind is the one whose number `imm` is. The last
   * one, because the plain function does without it.
   */
  readonly split: number;
  /** The handlers behind the fixed ones, in order. */
  readonly planned: readonly PlannedHandler[];
}

/** All handlers of the instruction set, numbered. */
export class HandlerTable implements Handlers {
  readonly #handlers: PlannedHandler[] = [];
  readonly #rows = new Map<number, number>();
  readonly #packed = new Map<Plan, number>();
  readonly #plans: Plans;

  /** Numbers the handlers of every plan that an instruction can have. */
  constructor(plans: Plans) {
    this.#plans = plans;
    const compressed = new Set(RV64.compressed.map(({ expansion }) => expansion.split(" ")[0]));
    for (const definition of RV64.definitions) {
      for (const word of instancesOf(definition)) {
        this.#add(definition, word, compressed.has(definition.name));
      }
    }
  }

  get size(): number {
    return FIRST_PLAN + this.#handlers.length;
  }

  get split(): number {
    return this.size;
  }

  /** The handlers behind the fixed ones, in order. */
  get planned(): readonly PlannedHandler[] {
    return this.#handlers;
  }

  /** What the decoder has to know, packed, by key. */
  get rows(): ReadonlyMap<number, number> {
    return this.#rows;
  }

  #add(definition: Definition, word: number, compressed: boolean): void {
    const plan = this.#plans.of({ definition, word });
    if (plan.flow === "leave") return;
    let packed = this.#packed.get(plan);
    if (packed === undefined) {
      packed = packRow(plan, this.size, compressed);
      this.#packed.set(plan, packed);
      for (const length of compressed ? [2, 4] as const : [4] as const) {
        for (const near of isTargeted(plan.flow) ? [true, false] : [true]) {
          this.#handlers.push({ plan, length, near });
        }
      }
    }
    this.#rows.set(planKey(definition, word), packed);
  }
}

/** A word for each plan that the definition's instructions can have. */
function instancesOf({ pattern: { match, runs } }: Definition): readonly number[] {
  const shift = runs.some(({ field }) => field === "rm")
    ? 12
    : runs.some(({ field }) => field === "csr")
    ? 20
    : undefined;
  if (shift === undefined) return [match];
  return [0, 1, 2, 3, 4, 7].map((variant) => (match | (variant << shift)) >>> 0);
}
