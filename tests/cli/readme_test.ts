/**
 * The README's examples: each command in it runs as it is printed, in a folder where the programs
 * and files that it names lie, and prints what stands below it.
 *
 * `…` at the end of a line, or as a line, stands for whatever is there. All else is compared to the
 * character: durations are the guest's own time, addresses the fixture's, and nothing that a block
 * shows depends on the machine.
 *
 * The session of the shell is `shell_test.ts`'s, the two plugins with files of their own are
 * `plugins_test.ts`'s and `coins_test.ts`'s. What takes long is `readme_long_test.ts`'s: campaigns,
 * bundles, the scripts of batch systems.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { missingTool } from "../program/elf_oracle.ts";
import { hartrace } from "./command_line.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const README = await Deno.readTextFile(`${ROOT}README.md`);
const RUN = "deno run -A trace.ts";

/** What the examples call by a name of their own, and the fixture that it is here. */
const STAND_INS: Readonly<Record<string, string>> = {
  "prog": "tests/fixtures/elf/settings_p84",
  "any-static-program": "tests/fixtures/elf/settings_p84",
  "shop": "tests/fixtures/elf/cart_p84",
  "prog.c": "tests/fixtures/src/settings.c",
  "calls.h": "tests/fixtures/src/calls.h",
  "include": "tests/fixtures/src",
  "tests": "tests",
};
const FILES: Readonly<Record<string, string>> = {
  "prog.h": "char *copy(const char *text, size_t length);\nlong number(const char *text);\n",
  "prototypes.h": "char *copy(const char *text, size_t length);\nlong number(const char *text);\n",
  // The first characters of 30, 5, 0x1000 and -1 have the sum 197.
  "fix.c": "long number(const char *text) { return text[0]; }\n",
};
/** Exit code of the program that stands in, which a run hands on; `fail` has found something. */
const CODES = [0, 1];

interface Block {
  readonly kind: string;
  readonly text: string;
}

const BLOCKS: readonly Block[] = [...README.matchAll(/^```(.*)\n([^]*?)^```$/gm)]
  .map(([, kind, text]) => ({ kind: kind!, text: text! }));

/** Commands of a block, one a line, comments removed. */
function commandsOf({ text }: Block): readonly string[] {
  const lines = text.replaceAll("\\\n", " ").trim().split("\n");
  return lines.map((line) => line.replace(/\s+#\s.*$/, ""));
}

/** Commands that stand without their output. */
const COMMANDS = BLOCKS
  .filter(({ kind, text }) => kind === "console" && !text.startsWith("$"))
  .flatMap(commandsOf);

/** Commands with what they print. */
const SESSIONS = BLOCKS
  .filter(({ kind, text }) => kind === "console" && text.startsWith("$") && !/ shell /.test(text))
  .map(({ text }) => {
    const [command = "", ...printed] = text.trimEnd().split("\n");
    return { command: command.slice(2), printed };
  });

function wordsOf(command: string): readonly string[] {
  const words = command.match(/(?:'[^']*'|[^\s'])+/g) ?? [];
  return words.map((word) => word.replaceAll("'", ""));
}

/** Runs `use` in a folder that has what the examples name. */
async function withStandIns(use: () => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const before = Deno.cwd();
  try {
    for (const [name, path] of Object.entries(STAND_INS)) {
      await Deno.symlink(`${ROOT}${path}`, `${folder}/${name}`);
    }
    for (const [name, text] of Object.entries(FILES)) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    Deno.chdir(folder);
    await use();
  } finally {
    Deno.chdir(before);
    await Deno.remove(folder, { recursive: true });
  }
}

/** Whether a line is that of an example, whose `…` at the end stands for the rest. */
function isLine(line: string, shown: string): boolean {
  if (shown.endsWith("…")) return line.startsWith(shown.slice(0, -1));
  return line.trimEnd() === shown.trimEnd();
}

/** Whether lines are those of an example, in which a line `…` stands for lines left out. */
function fits(lines: readonly string[], shown: readonly string[]): boolean {
  const parts: string[][] = [[]];
  for (const line of shown) {
    if (line.trim() === "…") parts.push([]);
    else parts.at(-1)!.push(line);
  }
  const isAt = (part: readonly string[], at: number) =>
    part.every((line, k) => at + k < lines.length && isLine(lines[at + k]!, line));
  const last = parts.pop()!;
  let at = 0;
  for (const [k, part] of parts.entries()) {
    // The first part stands at the beginning, each later one behind the one before.
    while (k > 0 && at < lines.length && !isAt(part, at)) at++;
    if (!isAt(part, at)) return false;
    at += part.length;
  }
  const end = lines.length - last.length;
  return (parts.length > 0 ? end >= at : end === 0) && isAt(last, end);
}

/** Runs what a command of the README calls `hartrace` with; its lines on stdout and on stderr. */
async function linesOf(command: string): Promise<readonly (readonly string[])[]> {
  const rest = command.replace(/^npx -y deno@[\d.]+/, "deno").slice(RUN.length);
  assert(command.includes(" run -A trace.ts"), command);
  const { code, stdout, stderr } = await hartrace(wordsOf(rest));
  assert(CODES.includes(code), stderr);
  return [stdout, stderr].map((text) => text.trimEnd().split("\n"));
}

/** What each kind of block is, and who asks it. */
const KINDS: Readonly<Record<string, RegExp>> = {
  // Commands; with `$ ` before it, one command and what it prints. All are run.
  console: /^/,
  // Some of what a command in the last block of commands prints.
  text: /^/,
  // Modules, and a part of one: checked below, run by the tests of plugins.
  "ts ignore": /^(import|const)/,
  // Scripts for batch systems, which readme_long_test.ts runs.
  bash: /^#!\/bin\/bash\n#SBATCH/,
  yaml: /^# Kubernetes/,
};

Deno.test("fits() takes what is shown, with lines and ends of lines left out, and nothing else", () => {
  const lines = ["a", "b", "c", "b", "d"];
  for (const shown of ["a b c b d", "… d", "a …", "… b … b …", "…", "a … b d", "… c b d"]) {
    assert(fits(lines, shown.split(" ")), shown);
  }
  for (const shown of ["a b c b", "b …", "… b", "… c … c …", "… d a", "a … e …", "a a … d"]) {
    assert(!fits(lines, shown.split(" ")), shown);
  }
  assert(fits(["total 5"], ["tot…"]) && !fits(["a total"], ["tot…"]));
});

Deno.test("README.md's blocks are of kinds that a test asks", () => {
  for (const { kind, text } of BLOCKS) {
    assert(KINDS[kind] !== undefined, `README.md has a block of kind "${kind}"`);
    assertMatch(text, KINDS[kind]!);
  }
  const count = (kind: string) => BLOCKS.filter((block) => block.kind === kind).length;
  assertEquals(["bash", "yaml"].map(count), [1, 1]);
});

for (const [k, { kind, text }] of BLOCKS.entries()) {
  if (kind !== "text") continue;
  const commands = BLOCKS.slice(0, k).findLast((block) => block.kind === "console")!;
  Deno.test(`README.md shows a part of what is printed by a command of: ${commands.text.split("\n")[0]}`, () =>
    withStandIns(async () => {
      const shown = ["…", ...text.trimEnd().split("\n"), "…"];
      for (const command of commandsOf(commands)) {
        if ((await linesOf(command)).some((lines) => fits(lines, shown))) return;
      }
      assert(false, `no command above prints:\n${text}`);
    }));
}

Deno.test("README.md's examples name only commands that this file or another test runs", () => {
  const others = COMMANDS.filter((command) => !command.startsWith(RUN));
  const elsewhere = [
    // .ci/run runs the tests' command as it stands there, readme_long_test.ts the other one.
    /^npx -y deno@2\.9\.6 (run -A trace\.ts|task test)$/,
    // install_test.ts
    /^deno install -gAn hartrace trace\.ts$/,
    // readme_long_test.ts
    /^deno task fuzz\b/,
    /^deno bundle /,
    /^node trace\.mjs$/,
    // Below.
    /^riscv64-linux-gnu-gcc /,
  ];
  assertEquals(others.filter((text) => !elsewhere.some((known) => known.test(text))), []);
  assert(COMMANDS.length > 20 && SESSIONS.length >= 8);
});

for (const { command, printed } of SESSIONS) {
  Deno.test(`README.md shows what is printed by: ${command}`, () =>
    withStandIns(async () => {
      const texts = await linesOf(command);
      assert(texts.some((lines) => fits(lines, printed)), texts.flat().join("\n"));
    }));
}

const made = COMMANDS.filter((command) => command.startsWith(RUN) && !/fix\.o/.test(command));
Deno.test("README.md's commands run as they stand there", async (t) => {
  await withStandIns(async () => {
    for (const command of made) {
      await t.step(command, async () => {
        const { code, stderr } = await hartrace(wordsOf(command.slice(RUN.length)));
        assert(CODES.includes(code), `${command}: exit code ${code}\n${stderr}`);
        const wrong = stderr.split("\n").filter((line) =>
          /cannot|there is no|not traced/i.test(line)
        );
        assertEquals(wrong, []);
      });
    }
  });
});

const noCompiler = await missingTool("riscv64-linux-gnu-gcc");
Deno.test({
  name: "README.md's compiler commands make what the commands below them run (needs gcc-riscv64)",
  ignore: noCompiler,
  fn: () =>
    withStandIns(async () => {
      for (const name of ["prog", "any-static-program"]) await Deno.remove(name);
      const built = COMMANDS.filter((command) => command.startsWith("riscv64-"));
      assertEquals(built.length, 2);
      for (const command of built) {
        const [gcc, ...args] = wordsOf(command);
        const { code, stderr } = await new Deno.Command(gcc!, { args }).output();
        assertEquals(code, 0, new TextDecoder().decode(stderr));
      }
      const graph = COMMANDS.find((command) => command === `${RUN} ./prog`)!;
      assertMatch((await hartrace(wordsOf(graph.slice(RUN.length)))).stdout, /parse\(\) \{/);
      const patched = COMMANDS.find((command) => /fix\.o/.test(command))!;
      const { stdout } = await hartrace(wordsOf(patched.slice(RUN.length)));
      assertMatch(stdout, /sum 197,/);
    }),
});

Deno.test("README.md's snippets of a tracer have no type errors", async () => {
  const snippets = BLOCKS.filter(({ kind }) => kind.startsWith("ts")).map(({ text }) => text);
  assertEquals(snippets.length, 4);
  const folder = await Deno.makeTempDir();
  try {
    const files: string[] = [];
    for (const [k, text] of snippets.entries()) {
      const whole = /^import /m.test(text)
        ? text.replace("jsr:@hartrace/hartrace", `${ROOT}mod.ts`)
        : `import type { Ftrace } from "${ROOT}mod.ts";\nexport function use(ftrace: Ftrace) {\n` +
          `${text}return direct;\n}\n`;
      files.push(`${folder}/snippet_${k}.ts`);
      await Deno.writeTextFile(files[k]!, whole);
    }
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--config", `${ROOT}deno.json`, ...files],
      env: { NO_COLOR: "1" },
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const prices = files[snippets.findIndex((text) => text.includes('name: "prices"'))]!;
    const { stdout } = await hartrace(["-q", "--plugin", prices]);
    assertMatch(stdout, /^price_of gave \d+$/m);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
