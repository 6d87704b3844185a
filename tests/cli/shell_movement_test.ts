/**
 * Breakpoints and the commands that let the guest run: where it stops, and that nobody else notices.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fixture, hartrace } from "./command_line.ts";

/** Types lines at the shell of a program; gives what it prints. */
async function typed(
  lines: readonly string[],
  program = "sample_p84",
  options: readonly string[] = [],
) {
  const stdin = lines.map((line) => `${line}\n`).join("");
  return await hartrace(["shell", "-q", ...options, fixture(program)], { stdin });
}

const WAYS: readonly (readonly string[])[] = [
  [],
  ["--engine", "ref"],
  ["--engine", "interp", "--trampoline", "guest"],
  ["--virtual"],
  ["--virtual", "--engine", "ref", "--trampoline", "guest"],
  ...["regs", "args", "preset"].map((era) => ["--era", era]),
];

for (const way of WAYS) {
  const title = way.join(" ") || "defaults";
  for (const tracer of ["function", "function_graph"]) {
    Deno.test(`break leaves trace, times and output of ${tracer} as they are (${title})`, async () => {
      const start = ["b bill", "b price_of", "b *price_of+8", `echo ${tracer} > current_tracer`];
      const plain = await typed([start.at(-1)!, "run", "cat trace"], "sample_p84", way);
      // Breakpoints that were set before and behind the tracer's hooks.
      const late = ["b print_bill", "tb add_prices"];
      const runs = Array.from({ length: 25 }, () => "c");
      const { stdout } = await typed([...start, ...late, ...runs, "cat trace"], "sample_p84", way);
      const isOurs = (line: string) => /^(Temporary b|B)reakpoint \d/.test(line);
      const lines = stdout.split("\n");
      assertEquals(lines.filter((line) => !isOurs(line)).join("\n"), plain.stdout);
      // 2 calls of bill, 5 of price_of with two breakpoints in each, 2 of print_bill, 1 of add_prices.
      const stops = lines.filter((line) => isOurs(line) && line.includes(", 0x"));
      const at = (name: string) => stops.filter((line) => line.includes(` ${name}+`)).length;
      assertEquals([at("bill"), at("price_of"), at("print_bill"), at("add_prices")], [2, 10, 2, 1]);
    });
  }
}

Deno.test("break stops each of several harts, and the trace is that of a run without", async () => {
  const options = ["--harts", "2", "--seed", "7"];
  const trace = ["echo function > current_tracer"];
  const plain = await typed([...trace, "run", "cat trace", "regs 1"], "hello_bare_p84", options);
  const runs = Array.from({ length: 12 }, () => "c");
  const stopped = await typed(
    ["b tiny_main", "b *$pc+4", "b program", ...trace, ...runs, "cat trace", "regs 1"],
    "hello_bare_p84",
    options,
  );
  const isOurs = (line: string) => /^Breakpoint \d/.test(line);
  const lines = stopped.stdout.split("\n");
  assertEquals(lines.filter((line) => !isOurs(line)).join("\n"), plain.stdout);
  assertMatch(stopped.stdout, /^Breakpoint \d, \[hart 0\] 0x/m);
  assertMatch(stopped.stdout, /^Breakpoint \d, \[hart 1\] 0x/m);
});

Deno.test("a stop is told on a line of its own", async () => {
  const { stdout } = await typed(["b print_number", "c", "c"]);
  assertMatch(stdout, /^Breakpoint 1, 0x\w+ print_number.*\n(?:total |.*\n)*Breakpoint 1, /m);
  assertEquals(/[^\n]Breakpoint 1, /.test(stdout), false);
});

Deno.test("break takes places and conditions, and says what is wrong with others", async () => {
  const { stdout, stderr } = await typed([
    "b bill if $a1 == 0 && $a0 != 0",
    "b price_of if {long}($a0 + 8) > 3",
    "tb *0x10448",
    "b nosuch",
    "b 0x3",
    "b bill if $a0 +",
    "b bill if $q1 == 0",
    "delete 9",
    "ignore 2 1",
    "c",
    "c",
    "c",
    "info breakpoints",
    "disable 2",
    "condition 1",
    "delete 4",
    "c",
    "info b",
    "delete",
    "info b",
  ]);
  assertStringIncludes(stdout, "Temporary breakpoint 3, 0x10448 bill+0x0");
  assertStringIncludes(stdout, "\n        stop only if {long}($a0 + 8) > 3\n");
  assertMatch(stdout, /No breakpoints\.\n$/);
  assertEquals(stderr.split("\n").filter((line) => line.startsWith("sh: ")), [
    "sh: b: nosuch: no such function",
    "sh: b: Cannot stop at 0x3: nothing is there",
    'sh: b: Cannot read the expression "$a0 +": something is missing at its end',
    "sh: delete: 9: no such breakpoint; there are 1, 2, 3, 4",
  ]);
  assertMatch(stderr, /Cannot read \$q1: there is no such register/);
});

Deno.test("finish, until, next and step stop where gdb's fingers expect it", async () => {
  const { stdout, stderr } = await typed([
    "b price_of",
    "c",
    "finish",
    "d",
    "up",
    "finish",
    "until add_prices",
    "advance price_of",
    "step 2",
    "si",
    "ni 2",
    "frame 1",
    "down",
    "down",
  ]);
  assertMatch(stdout, /add_prices\+0x24.*\na0 = 0x\w+ \(750\)\n/);
  assertMatch(stdout, /\n#1 0x10468 bill\+0x20\/0x5a\n[^]*program\+0x12.*\na0 = 0x546 \(1350\)\n/);
  assertMatch(stdout, /\n0x10330 price_of\+0x0\/0x12: /);
  assertMatch(stderr, /^sh: down: there is no frame -1; there are 0 to 5$/m);
});

Deno.test("until without a place runs a loop to its end", async () => {
  // The branch back at the end of add_prices' loop.
  const { stdout } = await typed(["b add_prices", "c", ...Array(25).fill("until")]);
  const steps = stdout.split("\n").filter((line) => /^0x\w+ add_prices\+/.test(line));
  const places = steps.map((line) => Number(line.split(" ")[0]));
  assertEquals(places, [...places].sort((a, b) => a - b), "it never goes back");
});

Deno.test("step counts the chosen hart's instructions, and --limit-insns holds for all", async () => {
  const { stdout } = await typed(
    ["hart 1", "step 5", "info harts", "hart 2"],
    "hello_bare_p84",
    ["--harts", "2"],
  );
  assertMatch(stdout, /^\[hart 1\] 0x80000000 /m);
  assertMatch(stdout, /^\* hart 1 0x/m);
  const limited = await typed(["step 100", "echo $?"], "hello_bare_p84", ["--limit-insns", "50"]);
  assertStringIncludes(limited.stdout, "124\n");
});
