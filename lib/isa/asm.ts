/**
 * The assembler: text in the GNU assembler's language to bytes at an address.
 *
 * One section, absolute addresses, no relocations: what a label is, is known. Instructions are read
 * by the operand texts of their definitions. With compression on, every instruction that has a
 * 16-bit form gets it, unless its operands depend on addresses (but for jumps and branches); lengths
 * start short and only grow until all distances fit, so that the search ends.
 *
 * Operands are read by `asm_operands.ts`; pseudo-instructions are in `pseudo.ts`, arithmetic in
 * `expression.ts`, statements are taken apart by `statement.ts`.
 *
 * @module
 */
import { fieldsOf, isName, type OperandValues } from "./asm_operands.ts";
import { compressWord } from "./compress.ts";
import { type Isa, RV64 } from "./decode.ts";
import { type Compressed, extract, has, insert } from "./encoding.ts";
import { evaluate } from "./expression.ts";
import { SPELLED_WORDS } from "./names.ts";
import { wordsOf } from "./operands.ts";
import { expandPseudo } from "./pseudo.ts";
import { parseStatements, type Statement, stringBytes } from "./statement.ts";

/** Assembled instructions and data, and where everything in them is. */
export interface Assembly {
  /** Address of the first byte. */
  readonly origin: bigint;
  /** Instructions and data. */
  readonly bytes: Uint8Array;
  /** Labels, what `.equ` defines, and the symbols that were given. */
  readonly symbols: ReadonlyMap<string, bigint>;
  /** Where each instruction is, and the line, from 1, that it comes from. */
  readonly instructions: readonly { readonly address: bigint; readonly line: number }[];
}

/** Options of {@linkcode assemble}. */
export interface AssembleOptions {
  /** Address of the first byte; 0 unless given. */
  readonly origin?: bigint;
  /** Values of names that the source does not define. */
  readonly symbols?: Readonly<Record<string, bigint>>;
  /** Whether to use compressed instructions until an `.option` says otherwise; no unless given. */
  readonly compress?: boolean;
  /** Whose instructions it knows; {@linkcode RV64} unless given. */
  readonly isa?: Isa;
}

/**
 * Assembles a program.
 *
 * @throws {SyntaxError} "Cannot assemble line N: …".
 *
 * @example
 * ```ts
 * import { assemble } from "./asm.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { bytes } = assemble("1: addi a0, a0, -1\nbnez a0, 1b\nret");
 * assertEquals(new Uint32Array(bytes.buffer), new Uint32Array([0xfff50513, 0xfe051ee3, 0x8067]));
 * ```
 */
export function assemble(source: string, options: AssembleOptions = {}): Assembly {
  const assembler = new Assembler(options);
  for (const statement of parseStatements(source)) {
    onLine(statement.line, () => assembler.read(statement));
  }
  return assembler.finish();
}

/** Runs a part of the work on one line, which then is in the message of what it throws. */
function onLine<T>(line: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new SyntaxError(`Cannot assemble line ${line}: ${error.message}`, { cause: error });
  }
}

/** Bytes in the making. */
interface Item {
  readonly line: number;
  readonly kind: "instruction" | "data";
  address: bigint;
  length: number;
  /** Length at an address, for padding. */
  readonly lengthAt?: (address: bigint) => number;
  /** Its bytes, once it and all labels have an address. */
  readonly encode: (item: Item) => Uint8Array;
  /** For an instruction that may be compressed: its word. */
  readonly word?: (item: Item) => number;
}

/** Widths in bytes of what the data directives write. */
const DATA: Readonly<Record<string, number>> = {
  ".byte": 1,
  ".half": 2,
  ".short": 2,
  ".2byte": 2,
  ".word": 4,
  ".long": 4,
  ".4byte": 4,
  ".dword": 8,
  ".quad": 8,
  ".8byte": 8,
};
const STRINGS: Readonly<Record<string, string>> = { ".ascii": "", ".asciz": "\0", ".string": "\0" };
/** Directives for object files, which have no effect here. */
const IGNORED = [".globl", ".global", ".local", ".type", ".size", ".text", ".file"];
const NOP = 0x00000013;
const COMPRESSED_NOP = 0x0001;

class Assembler {
  readonly #isa: Isa;
  readonly #origin: bigint;
  readonly #given: Readonly<Record<string, bigint>>;
  readonly #items: Item[] = [];
  /** Labels, by the index of the item that they stand before. */
  readonly #labels = new Map<string, number>();
  readonly #numbered: { readonly label: string; readonly index: number }[] = [];
  readonly #constants = new Map<string, bigint>();
  /** By address of each instruction with `%pcrel_hi`: what it is the upper part of. */
  readonly #distances = new Map<bigint, bigint>();
  readonly #saved: boolean[] = [];
  #compress: boolean;

  constructor({ isa = RV64, origin = 0n, symbols = {}, compress = false }: AssembleOptions) {
    this.#isa = isa;
    this.#origin = origin;
    this.#given = symbols;
    this.#compress = compress;
  }

  /** Takes in a statement. */
  read({ line, labels, name, operands, rest }: Statement): void {
    for (const label of labels) this.#label(label);
    if (name === undefined) return;
    if (name.startsWith(".")) this.#directive(line, name, operands, rest);
    else this.#instruction(line, name, operands);
  }

  #label(label: string): void {
    const index = this.#items.length;
    if (/^\d+$/.test(label)) this.#numbered.push({ label, index });
    else {
      this.#refuseTwice(label);
      this.#labels.set(label, index);
    }
  }

  #refuseTwice(name: string): void {
    if (this.#labels.has(name) || this.#constants.has(name)) {
      throw new SyntaxError(`${name} is defined twice`);
    }
  }

  // ---- symbols

  /** The value of a symbol for the item with this index. */
  #resolve(name: string, index: number): bigint {
    if (name === ".") return this.#addressOf(index);
    const numeric = /^(\d+)([bf])$/.exec(name);
    if (numeric) return this.#addressOf(this.#findNumbered(numeric[1]!, numeric[2]!, index));
    const label = this.#labels.get(name);
    return label === undefined ? this.#constant(name) : this.#addressOf(label);
  }

  #findNumbered(label: string, direction: string, index: number): number {
    const all = this.#numbered.filter((each) => each.label === label);
    const found = direction === "b"
      ? all.findLast((each) => each.index <= index)
      : all.find((each) => each.index > index);
    if (!found) throw new SyntaxError(`there is no ${label} ${direction === "b" ? "be" : "a"}fore`);
    return found.index;
  }

  /** A symbol that is no label. */
  #constant(name: string): bigint {
    const value = this.#constants.get(name) ??
      (Object.hasOwn(this.#given, name) ? this.#given[name] : undefined);
    if (value === undefined) throw new SyntaxError(`${name} is not defined`);
    return value;
  }

  #addressOf(index: number): bigint {
    const item = this.#items[index];
    if (item) return item.address;
    const last = this.#items.at(-1);
    return last ? last.address + BigInt(last.length) : this.#origin;
  }

  /** The value of an expression that cannot depend on addresses here. */
  #evaluateNow(expression: string): bigint {
    return evaluate(expression, (name) => this.#constant(name));
  }

  /** The value of an operand, for an item with an index and an address. */
  #value(text: string, index: number, at: bigint): bigint {
    const part = /^%(\w+)\((.*)\)$/s.exec(text.trim());
    const inner = part?.[2] ?? text;
    const value = evaluate(inner, (name) => this.#resolve(name, index));
    switch (part?.[1]) {
      case undefined:
        return value;
      case "hi":
        return upper(value);
      case "lo":
        return BigInt.asIntN(12, value);
      case "pcrel_hi":
        this.#distances.set(at, value - at);
        return upper(value - at);
      case "pcrel_lo": {
        const distance = this.#distances.get(value);
        if (distance === undefined) {
          throw new SyntaxError(`there is no %pcrel_hi at ${inner} before this`);
        }
        return BigInt.asIntN(12, distance);
      }
      case "pair_lo":
        return BigInt.asIntN(12, value - (at - 4n));
      default:
        throw new SyntaxError(`%${part![1]} is not known`);
    }
  }

  /** What operands of an instruction at `at` are worth. */
  #valueAt(index: number, at: bigint): OperandValues {
    return { at, value: (text) => this.#value(text, index, at) };
  }

  // ---- directives

  #directive(line: number, name: string, operands: readonly string[], rest: string): void {
    const width = DATA[name];
    const terminator = STRINGS[name];
    if (width !== undefined) {
      for (const operand of operands) this.#datum(line, width, operand);
    } else if (terminator !== undefined) {
      for (const operand of operands) this.#bytes(line, stringBytes(operand, terminator));
    } else if (name === ".zero" || name === ".space" || name === ".skip") {
      const [count = "", fill = "0"] = operands;
      const length = Number(this.#evaluateNow(count));
      if (!(length >= 0 && length < 2 ** 31)) throw new SyntaxError(`${count} bytes cannot be`);
      this.#bytes(line, new Uint8Array(length).fill(Number(this.#evaluateNow(fill))));
    } else if (name === ".align" || name === ".p2align" || name === ".balign") {
      const number = this.#evaluateNow(operands[0] ?? "");
      this.#align(line, name === ".balign" ? number : 1n << BigInt.asUintN(6, number), operands[1]);
    } else if (name === ".equ" || name === ".set") {
      const [symbol = "", expression = ""] = operands;
      this.#refuseTwice(symbol);
      this.#constants.set(symbol, this.#evaluateNow(expression));
    } else if (name === ".option") this.#option(rest);
    else if (!IGNORED.includes(name)) throw new SyntaxError(`${name} is not known`);
  }

  #bytes(line: number, bytes: Uint8Array): void {
    this.#items.push({
      line,
      kind: "data",
      address: 0n,
      length: bytes.length,
      encode: () => bytes,
    });
  }

  #datum(line: number, width: number, operand: string): void {
    const index = this.#items.length;
    const encode = ({ address }: Item) => {
      const value = this.#value(operand, index, address);
      const bits = width * 8;
      if (value < -(1n << BigInt(bits - 1)) || value >= 1n << BigInt(bits)) {
        throw new SyntaxError(`${operand} does not fit ${bits} bits`);
      }
      return little(value, width);
    };
    this.#items.push({ line, kind: "data", address: 0n, length: width, encode });
  }

  /** Pads with instructions that do nothing, or with a byte. */
  #align(line: number, boundary: bigint, fill: string | undefined): void {
    if (boundary < 1n || (boundary & (boundary - 1n)) !== 0n) {
      throw new SyntaxError(`${boundary} is no power of 2`);
    }
    const lengthAt = (address: bigint) => Number(BigInt.asUintN(64, -address) & (boundary - 1n));
    const smallest = this.#compress ? 2 : 4;
    const encode = ({ length }: Item) => {
      const bytes = new Uint8Array(length);
      if (fill !== undefined) return bytes.fill(Number(this.#evaluateNow(fill)));
      // Zeros up to where an instruction may be, then at most one short one.
      let at = length % smallest;
      for (; at < length; at += (length - at) % 4 || 4) {
        if ((length - at) % 4 === 0) bytes.set(little(BigInt(NOP), 4), at);
        else bytes.set(little(BigInt(COMPRESSED_NOP), 2), at);
      }
      return bytes;
    };
    this.#items.push({ line, kind: "data", address: 0n, length: 0, lengthAt, encode });
  }

  #option(what: string): void {
    if (what === "rvc") this.#compress = true;
    else if (what === "norvc") this.#compress = false;
    else if (what === "push") this.#saved.push(this.#compress);
    else if (what === "pop") {
      const saved = this.#saved.pop();
      if (saved === undefined) throw new SyntaxError(".option pop without a push");
      this.#compress = saved;
    } else if (!["relax", "norelax", "pic", "nopic"].includes(what)) {
      throw new SyntaxError(`.option ${what} is not known`);
    }
  }

  // ---- instructions

  #instruction(line: number, name: string, operands: readonly string[]): void {
    if (name === "unimp" && this.#compress) return this.#instruction(line, "c.unimp", operands);
    const expansion = expandPseudo(name, operands, (text) => this.#evaluateNow(text));
    for (const text of expansion ?? []) {
      const [, plain = "", rest = ""] = /^(\S+)(.*)$/.exec(text)!;
      this.#plain(line, plain, rest.split(",").map((operand) => operand.trim()));
    }
    if (!expansion) this.#plain(line, name, operands);
  }

  #plain(line: number, name: string, operands: readonly string[]): void {
    const index = this.#items.length;
    const short = this.#isa.compressed.find((compressed) => compressed.name === name);
    if (short) {
      const encode = ({ address }: Item) =>
        little(BigInt(this.#encodeShort(short, operands, index, address)), 2);
      this.#items.push({ line, kind: "instruction", address: 0n, length: 2, encode });
      return;
    }
    const word = this.#wordOf(name, operands, index);
    const encode = (item: Item) => {
      const long = word(item);
      return item.length === 4
        ? little(BigInt(long), 4)
        : little(BigInt(compressWord(this.#isa, long)!), 2);
    };
    const item = { line, kind: "instruction" as const, address: 0n, encode };
    const mayShrink = this.#compress && operands.every((text) => this.#isConstant(name, text));
    this.#items.push(mayShrink ? { ...item, length: 2, word } : { ...item, length: 4 });
  }

  /** Whether an operand does not depend on addresses, or is the target of a jump. */
  #isConstant(name: string, operand: string): boolean {
    if (this.#isa.has(name) && wordsOf(this.#isa.named(name).text).includes("target")) return true;
    const expression = operand.replace(/\(\w+\)$/, "").trim();
    if (expression === "" || isName(expression)) return true;
    try {
      this.#evaluateNow(expression);
      return true;
    } catch {
      return false;
    }
  }

  /** What encodes a 32-bit instruction. */
  #wordOf(name: string, operands: readonly string[], index: number): (item: Item) => number {
    const spelled = operands.length === 0 ? SPELLED_WORDS[name] : undefined;
    if (spelled !== undefined) return () => spelled;
    const [, plain = name, aq, rl] = /^(.*?)(?:\.(aq)?(rl)?)?$/.exec(name) ?? [];
    const mnemonic = this.#isa.has(name) ? name : plain;
    const ordered = mnemonic !== name;
    if (!this.#isa.has(mnemonic) || (ordered && !has(this.#isa.named(mnemonic).pattern, "aq"))) {
      throw new SyntaxError(`no instruction is called ${name}`);
    }
    const definition = this.#isa.named(mnemonic);
    const order: Readonly<Record<string, number>> = ordered
      ? { aq: aq ? 1 : 0, rl: rl ? 1 : 0 }
      : {};
    return ({ address }) => {
      const fields = fieldsOf(definition, operands, this.#valueAt(index, address));
      return insert(definition.pattern, { ...fields, ...order });
    };
  }

  #encodeShort(
    compressed: Compressed,
    operands: readonly string[],
    index: number,
    at: bigint,
  ): number {
    const fields = fieldsOf(compressed, operands, this.#valueAt(index, at));
    const half = insert(compressed.pattern, fields);
    if (!compressed.when((name) => extract(compressed.pattern, half, name))) {
      throw new SyntaxError(`these operands of ${compressed.name} are reserved`);
    }
    return half;
  }

  // ---- layout

  /** Places everything and encodes it. */
  finish(): Assembly {
    do this.#place(); while (this.#grow());
    const last = this.#items.at(-1);
    const end = last ? last.address + BigInt(last.length) : this.#origin;
    const bytes = new Uint8Array(Number(end - this.#origin));
    for (const item of this.#items) {
      bytes.set(onLine(item.line, () => item.encode(item)), Number(item.address - this.#origin));
    }
    const labels = [...this.#labels].map(([name, k]) => [name, this.#addressOf(k)] as const);
    const instructions = this.#items.filter(({ kind }) => kind === "instruction");
    return {
      origin: this.#origin,
      bytes,
      symbols: new Map([...Object.entries(this.#given), ...this.#constants, ...labels]),
      instructions: instructions.map(({ address, line }) => ({ address, line })),
    };
  }

  #place(): void {
    let address = this.#origin;
    for (const item of this.#items) {
      item.address = address;
      if (item.lengthAt) item.length = item.lengthAt(address);
      address += BigInt(item.length);
    }
  }

  /** Makes instructions long that must be; whether there were any. */
  #grow(): boolean {
    let grown = false;
    for (const item of this.#items) {
      const { word } = item;
      if (!word || item.length === 4) continue;
      if (onLine(item.line, () => compressWord(this.#isa, word(item))) !== undefined) continue;
      item.length = 4;
      grown = true;
    }
    return grown;
  }
}

/** Bits 31 to 12, for a lower part that is sign-extended. */
function upper(value: bigint): bigint {
  if (value + 0x800n !== BigInt.asIntN(32, value + 0x800n)) {
    throw new SyntaxError(`${value} is out of reach`);
  }
  return BigInt.asUintN(20, (value + 0x800n) >> 12n);
}

function little(value: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
  return bytes.subarray(0, length);
}
