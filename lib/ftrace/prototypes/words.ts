/**
 * Words of declarations that are no types: those of C that do not matter here, and those that macros
 * of other files stand for.
 *
 * @module
 */
import { ATTRIBUTE_WORDS } from "./attributes.ts";
import { BASIC_WORDS } from "./basic_types.ts";
import type { Cursor } from "./cursor.ts";

/** Words that say nothing of a type. */
export const IGNORED: ReadonlySet<string> = new Set(
  ("extern static inline __inline __inline__ __forceinline register auto const __const __const__ " +
    "volatile __volatile __volatile__ restrict __restrict __restrict__ _Noreturn noreturn " +
    "__extension__ _Thread_local __thread thread_local constexpr _Nullable _Nonnull").split(" "),
);
/** Words that take the type of what is in parentheses. */
export const TYPEOF: ReadonlySet<string> = new Set(
  "typeof __typeof__ __typeof typeof_unqual __typeof_unqual__ __typeof_unqual".split(" "),
);
/** Words that a tag or a body follows. */
export const TAGGED: ReadonlySet<string> = new Set(["struct", "union", "enum"]);

/** Whether a word looks like one that stands for an attribute: `ZEXPORT`, `__wur`. */
export function isMacroWord(word: string): boolean {
  return /^__/.test(word) || /^_?[A-Z][A-Z0-9_]+$/.test(word);
}

/** Whether a word is none that a name may be. */
export function endsName(word: string): boolean {
  return ATTRIBUTE_WORDS.has(word) || BASIC_WORDS.has(word) || TAGGED.has(word) ||
    IGNORED.has(word) || word === "typedef";
}

/** Which of several words is declared, as a number; the others are of macros. */
export function declaredWord(words: readonly string[], isCalled: (n: number) => boolean): number {
  const isPlain = (n: number) => !isMacroWord(words[n]!);
  const numbers = [...words.keys()];
  return numbers.find((n) => isPlain(n) && isCalled(n)) ?? numbers.find(isPlain) ??
    numbers.find(isCalled) ?? 0;
}

/** Number of the first word from the nth on that says something, counted from the cursor. */
export function behindIgnored(cursor: Cursor, n: number): number {
  for (;; n++) {
    const word = cursor.peek(n);
    if (ATTRIBUTE_WORDS.has(word) && cursor.partner(n + 1) > 0) {
      n = cursor.partner(n + 1) - cursor.at;
    } else if (!IGNORED.has(word)) return n;
  }
}
