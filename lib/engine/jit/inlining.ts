/**
 * Calls of small functions whose blocks stand in the caller's region: no register is stored for
 * them, and what the caller knows holds inside.
 *
 * A function that calls itself is also written into itself, once at each call: every other call goes
 * out of the region then. Where the inlined function goes back to is compared, as the guest may
 * have changed it.
 *
 * @module
 */
import { Block, type Region, type Step } from "./region.ts";

/** Instructions of a function that is inlined, at most. */
const MOST_INLINED = 64;
/** Instructions that all of them add to a region, at most. */
const MOST_ADDED = 192;

/** The region with its calls of small functions inlined; `calleeAt` gives what is called. */
export function inlineCalls(
  region: Region,
  calleeAt: (pc: number) => Region | undefined,
): Region {
  const steps = new Map(region.steps);
  const callees = new Map<number, readonly Block[] | undefined>();
  let added = 0;
  // What a function looks like that calls itself, before any of its calls is inlined.
  const calls = [...region.blocks.values()].filter(({ end }) => end.kind === "call" && end.behind);
  for (const { end: { target } } of calls) {
    if (!callees.has(target)) callees.set(target, blocksOf(calleeAt(target)));
  }
  const copied = calls.flatMap((call) => {
    const blocks = callees.get(call.end.target);
    if (!blocks) return [];
    added += countOf(blocks);
    return added > MOST_ADDED ? [] : [{ call, copies: copiesOf(blocks) }];
  });
  for (const { call, copies } of copied) {
    inline(call, copies);
    for (const { all } of copies.keys()) for (const step of all) addStep(steps, step);
  }
  return { ...region, steps };
}

function addStep(steps: Map<number, Step>, step: Step): void {
  if (!steps.has(step.pc)) steps.set(step.pc, step);
}

const countOf = (blocks: readonly Block[]): number =>
  blocks.reduce((sum, { count }) => sum + count, 0);

/** The blocks of a function, the one that is entered first; undefined if it cannot be inlined. */
function blocksOf(callee: Region | undefined): readonly Block[] | undefined {
  if (!callee || callee.steps.size > MOST_INLINED) return undefined;
  const blocks = [callee.entry, ...callee.blocks.values()];
  const ends = blocks.every(({ end, isSwitchTarget }) =>
    end.kind !== "dispatch" && !isSwitchTarget &&
    // A jump to another function comes back to the caller's caller.
    (end.kind !== "goto" || end.to !== undefined)
  );
  return ends && blocks.some(({ end }) => end.kind === "return") ? [...new Set(blocks)] : undefined;
}

function copiesOf(blocks: readonly Block[]): Map<Block, Block> {
  return new Map(blocks.map((block) => {
    const copy = new Block(block.pc);
    copy.steps.push(...block.steps);
    return [block, copy];
  }));
}

/** Leads a call into the copies of what it calls, the first of which is entered. */
function inline(call: Block, copies: ReadonlyMap<Block, Block>): void {
  const { next, behind } = call.end;
  for (const [block, copy] of copies) {
    const { end } = block;
    if (end.kind === "return") copy.endAs({ ...end, kind: "comeBack", next, behind });
    else copy.endAs(end, (to) => copies.get(to)!);
  }
  const [entry] = copies.values();
  call.endAs({ ...call.end, kind: "enter", to: entry, behind: undefined });
}
