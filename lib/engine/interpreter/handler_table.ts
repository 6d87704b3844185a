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
import type { Plans } from "../plan/plans.ts";
import { FIRST_PLAN, Handler } from "./micro_op.ts";

/** Which handler serves a plan: by the instruction's length, and whether its target is near. */
export interface PlanHandlers {
  /** `[length 2 near, length 2 far, length 4 near, length 4 far]`; equal where nothing differs. */
  readonly numbers: readonly [number, number, number, number];
}

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
  readonly #numbers = new Map<Plan, PlanHandlers>();
  readonly #plans: Plans;

  /** Numbers the handlers of every plan that an instruction can have. */
  constructor(plans: Plans) {
    this.#plans = plans;
    const compressed = new Set(RV64.compressed.map(({ expansion }) => expansion.split(" ")[0]));
    for (const definition of RV64.definitions) {
      for (const plan of this.#plansOf(definition)) {
        this.#add(plan, compressed.has(definition.name));
      }
    }
  }

  get size(): number {
    return FIRST_PLAN + this.#handlers.length;
  }

  get split(): number {
    return this.size;
  }

  /** The handler for an instruction with this plan. */
  numberOf(plan: Plan, length: 2 | 4, near: boolean): number {
    const entry = this.#numbers.get(plan);
    if (!entry) return Handler.leave;
    return entry.numbers[(length === 4 ? 2 : 0) + (near ? 0 : 1)]!;
  }

  /** The handlers behind the fixed ones, in order. */
  get planned(): readonly PlannedHandler[] {
    return this.#handlers;
  }

  #plansOf(definition: Definition): Set<Plan> {
    const { match, runs } = definition.pattern;
    const shift = runs.some(({ field }) => field === "rm")
      ? 12
      : runs.some(({ field }) => field === "csr")
      ? 20
      : undefined;
    if (shift === undefined) return new Set([this.#plans.of({ definition, word: match })]);
    const variants = [0, 1, 2, 3, 4, 7];
    return new Set(
      variants.map((variant) =>
        this.#plans.of({ definition, word: (match | (variant << shift)) >>> 0 })
      ),
    );
  }

  #add(plan: Plan, compressed: boolean): void {
    if (plan.flow === "leave" || this.#numbers.has(plan)) return;
    const targeted = plan.flow === "branch" || plan.flow === "jump";
    const lengths = compressed ? [2, 4] as const : [4] as const;
    const numbers: [number, number, number, number] = [0, 0, 0, 0];
    for (const length of lengths) {
      for (const near of targeted ? [true, false] : [true]) {
        const number = FIRST_PLAN + this.#handlers.push({ plan, length, near }) - 1;
        const at = (length === 4 ? 2 : 0) + (near ? 0 : 1);
        numbers[at] = number;
        if (!targeted) numbers[at + 1] = number;
      }
    }
    if (lengths.length === 1) [numbers[0], numbers[1]] = [numbers[2], numbers[3]];
    this.#numbers.set(plan, { numbers });
  }
}
