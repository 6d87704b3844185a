/**
 * IEEE 754 arithmetic in binary16, binary32 and binary64, exact on bigints: every rounding mode, every flag,
 * and the choices that the F and D extensions make where the standard leaves one.
 *
 * A number is its bit pattern. A result that is a NaN is the canonical NaN; tininess is detected
 * after rounding. A finite number is taken apart into m × 2^e with a bigint m, computed without any
 * loss, and rounded once by {@linkcode SoftFloat.round}; only quotients and roots are cut off, far
 * behind the last bit that matters, with a sticky bit for the rest.
 *
 * @module
 */
import type { Format, IntegerType } from "../../isa/sem.ts";

/** fflags: inexact. */
export const NX = 1;
/** fflags: underflow. */
export const UF = 2;
/** fflags: overflow. */
export const OF = 4;
/** fflags: division by zero. */
export const DZ = 8;
/** fflags: invalid operation. */
export const NV = 16;

/** Rounding modes as `rm` and `frm` number them; 5 and 6 are reserved. */
export const Rounding = {
  nearestEven: 0,
  towardZero: 1,
  down: 2,
  up: 3,
  nearestAway: 4,
  dynamic: 7,
} as const;

/** What an operation gives where the result is a NaN. */
export const CANONICAL_NAN: Readonly<Record<Format, bigint>> = {
  h: 0x7e00n,
  s: 0x7fc00000n,
  d: 0x7ff8000000000000n,
};

/** The constants of a format. */
interface Layout {
  /** Bits of the fraction field. */
  readonly fraction: number;
  /** Exponent of the number whose exponent field is 1 and so of subnormal numbers, too. */
  readonly leastExponent: number;
  /** Position of the fraction's highest bit as a shift. */
  readonly fractionShift: bigint;
  /** Position of the sign bit. */
  readonly signShift: bigint;
  /** The fraction field's mask. */
  readonly fractionMask: bigint;
  /** The exponent field of infinities and NaNs. */
  readonly maximum: bigint;
  /** 1.0. */
  readonly one: bigint;
}

function layoutOf(fraction: number, exponent: number): Layout {
  const bias = 2 ** (exponent - 1) - 1;
  return {
    fraction,
    leastExponent: 1 - bias,
    fractionShift: BigInt(fraction),
    signShift: BigInt(fraction + exponent),
    fractionMask: (1n << BigInt(fraction)) - 1n,
    maximum: (1n << BigInt(exponent)) - 1n,
    one: BigInt(bias) << BigInt(fraction),
  };
}

const LAYOUTS: Readonly<Record<Format, Layout>> = {
  h: layoutOf(10, 5),
  s: layoutOf(23, 8),
  d: layoutOf(52, 11),
};

/** Bits computed of a quotient, and twice those of a root, beyond what the operands have. */
const SPARE_BITS = 128;

/** A number taken apart: a finite one is ±m × 2^e. */
interface Parts {
  readonly negative: boolean;
  readonly kind: "zero" | "finite" | "infinite" | "nan";
  /** Of a NaN: it raises the invalid flag wherever it is used. */
  readonly signaling: boolean;
  readonly m: bigint;
  readonly e: number;
}

/** Number of bits of a positive integer. */
function bitLength(m: bigint): number {
  const digits = m.toString(16);
  return digits.length * 4 - (Math.clz32(parseInt(digits[0]!, 16)) - 28);
}

/** The integer part of a square root. */
function integerRoot(m: bigint): bigint {
  let root = 1n << BigInt((bitLength(m) + 1) >> 1);
  for (;;) {
    const next = (root + m / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** Arithmetic in one format and one rounding mode; collects flags. */
export class SoftFloat {
  /** fflags raised since this was made, or since the caller cleared them. */
  flags = 0;
  readonly #format: Format;
  readonly #rounding: number;
  readonly #layout: Layout;

  /** @param rounding 0 to 4; see {@linkcode Rounding}. */
  constructor(format: Format, rounding: number) {
    this.#format = format;
    this.#rounding = rounding;
    this.#layout = LAYOUTS[format];
  }

  #unpack(bits: bigint): Parts {
    const { fractionShift, fractionMask, signShift, maximum, leastExponent, fraction } =
      this.#layout;
    const negative = (bits >> signShift & 1n) === 1n;
    const low = bits & fractionMask;
    const exponent = bits >> fractionShift & maximum;
    if (exponent === maximum) {
      const signaling = low !== 0n && low >> (fractionShift - 1n) === 0n;
      return { negative, kind: low === 0n ? "infinite" : "nan", signaling, m: 0n, e: 0 };
    }
    const least = leastExponent - fraction;
    if (exponent === 0n) {
      const kind = low === 0n ? "zero" : "finite";
      return { negative, kind, signaling: false, m: low, e: least };
    }
    const m = low | (1n << fractionShift);
    return { negative, kind: "finite", signaling: false, m, e: least + Number(exponent) - 1 };
  }

  #signed(negative: boolean, magnitude: bigint): bigint {
    return negative ? magnitude | (1n << this.#layout.signShift) : magnitude;
  }

  #infinity(negative: boolean): bigint {
    return this.#signed(negative, this.#layout.maximum << this.#layout.fractionShift);
  }

  #invalid(): bigint {
    this.flags |= NV;
    return CANONICAL_NAN[this.#format];
  }

  /** The NaN that comes of these operands, one of which is a NaN. */
  #nanOf(...operands: readonly Parts[]): bigint {
    if (operands.some((operand) => operand.signaling)) this.flags |= NV;
    return CANONICAL_NAN[this.#format];
  }

  /** Whether `rest` of a last place that is worth 2 × `half` rounds the magnitude up. */
  #roundsUp(negative: boolean, odd: boolean, rest: bigint, half: bigint, sticky: boolean): boolean {
    switch (this.#rounding) {
      case Rounding.nearestEven:
        return rest > half || (rest === half && (sticky || odd));
      case Rounding.nearestAway:
        return rest >= half;
      case Rounding.down:
        return negative && (rest > 0n || sticky);
      case Rounding.up:
        return !negative && (rest > 0n || sticky);
      default:
        return false;
    }
  }

  /** m × 2^e (and a little more, if sticky) as a multiple of 2^place. */
  #roundAt(
    place: number,
    negative: boolean,
    m: bigint,
    e: number,
    sticky: boolean,
  ): { readonly quotient: bigint; readonly inexact: boolean } {
    if (place <= e) return { quotient: m << BigInt(e - place), inexact: sticky };
    const dropped = BigInt(place - e);
    const rest = m & ((1n << dropped) - 1n);
    const kept = m >> dropped;
    const up = this.#roundsUp(negative, (kept & 1n) === 1n, rest, 1n << (dropped - 1n), sticky);
    return { quotient: up ? kept + 1n : kept, inexact: rest > 0n || sticky };
  }

  /**
   * ±m × 2^e, m not 0, rounded to this format, with the flags that this raises.
   *
   * @param sticky The true value is a little greater than m × 2^e; m then has bits to spare.
   */
  round(negative: boolean, m: bigint, e: number, sticky = false): bigint {
    const { fraction, fractionShift, leastExponent, maximum } = this.#layout;
    const exponent = e + bitLength(m) - 1;
    const place = Math.max(exponent, leastExponent) - fraction;
    const { quotient, inexact } = this.#roundAt(place, negative, m, e, sticky);
    if (inexact) {
      this.flags |= NX;
      if (exponent < leastExponent && !this.#reachesNormal(exponent, negative, m, e, sticky)) {
        this.flags |= UF;
      }
    }
    // Adding carries a normal number's leading bit, and a rounding overflow, into the exponent.
    const magnitude = (BigInt(place - leastExponent + fraction) << fractionShift) + quotient;
    if (magnitude >> fractionShift < maximum) return this.#signed(negative, magnitude);
    this.flags |= OF | NX;
    const awayFromZero = this.#rounding === Rounding.nearestEven ||
      this.#rounding === Rounding.nearestAway ||
      this.#rounding === (negative ? Rounding.down : Rounding.up);
    return awayFromZero
      ? this.#infinity(negative)
      : this.#signed(negative, (maximum << fractionShift) - 1n);
  }

  /** Whether a number below the normal ones would be one if rounded with all bits of precision. */
  #reachesNormal(
    exponent: number,
    negative: boolean,
    m: bigint,
    e: number,
    sticky: boolean,
  ): boolean {
    const { fraction, fractionShift, leastExponent } = this.#layout;
    if (exponent !== leastExponent - 1) return false;
    const { quotient } = this.#roundAt(exponent - fraction, negative, m, e, sticky);
    return quotient >> (fractionShift + 1n) === 1n;
  }

  /** a + b, rounded once. */
  add(a: bigint, b: bigint): bigint {
    return this.fma(a, this.#layout.one, b);
  }

  /** a − b, rounded once. */
  sub(a: bigint, b: bigint): bigint {
    return this.fma(a, this.#layout.one, b ^ (1n << this.#layout.signShift));
  }

  /** a × b, rounded once. */
  mul(a: bigint, b: bigint): bigint {
    const x = this.#unpack(a);
    const y = this.#unpack(b);
    const negative = x.negative !== y.negative;
    if (x.kind === "nan" || y.kind === "nan") return this.#nanOf(x, y);
    if (x.kind === "infinite" || y.kind === "infinite") {
      return x.kind === "zero" || y.kind === "zero" ? this.#invalid() : this.#infinity(negative);
    }
    if (x.kind === "zero" || y.kind === "zero") return this.#signed(negative, 0n);
    return this.round(negative, x.m * y.m, x.e + y.e);
  }

  /** a × b + c, rounded once. Infinity times zero is invalid even if c is a quiet NaN. */
  fma(a: bigint, b: bigint, c: bigint): bigint {
    const x = this.#unpack(a);
    const y = this.#unpack(b);
    const z = this.#unpack(c);
    const negative = x.negative !== y.negative;
    const zero = x.kind === "zero" || y.kind === "zero";
    const infinite = x.kind === "infinite" || y.kind === "infinite";
    if (zero && infinite) this.flags |= NV;
    if (x.kind === "nan" || y.kind === "nan" || z.kind === "nan" || (zero && infinite)) {
      return this.#nanOf(x, y, z);
    }
    if (infinite) {
      const cancels = z.kind === "infinite" && z.negative !== negative;
      return cancels ? this.#invalid() : this.#infinity(negative);
    }
    if (z.kind === "infinite") return c;
    if (zero && z.kind === "zero") return this.#zeroSum(negative, z.negative);
    if (zero) return c;
    const e = x.e + y.e;
    if (z.kind === "zero") return this.round(negative, x.m * y.m, e);
    const least = Math.min(e, z.e);
    const product = (x.m * y.m) << BigInt(e - least);
    const addend = z.m << BigInt(z.e - least);
    const sum = (negative ? -product : product) + (z.negative ? -addend : addend);
    if (sum === 0n) return this.#zeroSum(negative, z.negative);
    return this.round(sum < 0n, sum < 0n ? -sum : sum, least);
  }

  /** The zero that two numbers add up to. */
  #zeroSum(firstNegative: boolean, secondNegative: boolean): bigint {
    const negative = firstNegative === secondNegative
      ? firstNegative
      : this.#rounding === Rounding.down;
    return this.#signed(negative, 0n);
  }

  /** a ÷ b, rounded once. */
  div(a: bigint, b: bigint): bigint {
    const x = this.#unpack(a);
    const y = this.#unpack(b);
    const negative = x.negative !== y.negative;
    if (x.kind === "nan" || y.kind === "nan") return this.#nanOf(x, y);
    if (x.kind === y.kind && x.kind !== "finite") return this.#invalid();
    if (x.kind === "infinite") return this.#infinity(negative);
    if (y.kind === "infinite" || x.kind === "zero") return this.#signed(negative, 0n);
    if (y.kind === "zero") {
      this.flags |= DZ;
      return this.#infinity(negative);
    }
    const numerator = x.m << BigInt(SPARE_BITS);
    const sticky = numerator % y.m !== 0n;
    return this.round(negative, numerator / y.m, x.e - y.e - SPARE_BITS, sticky);
  }

  /** The square root; that of −0 is −0. */
  sqrt(a: bigint): bigint {
    const x = this.#unpack(a);
    if (x.kind === "nan") return this.#nanOf(x);
    if (x.kind === "zero") return a;
    if (x.negative) return this.#invalid();
    if (x.kind === "infinite") return a;
    const shift = SPARE_BITS + (x.e & 1);
    const m = x.m << BigInt(shift);
    const root = integerRoot(m);
    return this.round(false, root, (x.e - shift) / 2, root * root !== m);
  }

  /**
   * −1, 0 or 1 as `a` is less than, equal to or greater than `b`; undefined if one is a NaN.
   *
   * @param signaling Any NaN is an invalid operation, as for `flt` and `fle`, not only a signaling
   * one.
   */
  compare(a: bigint, b: bigint, signaling: boolean): -1 | 0 | 1 | undefined {
    const x = this.#unpack(a);
    const y = this.#unpack(b);
    if (x.kind === "nan" || y.kind === "nan") {
      if (signaling || x.signaling || y.signaling) this.flags |= NV;
      return undefined;
    }
    if (x.kind === "zero" && y.kind === "zero") return 0;
    const sign = 1n << this.#layout.signShift;
    const first = x.negative ? sign - a : a;
    const second = y.negative ? sign - b : b;
    if (first === second) return 0;
    return first < second ? -1 : 1;
  }

  /**
   * The lesser (`wanted` −1) or greater (1) number: IEEE 754-2019 minimumNumber, maximumNumber.
   * −0 is less than +0; of a NaN and a number it is the number.
   */
  extreme(a: bigint, b: bigint, wanted: -1 | 1): bigint {
    const order = this.compare(a, b, false);
    if (order === undefined) {
      if (this.#unpack(a).kind !== "nan") return a;
      return this.#unpack(b).kind === "nan" ? CANONICAL_NAN[this.#format] : b;
    }
    if (order === 0) return this.#unpack(a).negative === (wanted < 0) ? a : b;
    return order === wanted ? a : b;
  }

  /** The integer that a register gets, signed; what is out of range, and a NaN, saturates. */
  toInteger(type: IntegerType, a: bigint): bigint {
    const x = this.#unpack(a);
    const unsigned = type === "wu" || type === "lu";
    const bits = type === "w" || type === "wu" ? 32 : 64;
    const least = unsigned ? 0n : -(1n << BigInt(bits - 1));
    const most = (1n << BigInt(unsigned ? bits : bits - 1)) - 1n;
    let value: bigint;
    let inexact = false;
    if (x.kind === "nan" || x.kind === "infinite") {
      value = x.negative && x.kind !== "nan" ? least - 1n : most + 1n;
    } else {
      const rounded = this.#roundAt(0, x.negative, x.m, x.e, false);
      value = x.negative ? -rounded.quotient : rounded.quotient;
      inexact = rounded.inexact;
    }
    if (value < least || value > most) {
      this.flags |= NV;
      value = value < least ? least : most;
    } else if (inexact) this.flags |= NX;
    return BigInt.asIntN(bits, value);
  }

  /** The number next to the integer that a register holds. */
  fromInteger(type: IntegerType, x: bigint): bigint {
    const bits = type === "w" || type === "wu" ? 32 : 64;
    const value = type === "w" || type === "l" ? BigInt.asIntN(bits, x) : BigInt.asUintN(bits, x);
    if (value === 0n) return 0n;
    return this.round(value < 0n, value < 0n ? -value : value, 0);
  }

  /** `a`, a number of the format `from`, in this one. */
  convertFrom(from: Format, a: bigint): bigint {
    const x = new SoftFloat(from, this.#rounding).#unpack(a);
    if (x.kind === "nan") return this.#nanOf(x);
    if (x.kind === "infinite") return this.#infinity(x.negative);
    if (x.kind === "zero") return this.#signed(x.negative, 0n);
    return this.round(x.negative, x.m, x.e);
  }

  /** The bit of `fclass` for `a`: 0 is −∞, 4 is +0, 7 is +∞, 8 and 9 are NaNs. */
  classify(a: bigint): bigint {
    const x = this.#unpack(a);
    if (x.kind === "nan") return x.signaling ? 1n << 8n : 1n << 9n;
    const subnormal = x.m >> this.#layout.fractionShift === 0n;
    const magnitude = x.kind === "infinite" ? 3 : x.kind === "zero" ? 0 : subnormal ? 1 : 2;
    return 1n << BigInt(x.negative ? 3 - magnitude : 4 + magnitude);
  }
}
