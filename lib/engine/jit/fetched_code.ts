/**
 * What a hart has fetched, as regions are made from it.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { Instruction } from "../../isa/encoding.ts";
import type { TierParts } from "../interpreter/tier.ts";
import { LEAVE, type Plan } from "../plan/plan.ts";
import { Plans } from "../plan/plans.ts";
import type { CodeSource } from "./region.ts";

/** Plans are the same for all machines. */
const plans = new Plans();

/** Where functions begin and end. */
export type FunctionBounds = (pc: number) => { readonly low: number; readonly high: number };

/** The fetched instructions of one hart, up to where somebody has to be asked. */
export class FetchedCode implements CodeSource {
  readonly #hart: Hart;
  readonly #parts: TierParts;
  readonly #bounds: FunctionBounds;
  readonly #ahead: boolean;

  /** With `ahead`, the hart fetches what is asked for. */
  constructor(hart: Hart, parts: TierParts, bounds: FunctionBounds, ahead: boolean) {
    this.#hart = hart;
    this.#parts = parts;
    this.#bounds = bounds;
    this.#ahead = ahead;
  }

  peek(pc: number): Instruction | undefined {
    if (this.#parts.hooks.at(pc) || pc < 0 || pc >= 2 ** 32) return undefined;
    const { fetched, isa } = this.#hart;
    const bits = this.#ahead ? fetched.fetch(pc) : fetched.peek(pc);
    return bits === undefined || bits < 0 ? undefined : isa.decode(bits);
  }

  /** Without compressed instructions the reference sees to it that targets are aligned. */
  plan(instruction: Instruction): Plan {
    const plan = plans.of(instruction);
    const { flow } = plan;
    const jumps = flow === "indirect" ||
      ((flow === "jump" || flow === "branch") && instruction.imm % 4 !== 0);
    return jumps && !this.#hart.hasCompressed ? LEAVE : plan;
  }

  bounds(pc: number): { readonly low: number; readonly high: number } {
    return this.#bounds(pc);
  }
}
