/**
 * Arithmetic in half precision as the recorder writes it: in double, whose results are exact or so
 * much finer that rounding them again is rounding once, in every mode.
 *
 * A half is its 16 bits, as i32. Infinities, NaNs, subnormal results and the first inexact one are
 * left to the reference, as `recorded_fpu.ts` leaves them.
 *
 * @module
 */
import type { Format, Fpu, IntegerType } from "../../isa/sem.ts";
import { F64, I32, I64, type PlainName } from "../../wasm/code.ts";
import { FloatTests } from "./float_tests.ts";
import type { Value } from "./plan.ts";
import { classOf } from "./recorded_class.ts";
import { Mode, type Rounding } from "./rounding.ts";
import type { Scribe } from "./scribe.ts";

/** Bits that a double's significand has beyond a half's. */
const FINER = 42;
const LOST = (1n << BigInt(FINER)) - 1n, HALF_WAY = 1n << BigInt(FINER - 1);
/** What a double's exponent field is above a half's. */
const REBIAS = 1023 - 15;
const SIGN = 0x8000, MAGNITUDE = 0x7fff, INFINITE = 0x7c00;

/** The double that a half is; declines infinities and NaNs. */
export function widenedHalf(half: Value, scribe: Scribe): Value {
  const bits = scribe.keep(half);
  const part = (mask: number, up: number): Value => {
    const masked = scribe.op(I32, [bits, scribe.word(mask)], "i32.and");
    const wide = scribe.op(I64, [masked], "i64.extend_i32_u");
    return scribe.op(I64, [wide, scribe.long(BigInt(up))], "i64.shl");
  };
  const exponent = scribe.op(I32, [bits, scribe.word(INFINITE)], "i32.and");
  scribe.declineIf(scribe.op(I32, [exponent, scribe.word(INFINITE)], "i32.eq"));
  const raised = scribe.op(I64, [part(MAGNITUDE, FINER), part(SIGN, 48)], "i64.or");
  // Subnormals become right by the same product as the others.
  const small = scribe.op(F64, [raised], "f64.reinterpret_i64");
  return scribe.op(F64, [small, scribe.double(2 ** REBIAS)], "f64.mul");
}

/** Half precision rounded as `rounding` says, by means of `double`, arithmetic in that format. */
export function recordedHalf(
  scribe: Scribe,
  rounding: Rounding,
  double: Fpu<Value>,
): Fpu<Value> {
  return new RecordedHalf(scribe, rounding, double);
}

class RecordedHalf implements Fpu<Value> {
  readonly #scribe: Scribe;
  readonly #rounding: Rounding;
  readonly #double: Fpu<Value>;
  readonly #tests: FloatTests;

  constructor(scribe: Scribe, rounding: Rounding, double: Fpu<Value>) {
    this.#scribe = scribe;
    this.#rounding = rounding;
    this.#double = double;
    this.#tests = new FloatTests("d", scribe);
  }

  add(a: Value, b: Value): Value {
    return this.#narrowed(this.#compute("add", a, b), true);
  }

  sub(a: Value, b: Value): Value {
    return this.#narrowed(this.#compute("sub", a, b), true);
  }

  mul(a: Value, b: Value): Value {
    return this.#narrowed(this.#compute("mul", a, b));
  }

  div(a: Value, b: Value): Value {
    return this.#narrowed(this.#compute("div", a, b));
  }

  sqrt(a: Value): Value {
    return this.#narrowed(this.#compute("sqrt", a));
  }

  fma(a: Value, b: Value, c: Value): Value {
    const scribe = this.#scribe;
    const product = scribe.keep(this.#compute("mul", a, b));
    const addend = scribe.keep(this.#wide(c));
    const sum = scribe.keep(scribe.op(F64, [product, addend], "f64.add"));
    scribe.declineIf(this.#tests.not(this.#tests.isExactSum(product, addend, sum)));
    return this.#narrowed(sum, true);
  }

  min(a: Value, b: Value): Value {
    return this.#extreme("min", a, b);
  }

  max(a: Value, b: Value): Value {
    return this.#extreme("max", a, b);
  }

  eq(a: Value, b: Value): Value {
    return this.#double.eq(this.#wide(a), this.#wide(b));
  }

  lt(a: Value, b: Value): Value {
    return this.#double.lt(this.#wide(a), this.#wide(b));
  }

  le(a: Value, b: Value): Value {
    return this.#double.le(this.#wide(a), this.#wide(b));
  }

  neg(a: Value): Value {
    return this.#word("xor", a, this.#scribe.word(SIGN));
  }

  copySign(a: Value, b: Value): Value {
    return this.#word("or", this.#word("and", a, this.#scribe.word(MAGNITUDE)), this.#sign(b));
  }

  xorSign(a: Value, b: Value): Value {
    return this.#word("xor", a, this.#sign(b));
  }

  toInteger(type: IntegerType, a: Value): Value {
    return this.#double.toInteger(type, this.#wide(a));
  }

  fromInteger(type: IntegerType, x: Value): Value {
    const scribe = this.#scribe;
    const narrow = type.startsWith("w");
    const sign = type.endsWith("u") ? "u" : "s";
    const integer = narrow ? scribe.op(I32, [x], "i32.wrap_i64") : x;
    // Those that double rounds are infinite as halves.
    const name = `f64.convert_${narrow ? "i32" : "i64"}_${sign}` as PlainName;
    return this.#narrowed(scribe.op(F64, [integer], name));
  }

  convert(from: Format, a: Value): Value {
    return this.#narrowed(from === "d" ? a : this.#scribe.op(F64, [a], "f64.promote_f32"));
  }

  classify(a: Value): Value {
    return classOf("h", a, this.#scribe);
  }

  fromBits(bits: Value): Value {
    return this.#word("and", bits, this.#scribe.word(0xffff));
  }

  #extreme(which: "min" | "max", a: Value, b: Value): Value {
    const scribe = this.#scribe;
    const first = scribe.keep(a), second = scribe.keep(b);
    const wide = scribe.keep(this.#wide(first));
    const chosen = scribe.op(F64, [wide, this.#wide(second)], `f64.${which}`);
    const bits = (value: Value) => scribe.op(I64, [value], "i64.reinterpret_f64");
    const isFirst = scribe.op(I32, [bits(chosen), bits(wide)], "i64.eq");
    return scribe.op(I32, [first, second, isFirst], "select");
  }

  #compute(operation: "add" | "sub" | "mul" | "div" | "sqrt", ...operands: Value[]): Value {
    const wide = operands.map((operand) => this.#wide(operand));
    return this.#scribe.op(F64, wide, `f64.${operation}`);
  }

  #wide(half: Value): Value {
    return widenedHalf(half, this.#scribe);
  }

  /** A double as a half. A zero that comes of a sum has another sign where that rounds down. */
  #narrowed(value: Value, isSum = false): Value {
    const scribe = this.#scribe, tests = this.#tests;
    const exact = scribe.keep(value);
    const bits = scribe.keep(scribe.op(I64, [exact], "i64.reinterpret_f64"));
    const isZero = scribe.keep(tests.isZero(exact));
    const rounded = scribe.keep(this.#long("add", bits, this.#increment(bits, isZero, isSum)));
    const place = scribe.op(I64, [rounded, scribe.long(BigInt(FINER))], "i64.shr_u");
    const high = scribe.keep(scribe.op(I32, [place], "i32.wrap_i64"));
    const field = this.#word(
      "and",
      this.#word("shr_u", high, scribe.word(10)),
      scribe.word(0x7ff),
    );
    // From two above the least normal half's exponent on, so that it was none of the tiny ones.
    const above = this.#word("sub", field, scribe.word(REBIAS + 2));
    const isNormal = this.#word("lt_u", above, scribe.word(29));
    const kept = scribe.op(I32, [this.#long("and", bits, scribe.long(LOST))], "i64.eqz");
    const quiet = tests.either(kept, tests.inexactIsUp());
    scribe.declineIf(tests.not(tests.either(isZero, tests.both(isNormal, quiet))));
    const magnitude = this.#word("sub", high, scribe.word(REBIAS << 10));
    const sign = this.#word("and", this.#word("shr_u", high, scribe.word(6)), scribe.word(SIGN));
    const size = this.#word("and", magnitude, scribe.word(MAGNITUDE));
    return this.#word("or", sign, scribe.op(I32, [scribe.word(0), size, isZero], "select"));
  }

  /** What is added to a double's bits before those that a half has not are cut off. */
  #increment(bits: Value, isZero: Value, isSum: boolean): Value {
    const scribe = this.#scribe;
    const odd = this.#long(
      "and",
      this.#long("shr_u", bits, scribe.long(BigInt(FINER))),
      scribe.long(1n),
    );
    const nearest = this.#long("add", odd, scribe.long(HALF_WAY - 1n));
    return this.#rounding.unlessNearest(nearest, (mode) => {
      if (isSum) this.#rounding.requireSum(mode, isZero);
      const negative = scribe.op(
        I32,
        [this.#long("shr_u", bits, scribe.long(63n))],
        "i32.wrap_i64",
      );
      // Down and negative, or up and positive.
      const grows = this.#word("eq", this.#word("add", mode, negative), scribe.word(Mode.up));
      const directed = scribe.op(I64, [scribe.long(LOST), scribe.long(0n), grows], "select");
      const away = this.#word("eq", mode, scribe.word(Mode.nearestAway));
      return scribe.op(I64, [scribe.long(HALF_WAY), directed, away], "select");
    });
  }

  #sign(half: Value): Value {
    return this.#word("and", half, this.#scribe.word(SIGN));
  }

  #word(operation: string, a: Value, b: Value): Value {
    return this.#scribe.op(I32, [a, b], `i32.${operation}` as PlainName);
  }

  #long(operation: string, a: Value, b: Value): Value {
    return this.#scribe.op(I64, [a, b], `i64.${operation}` as PlainName);
  }
}
