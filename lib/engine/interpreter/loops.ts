/**
 * The interpreter's functions as modules, and the handlers that they have: the one place that knows
 * where they come from.
 *
 * They are emitted when the repository is built and committed (`loop_bytes.json`: as a module it
 * would take three times as long to load), because recording every plan takes longer than a start; a
 * test holds the bytes to what would be emitted now. What was committed is for hosts whose relaxed
 * multiply-add rounds once, which is nearly every one. Any other loads what emits them
 * (`own_loops.ts`).
 *
 * @module
 */
import { hostFusesMultiplyAdd } from "../plan/relaxed_madd.ts";
import { HandlerRows } from "./handler_rows.ts";
import committed from "./loop_bytes.json" with { type: "json" };
import type { Loop } from "./own_loops.ts";

/** The handlers as this host has to number and emit them; undefined where what is committed serves. */
const own = hostFusesMultiplyAdd() ? undefined : (await import("./own_loops.ts")).ownLoops();

const compiled = new Map<Loop, WebAssembly.Module>();
let rows: HandlerRows | undefined;

/** The compiled module of a function, the same for all machines. */
export function loopModule(loop: Loop): WebAssembly.Module {
  let module = compiled.get(loop);
  if (!module) {
    const bytes = own ? own.emit(loop) : bytesOf(committed.modules[loop]);
    compiled.set(loop, module = new WebAssembly.Module(bytes));
  }
  return module;
}

/** What the decoder has to know of instructions, the same for all machines. */
export function loopRows(): HandlerRows {
  return rows ??= new HandlerRows(own?.rows ?? pairsOf(committed.rows));
}

/** The handler of an instruction that ends in another page. */
export function loopSplit(): number {
  return own?.split ?? committed.split;
}

function* pairsOf(text: string): Iterable<readonly [number, number]> {
  for (const pair of text.split(" ")) {
    const colon = pair.indexOf(":");
    yield [Number(pair.slice(0, colon)), Number(pair.slice(colon + 1))];
  }
}

/** Reads base64. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  // Node 24 and older have no `fromBase64`.
  if (typeof Uint8Array.fromBase64 === "function") return Uint8Array.fromBase64(text);
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
