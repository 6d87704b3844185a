/**
 * Floating-point arithmetic as the recorder writes it.
 *
 * WASM computes what IEEE 754 says for round-to-nearest, but raises no flags. So recorded code gives
 * its result only where it is known to be right in value and flags: a normal result that is exact,
 * or any normal one once the inexact flag is up anyway. All else (NaN, infinity, subnormals, the
 * first inexact result) is left to the reference, which computes in software.
 *
 * The tests for that are `float_tests.ts`, other rounding modes `rounding.ts`, half precision
 * `recorded_half.ts`; how values are written down is `scribe.ts`.
 *
 * @module
 */
import type { Format, Fpu, IntegerType } from "../../isa/sem.ts";
import { F32, F64, I32, I64, type PlainName, type ValueType } from "../../wasm/code.ts";
import { FloatTests } from "./float_tests.ts";
import type { Value } from "./plan.ts";
import { classOf } from "./recorded_class.ts";
import { widenedHalf } from "./recorded_half.ts";
import { hostFusesMultiplyAdd, relaxedMadd } from "./relaxed_madd.ts";
import { Residues } from "./residues.ts";
import { integralIn, type Residue, type Rounding } from "./rounding.ts";
import type { Scribe } from "./scribe.ts";

/** Arithmetic in one format, rounded as `rounding` says, written through `scribe`. */
export function recordedFpu(format: "s" | "d", scribe: Scribe, rounding: Rounding): Fpu<Value> {
  return new RecordedFpu(format, scribe, rounding);
}

class RecordedFpu implements Fpu<Value> {
  readonly #scribe: Scribe;
  readonly #tests: FloatTests;
  readonly #residues: Residues;
  readonly #rounding: Rounding;
  readonly #isDouble: boolean;
  readonly #type: ValueType;

  constructor(format: "s" | "d", scribe: Scribe, rounding: Rounding) {
    this.#scribe = scribe;
    this.#tests = new FloatTests(format, scribe);
    this.#residues = new Residues(format, scribe, this.#tests);
    this.#rounding = rounding;
    this.#isDouble = format === "d";
    this.#type = this.#isDouble ? F64 : F32;
  }

  add(a: Value, b: Value): Value {
    return this.#sum("add", a, b);
  }

  sub(a: Value, b: Value): Value {
    return this.#sum("sub", a, b);
  }

  mul(first: Value, second: Value): Value {
    const tests = this.#tests;
    const a = this.#scribe.keep(first), b = this.#scribe.keep(second);
    const result = this.#scribe.keep(this.#native("mul", a, b));
    const isSafe = tests.either(tests.isNormal(result), tests.isZeroFrom(result, a, b));
    return this.#checked(
      result,
      isSafe,
      () =>
        this.#isDouble
          ? tests.either(tests.isZero(result), tests.hasExactProduct(a, b))
          : tests.sameDouble(
            this.#inDouble("mul", this.#double(a), this.#double(b)),
            this.#double(result),
          ),
      () => this.#residues.product(a, b, result),
    );
  }

  div(first: Value, second: Value): Value {
    const tests = this.#tests;
    const a = this.#scribe.keep(first), b = this.#scribe.keep(second);
    const result = this.#scribe.keep(this.#native("div", a, b));
    const isSafe = tests.either(tests.isNormal(result), tests.isZeroFrom(result, a));
    return this.#checked(result, isSafe, () => {
      const product = this.#inDouble("mul", this.#double(result), this.#double(b));
      const undone = tests.sameDouble(product, this.#double(a));
      if (!this.#isDouble) return undone;
      const exact = tests.both(tests.isNormal(a), tests.hasExactProduct(result, b));
      return tests.both(undone, tests.either(tests.isZero(a), exact));
    }, () => this.#residues.quotient(a, b, result));
  }

  sqrt(operand: Value): Value {
    const tests = this.#tests;
    const a = this.#scribe.keep(operand);
    const result = this.#scribe.keep(this.#native("sqrt", a));
    const isSafe = tests.either(tests.isNormal(result), tests.isZeroFrom(result, a));
    return this.#checked(result, isSafe, () => {
      const squared = this.#inDouble("mul", this.#double(result), this.#double(result));
      const undone = tests.sameDouble(squared, this.#double(a));
      if (!this.#isDouble) return undone;
      const exact = tests.both(tests.isNormal(a), tests.hasExactProduct(result, result));
      return tests.both(undone, tests.either(tests.isZero(a), exact));
    }, () => this.#residues.root(a, result));
  }

  fma(first: Value, second: Value, third: Value): Value {
    const scribe = this.#scribe, tests = this.#tests;
    const a = scribe.keep(first), b = scribe.keep(second), c = scribe.keep(third);
    const multiplied = scribe.keep(this.#inDouble("mul", this.#double(a), this.#double(b)));
    const added = scribe.keep(this.#inDouble("add", multiplied, this.#double(c)));
    // Two roundings are one if the first product is exact, as every product of singles is in double.
    const isExact = () => {
      const exactSum = tests.isExactSum(multiplied, this.#double(c), added, true);
      if (!this.#isDouble) {
        return tests.both(exactSum, tests.sameDouble(this.#double(this.#demoted(added)), added));
      }
      // A product that is tiny by itself could have lost bits that its significand has room for.
      const exactProduct = tests.both(tests.isNormal(multiplied), tests.hasExactProduct(a, b));
      return tests.both(exactProduct, exactSum);
    };
    if (hostFusesMultiplyAdd()) {
      const result = scribe.keep(relaxedMadd(scribe, a, b, c));
      const normal = scribe.keep(tests.isNormal(result));
      const exactZero = scribe.when(tests.not(normal), () => this.#isExactZero(result, a, b, c));
      const isSafe = scribe.keep(tests.either(normal, exactZero));
      return this.#checked(result, isSafe, () => tests.either(exactZero, isExact()), (mode) => {
        this.#rounding.requireSum(mode, tests.isZero(result));
        return this.#residues.fused([a, b, c], multiplied, added, result);
      });
    }
    const result = scribe.keep(this.#isDouble ? added : this.#demoted(added));
    scribe.declineIf(tests.not(tests.both(tests.isNormal(result), isExact())));
    this.#rounding.requireValid();
    return result;
  }

  /**
   * Whether a fused result is zero and nothing was lost: all of it was zero, or the product has
   * cancelled a summand so large that what is left of both could not have been rounded to zero.
   */
  #isExactZero(result: Value, a: Value, b: Value, c: Value): Value {
    const tests = this.#tests;
    const zeros = tests.both(tests.either(tests.isZero(a), tests.isZero(b)), tests.isZero(c));
    const least = this.#constant(this.#isDouble ? 2 ** -900 : 2 ** -90);
    const cancelled = tests.compare("ge", this.#native("abs", c), least);
    return tests.both(tests.isZero(result), tests.either(zeros, cancelled));
  }

  min(a: Value, b: Value): Value {
    return this.#native("min", ...this.#ordered(a, b));
  }

  max(a: Value, b: Value): Value {
    return this.#native("max", ...this.#ordered(a, b));
  }

  eq(a: Value, b: Value): Value {
    return this.#tests.compare("eq", ...this.#ordered(a, b));
  }

  lt(a: Value, b: Value): Value {
    return this.#tests.compare("lt", ...this.#ordered(a, b));
  }

  le(a: Value, b: Value): Value {
    return this.#tests.compare("le", ...this.#ordered(a, b));
  }

  neg(a: Value): Value {
    return this.#native("neg", a);
  }

  copySign(a: Value, b: Value): Value {
    return this.#native("copysign", a, b);
  }

  xorSign(a: Value, b: Value): Value {
    const scribe = this.#scribe;
    const [type, prefix] = this.#isDouble ? [I64, "i64"] as const : [I32, "i32"] as const;
    const sign = this.#isDouble ? scribe.long(-(1n << 63n)) : scribe.word(-(2 ** 31));
    const bits = (value: Value) =>
      scribe.op(type, [value], this.#isDouble ? "i64.reinterpret_f64" : "i32.reinterpret_f32");
    const flipped = scribe.op(type, [bits(b), sign], `${prefix}.and`);
    return this.fromBits(scribe.op(type, [bits(a), flipped], `${prefix}.xor`));
  }

  toInteger(kind: IntegerType, operand: Value): Value {
    const scribe = this.#scribe, tests = this.#tests;
    const value = scribe.keep(operand);
    const rounded = scribe.keep(
      this.#rounding.isTruncation ? this.#native("trunc", value) : this.#rounding.unlessNearest(
        this.#native("nearest", value),
        (mode) => integralIn(mode, value, scribe),
      ),
    );
    const narrow = kind.startsWith("w");
    const sign = kind.endsWith("u") ? "u" : "s";
    const quiet = tests.either(tests.compare("eq", rounded, value), tests.inexactIsUp());
    const inRange = this.#isInRange(rounded, narrow ? 32 : 64, sign);
    scribe.declineIf(tests.not(tests.both(inRange, quiet)));
    const [type, prefix] = narrow ? [I32, "i32"] as const : [I64, "i64"] as const;
    const convert: PlainName = `${prefix}.trunc_sat_${this.#isDouble ? "f64" : "f32"}_${sign}`;
    const result = scribe.op(type, [rounded], convert);
    return narrow ? scribe.op(I64, [result], "i64.extend_i32_s") : result;
  }

  /** A value at the edge is left to the reference with those beyond it; so is a NaN. */
  #isInRange(rounded: Value, width: number, sign: "s" | "u"): Value {
    const tests = this.#tests;
    if (sign === "s") {
      return tests.compare("lt", this.#native("abs", rounded), this.#constant(2 ** (width - 1)));
    }
    const atLeast = tests.compare("ge", rounded, this.#constant(0));
    return tests.both(atLeast, tests.compare("lt", rounded, this.#constant(2 ** width)));
  }

  fromInteger(kind: IntegerType, x: Value): Value {
    const scribe = this.#scribe;
    const narrow = kind.startsWith("w");
    const sign = kind.endsWith("u") ? "u" : "s";
    const low = scribe.keep(narrow ? scribe.op(I32, [x], "i32.wrap_i64") : x);
    const result = scribe.keep(this.#native(`convert_${narrow ? "i32" : "i64"}_${sign}`, low));
    if (narrow && this.#isDouble) {
      this.#rounding.requireValid();
      return result;
    }
    // Small integers convert exactly; larger ones do so or raise inexact.
    const wide = narrow ? scribe.op(I64, [low], `i64.extend_i32_${sign}`) : low;
    const harmless = this.#tests.either(this.#isSmall(wide, sign), this.#tests.inexactIsUp());
    scribe.declineIf(this.#tests.not(harmless));
    return this.#rounding.round(result, () => this.#residues.integer(wide, sign, result));
  }

  /** Whether the significand has room for an integer. */
  #isSmall(wide: Value, sign: "s" | "u"): Value {
    const scribe = this.#scribe;
    const most = 1n << (this.#isDouble ? 53n : 24n);
    const below = (value: Value, limit: bigint) =>
      scribe.op(I32, [value, scribe.long(limit)], "i64.le_u");
    if (sign === "u") return below(wide, most);
    return below(scribe.op(I64, [wide, scribe.long(most)], "i64.add"), 2n * most);
  }

  convert(from: Format, operand: Value): Value {
    const scribe = this.#scribe, tests = this.#tests;
    if (from === "h") {
      this.#rounding.requireValid();
      const wide = widenedHalf(operand, scribe);
      return this.#isDouble ? wide : this.#demoted(wide);
    }
    const value = scribe.keep(operand);
    if (this.#isDouble) {
      this.#rounding.requireValid();
      scribe.declineIf(scribe.op(I32, [value, value], "f32.ne"));
      return scribe.op(F64, [value], "f64.promote_f32");
    }
    const result = scribe.keep(this.#demoted(value));
    const exact = tests.sameDouble(this.#double(result), value);
    const rounded = tests.both(tests.inexactIsUp(), tests.isNormal(result));
    scribe.declineIf(tests.not(tests.either(exact, rounded)));
    return this.#rounding.round(result, () => this.#residues.narrowed(value, result));
  }

  classify(a: Value): Value {
    const bits = this.#isDouble
      ? this.#scribe.op(I64, [a], "i64.reinterpret_f64")
      : this.#scribe.op(I32, [a], "i32.reinterpret_f32");
    return classOf(this.#isDouble ? "d" : "s", bits, this.#scribe);
  }

  fromBits(bits: Value): Value {
    const name = this.#isDouble ? "f64.reinterpret_i64" : "f32.reinterpret_i32";
    return this.#scribe.op(this.#type, [bits], name);
  }

  #sum(operation: "add" | "sub", first: Value, second: Value): Value {
    const tests = this.#tests;
    const a = this.#scribe.keep(first);
    const b = this.#scribe.keep(operation === "sub" ? this.#native("neg", second) : second);
    const result = this.#scribe.keep(this.#native("add", a, b));
    const isSafe = tests.either(tests.isNormal(result), tests.isZero(result));
    return this.#checked(result, isSafe, () => tests.isExactSum(a, b, result), (mode) => {
      this.#rounding.requireSum(mode, tests.isZero(result));
      return this.#residues.sum(a, b, result);
    });
  }

  /**
   * Gives `result` as the mode rounds it if it raises nothing new; `isExact` is asked only if the
   * inexact flag is down, `residue` only if the mode is not nearest-even.
   */
  #checked(
    result: Value,
    isSafe: Value,
    isExact: () => Value,
    residue: (mode: Value) => Residue,
  ): Value {
    const tests = this.#tests;
    const inexact = this.#scribe.when(
      tests.not(tests.inexactIsUp()),
      () => tests.not(isExact()),
    );
    this.#scribe.declineIf(tests.either(inexact, tests.not(isSafe)));
    return this.#rounding.round(result, residue);
  }

  /** Both operands, of which neither is a NaN: declines otherwise. */
  #ordered(first: Value, second: Value): readonly [Value, Value] {
    const tests = this.#tests;
    const a = this.#scribe.keep(first), b = this.#scribe.keep(second);
    this.#scribe.declineIf(tests.either(tests.compare("ne", a, a), tests.compare("ne", b, b)));
    return [a, b];
  }

  #native(operation: string, ...operands: readonly Value[]): Value {
    const name = `${this.#isDouble ? "f64" : "f32"}.${operation}` as PlainName;
    return this.#scribe.op(this.#type, operands, name);
  }

  #inDouble(operation: "add" | "mul", a: Value, b: Value): Value {
    return this.#scribe.op(F64, [a, b], `f64.${operation}`);
  }

  #double(value: Value): Value {
    return this.#isDouble ? value : this.#scribe.op(F64, [value], "f64.promote_f32");
  }

  #demoted(value: Value): Value {
    return this.#scribe.op(F32, [value], "f32.demote_f64");
  }

  #constant(value: number): Value {
    const exact = this.#scribe.double(value);
    return this.#isDouble ? exact : this.#demoted(exact);
  }
}
