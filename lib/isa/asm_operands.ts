/**
 * Operands of an instruction, as they are written, to the values of its fields.
 *
 * An operand is read by the word that stands for it in its definition's text (`operands.ts`), so an
 * instruction needs no code here. What labels and expressions are worth is told by `asm.ts`.
 *
 * @module
 */
import { type Entry, extract, insert } from "./encoding.ts";
import { csrNumber, fNumber, orderNumber, ROUNDING_NAMES, xNumber } from "./names.ts";
import { OPERANDS } from "./operands.ts";

/** What operands of one instruction are worth. */
export interface OperandValues {
  /** The instruction's address. */
  readonly at: bigint;
  /** The value of an expression, `%hi(…)` and its kin too. @throws {SyntaxError} If it has none. */
  value(text: string): bigint;
}

/**
 * Values of the fields that the operands give, each of which its field can hold.
 *
 * @throws {SyntaxError} If there are too few or too many, or one cannot be what stands there.
 */
export function fieldsOf(
  { name, text, pattern }: Pick<Entry, "name" | "text" | "pattern">,
  operands: readonly string[],
  values: OperandValues,
): Record<string, number> {
  const parts = text === "" ? [] : text.split(",");
  const fields: Record<string, number> = {};
  const set = (word: string, value: number, operand: string) => {
    const { field } = OPERANDS[word]!;
    fields[field] = value;
    if (extract(pattern, insert(pattern, fields), field) !== value) {
      throw new SyntaxError(`${operand} does not fit ${name}`);
    }
  };
  const read = (word: string, operand: string) => {
    const value = numberOf(word, operand, values);
    if (value !== undefined) set(word, value, operand);
  };
  parts.forEach((part, k) => {
    const operand = operands[k];
    const [, offset, base] = /^([\w']*)\(([\w']+)\)$/.exec(part) ?? [];
    if (operand === undefined) {
      const value = OPERANDS[part]?.default;
      if (value === undefined) throw new SyntaxError(`${name} has ${parts.length} operands`);
      set(part, value, part);
    } else if (base !== undefined) {
      const [, distance, register] = /^(.*)\(\s*(\w+)\s*\)$/s.exec(operand) ?? [];
      if (register === undefined) throw new SyntaxError(`${operand} is not of the form ${part}`);
      read(base, register);
      if (offset) read(offset, distance!.trim() || "0");
      else if (distance!.trim() !== "" && values.value(distance!) !== 0n) {
        throw new SyntaxError(`${name} has no offset`);
      }
    } else read(part, operand);
  });
  if (operands.length > parts.length) {
    throw new SyntaxError(`${name} has ${parts.length || "no"} operands`);
  }
  return fields;
}

/** What one operand is as a word of an operand text; undefined for a fixed register, which has no field. */
function numberOf(word: string, operand: string, values: OperandValues): number | undefined {
  const known = OPERANDS[word];
  if (!known) {
    if (xNumber(operand) !== xNumber(word)) throw new SyntaxError(`${operand} is not ${word}`);
    return undefined;
  }
  const value = spelledNumber(known.spelling, operand, values);
  if (value === undefined) throw new SyntaxError(`${operand} cannot be ${word}`);
  return value;
}

/** An operand's value by how such operands are spelled; undefined if it cannot be one. */
function spelledNumber(
  spelling: (typeof OPERANDS)[string]["spelling"],
  operand: string,
  { at, value }: OperandValues,
): number | undefined {
  switch (spelling) {
    case "x":
      return xNumber(operand);
    case "f":
      return fNumber(operand);
    case "csr":
      return csrNumber(operand) ?? Number(value(operand));
    case "rounding": {
      const found = ROUNDING_NAMES.indexOf(operand);
      return operand === "unknown" || found < 0 ? undefined : found;
    }
    case "order":
      return orderNumber(operand);
    case "upper": {
      const upperBits = value(operand);
      return upperBits === BigInt.asUintN(20, upperBits)
        ? Number(BigInt.asIntN(32, upperBits << 12n))
        : undefined;
    }
    case "target":
      return Number(value(operand) - at);
    default:
      return Number(BigInt.asIntN(64, value(operand)));
  }
}

/** Whether a word is the name of a register, a CSR or a rounding mode. */
export function isName(word: string): boolean {
  return (xNumber(word) ?? fNumber(word) ?? csrNumber(word) ?? orderNumber(word)) !== undefined ||
    ROUNDING_NAMES.includes(word);
}
