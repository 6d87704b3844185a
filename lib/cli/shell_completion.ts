/**
 * What the Tab key offers at the shell: commands first on a line, functions where a command takes one,
 * files of the host's behind `!>`, and else control files.
 *
 * @module
 */
import { globMatch } from "../../mod.ts";
import type { Tracefs } from "../tracefs/mod.ts";
import { SHELL_COMMANDS } from "./shell_commands.ts";
import type { StoppedGuest } from "./shell_guest.ts";

/** What there is to complete to. */
export interface CompletionContext {
  /** The tree of control files. */
  readonly tracefs: Tracefs;
  /** The guest, whose functions have names. */
  readonly guest: StoppedGuest;
  /** Gives a typed path as the tree of files takes it. */
  absolute(path: string): string;
}

/** Commands that take a function first. */
const TAKES_FUNCTION =
  /(?:^|[;|&]\s*)\s*(?:(?:break|b|br|tbreak|tb|until|u|advance|disas|disassemble)\s+|(?:continue|c)\s+until\s+|info\s+(?:symbol|functions)\s+|(?:x|p|print)(?:\/\w*)?\s+[^;|]*?[&*(+-]?)$/;
/** Before a word that is written to a list of functions: it stands in front of the file. */
const ECHO = /(?:^|[;|&]\s*)\s*echo\s+(?:-\w+\s+)*(?:[^;|>]*\s)?['"]?!?$/;
/** Words that some commands take. */
const KEYWORDS: readonly (readonly [pattern: RegExp, words: readonly string[]])[] = [
  [/(?:^|[;|&]\s*)\s*(?:info|i)\s+$/, [
    "breakpoints",
    "frame",
    "functions",
    "harts",
    "registers",
    "symbol",
  ]],
  [/(?:^|[;|&]\s*)\s*set\s+$/, ["pagination"]],
  [/(?:^|[;|&]\s*)\s*set\s+pagination\s+$/, ["off", "on"]],
  [/(?:^|[;|&]\s*)\s*(?:continue|c)\s+$/, ["until"]],
];
/** Most names that are offered at once. */
const MOST = 500;

/** The words that may stand where the line ends, and the part of one that is there already. */
export function completeShellLine(context: CompletionContext, line: string): [string[], string] {
  const part = /[^\s;|<>&'"(!]*$/.exec(line)?.[0] ?? "";
  const before = line.slice(0, line.length - part.length);
  if (/!>>?\s*$/.test(before)) return [hostFiles(part), part];
  const starting = (words: readonly string[]) => words.filter((word) => word.startsWith(part));
  if (/(?:^|[;|&])\s*$/.test(before)) {
    return [starting(SHELL_COMMANDS.flatMap(({ names }) => names)), part];
  }
  if (/(?:^|[;|&]\s*)\s*(?:help|h|\?)\s+$/.test(before)) {
    return [starting(SHELL_COMMANDS.flatMap(({ names }) => names)), part];
  }
  const keywords = KEYWORDS.find(([pattern]) => pattern.test(before));
  if (keywords) return [starting(keywords[1]), part];
  if (TAKES_FUNCTION.test(before)) return [functions(context, part), part];
  if (ECHO.test(before)) return [functions(context, part), part];
  return [controlFiles(context, part), part];
}

function functions({ guest }: CompletionContext, part: string): string[] {
  if (part === "") return [];
  const names = new Set<string>();
  for (const { name } of guest.machine.symbols.functions) {
    if (name.startsWith(part) || /[*?]/.test(part) && globMatch(`${part}*`, name)) names.add(name);
    if (names.size === MOST) break;
  }
  return [...names].sort();
}

function controlFiles({ tracefs, absolute }: CompletionContext, part: string): string[] {
  const slash = part.lastIndexOf("/") + 1;
  const folder = absolute(part.slice(0, slash));
  if (tracefs.kind(folder) !== "directory") return [];
  const names = tracefs.list(folder).filter((name) => name.startsWith(part.slice(slash)));
  return names.map((name) => {
    const path = part.slice(0, slash) + name;
    return tracefs.kind(absolute(path)) === "directory" ? `${path}/` : path;
  });
}

function hostFiles(part: string): string[] {
  const slash = part.lastIndexOf("/") + 1;
  const folder = part.slice(0, slash);
  try {
    return [...Deno.readDirSync(folder === "" ? "." : folder)]
      .filter(({ name }) => name.startsWith(part.slice(slash)))
      .map(({ name, isDirectory }) => `${folder}${name}${isDirectory ? "/" : ""}`)
      .sort();
  } catch {
    return [];
  }
}
