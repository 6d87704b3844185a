/**
 * The command line: `deno run -A trace.ts [options] PROGRAM [ARGS…]`.
 *
 * What the arguments mean is `lib/cli`; `tracers.ts`, which only runs that trace load, lists the
 * built-in tracers.
 *
 * @module
 */
import { main } from "./lib/cli/main.ts";
import type { Tracer } from "./mod.ts";

/** Loads the tracers that need no `--plugin`, in the order in which they are listed. */
export async function builtInTracers(): Promise<readonly Tracer[]> {
  return (await import("./tracers.ts")).BUILT_IN;
}

if (import.meta.main) {
  Deno.exit(await main(Deno.args, builtInTracers));
}
