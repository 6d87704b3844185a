/**
 * Differential fuzzing: random programs on QEMU and on every engine, whose registers, flags and
 * memory must agree all along; what disagrees is shrunk to the few instructions that matter.
 *
 * What the programs are is `fuzz_program.ts`; the command line is `scripts/fuzz_isa.ts`.
 *
 * @module
 */
import { F_NAMES, X_NAMES } from "../../lib/isa/names.ts";
import { MACHINE_ENGINES, type MachineEngine } from "./engines.ts";
import { FOLDED_SIZE } from "./fuzz_loop.ts";
import type { FuzzClass } from "./fuzz_pieces.ts";
import {
  type FuzzProgram,
  instructionsOf,
  listing,
  type Loop,
  randomProgram,
  SNAPSHOT_SIZE,
} from "./fuzz_program.ts";
import { countLoop, instructionsAround, onEngine, onQemu, type Written } from "./fuzz_run.ts";
import { createRandom } from "./random.ts";

/** The engine that all others must equal. */
const ORACLE: MachineEngine = MACHINE_ENGINES[0]!;
/** Instructions of one program. */
const PROGRAM_LENGTH = 20_000;
/** Instructions of one that often leaves compiled code: each way back is compiled, with all behind. */
const BRANCHING_LENGTH = 1_000;
const BRANCHING: readonly FuzzClass[] = ["atomic", "control", "selfmod", "mixed"];
/** Of so many programs in a loop one runs once more, and it is counted who executes what. */
const COUNTED = 8;

/** How the instructions of a campaign are executed. */
export const FUZZ_MODES = ["straight", "once", "hot"] as const;
/** One of them. */
export type FuzzMode = typeof FUZZ_MODES[number];

/** Programs in a loop, by mode. */
interface LoopMode {
  /** The JIT, as it is compared with QEMU. */
  readonly engine: MachineEngine;
  readonly length: number;
  readonly passes: number;
  readonly textEvery: number;
  /** Pieces between two snapshots. */
  readonly every: number;
}
const LOOPS: { readonly [M in FuzzMode]?: LoopMode } = {
  once: { engine: "jit at once", length: 5_000, passes: 10, textEvery: 3, every: 24 },
  hot: { engine: "jit", length: 2_000, passes: 5_000, textEvery: 2_000, every: 48 },
};
/** Pieces of a function: a program has one of these. */
const FUNCTIONS = [6, 24, 96];
/** The same where much is left to the reference, and what is behind that to the interpreter. */
const SHORT_FUNCTIONS = [4, 8, 16];
/** Those classes, whose programs compile at once in more and shorter regions. */
const LEAVING: readonly FuzzClass[] = ["float", "selfmod", "mixed"];

/** What a campaign is asked for. */
export interface Campaign {
  readonly kind: FuzzClass;
  readonly seed: number;
  /** Random instructions that programs have, at least. */
  readonly count: number;
  readonly machine: "linux" | "bare";
  /**
   * `straight` unless given: each instruction is executed once. The others have them in a loop, for the
   * JIT when it compiles at once, and when it compiles what has become hot; on Linux only.
   */
  readonly mode?: FuzzMode;
  /** Without QEMU the engines are compared with the reference only. */
  readonly qemu: boolean;
  /** Called after each program. */
  readonly progress?: (instructions: number) => void;
}

/** A program on which an engine disagrees. */
export interface Disagreement {
  readonly engine: MachineEngine;
  /** Seed of the program. */
  readonly seed: number;
  /** The instructions that it takes, as assembly. */
  readonly lines: readonly string[];
  /** What differs, a line each. */
  readonly differences: readonly string[];
}

/** What came of a campaign. */
export interface CampaignResult {
  /** Random instructions of all programs. */
  readonly instructions: number;
  /** How often one of them was executed, on each engine. */
  readonly executed: number;
  /** Of loops: which part of that compiled code executed, at least, where that was counted. */
  readonly compiled: number | undefined;
  readonly programs: number;
  readonly disagreements: readonly Disagreement[];
}

/** Runs programs until `count` instructions have been executed or three programs disagree. */
export async function fuzz(campaign: Campaign): Promise<CampaignResult> {
  const { kind, machine, count, qemu, progress, mode = "straight" } = campaign;
  const world: World = { machine, qemu };
  const loop = LOOPS[mode];
  const isShort = machine === "bare" || BRANCHING.includes(kind);
  const usual = isShort ? BRANCHING_LENGTH : PROGRAM_LENGTH;
  const engines = loop ? ["interp", loop.engine] as const : MACHINE_ENGINES;
  const disagreements: Disagreement[] = [];
  const counted = { executed: 0, compiled: 0 };
  let instructions = 0, executed = 0;
  let programs = 0;
  while (instructions < count && disagreements.length < 3) {
    const seed = campaign.seed + programs++;
    const length = Math.min(count, loop ? lengthOf(loop, kind) : usual);
    const shape = loop && shapeOf(loop, kind, seed);
    const program = randomProgram(kind, seed, length, createRandom(seed), shape);
    instructions += instructionsOf(program);
    const known = new Map<MachineEngine, Written>();
    const expected = await expect(program, world, known);
    for (const engine of engines) {
      const actual = known.get(engine) ?? await onEngine(engine, program, machine);
      if (same(actual, expected)) continue;
      disagreements.push(
        await shrink(engine, program, machine, (shorter) => expect(shorter, world)),
      );
    }
    if (!loop) executed = instructions;
    else executed += Number(expected.instret) - await instructionsAround(program);
    if (loop && (programs - 1) % COUNTED === 0 && disagreements.length === 0) {
      const who = await countLoop(loop.engine, program);
      if (!same(who, expected)) throw new Error(`Counting changes program ${seed} of ${kind}`);
      counted.executed += who.executed;
      counted.compiled += who.compiled;
    }
    progress?.(instructions);
  }
  const compiled = counted.executed > 0 ? counted.compiled / counted.executed : undefined;
  return { instructions, executed, compiled, programs, disagreements };
}

function lengthOf({ length }: LoopMode, kind: FuzzClass): number {
  return LEAVING.includes(kind) ? BRANCHING_LENGTH : length;
}

function shapeOf({ passes, textEvery, every }: LoopMode, kind: FuzzClass, seed: number) {
  const lengths = LEAVING.includes(kind) ? SHORT_FUNCTIONS : FUNCTIONS;
  const loop: Loop = { passes, textEvery, pieces: lengths[seed % lengths.length]! };
  return { every, loop };
}

/** Where a program runs, and what it is compared with. */
interface World {
  readonly machine: "linux" | "bare";
  readonly qemu: boolean;
}

/** What a program should write; QEMU does not count instructions, so an engine does. */
async function expect(
  program: FuzzProgram,
  { machine, qemu }: World,
  known = new Map<MachineEngine, Written>(),
): Promise<Written> {
  if (qemu && !program.loop) return await onQemu(program, machine);
  const engine = qemu ? "interp" : ORACLE;
  const mine = await onEngine(engine, program, machine);
  known.set(engine, mine);
  return qemu ? { ...mine, ...await onQemu(program, machine) } : mine;
}

function same(a: Written, b: Written): boolean {
  return a.end === b.end && a.instret === b.instret && a.bytes.length === b.bytes.length &&
    a.bytes.every((byte, k) => byte === b.bytes[k]);
}

/** Leaves out pieces as long as the engine still disagrees. */
export async function shrink(
  engine: MachineEngine,
  program: FuzzProgram,
  machine: "linux" | "bare",
  oracle: (program: FuzzProgram) => Promise<Written>,
): Promise<Disagreement> {
  const fails = async (pieces: FuzzProgram["pieces"]): Promise<boolean> => {
    const shorter = { ...program, pieces };
    return !same(await onEngine(engine, shorter, machine), await oracle(shorter));
  };
  let { pieces } = program;
  const differing = await firstDifference(engine, program, machine, oracle);
  const head = pieces.slice(0, (differing + 1) * program.every);
  if (await fails(head)) pieces = head;
  for (
    let size = Math.ceil(pieces.length / 2);
    size >= 1;
    size = size > 1 ? Math.ceil(size / 2) : 0
  ) {
    for (let at = 0; at < pieces.length;) {
      const without = [...pieces.slice(0, at), ...pieces.slice(at + size)];
      if (without.length > 0 && await fails(without)) pieces = without;
      else at += size;
    }
    if (size === 1) break;
  }
  const smallest = { ...program, pieces };
  const actual = await onEngine(engine, smallest, machine);
  const expected = await oracle(smallest);
  return {
    engine,
    seed: program.seed,
    lines: listing(smallest),
    differences: describe(actual, expected, program.loop ? FOLDED_SIZE : SNAPSHOT_SIZE),
  };
}

/** Number of the first snapshot that differs. */
async function firstDifference(
  engine: MachineEngine,
  program: FuzzProgram,
  machine: "linux" | "bare",
  oracle: (program: FuzzProgram) => Promise<Written>,
): Promise<number> {
  const { bytes: mine } = await onEngine(engine, program, machine);
  const { bytes: theirs } = await oracle(program);
  const at = mine.findIndex((byte, k) => byte !== theirs[k]);
  const size = program.loop ? FOLDED_SIZE : SNAPSHOT_SIZE;
  return Math.floor((at < 0 ? Math.min(mine.length, theirs.length) : at) / size);
}

const CELLS = [...X_NAMES.slice(1), ...F_NAMES, "fcsr"];

/** The first words that differ, by the names of registers. */
function describe(actual: Written, expected: Written, size: number): string[] {
  const lines: string[] = [];
  if (actual.end !== expected.end) lines.push(`ended with ${actual.end}, expected ${expected.end}`);
  if (actual.instret !== expected.instret) {
    lines.push(`${actual.instret} instructions, expected ${expected.instret}`);
  }
  const [mine, theirs] = [actual, expected].map(({ bytes }) => new DataView(bytes.slice().buffer));
  const length = Math.min(mine!.byteLength, theirs!.byteLength);
  for (let at = 0; at + 8 <= length && lines.length < 6; at += 8) {
    const [a, b] = [mine!.getBigUint64(at, true), theirs!.getBigUint64(at, true)];
    if (a === b) continue;
    const cell = CELLS[(at % size) / 8] ?? "memory";
    lines.push(`${cell}: 0x${a.toString(16)}, expected 0x${b.toString(16)}`);
  }
  return lines;
}
