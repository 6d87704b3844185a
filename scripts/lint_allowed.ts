/**
 * What still breaks a rule of `lint_structure.ts`, to be mended.
 *
 * @module
 */

/** By rule and file: the functions that are too long, `file` for its length, `Deno` or `node:`, `circle`, or its name. */
export type Allowed = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

/** The list. A line that is no longer needed is reported, so it only gets shorter. */
export const ALLOWED: Allowed = {
  "short-file": {
    "lib/ftrace/ops/function_core.ts": ["file"],
    "lib/ftrace/trace/ring_buffer.ts": ["file"],
  },
};
