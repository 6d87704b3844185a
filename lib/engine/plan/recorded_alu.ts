/**
 * Integer arithmetic as the recorder writes it, at 32 and 64 bits.
 *
 * WASM traps where RISC-V divides by zero or overflows; recorded code divides by 1 there and chooses
 * the ISA's result afterwards.
 *
 * How values are written down is `scribe.ts`.
 *
 * @module
 */
import type { Alu } from "../../isa/sem.ts";
import { I32, I64, type PlainName, type ValueType } from "../../wasm/code.ts";
import type { Value } from "./plan.ts";
import { expectType, type Scribe } from "./scribe.ts";

/** Arithmetic at one width, written through `scribe`. */
export function recordedAlu(width: "i32" | "i64", scribe: Scribe): Alu<Value> {
  const type = width === "i32" ? I32 : I64;
  const unary = (name: string) => (a: Value): Value => {
    expectType(type, a);
    return scribe.op(type, [a], `${width}.${name}` as PlainName);
  };
  const binary = (name: string, result: ValueType = type) => (a: Value, b: Value): Value => {
    expectType(type, a, b);
    return scribe.op(result, [a, b], `${width}.${name}` as PlainName);
  };
  const compare = (name: string) => binary(name, I32);
  const divider = new Divider(width, scribe);
  return {
    add: binary("add"),
    sub: binary("sub"),
    mul: binary("mul"),
    and: binary("and"),
    or: binary("or"),
    xor: binary("xor"),
    shl: binary("shl"),
    shr: binary("shr_u"),
    sar: binary("shr_s"),
    rotl: binary("rotl"),
    rotr: binary("rotr"),
    clz: unary("clz"),
    ctz: unary("ctz"),
    cpop: unary("popcnt"),
    div: (a, b) => divider.divide("div_s", a, b),
    divu: (a, b) => divider.divide("div_u", a, b),
    rem: (a, b) => divider.divide("rem_s", a, b),
    remu: (a, b) => divider.divide("rem_u", a, b),
    eq: compare("eq"),
    ne: compare("ne"),
    lt: compare("lt_s"),
    ge: compare("ge_s"),
    ltu: compare("lt_u"),
    geu: compare("ge_u"),
  };
}

/** Divides at one width where WASM would trap, too. */
class Divider {
  readonly #width: "i32" | "i64";
  readonly #scribe: Scribe;

  constructor(width: "i32" | "i64", scribe: Scribe) {
    this.#width = width;
    this.#scribe = scribe;
  }

  /** MIN / 1 = MIN and MIN % 1 = 0 are what MIN / -1 and MIN % -1 are to give. */
  divide(name: "div_s" | "div_u" | "rem_s" | "rem_u", first: Value, second: Value): Value {
    const a = this.#scribe.keep(first), b = this.#scribe.keep(second);
    let unsafe = this.#isZero(b);
    if (name.endsWith("_s")) {
      const least = this.#width === "i32"
        ? this.#scribe.word(-(2 ** 31))
        : this.#scribe.long(-(1n << 63n));
      const overflows = this.#word("and", this.#equal(a, least), this.#equal(b, this.#number(-1)));
      unsafe = this.#word("or", unsafe, overflows);
    }
    const result = this.#op(name, a, this.#select(this.#number(1), b, unsafe));
    const ofZero = name.startsWith("div") ? this.#number(-1) : a;
    return this.#select(ofZero, result, this.#isZero(b));
  }

  get #type(): ValueType {
    return this.#width === "i32" ? I32 : I64;
  }

  #number(value: number): Value {
    return this.#width === "i32" ? this.#scribe.word(value) : this.#scribe.long(BigInt(value));
  }

  #op(name: string, a: Value, b: Value): Value {
    expectType(this.#type, a, b);
    return this.#scribe.op(this.#type, [a, b], `${this.#width}.${name}` as PlainName);
  }

  #word(name: "and" | "or", a: Value, b: Value): Value {
    return this.#scribe.op(I32, [a, b], `i32.${name}`);
  }

  #equal(a: Value, b: Value): Value {
    return this.#scribe.op(I32, [a, b], `${this.#width}.eq`);
  }

  #isZero(value: Value): Value {
    return this.#scribe.op(I32, [value], `${this.#width}.eqz`);
  }

  #select(a: Value, b: Value, condition: Value): Value {
    return this.#scribe.op(this.#type, [a, b, condition], "select");
  }
}

/** Upper half of a product: of unsigned, of signed, or of a signed and an unsigned factor. */
export function upperProduct(
  scribe: Scribe,
  kind: "unsigned" | "signed" | "mixed",
  first: Value,
  second: Value,
): Value {
  const a = scribe.keep(first), b = scribe.keep(second);
  const { and, sar, sub } = recordedAlu("i64", scribe);
  const ifNegative = (sign: Value, value: Value): Value => and(sar(sign, scribe.long(63n)), value);
  const product = unsignedUpperProduct(scribe, a, b);
  if (kind === "unsigned") return product;
  const corrected = sub(product, ifNegative(a, b));
  return kind === "mixed" ? corrected : sub(corrected, ifNegative(b, a));
}

/** Upper half of the product of two kept unsigned values, from 32-bit halves. */
function unsignedUpperProduct(scribe: Scribe, a: Value, b: Value): Value {
  const { add, mul, and, shr } = recordedAlu("i64", scribe);
  const lower = (value: Value) => and(value, scribe.long(0xffffffffn));
  const upper = (value: Value) => shr(value, scribe.long(32n));
  const carry = upper(mul(lower(a), lower(b)));
  const middle = scribe.keep(add(mul(upper(a), lower(b)), carry));
  const other = scribe.keep(add(mul(lower(a), upper(b)), lower(middle)));
  return add(add(mul(upper(a), upper(b)), upper(middle)), upper(other));
}
