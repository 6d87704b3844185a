import { assert, assertEquals, assertThrows } from "@std/assert";
import { RV64 } from "../../lib/isa/decode.ts";
import { ALL_EXTENSIONS, misaOf, parseIsaString, restrictIsa } from "../../lib/isa/isa_string.ts";

/** Extensions that any hart has. */
const ALWAYS = ["i", "zicsr", "zicntr", "zihpm", "s", "u", "svadu"];

Deno.test("parseIsaString() gives what is named and what that brings along", () => {
  assertEquals([...parseIsaString("rv64i")].sort(), ALWAYS.toSorted());
  assertEquals(parseIsaString("RV64GC"), parseIsaString("rv64imafdc_zicsr_zifencei"));
  assertEquals(parseIsaString("rv64i2p1m2p0_zba1p0"), parseIsaString("rv64im_zba"));
  assert(parseIsaString("rv64i_zba_zbb_zbs").has("b"));
  assert(parseIsaString("rv64gb").has("zbs"));
  assert(!parseIsaString("rv64g_svade").has("svadu"));
});

Deno.test("parseIsaString() says what it knows when it does not know something", () => {
  const cases = [["rv32i", "an ISA string is rv64"], ["rv64mac", "neither i nor g"], [
    "rv64gcv",
    "no v",
  ], ["rv64i_zk", "no zk"]];
  for (const [text, why] of cases) {
    const error = assertThrows(() => parseIsaString(text!), SyntaxError);
    assert(error.message.includes(why!) && error.message.includes("zbb"), error.message);
  }
});

Deno.test("misaOf() has a letter for each extension that has one", () => {
  assertEquals(misaOf(parseIsaString("rv64imac")), 2n << 62n | 0x141105n);
  assertEquals(misaOf(ALL_EXTENSIONS), 2n << 62n | 0x14112fn);
});

/** Which of these lines are instructions to a hart. */
const LINES = {
  "mul x1, x2, x3": "m",
  "amoadd.w x1, x2, x3": "a",
  "fadd.s f1, f2, f3": "f",
  "fadd.d f1, f2, f3": "d",
  "fcvt.d.s f1, f2": "d",
  "flw f1, 0(x2)": "f",
  "fsd f1, 0(x2)": "d",
  "fence.i": "zifencei",
  "sh1add x1, x2, x3": "zba",
  "clz x1, x2": "zbb",
  "rol x1, x2, x3": "zbkb",
  "bset x1, x2, x3": "zbs",
  "czero.eqz x1, x2, x3": "zicond",
  "clmulr x1, x2, x3": "zbc",
  "pack x1, x2, x3": "zbkb",
  "cbo.zero (x1)": "zicboz",
  "cbo.inval (x1)": "zicbom",
  "fadd.h f1, f2, f3": "zfh",
  "flh f1, 0(x2)": "zfhmin",
};

Deno.test("restrictIsa() knows the instructions of the extensions named, and no others", () => {
  const none = restrictIsa(RV64, parseIsaString("rv64i"));
  for (const [line, extension] of Object.entries(LINES)) {
    const word = RV64.assemble(line);
    assertEquals(none.decode(word).definition.name, "illegal", line);
    const long = extension.length > 1 ? `rv64i_${extension}` : `rv64i${extension}`;
    const one = restrictIsa(RV64, parseIsaString(long));
    assertEquals(one.decode(word).definition.name, line.split(" ")[0], line);
  }
  assertEquals(none.decode(RV64.assemble("add x1, x2, x3")).definition.name, "add");
});

Deno.test("restrictIsa() knows a compressed instruction only with what it stands for", () => {
  const nameOf = (isa: string, half: number) =>
    restrictIsa(RV64, parseIsaString(isa)).decode(half).definition.name;
  // c.addi a0, 1; c.fld fa0, 0(a0); c.mul a0, a1.
  assertEquals(["rv64ic", "rv64i"].map((isa) => nameOf(isa, 0x0505)), ["addi", "illegal"]);
  assertEquals(["rv64ic", "rv64idc"].map((isa) => nameOf(isa, 0x2108)), ["illegal", "fld"]);
  assertEquals(["rv64imc", "rv64ic_zcb", "rv64imc_zcb"].map((isa) => nameOf(isa, 0x9d4d)), [
    "illegal",
    "illegal",
    "mul",
  ]);
});
