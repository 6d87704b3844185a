/**
 * `--prototypes FILE|DIR`, and what is said where it is missing.
 *
 * How headers are read is `ftrace/prototypes/`.
 *
 * @module
 */
import { type Ftrace, hostHeaders, type MissingHeader, skippedText } from "../../mod.ts";
import { readNamedFile } from "./named_file.ts";

/**
 * Declares the prototypes in files, each of which knows the types and macros of those before it, and
 * in headers that they include, for which folders are looked in, too. Gives a line for each
 * declaration that was passed over; `verbose` also for those that only a name leads to that is not
 * defined.
 *
 * @throws {TypeError} If one cannot be read.
 */
export function declarePrototypes(
  ftrace: Ftrace,
  paths: readonly string[],
  verbose: boolean,
): readonly string[] {
  if (paths.length === 0) return [];
  const folders = paths.filter(isFolder);
  const texts = paths.filter((path) => !folders.includes(path)).map((file) => {
    const text = new TextDecoder().decode(readNamedFile("the prototypes in", file));
    return `# 1 ${JSON.stringify(file)}\n${text}\n`;
  });
  const header = ftrace.declarePrototypes(texts.join(""), undefined, hostHeaders(folders));
  const skipped = header.skipped.filter(({ sure }) => sure || verbose).map(skippedText);
  const tellsMissing = header.missing.length > 0 && (verbose || skipped.length > 0);
  return [...skipped, ...tellsMissing ? [missingText(header.missing)] : []];
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    // Reading it says what is wrong.
    return false;
  }
}

function missingText(missing: readonly MissingHeader[]): string {
  const names = missing.map(({ name, file, line }) => `${name} (${file}:${line})`);
  return `headers that were not found: ${names.join(", ")}; --prototypes DIR says where they are`;
}

/** What options that print arguments need and do not have. */
export function argsNotes({ traceOptions, prototypes, records }: Ftrace): readonly string[] {
  const asked = (["func-args", "funcgraph-args"] as const)
    .filter((name) => traceOptions.values[name]);
  if (asked.length === 0) return [];
  const needs =
    `trace option ${asked.join(", ")}: arguments are shown of functions whose prototypes ` +
    "are known; ";
  if (prototypes.size === 0) {
    return [`${needs}give a header by --prototypes FILE, or () stays empty`];
  }
  if (records.some(({ name }) => prototypes.has(name))) return [];
  return [`${needs}of those in --prototypes none is of a function here, so () stays empty`];
}
