/**
 * The command line's options as a table, and how it is read.
 *
 * Short and long names are trace-cmd's where it has them, because that is what fingers know. What
 * follows PROGRAM, or `--`, belongs to the guest and is not looked at.
 *
 * What the options do is `run.ts` and `list.ts`.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";

/** One option, as `--help` and `list options` show it. */
export interface CliOption {
  /** Name behind `--`. */
  readonly name: string;
  /** Letter behind `-`. */
  readonly letter?: string;
  /** What it takes; a switch takes nothing. */
  readonly value?: string;
  /** May be given several times. */
  readonly repeats?: boolean;
  /** The values it takes, if only some are. */
  readonly choices?: readonly string[];
  /** One line. */
  readonly help: string;
}

/** All options, in the order of `--help`. */
export const CLI_OPTIONS: readonly CliOption[] = [
  { name: "tracer", letter: "p", value: "NAME", help: "function_graph (default), function, nop, or a plugin's name" },
  { name: "plugin", value: "FILE|URL", repeats: true, help: "load a module and run its init; with it and no -p the tracer is nop" },
  { name: "set", value: "NAME.key=value", repeats: true, help: "an option of a tracer or plugin (list options names them)" },
  { name: "function", letter: "l", value: "GLOB", repeats: true, help: "trace only these functions (set_ftrace_filter)" },
  { name: "notrace", letter: "n", value: "GLOB", repeats: true, help: "do not trace these functions (set_ftrace_notrace)" },
  { name: "graph-function", letter: "g", value: "GLOB", repeats: true, help: "graph only what these functions call (set_graph_function)" },
  { name: "max-graph-depth", value: "N", help: "graph only N levels of calls" },
  { name: "option", letter: "O", value: "NAME", repeats: true, help: "a trace option of the kernel, or noNAME (funcgraph-abstime, nofuncgraph-cpu, sym-offset, …)" },
  { name: "buffer-size", letter: "b", value: "KIB", help: "size of each hart's ring buffer (1408)" },
  { name: "output", letter: "o", value: "FILE", help: "write the trace there; nothing is lost to a full buffer then" },
  { name: "era", value: "NAME", choices: ["auto", "regs", "args", "preset", "call-ops"], help: "whose ftrace: regs (6.9), args (6.12), preset, call-ops (7.2), auto (the newest that fits)" },
  { name: "strict", help: "refuse what that kernel refuses, instead of serving it another way" },
  { name: "virtual", help: "also trace functions without a call site" },
  { name: "trampoline", value: "guest|fast", choices: ["guest", "fast"], help: "execute the real trampolines, or their equivalent (fast, the default)" },
  { name: "engine", value: "ref|interp", choices: ["ref", "interp"], help: "the reference, or the WASM interpreter (the default)" },
  { name: "machine", value: "KIND", choices: ["auto", "linux", "bare"], help: "auto, linux (user program) or bare (firmware in M-mode)" },
  { name: "charge-tracing", help: "let tracing cost the guest time, as on a real machine" },
  { name: "seed", value: "N", help: "seed of everything random (0)" },
  { name: "stats", help: "figures on stderr: sites, events, instructions, cost of a traced call" },
  { name: "limit-insns", value: "N", help: "stop the guest after N instructions (exit code 124)" },
  { name: "root", value: "DIR", help: "the guest's file system, read-only" },
  { name: "allow", value: "PATH[:rw]", repeats: true, help: "a file or folder of the host that the guest may see" },
  { name: "env", value: "NAME=VALUE", repeats: true, help: "an environment variable of the guest" },
  { name: "signature", value: "FILE", help: "bare: write the words from begin_signature to end_signature there" },
  { name: "no-park", help: "switch two-word sites without parking harts, to study the bug" },
  { name: "quiet", letter: "q", help: "no progress and no notes on stderr, only errors" },
  { name: "help", letter: "h", help: "this text" },
  { name: "version", help: "print the version" },
];

/** The command line, read. */
export interface CliArguments {
  /** Switches given, by name. */
  readonly switches: ReadonlySet<string>;
  /** Values of options that take one, by name. */
  readonly values: Readonly<Record<string, string | undefined>>;
  /** Values of options that repeat, by name. */
  readonly lists: Readonly<Record<string, readonly string[]>>;
  /** PROGRAM and what follows, or a command's arguments. */
  readonly rest: readonly string[];
}

/** Reads arguments. @throws {SyntaxError} For an unknown option or a value that is missing or wrong. */
export function readArguments(args: readonly string[]): CliArguments {
  const takesValue = CLI_OPTIONS.filter(({ value }) => value !== undefined);
  const repeated = takesValue.filter(({ repeats }) => repeats).map(({ name }) => name);
  const alias: Record<string, string> = {};
  for (const { name, letter } of CLI_OPTIONS) if (letter) alias[name] = letter;
  const parsed: Record<string, unknown> = parseArgs(args, {
    boolean: CLI_OPTIONS.filter(({ value }) => value === undefined).map(({ name }) => name),
    string: takesValue.map(({ name }) => name),
    collect: repeated,
    alias,
    stopEarly: true,
    unknown(arg, key) {
      if (key !== undefined) throw unknownOption(arg);
      return true;
    },
  });
  const switches = new Set<string>();
  const values: Record<string, string | undefined> = {};
  const lists: Record<string, readonly string[]> = {};
  for (const option of CLI_OPTIONS) {
    const given = parsed[option.name];
    if (option.value === undefined) {
      if (given === true) switches.add(option.name);
    } else if (option.repeats) {
      const list = (given as string[] | undefined) ?? [];
      lists[option.name] = list;
      for (const text of list) checkValue(option, text);
    } else if (given !== undefined) {
      values[option.name] = checkValue(option, given as string);
    }
  }
  const rest = (parsed["_"] as readonly (string | number)[]).map(String);
  return { switches, values, lists, rest };
}

function checkValue(option: CliOption, text: string): string {
  const name = `--${option.name}`;
  if (text === "") throw new SyntaxError(`${name} needs a value: ${name} ${option.value}`);
  if (option.choices && !option.choices.includes(text)) {
    throw new SyntaxError(`${name} cannot be "${text}": it is one of ${option.choices.join(", ")}`);
  }
  return text;
}

function unknownOption(arg: string): SyntaxError {
  const name = arg.replace(/^-+/, "").replace(/=.*/, "");
  const close = CLI_OPTIONS.map((option) => option.name).filter((known) => known.startsWith(name.slice(0, 3)));
  const hint = close.length > 0 ? `; did you mean --${close.join(" or --")}?` : "";
  return new SyntaxError(`Unknown option ${arg}${hint} (--help lists them; the guest's own options go behind PROGRAM)`);
}

/** The number that an option holds. @throws {SyntaxError} If it is none, or below `least`. */
export function numberOf(values: CliArguments["values"], name: string, least = 0): number | undefined {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < least) {
    throw new SyntaxError(`--${name} cannot be "${text}": it is a whole number from ${least} up`);
  }
  return value;
}

/** The text of `--help`. */
export function helpText(): string {
  const left = ({ name, letter, value }: CliOption) =>
    `  ${letter ? `-${letter}, ` : "    "}--${name}${value ? ` ${value}` : ""}`;
  const width = 32;
  const rows = CLI_OPTIONS.map((option) => {
    const head = left(option);
    return head.length < width ? head.padEnd(width) + option.help : `${head}\n${" ".repeat(width)}${option.help}`;
  });
  return `hartrace: run a RISC-V program and trace its functions as Linux ftrace does

  deno run -A trace.ts [run] [options] PROGRAM [ARGS…]
  deno run -A trace.ts list functions|sites|plugins|options [PROGRAM]
  deno run -A trace.ts                     a built-in sample

PROGRAM is a RISC-V ELF: a static Linux program, or firmware linked at 0x80000000. To have call
sites it must be compiled with -fpatchable-function-entry=8,4 -falign-functions=8 (or =4).
Everything behind PROGRAM, or behind --, is the guest's. A program called "list" is ./list.

${rows.join("\n")}

Examples
  deno run -A trace.ts ./prog                                the call graph, with durations
  deno run -A trace.ts -p function -l 'parse*' ./prog file   one line a call of parse…
  deno run -A trace.ts -g main --max-graph-depth 3 -o trace.txt ./prog
  deno run -A trace.ts --plugin ./mine.ts --set mine.limit=10 ./prog

Exit code: the guest's; 128 + signal; 124 limit reached, 125 our error, 126 not executable,
127 not found, 130 Ctrl-C.
`;
}
