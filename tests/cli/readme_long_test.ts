/**
 * The README's commands that take long, as they are printed, by a shell in a checkout: bundling and
 * running the bundle in Node, the command that needs nothing but Node, the scripts for batch systems,
 * and random campaigns with a smaller count.
 *
 * The checkout is a folder of links, so that what a command leaves behind lies nowhere else.
 *
 * @module
 */
import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { withFolder } from "../folder.ts";
import { sampleGraph } from "../host/sample_graph.ts";
import { missingTool } from "../program/elf_oracle.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const README = await Deno.readTextFile(`${ROOT}README.md`);
const CAMPAIGNS = [...README.matchAll(/^deno (task fuzz.*?)\s+#/gm)].map(([, words]) => words!);
const LONG = Deno.env.has("HARTRACE_LONG");
const noQemu = LONG &&
  (await missingTool("qemu-riscv64") || await missingTool("qemu-system-riscv64"));
const decoder = new TextDecoder();
/** What makes up the checkout; the lock is copied, as `deno bundle` writes to it. */
const LINKED = ["lib", "plugins", "tests", "scripts", "mod.ts", "trace.ts", "tracers.ts"];
const COPIED = ["deno.json", "deno.lock"];
/** Parts of the campaign in the README's scripts. */
const SHARDS = 16;

/** The text of the only block of a kind that has `part` in it. */
function block(kind: string, part: string): string {
  const blocks = [...README.matchAll(/^```(.*)\n([^]*?)^```$/gm)];
  const found = blocks.filter(([, name, text]) => name === kind && text!.includes(part));
  assertEquals(found.length, 1, `README.md has ${found.length} blocks with ${part}`);
  return found[0]![2]!;
}

/** A checkout with a program of one's own. */
interface Checkout {
  readonly folder: string;
  /** Runs a script; what it printed on stdout. @throws {Error} If it failed, with what it said. */
  run(
    script: string,
    env?: Readonly<Record<string, string>>,
    codes?: readonly number[],
  ): Promise<string>;
}

function withCheckout(use: (checkout: Checkout) => Promise<void>): Promise<void> {
  return withFolder(async (folder) => {
    for (const name of LINKED) await Deno.symlink(`${ROOT}${name}`, `${folder}/${name}`);
    for (const name of COPIED) await Deno.copyFile(`${ROOT}${name}`, `${folder}/${name}`);
    await Deno.symlink(`${ROOT}tests/fixtures/elf/settings_p84`, `${folder}/prog`);
    await Deno.mkdir(`${folder}/bin`);
    await Deno.symlink(Deno.execPath(), `${folder}/bin/deno`);
    const PATH = `${folder}/bin:${Deno.env.get("PATH")}`;
    await use({
      folder,
      async run(script, env = {}, codes = [0]) {
        const { code, stdout, stderr } = await new Deno.Command("bash", {
          args: ["-c", script],
          cwd: folder,
          env: { ...env, PATH, NO_COLOR: "1" },
        }).output();
        assert(codes.includes(code), `${script}: exit code ${code}\n${decoder.decode(stderr)}`);
        return decoder.decode(stdout);
      },
    });
  });
}

Deno.test({
  name: "README.md's bundle is made by its command and runs in Node (needs npm)",
  ignore: !LONG || await missingTool("npm"),
  fn: () =>
    withCheckout(async ({ folder, run }) => {
      const commands = block("console", "deno bundle").trimEnd().split("\n");
      assertEquals(commands.length, 2);
      await Deno.writeTextFile(
        `${folder}/my_trace.ts`,
        'import { sampleGraph } from "./tests/host/sample_graph.ts";\n' +
          "console.log(await sampleGraph());\n",
      );
      await run(commands[0]!);
      // The oldest that the README names, which a machine may not have: iterators have a map() there.
      assertMatch(README, /^Node 22 and 24,/m);
      await run(
        "npm install --silent --no-save --prefix bin node@22 && ln -s node_modules/node/bin/node bin",
      );
      assertEquals(await run(commands[1]!), `${await sampleGraph()}\n`);
    }),
});

Deno.test({
  name: "README.md's first command needs Node alone (needs npx)",
  ignore: !LONG || await missingTool("npx"),
  fn: () =>
    withCheckout(async ({ folder, run }) => {
      await Deno.remove(`${folder}/bin/deno`);
      const printed = await run(block("console", "npx -y deno@2.9.6 run"));
      assertMatch(printed, /^# tracer: function_graph\n/m);
      assertMatch(printed, / 0\) .* tiny_main\(\) \{\n/);
    }),
});

Deno.test({
  name: "README.md's scripts for batch systems make a campaign whose parts are merged to the whole",
  ignore: !LONG,
  fn: (t) =>
    withCheckout(async ({ folder, run }) => {
      // Exit code 1 is what a campaign ends with that has found something.
      const whole = await run("deno run -A trace.ts fail --each --at malloc ./prog", {}, [0, 1]);
      const script = block("bash", "#SBATCH");
      const [, merge] = /^# when all have ended: +(.*)$/m.exec(script)!;
      const array = /^#SBATCH --array=1-(\d+) --cpus-per-task=(\d+)$/m.exec(script)!;
      assertEquals(Number(array[1]), SHARDS);
      await t.step("SLURM", async () => {
        for (let task = 1; task <= SHARDS; task++) {
          const env = { SLURM_ARRAY_TASK_ID: `${task}`, SLURM_CPUS_PER_TASK: array[2]! };
          await run(script, env, [0, 1]);
        }
        assertEquals(await run(merge!, {}, [0, 1]), whole);
      });
      await t.step("Kubernetes", async () => {
        const job = block("yaml", "kind: Job");
        const number = (key: string) => Number(RegExp(`^  ${key}: (\\d+)$`, "m").exec(job)![1]);
        assertEquals([number("completions"), number("parallelism")], [SHARDS, SHARDS]);
        const [, command] = /^ +args:\n +- \|\n([^]*?)(?=^ +volumeMounts:)/m.exec(job)!;
        // The volume is mounted where the pod has it.
        const volume = `${folder}/volume`;
        await Deno.mkdir(volume);
        for (let index = 0; index < SHARDS; index++) {
          const env = { JOB_COMPLETION_INDEX: `${index}` };
          await run(command!.replaceAll('"/results/', `"${volume}/`), env);
        }
        assertEquals(await run(merge!.replace("results.*", `${volume}/*`), {}, [0, 1]), whole);
      });
    }),
});

Deno.test({
  name: "README.md's campaigns find no disagreement (needs qemu-user, qemu-system-misc)",
  ignore: !LONG || noQemu,
  async fn(t) {
    assertEquals(CAMPAIGNS.length, 5);
    for (const command of CAMPAIGNS) {
      await t.step(`deno ${command}`, async () => {
        const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
          args: [...command.split(" "), "--count", "2000"],
          cwd: ROOT,
        }).output();
        assertEquals(code, 0, decoder.decode(stdout) + decoder.decode(stderr));
      });
    }
  },
});
