/**
 * Calls the command line in this process, on a host that remembers what was printed.
 *
 * @module
 */
import type { CliHost, StopSignal } from "../../lib/cli/host.ts";
import { main } from "../../lib/cli/main.ts";
import { fromFileUrl, relative } from "@std/path";
import { builtInTracers } from "../../trace.ts";
import { programFile } from "../fixtures/expected.ts";
import { withFolder } from "../folder.ts";

/** What a call printed and gave. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Options of {@linkcode hartrace}. */
export interface CommandOptions {
  /** Presses Ctrl-C once so many bytes are printed. */
  readonly interruptAfter?: number;
  /** What is sent in place of that, one at each write from then on. */
  readonly signals?: readonly StopSignal[];
  /** Looks at what was printed when the process is ended at once. */
  readonly onExit?: (code: number, stderr: string) => unknown;
  /** Closes stdout when so many bytes have been written. */
  readonly closeAfter?: number;
  /** What is on stdin. */
  readonly stdin?: string;
  /** Whether stdout is a terminal. */
  readonly terminal?: boolean;
  /** Variables of the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Path of a fixture's ELF, the same wherever the repository lies: a guest sees it, and takes its time over it. */
export function fixture(name: string): string {
  return relative(Deno.cwd(), fromFileUrl(programFile(name)));
}

/** Does what `deno run -A trace.ts ARGS` does. */
export async function hartrace(
  args: readonly string[],
  {
    interruptAfter,
    signals = ["SIGINT"],
    onExit,
    closeAfter,
    stdin = "",
    terminal = false,
    env = {},
  }: CommandOptions = {},
): Promise<CommandResult> {
  const decoder = new TextDecoder();
  let stdout = "", stderr = "", written = 0;
  const listeners = new Set<(signal: StopSignal) => void>();
  const toSend = [...signals];
  let input = new TextEncoder().encode(stdin);
  const host: CliHost = {
    stdout(data) {
      written += data.length;
      if (closeAfter !== undefined && written > closeAfter) return false;
      stdout += decoder.decode(data);
      if (interruptAfter !== undefined && written >= interruptAfter) {
        const signal = listeners.size > 0 ? toSend.shift() : undefined;
        if (signal) { for (const listener of listeners) listener(signal); }
      }
      return true;
    },
    stderr: (data) => void (stderr += decoder.decode(data)),
    stdin(length) {
      const taken = input.subarray(0, length);
      input = input.slice(length);
      return Promise.resolve(taken);
    },
    stdoutIsTerminal: terminal,
    stderrIsTerminal: false,
    env: (name) => env[name],
    onInterrupt(listener) {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
    exit(code) {
      onExit?.(code, stderr);
      throw new Error(`exit(${code})`);
    },
    now: () => performance.now(),
  };
  const code = await main(args, builtInTracers, host);
  return { code, stdout, stderr };
}

/** Runs `deno run -A trace.ts ARGS` in a process of its own, and sends it a signal once its guest prints. */
export async function signalled(
  args: readonly string[],
  signal: Deno.Signal,
): Promise<CommandResult> {
  const trace = fromFileUrl(new URL("../../trace.ts", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", trace, ...args],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  reader.releaseLock();
  child.kill(signal);
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Writes a file for the time of a test and gives its path to `use`. */
export async function withFile(
  name: string,
  content: string | Uint8Array,
  use: (path: string) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const path = `${folder}/${name}`;
    if (typeof content === "string") await Deno.writeTextFile(path, content);
    else await Deno.writeFile(path, content);
    await use(path);
  });
}
