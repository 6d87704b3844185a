/**
 * The M extension: multiplication and division.
 *
 * Division by zero and overflow do not trap; the arithmetic words of `sem.ts` have their results.
 *
 * @module
 */
import { define } from "./encoding.ts";
import { type Extension, extension } from "./extension.ts";
import { onRegisters, onWords } from "./rv64i.ts";
import type { AluOperation, Meaning } from "./sem.ts";

const SAME_WIDTH: readonly (readonly [name: AluOperation, funct3: string])[] = [
  ["mul", "000"],
  ["div", "100"],
  ["divu", "101"],
  ["rem", "110"],
  ["remu", "111"],
];
const UPPER_HALF: readonly (readonly ["mulh" | "mulhsu" | "mulhu", string])[] = [
  ["mulh", "001"],
  ["mulhsu", "010"],
  ["mulhu", "011"],
];

function upperHalf(operation: "mulh" | "mulhsu" | "mulhu"): Meaning {
  return (s) => s.setX("rd", s[operation](s.x("rs1"), s.x("rs2")));
}

/** M: multiplication and division. */
export const RV64M: Extension = extension("m", {
  entries: [
    ...SAME_WIDTH.map(([name, funct3]) =>
      define(name, `0000001 rs2 rs1 ${funct3} rd 0110011`, "rd,rs1,rs2", onRegisters(name))
    ),
    ...SAME_WIDTH.map(([name, funct3]) =>
      define(`${name}w`, `0000001 rs2 rs1 ${funct3} rd 0111011`, "rd,rs1,rs2", onWords(name))
    ),
    ...UPPER_HALF.map(([name, funct3]) =>
      define(name, `0000001 rs2 rs1 ${funct3} rd 0110011`, "rd,rs1,rs2", upperHalf(name))
    ),
  ],
});
