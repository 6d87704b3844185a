/**
 * The F and D extensions: floating point in single and double precision.
 *
 * An instruction whose pattern has the field `rm` rounds by it, and is illegal where that, or frm if
 * it says dynamic, is a reserved mode: the readings check both.
 *
 * @module
 */
import { define, type Entry } from "./encoding.ts";
import { type Extension, extension } from "./extension.ts";
import { DOUBLE, type Format, type IntegerType, type Meaning, SINGLE, WORD } from "./sem.ts";

type Binary = "add" | "sub" | "mul" | "div" | "min" | "max" | "copySign" | "xorSign";
type Comparison = "eq" | "lt" | "le";

const ROUNDED: readonly (readonly [Binary, funct5: string])[] = [
  ["add", "00000"],
  ["sub", "00001"],
  ["mul", "00010"],
  ["div", "00011"],
];
const UNROUNDED: readonly (readonly [name: string, code: string, funct3: string, Binary])[] = [
  ["fsgnj", "00100", "000", "copySign"],
  ["fsgnjx", "00100", "010", "xorSign"],
  ["fmin", "00101", "000", "min"],
  ["fmax", "00101", "001", "max"],
];
const COMPARISONS: readonly (readonly [Comparison, funct3: string])[] = [
  ["le", "000"],
  ["lt", "001"],
  ["eq", "010"],
];
const INTEGERS: readonly (readonly [IntegerType, code: string])[] = [
  ["w", "00000"],
  ["wu", "00001"],
  ["l", "00010"],
  ["lu", "00011"],
];
const FUSED: readonly (readonly [name: string, opcode: string, Negated])[] = [
  ["fmadd", "1000011", { product: false, addend: false }],
  ["fmsub", "1000111", { product: false, addend: true }],
  ["fnmsub", "1001011", { product: true, addend: false }],
  ["fnmadd", "1001111", { product: true, addend: true }],
];

interface Negated {
  readonly product: boolean;
  readonly addend: boolean;
}

function binary(format: Format, operation: Binary): Meaning {
  return (s) =>
    s.setF(format, "rd", s.float[format][operation](s.f(format, "rs1"), s.f(format, "rs2")));
}

function comparison(format: Format, operation: Comparison): Meaning {
  return (s) => {
    const holds = s.float[format][operation](s.f(format, "rs1"), s.f(format, "rs2"));
    s.setX("rd", s.unsigned(holds));
  };
}

function fused(format: Format, negated: Negated): Meaning {
  return (s) => {
    const fpu = s.float[format];
    const a = s.f(format, "rs1");
    const b = s.f(format, "rs2");
    const c = s.f(format, "rs3");
    const sum = fpu.fma(negated.product ? fpu.neg(a) : a, b, negated.addend ? fpu.neg(c) : c);
    s.setF(format, "rd", sum);
  };
}

/** What every format has; `bits` says the format in an encoding. */
export function arithmetic(format: Format, bits: string): readonly Entry[] {
  return [
    ...ROUNDED.map(([name, funct5]) =>
      define(
        `f${name}.${format}`,
        `${funct5}${bits} rs2 rs1 rm rd 1010011`,
        "frd,frs1,frs2,rm",
        binary(format, name),
      )
    ),
    define(
      `fsqrt.${format}`,
      `01011${bits} 00000 rs1 rm rd 1010011`,
      "frd,frs1,rm",
      (s) => s.setF(format, "rd", s.float[format].sqrt(s.f(format, "rs1"))),
    ),
    ...UNROUNDED.map(([name, code, funct3, operation]) =>
      define(
        `${name}.${format}`,
        `${code}${bits} rs2 rs1 ${funct3} rd 1010011`,
        "frd,frs1,frs2",
        binary(format, operation),
      )
    ),
    define(
      `fsgnjn.${format}`,
      `00100${bits} rs2 rs1 001 rd 1010011`,
      "frd,frs1,frs2",
      (s) => {
        const fpu = s.float[format];
        s.setF(format, "rd", fpu.copySign(s.f(format, "rs1"), fpu.neg(s.f(format, "rs2"))));
      },
    ),
    ...COMPARISONS.map(([name, funct3]) =>
      define(
        `f${name}.${format}`,
        `10100${bits} rs2 rs1 ${funct3} rd 1010011`,
        "rd,frs1,frs2",
        comparison(format, name),
      )
    ),
    define(
      `fclass.${format}`,
      `11100${bits} 00000 rs1 001 rd 1010011`,
      "rd,frs1",
      (s) => s.setX("rd", s.float[format].classify(s.f(format, "rs1"))),
    ),
    ...INTEGERS.map(([type, code]) =>
      define(
        `fcvt.${type}.${format}`,
        `11000${bits} ${code} rs1 rm rd 1010011`,
        "rd,frs1,rm",
        (s) => s.setX("rd", s.float[format].toInteger(type, s.f(format, "rs1"))),
      )
    ),
    ...INTEGERS.map(([type, code]) =>
      define(
        `fcvt.${format}.${type}`,
        `11010${bits} ${code} rs1 rm rd 1010011`,
        format === "d" && type.startsWith("w") ? "frd,rs1,exact" : "frd,rs1,rm",
        (s) => s.setF(format, "rd", s.float[format].fromInteger(type, s.x("rs1"))),
      )
    ),
    ...FUSED.map(([name, opcode, negated]) =>
      define(
        `${name}.${format}`,
        `rs3 ${bits} rs2 rs1 rm rd ${opcode}`,
        "frd,frs1,frs2,frs3,rm",
        fused(format, negated),
      )
    ),
  ];
}

/** The F extension: single precision. */
export const RV64F: Extension = extension("f", {
  entries: [
    define(
      "flw",
      "imm[11:0] rs1 010 rd 0000111",
      "frd,imm(rs1)",
      (s) => s.setF("s", "rd", s.load(SINGLE, s.x("rs1"), s.imm())),
    ),
    // A word of the register as it is, not the single-precision number that it may not hold.
    define(
      "fsw",
      "imm[11:5] rs2 rs1 010 imm[4:0] 0100111",
      "frs2,imm(rs1)",
      (s) => s.store(WORD, s.x("rs1"), s.imm(), s.fbits("rs2")),
    ),
    define(
      "fmv.x.w",
      "1110000 00000 rs1 000 rd 1010011",
      "rd,frs1",
      (s) => s.setX("rd", s.signed(s.low(s.fbits("rs1")))),
    ),
    define(
      "fmv.w.x",
      "1111000 00000 rs1 000 rd 1010011",
      "frd,rs1",
      (s) => s.setF("s", "rd", s.float.s.fromBits(s.low(s.x("rs1")))),
    ),
    ...arithmetic("s", "00"),
  ],
});

/** The D extension: double precision. */
export const RV64D: Extension = extension("d", {
  implies: ["f"],
  hwprobe: [0],
  entries: [
    define(
      "fld",
      "imm[11:0] rs1 011 rd 0000111",
      "frd,imm(rs1)",
      (s) => s.setF("d", "rd", s.load(DOUBLE, s.x("rs1"), s.imm())),
    ),
    define(
      "fsd",
      "imm[11:5] rs2 rs1 011 imm[4:0] 0100111",
      "frs2,imm(rs1)",
      (s) => s.store(DOUBLE, s.x("rs1"), s.imm(), s.f("d", "rs2")),
    ),
    define(
      "fmv.x.d",
      "1110001 00000 rs1 000 rd 1010011",
      "rd,frs1",
      (s) => s.setX("rd", s.fbits("rs1")),
    ),
    define(
      "fmv.d.x",
      "1111001 00000 rs1 000 rd 1010011",
      "frd,rs1",
      (s) => s.setF("d", "rd", s.float.d.fromBits(s.x("rs1"))),
    ),
    define(
      "fcvt.s.d",
      "0100000 00001 rs1 rm rd 1010011",
      "frd,frs1,rm",
      (s) => s.setF("s", "rd", s.float.s.convert("d", s.f("d", "rs1"))),
    ),
    define(
      "fcvt.d.s",
      "0100001 00000 rs1 rm rd 1010011",
      "frd,frs1,exact",
      (s) => s.setF("d", "rd", s.float.d.convert("s", s.f("s", "rs1"))),
    ),
    ...arithmetic("d", "01"),
  ],
});
