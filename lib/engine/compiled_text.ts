/**
 * The text of compiled code: its WASM, with the guest's instructions as comments above what they
 * became.
 *
 * It is a file of its own because a plain run has no use for the disassembler.
 *
 * @module
 */
import { disassemble } from "../isa/disasm.ts";
import { codeLines, typeName } from "../wasm/wat.ts";
import type { CodeMark, CompiledCode, CompiledLocal } from "./compiled_code.ts";

/** Names of memories in the text, by number. */
const MEMORIES = ["guest", "host"] as const;
const INDENT = "  ";
/** Locals on one line. */
const LOCALS = 6;

/** How an address is shown in angle brackets, as in `main+0x8`; undefined without a name. */
export type CodeSymbolizer = (address: bigint) => string | undefined;

/** Compiled code as text in the WebAssembly format, many lines without the last line feed. */
export function compiledText(
  compiled: CompiledCode,
  symbol: CodeSymbolizer = () => undefined,
): string {
  const { code, locals, functions } = compiled;
  const [left, depth, ...own] = locals;
  const lines = [
    `(func (param ${localText(left!)}) (param ${localText(depth!)}) (result i64 i32)`,
  ];
  const names = { memories: MEMORIES, locals: locals.map(({ name }) => name), functions };
  const body = [...codeLines(code, names)];
  const used = new Set(body.map(({ text }) => /^local\.\w+ \$(.+)/.exec(text)?.[1]));
  const declared = own.filter(({ name }) => used.has(name)).map((local) =>
    `(local ${localText(local)})`
  );
  for (let at = 0; at < declared.length; at += LOCALS) {
    lines.push(INDENT + declared.slice(at, at + LOCALS).join(" "));
  }
  const marks = compiled.marks.filter((mark, at) => isShown(mark, compiled.marks[at + 1]));
  let next = 0;
  const marksUpTo = (at: number) => {
    for (; next < marks.length && marks[next]!.at <= at; next++) {
      lines.push(`${INDENT};; ${markText(marks[next]!, compiled, symbol)}`);
    }
  };
  for (const { at, depth, text } of body) {
    marksUpTo(at);
    lines.push(INDENT.repeat(depth + 2) + text);
  }
  marksUpTo(code.length);
  return [...lines, ")"].join("\n");
}

/** An instruction is shown even if nothing is left of it; other marks that stand for nothing are not. */
function isShown({ at, what }: CodeMark, next: CodeMark | undefined): boolean {
  return typeof what === "number" || next === undefined || next.at > at;
}

function markText({ what }: CodeMark, { instructions }: CompiledCode, symbol: CodeSymbolizer) {
  if (typeof what === "string") return what;
  const at = BigInt(what);
  const name = symbol(at);
  const bits = instructions.get(what);
  // The words of a site change, so they are no part of the region that passes it.
  const text = bits === undefined
    ? "a word of the site"
    : disassemble(bits, at, { symbol }).replace("\t", " ");
  return `${what.toString(16)}${name === undefined ? "" : ` <${name}>`}: ${text}`;
}

function localText({ name, type }: CompiledLocal): string {
  return `$${name} ${typeName(type)}`;
}
