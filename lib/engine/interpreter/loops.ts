/**
 * The interpreter's functions as modules, and the handlers that they have: the one place that knows
 * where they come from.
 *
 * They are emitted when the repository is built and committed (`loop_bytes.ts`), because recording
 * every plan takes half of a start; a test holds the bytes to what would be emitted now. What was
 * committed is for hosts whose relaxed multiply-add rounds once, which is nearly every one. Any
 * other emits them itself.
 *
 * @module
 */
import { Plans } from "../plan/plans.ts";
import { hostFusesMultiplyAdd } from "../plan/relaxed_madd.ts";
import { interpreterModule } from "./emitted_loop.ts";
import { HandlerRows } from "./handler_rows.ts";
import { HandlerTable } from "./handler_table.ts";
import { BYTES, ROWS, SPLIT } from "./loop_bytes.ts";
import { type Frame, GUARDING_FRAME, PLAIN_FRAME, TRANSLATING_FRAME } from "./loop_frame.ts";

/** WebAssembly pages of guest and host memory, which the modules import. */
const GUEST_PAGES = 65536, HOST_PAGES = 16384;

const FRAMES = {
  plain: PLAIN_FRAME,
  guarding: GUARDING_FRAME,
  translating: TRANSLATING_FRAME,
} as const satisfies Readonly<Record<string, Frame>>;

/** The name of a function: which addresses it takes, and whether it asks before floats. */
export type Loop = keyof typeof FRAMES;
/** All of them. */
export const LOOPS: readonly Loop[] = Object.keys(FRAMES) as Loop[];

/** Emits the module of a function, from handlers that were numbered now. */
export function emitLoop(table: HandlerTable, loop: Loop): Uint8Array<ArrayBuffer> {
  return interpreterModule(table, GUEST_PAGES, HOST_PAGES, FRAMES[loop]).encode();
}

const compiled = new Map<Loop, WebAssembly.Module>();
let rows: HandlerRows | undefined;
let ownTable: HandlerTable | undefined;

/** The handlers as this host has to number and emit them; undefined where what is committed serves. */
function emittedTable(): HandlerTable | undefined {
  return hostFusesMultiplyAdd() ? undefined : ownTable ??= new HandlerTable(new Plans());
}

/** The compiled module of a function, the same for all machines. */
export function loopModule(loop: Loop): WebAssembly.Module {
  let module = compiled.get(loop);
  if (!module) {
    const table = emittedTable();
    const bytes = table ? emitLoop(table, loop) : bytesOf(BYTES[loop]);
    compiled.set(loop, module = new WebAssembly.Module(bytes));
  }
  return module;
}

/** What the decoder has to know of instructions, the same for all machines. */
export function loopRows(): HandlerRows {
  return rows ??= new HandlerRows(emittedTable()?.rows ?? pairsOf(ROWS));
}

/** The handler of an instruction that ends in another page. */
export function loopSplit(): number {
  return emittedTable()?.split ?? SPLIT;
}

function* pairsOf(flat: readonly number[]): Iterable<readonly [number, number]> {
  for (let at = 0; at < flat.length; at += 2) yield [flat[at]!, flat[at + 1]!];
}

/** Reads base64. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  // Node 24 and older have no `fromBase64`.
  if (typeof Uint8Array.fromBase64 === "function") return Uint8Array.fromBase64(text);
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
