/**
 * `shell`: a prompt at the control files of a guest that is stopped.
 *
 * Commands come from a terminal, or from whatever stdin is. Errors are printed as a shell prints
 * them, and a second line says why. The exit code is the last command's, as a shell's is.
 *
 * The language is `shell_words.ts`, what a line does `shell_interpreter.ts`, running the guest
 * `shell_guest.ts`, the files `lib/tracefs`.
 *
 * @module
 */
import { createFtrace, createMachine, type Ftrace, type Machine } from "../../mod.ts";
import { createTracefs } from "../tracefs/mod.ts";
import { type CliHost, print, say } from "./host.ts";
import { readProgram } from "./program.ts";
import {
  applyFilters,
  dump,
  ftraceOptions,
  requestTracers,
  startTracers,
  stopTracers,
} from "./traced_run.ts";
import type { CommandContext } from "./command_context.ts";
import { machineOptions } from "./machine_options.ts";
import { StoppedGuest } from "./shell_guest.ts";
import { ShellInterpreter } from "./shell_interpreter.ts";
import { createShellLines } from "./shell_lines.ts";
import { numberOf } from "./arguments.ts";
import { STOPS } from "./stop_requests.ts";
import { writeTracefs } from "./tracefs_option.ts";

const LINE_FEED = 10;

/** Runs the shell; gives the exit code. @throws {Error} For whatever is wrong with the call. */
export async function shell(context: CommandContext): Promise<number> {
  const { host, args } = context;
  const program = await readProgram(args.rest[0], args);
  const tracers = await requestTracers(context, "selectable");
  host.terminal ??= await host.openTerminal?.();
  const lines = createShellLines(host);
  let inLine = false;
  const stdout = {
    guest(data: Uint8Array) {
      inLine = data.length > 0 ? data.at(-1) !== LINE_FEED : inLine;
      return host.stdout(data);
    },
  };
  const machine: Machine = createMachine(program.elf, {
    ...machineOptions(context, program, stdout, () => machine),
    stdin: lines.forGuest,
    // Firmware that only looks for input must not take what is typed at the prompt.
    stdinWhen: "waiting",
  });
  const ftrace = createFtrace(machine, {
    ...ftraceOptions(args),
    print: (text) => void print(host, `${text}\n`),
    report: (line) => say(host, line),
    dump: (ftrace, hart) => dump(host, ftrace, tracefs.state.currentTracer, hart),
  });
  applyFilters(ftrace, args);
  const started = await startTracers(ftrace, tracers.plugins);
  await using tracefs = createTracefs(ftrace, {
    tracers: await context.builtIn(),
    tracerOptions: tracers.optionsOf,
  });
  for (const text of args.lists["option"] ?? []) await tracefs.write("trace_options", text);
  if (args.values["tracer"] !== undefined) {
    await tracefs.write("current_tracer", args.values["tracer"]);
  }
  await writeTracefs(tracefs, args.lists["tracefs"] ?? []);
  const guest = new StoppedGuest({
    host,
    ftrace,
    program: program.name,
    limit: numberOf(args.values, "limit-insns", 1),
    endLine() {
      const wasOpen = inLine;
      inLine = false;
      return wasOpen;
    },
  });
  using _listening = endAtSignals(host, guest);
  if (host.terminal && !args.switches.has("quiet")) say(host, greeting(ftrace, program.name));
  const session = new ShellInterpreter(host, tracefs, guest, lines);
  if (args.switches.has("no-pager")) session.usePager(false);
  const status = await session.runAll();
  await stopTracers(host, started);
  return status;
}

/** Ends the process at SIGTERM and SIGHUP, and at Ctrl-C where no person and no guest is to have it. */
function endAtSignals(host: CliHost, guest: StoppedGuest): Disposable {
  return host.onInterrupt((signal) => {
    if (signal === "SIGINT" && (host.terminal || guest.running)) return;
    host.terminal?.restore();
    host.exit(STOPS[signal].code);
  });
}

function greeting({ era, eraReason, records }: Ftrace, program: string): string {
  const sites = records.filter(({ kind }) => kind !== "disabled").length;
  return `${program} is stopped before its first instruction; ${sites} functions can be traced\n` +
    `era ${era.name} (${era.description}): ${eraReason}\n` +
    "help says what can be done here";
}
