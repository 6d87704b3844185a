/**
 * The package's version; a test compares it with `deno.json`.
 *
 * @module
 */

/** Version of the program; the same as in `deno.json`. */
export const VERSION = "0.1.0";
