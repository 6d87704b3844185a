/**
 * The workloads of `deno task bench`: which program does what, and how it is run here and by QEMU.
 *
 * All but three are kernels of `tests/fixtures/src/bench`; those three were there already.
 *
 * @module
 */
import type { EngineName } from "../../lib/engine/mod.ts";
import { createMachine } from "../../mod.ts";
import { firmwareCommand } from "../build_fixtures.ts";
import { FIRMWARE_KERNELS, KERNELS } from "../fixture_programs.ts";
import { ROOT } from "./measure.ts";

/** What a workload runs on: a process, firmware in M-mode, or behind Sv39 in S-mode. */
export type Kind = "linux" | "firmware" | "sv39";

/** One workload. */
export interface Workload {
  readonly name: string;
  readonly kind: Kind;
  /** Name of its ELF file among the fixtures. */
  readonly program: string;
  /** Its arguments, so that it makes that many rounds. */
  args(rounds: number): string[];
}

function linux(name: string, program = `bench_${name}_p84`, first: string[] = []): Workload {
  return { name, kind: "linux", program, args: (rounds) => [...first, `${rounds}`] };
}

function firmware(name: string, kind: "firmware" | "sv39"): Workload {
  const last = kind === "sv39" ? ["paged"] : [];
  return {
    name,
    kind,
    program: `bench_${name}_bare_p84`,
    args: (rounds) => [`${rounds}`, ...last],
  };
}

const FIRMWARE = Object.keys(FIRMWARE_KERNELS);

/** Every workload. */
export const BENCH_WORKLOADS: readonly Workload[] = [
  linux("sieve", "sieve_p84"),
  linux("fib", "workloads_p84", ["fibonacci"]),
  linux("matmul", "workloads_p84", ["multiply"]),
  ...KERNELS.map((name) => linux(name)),
  ...FIRMWARE.map((name) => firmware(name, "firmware")),
  ...FIRMWARE.map((name) => firmware(name, "sv39")),
];

/** Where a workload's program is. */
export const fileOf = ({ program }: Workload): string => `${ROOT}tests/fixtures/elf/${program}`;

/** How a user runs it here, untraced. */
export function ourCommand(workload: Workload, engine: EngineName, rounds: number): string[] {
  const bare = workload.kind === "linux" ? [] : ["--semihosting"];
  return [
    ...[Deno.execPath(), "run", "-A", `${ROOT}trace.ts`, "-p", "nop", "--engine", engine],
    ...[...bare, fileOf(workload), ...workload.args(rounds)],
  ];
}

/** How QEMU runs it. */
export function qemuCommand(workload: Workload, rounds: number): string[] {
  const args = workload.args(rounds);
  if (workload.kind === "linux") return ["qemu-riscv64", fileOf(workload), ...args];
  return firmwareCommand(fileOf(workload), args);
}

/**
 * How many instructions a round takes, on the average over the first `rounds` of them behind the
 * first; that one may have something to prepare.
 */
export async function instructionsPerRound(workload: Workload, rounds = 20): Promise<number> {
  const program = await Deno.readFile(fileOf(workload));
  const count = async (rounds: number) => {
    using machine = createMachine(program, {
      args: workload.args(rounds),
      stdout() {},
      ...(workload.kind === "linux" ? {} : { semihosting: "privileged" }),
    });
    await machine.run();
    return Number(machine.harts[0]!.instret);
  };
  return (await count(1 + rounds) - await count(1)) / rounds;
}
