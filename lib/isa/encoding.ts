/**
 * Encoding patterns: `"imm[11:0] rs1 000 rd 0010011"` is parsed once and read both ways, as decoder and as encoder.
 * `imm` is sign-extended, `uimm` is not; `rd'` is a three-bit register, x8 to x15.
 * @module
 */
import type { Meaning } from "./sem.ts";

/** One run of bits: `length` bits at `at` of the word hold bits `low`… of a field. */
interface Run {
  readonly at: number;
  readonly length: number;
  readonly field: string;
  readonly low: number;
}
export interface Pattern {
  readonly bits: 16 | 32;
  readonly mask: number;
  readonly match: number;
  readonly runs: readonly Run[];
  readonly signBit: number;
}
export interface Definition {
  readonly name: string;
  readonly pattern: Pattern;
  readonly text: string;
  readonly meaning: Meaning;
  readonly index: number;
}
/** A compressed instruction: another way to write the 32-bit instruction in `expansion`. */
export interface Compressed {
  readonly name: string;
  readonly pattern: Pattern;
  readonly expansion: string;
  readonly when?: ((field: (name: string) => number) => boolean) | undefined;
}
/** A decoded instruction. Register and CSR fields are read from `word`, which is the 32-bit form even of a compressed one. */
export interface Instruction {
  readonly definition: Definition;
  readonly word: number;
  readonly length: 2 | 4;
  readonly imm: number;
}

/** Where the ISA puts the register fields, in every 32-bit format. */
export const SHIFT = { rd: 7, rs1: 15, rs2: 20, rs3: 27 } as const;
const WIDTH: Record<string, number> = {
  rm: 3,
  csr: 12,
  aq: 1,
  rl: 1,
  fence: 12,
  shamt: 6,
  shamtw: 5,
  "rd'": 3,
  "rs1'": 3,
  "rs2'": 3,
};

export function parsePattern(text: string, bits: 16 | 32 = 32): Pattern {
  let at: number = bits, mask = 0, match = 0, signBit = -1;
  const runs: Run[] = [];
  for (const token of text.split(" ")) {
    if (/^[01]+$/.test(token)) {
      at -= token.length;
      mask |= (2 ** token.length - 1) << at;
      match |= parseInt(token, 2) << at;
      continue;
    }
    const [, field, ranges] = token.match(/^([a-z0-9']+)(?:\[(.+)\])?$/)!;
    for (const range of ranges?.split("|") ?? [`${(WIDTH[field!] ?? 5) - 1}:0`]) {
      const [high, low = high] = range.split(":").map(Number) as [number, number?];
      at -= high - low! + 1;
      runs.push({ at, length: high - low! + 1, field: field!, low: low! });
      if (field === "imm") signBit = Math.max(signBit, high);
    }
  }
  if (at !== 0) throw new Error(`Encoding "${text}" is ${bits - at} bits long, not ${bits}`);
  return { bits, mask: mask >>> 0, match: match >>> 0, runs, signBit };
}

/** Value of one field of `word`. */
export function extract(pattern: Pattern, word: number, name: string): number {
  let value = 0;
  for (const run of pattern.runs) {
    if (run.field === name) value |= ((word >>> run.at) & (2 ** run.length - 1)) << run.low;
  }
  if (name.endsWith("'")) return value + 8;
  return name === "imm" ? (value << (31 - pattern.signBit)) >> (31 - pattern.signBit) : value;
}
/** The word that holds these field values. */
export function insert(pattern: Pattern, fields: Readonly<Record<string, number>>): number {
  let word = pattern.match;
  for (const run of pattern.runs) {
    word |= ((fields[run.field]! >> run.low) & (2 ** run.length - 1)) << run.at;
  }
  return word >>> 0;
}
const IMMEDIATES = ["imm", "uimm", "shamt", "shamtw"];
const words = (text: string) => text.match(/[\w'.-]+/g) ?? [];
const REGISTER_NAMES =
  "zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6"
    .split(" ");
function operandValue(text: string): number {
  const named = REGISTER_NAMES.indexOf(text);
  return named >= 0 ? named : Number(text.replace(/^[xf](?=\d)/, ""));
}

/** Decoder, assembler and disassembler over a table of definitions. */
export class Isa {
  readonly definitions: Definition[] = [];
  readonly #byName = new Map<string, Definition>();
  readonly #buckets: Definition[][] = Array.from({ length: 256 }, () => []);
  readonly #compressed: Compressed[];
  readonly #expanded = new Float64Array(65536).fill(-1);
  readonly #immediateRuns: (readonly Run[])[] = [];
  readonly #illegal: Definition;

  constructor(
    table: readonly Omit<Definition, "index">[],
    compressed: readonly Compressed[],
    illegal: string,
  ) {
    for (const entry of table) {
      const definition = { ...entry, index: this.definitions.length };
      this.definitions.push(definition);
      this.#byName.set(entry.name, definition);
      this.#immediateRuns.push(entry.pattern.runs.filter((run) => IMMEDIATES.includes(run.field)));
      for (let key = 0; key < 256; key++) { // opcode bits 6..2 and funct3
        const probe = ((key >> 3) << 2) | ((key & 7) << 12) | 3;
        if (((probe ^ entry.pattern.match) & entry.pattern.mask & 0x707f) === 0) {
          this.#buckets[key]!.push(definition);
        }
      }
    }
    this.#compressed = [...compressed];
    this.#illegal = this.named(illegal);
  }
  /** The compressed instructions. */
  get compressed(): readonly Compressed[] {
    return this.#compressed;
  }
  named(name: string): Definition {
    return this.#byName.get(name)!;
  }

  /** Decodes the instruction whose first 32 bits are `bits`. */
  decode(bits: number): Instruction {
    const length = (bits & 3) === 3 ? 4 : 2;
    const word = length === 4 ? bits >>> 0 : this.expand(bits & 0xffff);
    const bucket = this.#buckets[(((word >>> 2) & 31) << 3) | ((word >>> 12) & 7)]!;
    for (let k = 0; k < bucket.length; k++) {
      const definition = bucket[k]!, pattern = definition.pattern;
      if (((word & pattern.mask) >>> 0) !== pattern.match) continue;
      const runs = this.#immediateRuns[definition.index]!;
      let imm = 0;
      for (let r = 0; r < runs.length; r++) {
        imm |= ((word >>> runs[r]!.at) & (2 ** runs[r]!.length - 1)) << runs[r]!.low;
      }
      if (pattern.signBit >= 0) imm = (imm << (31 - pattern.signBit)) >> (31 - pattern.signBit);
      return { definition, word, length, imm };
    }
    return { definition: this.#illegal, word: bits, length, imm: 0 };
  }
  /** The 32-bit form of a compressed instruction; 0 (illegal) if there is none. */
  expand(half: number): number {
    let word = this.#expanded[half]!;
    if (word < 0) {
      const entry = this.#compressed.find(({ pattern, when }) =>
        (half & pattern.mask) === pattern.match &&
        (when?.((name) => extract(pattern, half, name)) ?? true)
      );
      word = entry
        ? this.assemble(
          entry.expansion.replace(/\b(rd'|rs1'|rs2'|rd|rs1|rs2|imm|uimm)(?![\w'])/g, (name) =>
            String(extract(entry.pattern, half, name))),
        )
        : 0;
      this.#expanded[half] = word;
    }
    return word;
  }
  assemble(line: string): number {
    const [name, ...operands] = words(line);
    const definition = this.#byName.get(name!);
    if (!definition) {
      throw new SyntaxError(`Cannot assemble "${line}": no instruction is called ${name}`);
    }
    const fields: Record<string, number> = { rm: 7, aq: 0, rl: 0, fence: 0xff };
    words(definition.text).forEach((field, k) => fields[field] = operandValue(operands[k]!));
    return insert(definition.pattern, fields);
  }
  disassemble({ definition, word, imm }: Instruction): string {
    const operands = definition.text.replace(/[a-z][\w]*/g, (field) => {
      if (IMMEDIATES.includes(field)) return String(imm);
      const value = extract(definition.pattern, word, field);
      return field in SHIFT
        ? (definition.name.startsWith("f") ? `f${value}` : REGISTER_NAMES[value]!)
        : String(value);
    });
    return `${definition.name} ${operands}`.trim();
  }
}
