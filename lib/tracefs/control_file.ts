/**
 * One control file, and the kinds of file that recur: a number, a switch, a text that is only read.
 *
 * A write is an open, one `write()` of the whole text, and a close, as a shell's `echo` does it.
 * Numbers are read as the kernel's `kstrto*()` reads them: digits, one newline behind them, no blanks.
 *
 * @module
 */
import { invalid, TracefsError } from "./errno.ts";

/** How a file was opened for writing. */
export interface WriteMode {
  /** `>>` instead of `>`: what is there stays. */
  readonly append: boolean;
}

/** A file: what can be done with it. */
export interface ControlFile {
  /** Its content now. Without it, reading gives EINVAL. */
  readonly read?: () => string;
  /**
   * Takes what was written, the newline of `echo` included; an empty text is an open and a close.
   * Without it, writing gives EINVAL.
   */
  readonly write?: (text: string, mode: WriteMode) => void | Promise<void>;
  /** Empties the file where `>` opens it (`O_TRUNC`); what it refuses, `open()` has refused. */
  readonly truncate?: () => void;
}

/** Files by their path below the tree's root. */
export type ControlFiles = Readonly<Record<string, ControlFile>>;

/** Files that come and go: looked up whenever one is asked for. */
export interface FileGroup {
  /** Paths of the files there are now. */
  paths(): Iterable<string>;
  /** Finds the file that is at `path` now, or undefined. */
  find(path: string): ControlFile | undefined;
}

/** The range and base of numbers that {@linkcode parseNumber} takes. */
export interface NumberRange {
  /** Least value taken; `-` is refused unless this is negative. */
  readonly least?: bigint;
  /** Largest value that the kernel's type holds. */
  readonly most?: bigint;
  /** 0 takes `0x` and a leading `0` as C does; 10 by default. */
  readonly base?: 0 | 10 | 16;
}

/**
 * Reads a number as `kstrtoul()` does.
 *
 * @throws {TracefsError} EINVAL if it is none, ERANGE if the type does not hold it.
 */
export function parseNumber(text: string, what: string, range: NumberRange = {}): bigint {
  const { least = 0n, most = 2n ** 64n - 1n, base = 10 } = range;
  const [, sign = "", digits = ""] = /^([+-]?)([0-9a-zA-Z]+)\n?$/.exec(text) ?? [];
  const value = digits === "" ? undefined : digitsValue(digits, base);
  if (value === undefined || (sign === "-" && least >= 0n)) {
    throw invalid(`Cannot set ${what} to "${text.trimEnd()}": it takes a whole number`);
  }
  const signed = sign === "-" ? -value : value;
  if (signed < least || signed > most) {
    throw new TracefsError(
      "ERANGE",
      "write",
      `Cannot set ${what} to ${signed}: it takes ${least} to ${most}`,
    );
  }
  return signed;
}

function digitsValue(digits: string, base: 0 | 10 | 16): bigint | undefined {
  const hex = /^0[xX]([0-9a-fA-F]+)$/.exec(digits);
  if (base === 0 && hex) return BigInt(`0x${hex[1]}`);
  if (base === 0 && /^0[0-7]+$/.test(digits)) return BigInt(`0o${digits.slice(1)}`);
  if (base === 16) {
    const plain = hex?.[1] ?? digits;
    return /^[0-9a-fA-F]+$/.test(plain) ? BigInt(`0x${plain}`) : undefined;
  }
  return /^[0-9]+$/.test(digits) ? BigInt(digits) : undefined;
}

/** A file that holds a number. */
export function numberFile(
  what: string,
  get: () => bigint | number | string,
  set: (value: number) => void | Promise<void>,
  range: NumberRange = {},
): ControlFile {
  return {
    read: () => `${get()}\n`,
    write(text) {
      if (text === "") return;
      return set(Number(parseNumber(text, what, range)));
    },
  };
}

/** A file that holds 0 or 1 and takes nothing else. */
export function switchFile(
  what: string,
  get: () => boolean,
  set: (on: boolean) => void | Promise<void>,
): ControlFile {
  return {
    read: () => get() ? "1\n" : "0\n",
    write(text) {
      if (text === "") return;
      const value = parseNumber(text, what);
      if (value > 1n) throw invalid(`Cannot set ${what} to ${value}: it takes 0 or 1`);
      return set(value === 1n);
    },
  };
}

/** A file that can only be read. */
export function textFile(read: () => string): ControlFile {
  return { read };
}

/** The words of a text, as the kernel's parser cuts them: at white space. */
export function wordsOf(text: string): readonly string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
