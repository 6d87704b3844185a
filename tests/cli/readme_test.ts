/**
 * The README's examples: each command in it runs as it is printed, in a folder where the programs
 * and files that it names lie, and prints what stands below it.
 *
 * `…` at the end of a line, or as a line, stands for whatever is there. The session of the shell is
 * `shell_test.ts`'s, the two plugins with files of their own are `plugins_test.ts`'s and
 * `coins_test.ts`'s, campaigns are `readme_long_test.ts`'s, and bundling is `hosts_long_test.ts`'s.
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

/** Commands that stand without their output, one each, comments removed. */
const COMMANDS = BLOCKS
  .filter(({ kind, text }) => kind === "console" && !text.startsWith("$"))
  .flatMap(({ text }) => text.replaceAll("\\\n", " ").trim().split("\n"))
  .map((line) => line.replace(/\s+#\s.*$/, ""));

/** Commands with what they print. */
const SESSIONS = BLOCKS
  .filter(({ kind, text }) => kind === "console" && text.startsWith("$") && !/ shell /.test(text))
  .map(({ text }) => {
    const [command = "", ...printed] = text.trimEnd().split("\n");
    return { command: command.slice(2), printed };
  });

function wordsOf(command: string): readonly string[] {
  return command.match(/(?:'[^']*'|[^\s'])+/g)!.map((word) => word.replaceAll("'", ""));
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

/** Whether lines are those of an example, in which `…` stands for a rest or for lines left out. */
function fits(lines: readonly string[], shown: readonly string[]): boolean {
  const [first, ...rest] = shown;
  if (first === undefined) return lines.length === 0;
  if (first.trim() === "…") {
    return lines.some((_, at) => fits(lines.slice(at), rest)) || !rest.length;
  }
  if (lines.length === 0) return false;
  const same = first.endsWith("…")
    ? lines[0]!.startsWith(first.slice(0, -1))
    : lines[0]!.trimEnd() === first.trimEnd();
  return same && fits(lines.slice(1), rest);
}

Deno.test("README.md's first command prints the trace that stands below it", async () => {
  const at = BLOCKS.findIndex(({ text }) => text === `npx -y deno@2.9.6 run -A trace.ts\n`);
  const { code, stdout } = await hartrace([]);
  assertEquals(code, 0);
  const lines = stdout.slice(stdout.indexOf("# tracer")).trimEnd().split("\n");
  assert(fits(lines, BLOCKS[at + 1]!.text.trimEnd().split("\n")), stdout);
});

Deno.test("README.md's examples name only commands that this file or another test runs", () => {
  const others = COMMANDS.filter((command) => !command.startsWith(RUN));
  const known = /^npx -y deno@2\.9\.6 (run -A trace\.ts|task test)$|^deno task fuzz|^deno install /;
  const elsewhere = /^deno bundle |^node trace\.mjs$|^riscv64-linux-gnu-gcc /;
  assertEquals(others.filter((text) => !known.test(text) && !elsewhere.test(text)), []);
  assert(COMMANDS.length > 20 && SESSIONS.length >= 3);
});

for (const { command, printed } of SESSIONS) {
  Deno.test(`README.md shows what is printed by: ${command}`, () =>
    withStandIns(async () => {
      assert(command.startsWith(RUN), command);
      const { code, stdout, stderr } = await hartrace(wordsOf(command.slice(RUN.length)));
      assert(CODES.includes(code), stderr);
      assert(fits(stdout.trimEnd().split("\n"), printed), stdout);
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
