/**
 * What one command of the shell works with: streams, files, the guest, and the shell itself.
 *
 * Who makes it is `shell_interpreter.ts`; the commands are `shell_commands.ts`, `shell_text.ts`,
 * `shell_movement.ts` and `shell_inspection.ts`.
 *
 * @module
 */
import type { Tracefs } from "../tracefs/mod.ts";
import type { CliHost } from "./host.ts";
import type { StoppedGuest } from "./shell_guest.ts";

/** What a command of the shell works with. */
export interface ShellCommandContext {
  /** The host, to whose stdout and stderr commands write. */
  readonly host: CliHost;
  /** The tree of control files that `cat`, `ls` and redirections reach. */
  readonly tracefs: Tracefs;
  /** The guest, which commands such as `step` and `run` let go on. */
  readonly guest: StoppedGuest;
  /** The command's input from `|` or `<`; undefined without either. */
  readonly input: string | undefined;
  /** The current directory, relative to the root of the tree. */
  readonly directory: string;
  /** Makes a path absolute, as the tree takes it. */
  absolute(path: string): string;
  /** Prints, or hands over to `|` or `>`. */
  write(text: string): void;
  /** Prints an error, with our reason below it if there is one. */
  complain(text: string, error: unknown): void;
  /** Says what to do about an error. */
  explain(text: string): void;
  /** Goes into a folder of control files (`cd`). */
  changeDirectory(to: string): void;
  /** Ends the shell, by default with the last status. */
  exit(status?: number): never;
  /** Whether the first command that fails ends the shell (`set -e`, `set +e`). */
  stopAtError(on: boolean): void;
  /** Whether output that is longer than the screen goes to a pager (`set pagination on`, `off`). */
  usePager(on: boolean): void;
}

/** A command of the shell: its names, its help and what it does. */
export interface ShellCommandEntry extends ShellCommandOptions {
  /** The command's name and its aliases. */
  readonly names: readonly string[];
  /** The command's arguments, as `help` shows them. */
  readonly arguments: string;
  /** What the command does, in one line for `help`; empty if another's line says it. */
  readonly help: string;
}

/** What else there is to a command. */
export interface ShellCommandOptions {
  /** More for `help COMMAND`: examples, what its arguments are. */
  readonly details?: string;
  /** Whether an empty line at a terminal does it again, as in gdb. */
  readonly repeats?: boolean;
  /** Carries out the command and gives its exit status. */
  run(
    context: ShellCommandContext,
    args: readonly string[],
    name: string,
  ): number | Promise<number>;
}

/** Makes a row of a table of commands. */
export function commandEntry(
  names: readonly string[],
  words: string,
  help: string,
  options: ShellCommandOptions,
): ShellCommandEntry {
  return { names, arguments: words, help, ...options };
}
