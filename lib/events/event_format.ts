/**
 * How an event is described and printed: the `format` file, and the kernel's printf.
 *
 * A print format is C's, with the kernel's additions for addresses (`%ps` a function's name, `%pS`
 * with offset and size). Each conversion takes the next field, in the order they were declared; what
 * a format file shows as its arguments follows from the field's type.
 *
 * Where fields lie is `event_fields.ts`.
 *
 * @module
 */
import {
  COMMON_FIELDS,
  type EventField,
  type EventValue,
  type EventValues,
  maskWords,
} from "./event_fields.ts";

/** An event as its `format` file describes it. */
export interface EventDescription {
  /** The event's group: its folder under `events`. */
  readonly system: string;
  /** Name of the event: its folder under that of the group. */
  readonly name: string;
  /** The event's number, which every record of it begins with. */
  readonly id: number;
  /** The event's own fields; {@linkcode COMMON_FIELDS} precede them. */
  readonly fields: readonly EventField[];
  /** The `print fmt:` of the format file: a quoted format and its arguments. */
  readonly printFormat: string;
}

/** The symbol that covers an address, for `%ps` and `%pS`. */
export type FindSymbol = (
  address: bigint,
) => { readonly name: string; readonly address: bigint; readonly size: bigint } | undefined;

/** Describes an event's record as `events/SYSTEM/NAME/format` does. */
export function eventFormat({ name, id, fields, printFormat }: EventDescription): string {
  const lines = [`name: ${name}`, `ID: ${id}`, "format:"];
  const describe = (field: EventField) =>
    lines.push(
      `\tfield:${declarationOf(field)};\toffset:${field.offset};\tsize:${field.size};` +
        `\tsigned:${field.signed ? 1 : 0};`,
    );
  COMMON_FIELDS.forEach(describe);
  lines.push("");
  fields.forEach(describe);
  lines.push("", `print fmt: ${printFormat}`);
  return lines.map((line) => `${line}\n`).join("");
}

/** A field as C declares it: `char comm[16]`. */
export function declarationOf({ type, name, length }: EventField): string {
  if (length === undefined) return `${type} ${name}`;
  return `${type} ${name}[${length === 0 ? "" : length}]`;
}

/** One conversion of a print format, or the text between two. */
type Piece =
  | string
  | {
    readonly flags: string;
    readonly width: number;
    readonly precision: number | undefined;
    readonly bits: number;
    readonly conversion: string;
    /** Index of the argument among the conversions of the format. */
    readonly argument: number;
  };

const LENGTHS: Readonly<Record<string, number>> = { hh: 8, h: 16, "": 32 };

/** @throws {SyntaxError} If a conversion is none of the kernel's. */
function parsePrint(format: string): readonly Piece[] {
  const pieces: Piece[] = [];
  const conversions = /%([-0+ #]*)(\d*)(?:\.(\d+))?(hh|h|ll|l|L|q|z|t|j)?(%|p[sSB]|[diuxXocsp])/y;
  let argument = 0;
  for (let at = 0; at < format.length;) {
    const next = format.indexOf("%", at);
    const until = next < 0 ? format.length : next;
    if (until > at) pieces.push(format.slice(at, until));
    at = until;
    if (next < 0) break;
    conversions.lastIndex = at;
    const found = conversions.exec(format);
    if (!found) {
      throw new SyntaxError(
        `Cannot read the print format "${format}": no conversion begins "${
          format.slice(at, at + 3)
        }"`,
      );
    }
    at = conversions.lastIndex;
    const [, flags, width, precision, length = "", conversion] = found;
    if (conversion === "%") pieces.push("%");
    else {
      pieces.push({
        flags: flags!,
        width: Number(width),
        precision: precision === undefined ? undefined : Number(precision),
        bits: LENGTHS[length] ?? 64,
        conversion: conversion!,
        argument: argument++,
      });
    }
  }
  return pieces;
}

/** Prints the values of fields, in their order, as `format` says. */
export type PrintEvent = (values: EventValues, symbol: FindSymbol) => string;

/**
 * Makes the printer of a format whose conversions take `fields` in order.
 *
 * @throws {SyntaxError} If a conversion is unknown, there are more of them than fields, or one does
 * not fit its field's type.
 */
export function compilePrint(format: string, fields: readonly EventField[]): PrintEvent {
  const pieces = parsePrint(format);
  for (const piece of pieces) {
    if (typeof piece === "string") continue;
    const field = fields[piece.argument];
    const refuse = (why: string) =>
      new SyntaxError(`Cannot read the print format "${format}": ${why}`);
    if (!field) throw refuse(`it has more conversions than there are fields (${fields.length})`);
    const takesText = field.kind !== "integer" && field.kind !== "pointer";
    if (takesText !== (piece.conversion === "s")) {
      throw refuse(`%${piece.conversion} does not fit ${field.name}, which is ${field.type}`);
    }
  }
  return (values, symbol) =>
    pieces.map((piece) => {
      if (typeof piece === "string") return piece;
      const field = fields[piece.argument]!;
      return convert(piece, field, values[field.name]!, symbol);
    }).join("");
}

function convert(
  piece: Exclude<Piece, string>,
  field: EventField,
  value: EventValue,
  symbol: FindSymbol,
): string {
  const { flags, width, conversion, bits, precision } = piece;
  const left = flags.includes("-");
  const pad = (text: string) => left ? text.padEnd(width) : text.padStart(width);
  if (conversion === "s") {
    const text = textOf(field, value);
    return pad(precision === undefined ? text : text.slice(0, precision));
  }
  const wide = BigInt(value as number | bigint);
  if (conversion === "c") return pad(String.fromCharCode(Number(wide & 0xffn)));
  if (conversion.startsWith("p")) {
    return pad(pointerText(conversion, BigInt.asUintN(64, wide), symbol));
  }
  const signed = conversion === "d" || conversion === "i";
  const number = signed ? BigInt.asIntN(bits, wide) : BigInt.asUintN(bits, wide);
  const radix = conversion === "o" ? 8 : conversion === "x" || conversion === "X" ? 16 : 10;
  let digits = (number < 0n ? -number : number).toString(radix);
  if (conversion === "X") digits = digits.toUpperCase();
  if (precision !== undefined) digits = digits.padStart(precision, "0");
  const prefix = number < 0n
    ? "-"
    : signed && flags.includes("+")
    ? "+"
    : signed && flags.includes(" ")
    ? " "
    : flags.includes("#") && radix === 16
    ? `0${conversion}`
    : flags.includes("#") && radix === 8
    ? "0"
    : "";
  if (flags.includes("0") && !left && precision === undefined) {
    digits = digits.padStart(width - prefix.length, "0");
  }
  return pad(prefix + digits);
}

function pointerText(conversion: string, address: bigint, symbol: FindSymbol): string {
  if (conversion === "p") return address.toString(16).padStart(16, "0");
  if (conversion === "ps") return symbolName(address, symbol);
  return symbolText(address, symbol);
}

/** The name of the symbol that covers an address, or the address where there is none (`%ps`). */
export function symbolName(address: bigint, symbol: FindSymbol): string {
  return symbol(address)?.name ?? `0x${address.toString(16)}`;
}

/** `name+0x8/0xf0`, or the address where there is no symbol (`%pS`). */
export function symbolText(address: bigint, symbol: FindSymbol): string {
  const found = symbol(address);
  if (!found) return `0x${address.toString(16)}`;
  return `${found.name}+0x${(address - found.address).toString(16)}/0x${found.size.toString(16)}`;
}

/** A value that is no integer as `%s` prints it: text, `{0x1,0x2}`, a list of CPUs, a mask's words. */
function textOf(field: EventField, value: EventValue): string {
  if (typeof value === "string") return value;
  const list = value as readonly (number | bigint)[];
  switch (field.kind) {
    case "cpumask":
    case "bitmask": {
      // As %*pb prints whole words: groups of 32 bits, a comma between two.
      const hex = [...maskWords(list.map(Number))].reverse().map((word) =>
        word.toString(16).padStart(16, "0")
      ).join("");
      return hex.replace(/(.{8})(?=.)/g, "$1,");
    }
    default: {
      const bits = field.elementSize * 8;
      return `{${
        list.map((each) => `0x${BigInt.asUintN(bits, BigInt(each)).toString(16)}`).join(",")
      }}`;
    }
  }
}

/** The `print fmt:` of a format whose conversions take `fields` in order. */
export function printFormatOf(format: string, fields: readonly EventField[]): string {
  const count = parsePrint(format).filter((piece) => typeof piece !== "string").length;
  const text = format.replace(/["\\]/g, "\\$&").replace(/\n/g, "\\n").replace(/\t/g, "\\t");
  return [`"${text}"`, ...fields.slice(0, count).map(argumentOf)].join(", ");
}

function argumentOf({ name, kind, dynamic, elementSize, length }: EventField): string {
  switch (kind) {
    case "string":
      return dynamic ? `__get_str(${name})` : `REC->${name}`;
    case "cpumask":
      return `__get_cpumask(${name})`;
    case "bitmask":
      return `__get_bitmask(${name})`;
    case "array":
      return dynamic
        ? `__print_array(__get_dynamic_array(${name}), ` +
          `__get_dynamic_array_len(${name}) / ${elementSize}, ${elementSize})`
        : `__print_array(REC->${name}, ${length}, ${elementSize})`;
    default:
      return `REC->${name}`;
  }
}

/** A format that names each field and prints its value: for events whose text a function makes. */
export function plainPrint(fields: readonly EventField[]): string {
  return fields.map((field) => {
    const { name, kind, signed, elementSize } = field;
    const length = elementSize === 8 ? "ll" : "";
    if (kind === "pointer") return `${name}=%p`;
    return `${name}=%${kind === "integer" ? `${length}${signed ? "d" : "u"}` : "s"}`;
  }).join(" ");
}
