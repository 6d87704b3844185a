/**
 * A run under tracers, which prints what they recorded.
 *
 * The order matters: everything that can be wrong with the call is found before the guest executes
 * its first instruction, and the trace is printed however the guest ends.
 *
 * @module
 */
import {
  createFtrace,
  createMachine,
  type Ftrace,
  type FtraceOptions,
  type Machine,
  type TracerHandle,
} from "../../mod.ts";
import { dumpText, symbolizerOf } from "../output/mod.ts";
import { type EraName, splitNames, type TraceClockName, updateSet } from "../ftrace/mod.ts";
import { type CliHost, say } from "./host.ts";
import { type LoadedTracer, type LoadedTracers, loadTracers, NOP } from "./load_tracer.ts";
import type { CommandContext } from "./command_context.ts";
import { hostHint, writeSignature } from "./firmware.ts";
import { machineOptions } from "./machine_options.ts";
import { runGuest, sayMisplaced, sayStart } from "./plain_run.ts";
import { type CliArguments, numberOf } from "./arguments.ts";
import { CLI_OPTIONS } from "./options.ts";
import { type Ending, endingOf, placeText } from "./outcome.ts";
import { StopRequests } from "./stop_requests.ts";
import { noSitesMessage, type Program } from "./program.ts";
import { argsNotes, declarePrototypes } from "./prototypes.ts";
import { engineNotes } from "./engine_options.ts";
import type { EngineReport } from "./engine_report.ts";
import { createProgress } from "./progress.ts";
import type { SharedStdout } from "./shared_stdout.ts";
import type { TraceDestination } from "./trace_destination.ts";
import { setTraceOptions, TraceWriter } from "./trace_output.ts";

/** Runs a program under its tracers, and prints what there is of them; gives how it ended. */
export async function runTraced(
  context: CommandContext,
  program: Program,
  destination: TraceDestination,
  stdout: SharedStdout,
): Promise<Ending> {
  const { host, args } = context;
  const limit = numberOf(args.values, "limit-insns", 1);
  const quiet = args.switches.has("quiet");
  const writes = args.lists["tracefs"] ?? [];
  const control = writes.length > 0 ? await import("./tracefs_option.ts") : undefined;
  const selects = control?.selectsTracer(writes);
  let tracers = await requestTracers(context, selects ? "selectable" : "running");
  const report = args.switches.has("engine-stats") || args.lists["dump-wat"]!.length > 0
    ? new (await import("./engine_report.ts")).EngineReport(args)
    : undefined;
  const { machine, ftrace } = createTraced(context, program, stdout, () => tracers, report);
  if (!canTrace(ftrace, tracers, args)) {
    const { length } = machine.sites;
    if (asksForTrace(args)) throw new TypeError(noSitesMessage(program, length, "refused"));
    if (!quiet) say(host, noSitesMessage(program, length, "untraced"));
    tracers = await untraced(context);
  }
  await configure(context, ftrace, tracers);
  const started = await startTracers(ftrace, control ? tracers.plugins : tracers.all);
  await using tracefs = control && await control.openTracefs(context, ftrace, tracers);
  const own = tracers.current.prints ??
    tracers.all.find(({ tracer }) => tracer.prints !== undefined)?.tracer.prints;
  // With tracer nop there may be events that a control file has enabled.
  const prints = () =>
    tracefs ? tracefs.state.prints ?? (hasEvents(ftrace) ? "nop" : undefined) : own;
  const streams = tracefs !== undefined || own !== undefined;
  const writer = new TraceWriter(ftrace, destination, prints, streams);
  report?.begin(host, machine);
  using stops = new StopRequests(host, machine, () => writer.missing);
  const outcome = await stops.run(() =>
    runGuest(machine, limit, stdout, createProgress(host, ftrace), async () => {
      stdout.flush();
      await writer.flow(host.now());
      if (!destination.open) machine.requestStop();
    })
  );
  stdout.guestEnded();
  const sayEngine = report?.end(host, machine);
  const stats = args.switches.has("stats") ? await import("./stats.ts") : undefined;
  const statistics = stats?.collectStatistics(ftrace);
  await writer.finish();
  await stopTracers(host, started);
  stdout.flush();
  writeSignature(machine, args.values["signature"]);
  if (stats && statistics) say(host, await stats.statisticsText(statistics));
  sayEngine?.();
  const { symbol } = symbolizerOf(ftrace);
  const place = (address: bigint, isReturn?: boolean) => placeText(symbol, address, isReturn);
  stops.rethrow();
  const { signal } = stops, hint = hostHint(machine);
  return endingOf(outcome, { program: program.name, limit, quiet, place, signal, hint });
}

/** The machine with its program, and ftrace on it, as the command line wants them. */
function createTraced(
  context: CommandContext,
  program: Program,
  stdout: SharedStdout,
  tracers: () => LoadedTracers,
  report: EngineReport | undefined,
): { readonly machine: Machine; readonly ftrace: Ftrace } {
  const { host, args } = context;
  const machine: Machine = createMachine(program.elf, {
    ...machineOptions(context, program, stdout, () => machine),
    ...report?.options(),
  });
  const ftrace = createFtrace(machine, {
    ...ftraceOptions(args),
    print: (text) => stdout.line(text),
    report(line) {
      stdout.flush();
      say(host, line);
    },
    note(line) {
      if (!args.switches.has("quiet")) say(host, line);
    },
    dump: (ftrace, hart) => dump(host, ftrace, tracers().current.name, hart),
  });
  return { machine, ftrace };
}

/** Puts options, clock, prototypes, filters and patches of the command line in force. */
async function configure(
  context: CommandContext,
  ftrace: Ftrace,
  tracers: LoadedTracers,
): Promise<void> {
  const { host, args } = context;
  const { values, lists } = args;
  const quiet = args.switches.has("quiet");
  const idle = setTraceOptions(ftrace, lists["option"] ?? []);
  if (values["clock"] !== undefined) ftrace.traceClock = values["clock"] as TraceClockName;
  const skipped = declarePrototypes(
    ftrace,
    lists["prototypes"] ?? [],
    args.switches.has("verbose"),
  );
  if (!quiet && skipped.length > 0) say(host, skipped.join("\n"));
  ftrace.tracingThresh = numberOf(values, "tracing-thresh") ?? 0;
  applyFilters(ftrace, args);
  const patches = lists["livepatch"] ?? [];
  const patched = patches.length > 0
    ? (await import("./livepatch.ts")).enableLivepatches(ftrace, patches)
    : [];
  if (!quiet && patched.length > 0) say(host, patched.join("\n"));
  if (!quiet) {
    sayNotes(context, ftrace, tracers, [
      ...idle.map(idleText),
      ...engineNotes(args),
      ...argsNotes(ftrace),
    ]);
  }
}

/** Prints the buffer on the console, which is stderr. */
export function dump(host: CliHost, ftrace: Ftrace, tracer: string, hart?: number): void {
  say(host, [...dumpText(ftrace, tracer, hart)].join("").trimEnd());
}

/** Whether anything is in the trace, or has gone into its file. */
function hasEvents({ buffer, machine }: Ftrace): boolean {
  return machine.harts.some(({ id }) => {
    const { entries, read } = buffer.statistics(id);
    return entries > 0 || read > 0;
  });
}

/** Loads the tracers that the command line names; with `"selectable"` any may be started later. */
export async function requestTracers(
  { builtIn, args }: CommandContext,
  how: "running" | "selectable" = "running",
): Promise<LoadedTracers> {
  return await loadTracers({
    selectable: how === "selectable",
    builtIn: await builtIn(),
    name: args.values["tracer"],
    plugins: args.lists["plugin"] ?? [],
    settings: args.lists["set"] ?? [],
  });
}

/** `--virtual` as ftrace takes it. */
const VIRTUAL: Readonly<Record<string, boolean | "auto">> = { auto: "auto", all: true, off: false };

/** The part of ftrace's options that a command line decides. */
export function ftraceOptions({ values, switches, lists }: CliArguments): {
  readonly era: EraName | "auto";
  readonly strict: boolean;
  readonly virtual: boolean | "auto";
  readonly trampoline: "guest" | "fast";
  readonly returns: FtraceOptions["returns"];
  readonly graphStack: "kernel" | "unlimited" | undefined;
  readonly poison: readonly string[];
  readonly bufferKib: number;
  readonly bufferMode: "drain" | "drop" | "overwrite";
} {
  const overwrite = (lists["option"] ?? []).findLast((text) => /^(no)?overwrite$/.test(text));
  return {
    era: (values["era"] ?? "auto") as EraName | "auto",
    strict: switches.has("strict"),
    virtual: VIRTUAL[values["virtual"] ?? "auto"]!,
    trampoline: values["trampoline"] === "guest" ? "guest" : "fast",
    returns: values["returns"] as FtraceOptions["returns"],
    graphStack: values["graph-stack"] as "kernel" | "unlimited" | undefined,
    poison: lists["poison"] ?? [],
    bufferKib: numberOf(values, "buffer-size", 1) ?? 1408,
    bufferMode: values["output"] !== undefined
      ? "drain"
      : overwrite === "nooverwrite"
      ? "drop"
      : "overwrite",
  };
}

/** Built-in tracers that have something to do in a program without call sites. */
const WORK_WITHOUT_SITES: readonly string[] = ["nop", "kprobe"];

/** Whether the tracer at hand has anything to trace. */
function canTrace(
  { records, machine }: Ftrace,
  { current, all }: LoadedTracers,
  { switches, values, lists }: CliArguments,
): boolean {
  const places = lists["set"]!.flatMap((text) => {
    const [, names = ""] = /^\w+\.at=(.*)$/.exec(text) ?? [];
    return splitNames(names, ",");
  });
  const named = [...lists["function"]!, ...lists["graph-function"]!, ...places];
  // Functions that are named need no call site.
  const isThere = named.some((name) => machine.symbols.called(name).length > 0);
  if (isThere && !switches.has("strict") && values["virtual"] !== "off") return true;
  const usable = records.some(({ kind }) => kind !== "disabled");
  const withPlugin = all.some(({ source }) => source !== "built in");
  if (usable || withPlugin || WORK_WITHOUT_SITES.includes(current.name)) return true;
  return switches.has("strict") && records.some(({ reason }) => reason === "misaligned");
}

/** Whether the command line is about a trace, and not just a program to run. */
function asksForTrace({ values, lists, switches }: CliArguments): boolean {
  return CLI_OPTIONS.some(({ name, group }) =>
    (group === "What is traced" || group === "The trace") &&
    (values[name] !== undefined || switches.has(name) || (lists[name] ?? []).length > 0)
  );
}

/** Runs the program as with `-p nop`. */
async function untraced({ builtIn }: CommandContext): Promise<LoadedTracers> {
  return await loadTracers({ builtIn: await builtIn(), name: NOP.name, plugins: [], settings: [] });
}

/** Puts `-l`, `-n`, `-g` and `--max-graph-depth` in force. */
export function applyFilters(ftrace: Ftrace, { values, lists }: CliArguments): void {
  ftrace.setFtraceFilter(lists["function"] ?? []);
  ftrace.setFtraceNotrace(lists["notrace"] ?? []);
  updateSet(ftrace.graph.graphHash.filter, lists["graph-function"] ?? [], ftrace.records);
  ftrace.graph.maxDepth = numberOf(values, "max-graph-depth") ?? 0;
}

function idleText(name: string): string {
  return `trace option ${name}; it is taken, but changes nothing here`;
}

/** Says once what was chosen for the user, and what of the call has no effect. */
function sayNotes(
  { host, args }: CommandContext,
  { era, eraReason, records, strict, machine }: Ftrace,
  { current }: LoadedTracers,
  notes: readonly string[],
): void {
  sayStart(host, machine);
  if (current.name !== "nop" && records.length > 0) {
    if ((args.values["era"] ?? "auto") === "auto") say(host, `era ${era.name}: ${eraReason}`);
    const served = records.filter(({ reason }) => reason === "misaligned").length;
    if (served > 0) {
      const how = strict ? "refused (EINVAL), as by that kernel" : "served as virtual sites";
      say(host, `era ${era.name} cannot switch ${served} misaligned sites; they are ${how}`);
    }
  }
  sayMisplaced(host, args);
  for (const line of notes) say(host, line);
  const overlooked = args.lists["graph-function"]!.length > 0 ||
    args.values["max-graph-depth"] !== undefined;
  if (overlooked && current.name !== "function_graph") {
    say(
      host,
      `-g and --max-graph-depth are for function_graph; ${current.name} has no use for them`,
    );
  }
}

/** A tracer that traces, and how it is ended. */
export interface StartedTracer {
  readonly name: string;
  readonly handle: TracerHandle;
}

/** Starts tracers in order. @throws {TypeError} If one cannot. */
export async function startTracers(
  ftrace: Ftrace,
  tracers: readonly LoadedTracer[],
): Promise<readonly StartedTracer[]> {
  const started: StartedTracer[] = [];
  for (const { tracer, options } of tracers) {
    try {
      started.push({ name: tracer.name, handle: await tracer.init(ftrace, options) });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new TypeError(`Cannot start ${tracer.name}: ${reason}`, { cause: error });
    }
  }
  return started;
}

/** Ends tracers, the last first; one that fails does not keep the others. */
export async function stopTracers(host: CliHost, started: readonly StartedTracer[]): Promise<void> {
  for (const { name, handle } of [...started].reverse()) {
    try {
      if (!handle) continue;
      if (Symbol.asyncDispose in handle) await handle[Symbol.asyncDispose]();
      else handle[Symbol.dispose]();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      say(host, `[${name}] Cannot end it: ${reason}`);
    }
  }
}
