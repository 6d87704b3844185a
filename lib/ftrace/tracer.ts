/**
 * What a tracer is: a module with a name, options declared as data, and an `init`.
 *
 * {@linkcode defineTracer} types what `init` gets by the options declared; a plain object will do,
 * too, as nothing depends on who made it.
 *
 * How options are read is `tracer_options.ts`; the object that `init` gets is `ftrace.ts`.
 *
 * @module
 */
import type { Ftrace } from "./ftrace.ts";
import type { OptionValues, TracerOption, TracerOptions } from "./tracer_options.ts";

/** A tracer, as its module exports it by default. */
export interface Tracer {
  /** As `-p NAME` and `--set NAME.key=value` name it. */
  readonly name: string;
  /** What the tracer does, in one line for `list plugins`. */
  readonly description?: string;
  /** What follows `deno run -A trace.ts` in an example of its use, for its `--help`. */
  readonly example?: string;
  /** In which of the kernel's text forms its events are printed; without it they are not. */
  readonly prints?: "function" | "function_graph" | "nop";
  /** The tracer's options, by the key that `--set NAME.key=value` uses. */
  readonly options?: TracerOptions;
  /**
   * Starts tracing. What it returns is disposed when the guest has ended (or the tracer is
   * unloaded): a tracer prints its result there.
   */
  init(
    ftrace: Ftrace,
    options: Readonly<Record<string, TracerOption["default"]>>,
  ): TracerHandle | Promise<TracerHandle>;
}

/** What {@linkcode defineTracer} takes: a tracer whose `init` knows the types of its options. */
export interface TracerDefinition<O extends TracerOptions>
  extends Omit<Tracer, "options" | "init"> {
  /** The tracer's options, by the key that `--set NAME.key=value` uses. */
  readonly options?: O;
  /** Starts tracing, as {@linkcode Tracer.init} does, with the values of the declared options. */
  init(ftrace: Ftrace, options: OptionValues<O>): TracerHandle | Promise<TracerHandle>;
}

/** What `init` gives back: something to dispose of, or nothing. */
export type TracerHandle = Disposable | AsyncDisposable | void;

/** A handle whose result can be read before the end, as the kernel's files of it are. */
export interface TracerReport extends Disposable {
  /** The result so far, in lines: what is printed at the end; of one hart, or of all. */
  lines(hart?: number): readonly string[];
}

/**
 * Makes a tracer whose `init` gets its options with the types that they are declared with.
 *
 * ```ts
 * import { defineTracer } from "../../mod.ts";
 *
 * const slow = defineTracer({
 *   name: "slow",
 *   options: { above: { description: "nanoseconds", default: 1000, min: 0, integer: true } },
 *   init(ftrace, { above }) { // a number
 *     return ftrace.registerFtraceGraph({
 *       retFunc({ func, callTime, returnTime }) {
 *         if (Number(returnTime - callTime) > above) ftrace.print(`${ftrace.symbol(func)}`);
 *       },
 *     });
 *   },
 * });
 * ```
 *
 * @throws {TypeError} If `init` or the name is missing, as in a script that nobody type-checked.
 */
export function defineTracer<const O extends TracerOptions>(
  definition: TracerDefinition<O>,
): Tracer {
  // The values come from resolveOptions(), which makes them of the kinds that `O` declares.
  return checkTracer(definition, "the definition");
}

/**
 * Whether a module's default export is a tracer.
 *
 * @throws {TypeError} If not, saying what is missing; `where` names the module.
 */
export function checkTracer(value: unknown, where: string): Tracer {
  if (typeof value !== "object" || value === null) {
    throw new TypeError(
      `Cannot use ${where} as a tracer: it has no default export; write \`export default { name, init(ftrace) { … } }\``,
    );
  }
  const { name, init } = value as { name?: unknown; init?: unknown };
  if (typeof init !== "function") {
    throw new TypeError(
      `Cannot use ${where} as a tracer: its default export has no init(ftrace, options) function`,
    );
  }
  if (typeof name !== "string" || name === "") {
    throw new TypeError(`Cannot use ${where} as a tracer: its default export has no name`);
  }
  return value as Tracer;
}
