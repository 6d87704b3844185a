/**
 * The plans of the instruction set, each recorded when it is first asked for.
 *
 * Instances of a definition share a plan, but for those whose rounding mode or CSR makes them
 * variants; modes that a plan is told of as it runs share one. How a plan is recorded is `recorder.ts`.
 *
 * @module
 */
import type { Definition, Instruction } from "../../isa/encoding.ts";
import type { Plan } from "./plan.ts";
import { record } from "./recorder.ts";

/** Variants of one definition: by rounding mode, or by which of fcsr's fields a CSR is. */
const VARIANTS = 9;

function variantOf({ pattern }: Definition, word: number): number {
  if (pattern.runs.some(({ field }) => field === "csr")) return Math.min(word >>> 20, 4);
  return pattern.runs.some(({ field }) => field === "rm") ? (word >>> 12) & 7 : 0;
}

/** The number of an instruction's plan: of its definition and variant. */
export function planKey(definition: Definition, word: number): number {
  return definition.index * VARIANTS + variantOf(definition, word);
}

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
