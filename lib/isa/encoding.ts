/**
 * Encoding patterns: `"imm[11:0] rs1 000 rd 0010011"` is parsed once and read both ways, as decoder
 * and as encoder.
 *
 * A pattern lists the word from its highest bit down: digits are fixed, a name is a field, and the
 * ranges behind it say which of the field's bits lie there. `imm` is sign-extended, every other
 * field is not; a name with an apostrophe is a three-bit register, x8 to x15.
 *
 * `define` and `compress` make the entries of extensions (`rv64i.ts` and so on), which `rv64.ts`
 * lists and `decode.ts` collects.
 *
 * @module
 */
import type { Meaning } from "./sem.ts";

/** One run of bits of a field, of which each may have several. */
export interface Run {
  /** Lowest bit in the word. */
  readonly at: number;
  /** How many bits the run has. */
  readonly length: number;
  /** Name of the field. */
  readonly field: string;
  /** Lowest bit in the field. */
  readonly low: number;
}

/** An encoding, parsed: which bits are fixed and which fields the others make. */
export interface Pattern {
  /** Width of the word. */
  readonly bits: 16 | 32;
  /** Which bits are fixed. */
  readonly mask: number;
  /** What the fixed bits are; the others are 0 here. */
  readonly match: number;
  /** The bits that are not fixed, from the highest down. */
  readonly runs: readonly Run[];
  /** Highest bit of `imm`, −1 if there is none. */
  readonly signBit: number;
}

/** An entry of a table of instructions. */
export interface Entry {
  /** Mnemonic, without suffixes for bits that order memory. */
  readonly name: string;
  /** Fixed bits and fields of the encoding. */
  readonly pattern: Pattern;
  /** Its operands as they are written, e.g. `rd,imm(rs1)`: the words of `OPERANDS` in `operands.ts`. */
  readonly text: string;
  /** What the instruction does, in the words of `sem.ts`. */
  readonly meaning: Meaning;
  /** Names of the extensions of which one is enough to have it; none if every hart has it. */
  readonly extensions: readonly string[];
}

/** An instruction of an instruction set. */
export interface Definition extends Entry {
  /** Its place among the definitions of the set. */
  readonly index: number;
}

/** A compressed instruction: another way to write the 32-bit instruction in `expansion`. */
export interface Compressed {
  /** Mnemonic, with its `c.`. */
  readonly name: string;
  /** Fixed bits and fields of the encoding. */
  readonly pattern: Pattern;
  /** Its operands as they are written. */
  readonly text: string;
  /** The 32-bit instruction: its mnemonic, and for each word of its text a field or a value. */
  readonly expansion: string;
  /** Whether fields have values that are not reserved, nor another instruction's. */
  readonly when: (field: (name: string) => number) => boolean;
  /** Names of the extensions of which one is enough to have it. */
  readonly extensions: readonly string[];
}

/** An instruction as decoding gives it: its definition and the values of its fields. */
export interface Instruction {
  /** What it is; `illegal` where it is none. */
  readonly definition: Definition;
  /** Its 32-bit form, even where it was compressed: registers and CSRs are read from it. The raw bits of an illegal one. */
  readonly word: number;
  /** Bytes that the instruction takes in memory. */
  readonly length: 2 | 4;
  /** Its immediate, whatever the field is called; 0 if it has none. */
  readonly imm: number;
}

/** Where the ISA puts the register fields and the rounding mode, in every 32-bit format. */
export const SHIFT = { rd: 7, rm: 12, rs1: 15, rs2: 20, rs3: 27 } as const;

/** Widths of fields that patterns name without a range; five bits otherwise. */
const WIDTHS: Readonly<Record<string, number>> = {
  rm: 3,
  csr: 12,
  aq: 1,
  rl: 1,
  fm: 4,
  pred: 4,
  succ: 4,
  shamt: 6,
  shamtw: 5,
  "rd'": 3,
  "rs1'": 3,
  "rs2'": 3,
};

/** An entry of a table of instructions; the extension that lists it adds its name. */
export function define(name: string, encoding: string, text: string, meaning: Meaning): Entry {
  return { name, pattern: parsePattern(encoding, 32), text, meaning, extensions: [] };
}

/** An entry of a table of compressed instructions; the extension that lists it adds its name. */
export function compress(
  name: string,
  encoding: string,
  text: string,
  expansion: string,
  when: Compressed["when"] = () => true,
): Compressed {
  return { name, pattern: parsePattern(encoding, 16), text, expansion, when, extensions: [] };
}

/**
 * Parses a pattern.
 *
 * @throws {SyntaxError} If it does not say what every bit is.
 */
export function parsePattern(text: string, bits: 16 | 32 = 32): Pattern {
  let at: number = bits;
  let mask = 0;
  let match = 0;
  let signBit = -1;
  const runs: Run[] = [];
  for (const word of text.split(" ")) {
    const token = tokenOf(word);
    if (token === undefined) {
      throw new SyntaxError(`Cannot parse encoding "${text}": "${word}" is no field`);
    }
    if (typeof token === "number") {
      at -= word.length;
      mask |= (2 ** word.length - 1) << at;
      match |= token << at;
      continue;
    }
    const { field, parts } = token;
    for (const { length, low } of parts) {
      at -= length;
      runs.push({ at, length, field, low });
      if (field === "imm") signBit = Math.max(signBit, low + length - 1);
    }
  }
  if (at !== 0) {
    throw new SyntaxError(`Cannot parse encoding "${text}": ${bits - at} bits, not ${bits}`);
  }
  return { bits, mask: mask >>> 0, match: match >>> 0, runs, signBit };
}

/** A word of an encoding: a field, or the value of digits. */
type Token = number | {
  readonly field: string;
  readonly parts: readonly Pick<Run, "length" | "low">[];
};

/** Words that were read: a few stand in nearly every encoding. */
const tokens = new Map<string, Token | undefined>();

function tokenOf(word: string): Token | undefined {
  if (!tokens.has(word)) tokens.set(word, readToken(word));
  return tokens.get(word);
}

function readToken(word: string): Token | undefined {
  if (/^[01]+$/.test(word)) return parseInt(word, 2);
  const [, field, ranges] = /^([a-z0-9']+)(?:\[([\d:|]+)\])?$/.exec(word) ?? [];
  if (field === undefined) return undefined;
  if (ranges === undefined) return { field, parts: [{ length: WIDTHS[field] ?? 5, low: 0 }] };
  const parts = ranges.split("|").map((range) => {
    const [high = 0, low = high] = range.split(":").map(Number);
    return { length: high - low + 1, low };
  });
  return { field, parts };
}

/** Whether a word has the pattern's fixed bits. */
export function matches(pattern: Pattern, word: number): boolean {
  return ((word ^ pattern.match) & pattern.mask) === 0;
}

/** Whether a pattern has a field. */
export function has({ runs }: Pattern, field: string): boolean {
  return runs.some((run) => run.field === field);
}

/** Value of one field of `word`; a three-bit register's is 8 to 15. */
export function extract(pattern: Pattern, word: number, field: string): number {
  let value = 0;
  for (const run of pattern.runs) {
    if (run.field === field) value |= ((word >>> run.at) & (2 ** run.length - 1)) << run.low;
  }
  if (field.endsWith("'")) return value + 8;
  return field === "imm" ? signExtend(value, pattern.signBit) : value;
}

/** Extends the sign, bit `signBit`, to 32 bits. */
export function signExtend(value: number, signBit: number): number {
  return (value << (31 - signBit)) >> (31 - signBit);
}

/**
 * The word that holds these values; fields without one are 0.
 *
 * A value that its field cannot hold is cut off: `extract` then gives another one.
 */
export function insert(pattern: Pattern, fields: Readonly<Record<string, number>>): number {
  let word = pattern.match;
  for (const run of pattern.runs) {
    word |= (((fields[run.field] ?? 0) >> run.low) & (2 ** run.length - 1)) << run.at;
  }
  return word >>> 0;
}
