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
}

/** The fields and names that a histogram command may refer to. */
export interface HistogramWords {
  /** The fields of the event. */
  readonly fields: readonly EventField[];
  /** Finds the symbol of an address. */
  readonly symbol: FindSymbol;
  /** Finds the name of a task. */
  readonly comm: (pid: number) => string | undefined;
}

/** What a row has in one column: a number of 64 bits, a text, or a stack. */
export type Cell = bigint | string | readonly bigint[];

/** A key or a value: where it comes from and how it prints. */
export interface Column {
  /** The column as the command names it, with its modifier. */
  readonly text: string;
  /** Name of the field whose values the column shows. */
  readonly name: string;
  /** Whether the column's cells are text. */
  readonly isText: boolean;
  /** Whether the column's numbers are signed when rows are sorted. */
  readonly signed: boolean;
  /** Takes the column's cell from an event. */
  readonly read: (subject: HistogramSubject) => Cell;
  /** The text of a cell, with the column's name before it. */
  readonly print: (cell: Cell) => string;
}

/** Blanks before a line of a stack, and most lines (`HIST_STACKTRACE_DEPTH`). */
const STACK_INDENT = " ".repeat(9), MOST_CALLERS = 16;

const FIELD_NOT_FOUND = "Couldn't find field";
const BAD_MODIFIER = "Invalid field modifier";

/** The field that is an event's stack. */
export const STACK = "common_stacktrace";

/** A column, or the kernel's words for what is wrong. */
export function makeColumn(word: string, words: HistogramWords): Column | string {
  const [, name, modifier = ""] = /^([^.]*)(?:\.(.*))?$/.exec(word)!;
  if ((name === STACK || name === "stacktrace") && modifier === "") return stackColumn(words);
  const found = findField(name === "common_cpu" ? "cpu" : name!, words.fields);
  if (!found) return FIELD_NOT_FOUND;
  const { field, read } = found;
  const base = { text: word, name: name!, isText: true, signed: field.signed };
  if (field.kind === "integer" || field.kind === "pointer") {
    const value = (subject: HistogramSubject) =>
      BigInt.asUintN(64, BigInt(read(subject) as number | bigint));
    return numberColumn({ ...base, isText: false }, modifier, value, words);
  }
  if (modifier !== "") return BAD_MODIFIER;
  const isString = field.kind === "string";
  return {
    ...base,
    read: isString ? (subject) => read(subject) as string : (subject) => listText(read(subject)),
    print: (cell) => `${name}: ${String(cell).padEnd(50)}`,
  };
}

function stackColumn({ symbol }: HistogramWords): Column {
  return {
    text: STACK,
    name: STACK,
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
): Column | string {
  const { name } = base;
  const numeric = (print: (value: bigint) => string, read = number): Column => ({
    ...base,
    read,
    print: (cell) => `${name}: ${print(cell as bigint)}`,
  });
  const buckets = /^buckets?=(.+)$/.exec(modifier);
  if (buckets) {
    const width = toInteger(buckets[1]!);
    if (width === undefined || width <= 0n) return BAD_MODIFIER;
    const print = (value: bigint) => `~ ${value}-${value + width - 1n}`;
    const column = numeric(print, (subject) => number(subject) / width * width);
    return { ...column, text: `${name}.buckets=${width}`, signed: false };
  }
  switch (modifier) {
    case "":
      return numeric((value) => String(value).padStart(10));
    case "hex":
      return numeric((value) => value.toString(16));
    case "sym":
      return numeric((value) => `[${value.toString(16)}] ${symbolName(value, symbol).padEnd(45)}`);
    case "sym-offset":
      return numeric((value) => `[${value.toString(16)}] ${symbolText(value, symbol).padEnd(55)}`);
    case "execname": {
      if (name !== "common_pid") return BAD_MODIFIER;
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
      return BAD_MODIFIER;
  }
}

function listText(value: EventValue): string {
  return Array.isArray(value) ? `{${value.join(",")}}` : String(value);
}
