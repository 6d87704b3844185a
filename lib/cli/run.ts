/**
 * `run`: executes PROGRAM and prints the trace.
 *
 * A run that traces nothing is `plain_run.ts`; what it takes to trace is loaded for any other
 * (`traced_run.ts`).
 *
 * @module
 */
import type { CommandContext } from "./command_context.ts";
import { say } from "./host.ts";
import type { Ending } from "./outcome.ts";
import { isPlain, runPlain } from "./plain_run.ts";
import { readProgram } from "./program.ts";
import { createSharedStdout } from "./shared_stdout.ts";
import { openTraceDestination } from "./trace_destination.ts";

/** Runs a program; gives the exit code. @throws {Error} For whatever is wrong with the call. */
export async function run(context: CommandContext): Promise<number> {
  const { host, args } = context;
  const program = await readProgram(args.rest[0], args);
  const destination = openTraceDestination(host, args.values["output"]);
  const stdout = createSharedStdout(host, destination, !destination.isFile);
  let ending: Ending | undefined;
  let failure: string | undefined;
  try {
    const runIt = isPlain(args) ? runPlain : (await import("./traced_run.ts")).runTraced;
    ending = await runIt(context, program, destination, stdout);
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

/** An error of ours: what was to be printed is lost, and it has been said. */
const OWN_FAILURE = 125;
/** 128 + SIGPIPE: nobody reads stdout any more. */
const BROKEN_PIPE = 141;

const HOW_TO_TRACE_YOUR_OWN = [
  "this was a sample; to trace your own program, compile and run it so:",
  "riscv64-linux-gnu-gcc -O2 -static -fpatchable-function-entry=8,4 -falign-functions=8 prog.c -o prog" +
  " && deno run -A trace.ts ./prog",
].join("\n");

/** How every refusal of ours begins, with the errno of the kernel's before it if it is one. */
const REFUSAL = /^(\[.+\] )?(E[A-Z0-9]+: )?Cannot [^]+?: /;

/** Whether `error` is a refusal, which its message explains fully, and no bug. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Error && REFUSAL.test(error.message);
}
