/**
 * Values of a histogram: what an event adds to its row, and how a row's sum prints.
 *
 * A sum is a number, or its share of all sums (`.percent`), or a bar as long as it is beside the
 * largest (`.graph`). The texts and what is no value are the kernel's
 * (`kernel/trace/trace_events_hist.c`); what a field is, is `histogram_column.ts`.
 *
 * @module
 */
import {
  BAD_MODIFIER,
  type ColumnFault,
  type HistogramSubject,
  type HistogramWords,
  makeColumn,
  splitWord,
} from "./histogram_column.ts";

/** The sums of all rows in one column. */
export interface ValueRange {
  /** The largest of them. */
  readonly max: bigint;
  /** Their sum, in 64 bits. */
  readonly total: bigint;
}

/** A value of a histogram. */
export interface ValueColumn {
  /** The value as the trigger file shows it, with its modifier. */
  readonly text: string;
  /** Name of the field that is added up. */
  readonly name: string;
  /** What two events must have alike to share the column. */
  readonly type: string;
  /** What an event adds to its row. */
  readonly read: (subject: HistogramSubject) => bigint;
  /** The text of a row's sum, with the column's name before it. */
  readonly print: (sum: bigint, range: ValueRange) => string;
}

/** The value that counts events. */
export const HITCOUNT = "hitcount";

const BAR = 20;
const MOST = (1n << 64n) - 1n;

/** A value, or the kernel's words for what is wrong. */
export function makeValue(word: string, words: HistogramWords): ValueColumn | ColumnFault {
  const { name, modifier } = splitWord(word);
  const share = /^(percent|graph)/.exec(modifier)?.[1];
  const kind = share ?? modifier;
  const text = kind === "" ? name : `${name}.${kind}`;
  const print = printerOf(name, kind);
  if (name === HITCOUNT && print) return { text, name, type: "", read: () => 1n, print };
  const column = makeColumn(share ? name : word, words);
  if ("fault" in column) return column;
  if (!print || column.isStack) {
    // The kernel writes symXoffset before it parses, and then finds the word nowhere.
    return { fault: BAD_MODIFIER, word: word.replace("sym-offset", "symXoffset") };
  }
  if (column.isText) return { fault: undefined, word: `${name} is no number that can be added up` };
  return {
    text: kind === "" ? column.text : `${column.name}.${kind}`,
    name: column.name,
    type: column.type,
    read: column.read as (subject: HistogramSubject) => bigint,
    print: printerOf(column.name, kind)!,
  };
}

/** How a sum prints; undefined if values do not take the modifier. */
function printerOf(name: string, kind: string): ValueColumn["print"] | undefined {
  switch (kind) {
    case "":
    case "execname":
    case "usecs":
      return (sum) => `${name}: ${String(sum).padStart(10)}`;
    case "hex":
      return (sum) => `${name}: ${sum.toString(16).padStart(10)}`;
    case "percent":
      return (sum, { total }) => `${name} (%):${percentText(hundredths(sum, total))}`;
    case "graph":
      return (sum, { max }) => `${name}: ${barText(hundredths(sum, max))}`;
    default:
      return undefined;
  }
}

/** Hundredths of a percent that `value` is of `total`; undefined where that is no number. */
function hundredths(value: bigint, total: bigint): bigint | undefined {
  const exact = value < MOST / 10_000n;
  const whole = exact ? total : total / 10_000n;
  if (whole === 0n) return value === 0n ? 0n : undefined;
  return BigInt.asUintN(32, (exact ? value * 10_000n : value) / whole);
}

function percentText(share: bigint | undefined): string {
  if (share === undefined) return "[ERROR]";
  return ` ${String(share / 100n).padStart(3)}.${String(share % 100n).padStart(2, "0")}`;
}

function barText(share: bigint | undefined): string {
  if (share === undefined) return "[ERROR]".padStart(BAR);
  return "#".repeat(Math.min(BAR, Number(share * BigInt(BAR) / 10_000n))).padEnd(BAR);
}
