/**
 * Commands and files of the host's behind the shell's `!`, and the pager.
 *
 * @module
 */
import { join } from "node:path";
import type { Painter } from "./colors.ts";
import { type CliHost, print, printedBytes, say } from "./host.ts";

/** 126 + reason: a command that cannot be executed. */
const NOT_EXECUTED = 126;
/** 128 + SIGPIPE, which only says that the rest was not wanted. */
const BROKEN_PIPE = 141;

/** Runs a command with the host's `sh`; gives its exit code. `input` is what it reads, if not the terminal. */
export async function runHostCommand(
  host: CliHost,
  command: string,
  input?: Uint8Array,
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  // Ctrl-C is the command's.
  using _listening = host.onInterrupt(() => {});
  const output = host.childrenPrint ? "inherit" : "piped";
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command("/bin/sh", {
      args: ["-c", command],
      stdin: input ? "piped" : host.terminal ? "inherit" : "null",
      stdout: output,
      stderr: output,
      env,
    }).spawn();
  } catch (error) {
    const reason = error instanceof Deno.errors.NotCapable
      ? "Deno may not run commands; give deno --allow-run, or -A"
      : (error as Error).message;
    say(host, `Cannot run ${command}: ${reason}`);
    return NOT_EXECUTED;
  }
  const ends = [input ? feed(child.stdin, input) : undefined];
  if (output === "piped") {
    ends.push(drain(child.stdout, (data) => void host.stdout(data)));
    ends.push(drain(child.stderr, (data) => host.stderr(data)));
  }
  await Promise.all(ends);
  return (await child.status).code;
}

async function feed(stream: WritableStream<Uint8Array>, data: Uint8Array): Promise<void> {
  const writer = stream.getWriter();
  try {
    await writer.write(data);
    await writer.close();
  } catch {
    // Whoever reads has seen enough.
  }
}

async function drain(
  stream: ReadableStream<Uint8Array>,
  take: (data: Uint8Array) => void,
): Promise<void> {
  for await (const data of stream) take(data);
}

/** Writes a text to a file of the host's; gives why it cannot. */
export async function writeHostFile(
  path: string,
  text: string,
  append: boolean,
): Promise<string | undefined> {
  try {
    const home = path.startsWith("~/") ? Deno.env.get("HOME") : undefined;
    await Deno.writeTextFile(home ? join(home, path.slice(2)) : path, text, { append });
    return undefined;
  } catch (error) {
    const { NotFound, IsADirectory, PermissionDenied, NotCapable } = Deno.errors;
    if (error instanceof NotFound) return "No such file or directory";
    if (error instanceof IsADirectory) return "Is a directory";
    if (error instanceof PermissionDenied) return "Permission denied";
    if (error instanceof NotCapable) return "Deno may not write there; give deno -W, or -A";
    return (error as Error).message;
  }
}

/** Prints a text, through a pager if the screen is too small for it. */
export async function printPaged(host: CliHost, text: string, paint: Painter): Promise<void> {
  const pager = host.terminal && isLonger(text, host.terminal.size) ? pagerCommand() : undefined;
  if (pager === undefined) {
    print(host, text, paint);
    return;
  }
  const bytes = printedBytes(host, new TextEncoder().encode(text), paint);
  const status = await runHostCommand(host, pager.command, bytes, pager.env);
  // There is no such pager.
  if (status === 126 || status === 127) print(host, text, paint);
  else if (status !== 0 && status !== BROKEN_PIPE) {
    say(host, `the pager, ${pager.command}, has failed with ${status}`);
  }
}

/** Whether a text takes more rows than there are, one being for the prompt. */
function isLonger(text: string, { rows, columns }: { rows: number; columns: number }): boolean {
  let taken = 0;
  let start = 0;
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
    taken += Math.max(1, Math.ceil((end - start) / columns));
    start = end + 1;
    if (taken >= rows) return true;
  }
  return false;
}

/** `$PAGER`, or less; undefined if there is to be none. */
function pagerCommand():
  | { readonly command: string; readonly env: Readonly<Record<string, string>> }
  | undefined {
  const isGranted = (name: "env" | "run") =>
    Deno.permissions.querySync({ name }).state === "granted";
  if (!isGranted("env") || !isGranted("run")) return undefined;
  const command = Deno.env.get("PAGER") ?? "less";
  if (command === "" || command === "cat" || Deno.env.get("TERM") === "dumb") return undefined;
  // As git does: quit if it fits, let colours through, leave the text on the screen.
  return { command, env: Deno.env.get("LESS") === undefined ? { LESS: "FRX" } : {} };
}
