/**
 * Table `startup`: what starting and ending a process takes, on the command line and in a program of
 * one's own.
 *
 * The guests print in their first instructions, so their first output is when they have started.
 *
 * @module
 */
import { median, out, progress, ROOT, row, textOf, timed } from "./measure.ts";
import type { Setup } from "./tracing_tables.ts";

const ELF = `${ROOT}tests/fixtures/elf`;

/** Runs of the command line: what each is called, and its arguments. */
const RUNS: readonly (readonly [what: string, ...args: string[]])[] = [
  ["-p nop, Linux", "-p", "nop", `${ELF}/fib_p84`, "1"],
  ["-p nop, firmware", "-p", "nop", `${ELF}/fib_bare_p84`],
  ["-p function, Linux", "-p", "function", `${ELF}/fib_p84`, "1"],
  ["function_graph, Linux", `${ELF}/fib_p84`, "1"],
];

const WIDTHS = [36, 14, 16, 12];

/** Prints the times to the first instruction of a guest and to the end, and what memory is used. */
export async function startupTable({ engine, rounds }: Setup): Promise<void> {
  out(row(["milliseconds", "first output", "whole process", "processor"], WIDTHS));
  for (const [what, ...args] of RUNS) {
    progress(`startup: ${what}`);
    const command = ["run", "-A", "--no-check", `${ROOT}trace.ts`, "--engine", engine, ...args];
    const first: number[] = [], whole: number[] = [], processor: number[] = [];
    for (let round = 0; round < rounds; round++) {
      first.push(await firstOutput(command));
      const { wall, cpu } = await timed([Deno.execPath(), ...command]);
      whole.push(wall * 1000);
      processor.push(cpu * 1000);
    }
    progress("");
    const medians = [first, whole, processor].map((times) => median(times).toFixed(0));
    out(row([what, ...medians], WIDTHS));
  }
  await libraryRows(engine, rounds);
}

/** Milliseconds until a process of Deno's has printed something. */
async function firstOutput(args: readonly string[]): Promise<number> {
  const started = performance.now();
  const process = new Deno.Command(Deno.execPath(), {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let first: number | undefined;
  for await (const _ of process.stdout) first ??= performance.now() - started;
  await process.status;
  if (first === undefined) throw new Error(`Cannot time ${args.join(" ")}: it prints nothing`);
  return first;
}

/** What a program takes that imports `mod.ts` and makes a machine. */
async function libraryRows(engine: string, rounds: number): Promise<void> {
  const script = `
    const { createMachine } = await import("${ROOT}mod.ts");
    const bytes = await Deno.readFile("${ELF}/sample_p84");
    const machine = createMachine(bytes, { engine: "${engine}", stdout() {} });
    await machine.run({ limit: 1n });
    const first = Date.now();
    await machine.run();
    console.log(first, Deno.memoryUsage().rss);
  `;
  const times: number[] = [], memory: number[] = [];
  progress("startup: a program that imports mod.ts");
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(file, script);
  for (let round = 0; round < rounds; round++) {
    const started = Date.now();
    const [first, rss] = (await textOf(Deno.execPath(), "run", "-A", "--no-check", file)).split(
      " ",
    );
    times.push(Number(first) - started);
    memory.push(Number(rss) / 2 ** 20);
  }
  await Deno.remove(file);
  progress("");
  out(row(["importing mod.ts, first instruction", median(times).toFixed(0)], WIDTHS));
  out(`resident memory after a small program: ${median(memory).toFixed(0)} MiB`);
}
