/**
 * A site that stands before an inlined function, as steps of the region that passes it.
 *
 * They read what the site says from its stub, as a call would, so the region needs not be made anew
 * when the site is switched.
 *
 * @module
 */
import { T0 } from "../../isa/abi.ts";
import { RV64 } from "../../isa/decode.ts";
import { insert } from "../../isa/encoding.ts";
import { Code } from "../../wasm/code.ts";
import { LEAVE, type Plan } from "../plan/plan.ts";
import { chooseT0 } from "./call_slots.ts";
import { useOf } from "./plan_use.ts";
import type { Step } from "./region.ts";
import { SITE_COUNT, SITE_SIZE } from "./site_words.ts";

/** An instruction that reads t0 and writes it, as the steps do. */
const T0_TO_T0 = RV64.decode(insert(RV64.named("addi").pattern, { rd: T0, rs1: T0 }));
/** The plan of an instruction that does nothing. */
const NOTHING: Plan = { ...LEAVE, flow: "next" };

/** The site at `pc`, whose stub is at host address `stub`. */
export function passedSite(pc: number, stub: number): Step[] {
  const code = new Code();
  chooseT0(code, stub);
  const first: Plan = {
    ...NOTHING,
    body: [
      { kind: "begin", file: "x", as: "i64" },
      { kind: "x", field: "rs1", low: false },
      { kind: "code", bytes: code.bytes.slice() },
      { kind: "end", file: "x", as: "i64" },
    ],
  };
  return [first, NOTHING].map((plan, at) => ({
    ...{ pc: pc + at * (SITE_SIZE / SITE_COUNT), plan, use: useOf(plan) },
    instruction: T0_TO_T0,
  }));
}
