/**
 * `--livepatch FILE`: functions of an object take the place of PROGRAM's before it starts.
 *
 * @module
 */
import type { Ftrace } from "../../mod.ts";

/**
 * Enables a patch for each file, in that order; gives a line on each.
 *
 * @throws {TypeError} If a file cannot be read.
 * @throws {Error} As `enablePatch()`, if a patch is refused.
 */
export function enableLivepatches(ftrace: Ftrace, files: readonly string[]): readonly string[] {
  return files.map((file) => {
    const name = file.replace(/^.*\//, "").replace(/\.\w+$/, "");
    const { replacements } = ftrace.livepatch.enablePatch({ name, object: readObject(file) });
    return `livepatch ${name} replaces ${replacements.map((each) => each.name).join(", ")}`;
  });
}

function readObject(file: string): Uint8Array {
  try {
    return Deno.readFileSync(file);
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : error instanceof Error
      ? error.message
      : String(error);
    throw new TypeError(`Cannot read the livepatch ${file}: ${reason}`, { cause: error });
  }
}
