/**
 * RV64GC: every instruction once.
 *
 * @module
 */
import { type Compressed, type Definition, Isa, parsePattern } from "./encoding.ts";
import {
  type Access,
  type AluOperation,
  type AmoOperation,
  BYTE,
  Cause,
  type CsrUpdate,
  DOUBLE,
  type Format,
  HALF,
  type IntegerType,
  LONG,
  type Meaning,
  SINGLE,
  UBYTE,
  UHALF,
  UWORD,
  WORD,
} from "./sem.ts";

const table: Omit<Definition, "index">[] = [];
const compressed: Compressed[] = [];
function define(name: string, encoding: string, text: string, meaning: Meaning) {
  table.push({ name, pattern: parsePattern(encoding), text, meaning });
}
function compress(name: string, encoding: string, expansion: string, when?: Compressed["when"]) {
  compressed.push({ name, pattern: parsePattern(encoding, 16), expansion, when });
}

// ---- I: integer
const registers = (op: AluOperation): Meaning => (s) =>
  s.setX("rd", s.i64[op](s.x("rs1"), s.x("rs2")));
const immediate = (op: AluOperation): Meaning => (s) =>
  s.setX("rd", s.i64[op](s.x("rs1"), s.imm()));
const registersW = (op: AluOperation): Meaning => (s) =>
  s.setX("rd", s.signed(s.i32[op](s.low(s.x("rs1")), s.low(s.x("rs2")))));
const immediateW = (op: AluOperation): Meaning => (s) =>
  s.setX("rd", s.signed(s.i32[op](s.low(s.x("rs1")), s.low(s.imm()))));

define("lui", "imm[31:12] rd 0110111", "rd, imm", (s) => s.setX("rd", s.imm()));
define("auipc", "imm[31:12] rd 0010111", "rd, imm", (s) => s.setX("rd", s.target()));
define("addi", "imm[11:0] rs1 000 rd 0010011", "rd, rs1, imm", immediate("add"));
define(
  "slti",
  "imm[11:0] rs1 010 rd 0010011",
  "rd, rs1, imm",
  (s) => s.setX("rd", s.unsigned(s.i64.lt(s.x("rs1"), s.imm()))),
);
define(
  "sltiu",
  "imm[11:0] rs1 011 rd 0010011",
  "rd, rs1, imm",
  (s) => s.setX("rd", s.unsigned(s.i64.ltu(s.x("rs1"), s.imm()))),
);
define("xori", "imm[11:0] rs1 100 rd 0010011", "rd, rs1, imm", immediate("xor"));
define("ori", "imm[11:0] rs1 110 rd 0010011", "rd, rs1, imm", immediate("or"));
define("andi", "imm[11:0] rs1 111 rd 0010011", "rd, rs1, imm", immediate("and"));
define("slli", "000000 shamt rs1 001 rd 0010011", "rd, rs1, shamt", immediate("shl"));
define("srli", "000000 shamt rs1 101 rd 0010011", "rd, rs1, shamt", immediate("shr"));
define("srai", "010000 shamt rs1 101 rd 0010011", "rd, rs1, shamt", immediate("sar"));
define("addiw", "imm[11:0] rs1 000 rd 0011011", "rd, rs1, imm", immediateW("add"));
define("slliw", "0000000 shamtw rs1 001 rd 0011011", "rd, rs1, shamtw", immediateW("shl"));
define("srliw", "0000000 shamtw rs1 101 rd 0011011", "rd, rs1, shamtw", immediateW("shr"));
define("sraiw", "0100000 shamtw rs1 101 rd 0011011", "rd, rs1, shamtw", immediateW("sar"));
for (
  const [name, funct7, funct3, op] of [
    ["add", "0000000", "000", "add"],
    ["sub", "0100000", "000", "sub"],
    ["sll", "0000000", "001", "shl"],
    ["xor", "0000000", "100", "xor"],
    ["srl", "0000000", "101", "shr"],
    ["sra", "0100000", "101", "sar"],
    ["or", "0000000", "110", "or"],
    ["and", "0000000", "111", "and"],
    ["mul", "0000001", "000", "mul"],
    ["div", "0000001", "100", "div"],
    ["divu", "0000001", "101", "divu"],
    ["rem", "0000001", "110", "rem"],
    ["remu", "0000001", "111", "remu"],
  ] as [string, string, string, AluOperation][]
) define(name, `${funct7} rs2 rs1 ${funct3} rd 0110011`, "rd, rs1, rs2", registers(op));
for (
  const [name, funct7, funct3, op] of [
    ["addw", "0000000", "000", "add"],
    ["subw", "0100000", "000", "sub"],
    ["sllw", "0000000", "001", "shl"],
    ["srlw", "0000000", "101", "shr"],
    ["sraw", "0100000", "101", "sar"],
    ["mulw", "0000001", "000", "mul"],
    ["divw", "0000001", "100", "div"],
    ["divuw", "0000001", "101", "divu"],
    ["remw", "0000001", "110", "rem"],
    ["remuw", "0000001", "111", "remu"],
  ] as [string, string, string, AluOperation][]
) define(name, `${funct7} rs2 rs1 ${funct3} rd 0111011`, "rd, rs1, rs2", registersW(op));
define(
  "slt",
  "0000000 rs2 rs1 010 rd 0110011",
  "rd, rs1, rs2",
  (s) => s.setX("rd", s.unsigned(s.i64.lt(s.x("rs1"), s.x("rs2")))),
);
define(
  "sltu",
  "0000000 rs2 rs1 011 rd 0110011",
  "rd, rs1, rs2",
  (s) => s.setX("rd", s.unsigned(s.i64.ltu(s.x("rs1"), s.x("rs2")))),
);
define(
  "mulh",
  "0000001 rs2 rs1 001 rd 0110011",
  "rd, rs1, rs2",
  (s) => s.setX("rd", s.mulh(s.x("rs1"), s.x("rs2"))),
);
define(
  "mulhsu",
  "0000001 rs2 rs1 010 rd 0110011",
  "rd, rs1, rs2",
  (s) => s.setX("rd", s.mulhsu(s.x("rs1"), s.x("rs2"))),
);
define(
  "mulhu",
  "0000001 rs2 rs1 011 rd 0110011",
  "rd, rs1, rs2",
  (s) => s.setX("rd", s.mulhu(s.x("rs1"), s.x("rs2"))),
);

const LOADS: [string, string, Access][] = [
  ["lb", "000", BYTE],
  ["lh", "001", HALF],
  ["lw", "010", WORD],
  ["ld", "011", LONG],
  ["lbu", "100", UBYTE],
  ["lhu", "101", UHALF],
  ["lwu", "110", UWORD],
];
for (const [name, funct3, access] of LOADS) {
  define(
    name,
    `imm[11:0] rs1 ${funct3} rd 0000011`,
    "rd, imm(rs1)",
    (s) => s.setX("rd", s.load(access, s.x("rs1"), s.imm())),
  );
}
const STORES: [string, string, Access][] = [["sb", "000", BYTE], ["sh", "001", HALF], [
  "sw",
  "010",
  WORD,
], ["sd", "011", LONG]];
for (const [name, funct3, access] of STORES) {
  define(
    name,
    `imm[11:5] rs2 rs1 ${funct3} imm[4:0] 0100011`,
    "rs2, imm(rs1)",
    (s) => s.store(access, s.x("rs1"), s.imm(), s.x("rs2")),
  );
}
const BRANCHES: [string, string, AluOperation][] = [
  ["beq", "000", "eq"],
  ["bne", "001", "ne"],
  ["blt", "100", "lt"],
  ["bge", "101", "ge"],
  ["bltu", "110", "ltu"],
  ["bgeu", "111", "geu"],
];
for (const [name, funct3, op] of BRANCHES) {
  define(
    name,
    `imm[12|10:5] rs2 rs1 ${funct3} imm[4:1|11] 1100011`,
    "rs1, rs2, imm",
    (s) => s.branch(s.i64[op](s.x("rs1"), s.x("rs2"))),
  );
}
define("jal", "imm[20|10:1|11|19:12] rd 1101111", "rd, imm", (s) => {
  s.setX("rd", s.next());
  s.jump(s.target());
});
define("jalr", "imm[11:0] rs1 000 rd 1100111", "rd, imm(rs1)", (s) => {
  const target = s.keep(s.i64.and(s.i64.add(s.x("rs1"), s.imm()), s.constant(-2n)));
  s.setX("rd", s.next());
  s.jump(target);
});
define("fence", "fence 00000 000 00000 0001111", "", (s) => s.synchronize("memory"));
define("fence.i", "000000000000 00000 001 00000 0001111", "", (s) => s.synchronize("fetch"));
define("ecall", "000000000000 00000 000 00000 1110011", "", (s) => s.trap(Cause.EcallU));
define("ebreak", "000000000001 00000 000 00000 1110011", "", (s) => s.trap(Cause.Breakpoint));
/** custom-0: asks the host for service `imm`. */
define(
  "hostcall",
  "imm[11:0] 00000 000 00000 0001011",
  "imm",
  (s) => s.trap(Cause.HostCall, s.imm()),
);
/** What every other word means; its pattern, all zeros, is the word that must never be an instruction. */
define("illegal", "00000000000000000000000000000000", "", (s) => s.trap(Cause.Illegal));

// ---- Zicsr
for (
  const [letter, code, update] of [["w", "01", "write"], ["s", "10", "set"], [
    "c",
    "11",
    "clear",
  ]] as [string, string, CsrUpdate][]
) {
  define(
    `csrr${letter}`,
    `csr rs1 0${code} rd 1110011`,
    "rd, csr, rs1",
    (s) => s.setX("rd", s.csr(update, s.x("rs1"))),
  );
  define(
    `csrr${letter}i`,
    `csr uimm[4:0] 1${code} rd 1110011`,
    "rd, csr, uimm",
    (s) => s.setX("rd", s.csr(update, s.imm())),
  );
}

// ---- A: atomics
const AMOS: [AmoOperation, string][] = [
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
for (
  const [suffix, funct3, access] of [["w", "010", WORD], ["d", "011", LONG]] as [
    string,
    string,
    Access,
  ][]
) {
  for (const [op, funct5] of AMOS) {
    define(
      `amo${op}.${suffix}`,
      `${funct5} aq rl rs2 rs1 ${funct3} rd 0101111`,
      "rd, rs2, (rs1)",
      (s) => s.setX("rd", s.amo(op, access, s.x("rs1"), s.x("rs2"))),
    );
  }
  define(
    `lr.${suffix}`,
    `00010 aq rl 00000 rs1 ${funct3} rd 0101111`,
    "rd, (rs1)",
    (s) => s.setX("rd", s.loadReserved(access, s.x("rs1"))),
  );
  define(
    `sc.${suffix}`,
    `00011 aq rl rs2 rs1 ${funct3} rd 0101111`,
    "rd, rs2, (rs1)",
    (s) => s.setX("rd", s.storeConditional(access, s.x("rs1"), s.x("rs2"))),
  );
}

// ---- F and D
define(
  "flw",
  "imm[11:0] rs1 010 rd 0000111",
  "rd, imm(rs1)",
  (s) => s.setF("s", "rd", s.load(SINGLE, s.x("rs1"), s.imm())),
);
define(
  "fld",
  "imm[11:0] rs1 011 rd 0000111",
  "rd, imm(rs1)",
  (s) => s.setF("d", "rd", s.load(DOUBLE, s.x("rs1"), s.imm())),
);
define(
  "fsw",
  "imm[11:5] rs2 rs1 010 imm[4:0] 0100111",
  "rs2, imm(rs1)",
  (s) => s.store(WORD, s.x("rs1"), s.imm(), s.fbits("rs2")),
);
define(
  "fsd",
  "imm[11:5] rs2 rs1 011 imm[4:0] 0100111",
  "rs2, imm(rs1)",
  (s) => s.store(DOUBLE, s.x("rs1"), s.imm(), s.f("d", "rs2")),
);
define(
  "fmv.x.w",
  "1110000 00000 rs1 000 rd 1010011",
  "rd, rs1",
  (s) => s.setX("rd", s.signed(s.low(s.fbits("rs1")))),
);
define(
  "fmv.x.d",
  "1110001 00000 rs1 000 rd 1010011",
  "rd, rs1",
  (s) => s.setX("rd", s.fbits("rs1")),
);
define(
  "fmv.w.x",
  "1111000 00000 rs1 000 rd 1010011",
  "rd, rs1",
  (s) => s.setF("s", "rd", s.float.s.fromBits(s.low(s.x("rs1")))),
);
define(
  "fmv.d.x",
  "1111001 00000 rs1 000 rd 1010011",
  "rd, rs1",
  (s) => s.setF("d", "rd", s.float.d.fromBits(s.x("rs1"))),
);
define(
  "fcvt.s.d",
  "0100000 00001 rs1 rm rd 1010011",
  "rd, rs1",
  (s) => s.setF("s", "rd", s.float.s.convert(s.f("d", "rs1"))),
);
define(
  "fcvt.d.s",
  "0100001 00000 rs1 rm rd 1010011",
  "rd, rs1",
  (s) => s.setF("d", "rd", s.float.d.convert(s.f("s", "rs1"))),
);
for (const [format, bits] of [["s", "00"], ["d", "01"]] as [Format, string][]) {
  const binary =
    (op: "add" | "sub" | "mul" | "div" | "min" | "max" | "copySign" | "xorSign"): Meaning => (s) =>
      s.setF(format, "rd", s.float[format][op](s.f(format, "rs1"), s.f(format, "rs2")));
  const compare = (op: "eq" | "lt" | "le"): Meaning => (s) =>
    s.setX("rd", s.unsigned(s.float[format][op](s.f(format, "rs1"), s.f(format, "rs2"))));
  define(`fadd.${format}`, `00000${bits} rs2 rs1 rm rd 1010011`, "rd, rs1, rs2", binary("add"));
  define(`fsub.${format}`, `00001${bits} rs2 rs1 rm rd 1010011`, "rd, rs1, rs2", binary("sub"));
  define(`fmul.${format}`, `00010${bits} rs2 rs1 rm rd 1010011`, "rd, rs1, rs2", binary("mul"));
  define(`fdiv.${format}`, `00011${bits} rs2 rs1 rm rd 1010011`, "rd, rs1, rs2", binary("div"));
  define(
    `fsqrt.${format}`,
    `01011${bits} 00000 rs1 rm rd 1010011`,
    "rd, rs1",
    (s) => s.setF(format, "rd", s.float[format].sqrt(s.f(format, "rs1"))),
  );
  define(
    `fsgnj.${format}`,
    `00100${bits} rs2 rs1 000 rd 1010011`,
    "rd, rs1, rs2",
    binary("copySign"),
  );
  define(
    `fsgnjn.${format}`,
    `00100${bits} rs2 rs1 001 rd 1010011`,
    "rd, rs1, rs2",
    (s) =>
      s.setF(
        format,
        "rd",
        s.float[format].copySign(s.f(format, "rs1"), s.float[format].neg(s.f(format, "rs2"))),
      ),
  );
  define(
    `fsgnjx.${format}`,
    `00100${bits} rs2 rs1 010 rd 1010011`,
    "rd, rs1, rs2",
    binary("xorSign"),
  );
  define(`fmin.${format}`, `00101${bits} rs2 rs1 000 rd 1010011`, "rd, rs1, rs2", binary("min"));
  define(`fmax.${format}`, `00101${bits} rs2 rs1 001 rd 1010011`, "rd, rs1, rs2", binary("max"));
  define(`fle.${format}`, `10100${bits} rs2 rs1 000 rd 1010011`, "rd, rs1, rs2", compare("le"));
  define(`flt.${format}`, `10100${bits} rs2 rs1 001 rd 1010011`, "rd, rs1, rs2", compare("lt"));
  define(`feq.${format}`, `10100${bits} rs2 rs1 010 rd 1010011`, "rd, rs1, rs2", compare("eq"));
  for (
    const [type, code] of [["w", "00000"], ["wu", "00001"], ["l", "00010"], ["lu", "00011"]] as [
      IntegerType,
      string,
    ][]
  ) {
    define(
      `fcvt.${type}.${format}`,
      `11000${bits} ${code} rs1 rm rd 1010011`,
      "rd, rs1",
      (s) => s.setX("rd", s.float[format].toInteger(type, s.f(format, "rs1"))),
    );
    define(
      `fcvt.${format}.${type}`,
      `11010${bits} ${code} rs1 rm rd 1010011`,
      "rd, rs1",
      (s) => s.setF(format, "rd", s.float[format].fromInteger(type, s.x("rs1"))),
    );
  }
  const fused = (negateProduct: boolean, negateAddend: boolean): Meaning => (s) => {
    const fpu = s.float[format],
      a = s.f(format, "rs1"),
      b = s.f(format, "rs2"),
      c = s.f(format, "rs3");
    s.setF(format, "rd", fpu.fma(negateProduct ? fpu.neg(a) : a, b, negateAddend ? fpu.neg(c) : c));
  };
  define(
    `fmadd.${format}`,
    `rs3 ${bits} rs2 rs1 rm rd 1000011`,
    "rd, rs1, rs2, rs3",
    fused(false, false),
  );
  define(
    `fmsub.${format}`,
    `rs3 ${bits} rs2 rs1 rm rd 1000111`,
    "rd, rs1, rs2, rs3",
    fused(false, true),
  );
  define(
    `fnmsub.${format}`,
    `rs3 ${bits} rs2 rs1 rm rd 1001011`,
    "rd, rs1, rs2, rs3",
    fused(true, false),
  );
  define(
    `fnmadd.${format}`,
    `rs3 ${bits} rs2 rs1 rm rd 1001111`,
    "rd, rs1, rs2, rs3",
    fused(true, true),
  );
}

// ---- C: shorter spellings of the above
compress(
  "c.addi4spn",
  "000 uimm[5:4|9:6|2|3] rd' 00",
  "addi rd', sp, uimm",
  (field) => field("uimm") !== 0,
);
compress("c.fld", "001 uimm[5:3] rs1' uimm[7:6] rd' 00", "fld rd', uimm(rs1')");
compress("c.lw", "010 uimm[5:3] rs1' uimm[2|6] rd' 00", "lw rd', uimm(rs1')");
compress("c.ld", "011 uimm[5:3] rs1' uimm[7:6] rd' 00", "ld rd', uimm(rs1')");
compress("c.fsd", "101 uimm[5:3] rs1' uimm[7:6] rs2' 00", "fsd rs2', uimm(rs1')");
compress("c.sw", "110 uimm[5:3] rs1' uimm[2|6] rs2' 00", "sw rs2', uimm(rs1')");
compress("c.sd", "111 uimm[5:3] rs1' uimm[7:6] rs2' 00", "sd rs2', uimm(rs1')");
compress("c.addi", "000 imm[5] rd imm[4:0] 01", "addi rd, rd, imm");
compress("c.addiw", "001 imm[5] rd imm[4:0] 01", "addiw rd, rd, imm", (field) => field("rd") !== 0);
compress("c.li", "010 imm[5] rd imm[4:0] 01", "addi rd, zero, imm");
compress(
  "c.addi16sp",
  "011 imm[9] 00010 imm[4|6|8:7|5] 01",
  "addi sp, sp, imm",
  (field) => field("imm") !== 0,
);
compress("c.lui", "011 imm[17] rd imm[16:12] 01", "lui rd, imm", (field) => field("imm") !== 0);
compress("c.srli", "100 uimm[5] 00 rd' uimm[4:0] 01", "srli rd', rd', uimm");
compress("c.srai", "100 uimm[5] 01 rd' uimm[4:0] 01", "srai rd', rd', uimm");
compress("c.andi", "100 imm[5] 10 rd' imm[4:0] 01", "andi rd', rd', imm");
for (
  const [name, high, low] of [
    ["sub", "0", "00"],
    ["xor", "0", "01"],
    ["or", "0", "10"],
    ["and", "0", "11"],
    ["subw", "1", "00"],
    ["addw", "1", "01"],
  ]
) {
  compress(`c.${name}`, `100 ${high} 11 rd' ${low} rs2' 01`, `${name} rd', rd', rs2'`);
}
compress("c.j", "101 imm[11|4|9:8|10|6|7|3:1|5] 01", "jal zero, imm");
compress("c.beqz", "110 imm[8|4:3] rs1' imm[7:6|2:1|5] 01", "beq rs1', zero, imm");
compress("c.bnez", "111 imm[8|4:3] rs1' imm[7:6|2:1|5] 01", "bne rs1', zero, imm");
compress("c.slli", "000 uimm[5] rd uimm[4:0] 10", "slli rd, rd, uimm");
compress("c.fldsp", "001 uimm[5] rd uimm[4:3|8:6] 10", "fld rd, uimm(sp)");
compress(
  "c.lwsp",
  "010 uimm[5] rd uimm[4:2|7:6] 10",
  "lw rd, uimm(sp)",
  (field) => field("rd") !== 0,
);
compress(
  "c.ldsp",
  "011 uimm[5] rd uimm[4:3|8:6] 10",
  "ld rd, uimm(sp)",
  (field) => field("rd") !== 0,
);
compress("c.jr", "100 0 rs1 00000 10", "jalr zero, 0(rs1)", (field) => field("rs1") !== 0);
compress("c.mv", "100 0 rd rs2 10", "add rd, zero, rs2", (field) => field("rs2") !== 0);
compress("c.ebreak", "100 1 00000 00000 10", "ebreak");
compress("c.jalr", "100 1 rs1 00000 10", "jalr ra, 0(rs1)");
compress("c.add", "100 1 rd rs2 10", "add rd, rd, rs2");
compress("c.fsdsp", "101 uimm[5:3|8:6] rs2 10", "fsd rs2, uimm(sp)");
compress("c.swsp", "110 uimm[5:2|7:6] rs2 10", "sw rs2, uimm(sp)");
compress("c.sdsp", "111 uimm[5:3|8:6] rs2 10", "sd rs2, uimm(sp)");

/** The instruction set. */
export const RV64: Isa = new Isa(table, compressed, "illegal");
