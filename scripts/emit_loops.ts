/**
 * Emits the interpreter's functions and writes them to `lib/engine/interpreter/loop_bytes.json`:
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
  "../lib/engine/interpreter/loop_bytes.json",
  import.meta.url,
);

/**
 * The text of `loop_bytes.json`: each function's module in base64; the handler of an instruction that
 * ends in another page; and a key with a packed row (`handler_rows.ts`) for each plan that has a
 * handler, as `KEY:ROW` with blanks between them.
 *
 * @throws {TypeError} On a host that emits something else than others.
 */
export function loopBytesText(): string {
  if (!hostFusesMultiplyAdd()) {
    throw new TypeError("Cannot emit the loops: this host's relaxed multiply-add rounds twice");
  }
  const { rows, split, emit } = ownLoops();
  const modules = Object.fromEntries(LOOPS.map((loop) => [loop, emit(loop).toBase64()]));
  const text = [...rows].map((pair) => pair.join(":")).join(" ");
  return `${JSON.stringify({ modules, split, rows: text }, undefined, 2)}\n`;
}

if (import.meta.main) Deno.writeTextFileSync(LOOP_BYTES, loopBytesText());
