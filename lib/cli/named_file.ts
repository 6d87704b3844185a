/**
 * Files that an option names.
 *
 * PROGRAM and images, whose errors have exit codes of a shell's, are `program.ts`.
 *
 * @module
 */

/** Reads a file that an option names. @throws {TypeError} "Cannot read WHAT FILE", and why. */
export function readNamedFile(what: string, file: string): Uint8Array {
  try {
    return Deno.readFileSync(file);
  } catch (error) {
    const reason = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : error instanceof Error
      ? error.message
      : String(error);
    throw new TypeError(`Cannot read ${what} ${file}: ${reason}`, { cause: error });
  }
}
