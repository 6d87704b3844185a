/**
 * Zba, Zbb and Zbs, the bit-manipulation extensions, and Zicond, conditional zeroing.
 *
 * Everything is written with the words of `sem.ts`, straight-line: a minimum is a comparison and a
 * selection.
 *
 * @module
 */
import { define, type Entry } from "./encoding.ts";
import { alsoIn, type Extension, extension } from "./extension.ts";
import { onImmediate, onRegisters, onWordImmediate, onWords } from "./rv64i.ts";
import type { AluOperation, Meaning, Sem } from "./sem.ts";

type Named<T> = readonly (readonly [name: string, code: string, what: T])[];

/** Every byte holds these bits. */
const LOW_SEVEN_BITS = 0x7f7f_7f7f_7f7f_7f7fn;
const TOP_BITS = BigInt.asIntN(64, 0x8080_8080_8080_8080n);
/** Every second byte, and every second half. */
const EVEN_BYTES = 0x00ff_00ff_00ff_00ffn;
const EVEN_HALVES = 0x0000_ffff_0000_ffffn;

/** The low word of rs1, zero-extended. */
function unsignedWord<V>(s: Sem<V>): V {
  return s.unsigned(s.low(s.x("rs1")));
}

function shiftAndAdd(shift: bigint): Meaning {
  return (s) => s.setX("rd", s.i64.add(s.i64.shl(s.x("rs1"), s.constant(shift)), s.x("rs2")));
}

function shiftWordAndAdd(shift: bigint): Meaning {
  return (s) => s.setX("rd", s.i64.add(s.i64.shl(unsignedWord(s), s.constant(shift)), s.x("rs2")));
}

function withInverted(operation: "and" | "or"): Meaning {
  return (s) => {
    const inverted = s.i64.xor(s.x("rs2"), s.constant(-1n));
    s.setX("rd", s.i64[operation](s.x("rs1"), inverted));
  };
}

function count(operation: "clz" | "ctz" | "cpop"): Meaning {
  return (s) => s.setX("rd", s.i64[operation](s.x("rs1")));
}

function countInWord(operation: "clz" | "ctz" | "cpop"): Meaning {
  return (s) => s.setX("rd", s.unsigned(s.i32[operation](s.low(s.x("rs1")))));
}

/** The operand for which the comparison with the other holds. */
function extreme(comparison: "lt" | "ltu" | "ge" | "geu"): Meaning {
  return (s) => {
    const a = s.keep(s.x("rs1"));
    const b = s.keep(s.x("rs2"));
    s.setX("rd", s.select(s.i64[comparison](a, b), a, b));
  };
}

function signExtend(unusedBits: bigint): Meaning {
  return (s) => {
    const shifted = s.i64.shl(s.x("rs1"), s.constant(unusedBits));
    s.setX("rd", s.i64.sar(shifted, s.constant(unusedBits)));
  };
}

/** Bytes that are not 0 become 0xff. */
function orCombine<V>(s: Sem<V>): void {
  const { add, and, mul, or, shr } = s.i64;
  const value = s.keep(s.x("rs1"));
  const carried = add(and(value, s.constant(LOW_SEVEN_BITS)), s.constant(LOW_SEVEN_BITS));
  const marked = and(or(carried, value), s.constant(TOP_BITS));
  s.setX("rd", mul(shr(marked, s.constant(7n)), s.constant(0xffn)));
}

function reverseBytes<V>(s: Sem<V>): void {
  const { and, or, rotl, shl, shr } = s.i64;
  const swap = (value: V, mask: bigint, distance: bigint): V => {
    const even = and(value, s.constant(mask));
    const odd = and(shr(value, s.constant(distance)), s.constant(mask));
    return s.keep(or(shl(even, s.constant(distance)), odd));
  };
  const word = s.keep(s.x("rs1"));
  const halves = swap(word, EVEN_BYTES, 8n);
  const words = swap(halves, EVEN_HALVES, 16n);
  s.setX("rd", rotl(words, s.constant(32n)));
}

type BitOperation = "clear" | "extract" | "invert" | "set";

/** Works on the bit of rs1 that rs2 or the immediate numbers. */
function onBit(operation: BitOperation, number: "rs2" | "imm"): Meaning {
  return (s) => {
    const { and, or, shl, shr, xor } = s.i64;
    const value = s.x("rs1");
    const at = number === "rs2" ? s.x("rs2") : s.imm();
    if (operation === "extract") s.setX("rd", and(shr(value, at), s.constant(1n)));
    else {
      const bit = shl(s.constant(1n), at);
      if (operation === "clear") s.setX("rd", and(value, xor(bit, s.constant(-1n))));
      else s.setX("rd", operation === "set" ? or(value, bit) : xor(value, bit));
    }
  };
}

function zeroIf(comparison: "eq" | "ne"): Meaning {
  return (s) => {
    const condition = s.i64[comparison](s.x("rs2"), s.constant(0n));
    s.setX("rd", s.select(condition, s.constant(0n), s.x("rs1")));
  };
}

const SHIFTS: readonly (readonly [shift: bigint, funct3: string])[] = [
  [1n, "010"],
  [2n, "100"],
  [3n, "110"],
];
const COUNTS: readonly (readonly ["clz" | "ctz" | "cpop", code: string])[] = [
  ["clz", "00000"],
  ["ctz", "00001"],
  ["cpop", "00010"],
];
const EXTREMES: Named<"lt" | "ltu" | "ge" | "geu"> = [
  ["min", "100", "lt"],
  ["minu", "101", "ltu"],
  ["max", "110", "ge"],
  ["maxu", "111", "geu"],
];
const ROTATIONS: readonly (readonly [name: string, funct3: string, AluOperation])[] = [
  ["rol", "001", "rotl"],
  ["ror", "101", "rotr"],
];
/** The code is funct6, which bit 25 extends to funct7 or to the shift amount. */
const BITS: readonly (readonly [string, code: string, funct3: string, BitOperation])[] = [
  ["bclr", "010010", "001", "clear"],
  ["bext", "010010", "101", "extract"],
  ["binv", "011010", "001", "invert"],
  ["bset", "001010", "001", "set"],
];

/** Zba: addresses. */
export const ZBA: Extension = extension("zba", {
  hwprobe: [3],
  entries: [
    ...SHIFTS.map(([shift, funct3]) =>
      define(
        `sh${shift}add`,
        `0010000 rs2 rs1 ${funct3} rd 0110011`,
        "rd,rs1,rs2",
        shiftAndAdd(shift),
      )
    ),
    ...SHIFTS.map(([shift, funct3]) =>
      define(
        `sh${shift}add.uw`,
        `0010000 rs2 rs1 ${funct3} rd 0111011`,
        "rd,rs1,rs2",
        shiftWordAndAdd(shift),
      )
    ),
    define(
      "add.uw",
      "0000100 rs2 rs1 000 rd 0111011",
      "rd,rs1,rs2",
      (s) => s.setX("rd", s.i64.add(unsignedWord(s), s.x("rs2"))),
    ),
    define(
      "slli.uw",
      "000010 shamt rs1 001 rd 0011011",
      "rd,rs1,shamt",
      (s) => s.setX("rd", s.i64.shl(unsignedWord(s), s.imm())),
    ),
  ],
});

/** What Zbkb, bit manipulation for cryptography, has of Zbb. */
const ROTATING: readonly Entry[] = [
  define("andn", "0100000 rs2 rs1 111 rd 0110011", "rd,rs1,rs2", withInverted("and")),
  define("orn", "0100000 rs2 rs1 110 rd 0110011", "rd,rs1,rs2", withInverted("or")),
  define("xnor", "0100000 rs2 rs1 100 rd 0110011", "rd,rs1,rs2", (s) => {
    s.setX("rd", s.i64.xor(s.i64.xor(s.x("rs1"), s.x("rs2")), s.constant(-1n)));
  }),
  ...ROTATIONS.map(([name, funct3, operation]) =>
    define(name, `0110000 rs2 rs1 ${funct3} rd 0110011`, "rd,rs1,rs2", onRegisters(operation))
  ),
  ...ROTATIONS.map(([name, funct3, operation]) =>
    define(`${name}w`, `0110000 rs2 rs1 ${funct3} rd 0111011`, "rd,rs1,rs2", onWords(operation))
  ),
  define("rori", "011000 shamt rs1 101 rd 0010011", "rd,rs1,shamt", onImmediate("rotr")),
  define("roriw", "0110000 shamtw rs1 101 rd 0011011", "rd,rs1,shamtw", onWordImmediate("rotr")),
  define("rev8", "011010111000 rs1 101 rd 0010011", "rd,rs1", reverseBytes),
];

/** Zbb: basic bit manipulation. */
export const ZBB: Extension = extension("zbb", {
  hwprobe: [4],
  entries: [
    ...ROTATING.map((entry) => alsoIn("zbkb", entry)),
    ...COUNTS.map(([name, code]) =>
      define(name, `0110000 ${code} rs1 001 rd 0010011`, "rd,rs1", count(name))
    ),
    ...COUNTS.map(([name, code]) =>
      define(`${name}w`, `0110000 ${code} rs1 001 rd 0011011`, "rd,rs1", countInWord(name))
    ),
    ...EXTREMES.map(([name, funct3, comparison]) =>
      define(name, `0000101 rs2 rs1 ${funct3} rd 0110011`, "rd,rs1,rs2", extreme(comparison))
    ),
    define("sext.b", "0110000 00100 rs1 001 rd 0010011", "rd,rs1", signExtend(56n)),
    define("sext.h", "0110000 00101 rs1 001 rd 0010011", "rd,rs1", signExtend(48n)),
    define(
      "zext.h",
      "0000100 00000 rs1 100 rd 0111011",
      "rd,rs1",
      (s) => s.setX("rd", s.i64.and(s.x("rs1"), s.constant(0xffffn))),
    ),
    define("orc.b", "001010000111 rs1 101 rd 0010011", "rd,rs1", orCombine),
  ],
});

/** Zbs: single bits. */
export const ZBS: Extension = extension("zbs", {
  hwprobe: [5],
  entries: [
    ...BITS.map(([name, code, funct3, operation]) =>
      define(name, `${code}0 rs2 rs1 ${funct3} rd 0110011`, "rd,rs1,rs2", onBit(operation, "rs2"))
    ),
    ...BITS.map(([name, code, funct3, operation]) =>
      define(
        `${name}i`,
        `${code} shamt rs1 ${funct3} rd 0010011`,
        "rd,rs1,shamt",
        onBit(operation, "imm"),
      )
    ),
  ],
});

/** Zicond: conditional zeroing. */
export const ZICOND: Extension = extension("zicond", {
  hwprobe: [35],
  entries: [
    define("czero.eqz", "0000111 rs2 rs1 101 rd 0110011", "rd,rs1,rs2", zeroIf("eq")),
    define("czero.nez", "0000111 rs2 rs1 111 rd 0110011", "rd,rs1,rs2", zeroIf("ne")),
  ],
});
