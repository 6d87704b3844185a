/**
 * The plans of the instruction set, each recorded when it is first asked for.
 *
 * Which instructions share one is `plan_key.ts`; rounding modes that a plan is told of as it runs share
 * one as well. How a plan is recorded is `recorder.ts`.
 *
 * @module
 */
import type { Definition, Instruction } from "../../isa/encoding.ts";
import type { Plan } from "./plan.ts";
import { planKey } from "./plan_key.ts";
import { record } from "./recorder.ts";

/** The plans of definitions, recorded when first asked for. */
export class Plans {
  readonly #plans: (Plan | undefined)[] = [];
  /** By definition: the plan of all rounding modes that it is told of. */
  readonly #told: (Plan | undefined)[] = [];

  /** The plan of an instruction. */
  of({ definition, word }: Pick<Instruction, "definition" | "word">): Plan {
    return this.#plans[planKey(definition, word)] ??= this.#recorded(definition, word);
  }

  #recorded(definition: Definition, word: number): Plan {
    const plan = record(definition, word);
    return plan.asks.mode ? this.#told[definition.index] ??= plan : plan;
  }
}
