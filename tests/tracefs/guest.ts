/**
 * The control files of a fixture, for tests, and what a shell's `echo` and `cat` do with them.
 *
 * @module
 */
import type { FtraceOptions } from "../../lib/ftrace/ftrace.ts";
import type { Tracer } from "../../lib/ftrace/tracer.ts";
import { TracefsError } from "../../lib/tracefs/errno.ts";
import { createTracefs, type Tracefs } from "../../lib/tracefs/tracefs.ts";
import fprobe from "../../plugins/fprobe.ts";
import functionTracer from "../../plugins/function.ts";
import functionGraph from "../../plugins/function_graph.ts";
import functionProfile from "../../plugins/function_profile.ts";
import kprobe from "../../plugins/kprobe.ts";
import stack from "../../plugins/stack.ts";
import { traced, type TracedGuest } from "../ftrace/guest.ts";

/** Built-in tracers, as `trace.ts` has them. */
export const TRACERS: readonly Tracer[] = [
  fprobe,
  kprobe,
  stack,
  functionProfile,
  functionGraph,
  functionTracer,
];

/** A fixture's control files. */
export interface FilesGuest extends TracedGuest {
  readonly tracefs: Tracefs;
  /** Writes as `echo TEXT > FILE` does; gives the errno, or "" if it was taken. */
  echo(text: string, file: string): Promise<string>;
  /** The same with `>>`. */
  append(text: string, file: string): Promise<string>;
  /** Reads a file; its errno if it cannot be. */
  cat(file: string): string;
}

/** Does what `body` does and gives its errno, or "". */
async function errnoOf(body: () => Promise<void>): Promise<string> {
  try {
    await body();
    return "";
  } catch (error) {
    if (error instanceof TracefsError) return error.code;
    throw error;
  }
}

/** The control files of a guest. */
export function filesOf(tracefs: Tracefs): Pick<FilesGuest, "echo" | "append" | "cat"> {
  return {
    echo: (text, file) => errnoOf(() => tracefs.write(file, `${text}\n`)),
    append: (text, file) => errnoOf(() => tracefs.write(file, `${text}\n`, { append: true })),
    cat(file) {
      try {
        return tracefs.read(file);
      } catch (error) {
        if (error instanceof TracefsError) return error.code;
        throw error;
      }
    },
  };
}

/** Loads a fixture with its control files. */
export async function withFiles(
  name: string,
  options: FtraceOptions = {},
): Promise<FilesGuest> {
  const guest = await traced(name, options);
  const tracefs = createTracefs(guest.ftrace, { tracers: TRACERS });
  return { ...guest, tracefs, ...filesOf(tracefs) };
}

const TRUTH = new URL("../ground_truth/", import.meta.url);

/** A captured file of `6.12` or `7.2`. */
export function truth(release: string, name: string): Promise<string> {
  return Deno.readTextFile(new URL(`${release}/${name}`, TRUTH));
}

/** The captured kernels, and the era that is each. */
export const KERNELS = [["6.12", "args"], ["7.2", "call-ops"]] as const;
