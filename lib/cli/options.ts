/**
 * The command line's options as a table.
 *
 * Short and long names are trace-cmd's where it has them, because that is what fingers know.
 *
 * How a command line is read is `arguments.ts`; the text of `--help` is `help.ts`; what the options
 * do is `run.ts` and `list.ts`.
 *
 * @module
 */
import { DEFAULT_ENGINE, ENGINE_NAMES, ENGINES } from "../engine/engines.ts";
import { ERA_NAMES, ERAS } from "../ftrace/era.ts";
import { TRACE_CLOCKS } from "../ftrace/trace/trace_clock.ts";
import { PLATFORM_NAMES } from "../machine/platforms.ts";

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
export type OptionGroup =
  | "What is traced"
  | "What fails"
  | "The campaign"
  | "How"
  | "The trace"
  | "The guest"
  | "Other";

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
    name: "jit-threshold",
    value: "N",
    group: "How",
    help: "compile a function that took about N interpreted instructions (20000); 1: all, at once",
  },
  {
    name: "engine-stats",
    group: "How",
    help: "figures on stderr: what was compiled, who executed how much, and why code was left",
  },
  {
    name: "dump-wat",
    value: "FUNC[,FUNC]",
    repeats: true,
    group: "How",
    help: "print what the JIT made of functions, beside their assembly, or why it made nothing",
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
    help: "a header with C prototypes, for func-args, -p args and probes; or a folder of headers",
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
    value: "unchecked|ADDR,SIZE",
    repeats: true,
    group: "The guest",
    help:
      "unchecked: compiled code asks nothing of pages: faster, but no stray access faults or is seen; " +
      "ADDR,SIZE, bare: more memory than 128M at 0x80000000, or in its place; k, M, G: KiB, MiB, GiB",
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

/** Eras for a help text, each with the kernel that it is. */
function eraTexts(): string {
  return Object.values(ERAS).map(({ name, kernel }) => kernel ? `${name} (${kernel})` : name)
    .join(", ");
}
