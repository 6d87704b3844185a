/**
 * A histogram of whole numbers as bars of text, for tracers that say how something is spread.
 *
 * @module
 */

/** How wide buckets are: powers of two, or steps of so much. */
export type BarChartScale = "log2" | bigint;

/** Values, counted by bucket. */
export interface BarChart {
  /** How many values were counted. */
  readonly count: number;
  /** The sum of the values. */
  readonly total: bigint;
  /** Counts a value. */
  add(value: bigint): void;
  /** A line for each bucket from the lowest in use to the highest. Wide spreads get wider steps. */
  lines(): readonly string[];
}

const BAR = 40;
const MOST_LINES = 32;

/**
 * Makes an empty histogram.
 *
 * @example
 * ```ts
 * import { createBarChart } from "./bar_chart.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const sizes = createBarChart("log2");
 * for (const size of [24n, 30n, 100n]) sizes.add(size);
 * assertEquals(sizes.lines()[0]!.trim().split(/ {2,}/)[0], "[16, 32)");
 * ```
 *
 * @throws {RangeError} For a step below 1.
 */
export function createBarChart(scale: BarChartScale): BarChart {
  if (scale !== "log2" && scale < 1n) {
    throw new RangeError(`Cannot make a histogram with steps of ${scale}: 1 is the least`);
  }
  const bucket = scale === "log2" ? log2Bucket : (value: bigint) => floorTo(value, scale);
  const buckets = new Map<bigint, number>();
  let count = 0;
  let total = 0n;
  return {
    get count() {
      return count;
    },
    get total() {
      return total;
    },
    add(value) {
      const low = bucket(value);
      buckets.set(low, (buckets.get(low) ?? 0) + 1);
      count++;
      total += value;
    },
    lines: () => count === 0 ? [] : scale === "log2" ? log2Lines(buckets) : steps(buckets, scale),
  };
}

function log2Lines(buckets: ReadonlyMap<bigint, number>): readonly string[] {
  const next = (low: bigint) => low < -1n ? low / 2n : low < 1n ? low + 1n : low * 2n;
  return barLines(buckets, next, (low) => {
    if (low >= -1n && low <= 1n) return `${low}`;
    const far = short(low * 2n);
    return low < 0n ? `(${far}, ${short(low)}]` : `[${short(low)}, ${far})`;
  });
}

function steps(buckets: ReadonlyMap<bigint, number>, step: bigint): readonly string[] {
  const [first, last] = ends(buckets);
  let width = step;
  while ((last - first) / width >= MOST_LINES) width *= 2n;
  const wide = new Map<bigint, number>();
  for (const [low, count] of buckets) {
    const to = floorTo(low, width);
    wide.set(to, (wide.get(to) ?? 0) + count);
  }
  const label = (low: bigint) => width === 1n ? `${low}` : `[${low}, ${low + width})`;
  return barLines(wide, (low) => low + width, label);
}

function ends(buckets: ReadonlyMap<bigint, number>): readonly [first: bigint, last: bigint] {
  const sorted = [...buckets.keys()].sort((a, b) => a < b ? -1 : a > b ? 1 : 0);
  return [sorted[0]!, sorted.at(-1)!];
}

function barLines(
  buckets: ReadonlyMap<bigint, number>,
  next: (low: bigint) => bigint,
  label: (low: bigint) => string,
): readonly string[] {
  const [first, last] = ends(buckets);
  const lows: bigint[] = [];
  for (let low = first; low <= last; low = next(low)) lows.push(low);
  const labels = lows.map(label);
  const width = Math.max(...labels.map(({ length }) => length));
  const most = Math.max(...buckets.values());
  return lows.map((low, k) => {
    const count = buckets.get(low) ?? 0;
    // What is there shows, however little it is.
    const bar = "#".repeat(Math.max(Math.round(count / most * BAR), Math.sign(count)));
    return `  ${labels[k]!.padEnd(width)}  ${String(count).padStart(8)} |${bar.padEnd(BAR)}|`;
  });
}

function floorTo(value: bigint, step: bigint): bigint {
  const rest = value % step;
  return value - (rest < 0n ? rest + step : rest);
}

/** The power of two at or below a value; for a negative one that of its distance from 0. */
function log2Bucket(value: bigint): bigint {
  const size = value < 0n ? -value : value;
  const low = size === 0n ? 0n : 1n << BigInt(size.toString(2).length - 1);
  return value < 0n ? -low : low;
}

/** A power of two with a unit: 4096 is 4K. */
function short(value: bigint): string {
  const units = ["", "K", "M", "G", "T", "P", "E"];
  let rest = value, unit = 0;
  while (rest % 1024n === 0n && unit < units.length - 1) rest /= 1024n, unit++;
  return `${rest}${units[unit]}`;
}
