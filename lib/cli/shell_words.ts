/**
 * The shell's language: the part of a POSIX shell's that control files need.
 *
 * Quotes, `\`, `#`, `;`, `&&`, `||`, `|`, `>`, `>>`, `<` and `$?` mean what they mean there. There are no
 * variables, so any other `$` is itself: `echo 'r:x f $retval'` works with either quotes.
 *
 * `!` leads to the host: a command after `!` or `!|` is the rest of the line, `!>` and `!>>` name a
 * file of the host's. Expressions (`print`, `x`, `condition`, behind `if` of `break`) are one word up to
 * `;` or `|` outside of parentheses, so that operators need no quotes.
 *
 * What a command does is `shell_commands.ts`.
 *
 * @module
 */

/** A word, whose text may hold the last command's status. */
export interface ShellWord {
  /** The word's text without quotes; `status` stands for `$?`. */
  text(status: number): string;
  /** The word as a glob, with what was quoted escaped; undefined if nothing unquoted is one. */
  readonly glob: string | undefined;
}

/** One command with its redirections. */
export interface ShellCommand {
  /** The command's name and its arguments. */
  readonly words: readonly ShellWord[];
  /** The file of `< FILE`. */
  readonly input: ShellWord | undefined;
  /** The file of `> FILE`, or `>> FILE`, which appends. */
  readonly output: ShellOutput | undefined;
}

/** Where a command's output goes. */
export interface ShellOutput {
  /** The file. */
  readonly file: ShellWord;
  /** Whether the file keeps what it has. */
  readonly append: boolean;
  /** Whether it is a file of the host's (`!>`), not a control file. */
  readonly onHost: boolean;
}

/** Commands joined by `|`, and after which outcome of the one before they run. */
export interface ShellPipeline {
  /** The commands of the pipeline, from left to right. */
  readonly commands: readonly ShellCommand[];
  /** When the pipeline runs: after `;` or a line end, after `&&`, after `||`. */
  readonly after: "anything" | "success" | "failure";
  /** A command of the host's that gets the output (`!|`), or stands alone (`!`). */
  readonly hostCommand: string | undefined;
}

/** The text ends inside a quotation, behind a `\`, or where a command has to follow. */
export class UnfinishedLine extends Error {
  /** Always `"UnfinishedLine"`. */
  override readonly name = "UnfinishedLine";
}

type Token =
  | { readonly kind: "word"; readonly word: ShellWord }
  | { readonly kind: "operator"; readonly text: string }
  | { readonly kind: "host"; readonly text: string };

/**
 * Reads a line, or several.
 *
 * @throws {UnfinishedLine} If more has to follow.
 * @throws {SyntaxError} If it is not in this language.
 */
export function parseShellLine(line: string): readonly ShellPipeline[] {
  const tokens = tokenize(line);
  const pipelines: ShellPipeline[] = [];
  let after: ShellPipeline["after"] = "anything";
  let at = 0;
  while (at < tokens.length) {
    const token = tokens[at]!;
    if (token.kind === "operator" && [";", "\n"].includes(token.text)) {
      if (after !== "anything" && token.text === ";") throw unexpected(token.text);
      at++;
      continue;
    }
    if (token.kind === "host") {
      pipelines.push({ commands: [], after, hostCommand: token.text });
      after = "anything";
      at++;
      continue;
    }
    const commands: ShellCommand[] = [];
    for (;;) {
      const { command, next } = readCommand(tokens, at);
      commands.push(command);
      at = next;
      const joint = tokens[at];
      if (joint?.kind !== "operator" || joint.text !== "|") break;
      at++;
    }
    const host = tokens[at]?.kind === "host" ? tokens[at++] : undefined;
    pipelines.push({ commands, after, hostCommand: host?.kind === "host" ? host.text : undefined });
    const joint = tokens[at];
    after = "anything";
    if (joint?.kind !== "operator") continue;
    if (joint.text === "&&") after = "success";
    if (joint.text === "||") after = "failure";
    at++;
  }
  if (after !== "anything") throw new UnfinishedLine("Cannot read the line: a command is missing");
  return pipelines;
}

function readCommand(
  tokens: readonly Token[],
  from: number,
): { readonly command: ShellCommand; readonly next: number } {
  const words: ShellWord[] = [];
  let input: ShellCommand["input"];
  let output: ShellCommand["output"];
  let at = from;
  for (; at < tokens.length; at++) {
    const token = tokens[at]!;
    if (token.kind === "word") {
      words.push(token.word);
      continue;
    }
    if (token.kind === "host" || !REDIRECTIONS.includes(token.text)) break;
    const file = tokens[++at];
    if (file?.kind !== "word") throw unexpected(file?.text ?? "newline");
    if (token.text === "<") input = file.word;
    else {
      const [onHost, append] = [token.text.startsWith("!"), token.text.endsWith(">>")];
      output = { file: file.word, append, onHost };
    }
  }
  if (words.length === 0 && !input && !output) {
    const token = tokens[at];
    if (token === undefined) {
      throw new UnfinishedLine("Cannot read the line: a command is missing");
    }
    throw unexpected(token.kind === "operator" ? token.text : "");
  }
  return { command: { words, input, output }, next: at };
}

function unexpected(text: string): SyntaxError {
  return new SyntaxError(`syntax error near unexpected token \`${text.replace("\n", "newline")}'`);
}

const REDIRECTIONS: readonly string[] = [">", ">>", "<", "!>", "!>>"];

/** Operators; those of two characters come first, so that the longer one is found. */
const OPERATOR = /^(?:!>>|!>|&&|\|\||>>|[;|<>&\n])/;
const NOT_HERE: Readonly<Record<string, string>> = {
  "&": "commands in the background",
  "`": "command substitution",
  "(": "subshells",
  ")": "subshells",
};

/** Commands whose arguments are an expression. */
const EXPRESSION_COMMANDS = /^(?:(?:x|p|print)(?:\/\w*)?|condition)$/;
const BREAK_COMMANDS: readonly string[] = ["break", "b", "br", "tbreak", "tb"];
/** What `set` gives a value to. */
const ASSIGNMENT = /^(?:var\s|\$|\{|[A-Za-z_]\w*\s*=)/;

/** What ends an expression, outside of parentheses. */
const ENDS_EXPRESSION = /^(?:[;\n]|\|(?!\|)|!>|!\|)/;

/** Whether an expression begins behind the words of a command. */
function takesExpression(words: readonly string[], rest: string): boolean {
  const [name = ""] = words;
  if (EXPRESSION_COMMANDS.test(name)) return true;
  if (BREAK_COMMANDS.includes(name)) return words.length > 1 && words.at(-1) === "if";
  return name === "set" && words.length === 1 && ASSIGNMENT.test(rest);
}

function tokenize(line: string): readonly Token[] {
  const tokens: Token[] = [];
  /** Words of the present command, as they stand there. */
  let words: string[] = [];
  for (let at = 0; at < line.length;) {
    const rest = line.slice(at);
    const blank = /^(?:[ \t\r]+|\\\n|#[^\n]*)/.exec(rest);
    if (blank) {
      at += blank[0].length;
      continue;
    }
    const [command, text] = (words.length === 0 ? /^![|]?([^\n]*)/ : /^!\|([^\n]*)/).exec(rest) ??
      [];
    if (command !== undefined && !/^!>/.test(rest)) {
      if (text!.trim() === "") {
        throw new UnfinishedLine("Cannot read the line: a command is missing");
      }
      tokens.push({ kind: "host", text: text!.trim() });
      words = [];
      at += command.length;
      continue;
    }
    const operator = OPERATOR.exec(rest)?.[0];
    const isExpression = takesExpression(words, rest) && !ENDS_EXPRESSION.test(rest);
    if (operator !== undefined && operator !== "&" && !isExpression) {
      tokens.push({ kind: "operator", text: operator });
      if (!REDIRECTIONS.includes(operator)) words = [];
      at += operator.length;
      continue;
    }
    const { word, length } = isExpression ? readExpression(rest) : readWord(rest);
    tokens.push({ kind: "word", word });
    words.push(line.slice(at, at + length));
    at += length;
  }
  return tokens;
}

/** Reads an expression: up to `;`, a line end, or what leads the output elsewhere. */
function readExpression(text: string): { readonly word: ShellWord; readonly length: number } {
  let open = 0;
  let length = 0;
  while (length < text.length) {
    const rest = text.slice(length);
    if (rest.startsWith("\n")) break;
    const [quoted] = /^(?:'[^']*'|"[^"]*")/.exec(rest) ?? [];
    if (quoted !== undefined) {
      length += quoted.length;
      continue;
    }
    if (open === 0 && ENDS_EXPRESSION.test(rest)) break;
    if (rest.startsWith("||")) length++;
    if (rest.startsWith("(")) open++;
    if (rest.startsWith(")")) open--;
    length++;
  }
  const shown = text.slice(0, length).trim().replace(/^'([^']*)'$|^"([^"]*)"$/, "$1$2");
  return { word: { text: () => shown, glob: undefined }, length };
}

/** Reads the word that `text` begins with. */
function readWord(text: string): { readonly word: ShellWord; readonly length: number } {
  const pieces: (string | typeof STATUS)[] = [];
  let glob = "";
  let globs = false;
  let at = 0;
  const quoted = (part: string) => {
    pieces.push(part);
    glob += part.replace(/[*?[\]\\]/g, "\\$&");
  };
  while (at < text.length) {
    const rest = text.slice(at);
    if (/^[ \t\r\n;|<>]/.test(rest)) break;
    const missing = NOT_HERE[rest[0]!];
    if (missing !== undefined) throw new SyntaxError(`${rest[0]}: there are no ${missing} here`);
    if (rest.startsWith("$(")) throw new SyntaxError("$(: there is no command substitution here");
    if (rest.startsWith("'")) {
      const end = rest.indexOf("'", 1);
      if (end < 0) throw new UnfinishedLine("Cannot read the line: a ' is not closed");
      quoted(rest.slice(1, end));
      at += end + 1;
    } else if (rest.startsWith('"')) {
      const [whole, inside] = /^"((?:[^"\\]|\\[^])*)"/.exec(rest) ?? [];
      if (whole === undefined || inside === undefined) {
        throw new UnfinishedLine('Cannot read the line: a " is not closed');
      }
      for (const [part] of inside.matchAll(/\$\?|\\[^]|[^\\$]+|[^]/g)) {
        if (part === "$?") pieces.push(STATUS);
        else if (part === "\\\n") continue;
        else quoted(/^\\["\\$`]$/.test(part) ? part[1]! : part);
      }
      if (inside === "") quoted("");
      at += whole.length;
    } else if (rest.startsWith("\\")) {
      if (rest.length === 1) throw new UnfinishedLine("Cannot read the line: it ends in a \\");
      if (rest[1] !== "\n") quoted(rest[1]!);
      at += 2;
    } else if (rest.startsWith("$?")) {
      pieces.push(STATUS);
      at += 2;
    } else {
      pieces.push(rest[0]!);
      glob += rest[0]!;
      globs ||= /[*?[]/.test(rest[0]!);
      at++;
    }
  }
  return {
    word: {
      text: (status) => pieces.map((piece) => piece === STATUS ? `${status}` : piece).join(""),
      glob: globs ? glob : undefined,
    },
    length: at,
  };
}

/** Stands for the last command's status. */
const STATUS = Symbol("status");
