/**
 * Macros: how `#define` is read, and what a macro makes of its arguments.
 *
 * Which names are replaced, and what comes of what they are replaced by, is `expansion.ts`.
 *
 * @module
 */
import { noTokens, scanToken, skipBlanks, TOKEN, type Tokens } from "./tokens.ts";

/** A word that macros take or make. */
export interface MacroWord {
  /** The word. */
  readonly text: string;
  /** What it is: one of {@linkcode TOKEN}. */
  readonly kind: number;
  /** Whether there is a blank before it, which `#` keeps. */
  readonly spaced: boolean;
  /** Whether it is a macro's name that came out of that macro, so that it is replaced no more. */
  readonly painted?: boolean;
}

/** What a name is replaced by. */
export interface Macro {
  /** Names of its parameters; undefined if it has no parentheses. */
  readonly parameters: readonly string[] | undefined;
  /** Whether the last parameter takes all further arguments. */
  readonly variadic: boolean;
  /** What it is replaced by. */
  readonly body: readonly MacroWord[];
}

/** An argument, as it was written and with its own macros replaced. */
export interface MacroArgument {
  /** The words between the commas. */
  readonly written: readonly MacroWord[];
  /** These words with their own macros replaced. */
  readonly expanded: () => readonly MacroWord[];
}

/** Words of a piece of a line. */
export function wordsOf(text: string): Tokens {
  const tokens = noTokens();
  for (let at = skipBlanks(text, 0); at < text.length; at = skipBlanks(text, at)) {
    at = scanToken(text, at, tokens);
  }
  return tokens;
}

/** Words of a piece of a line, as macros hold them. */
export function macroWordsOf(text: string): MacroWord[] {
  const { texts, kinds, offsets } = wordsOf(text);
  return texts.map((text, n) => {
    const spaced = n > 0 && offsets[n]! > offsets[n - 1]! + texts[n - 1]!.length;
    return { text, kind: kinds[n]!, spaced };
  });
}

/** Reads what follows `#define`; undefined if it has no name or no end of its parameters. */
export function readDefine(
  rest: string,
): { readonly name: string; readonly macro: Macro } | undefined {
  const [all, name, open] = /^\s*([A-Za-z_$\u0080-\uffff][\w$\u0080-\uffff]*)(\(?)/.exec(rest) ??
    [];
  if (all === undefined || name === undefined || name === "defined") return undefined;
  const behind = rest.slice(all.length);
  if (!open) {
    return { name, macro: { parameters: undefined, variadic: false, body: macroWordsOf(behind) } };
  }
  const close = behind.indexOf(")");
  if (close < 0) return undefined;
  const words = wordsOf(behind.slice(0, close)).texts.filter((word) => word !== ",");
  const variadic = words.at(-1) === "...";
  if (variadic) {
    words.pop();
    // What all further arguments are called may stand before the dots, without a comma.
    const isNamed = /[\w$]\s*\.\.\.\s*$/.test(behind.slice(0, close));
    if (!isNamed) words.push("__VA_ARGS__");
  }
  return {
    name,
    macro: { parameters: words, variadic, body: macroWordsOf(behind.slice(close + 1)) },
  };
}

/** Words that one macro may make at a time: a long argument may stand in its body many times. */
const MOST_MADE = 200_000;
/** Stands for an argument of no words beside `##`. */
const NOTHING: MacroWord = { text: "", kind: TOKEN.punctuation, spaced: false };

/** What a macro is replaced by, with arguments for its parameters. */
export function replacement(macro: Macro, args: readonly MacroArgument[]): MacroWord[] {
  return new Replacement(macro, args).words(macro.body).filter(({ text }) => text !== "");
}

class Replacement {
  readonly #macro: Macro;
  readonly #args: readonly MacroArgument[];

  constructor(macro: Macro, args: readonly MacroArgument[]) {
    this.#macro = macro;
    this.#args = args;
  }

  /** The words that a part of the body makes. */
  words(body: readonly MacroWord[]): MacroWord[] {
    const to: MacroWord[] = [];
    let pastes = false;
    for (let k = 0; k < body.length && to.length < MOST_MADE; k++) {
      const word = body[k]!;
      if (isPaste(word) && k > 0 && k + 1 < body.length) {
        pastes = true;
        continue;
      }
      const { made, taken } = this.#piece(body, k, pastes);
      k += taken - 1;
      if (pastes) this.#join(to, word, made);
      else for (const each of made) to.push(each);
      pastes = false;
    }
    return to;
  }

  /** What the words of the body at `k` make, and how many they are. */
  #piece(
    body: readonly MacroWord[],
    k: number,
    pastes: boolean,
  ): { readonly made: readonly MacroWord[]; readonly taken: number } {
    const word = body[k]!;
    const next = body[k + 1];
    if (this.#macro.parameters && word.text === "#" && next && this.#argument(next)) {
      return { made: [stringified(this.#argument(next)!.written, word.spaced)], taken: 2 };
    }
    if (word.text === "__VA_OPT__" && this.#macro.variadic && next?.text === "(") {
      const close = closing(body, k + 1);
      const isThere = (this.#args.at(-1)?.expanded().length ?? 0) > 0;
      const made = isThere ? this.words(body.slice(k + 2, close)) : [];
      return { made: made.length > 0 ? made : [NOTHING], taken: close + 1 - k };
    }
    const argument = this.#argument(word);
    if (!argument) return { made: [word], taken: 1 };
    const isWritten = pastes || (next !== undefined && isPaste(next));
    const made = isWritten ? argument.written : argument.expanded();
    if (made.length === 0) return { made: [NOTHING], taken: 1 };
    return { made: [{ ...made[0]!, spaced: word.spaced }, ...made.slice(1)], taken: 1 };
  }

  #argument({ text, kind }: MacroWord): MacroArgument | undefined {
    const { parameters } = this.#macro;
    if (kind !== TOKEN.name || !parameters) return undefined;
    const n = parameters.indexOf(text);
    return n < 0 ? undefined : this.#args[n];
  }

  /** Makes one word of the last and the first, as `##` does. */
  #join(to: MacroWord[], { text: parameter }: MacroWord, made: readonly MacroWord[]): void {
    const left = to.pop() ?? NOTHING;
    const { parameters, variadic } = this.#macro;
    if (left.text === "," && variadic && parameters?.at(-1) === parameter) {
      // gcc drops the comma of `, ## __VA_ARGS__` where no further argument is.
      if (made[0] !== NOTHING) to.push(left, ...made);
      return;
    }
    const [right, ...rest] = made;
    to.push(...pasted(left, right!), ...rest);
  }
}

function isPaste({ text, kind }: MacroWord): boolean {
  return text === "##" && kind === TOKEN.punctuation;
}

function pasted(left: MacroWord, right: MacroWord): MacroWord[] {
  if (left.text === "") return [{ ...right, spaced: left.spaced }];
  if (right.text === "") return [left];
  const whole = left.text + right.text;
  const [first, ...more] = macroWordsOf(whole);
  return first && more.length === 0 && first.text.length === whole.length
    ? [{ ...first, spaced: left.spaced }]
    : [left, { ...right, spaced: false }];
}

/** Index of the word that closes what the word at `open` opens, or of the last. */
function closing(words: readonly MacroWord[], open: number): number {
  let depth = 0;
  for (let k = open; k < words.length; k++) {
    if (words[k]!.text === "(") depth++;
    else if (words[k]!.text === ")" && --depth === 0) return k;
  }
  return words.length - 1;
}

/** An argument as a string. */
function stringified(words: readonly MacroWord[], spaced: boolean): MacroWord {
  let text = "";
  for (const [n, word] of words.entries()) {
    const isLiteral = word.kind === TOKEN.string || word.kind === TOKEN.character;
    if (n > 0 && word.spaced) text += " ";
    text += isLiteral ? word.text.replaceAll(/[\\"]/g, "\\$&") : word.text;
  }
  return { text: `"${text}"`, kind: TOKEN.string, spaced };
}
