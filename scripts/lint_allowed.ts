/**
 * What still breaks a rule of `lint_structure.ts`, to be mended.
 *
 * @module
 */

/** By rule and file: the functions that are too long, `Deno` or `node:`, `circle`, or a file's name. */
export type Allowed = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

/** The list. A line that is no longer needed is reported, so it only gets shorter. */
export const ALLOWED: Allowed = {};
