/**
 * `--stats`: what a run has cost, and what a traced call costs in every era.
 *
 * The figures of the run are read while its sites are still switched. Those of the eras are
 * measured, not looked up: the sample program runs through the real trampolines of each, and its
 * overhead is divided by its calls.
 *
 * @module
 */
import {
  createFtrace,
  createMachine,
  type EraName,
  ERAS,
  type Ftrace,
  FTRACE_OPS_FL,
} from "../../mod.ts";
import { sampleProgram } from "./sample_program.ts";

/** Figures of one run. */
export interface RunStatistics {
  /** Name of the era in force. */
  readonly era: EraName;
  /** Records by how they were served, and how many of the first two had a user. */
  readonly sites: {
    readonly all: number;
    readonly patched: number;
    readonly virtual: number;
    readonly disabled: number;
  };
  /** Stores, parkings and fences that switching sites took. */
  readonly patching: {
    readonly writes: number;
    readonly parks: number;
    readonly localFences: number;
    readonly remoteFences: number;
  };
  /** Events stored, and those of them that a full buffer has lost or refused. */
  readonly events: { readonly written: number; readonly lost: number };
  /** Calls that reached a tracer. */
  readonly calls: number;
  /** Instructions that the guest retired. */
  readonly instret: bigint;
  /** Instructions that trampolines retired, or would have on the fast path. */
  readonly overhead: bigint;
}

/** Reads the figures of a run. */
export function collectStatistics({ machine, records, core, buffer, era }: Ftrace): RunStatistics {
  const traced = records.filter((record) => (record.flags & USERS) > 0);
  let written = 0;
  let lost = 0;
  let instret = 0n;
  let overhead = 0n;
  for (const hart of machine.harts) {
    const ring = buffer.statistics(hart.id);
    written += ring.written;
    lost += ring.overrun + ring.dropped;
    instret += hart.instret;
    overhead += hart.overhead;
  }
  return {
    era: era.name,
    sites: {
      all: records.length,
      patched: traced.filter(({ kind }) => kind === "patched").length,
      virtual: traced.filter(({ kind }) => kind === "virtual").length,
      disabled: records.filter(({ kind }) => kind === "disabled").length,
    },
    patching: { ...core.patcher.statistics },
    events: { written, lost },
    calls: core.calls,
    instret,
    overhead,
  };
}

/** `FTRACE_FL_REF_MASK`: how many use a record. */
const USERS = (1 << 19) - 1;

/** What a traced call costs in one era by one of its trampolines. */
export interface CallCost {
  /** Name of the era that the cost was measured in. */
  readonly era: EraName;
  /** The trampoline that the entry goes through. */
  readonly trampoline: "ftrace_caller" | "ftrace_regs_caller";
  /** Bytes of stack that the trampoline's frame takes. */
  readonly frame: number;
  /** Instructions that the trampoline retires at the entry. */
  readonly entry: number;
  /** Instructions that `return_to_handler` retires, if the return is traced, too. */
  readonly exit: number;
}

/** Runs the sample through the trampolines of every era and gives what each call cost. */
export async function measureCallCosts(): Promise<readonly CallCost[]> {
  const costs: CallCost[] = [];
  for (const era of Object.keys(ERAS) as EraName[]) {
    const entry = await measureEntry(era, 0);
    const exit = await measureExit(era, entry.instructions);
    costs.push({
      era,
      trampoline: "ftrace_caller",
      frame: entry.ftrace.core.area.trampolines.frame.size,
      entry: entry.instructions,
      exit,
    });
    const { regsFrame } = entry.ftrace.core.area.trampolines;
    if (!regsFrame) continue;
    const { instructions } = await measureEntry(era, FTRACE_OPS_FL.SAVE_REGS);
    costs.push({
      era,
      trampoline: "ftrace_regs_caller",
      frame: regsFrame.size,
      entry: instructions,
      exit,
    });
  }
  return costs;
}

function sampleUnder(era: EraName): Ftrace {
  const machine = createMachine(sampleProgram(), { engine: "ref", name: "sample" });
  return createFtrace(machine, { era, trampoline: "guest" });
}

async function measureEntry(
  era: EraName,
  flags: number,
): Promise<{ readonly ftrace: Ftrace; readonly instructions: number }> {
  const ftrace = sampleUnder(era);
  // The kernel's own callback is called by the trampoline itself; a plugin's may be behind the list.
  ftrace.registerFtraceFunction({ flags, func: ftrace.functionTraceCall });
  await ftrace.machine.run();
  return { ftrace, instructions: Number(ftrace.machine.harts[0]!.overhead) / ftrace.core.calls };
}

async function measureExit(era: EraName, entryCost: number): Promise<number> {
  const ftrace = sampleUnder(era);
  let entries = 0;
  let exits = 0;
  ftrace.registerFtraceGraph({
    entryFunc: () => void entries++,
    retFunc: () => void exits++,
  });
  await ftrace.machine.run();
  return (Number(ftrace.machine.harts[0]!.overhead) - entries * entryCost) / exits;
}

/** Formats the figures of a run and the cost of a call in each era (`--stats`). */
export async function statisticsText(statistics: RunStatistics): Promise<string> {
  const { sites, patching, events, calls, instret, overhead } = statistics;
  const perCall = calls === 0 ? "" : `, ${(Number(overhead) / calls).toFixed(1)} for each call`;
  const costs = await measureCallCosts();
  return [
    `sites       ${sites.patched} of ${sites.all} patched, ${sites.virtual} virtual, ` +
    `${sites.disabled} disabled`,
    `patching    ${patching.writes} stores, ${patching.parks} parks, ` +
    `${patching.localFences} local and ${patching.remoteFences} remote fence.i`,
    `events      ${events.written} written, ${events.lost} lost`,
    `calls       ${calls} traced`,
    `instret     ${instret} instructions of the guest`,
    `overhead    ${overhead} instructions of trampolines${perCall}`,
    "a traced call, measured through the real trampolines:",
    "  era       trampoline          frame bytes  instructions at entry  at return",
    ...costs.map((cost) => costText(cost, statistics.era)),
  ].join("\n");
}

function costText({ era, trampoline, frame, entry, exit }: CallCost, inForce: EraName): string {
  return [
    era === inForce ? "*" : " ",
    era.padEnd(9),
    trampoline.padEnd(19),
    String(frame).padStart(11),
    String(entry).padStart(22),
    String(exit).padStart(10),
  ].join(" ");
}
