/**
 * Runs the random programs of `fuzz_program.ts` and `fuzz_loop.ts` on QEMU and on engines.
 *
 * @module
 */
import { createMachine, type Machine, type MachineOptions } from "../../lib/machine/machine.ts";
import { engineOptions, type MachineEngine } from "./engines.ts";
import { type PackedLoop, packLoop } from "./fuzz_loop.ts";
import { type FuzzProgram, packProgram } from "./fuzz_program.ts";

/** What a program wrote, and how it ended. */
export interface Written {
  readonly bytes: Uint8Array;
  readonly end: string;
  /** Instructions that retired, where a loop ran on an engine. */
  readonly instret?: bigint;
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

/** How firmware or a Linux program runs; `"paged"` is firmware behind page tables, in S-mode. */
export type Where = "linux" | "bare" | "paged";

/** Runs a program on one of the engines. */
export async function onEngine(
  engine: MachineEngine,
  program: FuzzProgram,
  where: Where,
): Promise<Written> {
  if (program.loop) {
    const { machine, end } = startLoop(engine, packLoop(program), false);
    return { ...await end(), instret: machine.harts[0]!.instret };
  }
  const kind = where === "paged" ? "bare" : where;
  const { machine, end } = start(packProgram(program, kind), {
    ...engineOptions(engine),
    machine: kind,
  });
  if (where === "paged") translate(machine);
  return await end();
}

/** A machine that is about to run. */
interface Started {
  readonly machine: Machine;
  /** Runs it to its end. */
  end(): Promise<Written>;
}

function start(file: Uint8Array, options: MachineOptions): Started {
  const parts: Uint8Array[] = [];
  const machine = createMachine(file, {
    ...options,
    stdout: (data) => void parts.push(data.slice()),
  });
  return {
    machine,
    async end() {
      const outcome = await machine.run({ limit: 1_000_000_000_000n });
      const bytes = new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
      const end = outcome.kind === "exit"
        ? `exit ${outcome.code}`
        : outcome.kind === "signal"
        ? `signal ${outcome.signal}`
        : outcome.kind;
      return { bytes, end };
    },
  };
}

/**
 * What compiles at once is given the whole text as fetched, which a hart may do at any time. So each
 * function is compiled as one region before any of it runs, not instruction by instruction.
 */
function startLoop(engine: MachineEngine, { bytes, text }: PackedLoop, counts: boolean): Started {
  const atOnce = engine === "jit at once";
  const started = start(bytes, {
    ...(atOnce ? { engine: "jit", jitThreshold: 1 } : engineOptions(engine)),
    engineStatistics: counts,
    machine: "linux",
  });
  const { fetched } = started.machine.harts[0]!;
  if (atOnce) {
    for (let pc = text.start; pc < text.end;) pc += (fetched.fetch(pc) & 3) === 3 ? 4 : 2;
  }
  return started;
}

/** Who executed the functions of pieces of a loop. */
export interface Coverage {
  /** Instructions of them, with the jumps and calls between pieces. */
  readonly executed: number;
  /** Those that compiled code executed. */
  readonly compiled: number;
}

/** Runs a loop once more and counts, which other code is compiled for. */
export async function countLoop(
  engine: MachineEngine,
  program: FuzzProgram,
): Promise<Written & Coverage> {
  const packed = packLoop(program);
  const { machine, end } = startLoop(engine, packed, true);
  const written = await end();
  const { instret } = machine.harts[0]!;
  const functions = new Set(packed.functions);
  const compiled = machine.engine.statistics!()!.functions.reduce(
    (sum, { address, instructions }) => functions.has(address) ? sum + instructions : sum,
    0,
  );
  const around = await instructionsAround(program) - packed.around * program.loop!.passes;
  return { ...written, instret, executed: Number(instret) - around, compiled };
}

/** Instructions of a loop that are not its pieces: the same in each pass, but for the first ones. */
export async function instructionsAround(program: FuzzProgram): Promise<number> {
  const empty = { ...program, pieces: program.pieces.map(() => []) };
  const [one, two] = await Promise.all([1, 2].map(async (passes) => {
    const loop = { ...program.loop!, passes };
    return Number((await onEngine("interp", { ...empty, loop }, "linux")).instret);
  }));
  return one! + (program.loop!.passes - 1) * (two! - one!);
}

/** Runs a program on QEMU. */
export async function onQemu(program: FuzzProgram, machine: "linux" | "bare"): Promise<Written> {
  const file = await Deno.makeTempFile({ prefix: "fuzz_isa_" });
  try {
    const packed = program.loop ? packLoop(program).bytes : packProgram(program, machine);
    await Deno.writeFile(file, packed, { mode: 0o755 });
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
