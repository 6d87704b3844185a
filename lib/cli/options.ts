/**
 * The command line's options as a table, and how it is read.
 *
 * Short and long names are trace-cmd's where it has them, because that is what fingers know. What
 * follows PROGRAM, or `--`, belongs to the guest and is not looked at.
 *
 * The text of `--help` is `help.ts`; what the options do is `run.ts` and `list.ts`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { DEFAULT_ENGINE, ENGINE_NAMES, ENGINES } from "../engine/mod.ts";
import { ERA_NAMES, ERAS, TRACE_CLOCKS } from "../ftrace/mod.ts";
import { PLATFORM_NAMES } from "../machine/mod.ts";

/** One option, as `--help` and `list options` show it. */
export interface CliOption {
  /** The option's long name, behind `--`. */
  readonly name: string;
  /** The option's short name, behind `-`. */
  readonly letter?: string;
  /** Placeholder of the option's value in `--help`; absent for a switch. */
  readonly value?: string;
  /** What the option is set to without a value; then one is given behind `=` alone. */
  readonly bare?: string;
  /** Whether the option may be given several times. */
  readonly repeats?: boolean;
  /** The values that are allowed, if only some are. */
  readonly choices?: readonly string[];
  /** The heading of `--help` under which the option stands. */
  readonly group: OptionGroup;
  /** What the option does, in one line for `--help`. */
  readonly help: string;
}

/** The headings of `--help`, in order. */
export type OptionGroup = "What is traced" | "How" | "The trace" | "The guest" | "Other";

/** All options, in the order of `--help`. */
export const CLI_OPTIONS: readonly CliOption[] = [
  {
    name: "tracer",
    letter: "p",
    value: "NAME",
    group: "What is traced",
    help: "function_graph (default), function, hist, … (`list plugins`), or a plugin's name",
  },
  {
    name: "plugin",
    value: "FILE|URL|NAME",
    repeats: true,
    group: "What is traced",
    help: "run a module's or a built-in tracer beside -p, which is nop then if not given",
  },
  {
    name: "set",
    value: "NAME.key=value",
    repeats: true,
    group: "What is traced",
    help: "an option of a tracer or plugin; `list options` names them",
  },
  {
    name: "function",
    letter: "l",
    value: "GLOB",
    repeats: true,
    group: "What is traced",
    help: "trace only these functions (set_ftrace_filter)",
  },
  {
    name: "notrace",
    letter: "n",
    value: "GLOB",
    repeats: true,
    group: "What is traced",
    help: "do not trace these functions (set_ftrace_notrace)",
  },
  {
    name: "graph-function",
    letter: "g",
    value: "GLOB",
    repeats: true,
    group: "What is traced",
    help: "graph only these functions and what they call (set_graph_function)",
  },
  {
    name: "max-graph-depth",
    value: "N",
    group: "What is traced",
    help: "graph only N levels of calls",
  },
  {
    name: "tracefs",
    value: "FILE=TEXT",
    repeats: true,
    group: "What is traced",
    help: "write a control file before the guest starts, in order; FILE+=TEXT appends",
  },
  {
    name: "livepatch",
    value: "FILE.o",
    repeats: true,
    group: "What is traced",
    help: "put the functions of an object (gcc -c) in place of the program's of the same name",
  },
  {
    name: "virtual",
    value: "MODE",
    bare: "all",
    choices: ["auto", "all", "off"],
    group: "What is traced",
    help:
      "also trace functions that have no call site: all of them (also without =MODE), those that are asked for by name (auto, the default), or none (off)",
  },
  {
    name: "no-demangle",
    group: "What is traced",
    help: "show names of C++, Rust and D as the ELF file has them (as --strict does)",
  },
  {
    name: "era",
    value: "NAME",
    choices: ["auto", ...ERA_NAMES],
    group: "How",
    help: `whose ftrace: ${eraTexts()}, auto (what fits best)`,
  },
  {
    name: "strict",
    group: "How",
    help: "refuse what that kernel refuses, instead of serving it another way",
  },
  {
    name: "trampoline",
    value: "guest|fast",
    choices: ["guest", "fast"],
    group: "How",
    help: "execute the real trampolines, or their equivalent (fast, the default)",
  },
  {
    name: "returns",
    value: "auto|hijack|shadow",
    choices: ["auto", "hijack", "shadow"],
    group: "How",
    help: "catch returns by replacing ra, as the kernel does, or leave ra alone and watch return " +
      "addresses (slower); auto does that where a function reads its own",
  },
  {
    name: "graph-stack",
    value: "kernel|unlimited",
    choices: ["kernel", "unlimited"],
    group: "How",
    help: "room for open calls: that kernel's (with --strict), or as much as they take",
  },
  {
    name: "engine",
    value: ENGINE_NAMES.join("|"),
    choices: ENGINE_NAMES,
    group: "How",
    help: `the ${
      ENGINE_NAMES.map((name) => `${ENGINES[name].title} (${name})`).join(", or the ")
    }; ${DEFAULT_ENGINE} is the default`,
  },
  {
    name: "poison",
    value: "REGISTER",
    repeats: true,
    group: "How",
    help: "let trampolines overwrite it, to see who needs it; `list registers` has the table",
  },
  {
    name: "charge-tracing",
    group: "How",
    help: "let tracing cost the guest time, as on a real machine",
  },
  {
    name: "no-park",
    group: "How",
    help: "switch two-word sites without parking harts, to study the bug",
  },
  {
    name: "output",
    letter: "o",
    value: "FILE",
    group: "The trace",
    help: "write the trace there, with nothing lost to a full buffer",
  },
  {
    name: "option",
    letter: "O",
    value: "NAME",
    repeats: true,
    group: "The trace",
    help: "a trace option of the kernel, or noNAME: funcgraph-abstime, sym-offset, …",
  },
  {
    name: "prototypes",
    value: "FILE",
    repeats: true,
    group: "The trace",
    help: "a header with C prototypes: func-args, funcgraph-args, -p args and probes use them",
  },
  {
    name: "clock",
    letter: "C",
    value: "CLOCK",
    choices: TRACE_CLOCKS,
    group: "The trace",
    help: "what events are stamped by: local (default), counter, uptime, mono, tai, …",
  },
  {
    name: "tracing-thresh",
    value: "US",
    group: "The trace",
    help: "graph: record only the ends of calls that took so many microseconds",
  },
  {
    name: "buffer-size",
    letter: "b",
    value: "KIB",
    group: "The trace",
    help: "size of each hart's ring buffer (1408)",
  },
  {
    name: "stats",
    group: "The trace",
    help: "figures on stderr: sites, events, instructions, what a traced call costs",
  },
  {
    name: "machine",
    value: "KIND",
    choices: ["auto", ...PLATFORM_NAMES],
    group: "The guest",
    help: "auto (by the ELF file), linux (user program) or bare (firmware in M-mode)",
  },
  {
    name: "harts",
    value: "N",
    group: "The guest",
    help: "bare: how many harts take turns, on a schedule that --seed decides (1)",
  },
  {
    name: "load",
    value: "ADDR,FILE",
    repeats: true,
    group: "The guest",
    help: "bare: put the bytes of a file there, in place of PROGRAM or beside it",
  },
  {
    name: "entry",
    value: "ADDR",
    group: "The guest",
    help: "bare: where the first instruction is (PROGRAM's, or the first --load)",
  },
  {
    name: "symbols",
    value: "FILE",
    group: "The guest",
    help: "bare: the ELF file that the images of --load were made from, for names and call sites",
  },
  {
    name: "semihosting",
    value: "on|user",
    bare: "on",
    choices: ["on", "user"],
    group: "The guest",
    help:
      "bare: answer semihosting calls (printf, files, exit of picolibc and newlib); =user, of U-mode, too",
  },
  {
    name: "memory",
    value: "ADDR,SIZE",
    repeats: true,
    group: "The guest",
    help:
      "bare: memory besides 128M of RAM at 0x80000000, or in its place; k, M and G are KiB, MiB and GiB",
  },
  {
    name: "isa",
    value: "STRING",
    group: "The guest",
    help: "bare: extensions of the harts, as in rv64imac_zba (all there are)",
  },
  {
    name: "misaligned",
    value: "work|trap",
    choices: ["work", "trap"],
    group: "The guest",
    help: "bare: what misaligned loads and stores do (work)",
  },
  {
    name: "env",
    value: "NAME[=VALUE]",
    repeats: true,
    group: "The guest",
    help: "an environment variable of the guest, or the host's of that name; it has PATH and HOME",
  },
  {
    name: "root",
    value: "DIR",
    group: "The guest",
    help: "the guest's file system, read-only",
  },
  {
    name: "allow",
    value: "PATH[:rw]",
    repeats: true,
    group: "The guest",
    help:
      "a file or folder of the host that the guest may see; those among its arguments it may read",
  },
  {
    name: "isolated",
    group: "The guest",
    help:
      "show the guest nothing that is not asked for: no file of its arguments, no PATH, no HOME",
  },
  {
    name: "seed",
    value: "N",
    group: "The guest",
    help: "seed of everything random (0)",
  },
  {
    name: "limit-insns",
    value: "N",
    group: "The guest",
    help: "stop the guest after N instructions (exit code 124)",
  },
  {
    name: "signature",
    value: "FILE",
    group: "The guest",
    help: "bare: write the words from begin_signature to end_signature there",
  },
  {
    name: "why",
    value: "NAME",
    repeats: true,
    group: "Other",
    help: "list: what can be done with a function, NAME+OFFSET or 0xADDRESS, and why not",
  },
  { name: "json", group: "Other", help: "list: print JSON" },
  {
    name: "color",
    value: "WHEN",
    choices: ["auto", "always", "never"],
    group: "Other",
    help: "colours: auto (on a terminal, unless NO_COLOR is set), always or never",
  },
  { name: "no-pager", group: "Other", help: "shell: print what is longer than the screen at once" },
  { name: "verbose", letter: "v", group: "Other", help: "more notes: what the guest may see" },
  { name: "quiet", letter: "q", group: "Other", help: "no notes and no progress on stderr" },
  { name: "help", letter: "h", group: "Other", help: "this text" },
  { name: "version", group: "Other", help: "print the versions" },
];

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
 * Reads arguments up to PROGRAM or `--`.
 *
 * @throws {SyntaxError} For an unknown option or a value that is missing or wrong.
 */
export function readArguments(args: readonly string[]): CliArguments {
  const { ours, rest, dashes } = splitArguments(args);
  const switches = new Set<string>();
  const values: Record<string, string | undefined> = {};
  const lists: Record<string, string[]> = {};
  for (const { name, value, repeats } of CLI_OPTIONS) {
    if (value !== undefined && repeats) lists[name] = [];
  }
  for (const { option, text, arg } of readOptions(ours)) {
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

/** Options among `args` as they were given, with the argument that each stood in. */
function readOptions(
  args: readonly string[],
): readonly { readonly option: CliOption; readonly text?: string; readonly arg: string }[] {
  const entries = CLI_OPTIONS.map(({ name, letter, value }) => {
    const type: "boolean" | "string" = value === undefined ? "boolean" : "string";
    return [name, letter === undefined ? { type } : { type, short: letter }] as const;
  });
  const options = Object.fromEntries(entries);
  const { tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true });
  return tokens.flatMap((token) => {
    if (token.kind !== "option") return [];
    const arg = args[token.index]!;
    const option = CLI_OPTIONS.find(({ name }) => name === token.name);
    if (!option) throw unknownOption(arg);
    return token.value === undefined ? [{ option, arg }] : [{ option, text: token.value, arg }];
  });
}

/** Cuts arguments where the guest's begin; ours come out as `--name` and `--name=value`. */
function splitArguments(
  args: readonly string[],
): { readonly ours: string[]; readonly rest: readonly string[]; readonly dashes: boolean } {
  const ours: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    if (arg === "--") return { ours, rest: args.slice(at + 1), dashes: true };
    if (!arg.startsWith("-") || arg === "-") return { ours, rest: args.slice(at), dashes: false };
    const [, name, letter, attached] = /^(?:--([^=]+)|-([^-]))(?:=?([^]*))$/.exec(arg) ?? [];
    const option = CLI_OPTIONS.find((each) =>
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

function unknownOption(arg: string): SyntaxError {
  const name = arg.replace(/^-+/, "").replace(/=.*/s, "");
  const close = name.length < 2 ? [] : CLI_OPTIONS
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
export function misplacedOption({ rest, dashes }: CliArguments): string | undefined {
  if (dashes) return undefined;
  return rest.slice(1).find((arg) =>
    CLI_OPTIONS.some(({ name }) => arg === `--${name}` || arg.startsWith(`--${name}=`))
  );
}

/** Eras for a help text, each with the kernel that it is. */
function eraTexts(): string {
  return Object.values(ERAS).map(({ name, kernel }) => kernel ? `${name} (${kernel})` : name)
    .join(", ");
}

/** Whether names are shown as people write them: not where a kernel, which knows none but its own, is followed. */
export function showsReadable({ switches }: Pick<CliArguments, "switches">): boolean {
  return !switches.has("no-demangle") && !switches.has("strict");
}
