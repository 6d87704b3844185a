/**
 * How many addresses a process has for machines that were disposed of, for tests on Linux.
 *
 * When V8 collects a machine is up to its settings, and `deno task test` changes them
 * ([README](../README.md)). So the machines are made in a process of their own, which has V8 as a
 * user has it: this file, with how many as its argument.
 *
 * @module
 */
import { fromFileUrl } from "@std/path";
import { createMachine, type Machine } from "../../lib/machine/machine.ts";
import { buildBare } from "../program/elf_builder.ts";

/** Bytes of addresses that one machine has: the guest's memory and the host's. */
export const ADDRESSES = 5 * 2 ** 30;

const COUNTING = "_start:\nloop:\naddi a1, a1, 1\nj loop\n";

/**
 * In a process of its own, makes so many machines, one after the other, lets each run a little,
 * disposes of it and keeps it.
 *
 * @returns The most bytes of addresses that the process had meanwhile beyond those at the beginning.
 * @throws {Error} If the process failed, with what it printed.
 */
export async function addressesOfDisposed(count: number): Promise<number> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", fromFileUrl(import.meta.url), `${count}`],
  }).output();
  const decoder = new TextDecoder();
  if (code !== 0) throw new Error(decoder.decode(stderr));
  return Number(decoder.decode(stdout));
}

async function measure(count: number): Promise<number> {
  const program = buildBare(COUNTING);
  const kept: Machine[] = [];
  const before = virtualSize();
  let most = 0;
  for (let k = 0; k < count; k++) {
    using machine = createMachine(program);
    await machine.run({ limit: 10n });
    kept.push(machine);
    most = Math.max(most, virtualSize() - before);
  }
  if (kept.length !== count) throw new RangeError("Cannot count: machines were lost");
  return most;
}

/** Bytes of addresses that this process has. */
function virtualSize(): number {
  const [, kib] = Deno.readTextFileSync("/proc/self/status").match(/VmSize:\s*(\d+) kB/)!;
  return Number(kib) * 1024;
}

if (import.meta.main) {
  await Deno.stdout.write(new TextEncoder().encode(`${await measure(Number(Deno.args[0]))}`));
}
