/**
 * The shell's commands that print and sift text: cat, grep, head, tail, wc.
 *
 * They read control files or what `|` and `<` give, and know the options that fingers type most.
 *
 * @module
 */
import { TracefsError } from "../tracefs/mod.ts";
import type { ShellCommandContext } from "./shell_context.ts";

/** The texts of files, or of the input if none is named; those that fail are complained about. */
function readAll(
  { tracefs, absolute, input, complain }: ShellCommandContext,
  name: string,
  files: readonly string[],
): { readonly texts: readonly { readonly file: string; readonly text: string }[]; status: number } {
  if (files.length === 0) return { texts: [{ file: "-", text: input ?? "" }], status: 0 };
  const texts: { file: string; text: string }[] = [];
  let status = 0;
  for (const file of files) {
    try {
      texts.push({ file, text: file === "-" ? input ?? "" : tracefs.read(absolute(file)) });
    } catch (error) {
      if (!(error instanceof TracefsError)) throw error;
      complain(`${name}: ${file}: ${error.words}`, error);
      status = 1;
    }
  }
  return { texts, status };
}

/** `cat FILE…`. */
export function cat(context: ShellCommandContext, args: readonly string[]): number {
  const { texts, status } = readAll(context, "cat", args);
  for (const { text } of texts) context.write(text);
  return status;
}

/** Lines without an empty one behind the last newline. */
function linesOf(text: string): readonly string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** `grep [-v] [-c] [-i] REGEXP [FILE…]`. */
export function grep(context: ShellCommandContext, args: readonly string[]): number {
  const { write, complain } = context;
  const flags = args.filter((arg) => /^-[vciE]+$/.test(arg)).join("");
  const [pattern, ...files] = args.filter((arg) => !/^-[vciE]+$/.test(arg));
  if (pattern === undefined) {
    complain("usage: grep [-v] [-c] [-i] REGEXP [FILE…]", undefined);
    return 2;
  }
  let wanted: RegExp;
  try {
    wanted = new RegExp(pattern, flags.includes("i") ? "i" : "");
  } catch {
    complain(`grep: ${pattern}: Invalid regular expression`, undefined);
    return 2;
  }
  const { texts, status } = readAll(context, "grep", files);
  let found = 0;
  for (const { file, text } of texts) {
    const lines = linesOf(text).filter((line) => wanted.test(line) !== flags.includes("v"));
    const mark = texts.length > 1 ? `${file}:` : "";
    if (flags.includes("c")) write(`${mark}${lines.length}\n`);
    else for (const line of lines) write(`${mark}${line}\n`);
    found += lines.length;
  }
  return status !== 0 ? 2 : found > 0 ? 0 : 1;
}

/** `head` and `tail`, by name. */
export function head(context: ShellCommandContext, args: readonly string[], name: string): number {
  const files = [...args];
  let count = 10;
  const [, attached] = /^-n?(\d+)$/.exec(files[0] ?? "") ?? [];
  if (attached !== undefined) {
    count = Number(attached);
    files.shift();
  } else if (files[0] === "-n") {
    count = Number(files[1]);
    files.splice(0, 2);
  }
  if (!Number.isSafeInteger(count) || count < 0) {
    context.complain(`${name}: invalid number of lines`, undefined);
    return 1;
  }
  const { texts, status } = readAll(context, name, files);
  for (const { text } of texts) {
    const lines = linesOf(text);
    const shownLines = name === "head"
      ? lines.slice(0, count)
      : lines.slice(Math.max(0, lines.length - count));
    for (const line of shownLines) context.write(`${line}\n`);
  }
  return status;
}

/** `wc -l [FILE…]`. */
export function countLines(context: ShellCommandContext, args: readonly string[]): number {
  const { texts, status } = readAll(context, "wc", args.filter((arg) => arg !== "-l"));
  for (const { file, text } of texts) {
    context.write(`${linesOf(text).length}${file === "-" ? "" : ` ${file}`}\n`);
  }
  return status;
}
