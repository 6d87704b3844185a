/**
 * The tracers that the command line has: each is a file of `plugins`, and a row of this list.
 *
 * They stand in one file because Deno goes through all modules behind a name for each `import()`.
 *
 * @module
 */
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
