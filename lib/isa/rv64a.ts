/**
 * The A extension: atomic memory operations, load-reserved and store-conditional.
 *
 * Harts here execute one after another and memory is sequentially consistent, so the ordering bits
 * aq and rl have no meaning; they are only encoded and printed.
 *
 * @module
 */
import { define, type Entry } from "./encoding.ts";
import { type Extension, extension } from "./extension.ts";
import { type Access, type AmoOperation, LONG, WORD } from "./sem.ts";

const OPERATIONS: readonly (readonly [AmoOperation, funct5: string])[] = [
  ["add", "00000"],
  ["swap", "00001"],
  ["xor", "00100"],
  ["or", "01000"],
  ["and", "01100"],
  ["min", "10000"],
  ["max", "10100"],
  ["minu", "11000"],
  ["maxu", "11100"],
];

function atomics(suffix: "w" | "d", funct3: string, access: Access): readonly Entry[] {
  return [
    ...OPERATIONS.map(([operation, funct5]) =>
      define(
        `amo${operation}.${suffix}`,
        `${funct5} aq rl rs2 rs1 ${funct3} rd 0101111`,
        "rd,rs2,(rs1)",
        (s) => s.setX("rd", s.amo(operation, access, s.x("rs1"), s.x("rs2"))),
      )
    ),
    define(
      `lr.${suffix}`,
      `00010 aq rl 00000 rs1 ${funct3} rd 0101111`,
      "rd,(rs1)",
      (s) => s.setX("rd", s.loadReserved(access, s.x("rs1"))),
    ),
    define(
      `sc.${suffix}`,
      `00011 aq rl rs2 rs1 ${funct3} rd 0101111`,
      "rd,rs2,(rs1)",
      (s) => s.setX("rd", s.storeConditional(access, s.x("rs1"), s.x("rs2"))),
    ),
  ];
}

/** A: atomic loads, stores and memory operations. */
export const RV64A: Extension = extension("a", {
  entries: [...atomics("w", "010", WORD), ...atomics("d", "011", LONG)],
});
