/**
 * The replacing of macros' names, as C has it: arguments first, then the macro with them in it, then
 * what came of that, together with the text behind it.
 *
 * A name is not replaced inside of what it was replaced by, and never again after that ("blue
 * paint"): it is in force that its words are being read that makes it so, as in gcc, which matters
 * where a call begins in one macro and ends behind it. Macros that double each other end by a budget.
 *
 * How one macro makes its words is `macros.ts`.
 *
 * @module
 */
import { type Macro, type MacroArgument, type MacroWord, replacement } from "./macros.ts";
import { TOKEN } from "./tokens.ts";

/** The text behind a macro's name, where its arguments may be. */
export interface WordSource {
  /** Whether `(` comes next. */
  opens(): boolean;
  /** Takes a word; undefined at the end. */
  next(): MacroWord | undefined;
  /** Goes back to where it was before the first word was taken. */
  restore(): void;
}

/** Text that has nothing in it. */
export const NO_SOURCE: WordSource = {
  opens: () => false,
  next: () => undefined,
  restore: () => {},
};

/** Words that macros may put into one text: macros that double each other would never end. */
const MOST_EXPANDED = 4_000_000;
/** Words that macros may put in the place of one name of the text. */
const MOST_OF_ONE = 200_000;
/** How deep macros stand for macros, and calls in arguments. */
const MOST_NESTED = 100;
/** Words that a call may have: one that nobody closed ends somewhere. */
const MOST_ARGUMENT_WORDS = 20_000;
/** Words that all calls together may have which nobody closed. */
const MOST_UNCLOSED_WORDS = 1_000_000;

/** Words that are to be read before any more of the text. */
interface Pending {
  readonly words: readonly MacroWord[];
  at: number;
  /** The macro that made them, which is not replaced among them. */
  readonly macro: string;
}

/** Replaces names by what macros say. */
export class Expansion {
  readonly #macros: ReadonlyMap<string, Macro>;
  /** Names that are being replaced. */
  readonly #active = new Set<string>();
  #left = MOST_EXPANDED;
  #unclosed = MOST_UNCLOSED_WORDS;
  #nested = 0;
  #end = 0;
  /** Whether `defined NAME` is left as it is. */
  #keepsDefined = false;

  /** Replaces by `macros`, as they are at the time. */
  constructor(macros: ReadonlyMap<string, Macro>) {
    this.#macros = macros;
  }

  /** What comes of a name in the text, whose arguments may follow in `source`. */
  name(text: string, source: WordSource): readonly MacroWord[] {
    this.#end = this.#left - MOST_OF_ONE;
    return this.#words([{ text, kind: TOKEN.name, spaced: false }], source);
  }

  /** What comes of a line; in a condition, `defined NAME` stays. */
  line(words: readonly MacroWord[], isCondition: boolean): readonly MacroWord[] {
    this.#end = this.#left - MOST_OF_ONE;
    this.#keepsDefined = isCondition;
    try {
      return this.#words(words, NO_SOURCE);
    } finally {
      this.#keepsDefined = false;
    }
  }

  #words(words: readonly MacroWord[], source: WordSource): readonly MacroWord[] {
    const pending: Pending[] = [{ words, at: 0, macro: "" }];
    const to: MacroWord[] = [];
    for (;;) {
      const word = this.#next(pending);
      if (!word) return to;
      const macro = word.kind === TOKEN.name && !word.painted
        ? this.#macros.get(word.text)
        : undefined;
      if (this.#keepsDefined && word.text === "defined") {
        to.push(word);
        this.#asked(pending, to);
      } else if (!macro) to.push(word);
      else if (this.#active.has(word.text)) to.push({ ...word, painted: true });
      else if (!this.#isBounded(pending)) to.push(word);
      else if (!macro.parameters) this.#push(pending, word, replacement(macro, []));
      else if (!this.#opens(pending, source)) to.push(word);
      else this.#call(pending, word, macro, source, to);
    }
  }

  #isBounded(pending: readonly Pending[]): boolean {
    return this.#left > Math.max(0, this.#end) && pending.length < MOST_NESTED;
  }

  /** The next word of what is pending; what has been read to its end goes. */
  #next(pending: Pending[]): MacroWord | undefined {
    this.#settle(pending);
    const top = pending.at(-1);
    return top?.words[top.at++];
  }

  #settle(pending: Pending[]): void {
    for (let top = pending.at(-1); top && top.at >= top.words.length; top = pending.at(-1)) {
      this.#active.delete(top.macro);
      pending.pop();
    }
  }

  #push(pending: Pending[], { text, spaced }: MacroWord, words: MacroWord[]): void {
    this.#left -= words.length + 1;
    if (words.length === 0) return;
    words[0] = { ...words[0]!, spaced };
    this.#active.add(text);
    pending.push({ words, at: 0, macro: text });
  }

  /** Passes the name that `defined` asks for. */
  #asked(pending: Pending[], to: MacroWord[]): void {
    let word = this.#next(pending);
    if (word) to.push(word);
    if (word?.text !== "(") return;
    word = this.#next(pending);
    if (word) to.push(word);
  }

  #opens(pending: Pending[], source: WordSource): boolean {
    this.#settle(pending);
    const top = pending.at(-1);
    return top
      ? top.words[top.at]!.text === "(" && top.words[top.at]!.kind === TOKEN.punctuation
      : source.opens();
  }

  /** Replaces a name with its arguments; without an end of them it stays. */
  #call(
    pending: Pending[],
    name: MacroWord,
    macro: Macro,
    source: WordSource,
    to: MacroWord[],
  ): void {
    const { taken, isClosed, inText } = this.#arguments(pending, source);
    const args = isClosed ? fitted(split(taken, macro), macro) : undefined;
    if (args) {
      const made = args.map((written) => this.#argument(written));
      this.#push(pending, name, replacement(macro, made));
      return;
    }
    to.push({ ...name, painted: true });
    if (!isClosed) {
      this.#unclosed -= taken.length;
      source.restore();
      taken.length -= inText;
    }
    if (taken.length > 0) pending.push({ words: taken, at: 0, macro: "" });
  }

  /** Takes all words from the bracket that is next up to its partner. */
  #arguments(
    pending: Pending[],
    source: WordSource,
  ): { readonly taken: MacroWord[]; readonly isClosed: boolean; readonly inText: number } {
    const taken: MacroWord[] = [];
    const most = Math.min(MOST_ARGUMENT_WORDS, this.#unclosed);
    let depth = 0;
    let inText = 0;
    while (taken.length < most) {
      let word = this.#next(pending);
      if (!word) {
        word = source.next();
        if (!word) break;
        inText++;
      }
      taken.push(this.#active.has(word.text) ? { ...word, painted: true } : word);
      if (word.kind !== TOKEN.punctuation) continue;
      if (word.text === "(") depth++;
      else if (word.text === ")" && --depth === 0) return { taken, isClosed: true, inText };
    }
    return { taken, isClosed: false, inText };
  }

  #argument(written: readonly MacroWord[]): MacroArgument {
    let words: readonly MacroWord[] | undefined;
    return {
      written,
      expanded: () => {
        if (words || this.#nested >= MOST_NESTED) return words ?? written;
        this.#nested++;
        words = this.#words(written, NO_SOURCE);
        this.#nested--;
        return words;
      },
    };
  }
}

/** The arguments in `(a, b)`, of which a variadic macro's last has all that are left. */
function split(taken: readonly MacroWord[], { parameters, variadic }: Macro): MacroWord[][] {
  const args: MacroWord[][] = [[]];
  const most = variadic ? parameters!.length : Infinity;
  let depth = 0;
  for (const word of taken.slice(1, -1)) {
    if (word.kind === TOKEN.punctuation) {
      if (word.text === "(") depth++;
      else if (word.text === ")") depth--;
      else if (word.text === "," && depth === 0 && args.length < most) {
        args.push([]);
        continue;
      }
    }
    args.at(-1)!.push(word);
  }
  return args;
}

/** As many arguments as the macro has parameters; undefined if they are not. */
function fitted(args: MacroWord[][], { parameters, variadic }: Macro): MacroWord[][] | undefined {
  const count = parameters!.length;
  if (count === 0) return args.length === 1 && args[0]!.length === 0 ? [] : undefined;
  if (variadic && args.length === count - 1) return [...args, []];
  return args.length === count ? args : undefined;
}
