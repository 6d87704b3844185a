/**
 * The shell's commands as a table: what `help` lists and what a line calls.
 *
 * @module
 */
import { type Tracefs, TracefsError } from "../tracefs/mod.ts";
import { commandEntry, type ShellCommandContext, type ShellCommandEntry } from "./shell_context.ts";
import { assign, INSPECTION_COMMANDS } from "./shell_inspection.ts";
import { MOVEMENT_COMMANDS } from "./shell_movement.ts";
import { cat, countLines, grep, head } from "./shell_text.ts";

const SETTINGS = `  set $a0 = 3                 a register of the guest
  set counter = 3             data of 1, 2, 4 or 8 bytes; set {int}ADDRESS = 3 any memory
  set -e, set +e              end at the first command that fails, or do not
  set pagination on|off       whether what is longer than the screen goes to $PAGER, or less
`;

/** Commands on control files, in the order of `help`. */
const FILE_COMMANDS: readonly ShellCommandEntry[] = [
  entry("echo", "[-n] [-e] TEXT > FILE", "write a control file; >> appends", echo),
  entry("cat", "FILE…", "print control files; cat trace_pipe takes events out", cat),
  entry("ls", "[-l] [DIR…]", "list the control files", ls),
  entry("cd", "[DIR]", "go into a folder of them; pwd says where", cd),
  entry("pwd", "", "", pwd),
  entry("sysctl", "kernel.NAME[=VALUE]", "ftrace_enabled, stack_tracer_enabled", sysctl),
  entry("grep", "[-v] [-c] [-i] REGEXP [FILE…]", "lines that match", grep),
  entry("head", "[-n N] [FILE…]", "the first lines; tail: the last", head),
  entry("tail", "[-n N] [FILE…]", "", head),
  entry("wc", "-l [FILE…]", "count lines", countLines),
];

/** Commands on the shell itself, in the order of `help`. */
const SESSION_COMMANDS: readonly ShellCommandEntry[] = [
  entry("set", "$REGISTER = EXPRESSION", "also {TYPE}ADDRESS = …; help set for more", set),
  entry("true", "", "", () => 0, ":"),
  entry("false", "", "", () => 1),
  entry("help", "[COMMAND]", "this text, or more on a command", help, "?", "h"),
  entry("exit", "[N]", "end the shell, and the guest with it", exit, "quit", "q"),
];

/** All commands, in the order of `help`. */
export const SHELL_COMMANDS: readonly ShellCommandEntry[] = [
  ...FILE_COMMANDS,
  ...MOVEMENT_COMMANDS,
  ...INSPECTION_COMMANDS,
  ...SESSION_COMMANDS,
];

/** A command that was named. */
export interface FoundCommand {
  /** The command. */
  readonly command: ShellCommandEntry;
  /** What is behind its name: `/4i`. */
  readonly format: string | undefined;
  /** Whether globs in its arguments are those of control files. */
  readonly globs: boolean;
}

/** The command of that name; `x/4i` is `x`, with the rest for it. */
export function findCommand(name: string): FoundCommand | undefined {
  const [, word = name, format] = /^(x|p|print)(\/\w*)$/.exec(name) ?? [];
  const command = SHELL_COMMANDS.find(({ names }) => names.includes(word));
  return command && { command, format, globs: FILE_COMMANDS.includes(command) };
}

function entry(
  name: string,
  words: string,
  text: string,
  run: ShellCommandEntry["run"],
  ...more: string[]
): ShellCommandEntry {
  return commandEntry([name, ...more], words, text, {
    run,
    ...name === "set" ? { details: SETTINGS } : {},
  });
}

function echo({ write }: ShellCommandContext, args: readonly string[]): number {
  let newline = true;
  let escapes = false;
  let at = 0;
  for (; /^-[neE]+$/.test(args[at] ?? ""); at++) {
    for (const letter of args[at]!.slice(1)) {
      if (letter === "n") newline = false;
      else escapes = letter === "e";
    }
  }
  const text = args.slice(at).join(" ");
  write(
    (escapes ? text.replace(/\\(.)/g, (all, letter) => ESCAPES[letter] ?? all) : text) +
      (newline ? "\n" : ""),
  );
  return 0;
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", "\\": "\\" };

function ls(context: ShellCommandContext, args: readonly string[]): number {
  const { tracefs, absolute, directory, write, complain } = context;
  const long = args.includes("-l");
  const named = args.filter((arg) => !/^-./.test(arg));
  const paths = named.length > 0 ? named : ["."];
  let status = 0;
  const row = (path: string, name: string) => {
    if (!long) return `${name}\n`;
    return `${tracefs.kind(path) === "directory" ? "drwxr-x---" : modeOf(tracefs, path)} ${name}\n`;
  };
  for (const path of paths) {
    const place = path === "." ? directory : absolute(path);
    try {
      if (tracefs.kind(place) === "file") {
        write(row(place, path));
        continue;
      }
      const names = tracefs.list(place);
      if (paths.length > 1) write(`${path}:\n`);
      for (const name of names) write(row(place === "" ? name : `${place}/${name}`, name));
    } catch (error) {
      if (!(error instanceof TracefsError)) throw error;
      complain(`ls: cannot access '${path}': ${error.words}`, error);
      status = 2;
    }
  }
  return status;
}

function modeOf(tracefs: Tracefs, path: string): string {
  const { readable, writable } = tracefs.access(path);
  return `-${readable ? "r" : "-"}${writable ? "w" : "-"}-${readable ? "r" : "-"}-----`;
}

function cd(context: ShellCommandContext, args: readonly string[]): number {
  const { tracefs, absolute, complain, changeDirectory } = context;
  const path = args[0];
  if (path === undefined) {
    changeDirectory("");
    return 0;
  }
  const to = tracefs.resolve(absolute(path));
  const kind = tracefs.kind(to);
  if (kind === "directory") {
    changeDirectory(to);
    return 0;
  }
  const words = kind === "file" ? "Not a directory" : "No such file or directory";
  complain(`sh: cd: ${path}: ${words}`, undefined);
  return 1;
}

function pwd({ write, directory }: ShellCommandContext): number {
  write(`/sys/kernel/tracing${directory === "" ? "" : `/${directory}`}\n`);
  return 0;
}

async function sysctl(context: ShellCommandContext, args: readonly string[]): Promise<number> {
  const { tracefs, write, complain } = context;
  let status = 0;
  for (const arg of args.filter((each) => each !== "-w")) {
    const [, name = arg, value] = /^([^=]*)(?:=([^]*))?$/.exec(arg) ?? [];
    const path = `/proc/sys/${name.replaceAll(".", "/")}`;
    try {
      if (value !== undefined) await tracefs.write(path, `${value}\n`);
      write(`${name} = ${tracefs.read(path)}`);
    } catch (error) {
      if (!(error instanceof TracefsError)) throw error;
      complain(
        tracefs.kind(path) === undefined
          ? `sysctl: cannot stat ${path}: No such file or directory`
          : `sysctl: setting key "${name}": ${error.words}`,
        error,
      );
      status = 1;
    }
  }
  return status;
}

function set(context: ShellCommandContext, args: readonly string[]): number {
  const [flag, value] = args;
  if (flag === "-e" || flag === "+e") {
    context.stopAtError(flag === "-e");
    return 0;
  }
  if (flag === "pagination" && (value === "on" || value === "off")) {
    context.usePager(value === "on");
    return 0;
  }
  const text = args.join(" ");
  if (/[^=!<>]=(?!=)/.test(text)) return assign(context, text);
  context.complain(
    `sh: set: ${text}: only -e, +e, pagination on|off and $REGISTER = VALUE are here`,
    undefined,
  );
  return 2;
}

function help(context: ShellCommandContext, [about]: readonly string[]): number {
  const { write, complain } = context;
  if (about !== undefined) {
    const found = findCommand(about)?.command;
    if (!found) {
      complain(`sh: help: ${about}: there is no such command; help lists them`, undefined);
      return 1;
    }
    const told = found.help ||
      SHELL_COMMANDS.find((each) => new RegExp(`\\b${found.names[0]}\\b`).test(each.help))?.help;
    write(`${found.names.join(", ")} ${found.arguments}\n${told ? `  ${told}\n` : ""}`);
    if (found.details !== undefined) write(`\n${found.details}`);
    if (found.repeats) write("\nAn empty line does it again.\n");
    return 0;
  }
  write(`The guest is stopped; its control files are those of the kernel's tracing folder.

Control files
${rowsOf(FILE_COMMANDS)}
Running the guest
${rowsOf(MOVEMENT_COMMANDS)}
Looking at it
${rowsOf(INSPECTION_COMMANDS)}
The shell
${rowsOf(SESSION_COMMANDS)}
The host
  !COMMAND                               run a command of the host's
  … !> FILE   … !>> FILE                 write output to a file of the host's
  … !| COMMAND                           hand output to a command of the host's: cat trace !| less

Words, quotes, globs, ;  &&  ||  |  >  >>  <  and $? are a shell's. Files are named from
/sys/kernel/tracing, where you are; /proc/sys/kernel/ftrace_enabled is there, too.

Try
  echo function_graph > current_tracer      cat available_tracers lists more
  echo 'foo*' > set_ftrace_filter           cat available_filter_functions lists names
  break main; run; x/4i $pc; finish
  continue until main && run
  cat trace | head -20
  cat README                                what the files are for
`);
  return 0;
}

function rowsOf(commands: readonly ShellCommandEntry[]): string {
  return commands.filter((command) => command.help !== "").map((command) => {
    const names = command.names.join(", ");
    return `  ${`${names} ${command.arguments}`.padEnd(38)} ${command.help}\n`;
  }).join("");
}

function exit({ exit: leave, complain }: ShellCommandContext, [code]: readonly string[]): number {
  if (code === undefined) return leave();
  if (/^\d+$/.test(code)) return leave(Number(code) & 255);
  complain(`sh: exit: ${code}: numeric argument required`, undefined);
  return leave(2);
}
