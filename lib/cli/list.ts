/**
 * `list`: what can be traced, and what there is to trace with.
 *
 * Every listing is a table of records; `--json` prints the records.
 *
 * @module
 */
import { hex } from "../isa/mod.ts";
import {
  createFtrace,
  createMachine,
  type DynFtrace,
  type Ftrace,
  type MachineOptions,
} from "../../mod.ts";
import {
  optionRange,
  optionValueText,
  siteWords,
  type TraceOption,
  traceOptionsOf,
} from "../ftrace/mod.ts";
import { paintTable, paintWhy } from "./colors.ts";
import { print, say } from "./host.ts";
import { registerRows } from "./list_registers.ts";
import { whyText } from "./list_why.ts";
import { allTracers } from "./load_tracer.ts";
import { memoryMapOf } from "./firmware.ts";
import { showsReadable } from "./arguments.ts";
import { readProgram } from "./program.ts";
import type { CommandContext } from "./command_context.ts";
import { ftraceOptions } from "./traced_run.ts";

/** A row of a listing: its columns by title. */
type Row = Readonly<Record<string, string>>;

const LISTINGS: Readonly<
  Record<string, (context: CommandContext, program: string | undefined) => Promise<readonly Row[]>>
> = {
  functions: listFunctions,
  sites: listSites,
  registers: listRegisters,
  plugins: listPlugins,
  options: listOptions,
};

/**
 * Prints one listing; gives the exit code.
 *
 * @throws {SyntaxError} If it is not named, or unknown.
 */
export async function list(context: CommandContext): Promise<number> {
  const { host, args } = context;
  const asked = args.lists["why"] ?? [];
  if (asked.length > 0 || args.rest[0] === "why") return await listWhy(context, asked);
  const [what, program, ...more] = args.rest;
  const listing = what === undefined ? undefined : LISTINGS[what];
  if (!listing) {
    throw new SyntaxError(
      `Cannot list ${what ?? "nothing"}: write list ${
        Object.keys(LISTINGS).join("|")
      } [PROGRAM], or list --why NAME [PROGRAM]`,
    );
  }
  if (more.length > 0) {
    throw new SyntaxError(`Cannot list ${what} of several programs: ${more.join(" ")} is too much`);
  }
  const rows = await listing(context, program);
  if (args.switches.has("json")) print(host, `${JSON.stringify(rows, null, 2)}\n`);
  else if (what === "functions") print(host, names(rows));
  else print(host, table(rows), paintTable);
  return 0;
}

/** `list --why NAME… PROGRAM`, or in one word less `list why NAME PROGRAM`. */
async function listWhy(context: CommandContext, asked: readonly string[]): Promise<number> {
  const { host, args } = context;
  const rest = args.rest[0] === "why" ? args.rest.slice(1) : args.rest;
  const names = asked.length > 0 ? asked : rest.slice(0, 1);
  const [program, ...more] = asked.length > 0 ? rest : rest.slice(1);
  if (names.length === 0 || more.length > 0) {
    throw new SyntaxError(
      "Cannot say why: write list --why NAME [PROGRAM], where NAME is a function, a glob, NAME+OFFSET or 0xADDRESS",
    );
  }
  const ftrace = await prepare(context, program);
  if (!args.switches.has("quiet")) say(host, `era ${ftrace.era.name}: ${ftrace.eraReason}`);
  const { text, missing } = whyText(ftrace, names, args.switches.has("json"));
  if (args.switches.has("json")) print(host, text);
  else print(host, text, paintWhy);
  return missing ? NOT_THERE : 0;
}

/** Exit code where something that was asked about is not in the program. */
const NOT_THERE = 1;

/** Names alone, one a line, as `available_filter_functions` has them: for grep and -l. */
function names(rows: readonly Row[]): string {
  return rows.map((row) => `${row["function"]}\n`).join("");
}

/** Columns as wide as their widest cell, the last as wide as it is. */
function table(rows: readonly Row[]): string {
  const titles = Object.keys(rows[0] ?? {});
  const width = (title: string) => Math.max(title.length, ...rows.map((row) => row[title]!.length));
  const widths = titles.map(width);
  const line = (cells: readonly string[]) =>
    cells.map((cell, k) => cell.padEnd(widths[k]!)).join("  ").trimEnd() + "\n";
  return [titles, ...rows.map((row) => titles.map((title) => row[title]!))].map(line).join("");
}

/** The program, set up as a run would have it, and not run. */
async function prepare(context: CommandContext, path: string | undefined): Promise<Ftrace> {
  const program = await readProgram(path, context.args);
  const machine = createMachine(program.elf, {
    name: program.name,
    machine: (context.args.values["machine"] ??
      (context.args.lists["load"]!.length > 0 ? "bare" : "auto")) as MachineOptions["machine"],
    memoryMap: memoryMapOf(context.args),
    demangle: showsReadable(context.args),
  });
  const ftrace = createFtrace(machine, ftraceOptions(context.args));
  ftrace.setFtraceFilter(context.args.lists["function"] ?? []);
  ftrace.setFtraceNotrace(context.args.lists["notrace"] ?? []);
  return ftrace;
}

/** The records that `-l` and `-n` leave. */
function chosenRecords({ records, globalHash }: Ftrace): readonly DynFtrace[] {
  const { filter, notrace } = globalHash;
  return records.filter(({ index }) =>
    (filter.size === 0 || filter.has(index)) && !notrace.has(index)
  );
}

async function listFunctions(
  context: CommandContext,
  path: string | undefined,
): Promise<readonly Row[]> {
  const ftrace = await prepare(context, path);
  return chosenRecords(ftrace).map((record) => ({
    address: hex(record.entry, 8),
    function: record.signature ?? record.name,
    kind: kindText(record),
  }));
}

async function listSites(
  context: CommandContext,
  path: string | undefined,
): Promise<readonly Row[]> {
  const ftrace = await prepare(context, path);
  const { era, eraReason, core } = ftrace;
  if (!context.args.switches.has("quiet")) say(context.host, `era ${era.name}: ${eraReason}`);
  return chosenRecords(ftrace).map((record) => {
    const words = record.kind === "patched"
      ? siteWords(era.scheme, record.entry, core.targetOf(record))
      : undefined;
    return {
      address: hex(record.ip, 8),
      symbol: record.name,
      era: era.name,
      kind: kindText(record),
      nops: `${record.before}+${record.after}`,
      off: wordsText(words?.off),
      on: wordsText(words?.on),
    };
  });
}

async function listRegisters(
  context: CommandContext,
  path: string | undefined,
): Promise<readonly Row[]> {
  const ftrace = await prepare(context, path);
  const { era, eraReason } = ftrace;
  if (!context.args.switches.has("quiet")) say(context.host, `era ${era.name}: ${eraReason}`);
  return registerRows(ftrace);
}

function kindText({ kind, reason }: DynFtrace): string {
  return reason === undefined ? kind : `${kind}: ${reason}`;
}

function wordsText(words: readonly number[] | undefined): string {
  return words?.map((word) => word.toString(16).padStart(8, "0")).join(" ") ?? "-";
}

async function listPlugins(context: CommandContext): Promise<readonly Row[]> {
  const { builtIn, args } = context;
  return (await allTracers(await builtIn(), args.lists["plugin"] ?? [])).map((
    { tracer, source },
  ) => ({
    name: tracer.name,
    from: source,
    description: tracer.description ?? "",
  }));
}

async function listOptions(
  context: CommandContext,
  path: string | undefined,
): Promise<readonly Row[]> {
  const { builtIn, args } = context;
  const rows: Row[] = [];
  const only = args.values["tracer"];
  const tracers = await allTracers(await builtIn(), args.lists["plugin"] ?? []);
  if (only !== undefined && !tracers.some(({ tracer }) => tracer.name === only)) {
    const names = tracers.map(({ tracer }) => tracer.name).join(", ");
    throw new RangeError(
      `Cannot list options of ${only}: there is no such tracer; there are ${names}`,
    );
  }
  for (const { tracer } of tracers) {
    if (only !== undefined && tracer.name !== only) continue;
    for (const [key, option] of Object.entries(tracer.options ?? {})) {
      const range = optionRange(option);
      rows.push({
        option: `--set ${tracer.name}.${key}`,
        default: optionValueText(option.default),
        of: tracer.name,
        description: option.description + (range === undefined ? "" : ` (${range})`),
      });
    }
  }
  const { era } = await prepare(context, path);
  for (const option of traceOptionsOf(era.release)) {
    if (only === undefined || option.tracer === only) {
      rows.push(traceOptionRow(option, era.release));
    }
  }
  return rows;
}

function traceOptionRow(option: TraceOption, release: string): Row {
  const idle = option.idle === undefined ? "" : ` (changes nothing here: ${option.idle})`;
  return {
    option: `-O ${option.name}`,
    default: option.default ? "on" : "off",
    of: option.tracer ?? `Linux ${release.split(/[.+-]/).slice(0, 2).join(".")}`,
    description: option.description + idle,
  };
}
