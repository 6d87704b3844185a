/**
 * The words of C text: names, numbers, literals and punctuation, each with its place, and brackets
 * with their partners, so that whoever reads can pass what it does not want in one step.
 *
 * Nothing here can fail: a literal without an end goes to the end of its line. Each character is
 * looked at a fixed number of times: people hand over whole preprocessed headers.
 *
 * Lines of the preprocessor are `directives.ts`.
 *
 * @module
 */

/** What kind of word it is. */
export const TOKEN = { punctuation: 0, name: 1, number: 2, string: 3, character: 4 } as const;

/** Words in order, column by column. */
export interface Tokens {
  /** Text of each. */
  readonly texts: string[];
  /** What each is: one of {@linkcode TOKEN}. */
  readonly kinds: number[];
  /** Where each begins in the text; what a macro stands for is where the macro is. */
  readonly offsets: number[];
}

/** No words yet. */
export function noTokens(): Tokens {
  return { texts: [], kinds: [], offsets: [] };
}

/** Adds one word. */
export function pushToken(tokens: Tokens, text: string, kind: number, offset: number): void {
  tokens.texts.push(text);
  tokens.kinds.push(kind);
  tokens.offsets.push(offset);
}

const LETTER = 1, DIGIT = 2, BLANK = 3;
/** What may begin with each ASCII character; beyond ASCII all are letters. */
const CLASSES = new Uint8Array(128);
for (const letter of "abcdefghijklmnopqrstuvwxyz_$") {
  CLASSES[letter.charCodeAt(0)] = CLASSES[letter.toUpperCase().charCodeAt(0)] = LETTER;
}
for (const digit of "0123456789") CLASSES[digit.charCodeAt(0)] = DIGIT;
for (const blank of " \t\r\n\f\v") CLASSES[blank.charCodeAt(0)] = BLANK;

const NEWLINE = 10, QUOTE = 34, APOSTROPHE = 39, DOT = 46, SLASH = 47, BACKSLASH = 92;
/** Punctuation of more than one character that a declaration or an expression can have. */
const PAIRED = new Set("-> ++ -- << >> <= >= == != && || ## ::".split(" "));
const MAY_BE_PAIRED = new Set([..."-+<>=!&|#:"].map((each) => each.charCodeAt(0)));

function classAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code < 128 ? CLASSES[code]! : code >= 128 ? LETTER : 0;
}

/** Where the blanks and comments from `at` on end. A comment without an end takes the rest. */
export function skipBlanks(text: string, at: number): number {
  for (;;) {
    while (classAt(text, at) === BLANK) at++;
    const code = text.charCodeAt(at);
    if (code === BACKSLASH && /^\\\r?\n/.test(text.slice(at, at + 3))) at += 2;
    else if (code !== SLASH) return at;
    else if (text[at + 1] === "/") at = endOfLine(text, at);
    else if (text[at + 1] === "*") at = endOfComment(text, at);
    else return at;
  }
}

/** Where the newline is that ends the line of `at`; one behind a backslash does not. */
export function endOfLine(text: string, at: number): number {
  for (let end = text.indexOf("\n", at); end >= 0; end = text.indexOf("\n", end + 1)) {
    const last = text.charCodeAt(end - 1) === 13 ? end - 2 : end - 1;
    if (last < at || text.charCodeAt(last) !== BACKSLASH) return end;
  }
  return text.length;
}

/** Where the comment that begins at `at` ends. */
export function endOfComment(text: string, at: number): number {
  const end = text.indexOf("*/", at + 2);
  return end < 0 ? text.length : end + 2;
}

/** Where the comment begins that takes the rest of a text of blanks and comments from `at` on. */
export function openComment(text: string, at: number): number | undefined {
  for (const length = text.length; at < length;) {
    if (text.startsWith("//", at)) at = endOfLine(text, at);
    else if (!text.startsWith("/*", at)) at++;
    else if (text.indexOf("*/", at + 2) < 0) return at;
    else at = endOfComment(text, at);
  }
  return undefined;
}

/** Adds the word at `at`, which is no blank; gives where it ends. */
export function scanToken(text: string, at: number, tokens: Tokens): number {
  const code = text.charCodeAt(at);
  const kind = classAt(text, at);
  let end = at + 1;
  if (kind === LETTER) {
    while (classAt(text, end) === LETTER || classAt(text, end) === DIGIT) end++;
    const quoted = text.charCodeAt(end);
    if (end - at > 2 || (quoted !== QUOTE && quoted !== APOSTROPHE) || !isPrefix(text, at, end)) {
      pushToken(tokens, text.slice(at, end), TOKEN.name, at);
      return end;
    }
    return scanToken(text, end, tokens);
  }
  if (kind === DIGIT || (code === DOT && classAt(text, end) === DIGIT)) {
    end = endOfNumber(text, end);
    pushToken(tokens, text.slice(at, end), TOKEN.number, at);
  } else if (code === QUOTE || code === APOSTROPHE) {
    end = endOfLiteral(text, at);
    const literal = code === QUOTE ? TOKEN.string : TOKEN.character;
    pushToken(tokens, text.slice(at, end), literal, at);
  } else {
    if (code === DOT && text.startsWith("...", at)) end = at + 3;
    else if (MAY_BE_PAIRED.has(code) && PAIRED.has(text.slice(at, at + 2))) end = at + 2;
    pushToken(tokens, text.slice(at, end), TOKEN.punctuation, at);
  }
  return end;
}

/** Whether the name is the L of `L"text"`. */
function isPrefix(text: string, at: number, end: number): boolean {
  return /^(L|u8?|U)$/.test(text.slice(at, end));
}

function endOfNumber(text: string, end: number): number {
  for (;; end++) {
    const code = text.charCodeAt(end);
    const isPart = classAt(text, end) === LETTER || classAt(text, end) === DIGIT || code === DOT;
    const isSign = /[+-]/.test(text[end] ?? "") && /[eEpP]/.test(text[end - 1]!) &&
      !/^0[xX]/.test(text.slice(end - 3, end - 1));
    const separates = code === APOSTROPHE && classAt(text, end + 1) === DIGIT;
    if (!isPart && !isSign && !separates) return end;
  }
}

function endOfLiteral(text: string, at: number): number {
  const quote = text.charCodeAt(at);
  for (let end = at + 1; end < text.length; end++) {
    const code = text.charCodeAt(end);
    if (code === BACKSLASH) end++;
    else if (code === quote) return end + 1;
    else if (code === NEWLINE) return end;
  }
  return text.length;
}

/** How many round and square brackets are open inside one pair of braces. */
interface OpenBrackets {
  round: number;
  square: number;
}

/**
 * The partner of each bracket by index, −1 where there is none. A brace that closes leaves what was
 * opened inside it without partners; nothing else closes over a brace.
 */
export function pairBrackets({ texts, kinds }: Tokens): Int32Array {
  const pairs = new Int32Array(texts.length).fill(-1);
  const open: number[] = [];
  const levels: OpenBrackets[] = [{ round: 0, square: 0 }];
  const close = (opener: string, at: number): void => {
    for (let top = open.pop(); top !== undefined; top = open.pop()) {
      const text = texts[top]!;
      if (text === "{") levels.pop();
      else levels.at(-1)![text === "(" ? "round" : "square"]--;
      if (text !== opener) continue;
      pairs[top] = at;
      pairs[at] = top;
      return;
    }
  };
  for (let at = 0; at < texts.length; at++) {
    if (kinds[at] !== TOKEN.punctuation) continue;
    const text = texts[at]!;
    const level = levels.at(-1)!;
    if (text === "(" || text === "[" || text === "{") {
      open.push(at);
      if (text === "{") levels.push({ round: 0, square: 0 });
      else level[text === "(" ? "round" : "square"]++;
    } else if (text === ")" && level.round > 0) close("(", at);
    else if (text === "]" && level.square > 0) close("[", at);
    else if (text === "}" && levels.length > 1) close("{", at);
  }
  return pairs;
}
