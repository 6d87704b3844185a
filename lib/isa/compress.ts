/**
 * Finds the compressed spelling of a 32-bit instruction, by solving the expansions of `rv64c.ts`
 * backwards.
 *
 * It gives what the GNU assembler gives for RV64GC: no hints, nothing of Zcb, `c.mv` for an addition of the immediate 0, and
 * commutative operations with their sources exchanged where that helps.
 *
 * @module
 */
import type { Isa } from "./decode.ts";
import { type Compressed, extract, has, insert, type Instruction, SHIFT } from "./encoding.ts";
import { fNumber, xNumber } from "./names.ts";
import { OPERANDS, wordsOf } from "./operands.ts";

const NOP = 0x00000013;
const COMPRESSED_NOP = 0x0001;
const COMMUTATIVE = ["add", "addw", "and", "or", "xor"];

const field = (word: number, name: keyof typeof SHIFT) => (word >>> SHIFT[name]) & 31;

/** The 16 bits that mean the same as `word` in an instruction set, if there are any. */
export function compressWord(isa: Isa, word: number): number | undefined {
  if (word === NOP) return COMPRESSED_NOP;
  const instruction = isa.decode(preferred(isa, word));
  for (const compressed of isa.compressed) {
    if (!compressed.extensions.includes("c")) continue;
    const half = solve(compressed, instruction);
    if (half !== undefined) return half;
  }
  return undefined;
}

/** An instruction in the form that compressed ones are made from, of the forms that mean the same. */
function preferred(isa: Isa, word: number): number {
  const { definition: { name }, imm } = isa.decode(word);
  const rd = field(word, "rd");
  const rs1 = field(word, "rs1");
  if (name === "addi" && imm === 0 && rs1 !== 0) return isa.assemble(`add x${rd},x0,x${rs1}`);
  if (COMMUTATIVE.includes(name) && rd === field(word, "rs2") && rs1 !== 0) {
    return isa.assemble(`${name} x${rd},x${rd},x${rs1}`);
  }
  return word;
}

/** The bits for which the expansion is this instruction. */
function solve(
  { name, pattern, expansion, when }: Compressed,
  { definition, word }: Instruction,
): number | undefined {
  const [expanded = "", ...operands] = expansion.match(/[\w'.]+/g) ?? [];
  if (expanded !== definition.name || name.endsWith("64")) return undefined;
  const fields: Record<string, number> = {};
  for (const [k, operand] of operands.entries()) {
    const { field } = OPERANDS[wordsOf(definition.text)[k]!]!;
    const value = extract(definition.pattern, word, field);
    const wanted = has(pattern, operand) ? fields[operand] ??= value : constant(operand);
    if (value !== wanted) return undefined;
  }
  const half = insert(pattern, fields);
  const fits = Object.entries(fields).every(([name, value]) =>
    extract(pattern, half, name) === value
  );
  // A destination of x0 would make it a hint, or another instruction.
  if (!fits || fields["rd"] === 0) return undefined;
  return when((name) => extract(pattern, half, name)) ? half : undefined;
}

function constant(operand: string): number {
  return xNumber(operand) ?? fNumber(operand) ?? Number(operand);
}
