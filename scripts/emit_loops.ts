/**
 * Emits the interpreter's functions and writes them to `lib/engine/interpreter/loop_bytes.ts`:
 * `deno task loops`, after any change of what an instruction means or of how it is emitted.
 *
 * What is emitted is the engine's affair (`own_loops.ts` there); a test compares the file with what this
 * would write.
 *
 * @module
 */
import { LOOPS, ownLoops } from "../lib/engine/interpreter/own_loops.ts";
import { hostFusesMultiplyAdd } from "../lib/engine/plan/relaxed_madd.ts";

/** Where the text goes. */
export const LOOP_BYTES: URL = new URL(
  "../lib/engine/interpreter/loop_bytes.ts",
  import.meta.url,
);

/**
 * The text of `loop_bytes.ts`.
 *
 * @throws {TypeError} On a host that emits something else than others.
 */
export function loopBytesText(): string {
  if (!hostFusesMultiplyAdd()) {
    throw new TypeError("Cannot emit the loops: this host's relaxed multiply-add rounds twice");
  }
  const own = ownLoops();
  const bytes = LOOPS.map((loop) => `  ${loop}:\n    "${own.emit(loop).toBase64()}",\n`);
  const rows = [...own.rows].map(([key, row]) => `${key}, ${row}`);
  const lines = Array.from(
    { length: Math.ceil(rows.length / 8) },
    (_, line) => `  ${rows.slice(line * 8, line * 8 + 8).join(", ")},\n`,
  );
  return `${HEADER}
/** Each function's module, in base64. */
export const BYTES = {
${bytes.join("")}} as const;

/** A key and a packed row (\`handler_rows.ts\`) for each plan that has a handler, one by one. */
// deno-fmt-ignore
export const ROWS: readonly number[] = [
${lines.join("")}];

/** The handler of an instruction that ends in another page. */
export const SPLIT = ${own.split};
`;
}

const HEADER = `/**
 * The interpreter's functions as they were emitted, and the handlers in them.
 *
 * Written by \`deno task loops\`, and by nobody's hand; \`loops.ts\` reads it.
 *
 * @module
 */`;

if (import.meta.main) Deno.writeTextFileSync(LOOP_BYTES, loopBytesText());
