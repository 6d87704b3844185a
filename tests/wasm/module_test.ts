import { assertEquals, assertThrows } from "@std/assert";
import { Code, I32, I64 } from "../../lib/wasm/code.ts";
import { Module } from "../../lib/wasm/module.ts";
import { codeLines, codeText } from "../../lib/wasm/wat.ts";

Deno.test("Module.encode() gives a module that computes what was written", () => {
  const module = new Module();
  const { code } = module.function(module.type([I64, I64], [I64]), [I64], "sum");
  code.get(0).get(1).op("i64.add").set(2);
  code.loop().get(2).i64(100n).op("i64.lt_s").if().get(2).i64(2n).op("i64.mul").set(2).br(1);
  code.op("end", "end").get(2);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()));
  const sum = exports["sum"] as (a: bigint, b: bigint) => bigint;
  assertEquals([sum(3n, 4n), sum(100n, -1n), sum(200n, 1n)], [112n, 198n, 201n]);
});

Deno.test("Module.importFunction() refuses after a function of the module's own", () => {
  const module = new Module();
  const type = module.type([], [I32]);
  module.function(type);
  assertThrows(() => module.importFunction("late", type), RangeError, "Cannot import late");
});

Deno.test("Code writes numbers that WASM reads back", () => {
  for (const value of [0, 1, -1, 63, 64, -64, -65, 2 ** 31 - 1, -(2 ** 31)]) {
    const module = new Module();
    module.function(module.type([], [I32]), [], "get").code.i32(value);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()));
    assertEquals((exports["get"] as () => number)(), value);
  }
  for (const value of [0n, -1n, 1n << 62n, -(1n << 63n), (1n << 63n) - 1n]) {
    const module = new Module();
    module.function(module.type([], [I64]), [], "get").code.i64(value);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()));
    assertEquals((exports["get"] as () => bigint)(), value);
  }
});

Deno.test("codeText() shows code as indented text", () => {
  const code = new Code();
  code.block().get(1).brIf(0).i32(-5).access("i64.load32_u", 1, 8).op("drop", "end");
  code.get(0).op("f64x2.splat").lane("f64x2.extract_lane").op("i64.trunc_sat_f64_s");
  assertEquals(
    codeText(code.bytes, ["guest", "host"]),
    [
      "block",
      "  local.get 1",
      "  br_if 0",
      "  i32.const -5",
      "  i64.load32_u $host offset=8",
      "  drop",
      "end",
      "local.get 0",
      "f64x2.splat",
      "f64x2.extract_lane 0",
      "i64.trunc_sat_f64_s",
    ].join("\n"),
  );
});

Deno.test("codeText() refuses an opcode that code.ts does not write", () => {
  assertThrows(() => codeText(new Uint8Array([0xff])), SyntaxError, "opcode 0xff");
});

Deno.test("codeLines() says where each instruction begins, and names locals when told how", () => {
  const code = new Code();
  code.i32(1000).if().get(0);
  const at = code.length;
  code.tee(1).op("drop", "end");
  const lines = [...codeLines(code.bytes, { locals: ["left"] })];
  assertEquals(lines.map(({ text }) => text), [
    "i32.const 1000",
    "if",
    "local.get $left",
    "local.tee 1",
    "drop",
    "end",
  ]);
  assertEquals(lines[3], { at, depth: 1, text: "local.tee 1" });
});
