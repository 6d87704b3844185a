/**
 * What a line typed at the shell does: pipelines of commands over the control files.
 *
 * It keeps what a shell keeps between lines: the last status, the current directory and `set -e`.
 * Output of a pipeline's last command is printed as it comes, because somebody may wait for it.
 *
 * The language is `shell_words.ts`, the commands `shell_commands.ts`, completion
 * `shell_completion.ts`.
 *
 * @module
 */
import { globMatch } from "../../mod.ts";
import { type Tracefs, TracefsError } from "../tracefs/mod.ts";
import { paintHelp, paintPrompt, paintTrace } from "./colors.ts";
import { type CliHost, print, printError, say, stdoutHasColors } from "./host.ts";
import { printPaged, runHostCommand, writeHostFile } from "./host_commands.ts";
import { findCommand } from "./shell_commands.ts";
import { completeShellLine } from "./shell_completion.ts";
import type { ShellCommandContext } from "./shell_context.ts";
import type { StoppedGuest } from "./shell_guest.ts";
import type { ShellLines } from "./shell_lines.ts";
import {
  parseShellLine,
  type ShellCommand,
  type ShellPipeline,
  type ShellWord,
  UnfinishedLine,
} from "./shell_words.ts";
import type { Completer } from "./terminal.ts";

/** Thrown to end the shell (`exit`). */
class Exit extends Error {
  readonly status: number;
  constructor(status: number) {
    super(`exit ${status}`);
    this.status = status;
  }
}

/** 128 + SIGINT: the status of a command that Ctrl-C ended. */
const INTERRUPTED = 130;
/** Status of an error of ours: nobody takes the output. */
const STDOUT_FAILED = 125;

/** What a command leaves: its status, and the text that `|` hands on. */
interface CommandResult {
  readonly status: number;
  readonly text: string;
}

const FAILED: CommandResult = { status: 1, text: "" };

/** One session of the shell. */
export class ShellInterpreter {
  readonly #host: CliHost;
  readonly #tracefs: Tracefs;
  readonly #guest: StoppedGuest;
  readonly #lines: ShellLines;
  readonly #complete: Completer;
  #status = 0;
  #directory = "";
  #stopsAtError = false;
  #pages = true;
  /** What an empty line does again. */
  #repeated: readonly ShellPipeline[] = [];

  /** A session at the control files of `tracefs`, over the stopped `guest`. */
  constructor(host: CliHost, tracefs: Tracefs, guest: StoppedGuest, lines: ShellLines) {
    this.#host = host;
    this.#tracefs = tracefs;
    this.#guest = guest;
    this.#lines = lines;
    this.#complete = (line) =>
      completeShellLine({ tracefs, guest, absolute: (path) => this.#absolute(path) }, line);
  }

  /** Whether output that is longer than the screen goes to a pager; only at a terminal. */
  usePager(on: boolean): void {
    this.#pages = on;
  }

  /** Runs lines until there are no more, or one ends the shell; gives the last status. */
  async runAll(): Promise<number> {
    try {
      for (;;) {
        const pipelines = await this.#read();
        if (pipelines === undefined) return this.#status;
        for (const pipeline of pipelines) {
          await this.#runPipeline(pipeline);
          if (this.#status === INTERRUPTED && !this.#host.terminal) return this.#status;
          if (this.#stopsAtError && this.#status !== 0) return this.#status;
          if (this.#host.stdoutFailure !== undefined) return STDOUT_FAILED;
        }
      }
    } catch (error) {
      if (error instanceof Exit) return error.status;
      throw error;
    }
  }

  #absolute(path: string): string {
    return path.startsWith("/") || this.#directory === "" ? path : `${this.#directory}/${path}`;
  }

  #complain(text: string, error: unknown): void {
    const reason = error instanceof TracefsError ? [`hartrace: ${error.reason}\n`] : [];
    printError(this.#host, `${text}\n${reason.join("")}`);
  }

  /** The texts that a word stands for: those of the files that it matches, if it is a glob. */
  #expand(word: ShellWord): readonly string[] {
    const text = word.text(this.#status);
    if (word.glob === undefined) return [text];
    const depth = text.split("/").length;
    const below = this.#directory === "" ? "" : `${this.#directory}/`;
    const names = new Set<string>();
    for (const path of this.#tracefs.paths()) {
      if (!path.startsWith(below)) continue;
      const parts = path.slice(below.length).split("/");
      if (parts.length >= depth) names.add(parts.slice(0, depth).join("/"));
    }
    const globs = word.glob.split("/");
    const found = [...names].filter((name) =>
      name.split("/").every((part, k) => globMatch(globs[k]!, part))
    );
    return found.length > 0 ? found.sort() : [text];
  }

  /** The pipelines of the next line, or of several if it goes on; undefined at the end of input. */
  async #read(): Promise<readonly ShellPipeline[] | undefined> {
    const place = this.#directory === "" ? "" : `/${this.#directory}`;
    let text = await this.#lines.next(this.#prompt(`tracing${place}# `), this.#complete);
    for (;;) {
      if (text === undefined) return undefined;
      try {
        return this.#orRepeated(text, parseShellLine(text));
      } catch (error) {
        if (error instanceof UnfinishedLine) {
          const more = await this.#lines.next("> ", this.#complete);
          if (more !== undefined) {
            text = `${text}\n${more}`;
            continue;
          }
        } else if (!(error instanceof SyntaxError)) throw error;
        this.#complain(`sh: ${(error as Error).message}`, undefined);
        this.#status = 2;
        return [];
      }
    }
  }

  /** The pipelines of a line; for an empty one at a terminal those that it repeats. */
  #orRepeated(text: string, read: readonly ShellPipeline[]): readonly ShellPipeline[] {
    if (!this.#host.terminal) return read;
    if (text.trim() === "") return this.#repeated;
    const [only] = read;
    const words = only?.commands[0]?.words.map((word) => word.text(0)) ?? [];
    const found = findCommand(words[0] ?? "");
    const repeats = read.length === 1 && only?.commands.length === 1 && found?.command.repeats;
    // `x` goes on behind what it showed.
    this.#repeated = !repeats ? [] : words[0]!.startsWith("x") ? parseShellLine("x") : read;
    return read;
  }

  #prompt(text: string): string {
    return stdoutHasColors(this.#host) ? paintPrompt(text) : text;
  }

  async #runPipeline({ commands, after, hostCommand }: ShellPipeline): Promise<void> {
    if (after === "success" && this.#status !== 0) return;
    if (after === "failure" && this.#status === 0) return;
    let piped: string | undefined;
    for (const [k, command] of commands.entries()) {
      const last = k === commands.length - 1;
      const result = await this.#runCommand(command, piped, last && hostCommand === undefined);
      piped = result.text;
      if (last) this.#status = result.status;
    }
    if (hostCommand === undefined) return;
    const input = piped === undefined ? undefined : new TextEncoder().encode(piped);
    this.#status = await runHostCommand(this.#host, hostCommand, input);
  }

  async #runCommand(
    { words, input, output }: ShellCommand,
    piped: string | undefined,
    last: boolean,
  ): Promise<CommandResult> {
    const named = words[0]?.text(this.#status);
    const globs = findCommand(named ?? "")?.globs ?? true;
    const [name, ...args] = words.flatMap((word) =>
      globs ? this.#expand(word) : [word.text(this.#status)]
    );
    const target = output?.file.text(this.#status);
    const onHost = output?.onHost ?? false;
    if (target !== undefined && !onHost && !this.#canWrite(target)) return FAILED;
    const given = input === undefined ? piped : this.#readInput(input.text(this.#status));
    if (input !== undefined && given === undefined) return FAILED;
    let text = "";
    const paint = name === "help" ? paintHelp : paintTrace;
    const shown = last && target === undefined;
    const pages = shown && this.#pages && this.#host.terminal !== undefined;
    const write = (part: string) => {
      if (shown && !pages) print(this.#host, part, paint);
      else text += part;
    };
    const status = await this.#call(name, args, this.#contextOf(given, write));
    if (pages) await printPaged(this.#host, text, paint);
    if (target === undefined || target === "/dev/null") return { status, text: shown ? "" : text };
    if (onHost) {
      const failure = await writeHostFile(target, text, output?.append ?? false);
      if (failure === undefined) return { status, text: "" };
      this.#complain(`sh: ${target}: ${failure}`, undefined);
      return FAILED;
    }
    const written = await this.#writeOutput(target, text, output?.append ?? false, name);
    return written ? { status, text: "" } : FAILED;
  }

  /** Runs a command by its name; without one there is nothing to do. */
  async #call(
    name: string | undefined,
    args: readonly string[],
    context: ShellCommandContext,
  ): Promise<number> {
    if (name === undefined) return 0;
    const found = findCommand(name);
    if (found) {
      const { command, format } = found;
      const word = name.slice(0, name.length - (format?.length ?? 0));
      return await command.run(context, format === undefined ? args : [format, ...args], word);
    }
    this.#complain(`sh: ${name}: command not found`, undefined);
    say(this.#host, "help lists the commands that there are");
    return 127;
  }

  #contextOf(input: string | undefined, write: (text: string) => void): ShellCommandContext {
    return {
      host: this.#host,
      tracefs: this.#tracefs,
      guest: this.#guest,
      input,
      directory: this.#directory,
      absolute: (path) => this.#absolute(path),
      write,
      complain: (text, error) => this.#complain(text, error),
      explain: (text) => say(this.#host, text),
      usePager: (on) => this.usePager(on),
      changeDirectory: (to) => void (this.#directory = to),
      exit: (code) => {
        throw new Exit(code ?? this.#status);
      },
      stopAtError: (on) => void (this.#stopsAtError = on),
    };
  }

  /** Whether `>` leads to a file that is there, or to nowhere; complains if not. */
  #canWrite(target: string): boolean {
    const path = this.#absolute(target);
    if (target === "/dev/null" || this.#tracefs.kind(path)) return true;
    this.#complain(`sh: ${target}: Permission denied`, missingFile(this.#tracefs, path));
    return false;
  }

  /** What `<` gives; complains where it cannot be read. */
  #readInput(file: string): string | undefined {
    try {
      return this.#tracefs.read(this.#absolute(file));
    } catch (error) {
      if (!(error instanceof TracefsError)) throw error;
      this.#complain(`sh: ${file}: ${error.words}`, error);
      return undefined;
    }
  }

  /** Writes what a command printed to the file behind `>`; complains where that is refused. */
  async #writeOutput(
    target: string,
    text: string,
    append: boolean,
    name = "",
  ): Promise<boolean> {
    try {
      await this.#tracefs.write(this.#absolute(target), text, { append });
      return true;
    } catch (error) {
      if (!(error instanceof TracefsError)) throw error;
      const who = error.call === "open" ? target : `${name}: write error`;
      this.#complain(`sh: ${who}: ${error.words}`, error);
      return false;
    }
  }
}

/** Why a file that is not there cannot be written, in our words. */
function missingFile(tracefs: Tracefs, path: string): unknown {
  try {
    tracefs.read(path);
  } catch (error) {
    return error;
  }
  return undefined;
}
