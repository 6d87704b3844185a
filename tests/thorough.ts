/**
 * How much the tests do that exist in two sizes: `deno task test:long` runs them whole.
 *
 * @module
 */

/** Whether this run is a long one (`HARTRACE_LONG`): every combination instead of a part of them. */
export const THOROUGH: boolean = Deno.env.has("HARTRACE_LONG");
