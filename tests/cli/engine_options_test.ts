/**
 * The options about the engine: what they print, what they change, and what they refuse.
 *
 * @module
 */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import { fixture, hartrace } from "./command_line.ts";

const FIB = fixture("fib_p84");
/** Nothing but what the options print: no trace, no notes. */
const BARE = ["-q", "-p", "nop"] as const;

/** Text without the host addresses of what accesses note. */
function withoutCells(text: string): string {
  return text.replaceAll(/i32\.const \d{6,}/g, "i32.const CELL");
}

/** Text whose numbers are masked, and the white space before them. */
function withoutNumbers(text: string): string {
  return text.replaceAll(/\s*\b\d+(\.\d+)?\b/g, " N");
}

Deno.test("main() prints what a function was compiled to beside its assembly with --dump-wat", async (t) => {
  const options = ["--jit-threshold", "2000", "--dump-wat", "fib"];
  const { code, stdout, stderr } = await hartrace([...BARE, ...options, FIB]);
  assertEquals([code, stdout], [0, "610\n"]);
  await assertSnapshot(t, withoutCells(stderr));
});

Deno.test("main() says why --dump-wat has nothing to print of a function", async (t) => {
  const names = ["--dump-wat", "price_of,bill", "--dump-wat", "no_discount"];
  const { code, stderr } = await hartrace([...BARE, ...names, fixture("sample_p84")]);
  assertEquals(code, 0);
  await assertSnapshot(t, stderr);
});

Deno.test("main() takes globs for --dump-wat", async () => {
  const options = ["--jit-threshold", "1", "--dump-wat", "*price*"];
  const { stderr } = await hartrace([...BARE, ...options, fixture("sample_p84")]);
  for (const name of ["add_prices", "price_of"]) assertMatch(stderr, RegExp(`^;; ${name}\\+`, "m"));
});

Deno.test("main() prints where a run went with --engine-stats", async (t) => {
  const options = ["--jit-threshold", "2000", "--engine-stats"];
  const { code, stdout, stderr } = await hartrace([...BARE, ...options, FIB]);
  assertEquals([code, stdout], [0, "610\n"]);
  await assertSnapshot(t, withoutNumbers(stderr));
  const shares = (line: string) =>
    [...RegExp(`^hartrace: ${line} .*$`, "m").exec(stderr)![0].matchAll(/([\d.]+)%/g)]
      .reduce((sum, [, percent]) => sum + Number(percent), 0);
  for (const line of ["instret", "host time"]) {
    assert(Math.abs(shares(line) - 100) < 1, `${line} adds up to ${shares(line)}`);
  }
});

Deno.test("main() counts what the interpreter does with --engine-stats --engine interp", async () => {
  const { stderr } = await hartrace([...BARE, "--engine", "interp", "--engine-stats", FIB]);
  assertMatch(stderr, /compiled +0 regions, 0 dropped/);
  assertMatch(stderr, /in regions 0\.0%, interpreted (9\d|100)\.\d%/);
});

Deno.test("main() prints the same trace whatever the engine is asked to compile or count", async () => {
  const traces = new Set<string>();
  const choices = [[], ["--jit-threshold", "1"], ["--engine-stats"], ["--memory", "unchecked"]];
  for (const options of choices) {
    traces.add((await hartrace(["-q", ...options, fixture("sample_p84")])).stdout);
  }
  assertEquals(traces.size, 1);
});

Deno.test("main() says what --memory unchecked gives up, and does not see a stray store", async () => {
  const options = ["-p", "nop", "--jit-threshold", "1"];
  const checked = await hartrace([...options, fixture("fault_p84")]);
  assertEquals(checked.code, 139);
  const loose = await hartrace([...options, "--memory", "unchecked", fixture("fault_p84")]);
  assertStringIncludes(loose.stderr, "--memory unchecked: compiled code asks nothing of pages");
  assert(loose.code !== 139, loose.stderr);
});

/** Calls that are refused, and what the last line must say. */
const REFUSED: readonly [options: readonly string[], says: RegExp][] = [
  [
    ["--jit-threshold", "0"],
    /Cannot read --jit-threshold "0": it must be a whole number from 1 up/,
  ],
  [["--jit-threshold", "soon"], /Cannot read --jit-threshold "soon"/],
  [["--engine", "interp", "--jit-threshold", "9"], /Cannot take --jit-threshold: --engine interp/],
  [["--engine", "ref", "--dump-wat", "fib"], /Cannot take --dump-wat: --engine ref compiles/],
  [["--engine", "ref", "--memory", "unchecked"], /Cannot take --memory unchecked: --engine ref/],
  [["--engine", "ref", "--engine-stats"], /Cannot take --engine-stats: --engine ref/],
  [["--memory", "uncheck"], /Cannot read --memory "uncheck": .*, or unchecked/],
  [["--dump-wat", "fib,nosuch"], /Cannot dump "nosuch": there is no such function/],
];
for (const [options, says] of REFUSED) {
  Deno.test(`main() refuses ${options.join(" ")}`, async () => {
    const { code, stdout, stderr } = await hartrace([...options, FIB]);
    assertEquals([code, stdout], [125, ""]);
    assertMatch(stderr.trimEnd().split("\n").at(-1)!, says);
  });
}

Deno.test("main() refuses firmware with unchecked memory, as its devices are found by checks", async () => {
  const { code, stderr } = await hartrace(["--memory", "unchecked", fixture("hello_bare_p84")]);
  assertEquals(code, 125);
  assertMatch(stderr, /Cannot run firmware with unchecked memory/);
});
