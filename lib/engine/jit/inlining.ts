/**
 * Calls of small functions whose blocks stand in the caller's region: no register is stored for
 * them, and what the caller knows holds inside.
 *
 * A function that calls itself is written into itself, once at each of its calls: every other call
 * goes out of the region then. Where an inlined function goes back to is compared, as the guest may
 * have changed it.
 *
 * @module
 */
import { Block, copyBlocks, type Region, type Step } from "./region.ts";

/** Instructions of a function that is inlined, at most. */
const MOST_INLINED = 64;
/** Instructions that all of them add to a region, at most. */
const MOST_ADDED = 192;

/** What is inlined at a call. */
export interface Callee {
  readonly region: Region;
  /** The site that is passed before, where the call names one, as it is executed. */
  readonly site?: readonly Step[] | undefined;
}

/** A region, which nobody uses yet, with its calls inlined of all that `calleeAt` gives. */
export function inlineCalls(
  region: Region,
  calleeAt: (pc: number) => Callee | undefined,
): Region {
  const steps = new Map(region.steps);
  const callees = new Map<number, Callee | undefined>();
  let added = 0;
  const calls = [...region.blocks.values()].filter(({ end }) => end.kind === "call" && end.behind);
  // All copies are made before the first call is led away: a function that calls itself is as it was.
  const inlined = calls.flatMap((call) => {
    const { target } = call.end;
    if (!callees.has(target)) callees.set(target, inlinable(calleeAt(target)));
    const callee = callees.get(target);
    if (!callee || added + callee.region.steps.size > MOST_ADDED) return [];
    added += callee.region.steps.size;
    for (const [pc, step] of callee.region.steps) steps.set(pc, step);
    return [{ call, to: copyFor(call, callee) }];
  });
  for (const { call, to } of inlined) {
    call.endAs({ ...call.end, kind: "enter", to, behind: undefined });
  }
  return { ...region, steps, written: region.written + added };
}

/** What is called, if it is small, comes back, and jumps nowhere else. */
function inlinable(callee: Callee | undefined): Callee | undefined {
  if (!callee || callee.region.steps.size > MOST_INLINED) return undefined;
  const blocks = [...callee.region.blocks.values()];
  const stays = blocks.every(({ end, isSwitchTarget }) =>
    end.kind !== "dispatch" && !isSwitchTarget &&
    // A jump to another function comes back to the caller's caller.
    (end.kind !== "goto" || end.to !== undefined)
  );
  return stays && blocks.some(({ end }) => end.kind === "return") ? callee : undefined;
}

/**
 * Whether all of a function is in its region. What is missing of another function is not asked for
 * where that is inlined, so a part that was not fetched yet would be left ever again.
 */
export function isComplete({ blocks }: Region): boolean {
  return [...blocks.values()].every(({ end: { kind, to, behind } }) =>
    kind !== "exit" && (kind !== "branch" || (to !== undefined && behind !== undefined))
  );
}

/** Copies what a call calls, to come back behind it; gives the block that is entered. */
function copyFor({ end: { target, next, behind } }: Block, { region, site }: Callee): Block {
  const copies = copyBlocks(region.blocks.values());
  for (const [{ end }, copy] of copies) {
    if (end.kind === "return") copy.endAs({ ...end, kind: "comeBack", next, behind });
    else copy.endAs(end, (to) => copies.get(to)!);
  }
  const to = copies.get(region.entry)!;
  if (!site) return to;
  const passes = new Block(target);
  passes.steps.push(...site);
  passes.endAs({ kind: "goto", target: to.pc, next: to.pc, step: undefined, to });
  return passes;
}
