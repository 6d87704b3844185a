/**
 * Keys and values of a histogram: which field, read and printed as its modifier says.
 *
 * The modifiers and widths are the kernel's (`kernel/trace/trace_events_hist.c`).
 *
 * @module
 */
import type { EventField, EventValue } from "./event_fields.ts";
import { type FindSymbol, symbolName, symbolText } from "./event_format.ts";
import { type FilterSubject, findField, toInteger } from "./event_subject.ts";

/** An event as a histogram sees it. */
export interface HistogramSubject extends FilterSubject {
  /** Return addresses, innermost first; asked for only if a key is the stack. */
  readonly stack: () => readonly bigint[];
  /** Its time by the trace's clock; in microseconds if so asked and if the clock counts nanoseconds. */
  readonly time: (inMicroseconds: boolean) => bigint;
}

/** The fields and names that a histogram command may refer to. */
export interface HistogramWords {
  /** The fields of the event. */
  readonly fields: readonly EventField[];
  /** Finds the symbol of an address. */
  readonly symbol: FindSymbol;
  /** Finds the name of a task. */
  readonly comm: (pid: number) => string | undefined;
  /** Whether the command asks for times in microseconds. */
  readonly inMicroseconds: boolean;
}

/** What a row has in one column: a number of 64 bits, a text, or a stack. */
export type Cell = bigint | string | readonly bigint[];

/** A key: where it comes from and how it prints. */
export interface Column {
  /** The column as the trigger file shows it, with its modifier. */
  readonly text: string;
  /** Name of the field whose values the column shows. */
  readonly name: string;
  /** What two events must have alike to share the column. */
  readonly type: string;
  /** Whether the column's cells are stacks. */
  readonly isStack: boolean;
  /** Whether the column's cells are text. */
  readonly isText: boolean;
  /** Whether the column's numbers are signed when rows are sorted. */
  readonly signed: boolean;
  /** Takes the column's cell from an event. */
  readonly read: (subject: HistogramSubject) => Cell;
  /** The text of a cell, with the column's name before it. */
  readonly print: (cell: Cell) => string;
}

/** What is wrong with a column: the kernel's words, if it has any, and the word its caret is under. */
export interface ColumnFault {
  /** The text of the error log; undefined if `word` says in words of this program what is wrong. */
  readonly fault: string | undefined;
  /** The part of the command that is wrong. */
  readonly word: string;
}

/** Blanks before a line of a stack, and most lines (`HIST_STACKTRACE_DEPTH`). */
const STACK_INDENT = " ".repeat(9), MOST_CALLERS = 16;

/** The kernel's words for a modifier that it does not know, or not there. */
export const BAD_MODIFIER = "Invalid field modifier";

const MODIFIER = /^(|hex|sym|sym-offset|execname|log2|usecs|buckets?=.+)$/;

/** The field that is an event's stack. */
const STACK = "common_stacktrace";
/** The field that is an event's time. */
const TIMESTAMP = "common_timestamp";

/** Names that an event without a field of that name has for a common one. */
const ALIASES: Readonly<Record<string, string>> = {
  cpu: "common_cpu",
  CPU: "common_cpu",
  stacktrace: STACK,
  STACKTRACE: STACK,
};

/** `FIELD.MODIFIER` taken apart. */
export function splitWord(word: string): { readonly name: string; readonly modifier: string } {
  const [, name, modifier = ""] = /^([^.]*)(?:\.(.*))?$/.exec(word)!;
  return { name: name!, modifier };
}

/** Whether words of a command ask for times, and whether in microseconds. */
export function timesOf(words: readonly string[]): {
  readonly used: boolean;
  readonly inMicroseconds: boolean;
} {
  const times = words.map(splitWord).filter(({ name }) => name === TIMESTAMP);
  return {
    used: times.length > 0,
    inMicroseconds: times.some(({ modifier }) => modifier === "usecs"),
  };
}

/** A column, or the kernel's words for what is wrong. */
export function makeColumn(word: string, words: HistogramWords): Column | ColumnFault {
  const { name: written, modifier } = splitWord(word);
  if (written.startsWith("$")) return { fault: "Couldn't find variable", word: written.slice(1) };
  if (!MODIFIER.test(modifier)) return { fault: BAD_MODIFIER, word: modifier };
  const isOwn = words.fields.some((field) => field.name === written);
  const name = isOwn ? written : ALIASES[written] ?? written;
  if (name === STACK && modifier === "") return stackColumn(words);
  const base = { name, text: modifier === "" ? name : `${name}.${modifier}`, isStack: false };
  if (name === TIMESTAMP) {
    const time = ({ time }: HistogramSubject) => time(words.inMicroseconds);
    return numberColumn(
      { ...base, type: "", isText: false, signed: false },
      modifier,
      time,
      words,
    );
  }
  const found = findField(name === "common_cpu" ? "cpu" : name, words.fields);
  if (!found) return { fault: "Couldn't find field", word: written };
  const { field, read } = found;
  const { type, size, signed } = field;
  const typed = { ...base, type: `${type} ${size} ${signed}`, signed };
  if (field.kind === "integer" || field.kind === "pointer") {
    const value = (subject: HistogramSubject) =>
      BigInt.asUintN(64, BigInt(read(subject) as number | bigint));
    return numberColumn({ ...typed, isText: false }, modifier, value, words);
  }
  if (modifier !== "") return { fault: BAD_MODIFIER, word: modifier };
  const isString = field.kind === "string";
  return {
    ...typed,
    isText: true,
    read: isString ? (subject) => read(subject) as string : (subject) => listText(read(subject)),
    print: (cell) => `${name}: ${String(cell).padEnd(50)}`,
  };
}

function stackColumn({ symbol }: HistogramWords): Column {
  return {
    text: STACK,
    name: STACK,
    type: "",
    isStack: true,
    isText: false,
    signed: false,
    read: ({ stack }) => stack().slice(0, MOST_CALLERS),
    print: (cell) =>
      `${STACK}:\n` +
      (cell as readonly bigint[]).map((address) =>
        `${STACK_INDENT}${symbolText(address, symbol)}\n`
      )
        .join(""),
  };
}

/** The column of an integer field, as its modifier has it read and printed. */
function numberColumn(
  base: Omit<Column, "read" | "print">,
  modifier: string,
  number: (subject: HistogramSubject) => bigint,
  { symbol, comm }: HistogramWords,
): Column | ColumnFault {
  const wrong: ColumnFault = { fault: BAD_MODIFIER, word: modifier };
  const { name } = base;
  const numeric = (print: (value: bigint) => string, read = number): Column => ({
    ...base,
    read,
    print: (cell) => `${name}: ${print(cell as bigint)}`,
  });
  const buckets = /^buckets?=(.+)$/.exec(modifier);
  if (buckets) {
    const width = toInteger(buckets[1]!);
    if (width === undefined || width <= 0n) return { ...wrong, word: buckets[1]! };
    const print = (value: bigint) => `~ ${value}-${value + width - 1n}`;
    const column = numeric(print, (subject) => number(subject) / width * width);
    return { ...column, text: `${name}.buckets=${width}`, signed: false };
  }
  switch (modifier) {
    case "":
    case "usecs":
      return numeric((value) => String(value).padStart(10));
    case "hex":
      return numeric((value) => value.toString(16));
    case "sym":
      return numeric((value) => `[${value.toString(16)}] ${symbolName(value, symbol).padEnd(45)}`);
    case "sym-offset":
      return numeric((value) => `[${value.toString(16)}] ${symbolText(value, symbol).padEnd(55)}`);
    case "execname": {
      if (name !== "common_pid") return wrong;
      const nameOf = (pid: number) => pid === 0 ? "<idle>" : comm(pid) ?? "<...>";
      return numeric((value) =>
        `${nameOf(Number(value)).padEnd(16)}[${String(value).padStart(10)}]`
      );
    }
    case "log2": {
      const print = (value: bigint) => `~ 2^${String(value).padEnd(2)}`;
      const column = numeric(print, (subject) => {
        const value = number(subject);
        return value <= 1n ? 0n : BigInt((value - 1n).toString(2).length);
      });
      return { ...column, signed: false };
    }
    default:
      return wrong;
  }
}

function listText(value: EventValue): string {
  return Array.isArray(value) ? `{${value.join(",")}}` : String(value);
}
