/**
 * What the command line has of its host: three streams, Ctrl-C, and a clock.
 *
 * Commands get it as an argument, so that a test hands them its own.
 *
 * @module
 */
import { printable, printableBytes } from "./printable.ts";
import { type ColorMode, type Painter, paintNotes, wantsColors } from "./colors.ts";
import type { Terminal } from "./terminal.ts";

/** The surroundings of one call of the command line. */
export interface CliHost {
  /** Writes all of `data`; false if whoever read it is gone, or it cannot be written. */
  stdout(data: Uint8Array): boolean;
  /** Why stdout cannot be written, unless only its reader is gone. */
  readonly stdoutFailure?: string | undefined;
  /** Writes all of `data`. */
  stderr(data: Uint8Array): void;
  /** Up to `length` bytes of input; none at its end. */
  stdin(length: number): Promise<Uint8Array>;
  /** Asks a person for lines, once {@linkcode CliHost.openTerminal} has made it. */
  terminal?: Terminal | undefined;
  /** Makes what asks a person for lines, if stdin and stdout are a terminal. */
  openTerminal?(): Promise<Terminal | undefined>;
  /** Whether commands of the host's print where this process does; else what they print is read. */
  readonly childrenPrint?: boolean;
  /** Whether a person sees stdout as it comes. */
  readonly stdoutIsTerminal: boolean;
  /** Whether a person sees stderr as it comes. */
  readonly stderrIsTerminal: boolean;
  /** `--color`; `auto` until that is read. */
  color?: ColorMode;
  /** An environment variable, unless Deno may not tell. */
  env?(name: string): string | undefined;
  /** Calls `listener` at each Ctrl-C, SIGTERM or SIGHUP until disposed. */
  onInterrupt(listener: (signal: StopSignal) => void): Disposable;
  /** Ends the process at once. */
  exit(code: number): void;
  /** Milliseconds since some moment. */
  now(): number;
}

/** Signals that ask for an end: Ctrl-C, what `kill` and `timeout` send, and a terminal that is closed. */
export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP";
const STOP_SIGNALS: readonly StopSignal[] = ["SIGINT", "SIGTERM", "SIGHUP"];

/** Whether this process was started so that it lives on when its terminal is closed (`nohup`). */
function ignoresHangup(): boolean {
  try {
    const [, mask = "0"] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(
      Deno.readTextFileSync("/proc/self/status"),
    ) ?? [];
    return (BigInt(`0x${mask}`) & 1n) !== 0n;
  } catch {
    return false;
  }
}

/** The host that this process runs on. */
export function denoHost(): CliHost {
  let stdoutOpen = true;
  let stdoutFailure: string | undefined;
  const isLasting = Deno.build.os === "linux" && ignoresHangup();
  return {
    stdout(data) {
      try {
        if (stdoutOpen) stdoutOpen = writeAll(Deno.stdout, data);
      } catch (error) {
        stdoutOpen = false;
        stdoutFailure = error instanceof Error ? error.message : String(error);
      }
      return stdoutOpen;
    },
    get stdoutFailure() {
      return stdoutFailure;
    },
    stderr(data) {
      writeAll(Deno.stderr, data);
    },
    async stdin(length) {
      const buffer = new Uint8Array(length);
      const count = await Deno.stdin.read(buffer);
      return buffer.subarray(0, count ?? 0);
    },
    openTerminal,
    childrenPrint: true,
    color: "auto",
    env(name) {
      const isGranted =
        Deno.permissions.querySync({ name: "env", variable: name }).state === "granted";
      return isGranted ? Deno.env.get(name) : undefined;
    },
    stdoutIsTerminal: Deno.stdout.isTerminal(),
    stderrIsTerminal: Deno.stderr.isTerminal(),
    onInterrupt(listener) {
      const listening = STOP_SIGNALS.map((signal): [StopSignal, () => void] => {
        // With one signal listened to, Deno ends the process at any other that nobody listens to.
        const heard = signal === "SIGHUP" && isLasting ? () => {} : () => listener(signal);
        Deno.addSignalListener(signal, heard);
        return [signal, heard];
      });
      return {
        [Symbol.dispose]() {
          for (const [signal, heard] of listening) Deno.removeSignalListener(signal, heard);
        },
      };
    },
    exit: (code) => Deno.exit(code),
    now: () => performance.now(),
  };
}

/** What only a shell needs is loaded for one alone. */
async function openTerminal(): Promise<Terminal | undefined> {
  if (!Deno.stdin.isTerminal() || !Deno.stdout.isTerminal()) return undefined;
  const [{ createTerminal }, { historyPath, LineHistory }] = await Promise.all([
    import("./terminal.ts"),
    import("./line_history.ts"),
  ]);
  return createTerminal(new LineHistory(historyPath()));
}

/** Writes until all is written; false if the reader has closed its end. */
function writeAll(stream: { writeSync(data: Uint8Array): number }, data: Uint8Array): boolean {
  for (let at = 0; at < data.length;) {
    try {
      at += stream.writeSync(data.subarray(at));
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) return false;
      // A pipe that was set non-blocking by whoever shares it: the reader is only slow.
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
    }
  }
  return true;
}

const encoder = new TextEncoder();

/** Whether stdout gets colours. */
export function stdoutHasColors({ color = "auto", stdoutIsTerminal, env }: CliHost): boolean {
  return wantsColors(color, stdoutIsTerminal, (name) => env?.(name));
}

/** Writes lines of ours on stderr, each marked as such. */
export function say(host: CliHost, text: string): void {
  printError(host, text.split("\n").map((line) => `hartrace: ${line}\n`).join(""));
}

/** Writes text on stderr as it is. */
export function printError(host: CliHost, text: string): void {
  const { color = "auto", stderrIsTerminal, env } = host;
  const bytes = printable(text);
  const isPainted = wantsColors(color, stderrIsTerminal, (name) => env?.(name));
  host.stderr(isPainted ? painted(bytes, paintNotes) : bytes);
}

/** Writes text on stdout; false if whoever read it is gone. */
export function print(host: CliHost, text: string, paint?: Painter): boolean {
  return printBytes(host, encoder.encode(text), paint);
}

/** Writes UTF-8 of ours on stdout, as a terminal may have it; false if whoever read it is gone. */
export function printBytes(host: CliHost, bytes: Uint8Array, paint?: Painter): boolean {
  return host.stdout(printedBytes(host, bytes, paint));
}

/** UTF-8 as {@linkcode printBytes} writes it: colours are ours, so what a guest has put in is written out. */
export function printedBytes(host: CliHost, bytes: Uint8Array, paint?: Painter): Uint8Array {
  const isPainted = paint !== undefined && stdoutHasColors(host);
  const shown = host.stdoutIsTerminal || isPainted ? printableBytes(bytes) : bytes;
  return isPainted ? painted(shown, paint) : shown;
}

/** The bytes in colours; as they are if they are no text. */
function painted(bytes: Uint8Array, paint: Painter): Uint8Array {
  try {
    return encoder.encode(paint(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch (error) {
    if (error instanceof TypeError) return bytes;
    throw error;
  }
}
