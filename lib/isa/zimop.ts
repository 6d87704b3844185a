/**
 * Zimop, operations that may come to mean something and give 0 until then; and Zawrs, waiting for a
 * reservation to be lost, which an implementation may end at once: here it does.
 *
 * @module
 */
import { define } from "./encoding.ts";
import { type Extension, extension } from "./extension.ts";

const bits = (value: number, from: number, count: number): string =>
  ((value >>> from) & (2 ** count - 1)).toString(2).padStart(count, "0");

/** Zimop: operations that may come to mean something. */
export const ZIMOP: Extension = extension("zimop", {
  hwprobe: [42],
  entries: [
    ...Array.from({ length: 32 }, (_, n) =>
      define(
        `mop.r.${n}`,
        `1${bits(n, 4, 1)}00${bits(n, 2, 2)}0111${bits(n, 0, 2)} rs1 100 rd 1110011`,
        "rd,rs1",
        (s) => s.setX("rd", s.constant(0n)),
      )),
    ...Array.from({ length: 8 }, (_, n) =>
      define(
        `mop.rr.${n}`,
        `1${bits(n, 2, 1)}00${bits(n, 0, 2)}1 rs2 rs1 100 rd 1110011`,
        "rd,rs1,rs2",
        (s) => s.setX("rd", s.constant(0n)),
      )),
  ],
});

/** Zawrs: waiting for a reservation to be lost. */
export const ZAWRS: Extension = extension("zawrs", {
  hwprobe: [48],
  entries: [
    define("wrs.nto", "000000001101 00000 000 00000 1110011", "", (s) => s.synchronize("memory")),
    define("wrs.sto", "000000011101 00000 000 00000 1110011", "", (s) => s.synchronize("memory")),
  ],
});
