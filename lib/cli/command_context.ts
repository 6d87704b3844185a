/**
 * What every command works with.
 *
 * @module
 */
import type { Tracer } from "../../mod.ts";
import type { CliArguments } from "./arguments.ts";
import type { CliHost } from "./host.ts";

/** The host, tracers and options that a command works with. */
export interface CommandContext {
  /** The host's input, output and process. */
  readonly host: CliHost;
  /** Loads the tracers that need no `--plugin`. */
  readonly builtIn: () => Promise<readonly Tracer[]>;
  /** The parsed command line. */
  readonly args: CliArguments;
}
