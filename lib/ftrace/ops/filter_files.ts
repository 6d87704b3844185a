/**
 * The control files that say what is traced: `set_ftrace_filter`, `set_ftrace_notrace`,
 * `set_graph_function`, `set_graph_notrace`, `set_ftrace_pid`, `set_ftrace_notrace_pid`.
 *
 * A write is one open, write and close: `>` starts from nothing and `>>` from what is there. As in
 * the kernel, words are taken one by one up to the first that is refused, and closing the file puts
 * what was taken in force even then; so a refused `>` leaves the file empty
 * (`kernel/trace/ftrace.c ftrace_regex_write`, `ftrace_regex_release`).
 *
 * The grammar of a pattern is `filter.ts`. Function commands (`func:command:count`) are registered
 * here by whoever has them; they are no part of the hash, so truncating leaves them.
 *
 * @module
 */
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import { type FtraceHash, isEmptyHash, matchRecords, noMatch, parsePattern } from "./filter.ts";
import { FtraceError } from "../ftrace_error.ts";
import { splitNames } from "./split_names.ts";
import type { PidFilter } from "./pid_filter.ts";

/** A control file of tracefs, as text to read and to write. */
export interface ControlFile {
  /** The file's text, with a newline at the end of every line. */
  read(): string;
  /**
   * `echo text > file`, or `>>` with `append`.
   *
   * @throws {FtraceError} EINVAL and the like, as the kernel's write. Words before the refused one
   * are in force.
   */
  write(text: string, options?: { readonly append?: boolean }): void;
}

/** The names of the control files that choose functions and tasks. */
export type FilterFileName =
  | "set_ftrace_filter"
  | "set_ftrace_notrace"
  | "set_graph_function"
  | "set_graph_notrace"
  | "set_ftrace_pid"
  | "set_ftrace_notrace_pid";

/** What a function command is told: one word of `set_ftrace_filter`. */
export interface FunctionCommandCall {
  /** The pattern of functions, without a leading `!`. */
  readonly pattern: string;
  /** Whether the command is to be removed instead of added (`!`). */
  readonly remove: boolean;
  /** Everything behind `pattern:command:`; undefined if there is nothing. */
  readonly parameter: string | undefined;
  /** The whole word as it was written. */
  readonly text: string;
}

/** A command of `set_ftrace_filter`. @throws {FtraceError} To refuse the word. */
export type FunctionCommand = (call: FunctionCommandCall) => void;

/** The control files that choose which functions and tasks are traced. */
export interface FilterFiles {
  /** The files by their name. */
  readonly files: Readonly<Record<FilterFileName, ControlFile>>;
  /** Adds a command (`register_ftrace_command`). @throws {FtraceError} EBUSY if the name is taken. */
  registerCommand(name: string, command: FunctionCommand): Disposable;
  /** Adds lines below the functions of `set_ftrace_filter`: probes, without line ends. */
  addListing(lines: () => readonly string[]): Disposable;
}

/** The records, hashes and tasks that {@linkcode createFilterFiles} works on. */
export interface FilterFilesContext {
  /** Everything that can be traced. */
  readonly records: readonly DynFtrace[];
  /** Hash of the function tracers. */
  readonly globalHash: FtraceHash;
  /** Hash of `set_graph_function` and `set_graph_notrace`. */
  readonly graphHash: FtraceHash;
  /** The lists of tasks whose calls are traced or not. */
  readonly pids: PidFilter;
  /** Changes half of a hash and makes sites follow. @throws {FtraceError} And changes nothing. */
  commit(hash: FtraceHash, which: "filter" | "notrace", next: HashHalf): void;
  /** Called when the lists of tasks have changed. */
  pidsChanged(): void;
}

/** Half of a hash, as a file is about to leave it. */
export interface HashHalf {
  /** Indices of records. */
  readonly records: ReadonlySet<number>;
  /** See {@linkcode FtraceHash.waiting}. */
  readonly waiting: readonly string[];
}

const EMPTY = {
  filter: "#### all functions enabled ####",
  notrace: "#### no functions disabled ####",
} as const;
const MAX_PID = 2 ** 31 - 1;

/** What a write has taken so far of one half of a hash. */
interface HalfTaken {
  readonly records: Set<number>;
  readonly waiting: string[];
}

/** Takes one word of a file. @throws {FtraceError} To refuse it. */
type TakeWord = (word: string, half: HalfTaken) => void;

/** Makes the files of one machine. */
export function createFilterFiles(context: FilterFilesContext): FilterFiles {
  const { records, globalHash, graphHash, pids } = context;
  const commands = new Map<string, FunctionCommand>();
  const listings = new Set<() => readonly string[]>();
  const functionWord = (which: "filter" | "notrace"): TakeWord => (word, half) =>
    takeFunction(records, commands, which, word, half);
  const graphWord: TakeWord = (word, half) => takeGraphFunction(records, word, half);
  const probes = () => [...listings].flatMap((lines) => lines());
  const none = () => [];
  return {
    files: {
      set_ftrace_filter: hashFile(context, globalHash, "filter", functionWord("filter"), probes),
      set_ftrace_notrace: hashFile(context, globalHash, "notrace", functionWord("notrace"), none),
      set_graph_function: hashFile(context, graphHash, "filter", graphWord, none),
      set_graph_notrace: hashFile(context, graphHash, "notrace", graphWord, none),
      set_ftrace_pid: createPidFile(pids.pids, "no pid\n", context.pidsChanged),
      set_ftrace_notrace_pid: createPidFile(pids.notracePids, "no pid\n", context.pidsChanged),
    },
    registerCommand(name, command) {
      if (commands.has(name) || name === "mod") {
        throw new FtraceError(
          "EBUSY",
          "already-enabled",
          `Cannot register the function command ${name}: there is one of that name`,
        );
      }
      commands.set(name, command);
      return { [Symbol.dispose]: () => void commands.delete(name) };
    },
    addListing(lines) {
      listings.add(lines);
      return { [Symbol.dispose]: () => void listings.delete(lines) };
    },
  };
}

/** A file of one half of a hash; `more` lists what else is in it. */
function hashFile(
  { records, commit }: FilterFilesContext,
  hash: FtraceHash,
  which: "filter" | "notrace",
  take: TakeWord,
  more: () => readonly string[],
): ControlFile {
  return {
    read() {
      const functions = [...hash[which]].sort((a, b) => a - b).map((k) => listedName(records[k]!));
      const lines = [
        ...(isEmptyHash(hash, which) ? [EMPTY[which]] : functions),
        ...hash.waiting[which],
        ...more(),
      ];
      return lines.map((line) => `${line}\n`).join("");
    },
    write(text, { append = false } = {}) {
      const half = append
        ? { records: new Set(hash[which]), waiting: [...hash.waiting[which]] }
        : { records: new Set<number>(), waiting: [] };
      writeWords(
        text,
        (word) => take(word, half),
        () => commit(hash, which, half),
      );
    },
  };
}

/** Runs `take` on each word and closes the file, also when a word was refused. */
function writeWords(text: string, take: (word: string) => void, close: () => void): void {
  try {
    for (const word of splitNames(text)) take(word);
  } finally {
    close();
  }
}

/** One word of `set_ftrace_filter` or `set_ftrace_notrace` (`ftrace_process_regex`). */
function takeFunction(
  records: readonly DynFtrace[],
  commands: ReadonlyMap<string, FunctionCommand>,
  which: "filter" | "notrace",
  word: string,
  half: HalfTaken,
): void {
  const [search, name, ...rest] = word.split(/(?<!:):(?!:)/) as [string, string?, ...string[]];
  if (name === "mod" && rest.length > 0) return takeModule(records, word, rest.join(":"), half);
  if (name === undefined) {
    if (!applyPattern(records, word, half.records)) throw noMatch(word, records);
    return;
  }
  const command = commands.get(name);
  if (!command) {
    throw new FtraceError(
      "EINVAL",
      "no-command",
      `Cannot set "${word}": there is no function command "${name}"`,
      [...commands.keys()].join(", ") || "a pattern of functions",
    );
  }
  if (which === "notrace") {
    throw new FtraceError(
      "EINVAL",
      "no-command",
      `Cannot set "${word}": set_ftrace_notrace takes no function commands`,
      "set_ftrace_filter",
    );
  }
  const remove = search.startsWith("!");
  const pattern = remove ? search.slice(1) : search;
  command({
    pattern,
    remove,
    parameter: rest.length > 0 ? rest.join(":") : undefined,
    text: word,
  });
}

/** Adds or removes what a pattern matches; false if that is nothing. */
function applyPattern(records: readonly DynFtrace[], word: string, into: Set<number>): boolean {
  const pattern = parsePattern(word);
  const found = matchRecords(pattern, records);
  for (const { index } of found) {
    if (pattern.negated) into.delete(index);
    else into.add(index);
  }
  return found.length > 0;
}

/** `pattern:mod:name`; what finds nothing waits for the module (`ftrace_mod_callback`). */
function takeModule(
  records: readonly DynFtrace[],
  word: string,
  module: string,
  half: HalfTaken,
): void {
  if (applyPattern(records, word, half.records)) return;
  const { text, negated } = parsePattern(word);
  if (negated) {
    const [search] = text.split(":");
    const kept = half.waiting.filter((each) =>
      !(each.slice(each.indexOf(":mod:") + 5) === module && (search === "*" || each === text))
    );
    if (kept.length === half.waiting.length) throw noMatch(word, records);
    half.waiting.splice(0, Infinity, ...kept);
    return;
  }
  if (records.some((record) => record.module === module)) throw noMatch(word, records);
  half.waiting.unshift(text);
}

/** One word of a graph file: no numbers, and taking away what is not there is refused. */
function takeGraphFunction(
  records: readonly DynFtrace[],
  word: string,
  { records: into }: { records: Set<number> },
): void {
  const pattern = parsePattern(word);
  const found = pattern.index === undefined && pattern.module === undefined
    ? matchRecords(pattern, records)
    : [];
  const affected = pattern.negated ? found.filter(({ index }) => into.has(index)) : found;
  if (affected.length === 0) throw noMatch(word, records);
  for (const { index } of affected) {
    if (pattern.negated) into.delete(index);
    else into.add(index);
  }
}

/** A file that holds a list of tasks; `empty` is what it reads while there is none. */
export function createPidFile(list: Set<number>, empty: string, changed: () => void): ControlFile {
  return {
    read: () =>
      list.size === 0 ? empty : [...list].sort((a, b) => a - b).map((k) => `${k}\n`).join(""),
    write(text, { append = false } = {}) {
      // A list is replaced as a whole: a number that cannot be read leaves none of this write.
      if (!append) list.clear();
      try {
        const more = text.split(/\s+/).filter((word) => word !== "").map(readPid);
        for (const pid of more) list.add(pid);
      } finally {
        changed();
      }
    },
  };
}

/** A function as lists print it: with parameters if they tell overloads apart, with its module behind it, if it is of one (`%ps`). */
export function listedName({ name, signature, module }: DynFtrace): string {
  return module === undefined ? signature ?? name : `${signature ?? name} [${module}]`;
}

function readPid(word: string): number {
  const pid = /^(0x[0-9a-f]+|\d+)$/i.test(word) ? Number(word) : NaN;
  if (pid <= MAX_PID) return pid;
  throw new FtraceError(
    "EINVAL",
    "not-a-number",
    `Cannot read "${word}" as the number of a task`,
    "numbers from 0 on, separated by white space",
  );
}
