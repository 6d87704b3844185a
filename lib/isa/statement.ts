/**
 * Takes assembly text apart: lines into statements, statements into labels, a name and operands.
 *
 * `#` and `//` start a comment, `;` separates statements; none of them does so in a string.
 *
 * @module
 */

/** An instruction or a directive, with the labels before it. */
export interface Statement {
  /** Line of the source, from 1. */
  readonly line: number;
  /** Labels in front of it, without their colons. */
  readonly labels: readonly string[];
  /** Instruction or directive; undefined if there are only labels. */
  readonly name: string | undefined;
  /** What stands behind the name, between commas. */
  readonly operands: readonly string[];
  /** What stands behind the name. */
  readonly rest: string;
}

/** Strings, comments, separators, and what is between them. */
const PARTS = /"(?:[^"\\\n]|\\.)*"?|#.*|\/\/.*|;|[^"#;/]+|\//g;

/** The statements of a source, empty ones left out. */
export function parseStatements(source: string): Statement[] {
  return source.split("\n").flatMap((text, k) =>
    split(text).map((part) => parse(part, k + 1)).filter(({ labels, name }) =>
      labels.length > 0 || name !== undefined
    )
  );
}

function split(line: string): string[] {
  const statements = [""];
  for (const [part] of line.matchAll(PARTS)) {
    if (part === ";") statements.push("");
    else if (!part.startsWith("#") && !part.startsWith("//")) {
      statements[statements.length - 1] += part;
    }
  }
  return statements;
}

function parse(statement: string, line: number): Statement {
  const labels: string[] = [];
  let text = statement.trim();
  for (let label = leadingLabel(text); label; label = leadingLabel(text)) {
    labels.push(label[1]!);
    text = text.slice(label[0].length);
  }
  const [, name, rest = ""] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
  return { line, labels, name, operands: commaSeparated(rest), rest };
}

function leadingLabel(text: string): RegExpExecArray | null {
  return /^([\w.$]+)\s*:\s*/.exec(text);
}

function commaSeparated(text: string): string[] {
  if (text === "") return [];
  const operands = [""];
  for (const [part] of text.matchAll(/"(?:[^"\\]|\\.)*"|,|[^",]+|"/g)) {
    if (part === ",") operands.push("");
    else operands[operands.length - 1] += part;
  }
  return operands.map((operand) => operand.trim());
}

const ESCAPES: Readonly<Record<string, number>> = { b: 8, f: 12, n: 10, r: 13, t: 9 };

/**
 * The bytes of a string in quotes, in UTF-8, with `terminator` behind it.
 *
 * @throws {SyntaxError} If it is no such string.
 */
export function stringBytes(operand: string, terminator: string): Uint8Array {
  const quoted = /^"((?:[^"\\]|\\.)*)"$/s.exec(operand);
  if (!quoted) throw new SyntaxError(`${operand} is no string`);
  const encoder = new TextEncoder();
  const bytes: number[] = [];
  for (const [part] of quoted[1]!.matchAll(/\\[0-7]{1,3}|\\x[\da-f]+|\\.|[^\\]+/gis)) {
    if (!part.startsWith("\\")) bytes.push(...encoder.encode(part));
    else if (/^\\[0-7]/.test(part)) bytes.push(parseInt(part.slice(1), 8) & 255);
    else if (/^\\x./i.test(part)) bytes.push(parseInt(part.slice(2), 16) & 255);
    else bytes.push(ESCAPES[part[1]!] ?? part.charCodeAt(1));
  }
  return new Uint8Array([...bytes, ...encoder.encode(terminator)]);
}
