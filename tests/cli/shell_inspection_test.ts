/**
 * The shell's commands that look at the guest: expressions, memory, instructions, and what is set.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { type ExpressionScope, parseExpression } from "../../lib/cli/shell_expression.ts";
import { fixture, hartrace } from "./command_line.ts";

const SCOPE: ExpressionScope = {
  register(name) {
    if (name === "a0") return 7n;
    if (name === "sp") return 0xffff_f000n;
    throw new RangeError(`Cannot read $${name}`);
  },
  symbol: (name) =>
    name === "main"
      ? { address: 0x1000n, dataSize: 0 }
      : name === "count"
      ? { address: 0x2000n, dataSize: 4 }
      : undefined,
  read: (address, bytes) => BigInt.asUintN(bytes * 8, address === 0x2000n ? -2n : address),
};

// What gdb prints for those without names and registers (-ex 'print EXPR').
const VALUES: readonly (readonly [string, bigint])[] = [
  ["1 + 2 * 3", 7n],
  ["(1 + 2) * 3", 9n],
  ["7 - 2 - 1", 4n],
  ["-7 / 2", -3n],
  ["-7 % 3", -1n],
  ["1 << 4 | 1", 17n],
  ["6 & 3 == 3", 0n],
  ["~0 & 0xff", 255n],
  ["!3 || 2 > 1 && 0", 0n],
  ["$a0 >= 7", 1n],
  ["0b101", 5n],
  ["main + 4", 0x1004n],
  ["count", -2n],
  ["&count", 0x2000n],
  ["*(unsigned int *)&count", 0xfffffffen],
  ["{short}(main + 1)", 0x1001n],
  ["*$sp", 0xffff_f000n],
];

Deno.test("parseExpression() gives C's values", () => {
  for (const [text, value] of VALUES) {
    assertEquals(parseExpression(text).evaluate(SCOPE), value, text);
  }
});

Deno.test("parseExpression() says what is wrong", () => {
  const wrong = ["", "1 +", "(1", "1 2", "&3", "@", "0x", "(".repeat(300), "-".repeat(300) + "1"];
  for (const text of wrong) {
    assertThrows(() => parseExpression(text), SyntaxError, "Cannot read the expression", text);
  }
  for (const text of ["1 / 0", "1 % 0", "nosuch", "$b0", "&nosuch"]) {
    assertThrows(() => parseExpression(text).evaluate(SCOPE), RangeError, "Cannot ", text);
  }
});

async function typed(lines: readonly string[], program = "sample_p84") {
  const stdin = lines.map((line) => `${line}\n`).join("");
  return await hartrace(["shell", "-q", fixture(program)], { stdin });
}

Deno.test("print, x, disas and info show the guest in gdb's forms", async () => {
  const { stdout, stderr } = await typed([
    "b price_of",
    "c",
    "p $pc",
    "p/x $pc + 1",
    "p ($a0 > 5)",
    "p/c 65",
    "p/t 5; p/o 8",
    "p price_of",
    "x/2i $pc",
    "x",
    "x/2xg $a0",
    "x/3xb price_of",
    "disas price_of,+8",
    "info symbol $pc + 4",
    "info functions pric*",
    "info registers pc",
    "x/i 0x10",
    "p $nosuch",
    "info line",
    "x/q 3",
  ]);
  assertEquals(
    stdout.split("\n").slice(2).join("\n"),
    `0x10330 <price_of+0>
0x10331
1
65 'A'
101
010
0x10330 <price_of+0>
=> 0x10330 <price_of+0>:	auipc	t0,0x7ff00
   0x10334 <price_of+4>:	addi	zero,zero,0
   0x10338 <price_of+8>:	c.ld	a4,0(a0)
   0x1033a <price_of+10>:	c.ld	a0,8(a0)
${/^0x\w+.*\t0x\w{16}\t0x\w{16}$/m.exec(stdout)![0]}
0x10330 <price_of+0>:	0x97	0x02	0xf0
Dump of assembler code from 0x10330 to 0x10338:
=> 0x10330 <price_of+0>:	auipc	t0,0x7ff00
   0x10334 <price_of+4>:	addi	zero,zero,0
End of assembler dump.
price_of + 4
0x0000000000010330  price_of
pc             0x10330            <price_of+0>
`,
  );
  assertMatch(stderr, /^sh: x: Cannot access memory at 0x10: nothing is there$/m);
  assertMatch(stderr, /^sh: p: Cannot read \$nosuch: there is no such register/m);
  assertMatch(stderr, /^sh: info: line: there are breakpoints, frame, functions/m);
  assertMatch(stderr, /^sh: x: \/q: write a count/m);
});

Deno.test("set changes registers and memory of the guest", async () => {
  const { stdout, stderr } = await typed([
    "b price_of",
    "c",
    "set {long}($sp - 8) = 5 * 6; p *($sp - 8)",
    "set {short}($sp - 8) = -1; p {unsigned short}($sp - 8)",
    "set $a0 = 1000",
    "p $a0",
    "set {int}0 = 1",
    "set 3 = 1",
    "set $zero = 1; p $zero",
  ]);
  assertStringIncludes(stdout, "30\n65535\n1000\n0\n");
  assertMatch(stderr, /^sh: set: Cannot write at 0x0: no data can be written there$/m);
  assertMatch(stderr, /^sh: set: Cannot set "3": it is no register/m);
});

Deno.test("an outer frame has pc and sp, and says that it has no others", async () => {
  const { stdout, stderr } = await typed(["b price_of", "c", "up", "p $pc", "p $a0", "frame 9"]);
  assertMatch(stdout, /^#1 .*add_prices/m);
  assertMatch(stdout, /<add_prices\+36>\n/);
  assertMatch(stderr, /Cannot read \$a0 in an outer frame/);
  assertMatch(stderr, /there is no frame 9; there are 0 to 5/);
});

Deno.test("help COMMAND has the details of each", async () => {
  const { stdout, stderr } = await typed(["help", "help x", "help tbreak", "help nosuch"]);
  assertMatch(stdout, /^ {2}break, b, br \[WHERE\]/m);
  assertMatch(stdout, /N is how many, F how they are shown/);
  assertMatch(stdout, /^tbreak, tb /m);
  assertMatch(stderr, /help: nosuch: there is no such command/);
});
