/**
 * Zicsr: reading and updating control and status registers.
 *
 * Which CSRs there are, and what they hold, is `lib/hart`; their names are `names.ts`.
 *
 * @module
 */
import { define } from "./encoding.ts";
import { type Extension, extension } from "./extension.ts";
import type { CsrUpdate } from "./sem.ts";

const UPDATES: readonly (readonly [letter: string, code: string, CsrUpdate])[] = [
  ["w", "01", "write"],
  ["s", "10", "set"],
  ["c", "11", "clear"],
];

/** Zicsr. */
export const ZICSR: Extension = extension("zicsr", {
  present: "always",
  entries: UPDATES.flatMap(([letter, code, update]) => [
    define(
      `csrr${letter}`,
      `csr rs1 0${code} rd 1110011`,
      "rd,csr,rs1",
      (s) => s.setX("rd", s.csr(update, s.x("rs1"))),
    ),
    define(
      `csrr${letter}i`,
      `csr uimm[4:0] 1${code} rd 1110011`,
      "rd,csr,uimm",
      (s) => s.setX("rd", s.csr(update, s.imm())),
    ),
  ]),
});
