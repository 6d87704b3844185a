/**
 * The reading of instructions that follows: where the values in registers and stack slots came from
 * since a function was entered.
 *
 * A value is a register's value at the entry plus a number, a number alone, or unknown. That is
 * enough to know how far sp has moved and where ra was put, which is what an unwinder needs.
 *
 * Who walks a function's instructions with it is `lib/program/unwinder.ts`.
 *
 * @module
 */
import { SP } from "./abi.ts";
import { type Instruction, SHIFT } from "./encoding.ts";
import type { Alu, Field, Fpu, Sem } from "./sem.ts";

/** What a register held at the entry, plus a number; x0 stands for the number alone. */
export interface Origin {
  /** Number of the register whose value at the entry this is. */
  readonly register: number;
  /** What was added to that value since the entry. */
  readonly plus: bigint;
}

/** What is known at one place of a function. */
export interface Trail {
  /** Where the value of each integer register came from; undefined is unknown. */
  readonly x: readonly (Origin | undefined)[];
  /** Which register's entry value lies on the stack, by offset from the sp at the entry. */
  readonly saved: ReadonlyMap<bigint, number>;
}

/** What an instruction leaves behind, and where control goes. */
export interface Followed {
  /** What is known behind it. */
  readonly trail: Trail;
  /** On, on or to the target, to the target only, into a function and back, or out of sight. */
  readonly flow: "next" | "branch" | "jump" | "call" | "away";
  /** Of a branch or jump. */
  readonly target: bigint | undefined;
  /** Of a call: the register that holds the way back. */
  readonly link: number;
}

/** What is known at the entry of a function. */
export const ENTRY_TRAIL: Trail = {
  x: Array.from({ length: 32 }, (_, register) => ({ register, plus: 0n })),
  saved: new Map(),
};

type Value = Origin | undefined;

function constant(value: bigint): Value {
  return { register: 0, plus: BigInt.asIntN(64, value) };
}

function word(value: Value): Value {
  return value?.register === 0 ? constant(BigInt.asIntN(32, value.plus)) : undefined;
}

const unknown = (): Value => undefined;
const NOTHING: Alu<Value> = {
  add: unknown,
  sub: unknown,
  mul: unknown,
  and: unknown,
  or: unknown,
  xor: unknown,
  shl: unknown,
  shr: unknown,
  sar: unknown,
  rotl: unknown,
  rotr: unknown,
  clz: unknown,
  ctz: unknown,
  cpop: unknown,
  div: unknown,
  divu: unknown,
  rem: unknown,
  remu: unknown,
  eq: unknown,
  ne: unknown,
  lt: unknown,
  ge: unknown,
  ltu: unknown,
  geu: unknown,
};
const LONGS: Alu<Value> = {
  ...NOTHING,
  add: (a, b) => sum(a, b) ?? sum(b, a),
  sub: (a, b) => b?.register === 0 ? sum(a, constant(-b.plus)) : undefined,
  shl: (a, b) =>
    a?.register === 0 && b?.register === 0 ? constant(a.plus << (b.plus & 63n)) : undefined,
};
const WORDS: Alu<Value> = { ...NOTHING, add: (a, b) => word(LONGS.add(word(a), word(b))) };
const FLOATS: Fpu<Value> = {
  add: unknown,
  sub: unknown,
  mul: unknown,
  div: unknown,
  sqrt: unknown,
  fma: unknown,
  min: unknown,
  max: unknown,
  eq: unknown,
  lt: unknown,
  le: unknown,
  neg: unknown,
  copySign: unknown,
  xorSign: unknown,
  toInteger: unknown,
  fromInteger: unknown,
  convert: unknown,
  classify: unknown,
  fromBits: unknown,
};

function sum(a: Value, b: Value): Value {
  if (!a || b?.register !== 0) return undefined;
  return { register: a.register, plus: BigInt.asIntN(64, a.plus + b.plus) };
}

/** Follows one instruction at `pc`, before which `trail` is known. */
export function follow(instruction: Instruction, pc: bigint, trail: Trail): Followed {
  const { definition, word: bits, length, imm } = instruction;
  const number = (field: Field) => (bits >>> SHIFT[field]) & 31;
  const x = [...trail.x];
  let { saved } = trail;
  let flow: Followed["flow"] = "next";
  let target: bigint | undefined;
  let link = 0;
  const slot = (base: Value, offset: Value): bigint | undefined => {
    const address = offset ? LONGS.add(base, offset) : base;
    return address?.register === SP ? address.plus : undefined;
  };
  const reading: Sem<Value> = {
    x: (field) => number(field) === 0 ? constant(0n) : x[number(field)],
    setX(field, value) {
      link = number(field);
      if (link !== 0) x[link] = value;
    },
    f: unknown,
    setF: unknown,
    fbits: unknown,
    imm: () => constant(BigInt(imm)),
    target: () => constant(pc + BigInt(imm)),
    next: () => constant(pc + BigInt(length)),
    constant,
    keep: (value) => value,
    i64: LONGS,
    i32: WORDS,
    low: word,
    signed: word,
    unsigned: unknown,
    select: unknown,
    mulh: unknown,
    mulhu: unknown,
    mulhsu: unknown,
    float: { h: FLOATS, s: FLOATS, d: FLOATS },
    load(access, base, offset) {
      const at = slot(base, offset);
      const register = at === undefined || access.bytes !== 8 ? undefined : saved.get(at);
      return register === undefined ? undefined : { register, plus: 0n };
    },
    store(access, base, offset, value) {
      const at = slot(base, offset);
      if (at === undefined) return;
      const next = new Map(saved);
      if (access.bytes === 8 && value && value.register !== 0 && value.plus === 0n) {
        next.set(at, value.register);
      } else next.delete(at);
      saved = next;
    },
    amo: unknown,
    loadReserved: unknown,
    storeConditional: unknown,
    cacheBlock: unknown,
    csr: unknown,
    branch() {
      flow = "branch";
      target = pc + BigInt(imm);
    },
    jump(to) {
      target = to?.register === 0 ? to.plus : undefined;
      flow = link !== 0 ? "call" : target === undefined ? "away" : "jump";
    },
    trap: unknown,
    synchronize: unknown,
    returnFromTrap: () => void (flow = "away"),
    wait: unknown,
    forgetTranslations: unknown,
  };
  definition.meaning(reading);
  return { trail: { x, saved }, flow, target, link };
}
