/**
 * The command line: `deno run -A trace.ts [options] PROGRAM [ARGS…]`.
 *
 * @module
 */
import { main } from "./lib/cli/main.ts";

if (import.meta.main) Deno.exit(await main(Deno.args));
