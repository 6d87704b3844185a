/**
 * Floating-point arithmetic as the recorder writes it.
 *
 * WASM computes what IEEE 754 says for round-to-nearest, but raises no flags. So recorded code gives
 * its result only where it is known to be right in value and flags: a normal result that is exact,
 * or any normal one once the inexact flag is up anyway. All else (NaN, infinity, subnormals, other
 * rounding modes, the first inexact result) is left to the reference, which computes in software.
 *
 * How values are recorded is `recorder.ts`.
 *
 * @module
 */
import { FCSR } from "../../hart/state.ts";
import type { Format, Fpu, IntegerType } from "../../isa/sem.ts";
import { F32, F64, I32, I64, type PlainName } from "../../wasm/code.ts";
import type { Value } from "./plan.ts";
import type { Scribe } from "./recorder.ts";
import { hostFusesMultiplyAdd } from "./relaxed_madd.ts";

/** fflags: inexact. */
const NX = 1;
/** Rounding modes of conversions to integers, and WASM's instructions for them. */
const ROUNDED = ["nearest", "trunc", "floor", "ceil"] as const;

/** Arithmetic that WASM has not, half precision: all of it is the reference's. */
export function createDeclinedFpu({ decline }: Pick<Scribe, "decline">): Fpu<Value> {
  return {
    add: decline,
    sub: decline,
    mul: decline,
    div: decline,
    sqrt: decline,
    fma: decline,
    min: decline,
    max: decline,
    eq: decline,
    lt: decline,
    le: decline,
    neg: decline,
    copySign: decline,
    xorSign: decline,
    toInteger: decline,
    fromInteger: decline,
    convert: decline,
    classify: decline,
    fromBits: decline,
  };
}

/** Arithmetic in one format, written through `scribe`. */
export function createRecordedFpu(format: "s" | "d", scribe: Scribe): Fpu<Value> {
  const isDouble = format === "d";
  const type = isDouble ? F64 : F32;
  const bitsType = isDouble ? I64 : I32;
  const name = (operation: string) => `${isDouble ? "f64" : "f32"}.${operation}` as PlainName;
  const nearest = scribe.rounding === 0;

  const op32 = (operation: string, a: Value, b: Value) =>
    scribe.op(I32, [a, b], `i32.${operation}` as PlainName);
  const both = (a: Value, b: Value) => op32("and", a, b);
  const either = (a: Value, b: Value) => op32("or", a, b);
  const not = (a: Value) => scribe.op(I32, [a], "i32.eqz");
  const native = (operation: string, ...operands: Value[]) =>
    scribe.op(type, operands, name(operation));
  const test = (operation: string, a: Value, b: Value) => scribe.op(I32, [a, b], name(operation));
  const double = (value: Value) => isDouble ? value : scribe.op(F64, [value], "f64.promote_f32");
  const inDouble = (operation: string, ...operands: Value[]) =>
    scribe.op(F64, operands, `f64.${operation}` as PlainName);
  const sameDouble = (a: Value, b: Value) => scribe.op(I32, [a, b], "f64.eq");
  const zeroDouble = scribe.op(F64, [scribe.long(0n)], "f64.reinterpret_i64");
  const zero = isDouble ? zeroDouble : scribe.op(F32, [scribe.word(0)], "f32.reinterpret_i32");
  const isZero = (value: Value) => test("eq", value, zero);

  const bitsOf = (value: Value) =>
    scribe.op(bitsType, [value], isDouble ? "i64.reinterpret_f64" : "i32.reinterpret_f32");
  /** The exponent field of a value. */
  const exponent = (value: Value): Value =>
    isDouble
      ? scribe.op(
        I32,
        [
          scribe.op(
            I32,
            [scribe.op(I64, [bitsOf(value), scribe.long(52n)], "i64.shr_u")],
            "i32.wrap_i64",
          ),
          scribe.word(0x7ff),
        ],
        "i32.and",
      )
      : op32("and", op32("shr_u", bitsOf(value), scribe.word(23)), scribe.word(0xff));
  /** Finite, and so far from the subnormals that it cannot have been tiny before rounding. */
  const isNormal = (value: Value) =>
    op32(
      "lt_u",
      op32("sub", exponent(value), scribe.word(2)),
      scribe.word(isDouble ? 0x7fd : 0xfd),
    );

  /** How many low bits of the significands of two normal doubles are zero, added up. */
  const freeBits = (a: Value, b: Value): Value => {
    const free = (value: Value) => {
      const bits = scribe.op(I64, [value], "i64.reinterpret_f64");
      const marked = scribe.op(I64, [bits, scribe.long(1n << 52n)], "i64.or");
      return scribe.op(I64, [marked], "i64.ctz");
    };
    return scribe.op(I32, [scribe.op(I64, [free(a), free(b)], "i64.add")], "i32.wrap_i64");
  };
  /** Whether the product of two normal doubles needs no more than 53 bits. */
  const hasExactProduct = (a: Value, b: Value) => op32("ge_s", freeBits(a, b), scribe.word(53));
  /** Whether `sum`, the rounded sum of a and b, is their sum: Knuth's TwoSum leaves no error. */
  const isExactSum = (a: Value, b: Value, sum: Value, ofDoubles = isDouble): Value => {
    const prefix = ofDoubles ? "f64" : "f32";
    const kind = ofDoubles ? F64 : F32;
    const sub = (x: Value, y: Value) => scribe.op(kind, [x, y], `${prefix}.sub` as PlainName);
    const shift = scribe.keep(sub(sum, a));
    const left = sub(a, sub(sum, shift));
    const right = sub(b, shift);
    const error = scribe.op(kind, [left, right], `${prefix}.add` as PlainName);
    return scribe.op(I32, [error, ofDoubles ? zeroDouble : zero], `${prefix}.eq` as PlainName);
  };

  const inexactIsUp = () => op32("and", scribe.state("i32.load", FCSR), scribe.word(NX));
  /** Gives `result` if it raises nothing new; `isExact` is asked only if the inexact flag is down. */
  const checked = (result: Value, isSafe: Value, isExact: () => Value): Value => {
    const inexact = scribe.when(not(inexactIsUp()), () => not(isExact()));
    scribe.declineIf(either(inexact, not(isSafe)));
    return result;
  };
  const zeroFrom = (result: Value, ...operands: Value[]) =>
    both(isZero(result), operands.map(isZero).reduce(either));

  const sum = (operation: "add" | "sub") => (first: Value, second: Value): Value => {
    if (!nearest) return scribe.decline();
    const a = scribe.keep(first);
    const b = scribe.keep(operation === "sub" ? native("neg", second) : second);
    const result = scribe.keep(native("add", a, b));
    return checked(
      result,
      either(isNormal(result), isZero(result)),
      () => isExactSum(a, b, result),
    );
  };
  const product = (first: Value, second: Value): Value => {
    if (!nearest) return scribe.decline();
    const a = scribe.keep(first), b = scribe.keep(second);
    const result = scribe.keep(native("mul", a, b));
    const isSafe = either(isNormal(result), zeroFrom(result, a, b));
    return checked(
      result,
      isSafe,
      () =>
        isDouble
          ? either(isZero(result), hasExactProduct(a, b))
          : sameDouble(inDouble("mul", double(a), double(b)), double(result)),
    );
  };
  const quotient = (first: Value, second: Value): Value => {
    if (!nearest) return scribe.decline();
    const a = scribe.keep(first), b = scribe.keep(second);
    const result = scribe.keep(native("div", a, b));
    const isSafe = either(isNormal(result), zeroFrom(result, a));
    return checked(result, isSafe, () => {
      const undone = sameDouble(inDouble("mul", double(result), double(b)), double(a));
      if (!isDouble) return undone;
      return both(undone, either(isZero(a), both(isNormal(a), hasExactProduct(result, b))));
    });
  };
  const root = (operand: Value): Value => {
    if (!nearest) return scribe.decline();
    const a = scribe.keep(operand);
    const result = scribe.keep(native("sqrt", a));
    const isSafe = either(isNormal(result), zeroFrom(result, a));
    return checked(result, isSafe, () => {
      const squared = inDouble("mul", double(result), double(result));
      const undone = sameDouble(squared, double(a));
      if (!isDouble) return undone;
      return both(undone, either(isZero(a), both(isNormal(a), hasExactProduct(result, result))));
    });
  };

  const relaxedMadd = (a: Value, b: Value, c: Value): Value => {
    const splat: PlainName = isDouble ? "f64x2.splat" : "f32x4.splat";
    const lanes = [a, b, c].flatMap((operand) => scribe.op(type, [operand], splat).pieces);
    const madd: PlainName = isDouble ? "f64x2.relaxed_madd" : "f32x4.relaxed_madd";
    const lane = isDouble ? "f64x2.extract_lane" : "f32x4.extract_lane";
    const code = scribe.code(type, (out) => out.op(madd).lane(lane));
    return { type, pieces: [...lanes, ...code.pieces] };
  };
  const fused = (first: Value, second: Value, third: Value): Value => {
    if (!nearest) return scribe.decline();
    const a = scribe.keep(first), b = scribe.keep(second), c = scribe.keep(third);
    const multiplied = scribe.keep(inDouble("mul", double(a), double(b)));
    const added = scribe.keep(inDouble("add", multiplied, double(c)));
    // Two roundings are one if the first product is exact, as every product of singles is in double.
    const isExact = () => {
      const exactSum = isExactSum(multiplied, double(c), added, true);
      if (isDouble) {
        // A product that is tiny by itself could have lost bits that its significand has room for.
        return both(both(isNormal(multiplied), hasExactProduct(a, b)), exactSum);
      }
      return both(exactSum, sameDouble(double(demoted(added)), added));
    };
    if (!hostFusesMultiplyAdd()) {
      const result = scribe.keep(isDouble ? added : demoted(added));
      const isSafe = both(isNormal(result), isExact());
      scribe.declineIf(not(isSafe));
      return result;
    }
    const result = scribe.keep(relaxedMadd(a, b, c));
    return checked(result, isNormal(result), isExact);
  };
  const demoted = (value: Value) => scribe.op(F32, [value], "f32.demote_f64");

  /** Neither operand is a NaN; declines otherwise. */
  const ordered = (first: Value, second: Value): readonly [Value, Value] => {
    const a = scribe.keep(first), b = scribe.keep(second);
    scribe.declineIf(either(test("ne", a, a), test("ne", b, b)));
    return [a, b];
  };
  const compare = (operation: string) => (a: Value, b: Value): Value =>
    test(operation, ...ordered(a, b));

  const constant = (value: number) => {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, value);
    const exact = scribe.op(F64, [scribe.long(view.getBigInt64(0))], "f64.reinterpret_i64");
    return isDouble ? exact : demoted(exact);
  };
  const toInteger = (kind: IntegerType, operand: Value): Value => {
    const how = ROUNDED[scribe.rounding];
    if (how === undefined) return scribe.decline();
    const value = scribe.keep(operand);
    const rounded = scribe.keep(native(how, value));
    const narrow = kind.startsWith("w");
    const isUnsigned = kind.endsWith("u");
    const width = narrow ? 32 : 64;
    // A value at the edge is left to the reference with those beyond it; so is a NaN.
    const inRange = isUnsigned
      ? both(test("ge", rounded, constant(0)), test("lt", rounded, constant(2 ** width)))
      : test("lt", native("abs", rounded), constant(2 ** (width - 1)));
    const quiet = either(test("eq", rounded, value), inexactIsUp());
    scribe.declineIf(not(both(inRange, quiet)));
    const integer = narrow ? I32 : I64;
    const convert = `${narrow ? "i32" : "i64"}.trunc_sat_${isDouble ? "f64" : "f32"}_${
      isUnsigned ? "u" : "s"
    }` as PlainName;
    const result = scribe.op(integer, [rounded], convert);
    return narrow ? scribe.op(I64, [result], "i64.extend_i32_s") : result;
  };
  const fromInteger = (kind: IntegerType, x: Value): Value => {
    const narrow = kind.startsWith("w");
    const isUnsigned = kind.endsWith("u");
    const low = narrow ? scribe.keep(scribe.op(I32, [x], "i32.wrap_i64")) : scribe.keep(x);
    const convert = name(`convert_${narrow ? "i32" : "i64"}_${isUnsigned ? "u" : "s"}`);
    if (!(narrow && isDouble)) {
      // Small integers convert exactly; larger ones do so or raise inexact.
      const extend: PlainName = isUnsigned ? "i64.extend_i32_u" : "i64.extend_i32_s";
      const wide = narrow ? scribe.op(I64, [low], extend) : low;
      const most = 1n << (isDouble ? 53n : 24n);
      const below = (value: Value, limit: bigint) =>
        scribe.op(I32, [value, scribe.long(limit)], "i64.le_u");
      const isSmall = isUnsigned
        ? below(wide, most)
        : below(scribe.op(I64, [wide, scribe.long(most)], "i64.add"), 2n * most);
      scribe.declineIf(not(nearest ? either(isSmall, inexactIsUp()) : isSmall));
    }
    return scribe.op(type, [low], convert);
  };
  const convertFrom = (from: Format, operand: Value): Value => {
    if (from === "h") return scribe.decline();
    const value = scribe.keep(operand);
    if (isDouble) {
      scribe.declineIf(scribe.op(I32, [value, value], "f32.ne"));
      return scribe.op(F64, [value], "f64.promote_f32");
    }
    const result = scribe.keep(demoted(value));
    const exact = sameDouble(double(result), value);
    const harmless = nearest ? either(exact, both(inexactIsUp(), isNormal(result))) : exact;
    scribe.declineIf(not(harmless));
    return result;
  };
  const xorSign = (a: Value, b: Value): Value => {
    const sign = isDouble ? scribe.long(-(1n << 63n)) : scribe.word(-(2 ** 31));
    const prefix = isDouble ? "i64" : "i32";
    const operation = (kind: string, x: Value, y: Value) =>
      scribe.op(bitsType, [x, y], `${prefix}.${kind}` as PlainName);
    const bits = operation("xor", bitsOf(a), operation("and", bitsOf(b), sign));
    return scribe.op(type, [bits], isDouble ? "f64.reinterpret_i64" : "f32.reinterpret_i32");
  };

  return {
    add: sum("add"),
    sub: sum("sub"),
    mul: product,
    div: quotient,
    sqrt: root,
    fma: fused,
    min: (a, b) => native("min", ...ordered(a, b)),
    max: (a, b) => native("max", ...ordered(a, b)),
    eq: compare("eq"),
    lt: compare("lt"),
    le: compare("le"),
    neg: (a) => native("neg", a),
    copySign: (a, b) => native("copysign", a, b),
    xorSign,
    toInteger,
    fromInteger,
    convert: convertFrom,
    classify: () => scribe.decline(),
    fromBits: (bits) =>
      scribe.op(type, [bits], isDouble ? "f64.reinterpret_i64" : "f32.reinterpret_i32"),
  };
}
