/**
 * Tables `growth`: what time and memory do when a guest has more functions, touches more memory, or
 * has more hooks on it.
 *
 * The slope of a table is that of the logarithms, between its last two rows: 1 where twice as much
 * takes twice as long, 2 where something looks at everything for each.
 *
 * @module
 */
import type { EngineName } from "../../lib/engine/mod.ts";
import { manyFunctions, touchesMemory } from "./growth_guests.ts";
import type { GrowthRun } from "./growth_run.ts";
import { median, out, progress, ROOT, row, timed } from "./measure.ts";

const FUNCTIONS = [100, 1000, 10_000, 100_000];
const MEBIBYTES = [16, 64, 256, 1024, 2048, 3584, 4096];
const HOOKS = [0, 100, 1000, 10_000, 100_000];
/** How often the guest calls all of its functions. */
const CALLS = 20;

/** Calls of hooks from which on they take longer than chance makes a run. */
const ENOUGH = 100_000;

/** How fast `values` grow with `sizes` at the end: the slope of the logarithms of the last two. */
export function slope(sizes: readonly number[], values: readonly number[]): number {
  const grown = (each: readonly number[]) => Math.log(each.at(-1)! / each.at(-2)!);
  return grown(values) / grown(sizes);
}

/** A folder of made programs, and how they are run. */
class Guests {
  readonly #folder: string;
  readonly #engine: EngineName;
  readonly #rounds: number;

  constructor(folder: string, engine: EngineName, rounds: number) {
    this.#folder = folder;
    this.#engine = engine;
    this.#rounds = rounds;
  }

  /** Writes a program to a file. */
  async write(name: string, program: Uint8Array): Promise<string> {
    const file = `${this.#folder}/${name}`;
    await Deno.writeFile(file, program, { mode: 0o755 });
    return file;
  }

  /** Runs it here; medians of every figure. */
  async run(file: string, hooks = 0, functions = 0): Promise<GrowthRun> {
    const runs: GrowthRun[] = [];
    for (let round = 0; round < this.#rounds; round++) {
      const script = `${ROOT}scripts/bench/growth_run.ts`;
      const command = [Deno.execPath(), "run", "-A", script, file, this.#engine];
      const { stdout, code } = await timed([...command, `${hooks}`, `${functions}`]);
      if (code !== 0) throw new Error(`Cannot measure ${file}: its process ended with ${code}`);
      runs.push(JSON.parse(stdout));
    }
    const middle = (name: "make" | "set" | "run" | "resident") =>
      median(runs.map((run) => run[name]));
    const { hits, end } = runs[0]!;
    const [make, set, run, resident] = [
      ...[middle("make"), middle("set"), middle("run"), middle("resident")],
    ] as [number, number, number, number];
    return { make, set, run, resident, hits, end };
  }

  /** Milliseconds of processor time that qemu-riscv64 takes for it, or nothing without it. */
  async qemu(file: string, there: boolean): Promise<number | undefined> {
    if (!there) return undefined;
    const times: number[] = [];
    for (let round = 0; round < this.#rounds; round++) {
      times.push((await timed(["qemu-riscv64", file])).cpu * 1000);
    }
    return median(times);
  }
}

const ms = (value: number | undefined): string => value === undefined ? "-" : value.toFixed(1);
const mib = (value: number): string => value.toFixed(0);

/** Prints what the last two rows say of each column. */
function slopes(sizes: readonly number[], columns: Readonly<Record<string, readonly number[]>>) {
  if (sizes.length < 2) return;
  const said = Object.entries(columns).map(([name, values]) =>
    `${name} ${slope(sizes, values).toFixed(2)}`
  );
  out(`slope between the last two rows: ${said.join(", ")}`);
}

async function functionsTable(guests: Guests, qemu: boolean): Promise<void> {
  const widths = [12, 10, 10, 12, 14];
  out(`functions, each called ${CALLS} times`);
  out(row(["functions", "make", "run", "MiB", "QEMU"], widths));
  const make: number[] = [], run: number[] = [], resident: number[] = [];
  for (const count of FUNCTIONS) {
    progress(`growth: ${count} functions`);
    const file = await guests.write(`functions_${count}`, manyFunctions(count, count, CALLS));
    const ours = await guests.run(file);
    const theirs = await guests.qemu(file, qemu);
    progress("");
    make.push(ours.make), run.push(ours.run), resident.push(ours.resident);
    out(row([count, ms(ours.make), ms(ours.run), mib(ours.resident), ms(theirs)], widths));
  }
  slopes(FUNCTIONS, { make, run, MiB: resident });
}

async function memoryTable(guests: Guests, qemu: boolean): Promise<void> {
  const widths = [12, 10, 12, 14];
  out("memory, each page stored to and read once");
  out(row(["MiB touched", "run", "MiB", "QEMU"], widths));
  const sizes: number[] = [], run: number[] = [], resident: number[] = [];
  for (const size of MEBIBYTES) {
    const free = Deno.systemMemoryInfo().available / 2 ** 20;
    if (size > free / 2) {
      out(row([size, `left out: only ${mib(free)} MiB are free here`], [12, 0]));
      continue;
    }
    progress(`growth: ${size} MiB`);
    const file = await guests.write(`memory_${size}`, touchesMemory(size));
    const ours = await guests.run(file);
    const theirs = await guests.qemu(file, qemu);
    progress("");
    if (ours.end !== 0) {
      const what = ours.end === 1 ? "ENOMEM: not the guest's to have" : `ended with ${ours.end}`;
      out(row([size, what], [12, 0]) + `   QEMU ${ms(theirs)}`);
      continue;
    }
    sizes.push(size), run.push(ours.run), resident.push(ours.resident);
    out(row([size, ms(ours.run), mib(ours.resident), ms(theirs)], widths));
  }
  slopes(sizes, { run, MiB: resident });
}

async function hooksTable(guests: Guests): Promise<void> {
  const most = HOOKS.at(-1)!;
  const few = 100;
  const widths = [12, 10, 14, 14, 14, 12];
  out(
    `hooks at entries of ${most} functions, each called ${CALLS} times, or as many calls without hooks`,
  );
  out(row(["hooks", "set", "run past them", "run into them", "ns a call", "MiB"], widths));
  // As many calls, but of functions that have no hook unless all have one.
  const past = await guests.write("past", manyFunctions(most, few, most * CALLS / few));
  const into = await guests.write("into", manyFunctions(most, most, CALLS));
  const set: number[] = [], run: number[] = [], resident: number[] = [];
  let without = 0;
  for (const hooks of HOOKS) {
    progress(`growth: ${hooks} hooks`);
    const outside = await guests.run(past, Math.min(hooks, most - few), most);
    const inside = await guests.run(into, hooks, most);
    progress("");
    if (hooks === 0) without = inside.run;
    else set.push(inside.set), run.push(inside.run), resident.push(inside.resident);
    const each = inside.hits < ENOUGH
      ? "-"
      : ((inside.run - without) * 1e6 / inside.hits).toFixed(0);
    const cells = [ms(inside.set), ms(outside.run), ms(inside.run), each, mib(inside.resident)];
    out(row([hooks, ...cells], widths));
  }
  slopes(HOOKS.slice(1), { set, "run into them": run, MiB: resident });
}

/** Prints the three tables. */
export async function growthTables(
  engine: EngineName,
  rounds: number,
  qemu: boolean,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "hartrace_bench_" });
  try {
    const guests = new Guests(folder, engine, rounds);
    out(
      `growth: programs made for it, on ${engine}; milliseconds of processor time of all threads,`,
    );
    out(
      `medians of ${rounds} runs. Ours are without the start, QEMU's is the whole process. MiB are`,
    );
    out("resident at most in our process; make reads the file and its symbols");
    out();
    await functionsTable(guests, qemu);
    out();
    await memoryTable(guests, qemu);
    out();
    await hooksTable(guests);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
