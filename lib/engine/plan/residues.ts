/**
 * What rounding to nearest-even lost, as recorded code: the exact result of an operation less the
 * one that WASM gives, or a number of the same sign.
 *
 * Singles are computed exactly in double. Doubles need a fused multiply-add, and operands so far from
 * the ends of the range that nothing of the difference is lost there; all else declines.
 *
 * What follows from it is `rounding.ts`.
 *
 * @module
 */
import { F64, I32, I64, type PlainName } from "../../wasm/code.ts";
import type { FloatTests } from "./float_tests.ts";
import type { Value } from "./plan.ts";
import { hostFusesMultiplyAdd, relaxedMadd } from "./relaxed_madd.ts";
import type { Residue } from "./rounding.ts";
import type { Scribe } from "./scribe.ts";

/** A product or quotient of doubles above this keeps all of its bits. */
const LEAST = 2 ** -900;

/** Writes residues of one format. Operands and results are values that may be used many times. */
export class Residues {
  readonly #scribe: Scribe;
  readonly #tests: FloatTests;
  readonly #isDouble: boolean;

  /** Residues in single or double precision. */
  constructor(format: "s" | "d", scribe: Scribe, tests: FloatTests) {
    this.#scribe = scribe;
    this.#tests = tests;
    this.#isDouble = format === "d";
  }

  /** Of a + b. */
  sum(a: Value, b: Value, result: Value): Residue {
    return { error: this.#double(this.#tests.sumError(a, b, result)), ties: true };
  }

  /** Of a × b. */
  product(a: Value, b: Value, result: Value): Residue {
    if (!this.#isDouble) {
      const exact = this.#op("mul", this.#double(a), this.#double(b));
      return { error: this.#op("sub", exact, this.#double(result)), ties: true };
    }
    this.#requireSize(result, this.#tests.isZero(result));
    return { error: this.#madd(a, b, this.#op("neg", result)), ties: true };
  }

  /** Of a ÷ b. A quotient is never half-way between two numbers. */
  quotient(a: Value, b: Value, result: Value): Residue {
    const one = this.#scribe.double(1);
    const sign = this.#op("copysign", one, this.#double(b));
    return { error: this.#op("mul", this.#undone(a, b, result), sign), ties: false };
  }

  /** Of a square root, which is never half-way between two numbers. */
  root(a: Value, result: Value): Residue {
    return { error: this.#undone(a, result, result), ties: false };
  }

  /** a − b × result. */
  #undone(a: Value, b: Value, result: Value): Value {
    if (!this.#isDouble) {
      return this.#op(
        "sub",
        this.#double(a),
        this.#op("mul", this.#double(b), this.#double(result)),
      );
    }
    this.#requireSize(a, this.#tests.isZero(a));
    return this.#madd(this.#op("neg", result), b, a);
  }

  /**
   * Of a × b + c, of which `product` is the product as a double and `sum` its sum with c: the error
   * of a fused multiply-add after Boldo and Muller.
   */
  fused(
    [a, b, c]: readonly [Value, Value, Value],
    product: Value,
    sum: Value,
    result: Value,
  ): Residue {
    const scribe = this.#scribe;
    if (!this.#isDouble) {
      const lost = scribe.keep(this.#tests.sumError(product, this.#double(c), sum, true));
      return this.#ofParts(this.#op("sub", sum, this.#double(result)), lost);
    }
    this.#requireSize(product, this.#tests.isZeroFrom(product, a, b));
    const low = scribe.keep(this.#madd(a, b, this.#op("neg", product)));
    const middle = scribe.keep(this.#op("add", c, low));
    const least = scribe.keep(this.#tests.sumError(c, low, middle));
    const high = scribe.keep(this.#op("add", product, middle));
    const lost = this.#tests.sumError(product, middle, high);
    return this.#ofParts(this.#op("add", this.#op("sub", high, result), lost), least);
  }

  /** Of high + low, where low is the smaller one. */
  #ofParts(high: Value, low: Value): Residue {
    const kept = this.#scribe.keep(high);
    const error = this.#scribe.keep(this.#op("add", kept, low));
    return { error, rest: this.#op("add", this.#op("sub", kept, error), low), ties: true };
  }

  /** Of a 64-bit integer's conversion. */
  integer(wide: Value, sign: "s" | "u", result: Value): Residue {
    const scribe = this.#scribe;
    const upper = scribe.op(I64, [wide, scribe.long(32n)], `i64.shr_${sign}`);
    const high = scribe.op(F64, [upper], `f64.convert_i64_${sign}`);
    const low = scribe.op(F64, [scribe.op(I32, [wide], "i32.wrap_i64")], "f64.convert_i32_u");
    const scaled = this.#op("mul", high, scribe.double(2 ** 32));
    const above = this.#op("sub", scaled, this.#double(result));
    return { error: this.#op("add", above, low), ties: true };
  }

  /** Of a double's conversion to single. */
  narrowed(value: Value, result: Value): Residue {
    return { error: this.#op("sub", value, this.#double(result)), ties: true };
  }

  #requireSize(value: Value, isZero: Value): void {
    const scribe = this.#scribe;
    const size = this.#op("abs", value);
    const isLarge = scribe.op(I32, [size, scribe.double(LEAST)], "f64.ge");
    scribe.declineIf(this.#tests.not(this.#tests.either(isLarge, isZero)));
  }

  #madd(a: Value, b: Value, c: Value): Value {
    if (hostFusesMultiplyAdd()) return relaxedMadd(this.#scribe, a, b, c);
    this.#scribe.declineIf(this.#scribe.word(1));
    return c;
  }

  #double(value: Value): Value {
    return this.#isDouble ? value : this.#scribe.op(F64, [value], "f64.promote_f32");
  }

  #op(operation: string, ...operands: readonly Value[]): Value {
    return this.#scribe.op(F64, operands, `f64.${operation}` as PlainName);
  }
}
