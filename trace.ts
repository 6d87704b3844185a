/**
 * The command line: `deno run -A trace.ts [options] PROGRAM [ARGS…]`.
 *
 * The built-in tracers are named here; what the arguments mean is `lib/cli`.
 *
 * @module
 */
import { main } from "./lib/cli/main.ts";
import type { Tracer } from "./mod.ts";
import args from "./plugins/args.ts";
import fail from "./plugins/fail.ts";
import fprobe from "./plugins/fprobe.ts";
import functionTracer from "./plugins/function.ts";
import functionGraph from "./plugins/function_graph.ts";
import functionProfile from "./plugins/function_profile.ts";
import hist from "./plugins/hist.ts";
import kprobe from "./plugins/kprobe.ts";
import stack from "./plugins/stack.ts";
import watch from "./plugins/watch.ts";

/** The tracers that need no `--plugin`, in the order in which they are listed. */
export const BUILT_IN: readonly Tracer[] = [
  functionGraph,
  functionTracer,
  functionProfile,
  args,
  hist,
  stack,
  watch,
  fail,
  fprobe,
  kprobe,
];

if (import.meta.main) {
  Deno.exit(await main(Deno.args, BUILT_IN));
}
