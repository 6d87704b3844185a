import { installed } from "./guest_tools.ts";
import { compareGrid, floatLines, underway } from "./operand_grid.ts";

const ready = installed("riscv64-linux-gnu-gcc") && installed("qemu-riscv64");

const INTEGERS = [
  "0",
  "1",
  "-1",
  "2",
  "31",
  "63",
  "64",
  "0x7f",
  "0x8000",
  "0x7fffffff",
  "-0x80000000",
  "0x80000000",
  "0xffffffff",
  "0x123456789abcdef0",
  "0x7fffffffffffffff",
  "-0x8000000000000000",
];
const BINARY = (
  "add sub sll slt sltu xor srl sra or and addw subw sllw srlw sraw mul mulh mulhsu mulhu div divu " +
  "rem remu mulw divw divuw remw remuw add.uw sh1add sh1add.uw sh2add sh2add.uw sh3add sh3add.uw " +
  "andn orn xnor max maxu min minu rol rolw ror rorw bclr bext binv bset"
).split(" ");
const UNARY = "clz clzw ctz ctzw cpop cpopw sext.b sext.h zext.h orc.b rev8".split(" ");
const IMMEDIATE = [
  ..."addi slti sltiu xori ori andi addiw".split(" ").flatMap((name) =>
    ["-2048", "-1", "0", "1", "2047"].map((value) => `${name} a2, a0, ${value}`)
  ),
  ..."slli srli srai slli.uw rori bclri bexti binvi bseti".split(" ").flatMap((name) =>
    ["0", "1", "33", "63"].map((value) => `${name} a2, a0, ${value}`)
  ),
  ..."slliw srliw sraiw roriw".split(" ").flatMap((name) =>
    ["0", "1", "31"].map((value) => `${name} a2, a0, ${value}`)
  ),
];
const DOUBLES = [
  "0x0000000000000000",
  "0x8000000000000000",
  "0x3ff0000000000000",
  "0xbff8000000000000",
  "0x3fb999999999999a",
  "0x4008000000000000",
  "0x7fefffffffffffff",
  "0x0010000000000000",
  "0x0000000000000001",
  "0x7ff0000000000000",
  "0xfff0000000000000",
  "0x7ff8000000000000",
  "0x7ff0000000000001",
  "0x41dfffffffc00000",
  "0x43e0000000000000",
  "0xffffffff3f800000",
  "0xffffffff3dcccccd",
  "0xffffffffbfc00000",
  "0xffffffff7f7fffff",
  "0xffffffff00000001",
  "0xffffffff7f800000",
  "0xffffffff7fa00000",
];
const PROGRAMS = [
  {
    name: "integer.s",
    what: "integer instructions, M and Zb",
    lines: [
      ...BINARY.map((name) => `${name} a2, a0, a1`),
      ...UNARY.map((name) => `${name} a2, a0`),
      ...IMMEDIATE,
    ],
    operands: INTEGERS,
    floats: false,
  },
  {
    name: "float.s",
    what: "F and D in every rounding mode, with their flags",
    lines: floatLines(["s", "d"]),
    operands: DOUBLES,
    floats: true,
  },
  {
    name: "rounding.s",
    what: "F and D in every rounding mode, said or in frm, once the inexact flag is up",
    lines: underway(floatLines(["s", "d"])),
    operands: DOUBLES,
    floats: true,
  },
];

for (const { what, ...grid } of PROGRAMS) {
  Deno.test({
    name:
      `every engine computes what qemu-riscv64 does: ${what} (needs qemu-user and the cross compiler)`,
    ignore: !ready,
    fn: () => compareGrid({ ...grid, extensions: ["zba", "zbb", "zbs"] }),
  });
}
