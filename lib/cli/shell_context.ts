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

/** What a command works with. */
export interface ShellCommandContext {
  /** Where output and errors go. */
  readonly host: CliHost;
  /** The control files. */
  readonly tracefs: Tracefs;
  /** The guest, stopped. */
  readonly guest: GuestControl;
  /** What `|` or `<` gives it. */
  readonly input: string | undefined;
  /** The current directory, below the root. */
  readonly directory: string;
  /** A path as the tree takes it. */
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
