/**
 * `--tracefs FILE=TEXT` and `FILE+=TEXT`: control files written before the guest starts.
 *
 * @module
 */
import type { Ftrace } from "../../mod.ts";
import { createTracefs, type Tracefs, TracefsError } from "../tracefs/mod.ts";
import type { CommandContext } from "./command_context.ts";
import type { LoadedTracers } from "./load_tracer.ts";

/** A write to a control file that the command line asks for. */
export interface TracefsWrite {
  /** Path of the control file below the root of the tree. */
  readonly file: string;
  /** What is written, without the newline that `echo` adds. */
  readonly text: string;
  /** Whether the text is appended (`+=`), as `>>` does. */
  readonly append: boolean;
}

/** Reads one value of `--tracefs`. @throws {SyntaxError} If it has no `=`. */
export function readTracefsOption(value: string): TracefsWrite {
  const [, file, plus, text] = /^([^=+]+)(\+?)=([^]*)$/.exec(value) ?? [];
  if (file === undefined || text === undefined) {
    throw new SyntaxError(
      `Cannot read --tracefs "${value}": write --tracefs FILE=TEXT, or FILE+=TEXT to append`,
    );
  }
  return { file, text, append: plus === "+" };
}

/** Whether one of `values` chooses the tracer. */
export function selectsTracer(values: readonly string[]): boolean {
  return values.some((value) => readTracefsOption(value).file === "current_tracer");
}

/** The control files with all of `--tracefs` written, and `-p` before it. */
export async function openTracefs(
  { args, builtIn }: CommandContext,
  ftrace: Ftrace,
  { current, plugins, optionsOf }: LoadedTracers,
): Promise<Tracefs> {
  const tracefs = createTracefs(ftrace, { tracers: await builtIn(), tracerOptions: optionsOf });
  const { state } = tracefs;
  if (!plugins.some(({ tracer }) => tracer === current)) await state.setTracer(current.name);
  await writeTracefs(tracefs, args.lists["tracefs"] ?? []);
  return tracefs;
}

/** Carries out `values`, in order. @throws {TypeError} If one is refused. */
export async function writeTracefs(tracefs: Tracefs, values: readonly string[]): Promise<void> {
  for (const value of values) {
    const { file, text, append } = readTracefsOption(value);
    try {
      await tracefs.write(file, `${text}\n`, { append });
    } catch (error) {
      if (!(error instanceof TracefsError)) throw error;
      throw new TypeError(
        `Cannot write --tracefs "${value}": ${error.code} (${error.words}): ${error.reason}`,
        { cause: error },
      );
    }
  }
}
