/**
 * The command line: `deno run -A trace.ts [options] PROGRAM [ARGS…]`.
 *
 * The built-in tracers are named here; what the arguments mean is `lib/cli`.
 *
 * @module
 */
import { main } from "./lib/cli/main.ts";
import type { Tracer } from "./mod.ts";

/** Loads the tracers that need no `--plugin`, in the order in which they are listed. */
export async function builtInTracers(): Promise<readonly Tracer[]> {
  const modules = await Promise.all([
    import("./plugins/function_graph.ts"),
    import("./plugins/function.ts"),
    import("./plugins/function_profile.ts"),
    import("./plugins/args.ts"),
    import("./plugins/hist.ts"),
    import("./plugins/stack.ts"),
    import("./plugins/watch.ts"),
    import("./plugins/fail.ts"),
    import("./plugins/fprobe.ts"),
    import("./plugins/kprobe.ts"),
  ]);
  return modules.map((module) => module.default);
}

if (import.meta.main) {
  Deno.exit(await main(Deno.args, builtInTracers));
}
