/**
 * The C extension: 16-bit spellings of 32-bit instructions.
 *
 * What the ISA reserves is illegal; what it calls a hint is an instruction without an effect, and
 * expands to one. A shift by 0 is a hint with a name of its own: on RV128 it shifts by 64.
 * Conditions also keep two entries from matching the same bits.
 *
 * @module
 */
import { compress, type Compressed } from "./encoding.ts";
import { type Extension, extension } from "./extension.ts";

type Field = Parameters<Compressed["when"]>[0];

const not = (name: string, ...values: number[]) => (field: Field) => !values.includes(field(name));

const REGISTERS: readonly (readonly [name: string, high: string, low: string])[] = [
  ["sub", "0", "00"],
  ["xor", "0", "01"],
  ["or", "0", "10"],
  ["and", "0", "11"],
  ["subw", "1", "00"],
  ["addw", "1", "01"],
];

/** Quadrant 0: loads and stores of eight registers. */
const MEMORY: readonly Compressed[] = [
  compress("c.unimp", "0000000000000000", "", "illegal"),
  compress(
    "c.addi4spn",
    "000 uimm[5:4|9:6|2|3] rd' 00",
    "rd',sp,uimm",
    "addi rd',sp,uimm",
    not("uimm", 0),
  ),
  compress(
    "c.fld",
    "001 uimm[5:3] rs1' uimm[7:6] rd' 00",
    "frd',uimm(rs1')",
    "fld rd',uimm(rs1')",
  ),
  compress("c.lw", "010 uimm[5:3] rs1' uimm[2|6] rd' 00", "rd',uimm(rs1')", "lw rd',uimm(rs1')"),
  compress("c.ld", "011 uimm[5:3] rs1' uimm[7:6] rd' 00", "rd',uimm(rs1')", "ld rd',uimm(rs1')"),
  compress(
    "c.fsd",
    "101 uimm[5:3] rs1' uimm[7:6] rs2' 00",
    "frs2',uimm(rs1')",
    "fsd rs2',uimm(rs1')",
  ),
  compress("c.sw", "110 uimm[5:3] rs1' uimm[2|6] rs2' 00", "rs2',uimm(rs1')", "sw rs2',uimm(rs1')"),
  compress("c.sd", "111 uimm[5:3] rs1' uimm[7:6] rs2' 00", "rs2',uimm(rs1')", "sd rs2',uimm(rs1')"),
];

/** Quadrant 1: immediates, jumps and branches. */
const IMMEDIATE: readonly Compressed[] = [
  compress("c.addi", "000 imm[5] rd imm[4:0] 01", "rd,imm", "addi rd,rd,imm"),
  compress("c.addiw", "001 imm[5] rd imm[4:0] 01", "rd,imm", "addiw rd,rd,imm", not("rd", 0)),
  compress("c.li", "010 imm[5] rd imm[4:0] 01", "rd,imm", "addi rd,zero,imm"),
  compress(
    "c.addi16sp",
    "011 imm[9] 00010 imm[4|6|8:7|5] 01",
    "sp,imm",
    "addi sp,sp,imm",
    not("imm", 0),
  ),
  compress(
    "c.lui",
    "011 imm[17] rd imm[16:12] 01",
    "rd,upper",
    "lui rd,imm",
    (field) => field("imm") !== 0 && field("rd") !== 2,
  ),
  compress(
    "c.srli",
    "100 shamt[5] 00 rd' shamt[4:0] 01",
    "rd',shamt",
    "srli rd',rd',shamt",
    not("shamt", 0),
  ),
  compress(
    "c.srai",
    "100 shamt[5] 01 rd' shamt[4:0] 01",
    "rd',shamt",
    "srai rd',rd',shamt",
    not("shamt", 0),
  ),
  compress("c.srli64", "100 0 00 rd' 00000 01", "rd'", "srli rd',rd',0"),
  compress("c.srai64", "100 0 01 rd' 00000 01", "rd'", "srai rd',rd',0"),
  compress("c.andi", "100 imm[5] 10 rd' imm[4:0] 01", "rd',imm", "andi rd',rd',imm"),
  ...REGISTERS.map(([name, high, low]) =>
    compress(`c.${name}`, `100 ${high} 11 rd' ${low} rs2' 01`, "rd',rs2'", `${name} rd',rd',rs2'`)
  ),
  compress("c.j", "101 imm[11|4|9:8|10|6|7|3:1|5] 01", "target", "jal zero,imm"),
  compress("c.beqz", "110 imm[8|4:3] rs1' imm[7:6|2:1|5] 01", "rs1',target", "beq rs1',zero,imm"),
  compress("c.bnez", "111 imm[8|4:3] rs1' imm[7:6|2:1|5] 01", "rs1',target", "bne rs1',zero,imm"),
];

/** Quadrant 2: loads and stores relative to sp, and all 32 registers. */
const REGISTER: readonly Compressed[] = [
  compress(
    "c.slli",
    "000 shamt[5] rd shamt[4:0] 10",
    "rd,shamt",
    "slli rd,rd,shamt",
    not("shamt", 0),
  ),
  compress("c.slli64", "000 0 rd 00000 10", "rd", "slli rd,rd,0"),
  compress("c.fldsp", "001 uimm[5] rd uimm[4:3|8:6] 10", "frd,uimm(sp)", "fld rd,uimm(sp)"),
  compress(
    "c.lwsp",
    "010 uimm[5] rd uimm[4:2|7:6] 10",
    "rd,uimm(sp)",
    "lw rd,uimm(sp)",
    not("rd", 0),
  ),
  compress(
    "c.ldsp",
    "011 uimm[5] rd uimm[4:3|8:6] 10",
    "rd,uimm(sp)",
    "ld rd,uimm(sp)",
    not("rd", 0),
  ),
  compress("c.jr", "1000 rs1 00000 10", "rs1", "jalr zero,0(rs1)", not("rs1", 0)),
  compress("c.mv", "1000 rd rs2 10", "rd,rs2", "add rd,zero,rs2", not("rs2", 0)),
  compress("c.ebreak", "1001 00000 00000 10", "", "ebreak"),
  compress("c.jalr", "1001 rs1 00000 10", "rs1", "jalr ra,0(rs1)", not("rs1", 0)),
  compress("c.add", "1001 rd rs2 10", "rd,rs2", "add rd,rd,rs2", not("rs2", 0)),
  compress("c.fsdsp", "101 uimm[5:3|8:6] rs2 10", "frs2,uimm(sp)", "fsd rs2,uimm(sp)"),
  compress("c.swsp", "110 uimm[5:2|7:6] rs2 10", "rs2,uimm(sp)", "sw rs2,uimm(sp)"),
  compress("c.sdsp", "111 uimm[5:3|8:6] rs2 10", "rs2,uimm(sp)", "sd rs2,uimm(sp)"),
];

/** C: the 16-bit forms. */
export const RV64C: Extension = extension("c", {
  // C, and what it is made of: Zca and Zcd.
  hwprobe: [1, 43, 45],
  compressed: [...MEMORY, ...IMMEDIATE, ...REGISTER],
});
