/**
 * The interpreter's functions emitted from handlers that are numbered now: for hosts that what is
 * committed does not serve (`loops.ts`), and for the script that writes what is.
 *
 * @module
 */
import { Plans } from "../plan/plans.ts";
import { interpreterModule } from "./emitted_loop.ts";
import { HandlerTable } from "./handler_table.ts";
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

/** Names of all functions. */
export const LOOPS: readonly Loop[] = Object.keys(FRAMES) as Loop[];

/** Functions and handlers of one numbering. */
export interface OwnLoops {
  /** Rows by the keys of their plans, as {@linkcode HandlerTable} packs them. */
  readonly rows: Iterable<readonly [key: number, packed: number]>;
  /** The handler of an instruction that ends in another page. */
  readonly split: number;
  /** Emits the module of a function. */
  emit(loop: Loop): Uint8Array<ArrayBuffer>;
}

/** Records every plan and numbers its handlers. */
export function ownLoops(): OwnLoops {
  const table = new HandlerTable(new Plans());
  const { rows, split } = table;
  return {
    rows,
    split,
    emit: (loop) => interpreterModule(table, GUEST_PAGES, HOST_PAGES, FRAMES[loop]).encode(),
  };
}
