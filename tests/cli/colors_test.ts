/**
 * Colours: when there are any, and that a text without them is the same.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { stripAnsiCode } from "@std/fmt/colors";
import { paintTrace, wantsColors } from "../../lib/cli/colors.ts";
import { fixture, hartrace } from "./command_line.ts";

const PROGRAM = fixture("sample_p84");
const CALLS: readonly (readonly string[])[] = [
  ["--stats", PROGRAM],
  ["-p", "function", "-O", "func_stack_trace", "-O", "sym-offset", PROGRAM],
  [
    "-O",
    "funcgraph-abstime",
    "-O",
    "funcgraph-tail",
    "-O",
    "funcgraph-retval",
    "-O",
    "latency-format",
    PROGRAM,
  ],
  ["-p", "hist", PROGRAM],
  ["-p", "args", PROGRAM],
  ["-p", "function_profile", PROGRAM],
  ["-p", "fprobe", "--set", "fprobe.at=bill", PROGRAM],
  ["--harts", "2", fixture("hello_bare_p84")],
  ["list", "functions", PROGRAM],
  ["list", "sites", "--era", "regs", PROGRAM],
  ["list", "registers", PROGRAM],
  ["list", "plugins"],
  ["list", "options"],
  ["list", "--json", "--why", "bill+4", PROGRAM],
  ["list", "--why", "bill+4", "--why", "main", PROGRAM],
  ["--help"],
  ["-p", "hist", "--help"],
  ["shell", "--help"],
  ["-p", "nosuch", PROGRAM],
];

Deno.test("--color always without its codes is --color never, to the character", async () => {
  let painted = 0;
  for (const call of CALLS) {
    const plain = await hartrace(["--color", "never", ...call]);
    const colored = await hartrace(["--color", "always", ...call]);
    assertEquals(plain.stdout.includes("\x1b"), false, call.join(" "));
    assertEquals(plain.stderr.includes("\x1b"), false, call.join(" "));
    assertEquals(stripAnsiCode(colored.stdout), plain.stdout, call.join(" "));
    assertEquals(stripAnsiCode(colored.stderr), plain.stderr, call.join(" "));
    assertEquals(colored.code, plain.code);
    painted += Number(colored.stdout.includes("\x1b"));
  }
  assert(painted >= 12, `${painted} are in colours`);
});

Deno.test("the shell's text without colours is the same, too", async () => {
  const stdin = "help\nb bill\nc\ndisas\necho function > current_tracer\nrun\ncat trace\nnosuch\n";
  const plain = await hartrace(["shell", PROGRAM], { stdin });
  const colored = await hartrace(["shell", "--color=always", PROGRAM], { stdin });
  assertEquals(plain.stdout.includes("\x1b"), false);
  assertEquals(stripAnsiCode(colored.stdout), plain.stdout);
  assertEquals(stripAnsiCode(colored.stderr), plain.stderr);
  assert(colored.stdout.includes("\x1b"));
});

Deno.test("wantsColors() heeds --color before NO_COLOR before FORCE_COLOR before the terminal", () => {
  const wants = (mode: "auto" | "always" | "never", terminal: boolean, env = {}) =>
    wantsColors(mode, terminal, (name) => (env as Record<string, string>)[name]);
  assertEquals([wants("auto", true), wants("auto", false)], [true, false]);
  assertEquals(wants("always", false, { NO_COLOR: "1", TERM: "dumb" }), true);
  assertEquals(wants("never", true, { FORCE_COLOR: "1" }), false);
  assertEquals(wants("auto", true, { NO_COLOR: "0" }), false, "any value counts");
  assertEquals(wants("auto", true, { NO_COLOR: "" }), true, "an empty one does not");
  assertEquals(wants("auto", true, { NO_COLOR: "1", FORCE_COLOR: "1" }), false);
  assertEquals(wants("auto", false, { FORCE_COLOR: "1", TERM: "dumb" }), true);
  assertEquals(wants("auto", false, { CLICOLOR_FORCE: "1" }), true);
  assertEquals(wants("auto", false, { CLICOLOR_FORCE: "0" }), false);
  assertEquals(wants("auto", true, { FORCE_COLOR: "0" }), false);
  assertEquals(wants("auto", true, { CLICOLOR: "0" }), false);
  assertEquals(wants("auto", true, { TERM: "dumb" }), false);
});

Deno.test("a terminal gets colours, a pipe none, and a guest's output stays its own", async () => {
  const call = ["-q", "-p", "function", "-l", "bill", PROGRAM];
  const pipe = await hartrace(call);
  assertEquals(pipe.stdout.includes("\x1b"), false);
  const terminal = await hartrace(call, { terminal: true });
  assertEquals(stripAnsiCode(terminal.stdout), pipe.stdout);
  assert(terminal.stdout.includes(": \x1b[36mbill\x1b[39m <-"));
  assertMatch(terminal.stdout, /^total 1350, payable in coins of 1350$/m);
  const asked = await hartrace(call, { terminal: true, env: { NO_COLOR: "1" } });
  assertEquals(asked.stdout, pipe.stdout);
});

Deno.test("paintTrace() highlights the kernel's marks and leaves text that only looks like them", () => {
  const paint = (line: string) => paintTrace(line).replaceAll("\x1b[", "^");
  assertEquals(paint(" 0) + 12.345 us   |  f();"), " 0) ^33m+ 12.345 us^39m   |  ^36mf^39m();");
  assertEquals(paint(" 0) ! 123.45 us   |    }"), " 0) ^31m! 123.45 us^39m   |    }");
  assertEquals(paint(" 0)   0.004 us    |  } /* f */"), " 0)   0.004 us    |  } ^2m/* f */^22m");
  assertEquals(paint("total + 12.0 us"), "total + 12.0 us");
});
