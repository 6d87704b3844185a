/**
 * A run that traces nothing: `-p nop` and no option about tracing, so that the guest has a machine
 * and nobody makes an ftrace on it.
 *
 * Traced runs (`traced_run.ts`) let the guest run and begin in the same words.
 *
 * @module
 */
import type { Machine, Outcome } from "../../mod.ts";
import { createMachine } from "../machine/machine.ts";
import { type CliArguments, misplacedOption, numberOf } from "./arguments.ts";
import type { CommandContext } from "./command_context.ts";
import { engineNotes } from "./engine_options.ts";
import { hostHint, writeSignature } from "./firmware.ts";
import { type CliHost, say } from "./host.ts";
import { machineOptions } from "./machine_options.ts";
import { CLI_OPTIONS, type OptionGroup } from "./options.ts";
import { type Ending, endingOf, placeText } from "./outcome.ts";
import type { Program } from "./program.ts";
import { progressText, StatusLine } from "./progress.ts";
import type { SharedStdout } from "./shared_stdout.ts";
import { StopRequests } from "./stop_requests.ts";
import type { TraceDestination } from "./trace_destination.ts";

/** Options that need no ftrace: those of these groups, and these others. */
const PLAIN_GROUPS: readonly OptionGroup[] = ["The guest", "Other"];
const PLAIN_OPTIONS: readonly string[] = ["tracer", "no-demangle", "engine", "jit-threshold"];

/** Whether the command line asks for nothing but to run the guest. */
export function isPlain({ values, switches, lists }: CliArguments): boolean {
  return values["tracer"] === "nop" &&
    CLI_OPTIONS.every(({ name, group }) =>
      PLAIN_GROUPS.includes(group) || PLAIN_OPTIONS.includes(name) ||
      (values[name] === undefined && !switches.has(name) && (lists[name] ?? []).length === 0)
    );
}

/** Runs a program that nobody traces; gives how it ended. */
export async function runPlain(
  context: CommandContext,
  program: Program,
  destination: TraceDestination,
  stdout: SharedStdout,
): Promise<Ending> {
  const { host, args } = context;
  const limit = numberOf(args.values, "limit-insns", 1);
  const quiet = args.switches.has("quiet");
  const machine: Machine = createMachine(
    program.elf,
    machineOptions(context, program, stdout, () => machine),
  );
  if (!quiet) {
    sayStart(host, machine);
    sayMisplaced(host, args);
    for (const line of engineNotes(args)) say(host, line);
  }
  using stops = new StopRequests(host, machine, () => 0);
  const progress = new StatusLine(host, (seconds) => progressText(seconds, machine));
  const outcome = await stops.run(() =>
    runGuest(machine, limit, stdout, progress, () => {
      stdout.flush();
      if (!destination.open) machine.requestStop();
    })
  );
  stdout.guestEnded();
  writeSignature(machine, args.values["signature"]);
  const place = (address: bigint, isReturn?: boolean) =>
    placeText((at) => machine.symbols.at(at)?.symbol, address, isReturn);
  stops.rethrow();
  const { signal } = stops, hint = hostHint(machine);
  return endingOf(outcome, { program: program.name, limit, quiet, place, signal, hint });
}

/** Where QEMU's virt board begins, whatever the ELF says. */
const RESET_VECTOR = 0x80000000n;

/** Says where firmware begins, if that is not where it would on QEMU's board. */
export function sayStart(host: CliHost, machine: Machine): void {
  const first = BigInt.asUintN(64, machine.harts[0]!.pc);
  if (machine.kind !== "bare" || first === RESET_VECTOR) return;
  const [entry, reset] = [first, RESET_VECTOR].map((at) => `0x${at.toString(16)}`);
  say(host, `begins at ${entry}; with -bios none QEMU's board begins at ${reset}`);
}

/** Says which option of ours stands where the guest's arguments are, if one does. */
export function sayMisplaced(host: CliHost, args: CliArguments): void {
  const misplaced = misplacedOption(args);
  if (misplaced === undefined) return;
  say(
    host,
    `${misplaced} stands behind PROGRAM and is the guest's; an option of hartrace's goes before it`,
  );
}

/** Runs the guest; the first Ctrl-C ends it, the second ends everything. */
export async function runGuest(
  machine: Machine,
  limit: number | undefined,
  stdout: SharedStdout,
  progress: StatusLine,
  slice: () => void | Promise<void>,
): Promise<Outcome> {
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
