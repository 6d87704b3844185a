/**
 * `--livepatch FILE`: functions of an object take the place of PROGRAM's before it starts.
 *
 * @module
 */
import { readNamedFile } from "./named_file.ts";
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
    const { replacements } = ftrace.livepatch.enablePatch({
      name,
      object: readNamedFile("the livepatch", file),
    });
    return `livepatch ${name} replaces ${replacements.map((each) => each.name).join(", ")}`;
  });
}
