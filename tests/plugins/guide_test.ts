/**
 * The plugin author's guide: every example in it is executed as its console block says.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { hartrace } from "../cli/command_line.ts";

const ROOT = new URL("../../", import.meta.url);
const GUIDE = new URL("plugins/README.md", ROOT);

interface Example {
  /** File name, without a folder. */
  readonly name: string;
  readonly code: string;
  readonly command: string;
  readonly printed: string;
}

const BLOCKS = /```ts ignore\n\/\/ (\w+\.ts)\n([^]*?)```\n\n```console\n\$ (.*)\n([^]*?)```/g;

async function readExamples(): Promise<readonly Example[]> {
  const guide = await Deno.readTextFile(GUIDE);
  return [...guide.matchAll(BLOCKS)].map(([, name, code, command, printed]) => ({
    name: name!,
    code: code!,
    command: command!,
    printed: printed!,
  }));
}

/** Writes the modules, with the package they import in its place, into a folder for the time of `use`. */
async function withModules(
  examples: readonly Example[],
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const { name, code } of examples) {
      const text = code.replace("jsr:@hartrace/hartrace", new URL("mod.ts", ROOT).href);
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Words of a command, as a shell has them; names of modules and fixtures become whole paths. */
function wordsOf(command: string, folder: string): readonly string[] {
  return command.match(/(?:'[^']*'|\S)+/g)!.map((word) => {
    const text = word.replaceAll("'", "");
    if (/^\w+\.ts$/.test(text) && text !== "trace.ts") return `${folder}/${text}`;
    return text.startsWith("tests/") ? fromFileUrl(new URL(text, ROOT)) : text;
  });
}

async function denoRun(args: readonly string[]): Promise<{ code: number; output: string }> {
  const cwd = fromFileUrl(ROOT);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd,
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

const EXAMPLES = await readExamples();

Deno.test("the guide has twelve plugins and a program, and no other code", async () => {
  const guide = await Deno.readTextFile(GUIDE);
  assertEquals(EXAMPLES.length, 13);
  assertEquals(guide.match(/```ts/g)?.length, EXAMPLES.length);
  assertEquals(guide.match(/^### \d+\. /gm)?.length, 12);
});

for (const example of EXAMPLES) {
  Deno.test(`${example.name} of the guide prints what stands there`, async () => {
    await withModules([example], async (folder) => {
      const [, , ...args] = wordsOf(example.command, folder);
      assertEquals(args[0], "-A");
      if (args[1] !== "trace.ts") {
        const config = fromFileUrl(new URL("deno.json", ROOT));
        const { output } = await denoRun(["run", "-A", "--no-check", "--config", config, args[1]!]);
        assertEquals(output, example.printed);
        return;
      }
      const { stdout, stderr } = await hartrace(args.slice(2));
      assertEquals(stderr, "");
      assertEquals(stdout, example.printed);
    });
  });
}

Deno.test("the guide's modules have no type errors", async () => {
  await withModules(EXAMPLES, async (folder) => {
    const config = fromFileUrl(new URL("deno.json", ROOT));
    const files = EXAMPLES.map(({ name }) => `${folder}/${name}`);
    const { code, output } = await denoRun(["check", "--config", config, ...files]);
    assertEquals(code, 0, output);
  });
});
