/**
 * The reading of instructions that records: a value is the WASM code that pushes it.
 *
 * Where WASM's meaning and the ISA's could differ, the recorded code tests for it and leaves the
 * instruction to the reference. Such tests, and those of memory accesses, come before the first
 * write of every definition, so the reference finds the instruction untouched; a definition that
 * breaks this is refused.
 *
 * How code is written down is `scribe.ts`, integer arithmetic `recorded_alu.ts`, floating point
 * `recorded_fpu.ts`; what is recorded is `plan.ts`.
 *
 * @module
 */
import { FCSR, RESERVED_ADDRESS, RESERVED_VALUE } from "../../hart/state.ts";
import { type Definition, SHIFT } from "../../isa/encoding.ts";
import {
  type Access,
  type Alu,
  type AmoOperation,
  type Cause,
  type CsrUpdate,
  type Field,
  type Format,
  type Fpu,
  HALF_FLOAT,
  type Sem,
  UHALF,
} from "../../isa/sem.ts";
import { F32, F64, I32, I64, type MemoryName } from "../../wasm/code.ts";
import {
  asksOf,
  type Flow,
  GUEST,
  LEAVE,
  mergePieces,
  type Piece,
  type Plan,
  type Value,
} from "./plan.ts";
import { recordedAlu, upperProduct } from "./recorded_alu.ts";
import { recordedFpu } from "./recorded_fpu.ts";
import { recordedHalf } from "./recorded_half.ts";
import { Mode, Rounding } from "./rounding.ts";
import { expectType, Scribe, unlessDeclined } from "./scribe.ts";

const BOX = 0xffffffffn << 32n, HALF_BOX = 0xffffffffffffn << 16n;
/** CSR numbers of the fields of fcsr: where each lies there. */
const FLOAT_CSRS: readonly { readonly shift: number; readonly mask: number }[] = [
  { shift: 0, mask: 0 },
  { shift: 0, mask: 31 },
  { shift: 5, mask: 7 },
  { shift: 0, mask: 255 },
];

/** Records one definition; `word` matters only for the fields that select a variant. */
class Recorder implements Sem<Value> {
  readonly i64: Alu<Value>;
  readonly i32: Alu<Value>;
  readonly float: Readonly<Record<Format, Fpu<Value>>>;
  readonly #scribe = new Scribe();
  readonly #csr: number;
  #flow: Flow = "next";
  #outcome: readonly Piece[] = [];
  #floats = false;

  constructor({ pattern }: Definition, word: number) {
    const scribe = this.#scribe;
    this.#csr = word >>> 20;
    const rounds = pattern.runs.some(({ field }) => field === "rm");
    const mode = (word >>> SHIFT.rm) & 7;
    if (rounds && (mode === 5 || mode === 6)) scribe.decline();
    this.i64 = recordedAlu("i64", scribe);
    this.i32 = recordedAlu("i32", scribe);
    const said = rounds ? mode : Mode.nearest;
    const rounding = new Rounding(scribe, said);
    const d = recordedFpu("d", scribe, rounding);
    this.float = {
      h: recordedHalf(scribe, new Rounding(scribe, said, rounds), d),
      s: recordedFpu("s", scribe, rounding),
      d,
    };
  }

  plan(): Plan {
    if (this.#flow === "leave") return { ...LEAVE, floats: this.#floats };
    const body = mergePieces(this.#scribe.pieces);
    return {
      body,
      flow: this.#flow,
      outcome: mergePieces(this.#outcome),
      floats: this.#floats,
      asks: asksOf(body),
    };
  }

  constant(value: bigint): Value {
    return this.#scribe.long(value);
  }

  keep(value: Value): Value {
    return this.#scribe.keep(value);
  }

  // ---- operands

  x(field: Field): Value {
    return { type: I64, pieces: [{ kind: "x", field, low: false }] };
  }

  setX(_field: Field, value: Value): void {
    expectType(I64, value);
    this.#write("x", "i64", value);
  }

  #write(file: "x" | "f", as: "i64" | "f64", value: Value): void {
    this.#floats ||= file === "f";
    this.#scribe.append({ kind: "begin", file, as }, ...value.pieces, { kind: "end", file, as });
  }

  fbits(field: Field): Value {
    this.#floats = true;
    return { type: I64, pieces: [{ kind: "f", field, as: "bits" }] };
  }

  f(format: Format, field: Field): Value {
    this.#floats = true;
    if (format === "d") return { type: F64, pieces: [{ kind: "f", field, as: "double" }] };
    const isHalf = format === "h";
    const bits = this.#scribe.keep(this.fbits(field));
    const boxed = this.i64.geu(bits, this.#scribe.long(isHalf ? HALF_BOX : BOX));
    const unboxed = this.#scribe.op(
      I32,
      [this.low(bits), this.#scribe.word(isHalf ? 0x7e00 : 0x7fc00000), boxed],
      "select",
    );
    return this.float[format].fromBits(unboxed);
  }

  setF(format: Format, _field: Field, value: Value): void {
    if (format === "d") this.#write("f", "f64", value);
    else if (format === "s") {
      const bits = this.#scribe.op(I64, [value], "i32.reinterpret_f32", "i64.extend_i32_u");
      this.#write("f", "i64", this.i64.or(bits, this.#scribe.long(BOX)));
    } else {
      const bits = this.#scribe.op(I64, [value], "i64.extend_i32_u");
      this.#write("f", "i64", this.i64.or(bits, this.#scribe.long(HALF_BOX)));
    }
  }

  imm(): Value {
    return { type: I64, pieces: [{ kind: "imm", low: false }] };
  }

  target(): Value {
    return { type: I64, pieces: [{ kind: "target" }] };
  }

  next(): Value {
    return { type: I64, pieces: [{ kind: "next" }] };
  }

  // ---- integers

  low(value: Value): Value {
    expectType(I64, value);
    const [first] = value.pieces;
    if (value.pieces.length === 1 && (first?.kind === "x" || first?.kind === "imm")) {
      return { type: I32, pieces: [{ ...first, low: true }] };
    }
    return this.#scribe.op(I32, [value], "i32.wrap_i64");
  }

  signed(word: Value): Value {
    expectType(I32, word);
    return this.#scribe.op(I64, [word], "i64.extend_i32_s");
  }

  unsigned(word: Value): Value {
    expectType(I32, word);
    return this.#scribe.op(I64, [word], "i64.extend_i32_u");
  }

  select(condition: Value, a: Value, b: Value): Value {
    expectType(I32, condition);
    return this.#scribe.op(a.type, [a, b, condition], "select");
  }

  mulhu(a: Value, b: Value): Value {
    return upperProduct(this.#scribe, "unsigned", a, b);
  }

  mulh(a: Value, b: Value): Value {
    return upperProduct(this.#scribe, "signed", a, b);
  }

  mulhsu(a: Value, b: Value): Value {
    return upperProduct(this.#scribe, "mixed", a, b);
  }

  // ---- memory

  /** A checked address; `how` it is accessed, with an `a` where it has to be aligned. */
  #address(
    access: Access,
    base: Value,
    offset: Value | undefined,
    how: "r" | "w" | "ra" | "rwa",
  ): Value {
    const [register] = base.pieces;
    if (register?.kind !== "x" || (offset && offset.pieces[0]?.kind !== "imm")) {
      throw new TypeError(
        "Cannot record: an address is a register, or a register and the immediate",
      );
    }
    return {
      type: I32,
      pieces: [{
        kind: "address",
        field: register.field,
        offset: offset !== undefined,
        access,
        reads: how !== "w",
        writes: how.includes("w"),
        atomic: how.endsWith("a"),
      }],
    };
  }

  #load(access: Access, address: Value): Value {
    const { bytes, as } = access;
    const name: MemoryName = bytes === 8
      ? as === "float" ? "f64.load" : "i64.load"
      : as === "float"
      ? "f32.load"
      : `i64.load${bytes * 8}_${as === "signed" ? "s" : "u"}` as MemoryName;
    const type = as !== "float" ? I64 : bytes === 8 ? F64 : F32;
    const load = this.#scribe.code(type, (code) => code.access(name, GUEST));
    return { type, pieces: [...address.pieces, ...load.pieces] };
  }

  #store({ bytes, as }: Access, address: Value, value: Value): void {
    const name: MemoryName = as === "float"
      ? bytes === 8 ? "f64.store" : "f32.store"
      : bytes === 8
      ? "i64.store"
      : `i64.store${bytes * 8}` as MemoryName;
    const store = this.#scribe.code(I32, (code) => code.access(name, GUEST));
    this.#scribe.appendWrite(...address.pieces, ...value.pieces, ...store.pieces);
  }

  load(access: Access, base: Value, offset?: Value): Value {
    const address = this.#address(access, base, offset, "r");
    if (access !== HALF_FLOAT) return this.#load(access, address);
    return this.low(this.#load(UHALF, address));
  }

  store(access: Access, base: Value, offset: Value, value: Value): void {
    this.#store(access, this.#address(access, base, offset, "w"), value);
  }

  amo(operation: AmoOperation, access: Access, base: Value, value: Value): Value {
    const address = this.#scribe.keep(this.#address(access, base, undefined, "rwa"));
    const narrow = access.bytes === 4 ? this.#scribe.op(I64, [value], "i64.extend32_s") : value;
    const operand = this.#scribe.keep(narrow);
    const old = this.#scribe.keep(this.#load(access, address));
    // Sign-extension keeps the order of unsigned words, so 64-bit comparison serves both widths.
    const { lt, ltu } = this.i64;
    const combine = (): Value => {
      switch (operation) {
        case "swap":
          return operand;
        case "min":
          return this.select(lt(old, operand), old, operand);
        case "max":
          return this.select(lt(old, operand), operand, old);
        case "minu":
          return this.select(ltu(old, operand), old, operand);
        case "maxu":
          return this.select(ltu(old, operand), operand, old);
        default:
          return this.i64[operation](old, operand);
      }
    };
    this.#store(access, address, combine());
    return old;
  }

  loadReserved(access: Access, base: Value): Value {
    const address = this.#scribe.keep(this.#address(access, base, undefined, "ra"));
    const value = this.#scribe.keep(this.#load(access, address));
    this.#scribe.setState("i64.store", RESERVED_ADDRESS, this.unsigned(address));
    this.#scribe.setState("i64.store", RESERVED_VALUE, value);
    return value;
  }

  storeConditional(access: Access, base: Value, value: Value): Value {
    const address = this.#scribe.keep(this.#address(access, base, undefined, "rwa"));
    const source = this.#scribe.keep(value);
    const current = this.#scribe.keep(this.#load(access, address));
    const same = this.i64.eq(
      this.unsigned(address),
      this.#scribe.state("i64.load", RESERVED_ADDRESS),
    );
    const unchanged = this.i64.eq(current, this.#scribe.state("i64.load", RESERVED_VALUE));
    const held = this.#scribe.keep(this.i32.and(same, unchanged));
    // One that fails puts back what is there: nobody else stores while this hart runs.
    this.#store(access, address, this.select(held, source, current));
    this.#scribe.setState("i64.store", RESERVED_ADDRESS, this.#scribe.long(-1n));
    this.#scribe.setState("i64.store", RESERVED_VALUE, this.#scribe.long(0n));
    return this.unsigned(this.#scribe.op(I32, [held], "i32.eqz"));
  }

  cacheBlock(): void {
    this.#scribe.decline();
  }

  // ---- the rest of the machine

  csr(update: CsrUpdate, source: Value): Value {
    const place = this.#csr === 0 ? undefined : FLOAT_CSRS[this.#csr];
    if (!place) return this.#scribe.decline();
    this.#floats = true;
    const { and, or, xor, shl, shr } = this.i32;
    const mask = this.#scribe.word(place.mask), shift = this.#scribe.word(place.shift);
    const operand = this.#scribe.keep(and(this.low(source), mask));
    const fcsr = this.#scribe.keep(this.#scribe.state("i32.load", FCSR));
    const old = this.#scribe.keep(and(shr(fcsr, shift), mask));
    const value = update === "write"
      ? operand
      : update === "set"
      ? or(old, operand)
      : and(old, xor(operand, this.#scribe.word(-1)));
    const others = and(fcsr, this.#scribe.word(~(place.mask << place.shift)));
    this.#scribe.setState("i32.store", FCSR, or(others, shl(value, shift)));
    return this.unsigned(old);
  }

  branch(condition: Value): void {
    expectType(I32, condition);
    this.#flow = "branch";
    this.#outcome = this.#scribe.outcome(condition);
  }

  jump(target: Value): void {
    expectType(I64, target);
    const direct = target.pieces.length === 1 && target.pieces[0]?.kind === "target";
    this.#flow = direct ? "jump" : "indirect";
    this.#outcome = direct ? [] : this.#scribe.outcome(target);
  }

  trap(_cause: Cause, _value?: Value): void {
    this.#flow = "leave";
  }

  returnFromTrap(): void {
    this.#flow = "leave";
  }

  wait(): void {
    this.#flow = "leave";
  }

  forgetTranslations(): void {
    this.#flow = "leave";
  }

  synchronize(what: "memory" | "fetch"): void {
    if (what === "fetch") this.#flow = "leave";
  }
}

/**
 * Records a definition for words like `word`.
 *
 * @throws {TypeError} If the definition could be left after something of it has happened.
 */
export function record(definition: Definition, word: number): Plan {
  const plan = unlessDeclined(() => {
    const recorder = new Recorder(definition, word);
    definition.meaning(recorder);
    return recorder.plan();
  });
  return plan ?? LEAVE;
}
