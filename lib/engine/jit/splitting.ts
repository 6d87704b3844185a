/**
 * Loops that are entered in several blocks, made such that each is entered in one.
 *
 * Structured code has no way into the middle of a loop: an edge there leaves the region, each time
 * round. Compilers make such loops, where they move a test to the end. The part of the body that is
 * entered besides the header is written once more, for those who come in there: from it they come to
 * the header.
 *
 * @module
 */
import { ControlFlow } from "./control_flow.ts";
import { type Block, copyBlocks, type Region } from "./region.ts";

/** Instructions that all copies add to a region, at most. */
const MOST_ADDED = 512;

/** What is copied for those who come into a loop elsewhere than at its header. */
interface Split {
  readonly parts: ReadonlySet<Block>;
  /** Blocks outside of the loop that lead to the parts. */
  readonly from: ReadonlySet<Block>;
  readonly count: number;
}

/** A region, which nobody uses yet, whose loops are entered in one block each, and its control flow. */
export function splitLoops(region: Region): { region: Region; flow: ControlFlow } {
  let added = 0;
  let flow = new ControlFlow(region);
  for (;;) {
    const split = splits(flow).find(({ count }) => added + count <= MOST_ADDED);
    if (!split) return { region: { ...region, written: region.written + added }, flow };
    added += split.count;
    copyParts(split);
    flow = new ControlFlow(region);
  }
}

/** What can be split; nothing in most regions. */
function splits(flow: ControlFlow): Split[] {
  const headers = new Set(flow.order.flatMap((block) => [...flow.of(block).dropped]));
  return [...headers].flatMap((header) => {
    const split = splitAt(header, flow);
    return split ? [split] : [];
  });
}

/** The parts of the loop around `header` that are entered from outside. */
function splitAt(header: Block, flow: ControlFlow): Split | undefined {
  const body = flow.loopOf(header);
  const entered = [...body].filter((block) => block !== header);
  const from = new Set(entered.flatMap((block) => flow.before(block).filter((b) => !body.has(b))));
  const parts = new Set<Block>();
  const work = [...from].flatMap(({ successors }) => successors);
  for (let block = work.pop(); block; block = work.pop()) {
    if (block === header || !body.has(block) || parts.has(block)) continue;
    parts.add(block);
    work.push(...block.successors);
  }
  const all = [...parts, ...from];
  // The ways of a jump table are not said by ends.
  const isSaid = all.every(({ end: { kind } }) => kind !== "dispatch" && kind !== "jumpTable");
  if (!isSaid || parts.size === 0 || [...parts].some((block) => block.isSwitchTarget)) {
    return undefined;
  }
  return { parts, from, count: [...parts].reduce((sum, { count }) => sum + count, 0) };
}

function copyParts({ parts, from }: Split): void {
  const copies = copyBlocks(parts);
  const lead = (to: Block) => copies.get(to) ?? to;
  for (const [block, copy] of copies) copy.endAs(block.end, lead);
  for (const block of from) block.endAs(block.end, lead);
}
