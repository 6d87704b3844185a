/**
 * `run`: executes PROGRAM under its tracers and prints the trace.
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
  type MachineOptions,
  type Outcome,
  type Tracer,
  type TracerHandle,
} from "../../mod.ts";
import { dumpText, symbolizerOf } from "../output/mod.ts";
import type { EngineName } from "../engine/mod.ts";
import { type EraName, splitNames, type TraceClockName, updateSet } from "../ftrace/mod.ts";
import { type CliHost, say } from "./host.ts";
import { type LoadedTracer, type LoadedTracers, loadTracers, NOP } from "./load_tracer.ts";
import { environmentOf, namedFiles } from "./guest_view.ts";
import { hostHint, memoryMapOf, writeSignature } from "./firmware.ts";
import { type CliArguments, misplacedOption, numberOf, showsReadable } from "./arguments.ts";
import { CLI_OPTIONS } from "./options.ts";
import { type Ending, endingOf, placeText } from "./outcome.ts";
import { StopRequests } from "./stop_requests.ts";
import { noSitesMessage, type Program, readProgram } from "./program.ts";
import { argsNotes, declarePrototypes } from "./prototypes.ts";
import { engineNotes, engineOptions } from "./engine_options.ts";
import type { EngineReport } from "./engine_report.ts";
import { createProgress } from "./progress.ts";
import { createSharedStdout, type SharedStdout } from "./shared_stdout.ts";
import {
  openTraceDestination,
  setTraceOptions,
  type TraceDestination,
  TraceWriter,
} from "./trace_output.ts";

/** The host, tracers and options that a command works with. */
export interface CommandContext {
  /** The host's input, output and process. */
  readonly host: CliHost;
  /** The tracers that need not be loaded. */
  readonly builtIn: readonly Tracer[];
  /** The parsed command line. */
  readonly args: CliArguments;
}

/** Runs a program; gives the exit code. @throws {Error} For whatever is wrong with the call. */
export async function run(context: CommandContext): Promise<number> {
  const { host, args } = context;
  const program = await readProgram(args.rest[0], args);
  const destination = openTraceDestination(host, args.values["output"]);
  const stdout = createSharedStdout(host, destination, !destination.isFile);
  let ending: Ending | undefined;
  let failure: string | undefined;
  try {
    ending = await runTraced(context, program, destination, stdout);
  } finally {
    stdout.guestEnded();
    failure = destination.close();
    if (failure !== undefined) say(host, failure);
  }
  if (program.isSample && !args.switches.has("quiet")) say(host, HOW_TO_TRACE_YOUR_OWN);
  if (failure !== undefined) return OWN_FAILURE;
  const nobodyReads = !destination.open && host.stdoutFailure === undefined;
  if (ending.lines.length > 0 && !nobodyReads) say(host, ending.lines.join("\n"));
  if (host.stdoutFailure !== undefined) {
    say(host, `Cannot write to stdout: ${host.stdoutFailure}; the guest was stopped there`);
    return OWN_FAILURE;
  }
  return destination.open ? ending.code : BROKEN_PIPE;
}

/** Runs a program under its tracers, and prints what there is of them; gives how it ended. */
async function runTraced(
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
    runGuest(host, ftrace, limit, stdout, async () => {
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

/** An error of ours: what was to be printed is lost, and it has been said. */
const OWN_FAILURE = 125;
/** 128 + SIGPIPE: nobody reads stdout any more. */
const BROKEN_PIPE = 141;

const HOW_TO_TRACE_YOUR_OWN = [
  "this was a sample; to trace your own program, compile and run it so:",
  "riscv64-linux-gnu-gcc -O2 -static -fpatchable-function-entry=8,4 -falign-functions=8 prog.c -o prog" +
  " && deno run -A trace.ts ./prog",
].join("\n");

/** Whether anything is in the trace, or has gone into its file. */
function hasEvents({ buffer, machine }: Ftrace): boolean {
  return machine.harts.some(({ id }) => {
    const { entries, read } = buffer.statistics(id);
    return entries > 0 || read > 0;
  });
}

/** Loads the tracers that the command line names; with `"selectable"` any may be started later. */
export function requestTracers(
  { builtIn, args }: CommandContext,
  how: "running" | "selectable" = "running",
): Promise<LoadedTracers> {
  return loadTracers({
    selectable: how === "selectable",
    builtIn,
    name: args.values["tracer"],
    plugins: args.lists["plugin"] ?? [],
    settings: args.lists["set"] ?? [],
  });
}

/** `--semihosting` as the machine takes it. */
const SEMIHOSTING: Readonly<Record<string, MachineOptions["semihosting"]>> = {
  on: "privileged",
  user: "user",
};

/** The part of the machine's options that a command line decides. */
export function machineOptions(
  { host, args }: CommandContext,
  program: Program,
  stdout: Pick<SharedStdout, "guest">,
  machine: () => Machine,
): MachineOptions {
  const { values, switches, lists } = args;
  const named = namedFiles(args);
  if (switches.has("verbose")) {
    for (const path of named) {
      say(host, `the guest sees ${path}, read-only, because it is among its arguments`);
    }
  }
  return {
    name: program.name,
    args: args.rest.slice(1),
    env: environmentOf(args),
    allow: [...lists["allow"] ?? [], ...named],
    engine: values["engine"] as EngineName | undefined,
    machine: (values["machine"] ?? (lists["load"]!.length > 0 ? "bare" : "auto")) as MachineOptions[
      "machine"
    ],
    seed: BigInt(numberOf(values, "seed") ?? 0),
    harts: numberOf(values, "harts"),
    isa: values["isa"],
    memoryMap: memoryMapOf(args),
    ...engineOptions(args),
    semihosting: SEMIHOSTING[values["semihosting"] ?? ""],
    misaligned: values["misaligned"] === "trap" ? "trap" : "work",
    chargeTracing: switches.has("charge-tracing"),
    parkDisabled: switches.has("no-park"),
    demangle: showsReadable(args),
    ...(values["root"] !== undefined ? { root: values["root"] } : {}),
    stdout(data) {
      if (!stdout.guest(data)) machine().requestStop();
    },
    stderr: (data) => host.stderr(data),
    stdin: (length) => host.stdin(length),
    warn(line) {
      if (!switches.has("quiet")) say(host, line);
    },
  };
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

/** Where QEMU's virt board begins, whatever the ELF says. */
const RESET_VECTOR = 0x80000000n;

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
function untraced({ builtIn }: CommandContext): Promise<LoadedTracers> {
  return loadTracers({ builtIn, name: NOP.name, plugins: [], settings: [] });
}

/** Puts `-l`, `-n`, `-g` and `--max-graph-depth` in force. */
export function applyFilters(ftrace: Ftrace, { values, lists }: CliArguments): void {
  ftrace.setFtraceFilter(lists["function"] ?? []);
  ftrace.setFtraceNotrace(lists["notrace"] ?? []);
  updateSet(ftrace.graph.graphHash.filter, lists["graph-function"] ?? [], ftrace.records);
  ftrace.graph.maxDepth = numberOf(values, "max-graph-depth") ?? 0;
}

/** An option of ours that stands where the guest's arguments are. */
function sayMisplaced(host: CliHost, args: CliArguments): void {
  const misplaced = misplacedOption(args);
  if (misplaced === undefined) return;
  say(
    host,
    `${misplaced} stands behind PROGRAM and is the guest's; an option of hartrace's goes before it`,
  );
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
  const first = BigInt.asUintN(64, machine.harts[0]!.pc);
  if (machine.kind === "bare" && first !== RESET_VECTOR) {
    const [entry, reset] = [first, RESET_VECTOR].map((at) => `0x${at.toString(16)}`);
    say(
      host,
      `begins at ${entry}; with -bios none QEMU's board begins at ${reset}`,
    );
  }
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

/** Runs the guest; the first Ctrl-C ends it, the second ends everything. */
async function runGuest(
  host: CliHost,
  ftrace: Ftrace,
  limit: number | undefined,
  stdout: SharedStdout,
  slice: () => Promise<void>,
): Promise<Outcome> {
  const { machine } = ftrace;
  const progress = createProgress(host, ftrace);
  stdout.beforeWrite = () => progress.clear();
  try {
    return await machine.run({
      ...(limit !== undefined ? { limit: BigInt(limit) } : {}),
      async slice() {
        await slice();
        if (!stdout.inLine) progress.update();
      },
    });
  } finally {
    progress.clear();
  }
}

/** How every refusal of ours begins, with the errno of the kernel's before it if it is one. */
const REFUSAL = /^(\[.+\] )?(E[A-Z0-9]+: )?Cannot [^]+?: /;

/** Whether `error` is a refusal, which its message explains fully, and no bug. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Error && REFUSAL.test(error.message);
}
