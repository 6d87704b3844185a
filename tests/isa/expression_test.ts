import { assertEquals, assertThrows } from "@std/assert";
import { evaluate } from "../../lib/isa/expression.ts";

const none = (name: string): bigint => {
  throw new SyntaxError(`${name} is not defined`);
};

Deno.test("evaluate() binds operators as the GNU assembler has it", () => {
  const cases: readonly (readonly [text: string, value: bigint])[] = [
    ["1 + 2 * 3", 7n],
    ["1 + 2 | 4", 7n],
    ["(1 + 2) * 3", 9n],
    ["1 << 4 - 1", 15n],
    ["-7 / 2", -3n],
    ["- ~ 0x10", 17n],
    ["~ - 1", 0n],
    ["0b101 + 010", 13n],
  ];
  for (const [text, value] of cases) assertEquals(evaluate(text, none), value, text);
  assertEquals(evaluate("a - . + 1b", (name) => name === "a" ? 9n : name === "." ? 4n : 1n), 6n);
});

Deno.test("evaluate() takes any number of signs, and refuses parentheses nested too deep", () => {
  assertEquals(evaluate(`${"-".repeat(20_001)}5`, none), -5n);
  assertEquals(evaluate(`${"-~".repeat(20_000)}5`, none), 20_005n);
  const nested = (count: number) => `${"(".repeat(count)}5${")".repeat(count)}`;
  assertEquals(evaluate(nested(256), none), 5n);
  assertEquals(evaluate(`${nested(256)} + ${nested(256)}`, none), 10n);
  for (const count of [257, 20_000]) {
    const error = assertThrows(() => evaluate(nested(count), none), SyntaxError);
    assertEquals(error.message, "more than 256 parentheses are open");
  }
});
