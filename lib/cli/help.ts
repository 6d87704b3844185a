/**
 * The text of `--help`: how hartrace is called, with examples, and every option.
 *
 * @module
 */
import { optionRange, optionValueText } from "../ftrace/mod.ts";
import type { Tracer } from "../../mod.ts";
import { CLI_OPTIONS, type CliOption } from "./options.ts";

/** Column in which the explanations of options begin. */
const COLUMN = 28;
/** Where the explanations of tracers' options begin, whose names are longer. */
const TRACER_COLUMN = 38;

/** The options and their explanations under headings, as `--help` prints them. */
export function helpText(): string {
  return `hartrace runs a RISC-V program and traces its functions as Linux ftrace does.

  deno run -A trace.ts                                     trace a built-in sample
  deno run -A trace.ts [run] [options] PROGRAM [ARGS…]     trace PROGRAM
  deno run -A trace.ts shell [options] PROGRAM [ARGS…]     type at its control files
  deno run -A trace.ts list functions|sites PROGRAM        what can be traced, and how
  deno run -A trace.ts list registers PROGRAM              what is live at an entry, and kept
  deno run -A trace.ts list --why NAME PROGRAM             why something cannot be traced
  deno run -A trace.ts fail --each --at GLOB PROGRAM       fail each call in turn: what comes of it?
  deno run -A trace.ts list plugins|options                what there is to trace with
  deno run -A trace.ts -p NAME --help                      a tracer, its options, an example
  deno run -A trace.ts list|shell|fail --help              more on these commands

PROGRAM is a RISC-V ELF file: a static Linux program, or firmware linked at 0x80000000. Its call
sites come from the compiler, two words of nop at the entry of each function:

  riscv64-linux-gnu-gcc -O2 -static -fpatchable-function-entry=8,4 -falign-functions=8 prog.c

What follows PROGRAM, or --, is the guest's. A program that is called "list" is ./list.
The guest's output passes through as it comes; the trace follows on stdout, or goes to -o FILE.

Try
  … ./prog                                     who calls whom, with durations
  … -p function -l 'parse*' ./prog file.txt    one line for each call of parse…
  … -g main --max-graph-depth 3 -o t.txt ./prog
  … -p fprobe --set fprobe.at='read_*' ./prog  arguments and return values
  … --plugin ./mine.ts --set mine.limit=10 ./prog
  … --era regs --stats ./prog                  what a traced call cost in Linux 6.9

${optionsText(CLI_OPTIONS)}
Exit code: the guest's, 128 + signal if one ended it; 124 limit reached, 125 our own error,
126 not executable, 127 not found, 130 Ctrl-C. A last line on stderr that begins with "hartrace:"
says what ended the run, unless it was the guest's own exit with 0.
`;
}

/** `list --help`. */
export function listHelpText(): string {
  return `hartrace list: what can be traced in a program, and what there is to trace with

  deno run -A trace.ts list functions [options] PROGRAM      names, one a line, for grep and -l
  deno run -A trace.ts list sites [options] PROGRAM          each call site and its words, off and on
  deno run -A trace.ts list registers PROGRAM                what is live at an entry, and kept
  deno run -A trace.ts list --why NAME [--why …] PROGRAM     what can be done with it, and why not more
  deno run -A trace.ts list plugins                          the tracers that there are
  deno run -A trace.ts list options                          options of tracers, and trace options

NAME is a function, a glob of them, NAME+OFFSET or 0xADDRESS; options may stand anywhere.

  -l, -n, --virtual, --era, --strict   as when tracing
  --json                               records instead of a table
  -q                                   no notes on stderr

Try
  … list functions -l 'parse*' ./prog
  … list sites --era args ./prog
  … list --why 'parse*' --why main+8 ./prog

Exit code: 0; 1 if a NAME of --why is not in PROGRAM; 125 for an error of ours.
`;
}

/** `shell --help`. */
export function shellHelpText(): string {
  return `hartrace shell: type at the control files of a program, as in /sys/kernel/tracing

  deno run -A trace.ts shell [options] PROGRAM [ARGS…]

PROGRAM is loaded and has not run yet; \`run\` lets it go on, Ctrl-C stops it. Commands are a shell's
(cat, echo TEXT > FILE, >>, cd, ls, grep), gdb's (break, step, next, finish, x, print, disas, info) and
what else \`help\` lists; \`help COMMAND\` says more. Options are those of a run (--help): --era, --virtual,
--harts, --limit-insns, … Without a terminal, commands are read from stdin:

  echo 'echo function > current_tracer; run; cat trace' | deno run -A trace.ts shell ./prog

The host is behind !: \`!ls\`, \`cat trace !> trace.txt\`, \`!>> FILE\`, \`cat trace !| less\`.

On a terminal: Tab completes, Ctrl-R searches the history, which is kept between sessions in
$XDG_STATE_HOME/hartrace, Ctrl-Z stops the shell, an empty line repeats step, next, x and the like. What
is longer than the screen goes to $PAGER, or less, unless --no-pager or \`set pagination off\` is given.

Exit code: the last command's; 125 for an error of ours, 129 SIGHUP, 143 SIGTERM.
`;
}

/** What there is to know of one tracer; `how` are the arguments that choose it. */
export function tracerHelpText(tracer: Tracer, how: string): string {
  const { name, description, example } = tracer;
  const options = Object.entries(tracer.options ?? {}).map(([key, option]) => {
    const head = `  --set ${name}.${key}=${optionValueText(option.default)}`;
    const gap = head.length < TRACER_COLUMN - 1
      ? " ".repeat(TRACER_COLUMN - head.length)
      : `\n${" ".repeat(TRACER_COLUMN)}`;
    const range = optionRange(option);
    const takes = range === undefined
      ? ""
      : `\n${" ".repeat(TRACER_COLUMN)}${"choices" in option ? "one of " : ""}${range}`;
    return `${head}${gap}${option.description}${takes}\n`;
  });
  const parts = [
    description === undefined ? `${name}\n` : `${name}: ${description}\n`,
    `  deno run -A trace.ts ${how} [options] PROGRAM [ARGS…]\n`,
    options.length > 0
      ? `Its options, with their defaults\n${options.join("")}`
      : "It has no options.\n",
    example === undefined ? "" : `Try\n  deno run -A trace.ts ${example}\n`,
  ];
  return parts.filter((part) => part !== "").join("\n");
}

/** Options under their headings, in the order of the table. */
export function optionsText(options: readonly CliOption[]): string {
  const groups = [...new Set(options.map(({ group }) => group))];
  return groups.map((group) => {
    const rows = options.filter((option) => option.group === group).map(optionText);
    return `${group}\n${rows.join("\n")}\n`;
  }).join("\n");
}

function optionText({ name, letter, value, bare, help, repeats }: CliOption): string {
  const shown = !value ? "" : bare === undefined ? ` ${value}` : `[=${value}]`;
  const head = `  ${letter ? `-${letter}, ` : "    "}--${name}${shown}`;
  const gap = head.length < COLUMN - 1
    ? " ".repeat(COLUMN - head.length)
    : `\n${" ".repeat(COLUMN)}`;
  return `${head}${gap}${help}${repeats ? " (repeatable)" : ""}`;
}
