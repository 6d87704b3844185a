/**
 * Filter expressions on events: `a0 > 4096 && comm == "x"`, compiled to a function.
 *
 * The grammar, its quirks and its error positions are the kernel's
 * (`kernel/trace/trace_events_filter.c predicate_parse`).
 *
 * One comparison is `filter_predicate.ts`; who keeps a filter and asks it is the trace's event file.
 *
 * @module
 */
import type { CommandFault } from "./error_log.ts";
import type { FilterSubject } from "./event_subject.ts";
import {
  fail,
  type FilterFault,
  type FilterWords,
  type Matches,
  parsePredicate,
} from "./filter_predicate.ts";

/** Most parentheses that may be open; the kernel's limit is the page that a command has to fit. */
const MOST_NESTED = 256;

/** A parsed filter expression. */
export interface EventFilter {
  /** The expression as it was written. */
  readonly text: string;
  /** Whether an event passes the filter. */
  readonly matches: (subject: FilterSubject) => boolean;
}

/** Compiles an expression, or says what is wrong with it and where. */
export function compileFilter(
  text: string,
  words: FilterWords,
): { readonly filter: EventFilter } | { readonly fault: CommandFault } {
  try {
    checkBalance(text);
    return { filter: { text, matches: new ExpressionParser(text, words).parse() } };
  } catch (error) {
    if (!isFault(error)) throw error;
    return { fault: error.fault };
  }
}

function isFault(error: unknown): error is FilterFault {
  return typeof error === "object" && error !== null && "fault" in error;
}

/**
 * Parentheses and quotes that have no partner are found before anything else (`calc_stack`), and
 * parentheses that are nested too deep.
 */
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
      if (open.length > MOST_NESTED) fail("tooManyOpen", at);
    } else if (character === ")") {
      if (open.pop() === undefined) fail("tooManyClose", at);
    }
  }
  if (quote !== undefined) fail("missingQuote", quoteAt);
  if (open.length > 0) fail("tooManyOpen", open.at(-1)!);
}

/** Comparisons joined by `&&`, `||`, `!` and parentheses. */
class ExpressionParser {
  readonly #text: string;
  readonly #words: FilterWords;
  #at = 0;

  constructor(text: string, words: FilterWords) {
    this.#text = text;
    this.#words = words;
  }

  parse(): Matches {
    const matches = this.#any();
    this.#skip();
    return matches;
  }

  #skip(): void {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at++;
  }

  #any(): Matches {
    const terms = [this.#all()];
    while (this.#joined("|")) terms.push(this.#all());
    return terms.length === 1 ? terms[0]! : (subject) => terms.some((term) => term(subject));
  }

  #all(): Matches {
    const terms = [this.#term()];
    while (this.#joined("&")) terms.push(this.#term());
    return terms.length === 1 ? terms[0]! : (subject) => terms.every((term) => term(subject));
  }

  /** Whether `&&` or `||` comes next; anything but those and the end of a group is refused. */
  #joined(character: "&" | "|"): boolean {
    this.#skip();
    const next = this.#text[this.#at];
    if (next === undefined || next === ")") return false;
    if ((next !== "&" && next !== "|") || this.#text[this.#at + 1] !== next) {
      fail("tooManyTerms", this.#at);
    }
    if (next !== character) return false;
    this.#at += 2;
    return true;
  }

  /** A comparison or a group, behind any number of `!`. */
  #term(): Matches {
    let inverted = false;
    this.#skip();
    for (; this.#text[this.#at] === "!"; this.#skip()) {
      inverted = !inverted;
      this.#at++;
    }
    const matches = this.#operand();
    return inverted ? (subject) => !matches(subject) : matches;
  }

  #operand(): Matches {
    const next = this.#text[this.#at];
    if (next === undefined) fail("noFilter", this.#at);
    if (next === "(") {
      this.#at++;
      const inner = this.#any();
      this.#skip();
      this.#at++;
      return inner;
    }
    const { matches, end } = parsePredicate(this.#text, this.#at, this.#words);
    this.#at = end;
    return matches;
  }
}
