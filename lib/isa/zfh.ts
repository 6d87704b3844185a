/**
 * Zfhmin and Zfh: floating point in half precision.
 *
 * @module
 */
import { define } from "./encoding.ts";
import { type Extension, extension } from "./extension.ts";
import { arithmetic } from "./rv64fd.ts";
import { type Format, HALF, HALF_FLOAT } from "./sem.ts";

/** Conversions between half precision and the others: operand text, and codes of target and source. */
const CONVERSIONS: readonly (readonly [to: Format, from: Format, code: string, text: string])[] = [
  ["h", "s", "0100010 00000", "frd,frs1,rm"],
  ["h", "d", "0100010 00001", "frd,frs1,rm"],
  ["s", "h", "0100000 00010", "frd,frs1,exact"],
  ["d", "h", "0100001 00010", "frd,frs1,exact"],
];

/** The Zfhmin extension: half precision in memory and registers, and conversions. */
export const ZFHMIN: Extension = extension("zfhmin", {
  implies: ["f"],
  hwprobe: [28],
  entries: [
    define(
      "flh",
      "imm[11:0] rs1 001 rd 0000111",
      "frd,imm(rs1)",
      (s) => s.setF("h", "rd", s.load(HALF_FLOAT, s.x("rs1"), s.imm())),
    ),
    define(
      "fsh",
      "imm[11:5] rs2 rs1 001 imm[4:0] 0100111",
      "frs2,imm(rs1)",
      (s) => s.store(HALF, s.x("rs1"), s.imm(), s.fbits("rs2")),
    ),
    define("fmv.x.h", "1110010 00000 rs1 000 rd 1010011", "rd,frs1", (s) => {
      const { sar, shl } = s.i64;
      s.setX("rd", sar(shl(s.fbits("rs1"), s.constant(48n)), s.constant(48n)));
    }),
    define(
      "fmv.h.x",
      "1111010 00000 rs1 000 rd 1010011",
      "frd,rs1",
      (s) => s.setF("h", "rd", s.float.h.fromBits(s.low(s.x("rs1")))),
    ),
    ...CONVERSIONS.map(([to, from, code, text]) =>
      define(
        `fcvt.${to}.${from}`,
        `${code} rs1 rm rd 1010011`,
        text,
        (s) => s.setF(to, "rd", s.float[to].convert(from, s.f(from, "rs1"))),
      )
    ),
  ],
});

/** The Zfh extension: arithmetic in half precision. */
export const ZFH: Extension = extension("zfh", {
  implies: ["zfhmin", "f"],
  hwprobe: [27],
  entries: arithmetic("h", "10"),
});
