/**
 * What one command of the shell works with: streams, files, the guest, and the shell itself.
 *
 * Who makes it is `shell_interpreter.ts`; the commands are `shell_commands.ts` and `shell_text.ts`.
 *
 * @module
 */
import type { Tracefs } from "../tracefs/mod.ts";
import type { CliHost } from "./host.ts";
import type { GuestControl } from "./shell_guest.ts";

/** What a command of the shell works with. */
export interface ShellCommandContext {
  /** The host, to whose stdout and stderr commands write. */
  readonly host: CliHost;
  /** The tree of control files that `cat`, `ls` and redirections reach. */
  readonly tracefs: Tracefs;
  /** The guest, which commands such as `step` and `run` let go on. */
  readonly guest: GuestControl;
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
  /** Goes into a folder of control files (`cd`). */
  changeDirectory(to: string): void;
  /** Ends the shell, by default with the last status. */
  exit(status?: number): never;
  /** Whether the first command that fails ends the shell (`set -e`, `set +e`). */
  stopAtError(on: boolean): void;
}
