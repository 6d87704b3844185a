/**
 * The command line: `deno run -A trace.ts [options] PROGRAM [ARGS…]`.
 *
 * The built-in tracers are named here; what the arguments mean is `lib/cli`.
 *
 * @module
 */
import { main } from "./lib/cli/main.ts";
import fprobe from "./plugins/fprobe.ts";
import functionTracer from "./plugins/function.ts";
import functionGraph from "./plugins/function_graph.ts";
import kprobe from "./plugins/kprobe.ts";

if (import.meta.main) {
  Deno.exit(await main(Deno.args, [functionGraph, functionTracer, fprobe, kprobe]));
}
