/**
 * The command line as it was read: switches, values and what belongs to the guest.
 *
 * What follows PROGRAM, or `--`, is the guest's and is not looked at. The options that there are
 * stand in `options.ts`.
 *
 * @module
 */
import { CLI_OPTIONS, type CliOption } from "./options.ts";

/** The parsed command line. */
export interface CliArguments {
  /** Switches given, by name. */
  readonly switches: ReadonlySet<string>;
  /** Values of options that take one, by name. */
  readonly values: Readonly<Record<string, string | undefined>>;
  /** Values of options that repeat, by name. */
  readonly lists: Readonly<Record<string, readonly string[]>>;
  /** PROGRAM and what follows, or a command and its arguments. */
  readonly rest: readonly string[];
  /** Whether `--` stood before the rest, so that it is PROGRAM whatever its name. */
  readonly dashes: boolean;
}

/**
 * Reads arguments up to PROGRAM or `--`; `known` are the options that there are.
 *
 * @throws {SyntaxError} For an unknown option or a value that is missing or wrong.
 */
export function readArguments(
  args: readonly string[],
  known: readonly CliOption[] = CLI_OPTIONS,
): CliArguments {
  const { ours, rest, dashes } = splitArguments(args, known);
  const switches = new Set<string>();
  const values: Record<string, string | undefined> = {};
  const lists: Record<string, string[]> = {};
  for (const { name, value, repeats } of known) {
    if (value !== undefined && repeats) lists[name] = [];
  }
  for (const { option, text, arg } of readOptions(ours, known)) {
    if (option.value === undefined) {
      if (text !== undefined) throw new SyntaxError(`Cannot read ${arg}: it takes no value`);
      switches.add(option.name);
    } else if (option.repeats) {
      lists[option.name]!.push(checkValue(option, text ?? ""));
    } else {
      values[option.name] = checkValue(option, text ?? "");
    }
  }
  return { switches, values, lists, rest, dashes };
}

/** An option as it was given, and the argument that it stood in. */
interface GivenOption {
  readonly option: CliOption;
  readonly text?: string;
  readonly arg: string;
}

/** Options among `args`, which are `--name`, `--name=value`, or `-` and letters. */
function readOptions(
  args: readonly string[],
  known: readonly CliOption[],
): readonly GivenOption[] {
  return args.flatMap((arg) => {
    if (!arg.startsWith("--")) return readLetters(arg, known);
    const [, name, text] = /^--([^=]*)(?:=([^]*))?$/.exec(arg)!;
    const option = known.find((each) => each.name === name);
    if (!option) throw unknownOption(arg, known);
    return text === undefined ? [{ option, arg }] : [{ option, text, arg }];
  });
}

/** Reads `-abc`: switches, and perhaps one that takes the rest as its value. */
function readLetters(arg: string, known: readonly CliOption[]): readonly GivenOption[] {
  const given: GivenOption[] = [];
  for (let at = 1; at < arg.length; at++) {
    const option = known.find(({ letter }) => letter === arg[at]);
    if (!option) throw unknownOption(arg, known);
    const text = arg.slice(at + 1);
    const takesRest = option.value !== undefined && text !== "";
    given.push(takesRest ? { option, text, arg } : { option, arg });
    if (takesRest) break;
  }
  return given;
}

/** Cuts arguments where the guest's begin; ours come out as `--name` and `--name=value`. */
function splitArguments(
  args: readonly string[],
  known: readonly CliOption[],
): { readonly ours: string[]; readonly rest: readonly string[]; readonly dashes: boolean } {
  const ours: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    if (arg === "--") return { ours, rest: args.slice(at + 1), dashes: true };
    if (!arg.startsWith("-") || arg === "-") return { ours, rest: args.slice(at), dashes: false };
    const [, name, letter, attached] = /^(?:--([^=]+)|-([^-]))(?:=?([^]*))$/.exec(arg) ?? [];
    const option = known.find((each) =>
      name === undefined ? each.letter === letter : each.name === name
    );
    if (option?.value === undefined) ours.push(arg);
    else if (option.bare !== undefined) ours.push(`--${option.name}=${attached || option.bare}`);
    else ours.push(`--${option.name}=${attached !== "" ? attached : args[++at] ?? ""}`);
  }
  return { ours, rest: [], dashes: false };
}

function checkValue(option: CliOption, text: string): string {
  const name = `--${option.name}`;
  if (text === "") {
    throw new SyntaxError(`Cannot read ${name}: it needs a value, ${name} ${option.value}`);
  }
  if (option.choices && !option.choices.includes(text)) {
    throw new SyntaxError(
      `Cannot read ${name} "${text}": there is no such choice; there are ${
        option.choices.join(", ")
      }`,
    );
  }
  return text;
}

function unknownOption(arg: string, options: readonly CliOption[]): SyntaxError {
  const name = arg.replace(/^-+/, "").replace(/=.*/s, "");
  const close = name.length < 2 ? [] : options
    .map((option) => option.name)
    .filter((known) => known.startsWith(name.slice(0, 3)));
  const hint = close.length > 0 ? `; did you mean --${close.join(" or --")}?` : "";
  return new SyntaxError(
    `Cannot read ${arg}: there is no such option${hint} ` +
      "(--help lists them; the guest's own options go behind PROGRAM)",
  );
}

const THOUSANDS: Readonly<Record<string, number>> = { "": 1, k: 1e3, K: 1e3, M: 1e6, G: 1e9 };

/**
 * The number that an option holds; `20k`, `3M` and `1.5G` are thousands, millions and thousand millions.
 *
 * @throws {SyntaxError} If it is none, or below `least`.
 */
export function numberOf(
  values: CliArguments["values"],
  name: string,
  least = 0,
): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const [, digits = "", unit = ""] =
    /^(-?(?:0x[0-9a-f]+|[0-9.]+(?:e[0-9]+)?))([kKMG]?)$/i.exec(text) ??
      [];
  const value = Math.round(Number(digits || "none") * (THOUSANDS[unit] ?? NaN) * 1e3) / 1e3;
  if (!Number.isSafeInteger(value) || value < least) {
    throw new SyntaxError(
      `Cannot read --${name} "${text}": it must be a whole number from ${least} up, as in 2000 or 2k`,
    );
  }
  return value;
}

/** The first of the guest's arguments that is an option of ours, which it would be before PROGRAM. */
export function misplacedOption(
  { rest, dashes }: CliArguments,
  options: readonly CliOption[] = CLI_OPTIONS,
): string | undefined {
  if (dashes) return undefined;
  return rest.slice(1).find((arg) =>
    options.some(({ name }) => arg === `--${name}` || arg.startsWith(`--${name}=`))
  );
}

/** Whether names are shown as people write them: not where a kernel, which knows none but its own, is followed. */
export function showsReadable({ switches }: Pick<CliArguments, "switches">): boolean {
  return !switches.has("no-demangle") && !switches.has("strict");
}
