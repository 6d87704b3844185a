/**
 * The reading of instructions that collects: which registers, flags and memory one reads and writes,
 * and how it hands over to the next.
 *
 * A value is nothing here; only what a definition asks for counts. x0 is left out: reading it gives
 * 0 and writing it does nothing.
 *
 * @module
 */
import { type Definition, has, SHIFT } from "./encoding.ts";
import type { Alu, Field, Fpu, Sem } from "./sem.ts";

/** Registers, CSRs, memory and control flow that one instruction touches. */
export interface Collected {
  /** Integer registers read, by number. */
  readonly readsX: ReadonlySet<number>;
  /** Integer registers written. */
  readonly writesX: ReadonlySet<number>;
  /** Float registers read. */
  readonly readsF: ReadonlySet<number>;
  /** Float registers written. */
  readonly writesF: ReadonlySet<number>;
  /** Whether it can raise floating-point flags, or reads or writes a CSR. */
  readonly touchesCsrs: boolean;
  /** Whether the instruction reads memory, writes it, or both. */
  readonly memory: "none" | "read" | "write" | "both";
  /** Where control goes: on, perhaps to a target, to one, where a register says, to a handler or back from it. */
  readonly flow: "next" | "branch" | "jump" | "indirect" | "trap" | "trap-return";
}

type Nothing = undefined;

const silent = (): Nothing => undefined;

/** Operations on integers, which touch nothing but their operands. */
const INTEGERS: Alu<Nothing> = {
  add: silent,
  sub: silent,
  mul: silent,
  and: silent,
  or: silent,
  xor: silent,
  shl: silent,
  shr: silent,
  sar: silent,
  rotl: silent,
  rotr: silent,
  clz: silent,
  ctz: silent,
  cpop: silent,
  div: silent,
  divu: silent,
  rem: silent,
  remu: silent,
  eq: silent,
  ne: silent,
  lt: silent,
  ge: silent,
  ltu: silent,
  geu: silent,
};

/** Operations on floats; those that may raise a flag call `raising`. */
function floats(raising: () => Nothing): Fpu<Nothing> {
  return {
    add: raising,
    sub: raising,
    mul: raising,
    div: raising,
    sqrt: raising,
    fma: raising,
    min: raising,
    max: raising,
    eq: raising,
    lt: raising,
    le: raising,
    toInteger: raising,
    fromInteger: raising,
    convert: raising,
    neg: silent,
    copySign: silent,
    xorSign: silent,
    classify: silent,
    fromBits: silent,
  };
}

/** Collects what the instruction `word` of this definition touches. */
export function collect({ meaning, pattern }: Definition, word: number): Collected {
  const readsX = new Set<number>(), writesX = new Set<number>();
  const readsF = new Set<number>(), writesF = new Set<number>();
  let reads = false, writes = false, arithmetic = false, csrs = false, targeted = false;
  let flow: Collected["flow"] = "next";
  const number = (field: Field) => (word >>> SHIFT[field]) & 31;
  const add = (set: Set<number>, register: number) => void (register !== 0 && set.add(register));
  const fpu = floats(() => void (arithmetic = true));
  const reading: Sem<Nothing> = {
    x: (field) => add(readsX, number(field)),
    setX: (field) => add(writesX, number(field)),
    f: (_format, field) => void readsF.add(number(field)),
    fbits: (field) => void readsF.add(number(field)),
    setF: (_format, field) => void writesF.add(number(field)),
    imm: silent,
    target: () => void (targeted = true),
    next: silent,
    constant: silent,
    keep: silent,
    i64: INTEGERS,
    i32: INTEGERS,
    low: silent,
    signed: silent,
    unsigned: silent,
    select: silent,
    mulh: silent,
    mulhu: silent,
    mulhsu: silent,
    float: { h: fpu, s: fpu, d: fpu },
    load: () => void (reads = true),
    store: () => void (writes = true),
    amo: () => void (reads = writes = true),
    loadReserved: () => void (reads = true),
    storeConditional: () => void (writes = true),
    cacheBlock: () => void (writes = true),
    csr: () => void (csrs = true),
    branch: () => void (flow = "branch"),
    jump: () => void (flow = targeted ? "jump" : "indirect"),
    trap: () => void (flow = "trap"),
    synchronize: silent,
    returnFromTrap: () => void (flow = "trap-return"),
    wait: silent,
    forgetTranslations: silent,
  };
  meaning(reading);
  return {
    readsX,
    writesX,
    readsF,
    writesF,
    touchesCsrs: csrs || arithmetic || has(pattern, "rm"),
    memory: reads && writes ? "both" : reads ? "read" : writes ? "write" : "none",
    flow,
  };
}
