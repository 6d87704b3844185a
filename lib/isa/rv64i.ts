/**
 * RV64I and Zifencei: integers, memory, control flow.
 *
 * Of the fields that fence and fence.i reserve, the ISA says that an implementation ignores them, so
 * no value of theirs is illegal; pause and fence.tso are fences with certain values.
 *
 * What the encodings and operand texts are written in is `encoding.ts`; meanings, `sem.ts`.
 *
 * @module
 */
import { define } from "./encoding.ts";
import { type Extension, extension } from "./extension.ts";
import {
  type Access,
  type AluOperation,
  BYTE,
  Cause,
  HALF,
  LONG,
  type Meaning,
  UBYTE,
  UHALF,
  UWORD,
  WORD,
} from "./sem.ts";

type Named<T> = readonly (readonly [name: string, code: string, what: T])[];

/** rd = rs1 ∘ rs2. */
export function onRegisters(operation: AluOperation): Meaning {
  return (s) => s.setX("rd", s.i64[operation](s.x("rs1"), s.x("rs2")));
}

/** rd = rs1 ∘ rs2 on words, sign-extended. */
export function onWords(operation: AluOperation): Meaning {
  return (s) => s.setX("rd", s.signed(s.i32[operation](s.low(s.x("rs1")), s.low(s.x("rs2")))));
}

/** rd = rs1 ∘ immediate. */
export function onImmediate(operation: AluOperation): Meaning {
  return (s) => s.setX("rd", s.i64[operation](s.x("rs1"), s.imm()));
}

/** rd = rs1 ∘ immediate on words, sign-extended. */
export function onWordImmediate(operation: AluOperation): Meaning {
  return (s) => s.setX("rd", s.signed(s.i32[operation](s.low(s.x("rs1")), s.low(s.imm()))));
}

const IMMEDIATE: Named<AluOperation> = [
  ["addi", "000", "add"],
  ["xori", "100", "xor"],
  ["ori", "110", "or"],
  ["andi", "111", "and"],
];
const SHIFTS: Named<AluOperation> = [
  ["slli", "000000 shamt rs1 001", "shl"],
  ["srli", "000000 shamt rs1 101", "shr"],
  ["srai", "010000 shamt rs1 101", "sar"],
];
const WORD_SHIFTS: Named<AluOperation> = [
  ["slliw", "0000000 shamtw rs1 001", "shl"],
  ["srliw", "0000000 shamtw rs1 101", "shr"],
  ["sraiw", "0100000 shamtw rs1 101", "sar"],
];
const REGISTERS: Named<AluOperation> = [
  ["add", "0000000 rs2 rs1 000", "add"],
  ["sub", "0100000 rs2 rs1 000", "sub"],
  ["sll", "0000000 rs2 rs1 001", "shl"],
  ["xor", "0000000 rs2 rs1 100", "xor"],
  ["srl", "0000000 rs2 rs1 101", "shr"],
  ["sra", "0100000 rs2 rs1 101", "sar"],
  ["or", "0000000 rs2 rs1 110", "or"],
  ["and", "0000000 rs2 rs1 111", "and"],
];
const WORDS: Named<AluOperation> = [
  ["addw", "0000000 rs2 rs1 000", "add"],
  ["subw", "0100000 rs2 rs1 000", "sub"],
  ["sllw", "0000000 rs2 rs1 001", "shl"],
  ["srlw", "0000000 rs2 rs1 101", "shr"],
  ["sraw", "0100000 rs2 rs1 101", "sar"],
];
const LOADS: Named<Access> = [
  ["lb", "000", BYTE],
  ["lh", "001", HALF],
  ["lw", "010", WORD],
  ["ld", "011", LONG],
  ["lbu", "100", UBYTE],
  ["lhu", "101", UHALF],
  ["lwu", "110", UWORD],
];
const STORES: Named<Access> = [
  ["sb", "000", BYTE],
  ["sh", "001", HALF],
  ["sw", "010", WORD],
  ["sd", "011", LONG],
];
const BRANCHES: Named<AluOperation> = [
  ["beq", "000", "eq"],
  ["bne", "001", "ne"],
  ["blt", "100", "lt"],
  ["bge", "101", "ge"],
  ["bltu", "110", "ltu"],
  ["bgeu", "111", "geu"],
];

/** RV64I. */
export const RV64I: Extension = extension("i", {
  present: "always",
  entries: [
    define("lui", "imm[31:12] rd 0110111", "rd,upper", (s) => s.setX("rd", s.imm())),
    define("auipc", "imm[31:12] rd 0010111", "rd,upper", (s) => s.setX("rd", s.target())),
    ...IMMEDIATE.map(([name, funct3, operation]) =>
      define(name, `imm[11:0] rs1 ${funct3} rd 0010011`, "rd,rs1,imm", onImmediate(operation))
    ),
    define(
      "slti",
      "imm[11:0] rs1 010 rd 0010011",
      "rd,rs1,imm",
      (s) => s.setX("rd", s.unsigned(s.i64.lt(s.x("rs1"), s.imm()))),
    ),
    define(
      "sltiu",
      "imm[11:0] rs1 011 rd 0010011",
      "rd,rs1,imm",
      (s) => s.setX("rd", s.unsigned(s.i64.ltu(s.x("rs1"), s.imm()))),
    ),
    ...SHIFTS.map(([name, code, operation]) =>
      define(name, `${code} rd 0010011`, "rd,rs1,shamt", onImmediate(operation))
    ),
    define("addiw", "imm[11:0] rs1 000 rd 0011011", "rd,rs1,imm", onWordImmediate("add")),
    ...WORD_SHIFTS.map(([name, code, operation]) =>
      define(name, `${code} rd 0011011`, "rd,rs1,shamtw", onWordImmediate(operation))
    ),
    ...REGISTERS.map(([name, code, operation]) =>
      define(name, `${code} rd 0110011`, "rd,rs1,rs2", onRegisters(operation))
    ),
    ...WORDS.map(([name, code, operation]) =>
      define(name, `${code} rd 0111011`, "rd,rs1,rs2", onWords(operation))
    ),
    define(
      "slt",
      "0000000 rs2 rs1 010 rd 0110011",
      "rd,rs1,rs2",
      (s) => s.setX("rd", s.unsigned(s.i64.lt(s.x("rs1"), s.x("rs2")))),
    ),
    define(
      "sltu",
      "0000000 rs2 rs1 011 rd 0110011",
      "rd,rs1,rs2",
      (s) => s.setX("rd", s.unsigned(s.i64.ltu(s.x("rs1"), s.x("rs2")))),
    ),
    ...LOADS.map(([name, funct3, access]) =>
      define(
        name,
        `imm[11:0] rs1 ${funct3} rd 0000011`,
        "rd,imm(rs1)",
        (s) => s.setX("rd", s.load(access, s.x("rs1"), s.imm())),
      )
    ),
    ...STORES.map(([name, funct3, access]) =>
      define(
        name,
        `imm[11:5] rs2 rs1 ${funct3} imm[4:0] 0100011`,
        "rs2,imm(rs1)",
        (s) => s.store(access, s.x("rs1"), s.imm(), s.x("rs2")),
      )
    ),
    ...BRANCHES.map(([name, funct3, operation]) =>
      define(
        name,
        `imm[12|10:5] rs2 rs1 ${funct3} imm[4:1|11] 1100011`,
        "rs1,rs2,target",
        (s) => s.branch(s.i64[operation](s.x("rs1"), s.x("rs2"))),
      )
    ),
    define("jal", "imm[20|10:1|11|19:12] rd 1101111", "rd,target", (s) => {
      s.setX("rd", s.next());
      s.jump(s.target());
    }),
    define("jalr", "imm[11:0] rs1 000 rd 1100111", "rd,imm(rs1)", (s) => {
      const target = s.keep(s.i64.and(s.i64.add(s.x("rs1"), s.imm()), s.constant(-2n)));
      s.setX("rd", s.next());
      s.jump(target);
    }),
    define("fence", "fm pred succ rs1 000 rd 0001111", "pred,succ", (s) => s.synchronize("memory")),
    define(
      "ecall",
      "000000000000 00000 000 00000 1110011",
      "",
      (s) => s.trap(Cause.EcallU),
    ),
    define(
      "ebreak",
      "000000000001 00000 000 00000 1110011",
      "",
      (s) => s.trap(Cause.Breakpoint),
    ),
  ],
});

/** Zifencei. */
export const ZIFENCEI: Extension = extension("zifencei", {
  entries: [
    define("fence.i", "imm[11:0] rs1 001 rd 0001111", "", (s) => s.synchronize("fetch")),
  ],
});
