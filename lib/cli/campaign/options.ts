/**
 * The options of `fail`, and its help.
 *
 * What the guest is and how it is traced is said with the options of a run; the table takes over
 * those that mean something where nothing is printed of the trace.
 *
 * @module
 */
import { optionsText } from "../help.ts";
import type { CliArguments } from "../arguments.ts";
import { CLI_OPTIONS, type CliOption, type OptionGroup } from "../options.ts";

/** What has to be as without the failure, by what `--compare` calls it. */
export const COMPARED = ["exit", "stdout", "stderr", "leaks"] as const;

/** Something that `--compare` names. */
export type Compared = (typeof COMPARED)[number];

/** Options of a run that have the same meaning here. */
const NAMES_OF_A_RUN: readonly string[] = [
  ...[
    "virtual",
    "no-demangle",
    "era",
    "strict",
    "trampoline",
    "returns",
    "engine",
    "jit-threshold",
  ],
  ...[
    "load",
    "entry",
    "symbols",
    "semihosting",
    "memory",
    "color",
    "machine",
    "harts",
    "isa",
    "misaligned",
    "env",
    "root",
    "allow",
    "isolated",
    "seed",
  ],
  ...["verbose", "quiet", "help"],
];

/** The headings of the help, in order. */
const ORDER: readonly OptionGroup[] = ["What fails", "The campaign", "The guest", "How", "Other"];

/** Options that only `fail` has, or that mean something else here. */
const OWN: readonly CliOption[] = [
  {
    name: "at",
    value: "GLOB",
    repeats: true,
    group: "What fails",
    help: "functions whose calls fail, several between blanks, !GLOB for not",
  },
  {
    name: "caller",
    value: "GLOB",
    repeats: true,
    group: "What fails",
    help: "only calls from these functions, !GLOB for not",
  },
  {
    name: "return",
    value: "VALUE",
    group: "What fails",
    help: "what a failed call returns: a number, NULL, -1, -ENOMEM; auto (default): as the C " +
      "library's functions fail, any other with -ENOMEM",
  },
  {
    name: "errno",
    value: "ERROR",
    group: "What fails",
    help: "what errno becomes: ENOMEM or a number; with --return auto what the C library sets",
  },
  {
    name: "each",
    group: "The campaign",
    help: "run PROGRAM once for each call that counts, and fail that one",
  },
  {
    name: "merge",
    value: "FILE",
    repeats: true,
    group: "The campaign",
    help: "print the table of these files of results; further FILEs may follow",
  },
  {
    name: "jobs",
    letter: "j",
    value: "N",
    group: "The campaign",
    help: "how many runs go on side by side (as many as there are processors)",
  },
  {
    name: "shard",
    value: "I/N",
    group: "The campaign",
    help: "only the I-th of N parts of the failures, I from 1; --merge puts them together",
  },
  {
    name: "output",
    letter: "o",
    value: "FILE",
    group: "The campaign",
    help:
      "write each result there as it comes, a line of JSON each; what is there is not run again",
  },
  {
    name: "compare",
    value: "WHAT",
    group: "The campaign",
    help: `what has to be as without the failure, of ${COMPARED.join(", ")} (exit,stdout,leaks)`,
  },
  {
    name: "error-exit",
    value: "CODES",
    group: "The campaign",
    help: "exit codes by which PROGRAM says that it failed; its output may then differ",
  },
  {
    name: "limit-insns",
    value: "N",
    group: "The campaign",
    help: "a run that is not over after N instructions hangs (10 times the unfailed run's and 1 M)",
  },
  {
    name: "alloc",
    value: "NAME",
    repeats: true,
    group: "The campaign",
    help: "more functions whose result has to be freed: a program's own allocator",
  },
  {
    name: "free",
    value: "NAME",
    repeats: true,
    group: "The campaign",
    help: "more functions that free their first argument",
  },
  {
    name: "stdin",
    value: "FILE",
    group: "The guest",
    help: "what PROGRAM reads in each run; - is our own input, up to its end (nothing)",
  },
];

const OF_A_RUN: readonly CliOption[] = CLI_OPTIONS
  .filter(({ name }) => NAMES_OF_A_RUN.includes(name))
  .map((option) => option.group === "What is traced" ? { ...option, group: "How" } : option);

/** All options of `fail`, in the order of its help. */
export const FAIL_OPTIONS: readonly CliOption[] = ORDER.flatMap((heading) =>
  [...OWN, ...OF_A_RUN].filter(({ group }) => group === heading)
);

/** Options of a run that were given, as `--name=value`: for the same run without a campaign. */
export function givenOptions({ switches, values, lists }: CliArguments): readonly string[] {
  return OF_A_RUN.flatMap(({ name }) => {
    if (["quiet", "verbose", "color", "help"].includes(name)) return [];
    if (switches.has(name)) return [`--${name}`];
    const value = values[name];
    return (value === undefined ? lists[name] ?? [] : [value]).map((each) => `--${name}=${each}`);
  });
}

/** `fail --help`. */
export function failHelpText(): string {
  return `hartrace fail: what comes of it when a call fails, for each call in turn

  deno run -A trace.ts fail --each --at GLOB [options] PROGRAM [ARGS…]
  deno run -A trace.ts fail --merge FILE [FILE…]

PROGRAM runs once as it is, which counts the calls of --at (from --caller), and then once for each of
these calls, which returns an error instead of running. The table says what came of each:

  crash    a signal or trap ended it: which, and where
  hang     it was not over after --limit-insns, or waits for what cannot come
  leak     a block is left that the unfailed run frees. Blocks are followed by hooking malloc, calloc,
           realloc, free and their kin (and --alloc, --free): one that was made before the failure
           is the same block in both runs; of those made after it, there are more from one place
  exit     another exit code than the unfailed run's, and none of --error-exit
  output   the same exit code, and another output
  handled  none of these

Calls with the same function, callers and result are one row; under the table are the callers of each
failed call and of what it led to. PROGRAM's own output is compared and not printed. A program that
says an error properly is known by its exit code: --error-exit 1.

${optionsText(FAIL_OPTIONS)}
Try
  … fail --each --at malloc --caller '!_dl_* !_IO_*' ./prog file.txt
  … fail --each --at 'open read write' --error-exit 1 --compare exit,leaks ./prog
  … fail --each --at malloc -o results.jsonl ./prog            Ctrl-C; the same again goes on
  … fail --each --at malloc --shard 2/16 -o 2.jsonl ./prog     on a machine of 16
  … fail --merge *.jsonl

Exit code: 0 every failure was handled, 1 something was found, 125 our own error, 130 Ctrl-C.
`;
}
