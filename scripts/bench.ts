/**
 * `deno task bench`: how fast it is, beside QEMU in the same run.
 *
 * Runs are interleaved (ours, QEMU's, ours, …) and medians are printed, because a shared machine
 * changes its speed from minute to minute; the machine and the versions stand above the figures.
 * The tables are on stdout, what is measured now on stderr.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { DEFAULT_ENGINE, ENGINE_NAMES, type EngineName } from "../lib/engine/mod.ts";
import { growthTables } from "./bench/growth_tables.ts";
import { lengthsTable } from "./bench/lengths_table.ts";
import { out, textOf } from "./bench/measure.ts";
import { type Measurement, speedTable } from "./bench/speed_table.ts";
import { startupTable } from "./bench/startup_table.ts";
import { tracingTable } from "./bench/tracing_tables.ts";
import { BENCH_WORKLOADS, type Workload } from "./bench/workloads.ts";

/** The tables, in the order in which they are printed. */
const TABLES = ["speed", "tracing", "startup", "lengths", "growth"] as const;
type Table = typeof TABLES[number];
/** Those that are printed when none is named. */
const USUAL: readonly Table[] = ["speed", "tracing", "startup"];

const NAMES = [...new Set(BENCH_WORKLOADS.map(({ name }) => name))];
const HELP = `Measures speed, beside QEMU where it is installed.

  deno task bench [TABLE…] [options]

  speed     each workload on an engine and on QEMU; about 8 minutes, --only and --rounds take less
  tracing   what an event, a tracer, a hart and a switched site cost; 1 minute
  startup   from the start of a process to the first output and to the end; seconds
  lengths   whole processes by the length of the run, 10^6 to 10^10 instructions; an hour for all
  growth    more functions, more memory, more hooks; 2 minutes
  all       all of them; ${USUAL.join(", ")} unless a table is named

  --engine NAME      whose speed: ${ENGINE_NAMES.join(", ")} (${DEFAULT_ENGINE})
  --only NAME,NAME   these workloads: ${NAMES.join(", ")};
                     or a kind of them, linux, firmware, sv39, or both: queens,sv39
  --rounds N         interleaved runs of each (5)
  --instructions N   length of a long run in speed, about (1e9)
  --longest N        longest run in lengths (1e10)
`;

interface Settings {
  readonly tables: readonly Table[];
  readonly engine: EngineName;
  readonly workloads: readonly Workload[];
  readonly rounds: number;
  readonly instructions: number;
  readonly longest: number;
}

/** The workloads that `--only` names, by name, kind or both; all without it. */
export function chooseWorkloads(only: string | undefined): readonly Workload[] {
  if (only === undefined) return BENCH_WORKLOADS;
  const names = only.split(",");
  const kinds = new Set(BENCH_WORKLOADS.map(({ kind }) => kind as string));
  const unknown = names.find((name) => !NAMES.includes(name) && !kinds.has(name));
  if (unknown !== undefined) throw new TypeError(`Cannot measure ${unknown}: no such workload`);
  const chosenKinds = names.filter((name) => kinds.has(name));
  const chosenNames = names.filter((name) => !kinds.has(name));
  const chosen = BENCH_WORKLOADS.filter(({ name, kind }) =>
    (chosenKinds.length === 0 || chosenKinds.includes(kind)) &&
    (chosenNames.length === 0 || chosenNames.includes(name))
  );
  if (chosen.length === 0) throw new TypeError(`Cannot measure ${only}: none is of that kind`);
  return chosen;
}

/** @throws {TypeError} "Cannot measure …" where something does not exist. */
function readSettings(options: Readonly<Record<string, unknown>>): Settings {
  const names = (options._ as (string | number)[]).map(String);
  const tables = names.includes("all") ? TABLES : names.length === 0 ? USUAL : names as Table[];
  const table = tables.find((name) => !TABLES.includes(name));
  if (table !== undefined) throw new TypeError(`Cannot measure ${table}: no such table`);
  const engine = options.engine as EngineName;
  if (!ENGINE_NAMES.includes(engine)) {
    throw new TypeError(`Cannot measure ${engine}: the engines are ${ENGINE_NAMES.join(", ")}`);
  }
  const number = (name: string, least: number) => {
    const value = Number(options[name]);
    if (!(value >= least)) throw new TypeError(`Cannot measure with --${name} ${options[name]}`);
    return Math.floor(value);
  };
  return {
    tables,
    engine,
    workloads: chooseWorkloads(options.only as string | undefined),
    rounds: number("rounds", 1),
    instructions: number("instructions", 1),
    longest: number("longest", 1e6),
  };
}

/** Prints where and with what everything is measured; gives which QEMU there is. */
async function printMachine(): Promise<Measurement["qemu"]> {
  const model = await textOf("sh", "-c", "grep -m1 'model name' /proc/cpuinfo | cut -d: -f2");
  const { deno, v8 } = Deno.version;
  const user = await textOf("qemu-riscv64", "--version");
  const system = await textOf("qemu-system-riscv64", "--version");
  const root = new URL("..", import.meta.url).pathname;
  const commit = await textOf("git", "-C", root, "describe", "--always", "--dirty");
  out(
    `${model || "?"}, ${navigator.hardwareConcurrency} cores; Deno ${deno}, V8 ${v8}; hartrace ${
      commit || "?"
    }`,
  );
  out(user || "qemu-riscv64 is not installed: nothing to compare Linux programs with");
  out(system || "qemu-system-riscv64 is not installed: nothing to compare firmware with");
  return { user: user !== "", system: system !== "" };
}

async function main(args: readonly string[]): Promise<number> {
  const options = parseArgs([...args], {
    string: ["engine", "only", "rounds", "instructions", "longest"],
    boolean: ["help"],
    default: { engine: DEFAULT_ENGINE, rounds: "5", instructions: "1e9", longest: "1e10" },
    unknown(name) {
      if (name.startsWith("-")) throw new TypeError(`Cannot measure with ${name}: no such option`);
    },
  });
  if (options.help) {
    Deno.stdout.writeSync(new TextEncoder().encode(HELP));
    return 0;
  }
  const settings = readSettings(options);
  const { tables, longest, engine, rounds } = settings;
  const qemu = await printMachine();
  let same = true;
  for (const table of TABLES.filter((name) => tables.includes(name))) {
    out();
    if (table === "speed") same = await speedTable({ ...settings, qemu });
    if (table === "tracing") await tracingTable({ engine, rounds });
    if (table === "startup") await startupTable({ engine, rounds });
    if (table === "lengths") await lengthsTable({ ...settings, qemu }, longest);
    if (table === "growth") await growthTables(engine, rounds, qemu.user);
  }
  return same ? 0 : 1;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    Deno.stderr.writeSync(new TextEncoder().encode(`${error.message}\n`));
    Deno.exit(125);
  }
}
