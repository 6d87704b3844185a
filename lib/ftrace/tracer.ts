/**
 * What a tracer is: a module with a name, options declared as data, and an `init`.
 *
 * Whoever runs tracers (the command line, a test) resolves their options here, so that a wrong key
 * or a value of the wrong kind is refused alike everywhere, and says what there is.
 *
 * The object that `init` gets is `ftrace.ts`.
 *
 * @module
 */
import type { Ftrace } from "./ftrace.ts";

/** A value of an option. */
export type TracerOptionValue = string | number | boolean;

/** One option of a tracer. Its kind is that of its default. */
export interface TracerOption {
  /** One line, for `list options` and `--help`. */
  readonly description: string;
  /** Used where nothing is set. */
  readonly default: TracerOptionValue;
  /** The values allowed, if only some are. */
  readonly choices?: readonly string[];
}

/** What a tracer's module exports by default. */
export interface Tracer {
  /** As `-p NAME` and `--set NAME.key=value` name it. */
  readonly name: string;
  /** One line, for `list plugins`. */
  readonly description?: string;
  /** What follows `deno run -A trace.ts` in an example of its use, for its `--help`. */
  readonly example?: string;
  /** Its options, by key. */
  readonly options?: Readonly<Record<string, TracerOption>>;
  /** In which of the kernel's text forms its events are printed; without it they are not. */
  readonly prints?: "function" | "function_graph" | "nop";
  /**
   * Starts tracing. What it returns is disposed when the guest has ended (or the tracer is
   * unloaded): a tracer prints its result there.
   */
  init(
    ftrace: Ftrace,
    options: Readonly<Record<string, TracerOptionValue>>,
  ): TracerHandle | Promise<TracerHandle>;
}

/** What `init` gives back: something to dispose of, or nothing. */
export type TracerHandle = Disposable | AsyncDisposable | void;

/** A handle whose result can be read before the end, as the kernel's files of it are. */
export interface TracerReport extends Disposable {
  /** The result so far, in lines: what is printed at the end; of one hart, or of all. */
  lines(hart?: number): readonly string[];
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

/**
 * The options that a tracer gets: its defaults, with `settings` (texts, as `--set` gives them) read
 * in.
 *
 * @throws {RangeError} If a key is unknown or a value is not of the default's kind.
 */
export function resolveOptions(
  tracer: Tracer,
  settings: Readonly<Record<string, string>>,
): Readonly<Record<string, TracerOptionValue>> {
  const declared = tracer.options ?? {};
  const resolved: Record<string, TracerOptionValue> = {};
  for (const [key, option] of Object.entries(declared)) resolved[key] = option.default;
  for (const [key, text] of Object.entries(settings)) {
    const option = declared[key];
    if (!option) {
      const known = Object.keys(declared);
      const there = known.length > 0 ? `it has ${known.join(", ")}` : "it has no options";
      throw new RangeError(
        `Cannot set ${tracer.name}.${key}: ${tracer.name} has no such option; ${there}`,
      );
    }
    resolved[key] = readValue(`${tracer.name}.${key}`, option, text);
  }
  return resolved;
}

function readValue(name: string, option: TracerOption, text: string): TracerOptionValue {
  const refuse = (wanted: string) =>
    new RangeError(`Cannot set ${name} to "${text}": it takes ${wanted}`);
  if (option.choices && !option.choices.includes(text)) throw refuse(option.choices.join(", "));
  switch (typeof option.default) {
    case "number": {
      const value = Number(text);
      if (text.trim() === "" || Number.isNaN(value)) throw refuse("a number");
      return value;
    }
    case "boolean":
      if (["1", "true", "on", "yes"].includes(text)) return true;
      if (["0", "false", "off", "no"].includes(text)) return false;
      throw refuse("true or false");
    default:
      return text;
  }
}
