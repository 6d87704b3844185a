/**
 * Filter expressions on events: `a0 > 4096 && comm == "x"`, compiled to a function.
 *
 * The grammar, its quirks and its error positions are the kernel's
 * (`kernel/trace/trace_events_filter.c predicate_parse`, `parse_pred`): values are cut to the
 * field's type before they are compared, `~` takes a glob, and most carets stand one behind what they
 * mean. Beside an event's own fields there are those common to all, and `comm` and `cpu`.
 *
 * Who keeps a filter and asks it is the trace's event file.
 *
 * @module
 */
import type { CommandFault } from "./error_log.ts";
import {
  COMMON_FIELDS,
  type EventField,
  type EventValue,
  type EventValues,
} from "./event_fields.ts";

/** An event, as a filter sees it. */
export interface FilterSubject {
  /** The values of its own fields. */
  readonly values: EventValues;
  /** `common_type`. */
  readonly type: number;
  /** `common_flags`. */
  readonly flags: number;
  /** `common_preempt_count`. */
  readonly preemptCount: number;
  /** `common_pid`. */
  readonly pid: number;
  /** Where it occurs. */
  readonly cpu: number;
  /** Name of the task. */
  readonly comm: string;
}

/** A filter that was understood. */
export interface EventFilter {
  /** As it was written. */
  readonly text: string;
  /** Whether an event passes. */
  readonly matches: (subject: FilterSubject) => boolean;
}

/** What words in an expression stand for. */
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

type Matches = (subject: FilterSubject) => boolean;
type Read = (subject: FilterSubject) => EventValue;

/** Operators; a longer one precedes its beginning. */
const OPERATORS = ["==", "!=", "~", "<=", "<", ">=", ">", "&"] as const;
type Operator = typeof OPERATORS[number];
/** Longest operand (`MAX_FILTER_STR_VAL`), and longest number in text. */
const MAX_OPERAND = 256, MAX_NUMBER = 24;

/** Leaves the parser; it never leaves this file. */
interface Fault {
  readonly fault: CommandFault;
}

/** Compiles an expression, or says what is wrong with it and where. */
export function compileFilter(
  text: string,
  words: FilterWords,
): { readonly filter: EventFilter } | { readonly fault: CommandFault } {
  try {
    checkBalance(text);
    return { filter: { text, matches: parseExpression(text, words) } };
  } catch (error) {
    if (!isFault(error)) throw error;
    return { fault: error.fault };
  }
}

function isFault(error: unknown): error is Fault {
  return typeof error === "object" && error !== null && "fault" in error;
}

function fail(fault: keyof typeof FILTER_FAULTS, position: number): never {
  const thrown: Fault = { fault: { text: FILTER_FAULTS[fault], position } };
  throw thrown;
}

/** Parentheses and quotes that have no partner are found before anything else (`calc_stack`). */
function checkBalance(text: string): void {
  const open: number[] = [];
  let quote: string | undefined;
  let quoteAt = 0;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (quote !== undefined) {
      if (character === quote) quote = undefined;
    } else if (character === '"' || character === "'") {
      quote = character;
      quoteAt = at;
    } else if (character === "(") {
      open.push(at);
    } else if (character === ")") {
      if (open.pop() === undefined) fail("tooManyClose", at);
    }
  }
  if (quote !== undefined) fail("missingQuote", quoteAt);
  if (open.length > 0) fail("tooManyOpen", open.at(-1)!);
}

function parseExpression(text: string, words: FilterWords): Matches {
  let at = 0;
  const skip = () => {
    while (/\s/.test(text[at] ?? "")) at++;
  };
  const any = (): Matches => {
    const terms = [all()];
    while (joined("|")) terms.push(all());
    return terms.length === 1 ? terms[0]! : (subject) => terms.some((term) => term(subject));
  };
  const all = (): Matches => {
    const terms = [term()];
    while (joined("&")) terms.push(term());
    return terms.length === 1 ? terms[0]! : (subject) => terms.every((term) => term(subject));
  };
  /** Whether `&&` or `||` comes next; anything but those and the end of a group is refused. */
  const joined = (character: "&" | "|"): boolean => {
    skip();
    const next = text[at];
    if (next === undefined || next === ")") return false;
    if ((next !== "&" && next !== "|") || text[at + 1] !== next) fail("tooManyTerms", at);
    if (next !== character) return false;
    at += 2;
    return true;
  };
  const term = (): Matches => {
    skip();
    const next = text[at];
    if (next === undefined) fail("noFilter", at);
    if (next === "!") {
      at++;
      const inner = term();
      return (subject) => !inner(subject);
    }
    if (next === "(") {
      at++;
      const inner = any();
      skip();
      at++;
      return inner;
    }
    const { matches, end } = parsePredicate(text, at, words);
    at = end;
    return matches;
  };
  const matches = any();
  skip();
  return matches;
}

/** Fields of no record, and those common to all. */
const OTHER_FIELDS: ReadonlyMap<string, readonly [field: EventField, read: Read]> = new Map(
  ([
    ["comm", "char", (subject) => subject.comm],
    ["COMM", "char", (subject) => subject.comm],
    ["cpu", "int", (subject) => subject.cpu],
    ["CPU", "int", (subject) => subject.cpu],
    ["common_type", "", (subject) => subject.type],
    ["common_flags", "", (subject) => subject.flags],
    ["common_preempt_count", "", (subject) => subject.preemptCount],
    ["common_pid", "", (subject) => subject.pid],
  ] as readonly (readonly [string, string, Read])[]).map(([name, type, read]) => {
    const field: EventField = COMMON_FIELDS.find((each) => each.name === name) ?? {
      name,
      type,
      kind: type === "char" ? "string" : "integer",
      offset: 0,
      size: 4,
      signed: true,
      elementSize: 4,
      length: undefined,
      dynamic: false,
    };
    return [name, [field, read] as const];
  }),
);

/** The field a name means, and how it is read; undefined if there is none. */
export function findField(
  name: string,
  fields: readonly EventField[],
):
  | { readonly field: EventField; readonly read: (subject: FilterSubject) => EventValue }
  | undefined {
  const own = fields.find((field) => field.name === name);
  if (own) return { field: own, read: ({ values }) => values[name]! };
  const other = OTHER_FIELDS.get(name);
  return other && { field: other[0], read: other[1] };
}

/** One comparison, from `start` on. Positions in faults are one behind, as in the kernel. */
function parsePredicate(
  text: string,
  start: number,
  words: FilterWords,
): { readonly matches: Matches; readonly end: number } {
  let at = start;
  const refuse = (fault: keyof typeof FILTER_FAULTS): never => fail(fault, at + 1);
  const take = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? "";
    at += found.length;
    return found;
  };
  const name = take(/\w*/y);
  // Without a name the kernel fails without a word of what it is; this is the word it has.
  if (name === "") fail("invalidOperator", at);
  const found = findField(name, words.fields) ?? refuse("fieldNotFound");
  const { field, read } = found;
  const isFunction = take(/\.function\b/y) !== "";
  take(/\s*/y);
  const operator = OPERATORS.find((each) => text.startsWith(each, at)) ?? refuse("invalidOperator");
  at += operator.length;
  take(/\s*/y);
  if (isFunction) {
    if (field.kind === "string" || field.elementSize !== 8) refuse("expectDigit");
    if (operator !== "==" && operator !== "!=") refuse("invalidOperator");
    const from = at;
    const place = take(/[^\s&|)]+/y);
    const range = words.functionRange(/^\d/.test(place) ? toInteger(place) ?? place : place);
    if (!range) return fail("noFunction", from + 1);
    const { start: low, end: high } = range;
    const inside: Matches = (subject) => {
      const address = BigInt.asUintN(64, BigInt(read(subject) as number | bigint));
      return address >= low && address < high;
    };
    return { matches: operator === "==" ? inside : (subject) => !inside(subject), end: at };
  }
  if (text.startsWith("CPUS", at)) {
    at += 4;
    const matches = parseCpus(field, read, operator);
    return { matches, end: at };
  }
  const quote = text[at];
  if (quote === '"' || quote === "'") {
    if (operator !== "==" && operator !== "!=" && operator !== "~") refuse("illegalOperation");
    if (field.kind !== "string") refuse("expectDigit");
    const from = at + 1;
    const to = text.indexOf(quote, from);
    if (to < 0) refuse("missingQuote");
    if (to - from >= MAX_OPERAND) refuse("operandTooLong");
    return { matches: compareText(read, operator, text.slice(from, to), words.glob), end: to + 1 };
  }
  if (/[\d-]/.test(quote ?? "")) {
    if (field.kind === "string") refuse("expectString");
    if (operator === "~" || (field.kind !== "integer" && field.kind !== "pointer")) {
      refuse("illegalOperation");
    }
    const from = at;
    const number = take(/-?[0-9A-Za-z]*/y);
    if (number.length >= MAX_NUMBER) refuse("operandTooLong");
    const value = toInteger(number);
    const fits = value !== undefined &&
      (field.signed
        ? BigInt.asIntN(64, value) === value
        : value >= 0n && BigInt.asUintN(64, value) === value);
    if (!fits) return fail("illegalInteger", from + 1);
    return { matches: compareInteger(field, read, operator, value), end: at };
  }
  return refuse("invalidValue");

  /** `CPUS{0-3,5}` against a mask, or a number of a CPU. */
  function parseCpus(field: EventField, read: Read, operator: Operator): Matches {
    if (text[at] !== "{") refuse("missingBraceOpen");
    const end = text.indexOf("}", at);
    if (end < 0) refuse("missingBraceClose");
    const list = text.slice(at + 1, end);
    const cpus = parseCpuList(list) ?? refuse("invalidCpuList");
    at = end + 1;
    const isMask = field.kind === "cpumask" || field.kind === "bitmask";
    if (!isMask && field.kind !== "integer") refuse("illegalOperation");
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
        return refuse("illegalOperation");
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

/** A number as `kstrtoull(…, 0)` and `kstrtoll` read it: decimal, `0x…`, or octal with a leading 0. */
export function toInteger(text: string): bigint | undefined {
  const negative = text.startsWith("-");
  const digits = negative ? text.slice(1) : text;
  const octal = /^0[0-7]+$/.exec(digits);
  if (!octal && !/^(0x[0-9a-f]+|0|[1-9]\d*)$/i.test(digits)) return undefined;
  const value = BigInt(octal ? `0o${digits.slice(1)}` : digits);
  return negative ? -value : value;
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
