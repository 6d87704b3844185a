/**
 * Names as a control file or an option has them: separated by white space, which a readable C++ or
 * Rust name may have as well.
 *
 * White space belongs to a name inside brackets, behind `operator`, and in front of what stands
 * behind parameters (`const`, `&`). A name whose brackets do not close is split at every blank.
 *
 * @module
 */

/** Operators that look like brackets, or have a word behind them. */
const OPERATOR =
  /operator(?:<=>|<<=|<<?(?:\s+(?=<))?|>>=?|->\*?|<=|>=?|\(\)|\[\]|,|"" ?|\s+(?:new|delete|co_await)(?:\[\])?|\s+)/y;
/** What stands in front of the name of a function that a compiler made for another. */
const MADE_FOR = new RegExp(
  String
    .raw`(?:(?:non-)?virtual thunk to|covariant return thunk to|(?:non-)?transaction clone for|` +
    String.raw`TLS (?:init|wrapper) function for)\s+`,
  "y",
);
/** What goes on behind a blank: qualifiers of a function, and the words of a type. */
const CONTINUED = /\s+(?:const|volatile|&&?|\[clone [^\]]*\])(?!\w)/y;
const TYPE_WORD = /\s+(?:(?:int|long|char|short|double|unsigned|const|volatile)[*&]*)(?![\w:])/y;

/** Splits a text into names; `separators` are those besides white space. */
export function splitNames(text: string, separators = ""): string[] {
  return scan(text, separators) ?? text.split(separators === "" ? /\s+/ : /[\s,]+/).filter(Boolean);
}

/** The names, or undefined if a bracket has no partner. */
function scan(text: string, separators: string): string[] | undefined {
  const names: string[] = [];
  const open: string[] = [];
  let start = 0;
  let inOperator = false;
  const close = (at: number) => {
    if (at > start) names.push(text.slice(start, at));
    inOperator = false;
  };
  for (let at = 0; at < text.length;) {
    const character = text[at]!;
    const made = at === start ? lengthOf(MADE_FOR, text, at) : undefined;
    const operator = /\w/.test(text[at - 1] ?? "") ? undefined : lengthOf(OPERATOR, text, at);
    if (made !== undefined) at += made;
    else if (operator !== undefined) {
      inOperator ||= open.length === 0;
      at += operator;
    } else if (open.length === 0 && (/\s/.test(character) || separators.includes(character))) {
      const more = lengthOf(CONTINUED, text, at) ??
        (inOperator ? lengthOf(TYPE_WORD, text, at) : undefined);
      if (more === undefined) {
        close(at);
        start = at + 1;
      }
      at += more ?? 1;
    } else {
      const closing = ({ "<": ">", "(": ")", "{": "}" } as const)[character];
      if (closing) open.push(closing);
      else if (character === open.at(-1) && text[at - 1] !== "-") open.pop();
      at++;
    }
  }
  close(text.length);
  return open.length === 0 ? names : undefined;
}

function lengthOf(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0].length;
}
