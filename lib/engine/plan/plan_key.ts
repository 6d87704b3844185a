/**
 * Which instructions share a plan: those of one definition, but for those whose rounding mode or CSR
 * makes them variants.
 *
 * The decoder of the interpreter goes by these numbers and loads no plans; they are `plans.ts`.
 *
 * @module
 */
import type { Definition } from "../../isa/encoding.ts";

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
