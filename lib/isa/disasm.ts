/**
 * The disassembler: one instruction as `riscv64-linux-gnu-objdump -d -M no-aliases` prints it.
 *
 * The spelling is that of binutils 2.40. Where it prints no instruction though the ISA has one
 * (Zicond, say), the text is in its style; `tests/isa/objdump_exceptions.ts` has the list.
 *
 * @module
 */
import { type Isa, RV64 } from "./decode.ts";
import { type Compressed, type Entry, extract, has } from "./encoding.ts";
import { csrName, F_NAMES, orderName, ROUNDING_NAMES, SPELLED_WORDS, X_NAMES } from "./names.ts";
import { type Operand, OPERANDS } from "./operands.ts";

/** Options of {@linkcode disassemble}. */
export interface DisassembleOptions {
  /** What stands in angle brackets behind the address of a jump's target. */
  readonly symbol?: (address: bigint) => string | undefined;
  /** Whose instructions it knows; {@linkcode RV64} unless given. */
  readonly isa?: Isa;
}

const SPELLED = new Map(Object.entries(SPELLED_WORDS).map(([name, word]) => [word, name]));

/**
 * Text of the instruction at `pc` whose first 32 bits are `bits`: mnemonic, a tab, operands.
 *
 * A word that is no instruction is `.2byte` or `.4byte`.
 *
 * @example
 * ```ts
 * import { disassemble } from "./disasm.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(disassemble(0xff010113, 0n), "addi\tsp,sp,-16");
 * assertEquals(disassemble(0x1141, 0n), "c.addi\tsp,-16");
 * ```
 */
export function disassemble(bits: number, pc: bigint, options: DisassembleOptions = {}): string {
  const isa = options.isa ?? RV64;
  const instruction = isa.decode(bits);
  if (instruction.length === 2) {
    const half = bits & 0xffff;
    const compressed = isa.compressedOf(half);
    if (!compressed) return `.2byte\t0x${half.toString(16)}`;
    return textOf(compressed, half, pc, options);
  }
  const { definition, word } = instruction;
  if (definition.name === "illegal") return `.4byte\t0x${word.toString(16)}`;
  return SPELLED.get(word) ?? textOf(definition, word, pc, options);
}

function textOf(
  { name, pattern, text }: Pick<Entry | Compressed, "name" | "pattern" | "text">,
  bits: number,
  pc: bigint,
  options: DisassembleOptions,
): string {
  const operands = text.replaceAll(/,?([a-z]\w*'?)/g, (whole, word: string) => {
    const operand = OPERANDS[word];
    if (!operand) return whole;
    const value = extract(pattern, bits, operand.field);
    if (operand.spelling === "rounding" && value === operand.default) return "";
    return whole.replace(word, () => spell(operand, value, pc, options));
  });
  const aq = has(pattern, "aq") && extract(pattern, bits, "aq") === 1 ? "aq" : "";
  const rl = has(pattern, "rl") && extract(pattern, bits, "rl") === 1 ? "rl" : "";
  const mnemonic = aq || rl ? `${name}.${aq}${rl}` : name;
  return operands === "" ? mnemonic : `${mnemonic}\t${operands}`;
}

function spell(
  { spelling }: Operand,
  value: number,
  pc: bigint,
  { symbol }: DisassembleOptions,
): string {
  switch (spelling) {
    case "x":
      return X_NAMES[value]!;
    case "f":
      return F_NAMES[value]!;
    case "number":
      return String(value);
    case "hexadecimal":
      return `0x${value.toString(16)}`;
    case "upper":
      return `0x${(value >>> 12).toString(16)}`;
    case "csr":
      return csrName(value) ?? `0x${value.toString(16)}`;
    case "rounding":
      return ROUNDING_NAMES[value]!;
    case "order":
      return orderName(value);
    case "target": {
      const target = BigInt.asUintN(64, pc + BigInt(value));
      const name = symbol?.(target);
      return name === undefined ? `0x${target.toString(16)}` : `${target.toString(16)} <${name}>`;
    }
  }
}
