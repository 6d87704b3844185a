/**
 * The shell's commands as a table: what `help` lists and what a line calls.
 *
 * @module
 */
import { type Tracefs, TracefsError } from "../tracefs/mod.ts";
import { say } from "./host.ts";
import type { ShellCommandContext } from "./shell_context.ts";
import type { GuestControl, GuestResult } from "./shell_guest.ts";
import { cat, countLines, grep, head } from "./shell_text.ts";

/** A command of the shell: its names, its help and what it does. */
export interface ShellCommandEntry {
  /** The command's name and its aliases. */
  readonly names: readonly string[];
  /** The command's arguments, as `help` shows them. */
  readonly arguments: string;
  /** What the command does, in one line for `help`. */
  readonly help: string;
  /** Carries out the command and gives its exit status. */
  run(
    context: ShellCommandContext,
    args: readonly string[],
    name: string,
  ): number | Promise<number>;
}

/** All commands, in the order of `help`. */
export const SHELL_COMMANDS: readonly ShellCommandEntry[] = [
  entry("echo", "[-n] [-e] TEXT > FILE", "write a control file; >> appends", echo),
  entry("cat", "FILE…", "print control files; cat trace_pipe takes events out", cat),
  entry("ls", "[-l] [DIR…]", "list the control files", ls),
  entry("cd", "[DIR]", "go into a folder of them; pwd says where", cd),
  entry("pwd", "", "", pwd),
  entry("sysctl", "kernel.NAME[=VALUE]", "ftrace_enabled, stack_tracer_enabled", sysctl),
  entry("step", "[N]", "execute N instructions of the guest", step, "s", "si"),
  entry("next", "", "execute one; a call as a whole", next, "n", "ni"),
  entry(
    "continue",
    "[N | until FUNC]",
    "run on, for N instructions or up to a function",
    proceed,
    "c",
  ),
  entry("run", "", "run to the end, or Ctrl-C", (context) => finish(context, {}), "r"),
  entry("where", "[HART]", "the calls that the guest is in", where, "bt", "backtrace"),
  entry("regs", "[HART]", "its registers", registers),
  entry("grep", "[-v] [-c] [-i] REGEXP [FILE…]", "lines that match", grep),
  entry("head", "[-n N] [FILE…]", "the first lines; tail: the last", head),
  entry("tail", "[-n N] [FILE…]", "", head),
  entry("wc", "-l [FILE…]", "count lines", countLines),
  entry("set", "-e | +e", "end at the first command that fails", setFlag),
  entry("true", "", "", () => 0, ":"),
  entry("false", "", "", () => 1),
  entry("help", "", "this text", help, "?"),
  entry("exit", "[N]", "end the shell, and the guest with it", exit, "quit", "q"),
];

function entry(
  name: string,
  words: string,
  text: string,
  run: ShellCommandEntry["run"],
  ...more: string[]
): ShellCommandEntry {
  return { names: [name, ...more], arguments: words, help: text, run };
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

async function finish(
  { guest, write }: ShellCommandContext,
  until: Parameters<GuestControl["run"]>[0],
): Promise<number> {
  return shown(write, await guest.run(until));
}

function shown(write: (text: string) => void, { status, text }: GuestResult): number {
  write(text);
  return status;
}

/** Reads the number that `text` is, or complains. */
function countOf(
  { complain }: ShellCommandContext,
  name: string,
  text: string | undefined,
): bigint | undefined {
  if (text === undefined) return 1n;
  if (/^\d+$/.test(text)) return BigInt(text);
  complain(`sh: ${name}: ${text}: a number of instructions is needed`, undefined);
  return undefined;
}

async function step(
  context: ShellCommandContext,
  args: readonly string[],
  name: string,
): Promise<number> {
  const count = countOf(context, name, args[0]);
  return count === undefined ? 2 : shown(context.write, await context.guest.step(count));
}

async function next({ guest, write }: ShellCommandContext): Promise<number> {
  return shown(write, await guest.next());
}

async function proceed(
  context: ShellCommandContext,
  args: readonly string[],
  name: string,
): Promise<number> {
  const { tracefs, complain, host } = context;
  const [first, target] = args;
  if (first === undefined) return await finish(context, {});
  if (first !== "until") {
    const count = countOf(context, name, first);
    return count === undefined ? 2 : await finish(context, { count });
  }
  const { ftrace } = tracefs.state;
  const address = target === undefined
    ? undefined
    : /^0x[0-9a-f]+$/i.test(target)
    ? BigInt(target)
    : ftrace.lookup(target);
  if (address === undefined) {
    complain(`sh: ${name}: until ${target ?? ""}: no such function`, undefined);
    say(host, "continue until takes the name of a function of the guest, or an address 0x…");
    return 1;
  }
  return await finish(context, { address });
}

/** Reads the number of the hart that `text` names, or complains. */
function hartOf(
  { complain, guest }: ShellCommandContext,
  name: string,
  text = "0",
): number | undefined {
  if (/^\d+$/.test(text) && Number(text) < guest.harts) return Number(text);
  complain(`sh: ${name}: ${text}: no such hart; there are ${guest.harts}`, undefined);
  return undefined;
}

function where(context: ShellCommandContext, [text]: readonly string[], name: string): number {
  const hart = hartOf(context, name, text);
  if (hart === undefined) return 1;
  context.write(context.guest.where(hart));
  return 0;
}

function registers(context: ShellCommandContext, [text]: readonly string[], name: string): number {
  const hart = hartOf(context, name, text);
  if (hart === undefined) return 1;
  context.write(context.guest.registers(hart));
  return 0;
}

function setFlag(
  { stopAtError, complain }: ShellCommandContext,
  [flag]: readonly string[],
): number {
  if (flag === "-e" || flag === "+e") {
    stopAtError(flag === "-e");
    return 0;
  }
  complain(`sh: set: ${flag ?? ""}: only -e and +e are here`, undefined);
  return 2;
}

function help({ write }: ShellCommandContext): number {
  const rows = SHELL_COMMANDS.filter((command) => command.help !== "").map((command) => {
    const names = command.names.join(", ");
    return `  ${`${names} ${command.arguments}`.padEnd(38)} ${command.help}\n`;
  });
  write(`The guest is stopped; its control files are those of the kernel's tracing folder.

${rows.join("")}
Words, quotes, globs, ;  &&  ||  |  >  >>  <  and $? are a shell's. Files are named from
/sys/kernel/tracing, where you are; /proc/sys/kernel/ftrace_enabled is there, too.

Try
  echo function_graph > current_tracer      cat available_tracers lists more
  echo 'foo*' > set_ftrace_filter           cat available_filter_functions lists names
  continue until main && run
  cat trace | head -20
  cat README                                what the files are for
`);
  return 0;
}

function exit({ exit: leave, complain }: ShellCommandContext, [code]: readonly string[]): number {
  if (code === undefined) return leave();
  if (/^\d+$/.test(code)) return leave(Number(code) & 255);
  complain(`sh: exit: ${code}: numeric argument required`, undefined);
  return leave(2);
}
