/**
 * Histograms of events: the table behind a hist trigger, and its text to the character.
 *
 * An event adds to the row that its keys name (`kernel/trace/trace_events_hist.c`, `tracing_map.c`);
 * when there are as many rows as the size allows, an event of a new key is dropped and counted.
 * Rows of equal rank stand in the order of their first event.
 *
 * What a key or a value is, is `histogram_column.ts`; which events it sees is the trigger's affair.
 *
 * @module
 */
import type { CommandFault } from "./error_log.ts";
import { toInteger } from "./event_subject.ts";
import {
  type Cell,
  type Column,
  type HistogramSubject,
  type HistogramWords,
  makeColumn,
  STACK,
} from "./histogram_column.ts";

/** Everything between `hist:` and `if`, understood. */
export interface Histogram {
  /** `keys=…:vals=…:sort=…:size=N`, as the trigger file shows it. */
  readonly text: string;
  /** What makes two histograms of an event the same: all but the size. */
  readonly identity: string;
  /** What the command asks of a histogram that is there: `pause`, `continue`, `clear`, or nothing. */
  readonly request: "pause" | "continue" | "clear" | undefined;
  /** Adds an event to the row of its keys. */
  add(subject: HistogramSubject): void;
  /** Empties the table (`clear`). */
  clear(): void;
  /** The `hist` file; `trigger` is the line that the trigger file shows for it. */
  read(trigger: string): string;
}

/** Why a command is refused: what the log gets, if the kernel logs it, and why in words. */
export interface HistogramRefusal {
  /** For the error log; the position counts from the command's `hist:`. */
  readonly fault: CommandFault | undefined;
  /** The reason in words of this program, not the kernel's. */
  readonly why: string;
}

interface Row {
  readonly keys: readonly Cell[];
  readonly sums: bigint[];
  hits: bigint;
}

const DEFAULT_BITS = 11, LEAST_BITS = 7, MOST_BITS = 17;
const MOST_KEYS = 3, MOST_VALUES = 2, MOST_SORT_KEYS = 2;
/** Leaves the parser; it never leaves this file. */
interface Thrown {
  readonly refusal: HistogramRefusal;
}

/** Reads `hist:keys=…` and makes an empty histogram, or says what is wrong. */
export function createHistogram(
  command: string,
  words: HistogramWords,
): { readonly histogram: Histogram } | { readonly refusal: HistogramRefusal } {
  try {
    return { histogram: build(command, words) };
  } catch (error) {
    if (typeof error !== "object" || error === null || !("refusal" in error)) throw error;
    return { refusal: (error as Thrown).refusal };
  }
}

function refuse(why: string, fault?: CommandFault): never {
  const thrown: Thrown = { refusal: { why, fault } };
  throw thrown;
}

function build(command: string, words: HistogramWords): Histogram {
  const settings = parseSettings(command);
  const faultAt = (text: string, word: string) => ({
    text,
    position: Math.max(0, command.indexOf(word)),
  });
  if (settings.keys.length === 0) refuse("a histogram needs keys=FIELD,…");
  if (settings.keys.length > MOST_KEYS) refuse(`${MOST_KEYS} keys are the most`);
  const column = (word: string) => {
    const made = makeColumn(word, words);
    if (typeof made === "string") refuse(`${made}: ${word}`, faultAt(made, word));
    return made;
  };
  const keys = settings.keys.map(column);
  const values = settings.values.filter((word) => word !== "hitcount").map(column);
  if (values.length > MOST_VALUES) refuse(`${MOST_VALUES} values are the most`);
  const wrong = values.find(({ isText, name }) => isText || name === STACK);
  if (wrong) refuse(`${wrong.name} is no number that can be added up`);
  if (settings.sort.length > MOST_SORT_KEYS) {
    const text = `Too many sort fields (Max = ${MOST_SORT_KEYS})`;
    refuse(text, faultAt(text, "sort="));
  }
  const order = (settings.sort.length > 0 ? settings.sort : ["hitcount"]).map((word) =>
    parseSortKey(word, keys, values, faultAt)
  );
  return new Rows(keys, values, order, settings);
}

/** What rows are ranked by. */
interface SortKey {
  readonly text: string;
  readonly descending: boolean;
  readonly of: (row: Row) => Cell;
}

function parseSortKey(
  word: string,
  keys: readonly Column[],
  values: readonly Column[],
  faultAt: (text: string, word: string) => CommandFault,
): SortKey {
  const [, name, modifier] = /^([^.]*)(?:\.(.*))?$/.exec(word)!;
  if (name === "") refuse("Empty sort field", faultAt("Empty sort field", "sort="));
  const fits = (each: Column) => each.name === name;
  const isKnown = name === "hitcount" || keys.some(fits) || values.some(fits);
  if (isKnown && modifier !== undefined && !/^(a|de)scending$/.test(modifier)) {
    const text = "Invalid sort modifier";
    refuse(`${text}: ${modifier}`, faultAt(text, modifier));
  }
  const descending = modifier === "descending";
  if (name === "hitcount") return { text: name, descending, of: ({ hits }) => hits };
  const key = keys.findIndex(fits);
  if (key >= 0) {
    const { signed, text } = keys[key]!;
    return { text, descending, of: ({ keys }) => ranked(keys[key]!, signed) };
  }
  const value = values.findIndex(fits);
  if (value >= 0) return { text: values[value]!.text, descending, of: ({ sums }) => sums[value]! };
  const text = "Sort field must be a key or a val";
  return refuse(`${text}: ${name}`, faultAt(text, word));
}

/** The table: its rows by what its keys name. */
class Rows implements Histogram {
  readonly text: string;
  readonly identity: string;
  readonly request: Histogram["request"];
  readonly #keys: readonly Column[];
  readonly #values: readonly Column[];
  readonly #order: readonly SortKey[];
  /** How many rows the table has room for. */
  readonly #size: number;
  readonly #rows = new Map<string, Row>();
  #dropped = 0n;

  constructor(
    keys: readonly Column[],
    values: readonly Column[],
    order: readonly SortKey[],
    { bits, request }: Settings,
  ) {
    this.#keys = keys;
    this.#values = values;
    this.#order = order;
    this.#size = 1 << bits;
    this.request = request;
    const list = (columns: readonly Column[]) => columns.map(({ text }) => text).join(",");
    const sorted = order.map(({ text, descending }) => text + (descending ? ".descending" : ""));
    this.identity = `keys=${list(keys)}:vals=${["hitcount", ...values.map(({ text }) => text)]}` +
      `:sort=${sorted}`;
    this.text = `${this.identity}:size=${this.#size}`;
  }

  add(subject: HistogramSubject): void {
    const cells = this.#keys.map(({ read }) => read(subject));
    const name = cells.map((cell) => `${String(cell).length}:${cell}`).join("|");
    let row = this.#rows.get(name);
    if (!row) {
      if (this.#rows.size >= this.#size) {
        this.#dropped++;
        return;
      }
      this.#rows.set(name, row = { keys: cells, sums: this.#values.map(() => 0n), hits: 0n });
    }
    row.hits++;
    for (const [k, { read }] of this.#values.entries()) {
      row.sums[k] = BigInt.asUintN(64, row.sums[k]! + (read(subject) as bigint));
    }
  }

  clear(): void {
    this.#rows.clear();
    this.#dropped = 0n;
  }

  read(trigger: string): string {
    const sorted = [...this.#rows.values()].sort((a, b) => this.#compare(a, b));
    const hits = sorted.reduce((sum, row) => sum + row.hits, 0n);
    return `# event histogram\n#\n# trigger info: ${trigger}\n#\n\n` +
      sorted.map((row) => this.#rowText(row)).join("") +
      `\nTotals:\n    Hits: ${hits}\n    Entries: ${this.#rows.size}\n` +
      `    Dropped: ${this.#dropped}\n`;
  }

  #compare(a: Row, b: Row): number {
    for (const { of, descending } of this.#order) {
      const difference = compareCells(of(a), of(b));
      if (difference !== 0) return descending ? -difference : difference;
    }
    return 0;
  }

  #rowText({ keys: cells, sums, hits }: Row): string {
    const named = cells.map((cell, k) => this.#keys[k]!.print(cell));
    // A stack ends in a line end of its own, and then no blank follows.
    const close = this.#keys.some(({ name }) => name === STACK) ? "}" : " }";
    const added = sums.map((sum, k) => `  ${this.#values[k]!.print(sum)}`).join("");
    return `{ ${named.join(", ")}${close} hitcount: ${String(hits).padStart(10)}${added}\n`;
  }
}

interface Settings {
  readonly keys: readonly string[];
  readonly values: readonly string[];
  readonly sort: readonly string[];
  readonly bits: number;
  readonly request: Histogram["request"];
}

function parseSettings(command: string): Settings {
  let keys: readonly string[] = [], values: readonly string[] = [], sort: readonly string[] = [];
  let bits = DEFAULT_BITS;
  let request: Histogram["request"];
  for (const part of command.split(":").slice(1)) {
    if (/^\w+=$/.test(part)) {
      refuse("Empty assignment", { text: "Empty assignment", position: command.indexOf(part) });
    }
    const [, name, value] = /^([a-z]+)(?:=(.*))?$/.exec(part) ?? [];
    const list = value === undefined ? [] : value.split(",");
    switch (value === undefined ? name : `${name}=`) {
      case "key=":
      case "keys=":
        keys = list.filter((word) => word !== "");
        break;
      case "val=":
      case "vals=":
      case "values=":
        values = list.filter((word) => word !== "");
        break;
      case "sort=":
        sort = list;
        break;
      case "size=": {
        const size = toInteger(value!);
        bits = size === undefined || size <= 0n ? 0 : (size - 1n).toString(2).length;
        if (size === 1n || bits < LEAST_BITS || bits > MOST_BITS) {
          refuse(`size=${value} is not from ${(1 << LEAST_BITS) / 2 + 1} to ${1 << MOST_BITS}`);
        }
        break;
      }
      case "pause":
        request = "pause";
        break;
      case "cont":
      case "continue":
        request = "continue";
        break;
      case "clear":
        request = "clear";
        break;
      default:
        refuse(
          `there is no "${part}"; it takes keys=, vals=, sort=, size=, pause, continue, clear`,
        );
    }
  }
  return { keys, values, sort, bits, request };
}

/** A cell as it is compared: numbers by their sign, a stack by its text. */
function ranked(cell: Cell, signed: boolean): Cell {
  return signed && typeof cell === "bigint" ? BigInt.asIntN(64, cell) : cell;
}

function compareCells(a: Cell, b: Cell): number {
  if (typeof a === "bigint" && typeof b === "bigint") return a < b ? -1 : a > b ? 1 : 0;
  const left = String(a), right = String(b);
  return left < right ? -1 : left > right ? 1 : 0;
}
