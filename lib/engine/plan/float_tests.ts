/**
 * Tests on floating-point values, as recorded code: whether a result is normal, and whether it is
 * exact, so that it raises nothing.
 *
 * What is done with the answers is `recorded_fpu.ts`.
 *
 * @module
 */
import { FCSR } from "../../hart/state.ts";
import { F32, F64, I32, I64, type PlainName } from "../../wasm/code.ts";
import type { Value } from "./plan.ts";
import type { Scribe } from "./scribe.ts";

/** fflags: inexact. */
const NX = 1;

/** Writes tests on values of one format. */
export class FloatTests {
  readonly #scribe: Scribe;
  readonly #isDouble: boolean;
  readonly #zero: Value;
  readonly #zeroDouble: Value;

  /** Tests for single or double precision. */
  constructor(format: "s" | "d", scribe: Scribe) {
    this.#scribe = scribe;
    this.#isDouble = format === "d";
    this.#zeroDouble = scribe.op(F64, [scribe.long(0n)], "f64.reinterpret_i64");
    this.#zero = this.#isDouble
      ? this.#zeroDouble
      : scribe.op(F32, [scribe.word(0)], "f32.reinterpret_i32");
  }

  /** Whether both conditions hold. */
  both(a: Value, b: Value): Value {
    return this.#word("and", a, b);
  }

  /** Whether one of the conditions holds. */
  either(a: Value, b: Value): Value {
    return this.#word("or", a, b);
  }

  /** Whether the condition does not hold. */
  not(a: Value): Value {
    return this.#scribe.op(I32, [a], "i32.eqz");
  }

  /** A comparison of two values of the format: `eq`, `ne`, `lt`, `ge`. */
  compare(operation: string, a: Value, b: Value): Value {
    const name = `${this.#isDouble ? "f64" : "f32"}.${operation}` as PlainName;
    return this.#scribe.op(I32, [a, b], name);
  }

  /** Whether two doubles are equal. */
  sameDouble(a: Value, b: Value): Value {
    return this.#scribe.op(I32, [a, b], "f64.eq");
  }

  /** Whether a value is zero, of either sign. */
  isZero(value: Value): Value {
    return this.compare("eq", value, this.#zero);
  }

  /** Whether a result is zero because an operand is. */
  isZeroFrom(result: Value, ...operands: readonly Value[]): Value {
    const zeros = operands.map((operand) => this.isZero(operand));
    return this.both(this.isZero(result), zeros.reduce((a, b) => this.either(a, b)));
  }

  /** Finite, and so far from the subnormals that it cannot have been tiny before rounding. */
  isNormal(value: Value): Value {
    const scribe = this.#scribe;
    const above = this.#word("sub", this.#exponent(value), scribe.word(2));
    return this.#word("lt_u", above, scribe.word(this.#isDouble ? 0x7fd : 0xfd));
  }

  /** Whether the inexact flag is up already. */
  inexactIsUp(): Value {
    return this.#word("and", this.#scribe.state("i32.load", FCSR), this.#scribe.word(NX));
  }

  /** Whether the product of two normal doubles needs no more than 53 bits. */
  hasExactProduct(a: Value, b: Value): Value {
    return this.#word("ge_s", this.#freeBits(a, b), this.#scribe.word(53));
  }

  /** Whether `sum`, the rounded sum of a and b, is their sum. */
  isExactSum(a: Value, b: Value, sum: Value, ofDoubles: boolean = this.#isDouble): Value {
    const zero = ofDoubles ? this.#zeroDouble : this.#zero;
    const error = this.sumError(a, b, sum, ofDoubles);
    return this.#scribe.op(I32, [error, zero], ofDoubles ? "f64.eq" : "f32.eq");
  }

  /** What `sum`, the rounded sum of a and b, lacks: exact, by Knuth's TwoSum. */
  sumError(a: Value, b: Value, sum: Value, ofDoubles: boolean = this.#isDouble): Value {
    const scribe = this.#scribe;
    const prefix = ofDoubles ? "f64" : "f32";
    const type = ofDoubles ? F64 : F32;
    const sub = (x: Value, y: Value) => scribe.op(type, [x, y], `${prefix}.sub` as PlainName);
    const shift = scribe.keep(sub(sum, a));
    const left = sub(a, sub(sum, shift));
    const right = sub(b, shift);
    return scribe.op(type, [left, right], `${prefix}.add` as PlainName);
  }

  #word(operation: string, a: Value, b: Value): Value {
    return this.#scribe.op(I32, [a, b], `i32.${operation}` as PlainName);
  }

  /** The exponent field of a value. */
  #exponent(value: Value): Value {
    const scribe = this.#scribe;
    if (!this.#isDouble) {
      const bits = scribe.op(I32, [value], "i32.reinterpret_f32");
      return this.#word("and", this.#word("shr_u", bits, scribe.word(23)), scribe.word(0xff));
    }
    const bits = scribe.op(I64, [value], "i64.reinterpret_f64");
    const high = scribe.op(I64, [bits, scribe.long(52n)], "i64.shr_u");
    return this.#word("and", scribe.op(I32, [high], "i32.wrap_i64"), scribe.word(0x7ff));
  }

  /** How many low bits of the significands of two normal doubles are zero, added up. */
  #freeBits(a: Value, b: Value): Value {
    const scribe = this.#scribe;
    const free = (value: Value) => {
      const bits = scribe.op(I64, [value], "i64.reinterpret_f64");
      const marked = scribe.op(I64, [bits, scribe.long(1n << 52n)], "i64.or");
      return scribe.op(I64, [marked], "i64.ctz");
    };
    return scribe.op(I32, [scribe.op(I64, [free(a), free(b)], "i64.add")], "i32.wrap_i64");
  }
}
