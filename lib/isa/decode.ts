/**
 * The decoder: finds the definition that a word is an instance of.
 *
 * What a program is made of is decoded once for every place where it stands, so the decoder looks
 * through short lists, by opcode and funct3, and makes nothing but its answer. Compressed
 * instructions are decoded once for all places.
 *
 * Which definitions there are is `rv64.ts`; text is for `asm.ts` and `disasm.ts`.
 *
 * @module
 */
import {
  type Compressed,
  type Definition,
  extract,
  has,
  insert,
  type Instruction,
  matches,
  type Run,
  signExtend,
} from "./encoding.ts";
import type { Extension } from "./extension.ts";
import { fNumber, xNumber } from "./names.ts";
import { OPERANDS, wordsOf } from "./operands.ts";
import { PRIVILEGED } from "./privileged.ts";
import { EXTENSIONS } from "./rv64.ts";

const IMMEDIATES = ["imm", "uimm", "shamt", "shamtw"];

/** An instruction set: a decoder over the instructions of some extensions. */
export class Isa {
  /** Its extensions, in the order of their instructions. */
  readonly extensions: readonly Extension[];
  /** Every 32-bit instruction. */
  readonly definitions: readonly Definition[];
  /** Every compressed instruction. */
  readonly compressed: readonly Compressed[];
  readonly #byName: ReadonlyMap<string, Definition>;
  /** Definitions that words can match, by opcode (bits 6 to 2) and funct3; made when first asked for. */
  readonly #buckets: (readonly Definition[] | undefined)[] = new Array(256).fill(undefined);
  /** Where each definition's immediate is. */
  readonly #immediates: readonly (readonly Run[])[];
  readonly #illegal: Definition;
  /** By halfword; filled when first asked for. */
  readonly #halves: (Instruction | undefined)[] = new Array(65536).fill(undefined);

  /** What these extensions have, and what every hart has (`privileged.ts`). */
  constructor(extensions: readonly Extension[]) {
    this.extensions = extensions;
    this.definitions = [...extensions.flatMap(({ entries }) => entries), ...PRIVILEGED]
      .map((entry, index) => ({ ...entry, index }));
    this.compressed = extensions.flatMap(({ compressed }) => compressed);
    this.#byName = new Map(this.definitions.map((definition) => [definition.name, definition]));
    this.#illegal = this.named("illegal");
    this.#immediates = this.definitions.map(({ pattern }) =>
      pattern.runs.filter(({ field }) => IMMEDIATES.includes(field))
    );
  }

  /**
   * The definition with a name.
   *
   * @throws {RangeError} If there is none.
   */
  named(name: string): Definition {
    const definition = this.#byName.get(name);
    if (!definition) throw new RangeError(`Cannot name ${name}: there is no such instruction`);
    return definition;
  }

  /** Whether a definition has this name. */
  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /** Decodes the instruction whose first 32 bits are `bits`; a compressed one's upper half is ignored. */
  decode(bits: number): Instruction {
    if ((bits & 3) === 3) return this.#decodeWord(bits >>> 0, 4);
    const half = bits & 0xffff;
    return this.#halves[half] ??= this.#decodeHalf(half);
  }

  /** The compressed instruction that 16 bits are, if they are one. */
  compressedOf(half: number): Compressed | undefined {
    return this.compressed.find(({ pattern, when }) =>
      matches(pattern, half) && when((field) => extract(pattern, half, field))
    );
  }

  #decodeHalf(half: number): Instruction {
    const compressed = this.compressedOf(half);
    if (compressed) return this.#decodeWord(this.#expand(compressed, half), 2);
    return { definition: this.#illegal, word: half, length: 2, imm: 0 };
  }

  #decodeWord(word: number, length: 2 | 4): Instruction {
    const key = ((word << 1) & 0xf8) | ((word >>> 12) & 7);
    const bucket = this.#buckets[key] ??= this.#bucket(word);
    for (let k = 0; k < bucket.length; k++) {
      const definition = bucket[k]!;
      const { mask, match, signBit } = definition.pattern;
      if (((word & mask) >>> 0) !== match) continue;
      const runs = this.#immediates[definition.index]!;
      let value = 0;
      for (let r = 0; r < runs.length; r++) {
        const { at, length: bits, low } = runs[r]!;
        value |= ((word >>> at) & (2 ** bits - 1)) << low;
      }
      const imm = signBit < 0 ? value : signExtend(value, signBit);
      return { definition, word, length, imm };
    }
    return { definition: this.#illegal, word, length, imm: 0 };
  }

  /** Definitions with a word's opcode and funct3, as far as they have one. */
  #bucket(word: number): readonly Definition[] {
    return this.definitions.filter(({ pattern: { mask, match } }) =>
      ((word ^ match) & mask & 0x707f) === 0
    );
  }

  #expand({ pattern, expansion }: Compressed, half: number): number {
    return this.#encode(
      expansion,
      (word) => has(pattern, word) ? extract(pattern, half, word) : constant(word),
    );
  }

  /**
   * The 32-bit form of an instruction written with plain registers and numbers, as in
   * `sd x8, 16(sp)`; `lui` and `auipc` take the value that they add, not its upper 20 bits.
   * Programs are for `assemble()` in `asm.ts`.
   *
   * @throws {SyntaxError} If it is none.
   */
  assemble(line: string): number {
    return this.#encode(line, constant);
  }

  #encode(line: string, valueOf: (word: string) => number | undefined): number {
    const [name = "", ...operands] = line.match(/[\w'.-]+/g) ?? [];
    if (!this.has(name)) {
      throw new SyntaxError(`Cannot assemble "${line}": no instruction is called ${name}`);
    }
    const { pattern, text } = this.named(name);
    const fields: Record<string, number> = {};
    wordsOf(text).forEach((word, k) => {
      const { field, default: left } = OPERANDS[word]!;
      const operand = operands[k];
      const value = operand === undefined ? left : valueOf(operand);
      if (value === undefined) {
        throw new SyntaxError(`Cannot assemble "${line}": ${operand ?? "nothing"} as ${word}`);
      }
      fields[field] = value;
    });
    return insert(pattern, fields);
  }
}

/** What a register or number that is written out stands for. */
function constant(word: string): number | undefined {
  const register = xNumber(word) ?? fNumber(word);
  if (register !== undefined) return register;
  return /^(-?\d+|0x[\da-f]+)$/i.test(word) ? Number(word) : undefined;
}

/** RV64GC and what `rv64.ts` lists beyond it. */
export const RV64: Isa = new Isa(EXTENSIONS);
