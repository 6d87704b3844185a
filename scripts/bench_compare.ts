/**
 * `deno task bench:compare COMMIT`: did the engine become slower since then?
 *
 * Ten workloads run on both commits, each run in a process of its own and the two interleaved,
 * because a shared machine changes its speed from minute to minute. The programs are this tree's, so
 * both commits run the same instructions.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { geometricMean, median } from "./bench/measure.ts";
import { WORKLOADS } from "./fixture_programs.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const PROGRAM = `${ROOT}tests/fixtures/elf/workloads_p84`;
const HELP = `Compares the speed of two commits on ten workloads.

  deno task bench:compare COMMIT [COMMIT] [--rounds N] [--calls N]

  COMMIT       before, and after (the work tree unless given)
  --rounds N   interleaved runs of each (5)
  --calls N    rounds that each workload makes (1500)
`;
const encoder = new TextEncoder();
const out = (line: string) => void Deno.stdout.writeSync(encoder.encode(`${line}\n`));

async function git(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command("git", { args: ["-C", ROOT, ...args] })
    .output();
  if (code !== 0) throw new Error(new TextDecoder().decode(stderr).trim());
  return new TextDecoder().decode(stdout).trim();
}

/** Seconds that one workload takes with the package in `tree`, and its instructions. */
async function measure(tree: string, name: string, rounds: number): Promise<[number, number]> {
  const script = `
    import { createMachine } from "${tree}/mod.ts";
    const machine = createMachine(await Deno.readFile("${PROGRAM}"), {
      args: ["${name}", "${rounds}"],
      stdout() {},
    });
    const started = performance.now();
    await machine.run();
    console.log((performance.now() - started) / 1000, String(machine.harts[0].instret));
  `;
  const file = await Deno.makeTempFile({ dir: tree, prefix: ".bench_", suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, script);
    const command = new Deno.Command(Deno.execPath(), { args: ["run", "-A", "--no-check", file] });
    const { code, stdout, stderr } = await command.output();
    if (code !== 0) throw new Error(new TextDecoder().decode(stderr));
    const [seconds, instret] = new TextDecoder().decode(stdout).trim().split(" ").map(Number);
    return [seconds!, instret!];
  } finally {
    await Deno.remove(file);
  }
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseArgs([...args], {
    string: ["rounds", "calls"],
    boolean: ["help"],
    default: { rounds: "5", calls: "1500" },
  });
  const [before, after] = options._.map(String);
  if (options.help || before === undefined) {
    out(HELP);
    return options.help ? 0 : 125;
  }
  const rounds = Number(options.rounds);
  const folder = await Deno.makeTempDir({ prefix: "hartrace_bench_" });
  const trees: string[] = [];
  try {
    for (const commit of [before, after]) {
      if (commit === undefined) {
        trees.push(ROOT);
        continue;
      }
      const tree = `${folder}/${trees.length}`;
      await git("worktree", "add", "--detach", tree, commit);
      trees.push(tree);
    }
    out(`${before} and ${after ?? "the work tree"}, medians of ${rounds} interleaved runs`);
    const ratios: number[] = [];
    for (const name of WORKLOADS) {
      const times: [number[], number[]] = [[], []];
      let instructions = 0;
      for (let round = 0; round < rounds; round++) {
        for (const k of [0, 1] as const) {
          const [seconds, instret] = await measure(trees[k]!, name, Number(options.calls));
          times[k].push(seconds);
          instructions = instret;
        }
      }
      const [old, now] = times.map(median) as [number, number];
      ratios.push(now / old);
      const speed = (seconds: number) => (instructions / seconds / 1e6).toFixed(0).padStart(5);
      out(`${name.padEnd(10)} ${speed(old)} ${speed(now)} M instr/s   ${(now / old).toFixed(3)}`);
    }
    out(`geometric mean of the times' ratios ${geometricMean(ratios).toFixed(3)}`);
    return 0;
  } finally {
    for (const tree of trees) if (tree !== ROOT) await git("worktree", "remove", "--force", tree);
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
