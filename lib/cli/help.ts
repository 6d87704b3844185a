/**
 * The text of `--help`: how hartrace is called, with examples, and every option.
 *
 * @module
 */
import { optionRange, optionValueText } from "../ftrace/mod.ts";
import type { Tracer } from "../../mod.ts";
import { CLI_OPTIONS, type CliOption, type OptionGroup } from "./options.ts";

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
  deno run -A trace.ts list plugins|options                what there is to trace with
  deno run -A trace.ts -p NAME --help                      a tracer, its options, an example

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

${groups().map(groupText).join("\n")}
Exit code: the guest's, 128 + signal if one ended it; 124 limit reached, 125 our own error,
126 not executable, 127 not found, 130 Ctrl-C. A last line on stderr that begins with "hartrace:"
says what ended the run, unless it was the guest's own exit with 0.
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

function groups(): readonly OptionGroup[] {
  return [...new Set(CLI_OPTIONS.map(({ group }) => group))];
}

function groupText(group: OptionGroup): string {
  const rows = CLI_OPTIONS.filter((option) => option.group === group).map(optionText);
  return `${group}\n${rows.join("\n")}\n`;
}

function optionText({ name, letter, value, help, repeats }: CliOption): string {
  const head = `  ${letter ? `-${letter}, ` : "    "}--${name}${value ? ` ${value}` : ""}`;
  const gap = head.length < COLUMN - 1
    ? " ".repeat(COLUMN - head.length)
    : `\n${" ".repeat(COLUMN)}`;
  return `${head}${gap}${help}${repeats ? " (repeatable)" : ""}`;
}
