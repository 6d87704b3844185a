/**
 * Histograms of events: the table behind a hist trigger, and its text to the character.
 *
 * An event adds to the row that its keys name (`kernel/trace/trace_events_hist.c`, `tracing_map.c`);
 * when there are as many rows as the size allows, an event of a new key is dropped and counted.
 * Rows of equal rank stand in the order of their first event.
 *
 * What a command says is `histogram_settings.ts`, what a key is `histogram_column.ts`, what a value
 * `histogram_value.ts`; which events a histogram sees is the trigger's affair.
 *
 * @module
 */
import type { CommandFault } from "./error_log.ts";
import {
  type Cell,
  type Column,
  type ColumnFault,
  type HistogramSubject,
  type HistogramWords,
  makeColumn,
  timesOf,
} from "./histogram_column.ts";
import {
  type HistogramRefusal,
  HistogramRefused,
  parseSettings,
  refuse,
  type Settings,
} from "./histogram_settings.ts";
import { HITCOUNT, makeValue, type ValueColumn, type ValueRange } from "./histogram_value.ts";

/** Everything between `hist:` and `if`, understood. */
export interface Histogram {
  /** `keys=…:vals=…:sort=…:size=N`, as the trigger file shows it. */
  readonly text: string;
  /** What makes two histograms of an event the same: all but the size, the clock and `nohitcount`. */
  readonly identity: string;
  /** What events that share a histogram must have alike: the identity, with the types of its fields. */
  readonly shape: string;
  /** `name=NAME`, by which events share a histogram. */
  readonly name: string | undefined;
  /** The trace clock that its times are by; undefined if it has none. */
  readonly clock: string | undefined;
  /** What the command asks of a histogram that is there: `pause`, `continue`, `clear`, or nothing. */
  readonly request: "pause" | "continue" | "clear" | undefined;
  /** Adds an event to the row of its keys. */
  add(subject: HistogramSubject): void;
  /** Empties the table (`clear`). */
  clear(): void;
  /** The `hist` file; `trigger` is the line that the trigger file shows for it. */
  read(trigger: string): string;
}

interface Row {
  readonly keys: readonly Cell[];
  readonly sums: bigint[];
  hits: bigint;
}

const MOST_KEYS = 3, MOST_VALUES = 2, MOST_SORT_KEYS = 2;

/** Reads `hist:keys=…` and makes an empty histogram, or says what is wrong. */
export function createHistogram(
  command: string,
  words: Omit<HistogramWords, "inMicroseconds">,
): { readonly histogram: Histogram } | { readonly refusal: HistogramRefusal } {
  try {
    return { histogram: build(command, words) };
  } catch (error) {
    if (!(error instanceof HistogramRefused)) throw error;
    return { refusal: error.refusal };
  }
}

function build(command: string, words: Omit<HistogramWords, "inMicroseconds">): Histogram {
  const settings = parseSettings(command);
  const faultAt = (text: string, word: string) => ({
    text,
    position: Math.max(0, command.indexOf(word)),
  });
  if (settings.keys.length === 0) refuse("a histogram needs keys=FIELD,…");
  if (settings.keys.length > MOST_KEYS) refuse(`${MOST_KEYS} keys are the most`);
  const times = timesOf([...settings.keys, ...settings.values]);
  const make = <T extends Column | ValueColumn>(
    maker: (word: string, words: HistogramWords) => T | ColumnFault,
  ) =>
  (written: string): T => {
    const made = maker(written, { ...words, inMicroseconds: times.inMicroseconds });
    if (!("fault" in made)) return made;
    const { fault, word } = made;
    if (fault === undefined) refuse(word);
    return refuse(`${fault}: ${written}`, faultAt(fault, word));
  };
  const values = withoutHitcount(settings.values).map(make(makeValue));
  if (values.length > MOST_VALUES) refuse(`${MOST_VALUES} values are the most`);
  if (settings.noHitcount && values.length === 0) {
    const text = "Non-hitcount value is required for 'nohitcount'";
    refuse(text, { text, position: 0 }, "ENOENT");
  }
  const keys = settings.keys.map(make(makeColumn));
  if (settings.sort.length > MOST_SORT_KEYS) {
    const text = `Too many sort fields (Max = ${MOST_SORT_KEYS})`;
    refuse(text, faultAt(text, "sort="));
  }
  const order = (settings.sort.length > 0 ? settings.sort : [HITCOUNT]).map((word) =>
    parseSortKey(word, keys, values, faultAt)
  );
  return new Rows(keys, values, order, settings, times.used);
}

/** Values besides the hits, which each histogram has once without being asked. */
function withoutHitcount(words: readonly string[]): readonly string[] {
  const first = words.indexOf(HITCOUNT);
  return words.filter((_, k) => k !== first);
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
  values: readonly ValueColumn[],
  faultAt: (text: string, word: string) => CommandFault,
): SortKey {
  const [, name, modifier] = /^([^.]*)(?:\.(.*))?$/.exec(word)!;
  if (name === "") refuse("Empty sort field", faultAt("Empty sort field", "sort="));
  const fits = (each: Column | ValueColumn) => each.name === name;
  const isKnown = name === HITCOUNT || keys.some(fits) || values.some(fits);
  if (isKnown && modifier !== undefined && !/^(a|de)scending$/.test(modifier)) {
    const text = "Invalid sort modifier";
    refuse(`${text}: ${modifier}`, faultAt(text, modifier));
  }
  const descending = modifier === "descending";
  if (name === HITCOUNT) return { text: name, descending, of: ({ hits }) => hits };
  const value = values.findIndex(fits);
  if (value >= 0) return { text: values[value]!.text, descending, of: ({ sums }) => sums[value]! };
  const key = keys.findIndex(fits);
  if (key >= 0) {
    const { signed, text } = keys[key]!;
    return { text, descending, of: ({ keys }) => ranked(keys[key]!, signed) };
  }
  const text = "Sort field must be a key or a val";
  return refuse(`${text}: ${name}`, faultAt(text, word));
}

/** The table: its rows by what its keys name. */
class Rows implements Histogram {
  readonly text: string;
  readonly identity: string;
  readonly shape: string;
  readonly name: string | undefined;
  readonly clock: string | undefined;
  readonly request: Histogram["request"];
  readonly #keys: readonly Column[];
  readonly #values: readonly ValueColumn[];
  readonly #order: readonly SortKey[];
  readonly #showsHits: boolean;
  /** How many rows the table has room for. */
  readonly #size: number;
  readonly #rows = new Map<string, Row>();
  #dropped = 0n;

  constructor(
    keys: readonly Column[],
    values: readonly ValueColumn[],
    order: readonly SortKey[],
    { name, bits, clock, noHitcount, request }: Settings,
    hasTimes: boolean,
  ) {
    this.#keys = keys;
    this.#values = values;
    this.#order = order;
    this.#showsHits = !noHitcount;
    this.#size = 1 << bits;
    this.name = name;
    this.clock = hasTimes ? clock : undefined;
    this.request = request;
    const textOf = (shown: readonly string[]) =>
      `${name === undefined ? "" : `${name}:`}keys=${keys.map(({ text }) => text)}:vals=` +
      `${[...shown, ...values.map(({ text }) => text)]}:sort=` +
      order.map(({ text, descending }) => text + (descending ? ".descending" : "")).join(",");
    this.identity = textOf([HITCOUNT]);
    this.shape = [this.identity, ...[...keys, ...values].map(({ type }) => type)].join("|");
    this.text = `${textOf(noHitcount ? [] : [HITCOUNT])}:size=${this.#size}` +
      (hasTimes ? `:clock=${clock}` : "") + (noHitcount ? ":nohitcount" : "");
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
      row.sums[k] = BigInt.asUintN(64, row.sums[k]! + read(subject));
    }
  }

  clear(): void {
    this.#rows.clear();
    this.#dropped = 0n;
  }

  read(trigger: string): string {
    const sorted = [...this.#rows.values()].sort((a, b) => this.#compare(a, b));
    const ranges = this.#values.map((_, k) => rangeOf(sorted.map(({ sums }) => sums[k]!)));
    const hits = sorted.reduce((sum, row) => sum + row.hits, 0n);
    return `# event histogram\n#\n# trigger info: ${trigger}\n#\n\n` +
      sorted.map((row) => this.#rowText(row, ranges)).join("") +
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

  #rowText({ keys: cells, sums, hits }: Row, ranges: readonly ValueRange[]): string {
    const named = cells.map((cell, k) => this.#keys[k]!.print(cell));
    // A stack ends in a line end of its own, and then no blank follows.
    const close = this.#keys.some(({ isStack }) => isStack) ? "}" : " }";
    const counted = this.#showsHits ? ` hitcount: ${String(hits).padStart(10)}` : "";
    const added = sums.map((sum, k) => `  ${this.#values[k]!.print(sum, ranges[k]!)}`).join("");
    return `{ ${named.join(", ")}${close}${counted}${added}\n`;
  }
}

function rangeOf(sums: readonly bigint[]): ValueRange {
  const total = sums.reduce((sum, each) => sum + each, 0n);
  return {
    max: sums.reduce((most, each) => each > most ? each : most, 0n),
    total: BigInt.asUintN(64, total),
  };
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
