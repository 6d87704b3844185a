/**
 * Differential fuzzing: random programs on QEMU and on every engine, whose registers, flags and
 * memory must agree all along; what disagrees is shrunk to the few instructions that matter.
 *
 * What the programs are is `fuzz_program.ts`; the command line is `scripts/fuzz_isa.ts`.
 *
 * @module
 */
import { F_NAMES, X_NAMES } from "../../lib/isa/names.ts";
import { createMachine, type Machine } from "../../lib/machine/machine.ts";
import {
  type FuzzClass,
  type FuzzProgram,
  instructionsOf,
  listing,
  packProgram,
  randomProgram,
  SNAPSHOT_SIZE,
} from "./fuzz_program.ts";
import { engineOptions, MACHINE_ENGINES, type MachineEngine } from "./engines.ts";
import { createRandom } from "./random.ts";

/** The engine that all others must equal. */
const ORACLE: MachineEngine = MACHINE_ENGINES[0]!;
/** Instructions of one program. */
const PROGRAM_LENGTH = 20_000;
/** Instructions of one that often leaves compiled code: each way back is compiled, with all behind. */
const BRANCHING_LENGTH = 1_000;
const BRANCHING: readonly FuzzClass[] = ["atomic", "control", "selfmod", "mixed"];

/** What a campaign is asked for. */
export interface Campaign {
  readonly kind: FuzzClass;
  readonly seed: number;
  /** Random instructions to execute, at least. */
  readonly count: number;
  readonly machine: "linux" | "bare";
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
  readonly instructions: number;
  readonly programs: number;
  readonly disagreements: readonly Disagreement[];
}

/** Runs programs until `count` instructions have been executed or three programs disagree. */
export async function fuzz(campaign: Campaign): Promise<CampaignResult> {
  const { kind, machine, count, qemu, progress } = campaign;
  const disagreements: Disagreement[] = [];
  const isShort = machine === "bare" || BRANCHING.includes(kind);
  const length = Math.min(count, isShort ? BRANCHING_LENGTH : PROGRAM_LENGTH);
  let instructions = 0;
  let programs = 0;
  while (instructions < count && disagreements.length < 3) {
    const seed = campaign.seed + programs++;
    const program = randomProgram(kind, seed, length, createRandom(seed));
    instructions += instructionsOf(program);
    const oracle = (each: FuzzProgram) =>
      qemu ? onQemu(each, machine) : onEngine(ORACLE, each, machine);
    const expected = await oracle(program);
    for (const engine of qemu ? MACHINE_ENGINES : MACHINE_ENGINES.slice(1)) {
      const actual = await onEngine(engine, program, machine);
      if (same(actual, expected)) continue;
      disagreements.push(await shrink(engine, program, machine, oracle));
    }
    progress?.(instructions);
  }
  return { instructions, programs, disagreements };
}

/** What a program wrote, and how it ended. */
export interface Written {
  readonly bytes: Uint8Array;
  readonly end: string;
}

function same(a: Written, b: Written): boolean {
  return a.end === b.end && a.bytes.length === b.bytes.length &&
    a.bytes.every((byte, k) => byte === b.bytes[k]);
}

/**
 * Puts the hart of firmware into S-mode, with all of RAM at its own addresses: by 4 KiB pages where
 * the program is, whose accessed and dirty bits are still to be set.
 */
function translate({ harts, memory }: Machine): void {
  const hart = harts[0]!;
  const [start, tables] = [0x80000000, 0x87000000];
  const entry = (at: number, target: number, flags: number) =>
    memory.view.setBigUint64(at, BigInt(target) >> 12n << 10n | BigInt(flags), true);
  const [middle, pages, perTable, leaf] = [tables + 4096, tables + 8192, 512, 0xcf];
  entry(tables + 8 * 2, middle, 1);
  for (let k = 0; k < 64; k++) {
    if (k < 2) entry(middle + 8 * k, pages + 4096 * k, 1);
    else entry(middle + 8 * k, start + k * 2 ** 21, leaf);
  }
  for (let k = 0; k < 2 * perTable; k++) entry(pages + 8 * k, start + 4096 * k, leaf & 0xf);
  const everything = (1n << 54n) - 1n;
  hart.csrs.write(0x3b0, everything);
  hart.csrs.write(0x3a0, 0x1fn);
  hart.csrs.write(0x180, 8n << 60n | BigInt(tables) >> 12n);
  hart.mode = "S";
  hart.system!.changed();
}

/** Runs a program on one of the engines; `"paged"` is firmware behind page tables, in S-mode. */
export async function onEngine(
  engine: MachineEngine,
  program: FuzzProgram,
  where: "linux" | "bare" | "paged",
): Promise<Written> {
  const kind = where === "paged" ? "bare" : where;
  const parts: Uint8Array[] = [];
  const machine = createMachine(packProgram(program, kind), {
    ...engineOptions(engine),
    machine: kind,
    stdout: (data) => void parts.push(data.slice()),
  });
  if (where === "paged") translate(machine);
  const outcome = await machine.run({ limit: 100_000_000n });
  const bytes = new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
  const end = outcome.kind === "exit"
    ? `exit ${outcome.code}`
    : outcome.kind === "signal"
    ? `signal ${outcome.signal}`
    : outcome.kind;
  return { bytes, end };
}

async function onQemu(program: FuzzProgram, machine: "linux" | "bare"): Promise<Written> {
  const file = await Deno.makeTempFile({ prefix: "fuzz_isa_" });
  try {
    await Deno.writeFile(file, packProgram(program, machine), { mode: 0o755 });
    const extensions = "zba=true,zbb=true,zbc=true,zbkb=true,zbs=true,Zfh=true";
    const command = machine === "linux"
      ? new Deno.Command("qemu-riscv64", { args: ["-cpu", `rv64,${extensions}`, file] })
      : new Deno.Command("qemu-system-riscv64", {
        args: [
          ...["-M", "spike", "-cpu", `rv64,${extensions}`, "-display", "none", "-monitor", "none"],
          ...["-serial", "stdio", "-bios", file],
        ],
        stdin: "null",
      });
    const { code, signal, stdout } = await command.output();
    return { bytes: stdout, end: signal ? `signal ${signal}` : `exit ${code}` };
  } finally {
    await Deno.remove(file);
  }
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
    differences: describe(actual, expected),
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
  return Math.floor((at < 0 ? Math.min(mine.length, theirs.length) : at) / SNAPSHOT_SIZE);
}

const CELLS = [...X_NAMES.slice(1), ...F_NAMES, "fcsr"];

/** The first words that differ, by the names of registers. */
function describe(actual: Written, expected: Written): string[] {
  const lines: string[] = [];
  if (actual.end !== expected.end) lines.push(`ended with ${actual.end}, expected ${expected.end}`);
  const [mine, theirs] = [actual, expected].map(({ bytes }) => new DataView(bytes.slice().buffer));
  const length = Math.min(mine!.byteLength, theirs!.byteLength);
  for (let at = 0; at + 8 <= length && lines.length < 6; at += 8) {
    const [a, b] = [mine!.getBigUint64(at, true), theirs!.getBigUint64(at, true)];
    if (a === b) continue;
    const cell = CELLS[(at % SNAPSHOT_SIZE) / 8]!;
    lines.push(`${cell}: 0x${a.toString(16)}, expected 0x${b.toString(16)}`);
  }
  return lines;
}
