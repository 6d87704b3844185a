/**
 * The reading of instructions that records: a value is the WASM code that pushes it.
 *
 * Where WASM's meaning and the ISA's could differ, the recorded code tests for it and leaves the
 * instruction to the reference. Such tests, and those of memory accesses, come before the first
 * write of every definition, so the reference finds the instruction untouched.
 *
 * Floating point is `recorder_float.ts`; what is recorded is `plan.ts`.
 *
 * @module
 */
import { FCSR, RESERVED_ADDRESS, RESERVED_VALUE } from "../../hart/state.ts";
import type { Definition, Instruction } from "../../isa/encoding.ts";
import type {
  Access,
  Alu,
  AmoOperation,
  Cause,
  CsrUpdate,
  Field,
  Format,
  Fpu,
  Sem,
} from "../../isa/sem.ts";
import {
  Code,
  F32,
  F64,
  I32,
  I64,
  type MemoryName,
  type PlainName,
  type ValueType,
} from "../../wasm/code.ts";
import {
  type Flow,
  GUEST,
  HOST,
  mergePieces,
  type Piece,
  type Plan,
  SCRATCH,
  SCRATCH_BASE,
  type Value,
} from "./plan.ts";
import { createDeclinedFpu, createRecordedFpu } from "./recorder_float.ts";

const BOX = 0xffffffffn << 32n;
/** CSR numbers of the fields of fcsr: where each lies there. */
const FLOAT_CSRS: readonly { readonly shift: number; readonly mask: number }[] = [
  { shift: 0, mask: 0 },
  { shift: 0, mask: 31 },
  { shift: 5, mask: 7 },
  { shift: 0, mask: 255 },
];
/** A value of more pieces is the reference's: it would make the one function of all handlers slow. */
const MOST_PIECES = 256;
/** What recording ends with where an instruction is left to the reference. */
const DECLINED = Symbol("declined");
/** rm: as frm says. */
const DYNAMIC = 7;

/** What recorded code is written with; the floating-point part shares it. */
export interface Scribe {
  /** The instruction's rounding mode; nearest-even also where it is dynamic, which is tested before. */
  readonly rounding: number;
  /** Computes a value once and keeps it in a scratch local. */
  keep(value: Value): Value;
  /** A value of code: operands, then instructions. */
  op(type: ValueType, operands: readonly Value[], ...names: PlainName[]): Value;
  /** Any other value of code. */
  code(type: ValueType, write: (code: Code) => void): Value;
  /** A 32-bit constant. */
  word(value: number): Value;
  /** A 64-bit constant. */
  long(value: bigint): Value;
  /** A word of the hart's state. */
  state(name: MemoryName, at: number): Value;
  /** Leaves the instruction to the reference if the 32-bit condition is not 0. */
  declineIf(condition: Value): void;
  /** Leaves it there always. */
  decline(): never;
  /** `condition ? then : 0`, where what `then` keeps is computed only if the condition holds. */
  when(condition: Value, then: () => Value): Value;
}

/** Records one definition; `word` matters only for the fields that select a variant. */
class Recorder implements Sem<Value>, Scribe {
  readonly i64: Alu<Value> = this.#alu("i64");
  readonly i32: Alu<Value> = this.#alu("i32");
  readonly rounding: number;
  readonly float: Readonly<Record<Format, Fpu<Value>>>;
  readonly #csr: number;
  readonly #used = new Map<ValueType, number>();
  #body: Piece[] = [];
  #flow: Flow = "next";
  #outcome: readonly Piece[] = [];
  #floats = false;

  constructor({ pattern }: Definition, word: number) {
    this.#csr = word >>> 20;
    const rounds = pattern.runs.some(({ field }) => field === "rm");
    const mode = (word >>> 12) & 7;
    this.rounding = rounds && mode !== DYNAMIC ? mode : 0;
    if (rounds && (mode === 5 || mode === 6)) this.decline();
    this.float = {
      h: createDeclinedFpu(this),
      s: createRecordedFpu("s", this),
      d: createRecordedFpu("d", this),
    };
    // A dynamic mode other than nearest-even, reserved ones included, is the reference's.
    if (rounds && mode === DYNAMIC) {
      this.declineIf(this.i32.and(this.state("i32.load", FCSR), this.word(0xe0)));
    }
  }

  plan(): Plan {
    const leaves = this.#flow === "leave";
    return {
      body: leaves ? [] : mergePieces(this.#body),
      flow: leaves ? "leave" : this.#flow,
      outcome: leaves ? [] : mergePieces(this.#outcome),
      floats: this.#floats,
    };
  }

  // ---- writing

  code(type: ValueType, write: (code: Code) => void): Value {
    const code = new Code(16);
    write(code);
    return { type, pieces: [{ kind: "code", bytes: code.bytes.slice() }] };
  }

  op(type: ValueType, operands: readonly Value[], ...names: PlainName[]): Value {
    const pieces = operands.flatMap((operand) => operand.pieces);
    if (pieces.length > MOST_PIECES) this.decline();
    return { type, pieces: [...pieces, ...this.code(type, (code) => code.op(...names)).pieces] };
  }

  word(value: number): Value {
    return this.code(I32, (code) => code.i32(value));
  }

  long(value: bigint): Value {
    return this.code(I64, (code) => code.i64(value));
  }

  constant(value: bigint): Value {
    return this.long(value);
  }

  keep(value: Value): Value {
    const { type } = value;
    const taken = this.#used.get(type) ?? 0;
    const local = SCRATCH.indexOf(type) + taken;
    if (SCRATCH[local] !== type) throw new RangeError("Cannot record: out of scratch locals");
    this.#used.set(type, taken + 1);
    const set = this.code(type, (code) => code.set(SCRATCH_BASE + local));
    this.#body.push(...value.pieces, ...set.pieces);
    return this.code(type, (code) => code.get(SCRATCH_BASE + local));
  }

  when(condition: Value, then: () => Value): Value {
    const before = this.#body;
    this.#body = [];
    const value = then();
    const inside = this.#body;
    this.#body = before;
    const { type } = value;
    const open = this.code(type, (code) => code.if(type));
    const close = this.code(type, (code) => code.op("else").i32(0).op("end"));
    const pieces = [condition, open, { type, pieces: inside }, value, close];
    return this.keep({ type, pieces: pieces.flatMap((part) => part.pieces) });
  }

  state(name: MemoryName, at: number): Value {
    const type = name.startsWith("i64") ? I64 : I32;
    return this.code(type, (code) => code.i32(0).access(name, HOST, at));
  }

  #setState(name: MemoryName, at: number, value: Value): void {
    this.#body.push(
      ...this.code(I32, (code) => code.i32(0)).pieces,
      ...value.pieces,
      ...this.code(I32, (code) => code.access(name, HOST, at)).pieces,
    );
  }

  declineIf(condition: Value): void {
    this.#expect(I32, condition);
    this.#body.push(...condition.pieces, { kind: "declineIf" });
  }

  decline(): never {
    throw DECLINED;
  }

  #expect(type: ValueType, ...values: readonly Value[]): void {
    for (const value of values) {
      if (value.type !== type) throw new TypeError("Cannot record: a value of another width");
    }
  }

  // ---- operands

  x(field: Field): Value {
    return { type: I64, pieces: [{ kind: "x", field, low: false }] };
  }

  setX(_field: Field, value: Value): void {
    this.#expect(I64, value);
    this.#write("x", "i64", value);
  }

  #write(file: "x" | "f", as: "i64" | "f64", value: Value): void {
    this.#floats ||= file === "f";
    this.#body.push({ kind: "begin", file, as }, ...value.pieces, { kind: "end", file, as });
  }

  fbits(field: Field): Value {
    this.#floats = true;
    return { type: I64, pieces: [{ kind: "f", field, as: "bits" }] };
  }

  f(format: Format, field: Field): Value {
    this.#floats = true;
    if (format === "d") return { type: F64, pieces: [{ kind: "f", field, as: "double" }] };
    if (format === "h") return this.decline();
    const bits = this.keep(this.fbits(field));
    const boxed = this.i64.geu(bits, this.long(BOX));
    const single = this.op(I32, [this.low(bits), this.word(0x7fc00000), boxed], "select");
    return this.float.s.fromBits(single);
  }

  setF(format: Format, _field: Field, value: Value): void {
    if (format === "d") this.#write("f", "f64", value);
    else if (format === "s") {
      const bits = this.op(I64, [value], "i32.reinterpret_f32", "i64.extend_i32_u");
      this.#write("f", "i64", this.i64.or(bits, this.long(BOX)));
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
    this.#expect(I64, value);
    const [first] = value.pieces;
    if (value.pieces.length === 1 && (first?.kind === "x" || first?.kind === "imm")) {
      return { type: I32, pieces: [{ ...first, low: true }] };
    }
    return this.op(I32, [value], "i32.wrap_i64");
  }

  signed(word: Value): Value {
    this.#expect(I32, word);
    return this.op(I64, [word], "i64.extend_i32_s");
  }

  unsigned(word: Value): Value {
    this.#expect(I32, word);
    return this.op(I64, [word], "i64.extend_i32_u");
  }

  select(condition: Value, a: Value, b: Value): Value {
    this.#expect(I32, condition);
    return this.op(a.type, [a, b, condition], "select");
  }

  #alu(width: "i32" | "i64"): Alu<Value> {
    const type = width === "i32" ? I32 : I64;
    const number = (value: number) => width === "i32" ? this.word(value) : this.long(BigInt(value));
    const least = width === "i32" ? this.word(-(2 ** 31)) : this.long(-(1n << 63n));
    const plain = (name: string) => (a: Value, b: Value): Value => {
      this.#expect(type, a, b);
      return this.op(type, [a, b], `${width}.${name}` as PlainName);
    };
    const unary = (name: string) => (a: Value): Value => {
      this.#expect(type, a);
      return this.op(type, [a], `${width}.${name}` as PlainName);
    };
    const compare = (name: string) => (a: Value, b: Value): Value => {
      this.#expect(type, a, b);
      return this.op(I32, [a, b], `${width}.${name}` as PlainName);
    };
    // WASM traps where RISC-V defines a result: divide by 1 instead and choose afterwards.
    const zero = (value: Value) => this.op(I32, [value], `${width}.eqz`);
    const select = (a: Value, b: Value, condition: Value) =>
      this.op(type, [a, b, condition], "select");
    const divide =
      (name: string, isSigned: boolean, ofZero: (a: Value) => Value) =>
      (first: Value, second: Value): Value => {
        const a = this.keep(first), b = this.keep(second);
        let unsafe = zero(b);
        if (isSigned) {
          const overflows = this.i32.and(compare("eq")(a, least), compare("eq")(b, number(-1)));
          unsafe = this.i32.or(unsafe, overflows);
        }
        // MIN / 1 = MIN and MIN % 1 = 0 are what MIN / -1 and MIN % -1 are to give.
        const result = plain(name)(a, select(number(1), b, unsafe));
        return select(ofZero(a), result, zero(b));
      };
    return {
      add: plain("add"),
      sub: plain("sub"),
      mul: plain("mul"),
      and: plain("and"),
      or: plain("or"),
      xor: plain("xor"),
      shl: plain("shl"),
      shr: plain("shr_u"),
      sar: plain("shr_s"),
      rotl: plain("rotl"),
      rotr: plain("rotr"),
      clz: unary("clz"),
      ctz: unary("ctz"),
      cpop: unary("popcnt"),
      div: divide("div_s", true, () => number(-1)),
      divu: divide("div_u", false, () => number(-1)),
      rem: divide("rem_s", true, (a) => a),
      remu: divide("rem_u", false, (a) => a),
      eq: compare("eq"),
      ne: compare("ne"),
      lt: compare("lt_s"),
      ge: compare("ge_s"),
      ltu: compare("lt_u"),
      geu: compare("ge_u"),
    };
  }

  mulhu(a: Value, b: Value): Value {
    return this.#upperProduct(this.keep(a), this.keep(b));
  }

  mulh(a: Value, b: Value): Value {
    const x = this.keep(a), y = this.keep(b);
    const { sub } = this.i64;
    return sub(sub(this.#upperProduct(x, y), this.#ifNegative(x, y)), this.#ifNegative(y, x));
  }

  mulhsu(a: Value, b: Value): Value {
    const x = this.keep(a), y = this.keep(b);
    return this.i64.sub(this.#upperProduct(x, y), this.#ifNegative(x, y));
  }

  /** `b` if `a` is negative, else 0. */
  #ifNegative(a: Value, b: Value): Value {
    return this.i64.and(this.i64.sar(a, this.long(63n)), b);
  }

  /** Upper half of the unsigned product, from 32-bit halves. */
  #upperProduct(a: Value, b: Value): Value {
    const { add, mul, and, shr } = this.i64;
    const lower = (value: Value) => and(value, this.long(0xffffffffn));
    const upper = (value: Value) => shr(value, this.long(32n));
    const carry = upper(mul(lower(a), lower(b)));
    const middle = this.keep(add(mul(upper(a), lower(b)), carry));
    const other = this.keep(add(mul(lower(a), upper(b)), lower(middle)));
    return add(add(mul(upper(a), upper(b)), upper(middle)), upper(other));
  }

  // ---- memory

  #address(access: Access, base: Value, offset: Value | undefined, how: "r" | "w" | "rw"): Value {
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
        writes: how !== "r",
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
    const load = this.code(type, (code) => code.access(name, GUEST));
    return { type, pieces: [...address.pieces, ...load.pieces] };
  }

  #store({ bytes, as }: Access, address: Value, value: Value): void {
    const name: MemoryName = as === "float"
      ? bytes === 8 ? "f64.store" : "f32.store"
      : bytes === 8
      ? "i64.store"
      : `i64.store${bytes * 8}` as MemoryName;
    const store = this.code(I32, (code) => code.access(name, GUEST));
    this.#body.push(...address.pieces, ...value.pieces, ...store.pieces);
  }

  load(access: Access, base: Value, offset?: Value): Value {
    if (access.as === "float" && access.bytes === 2) return this.decline();
    return this.#load(access, this.#address(access, base, offset, "r"));
  }

  store(access: Access, base: Value, offset: Value, value: Value): void {
    this.#store(access, this.#address(access, base, offset, "w"), value);
  }

  amo(operation: AmoOperation, access: Access, base: Value, value: Value): Value {
    const address = this.keep(this.#address(access, base, undefined, "rw"));
    const narrow = access.bytes === 4 ? this.op(I64, [value], "i64.extend32_s") : value;
    const operand = this.keep(narrow);
    const old = this.keep(this.#load(access, address));
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
    const address = this.keep(this.#address(access, base, undefined, "r"));
    const value = this.keep(this.#load(access, address));
    this.#setState("i64.store", RESERVED_ADDRESS, this.unsigned(address));
    this.#setState("i64.store", RESERVED_VALUE, value);
    return value;
  }

  storeConditional(access: Access, base: Value, value: Value): Value {
    const address = this.keep(this.#address(access, base, undefined, "rw"));
    const source = this.keep(value);
    const current = this.keep(this.#load(access, address));
    const same = this.i64.eq(this.unsigned(address), this.state("i64.load", RESERVED_ADDRESS));
    const unchanged = this.i64.eq(current, this.state("i64.load", RESERVED_VALUE));
    const held = this.keep(this.i32.and(same, unchanged));
    // One that fails puts back what is there: nobody else stores while this hart runs.
    this.#store(access, address, this.select(held, source, current));
    this.#setState("i64.store", RESERVED_ADDRESS, this.long(-1n));
    this.#setState("i64.store", RESERVED_VALUE, this.long(0n));
    return this.unsigned(this.op(I32, [held], "i32.eqz"));
  }

  cacheBlock(): void {
    this.decline();
  }

  // ---- the rest of the machine

  csr(update: CsrUpdate, source: Value): Value {
    const place = this.#csr === 0 ? undefined : FLOAT_CSRS[this.#csr];
    if (!place) return this.decline();
    this.#floats = true;
    const { and, or, xor, shl, shr } = this.i32;
    const mask = this.word(place.mask), shift = this.word(place.shift);
    const operand = this.keep(and(this.low(source), mask));
    const fcsr = this.keep(this.state("i32.load", FCSR));
    const old = this.keep(and(shr(fcsr, shift), mask));
    const value = update === "write"
      ? operand
      : update === "set"
      ? or(old, operand)
      : and(old, xor(operand, this.word(-1)));
    const others = and(fcsr, this.word(~(place.mask << place.shift)));
    this.#setState("i32.store", FCSR, or(others, shl(value, shift)));
    return this.unsigned(old);
  }

  branch(condition: Value): void {
    this.#expect(I32, condition);
    this.#flow = "branch";
    this.#outcome = condition.pieces;
  }

  jump(target: Value): void {
    this.#expect(I64, target);
    const direct = target.pieces.length === 1 && target.pieces[0]?.kind === "target";
    this.#flow = direct ? "jump" : "indirect";
    this.#outcome = direct ? [] : target.pieces;
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

/** Variants of one definition: by rounding mode, or by which of fcsr's fields a CSR is. */
const VARIANTS = 9;

function variantOf({ pattern }: Definition, word: number): number {
  if (pattern.runs.some(({ field }) => field === "csr")) return Math.min(word >>> 20, 4);
  return pattern.runs.some(({ field }) => field === "rm") ? (word >>> 12) & 7 : 0;
}

/** The plans of definitions, recorded when first asked for. */
export class Plans {
  readonly #plans: (Plan | undefined)[] = [];

  /** The plan of an instruction. */
  of({ definition, word }: Pick<Instruction, "definition" | "word">): Plan {
    const key = definition.index * VARIANTS + variantOf(definition, word);
    return this.#plans[key] ??= record(definition, word);
  }
}

/** The plan of what is the reference's. */
const LEAVE: Plan = { body: [], flow: "leave", outcome: [], floats: false };

/** Records a definition for words like `word`. */
export function record(definition: Definition, word: number): Plan {
  try {
    const recorder = new Recorder(definition, word);
    definition.meaning(recorder);
    return recorder.plan();
  } catch (reason) {
    if (reason === DECLINED) return LEAVE;
    throw reason;
  }
}
