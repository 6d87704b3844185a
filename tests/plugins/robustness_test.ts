/**
 * Plugins that misbehave, and several at once: the guest goes on, and what went wrong is said once.
 *
 * @module
 */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fixture, hartrace, withFile } from "../cli/command_line.ts";

const SETTINGS = fixture("settings_p84");
const PRINTED = "colour: what is that?\n4 settings, 1 wrong, sum 4130, average 1032.50\n";

const plugin = (body: string, name = "mine") =>
  `export default { name: "${name}", init(ftrace) { ${body} } };`;
const THROW = `throw new Error("oops " + ++calls)`;

/** Registrations whose callback throws at every call, and who is blamed. */
const THROWS: readonly (readonly [what: string, body: string, blamed: string])[] = [
  ["func", `ftrace.registerFtraceFunction({ name: "f", func() { ${THROW} } })`, "f"],
  ["hit", `ftrace.registerFtraceFunction({ name: "h", hit() { ${THROW} } })`, "h"],
  ["entryFunc", `ftrace.registerFtraceGraph({ name: "e", entryFunc() { ${THROW} } })`, "e"],
  ["retFunc", `ftrace.registerFtraceGraph({ name: "r", retFunc() { ${THROW} } })`, "r"],
  ["entryHandler", `ftrace.registerFprobe({ entryHandler() { ${THROW} } }, "*")`, "fprobe"],
  ["exitHandler", `ftrace.registerFprobe({ exitHandler() { ${THROW} } }, "*")`, "fprobe"],
];
for (const [what, body, blamed] of THROWS) {
  for (const trampoline of ["guest", "fast"]) {
    Deno.test(`${what} that throws is unregistered, reported once, and the guest goes on (${trampoline})`, () =>
      withFile("mine.ts", plugin(`let calls = 0; ${body};`), async (path) => {
        const options = ["-q", "--trampoline", trampoline, "--plugin", path];
        const { code, stdout, stderr } = await hartrace([...options, SETTINGS]);
        assertEquals(code, 0);
        assertEquals(stdout, PRINTED);
        assertEquals(stderr.match(/oops/g)?.length, 1, stderr);
        assertMatch(stderr, new RegExp(`^hartrace: \\[${blamed}\\] Cannot .*oops 1`));
      }));
  }
}

Deno.test("a plugin that throws when it is disposed of does not keep the others from ending", async () => {
  const bad = plugin(`return { [Symbol.dispose]() { throw new Error("late") } };`, "bad");
  const good = plugin(`return { [Symbol.dispose]() { ftrace.print("good ended") } };`, "good");
  await withFile("bad.ts", bad, (badPath) =>
    withFile("good.ts", good, async (goodPath) => {
      for (const paths of [[badPath, goodPath], [goodPath, badPath]]) {
        const plugins = paths.flatMap((path) => ["--plugin", path]);
        const { code, stdout, stderr } = await hartrace(["-q", ...plugins, SETTINGS]);
        assertEquals(code, 0);
        assertEquals(stdout, `${PRINTED}good ended\n`);
        assertMatch(stderr, /^hartrace: \[bad\] Cannot end it: late\n$/);
      }
    }));
});

Deno.test("one of two ops on a function that throws leaves the other in place", () =>
  withFile(
    "mine.ts",
    plugin(`
      let seen = 0;
      ftrace.registerFtraceFunction({ filter: ["parse"], func() { throw new Error("oops"); } });
      ftrace.registerFtraceFunction({ filter: ["parse"], func() { seen++; } });
      return { [Symbol.dispose]() { ftrace.print("seen " + seen); } };
    `),
    async (path) => {
      const { stdout } = await hartrace(["-q", "--plugin", path, SETTINGS]);
      assertEquals(stdout, `${PRINTED}seen 4\n`);
    },
  ));

Deno.test("an ops that sets ip without IPMODIFY is unregistered, and the call goes its way", () =>
  withFile(
    "mine.ts",
    plugin(`ftrace.registerFtraceFunction({
      name: "sneak",
      filter: ["parse"],
      func(ip, parentIp, ops, fregs) { fregs.overrideWithReturn(); },
    });`),
    async (path) => {
      const { stdout, stderr } = await hartrace(["-q", "--plugin", path, SETTINGS]);
      assertEquals(stdout, PRINTED);
      assertMatch(stderr, /\[sneak\] .*IPMODIFY/);
    },
  ));

Deno.test("function_graph runs beside a plugin, and both see every call", () =>
  withFile(
    "mine.ts",
    plugin(`
      let seen = 0;
      ftrace.registerFtraceFunction({ filter: ["parse", "copy"], hit: () => void seen++ });
      return { [Symbol.dispose]() { ftrace.print("seen " + seen); } };
    `),
    async (path) => {
      const args = ["-q", "-p", "function_graph", "-g", "load", "--plugin", path, SETTINGS];
      const { stdout } = await hartrace(args);
      const alone = (await hartrace(["-q", "-g", "load", SETTINGS])).stdout;
      assertEquals(stdout, `${alone}seen 8\n`);
    },
  ));

Deno.test("built-in tracers run beside each other, each with settings of its own", async () => {
  const set = [
    "args.of=long number(const char *)",
    "watch.at=number",
    "watch.when=ret < 0",
    "hist.at=copy",
    "hist.of=a1",
  ];
  const options = set.flatMap((text) => ["--set", text]);
  const plugins = ["--plugin", "watch", "--plugin", "hist", "--plugin", "function_profile"];
  const args = ["-q", "-p", "args", ...plugins, ...options, SETTINGS];
  const { code, stdout } = await hartrace(args);
  assertEquals(code, 0);
  assertStringIncludes(stdout, `number("0x1000") = 4096\n`);
  assertStringIncludes(stdout, "watch: 1 of 4 calls are in the trace: ret < 0\n");
  assertStringIncludes(stdout, "copy: a1 of 4 calls, average 6\n");
  assertMatch(stdout, /^ {2}parse +4 {4}2\.685 us/m);
});

const REFUSED: readonly (readonly [what: string, args: readonly string[], answer: RegExp])[] = [
  [
    "a built-in tracer twice",
    ["--plugin", "hist", "--plugin", "hist"],
    /Cannot load hist: .*name it once/,
  ],
  ["settings of one that does not run", ["--set", "hist.of=ret"], /add -p hist, or --plugin hist/],
  [
    "help with one that is not there",
    ["-p", "nosuch", "--help"],
    /Cannot help with nosuch: .*there are function_graph/,
  ],
  [
    "options of one that is not there",
    ["-p", "nosuch", "list", "options"],
    /Cannot list options of nosuch/,
  ],
];
for (const [what, args, answer] of REFUSED) {
  Deno.test(`main() refuses ${what}`, async () => {
    const ends = args.includes("list") ? [] : [SETTINGS];
    const { code, stderr } = await hartrace(["-q", ...args, ...ends]);
    assertEquals(code, 125);
    assertMatch(stderr, answer);
  });
}

Deno.test("a plugin that is named like a built-in tracer is refused", () =>
  withFile("mine.ts", plugin("", "hist"), async (path) => {
    const { code, stderr } = await hartrace(["--plugin", path, SETTINGS]);
    assertEquals(code, 125);
    assertMatch(stderr, /there is already a tracer named hist; rename one/);
  }));

Deno.test("--help with --plugin teaches a plugin's options", () =>
  withFile(
    "mine.ts",
    `export default { name: "mine", description: "counts", example: "--plugin mine.ts ./prog",
      options: { top: { description: "how many", default: 3 } }, init() {} };`,
    async (path) => {
      const { code, stdout } = await hartrace(["--plugin", path, "--help"]);
      assertEquals(code, 0);
      assertMatch(stdout, /^mine: counts\n/);
      assertMatch(stdout, /--set mine\.top=3 +how many\n/);
      assertMatch(stdout, /deno run -A trace\.ts --plugin mine\.ts \.\/prog\n/);
    },
  ));

Deno.test("list options shows one tracer's alone when -p names it", async () => {
  const { stdout } = await hartrace(["list", "options", "-p", "fail", "--json"]);
  const rows = JSON.parse(stdout) as readonly { readonly of: string }[];
  assertEquals(rows.length > 5, true);
  assertEquals(new Set(rows.map((row) => row.of)), new Set(["fail"]));
});

Deno.test("a tracer is refused with the way out when the program has no call sites", async () => {
  for (const tracer of ["hist", "stack", "function_profile", "watch"]) {
    const { code, stdout, stderr } = await hartrace([
      "-p",
      tracer,
      fixture("sample_without_sites"),
    ]);
    assertEquals([code, stdout], [125, ""]);
    assertMatch(stderr, /has no call sites\n[^]*--virtual/);
  }
});

Deno.test("the guest is stopped when nobody reads what a tracer prints any more", async () => {
  const set = ["--set", "fprobe.at=fib"];
  const args = [
    "-q",
    "-p",
    "fprobe",
    ...set,
    "--limit-insns",
    "100000000",
    fixture("fib_p84"),
    "40",
  ];
  const { code, stderr } = await hartrace(args, { closeAfter: 1 << 16 });
  assertEquals([code, stderr], [141, ""]);
});
