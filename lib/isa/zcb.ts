/**
 * Zcb: more 16-bit spellings, of byte and halfword accesses, extensions and multiplication.
 *
 * @module
 */
import { compress } from "./encoding.ts";
import { type Extension, extension } from "./extension.ts";

const EXTENSIONS: readonly (readonly [name: string, code: string, expansion: string])[] = [
  ["zext.b", "000", "andi rd',rd',255"],
  ["sext.b", "001", "sext.b rd',rd'"],
  ["zext.h", "010", "zext.h rd',rd'"],
  ["sext.h", "011", "sext.h rd',rd'"],
  ["zext.w", "100", "add.uw rd',rd',zero"],
  ["not", "101", "xori rd',rd',-1"],
];

/** Zcb: further 16-bit forms. */
export const ZCB: Extension = extension("zcb", {
  implies: ["c"],
  hwprobe: [44],
  compressed: [
    compress("c.lbu", "100000 rs1' uimm[0|1] rd' 00", "rd',uimm(rs1')", "lbu rd',uimm(rs1')"),
    compress("c.lhu", "100001 rs1' 0 uimm[1] rd' 00", "rd',uimm(rs1')", "lhu rd',uimm(rs1')"),
    compress("c.lh", "100001 rs1' 1 uimm[1] rd' 00", "rd',uimm(rs1')", "lh rd',uimm(rs1')"),
    compress("c.sb", "100010 rs1' uimm[0|1] rs2' 00", "rs2',uimm(rs1')", "sb rs2',uimm(rs1')"),
    compress("c.sh", "100011 rs1' 0 uimm[1] rs2' 00", "rs2',uimm(rs1')", "sh rs2',uimm(rs1')"),
    ...EXTENSIONS.map(([name, code, expansion]) =>
      compress(`c.${name}`, `100111 rd' 11${code} 01`, "rd'", expansion)
    ),
    compress("c.mul", "100111 rd' 10 rs2' 01", "rd',rs2'", "mul rd',rd',rs2'"),
  ],
});
