/**
 * `--prototypes FILE`, and what is said where it is missing.
 *
 * How headers are read is `ftrace/prototypes/`.
 *
 * @module
 */
import { type Ftrace, skippedText } from "../../mod.ts";

/**
 * Declares the prototypes in files, each of which knows the types of those before it; gives a line
 * for each declaration that was passed over.
 *
 * @throws {TypeError} If one cannot be read.
 */
export function declarePrototypes(ftrace: Ftrace, files: readonly string[]): readonly string[] {
  const texts = files.map((file) => {
    try {
      return `# 1 ${JSON.stringify(file)}\n${Deno.readTextFileSync(file)}\n`;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new TypeError(`Cannot read the prototypes in ${file}: ${reason}`, { cause: error });
    }
  });
  return ftrace.declarePrototypes(texts.join("")).map(skippedText);
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
