/**
 * The options of a tracer as data: what kinds there are, what type a value has, and how it is read.
 *
 * An option's kind is that of its default, so a tracer declares nothing twice; the command line, a
 * control file and a test read texts here, and refuse a wrong one alike.
 *
 * What a tracer is, is `tracer.ts`.
 *
 * @module
 */
import { splitNames } from "./ops/split_names.ts";

/** One option of a tracer: a text, a number, a switch or several words, as its default is one. */
export interface TracerOption {
  /** What the option is for, in one line for `list options` and `--help`. */
  readonly description: string;
  /**
   * The value where nothing is set. A switch is set by `on`, `true`, `1` or `yes`, and by `off`,
   * `false`, `0` or `no`; words have blanks or commas between them.
   */
  readonly default: string | number | boolean | readonly string[];
  /** Of a text, or of each of several words: the ones that are allowed, if only some are. */
  readonly choices?: readonly string[];
  /** Of a number: the least that is accepted. */
  readonly min?: number;
  /** Of a number: the greatest that is accepted. */
  readonly max?: number;
  /** Of a number: whether only whole ones are allowed. */
  readonly integer?: boolean;
}

/** The options of a tracer, by key. */
export type TracerOptions = Readonly<Record<string, TracerOption>>;

/** The type of an option's value: its choices where it has some, else that of its default. */
export type OptionValue<O extends TracerOption> = O extends
  { readonly choices: readonly (infer Choice extends string)[] }
  ? O extends { readonly default: readonly string[] } ? readonly Choice[] : Choice
  : O extends { readonly default: boolean } ? boolean
  : O extends { readonly default: number } ? number
  : O extends { readonly default: readonly string[] } ? readonly string[]
  : string;

/** The values that `init` of a tracer with these options gets. */
export type OptionValues<O extends TracerOptions> = {
  readonly [Key in keyof O]: OptionValue<O[Key]>;
};

/** The option that chooses functions: all that `-l` and `-n` leave, unless it names some. */
export const FUNCTIONS_OPTION: TracerOption & { readonly default: readonly string[] } = {
  description: "functions, globs between blanks, !GLOB for not; none: those that -l and -n leave",
  default: [],
};

/** The option that chooses calls by who makes them: any caller, unless it names some. */
export const CALLERS_OPTION: TracerOption & { readonly default: readonly string[] } = {
  description: "only calls from these functions, globs between blanks, !GLOB for not",
  default: [],
};

/**
 * The options that a tracer gets: its defaults, with `settings` (texts, as `--set` gives them) read
 * in.
 *
 * @throws {RangeError} If a key is unknown or a value is not one of the option's.
 */
export function resolveOptions(
  tracer: { readonly name: string; readonly options?: TracerOptions },
  settings: Readonly<Record<string, string>>,
): Readonly<Record<string, TracerOption["default"]>> {
  const declared = tracer.options ?? {};
  const resolved = new Map<string, TracerOption["default"]>();
  for (const [key, option] of Object.entries(declared)) resolved.set(key, option.default);
  for (const [key, text] of Object.entries(settings)) {
    const option = Object.hasOwn(declared, key) ? declared[key] : undefined;
    if (!option) {
      const known = Object.keys(declared);
      const there = known.length > 0 ? `it has ${known.join(", ")}` : "it has no options";
      throw new RangeError(
        `Cannot set ${tracer.name}.${key}: ${tracer.name} has no such option; ${there}`,
      );
    }
    resolved.set(key, readValue(`${tracer.name}.${key}`, option, text));
  }
  return Object.fromEntries(resolved);
}

/** An option's value as `--set` takes it. */
export function optionValueText(value: TracerOption["default"]): string {
  return typeof value === "object" ? value.join(" ") : String(value);
}

/** What an option takes, where its default does not say it: its choices or its range; or nothing. */
export function optionRange(option: TracerOption): string | undefined {
  if ("choices" in option && option.choices) return option.choices.join(", ");
  return typeof option.default === "number" ? rangeText(option) : undefined;
}

function readValue(name: string, option: TracerOption, text: string): TracerOption["default"] {
  switch (typeof option.default) {
    case "number":
      return readNumber(name, option, text);
    case "boolean":
      if (["1", "true", "on", "yes"].includes(text)) return true;
      if (["0", "false", "off", "no"].includes(text)) return false;
      throw refusal(name, text, "true or false");
    case "object": {
      const words = splitNames(text, ",");
      const { choices } = option;
      const wrong = choices && words.find((word) => !choices.includes(word));
      if (wrong !== undefined) throw refusal(name, wrong, choices!.join(", "));
      return words;
    }
    default: {
      const { choices } = option;
      if (choices && !choices.includes(text)) throw refusal(name, text, choices.join(", "));
      return text;
    }
  }
}

function readNumber(name: string, option: TracerOption, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value)) throw refusal(name, text, "a number");
  const { min = -Infinity, max = Infinity, integer = false } = option;
  if (value >= min && value <= max && (!integer || Number.isInteger(value))) return value;
  throw new RangeError(`Cannot set ${name} to ${value}: it must be ${rangeText(option)}`);
}

/** `a whole number from 1 up`, `a number from 0 to 1`; undefined where every number will do. */
function rangeText({ min, max, integer = false }: TracerOption): string | undefined {
  if (min === undefined && max === undefined && !integer) return undefined;
  const kind = integer ? "a whole number" : "a number";
  if (min !== undefined && max !== undefined) return `${kind} from ${min} to ${max}`;
  if (min !== undefined) return `${kind} from ${min} up`;
  return max === undefined ? kind : `${kind} up to ${max}`;
}

function refusal(name: string, text: string, wanted: string): RangeError {
  return new RangeError(`Cannot set ${name} to "${text}": it takes ${wanted}`);
}
