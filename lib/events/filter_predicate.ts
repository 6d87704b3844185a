/**
 * One comparison of a filter: a field, an operator and a value, compiled to a function.
 *
 * Values are cut to the field's type before they are compared, `~` takes a glob, and most carets
 * stand one behind what they mean: all this is the kernel's
 * (`kernel/trace/trace_events_filter.c parse_pred`).
 *
 * How comparisons are joined is `event_filter.ts`.
 *
 * @module
 */
import type { CommandFault } from "./error_log.ts";
import type { EventField, EventValue } from "./event_fields.ts";
import { type FilterSubject, findField, toInteger } from "./event_subject.ts";

/** What the names, globs and function names in an expression stand for. */
export interface FilterWords {
  /** The fields of the event. */
  readonly fields: readonly EventField[];
  /** Whether a text matches a glob. */
  readonly glob: (pattern: string, text: string) => boolean;
  /** The function of that name, or that covers an address: first and past the last address. */
  readonly functionRange: (
    place: string | bigint,
  ) => { readonly start: bigint; readonly end: bigint } | undefined;
}

/** The kernel's words for what can be wrong. */
export const FILTER_FAULTS = {
  invalidOperator: "Invalid operator",
  tooManyOpen: "Too many '('",
  tooManyClose: "Too few '('",
  missingQuote: "Missing matching quote",
  missingBraceOpen: "Missing '{'",
  missingBraceClose: "Missing '}'",
  operandTooLong: "Operand too long",
  expectString: "Expecting string field",
  expectDigit: "Expecting numeric field",
  illegalOperation: "Illegal operation for field type",
  fieldNotFound: "Field not found",
  illegalInteger: "Illegal integer value",
  tooManyTerms: "Too many terms in predicate expression",
  invalidCpuList: "Invalid cpulist",
  invalidValue: "Invalid value (did you forget quotes)?",
  noFunction: "Function not found",
  noFilter: "No filter found",
} as const;

/** A compiled expression: whether an event passes. */
export type Matches = (subject: FilterSubject) => boolean;
type Read = (subject: FilterSubject) => EventValue;

/** Operators; a longer one precedes its beginning. */
const OPERATORS = ["==", "!=", "~", "<=", "<", ">=", ">", "&"] as const;
type Operator = typeof OPERATORS[number];
/** Longest operand (`MAX_FILTER_STR_VAL`), and longest number in text. */
const MAX_OPERAND = 256, MAX_NUMBER = 24;

/** Leaves the parser of a filter, and is caught by who started it. */
export interface FilterFault {
  /** What is wrong with the expression, and where. */
  readonly fault: CommandFault;
}

/** Leaves the parser. @throws {FilterFault} Always. */
export function fail(fault: keyof typeof FILTER_FAULTS, position: number): never {
  const thrown: FilterFault = { fault: { text: FILTER_FAULTS[fault], position } };
  throw thrown;
}

/**
 * Compiles the comparison that begins at `start`, and tells where it ends.
 *
 * @throws {FilterFault} If it is none; the position is one behind, as in the kernel.
 */
export function parsePredicate(
  text: string,
  start: number,
  words: FilterWords,
): { readonly matches: Matches; readonly end: number } {
  const parser = new PredicateParser(text, start, words);
  const matches = parser.parse();
  return { matches, end: parser.end };
}

/** A field of the event, and how an event's value is read. */
interface Left {
  readonly field: EventField;
  readonly read: Read;
  readonly operator: Operator;
}

class PredicateParser {
  readonly #text: string;
  readonly #words: FilterWords;
  #at: number;

  constructor(text: string, start: number, words: FilterWords) {
    this.#text = text;
    this.#words = words;
    this.#at = start;
  }

  /** Position of the next character. */
  get end(): number {
    return this.#at;
  }

  parse(): Matches {
    const name = this.#take(/\w*/y);
    // Without a name the kernel fails without a word of what it is; this is the word it has.
    if (name === "") fail("invalidOperator", this.#at);
    const found = findField(name, this.#words.fields) ?? this.#refuse("fieldNotFound");
    const isFunction = this.#take(/\.function\b/y) !== "";
    this.#take(/\s*/y);
    const operator = OPERATORS.find((each) => this.#text.startsWith(each, this.#at)) ??
      this.#refuse("invalidOperator");
    this.#at += operator.length;
    this.#take(/\s*/y);
    const left: Left = { ...found, operator };
    if (isFunction) return this.#function(left);
    if (this.#text.startsWith("CPUS", this.#at)) return this.#cpus(left);
    const next = this.#text[this.#at] ?? "";
    if (next === '"' || next === "'") return this.#string(left, next);
    if (/[\d-]/.test(next)) return this.#number(left);
    return this.#refuse("invalidValue");
  }

  #refuse(fault: keyof typeof FILTER_FAULTS): never {
    return fail(fault, this.#at + 1);
  }

  /** Takes the text that a sticky pattern finds at the present position. */
  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  /** A function's name or an address in it, for an address that lies in that function. */
  #function({ field, read, operator }: Left): Matches {
    if (field.kind === "string" || field.elementSize !== 8) this.#refuse("expectDigit");
    if (operator !== "==" && operator !== "!=") this.#refuse("invalidOperator");
    const from = this.#at;
    const place = this.#take(/[^\s&|)]+/y);
    const range = this.#words.functionRange(/^\d/.test(place) ? toInteger(place) ?? place : place);
    if (!range) return fail("noFunction", from + 1);
    const { start: low, end: high } = range;
    const inside: Matches = (subject) => {
      const address = BigInt.asUintN(64, BigInt(read(subject) as number | bigint));
      return address >= low && address < high;
    };
    return operator === "==" ? inside : (subject) => !inside(subject);
  }

  /** Reads a text in quotes. */
  #string({ field, read, operator }: Left, quote: string): Matches {
    if (operator !== "==" && operator !== "!=" && operator !== "~") {
      this.#refuse("illegalOperation");
    }
    if (field.kind !== "string") this.#refuse("expectDigit");
    const from = this.#at + 1;
    const to = this.#text.indexOf(quote, from);
    if (to < 0) this.#refuse("missingQuote");
    if (to - from >= MAX_OPERAND) this.#refuse("operandTooLong");
    this.#at = to + 1;
    return compareText(read, operator, this.#text.slice(from, to), this.#words.glob);
  }

  /** Reads a number that fits 64 bits. */
  #number({ field, read, operator }: Left): Matches {
    if (field.kind === "string") this.#refuse("expectString");
    if (operator === "~" || (field.kind !== "integer" && field.kind !== "pointer")) {
      this.#refuse("illegalOperation");
    }
    const from = this.#at;
    const number = this.#take(/-?[0-9A-Za-z]*/y);
    if (number.length >= MAX_NUMBER) this.#refuse("operandTooLong");
    const value = toInteger(number);
    const fits = value !== undefined &&
      (field.signed
        ? BigInt.asIntN(64, value) === value
        : value >= 0n && BigInt.asUintN(64, value) === value);
    if (!fits) return fail("illegalInteger", from + 1);
    return compareInteger(field, read, operator, value);
  }

  /** `CPUS{0-3,5}` against a mask, or a number of a CPU. */
  #cpus({ field, read, operator }: Left): Matches {
    this.#at += 4;
    if (this.#text[this.#at] !== "{") this.#refuse("missingBraceOpen");
    const end = this.#text.indexOf("}", this.#at);
    if (end < 0) this.#refuse("missingBraceClose");
    const list = this.#text.slice(this.#at + 1, end);
    const cpus = parseCpuList(list) ?? this.#refuse("invalidCpuList");
    this.#at = end + 1;
    const isMask = field.kind === "cpumask" || field.kind === "bitmask";
    if (!isMask && field.kind !== "integer") this.#refuse("illegalOperation");
    const members = (subject: FilterSubject): readonly number[] => {
      const value = read(subject);
      return isMask ? value as readonly number[] : [Number(value as number | bigint)];
    };
    const equal: Matches = (subject) => {
      const set = new Set(members(subject));
      return set.size === cpus.size && [...set].every((cpu) => cpus.has(cpu));
    };
    switch (operator) {
      case "==":
        return equal;
      case "!=":
        return (subject) => !equal(subject);
      case "&":
        return (subject) => members(subject).some((cpu) => cpus.has(cpu));
      default:
        return this.#refuse("illegalOperation");
    }
  }
}

/** A list of CPUs as `cpulist_parse()` reads it, without its strides; undefined if it is none. */
function parseCpuList(list: string): ReadonlySet<number> | undefined {
  const cpus = new Set<number>();
  for (const part of list.split(",")) {
    const [, from, to = from] = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part) ?? [];
    if (from === undefined || Number(to) < Number(from) || Number(to) > 8191) return undefined;
    for (let cpu = Number(from); cpu <= Number(to); cpu++) cpus.add(cpu);
  }
  return cpus;
}

function compareText(
  read: Read,
  operator: Operator,
  operand: string,
  glob: FilterWords["glob"],
): Matches {
  const inverted = operator === "~" && operand.startsWith("!");
  const pattern = inverted ? operand.slice(1) : operand;
  // A pattern that begins with a digit would be an index elsewhere; here it is the text itself.
  const isGlob = operator === "~" && /[*?[\\]/.test(pattern) && !/^\d/.test(pattern);
  const wanted = (operator !== "!=") !== inverted;
  if (isGlob) return (subject) => glob(pattern, read(subject) as string) === wanted;
  return (subject) => (read(subject) === pattern) === wanted;
}

function compareInteger(
  { elementSize, signed }: EventField,
  read: Read,
  operator: Operator,
  operand: bigint,
): Matches {
  const bits = elementSize * 8;
  const cut = signed ? BigInt.asIntN(bits, operand) : BigInt.asUintN(bits, operand);
  const wanted: number | bigint = elementSize === 8 ? cut : Number(cut);
  const value = read as (subject: FilterSubject) => number | bigint;
  switch (operator) {
    case "==":
      return (subject) => value(subject) === wanted;
    case "!=":
      return (subject) => value(subject) !== wanted;
    case "<":
      return (subject) => value(subject) < wanted;
    case "<=":
      return (subject) => value(subject) <= wanted;
    case ">":
      return (subject) => value(subject) > wanted;
    case ">=":
      return (subject) => value(subject) >= wanted;
    default:
      return (subject) => (BigInt(value(subject)) & BigInt(wanted)) !== 0n;
  }
}
