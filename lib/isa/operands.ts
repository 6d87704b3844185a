/**
 * The words that a definition's operand text is written in.
 *
 * One text serves the assembler, the disassembler and the expansion of compressed instructions: in
 * `rd,imm(rs1)` each word names a field of the encoding and says how its value is spelled. A word
 * that is not listed here stands for itself, as `sp` does in `rd,uimm(sp)`.
 *
 * @module
 */

/** How the value of a field is spelled. */
export type Spelling =
  /** An integer register, by number or ABI name. */
  | "x"
  /** A floating-point register, by number or ABI name. */
  | "f"
  /** A decimal number. */
  | "number"
  /** A hexadecimal number. */
  | "hexadecimal"
  /** Bits 31 to 12 of the field's value, hexadecimal. */
  | "upper"
  /** An address, of which the field has the distance from pc. */
  | "target"
  /** The name of a CSR. */
  | "csr"
  /** A rounding mode. */
  | "rounding"
  /** A set of the letters i, o, r and w. */
  | "order";

/** One word of an operand text. */
export interface Operand {
  /** The field of the encoding that holds the operand. */
  readonly field: string;
  /** How the operand is written. */
  readonly spelling: Spelling;
  /** The field's value where the operand is left out, if it may be. */
  readonly default?: number;
}

/** All words. An operand whose value is its default is not printed, but for those of a fence. */
export const OPERANDS: Readonly<Record<string, Operand>> = {
  ...registers("x", "", ["rd", "rs1", "rs2", "rd'", "rs1'", "rs2'"]),
  ...registers("f", "f", ["rd", "rs1", "rs2", "rs3", "rd'", "rs2'"]),
  imm: { field: "imm", spelling: "number" },
  uimm: { field: "uimm", spelling: "number" },
  shamt: { field: "shamt", spelling: "hexadecimal" },
  shamtw: { field: "shamtw", spelling: "hexadecimal" },
  upper: { field: "imm", spelling: "upper" },
  target: { field: "imm", spelling: "target" },
  csr: { field: "csr", spelling: "csr" },
  rm: { field: "rm", spelling: "rounding", default: 7 },
  // Of instructions that are always exact: assemblers leave the field 0.
  exact: { field: "rm", spelling: "rounding", default: 0 },
  pred: { field: "pred", spelling: "order", default: 15 },
  succ: { field: "succ", spelling: "order", default: 15 },
};

function registers(spelling: "x" | "f", prefix: string, fields: readonly string[]) {
  return Object.fromEntries(fields.map((field) => [prefix + field, { field, spelling }]));
}

/** The operand words of a text, in order, with those that stand for themselves. */
export function wordsOf(text: string): readonly string[] {
  return text.match(/[a-z]\w*'?/g) ?? [];
}
