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
  type Pattern,
  type Run,
  signExtend,
} from "./encoding.ts";
import type { Extension } from "./extension.ts";
import { fNumber, xNumber } from "./names.ts";
import { OPERANDS, wordsOf } from "./operands.ts";
import { PRIVILEGED } from "./privileged.ts";
import { EXTENSIONS } from "./rv64.ts";

const IMMEDIATES = ["imm", "uimm", "shamt", "shamtw"];

/** How a compressed instruction becomes a 32-bit one. */
interface Expansion {
  /** The 32-bit instruction's encoding. */
  readonly pattern: Pattern;
  /** Its fields, each with its value or the field of the compressed one that has it. */
  readonly fields: readonly (readonly [field: string, from: string | number])[];
}

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
  /** Compressed instructions that halfwords can match, by funct3 and quadrant; made as the others. */
  readonly #quadrants: (readonly Compressed[] | undefined)[] = new Array(32).fill(undefined);
  readonly #expansions = new Map<Compressed, Expansion>();
  /** Where each definition's immediate is; made when one is first decoded. */
  readonly #immediates: (readonly Run[] | undefined)[] = [];
  readonly #illegal: Definition;
  /** By halfword; those that were asked for. */
  readonly #halves = new Map<number, Instruction>();

  /** What these extensions have, and what every hart has (`privileged.ts`). */
  constructor(extensions: readonly Extension[]) {
    this.extensions = extensions;
    this.definitions = [...extensions.flatMap(({ entries }) => entries), ...PRIVILEGED]
      .map((entry, index) => ({ ...entry, index }));
    this.compressed = extensions.flatMap(({ compressed }) => compressed);
    this.#byName = new Map(this.definitions.map((definition) => [definition.name, definition]));
    this.#illegal = this.named("illegal");
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
    const known = this.#halves.get(half);
    if (known) return known;
    const decoded = this.#decodeHalf(half);
    this.#halves.set(half, decoded);
    return decoded;
  }

  /** The compressed instruction that 16 bits are, if they are one. */
  compressedOf(half: number): Compressed | undefined {
    const candidates = this.#quadrants[((half >>> 11) & 0x1c) | (half & 3)] ??= this.compressed
      .filter(({ pattern: { mask, match } }) => ((half ^ match) & mask & 0xe003) === 0);
    return candidates.find(({ pattern, when }) =>
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
      const runs = this.#immediates[definition.index] ??= immediateOf(definition);
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

  /** Definitions with opcode and funct3 of a word, which need not be an instruction's. */
  #bucket(word: number): readonly Definition[] {
    return this.definitions.filter(({ pattern: { mask, match } }) =>
      (((word | 3) ^ match) & mask & 0x707f) === 0
    );
  }

  #expand(compressed: Compressed, half: number): number {
    let expansion = this.#expansions.get(compressed);
    if (!expansion) this.#expansions.set(compressed, expansion = this.#expansionOf(compressed));
    const values: Record<string, number> = {};
    for (const [field, from] of expansion.fields) {
      values[field] = typeof from === "number" ? from : extract(compressed.pattern, half, from);
    }
    return insert(expansion.pattern, values);
  }

  #expansionOf({ pattern, expansion }: Compressed): Expansion {
    return this.#read(expansion, (word) => has(pattern, word) ? word : constant(word));
  }

  /**
   * The 32-bit form of an instruction written with plain registers and numbers, as in
   * `sd x8, 16(sp)`; `lui` and `auipc` take the value that they add, not its upper 20 bits.
   * Programs are for `assemble()` in `asm.ts`.
   *
   * @throws {SyntaxError} If it is none.
   */
  assemble(line: string): number {
    const { pattern, fields } = this.#read(line, constant);
    return insert(pattern, Object.fromEntries(fields));
  }

  /** Reads an instruction as it is written; `meaningOf` says what its words stand for. */
  #read<T extends string | number>(line: string, meaningOf: (word: string) => T | undefined): {
    readonly pattern: Pattern;
    readonly fields: readonly (readonly [field: string, from: T | number])[];
  } {
    const [name = "", ...operands] = line.match(/[\w'.-]+/g) ?? [];
    if (!this.has(name)) {
      throw new SyntaxError(`Cannot assemble "${line}": no instruction is called ${name}`);
    }
    const { pattern, text } = this.named(name);
    const fields = wordsOf(text).map((word, k): readonly [string, T | number] => {
      const { field, default: left } = OPERANDS[word]!;
      const operand = operands[k];
      const value = operand === undefined ? left : meaningOf(operand);
      if (value === undefined) {
        throw new SyntaxError(`Cannot assemble "${line}": ${operand ?? "nothing"} as ${word}`);
      }
      return [field, value];
    });
    return { pattern, fields };
  }
}

/** The runs of a definition's immediate, whatever the field is called. */
function immediateOf({ pattern }: Definition): readonly Run[] {
  return pattern.runs.filter(({ field }) => IMMEDIATES.includes(field));
}

/** What a register or number that is written out stands for. */
function constant(word: string): number | undefined {
  const register = xNumber(word) ?? fNumber(word);
  if (register !== undefined) return register;
  return /^(-?\d+|0x[\da-f]+)$/i.test(word) ? Number(word) : undefined;
}

/** RV64GC and what `rv64.ts` lists beyond it. */
export const RV64: Isa = new Isa(EXTENSIONS);
