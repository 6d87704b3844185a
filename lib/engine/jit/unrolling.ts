/**
 * Loops of a few blocks, written several times in a row.
 *
 * Each time round a loop asks whether what is left covers it, as V8 asks whether it is to stop, and
 * a pointer that walks is checked anew. A loop whose body stands there several times asks once for
 * all of them: the way back of each copy leads into the next one.
 *
 * Loops of one block have a way of their own, which shares their exits (`block_writer.ts`).
 *
 * @module
 */
import { ControlFlow, UNROLL } from "./control_flow.ts";
import { type Block, copyBlocks, type Region } from "./region.ts";

/** Instructions of a loop with all of its copies, at most. */
const MOST_IN_LOOP = 64;
/** Instructions that all copies add to a region, at most. */
const MOST_ADDED = 256;

/** A loop that is entered in one block. */
interface Loop {
  readonly header: Block;
  readonly body: ReadonlySet<Block>;
  /** Instructions of its body. */
  readonly count: number;
}

/**
 * A region, which nobody uses yet, with copies of the bodies of its innermost loops; `flow` is what
 * is known of it.
 */
export function unrollLoops(region: Region, flow: ControlFlow = new ControlFlow(region)): Region {
  let added = 0;
  for (const header of flow.order) {
    if (!flow.of(header).isLoop) continue;
    const loop = loopAt(header, flow);
    if (!loop || !isSimple(loop, flow)) continue;
    const copies = Math.min(UNROLL, Math.floor(MOST_IN_LOOP / loop.count)) - 1;
    if (copies < 1 || added + copies * loop.count > MOST_ADDED) continue;
    added += copies * loop.count;
    copyLoop(loop, copies);
  }
  return { ...region, written: region.written + added };
}

/** The loop of a header; undefined if it is too large to be copied. */
function loopAt(header: Block, flow: ControlFlow): Loop | undefined {
  const body = flow.loopOf(header);
  let count = 0;
  for (const block of body) count += block.count;
  return count * 2 > MOST_IN_LOOP ? undefined : { header, body, count };
}

/** Whether control goes only from block to block in a loop, and to no loop inside. */
function isSimple({ header, body }: Loop, flow: ControlFlow): boolean {
  if (body.size === 1) return false;
  for (const block of body) {
    const { kind } = block.end;
    const { isLoop, dropped } = flow.of(block);
    if (kind !== "goto" && kind !== "branch") return false;
    if ((isLoop && block !== header) || dropped.size > 0 || block.isSwitchTarget) return false;
  }
  return true;
}

function copyLoop({ header, body }: Loop, count: number): void {
  const copies = Array.from({ length: count }, () => copyBlocks(body));
  /** Where an edge of the copy before `next` leads. */
  const lead = (copy: ReadonlyMap<Block, Block> | undefined, next: number) => (to: Block) =>
    to === header ? copies[next]?.get(header) ?? header : copy?.get(to) ?? to;
  copies.forEach((copy, at) => {
    for (const [block, copied] of copy) copied.endAs(block.end, lead(copy, at + 1));
  });
  for (const block of body) block.endAs(block.end, lead(undefined, 0));
}
