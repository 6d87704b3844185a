/**
 * How many addresses of this process machines take that were disposed of, for tests on Linux.
 *
 * @module
 */
import { createMachine, type Machine } from "../../lib/machine/machine.ts";

/** Bytes of addresses that one machine has: the guest's memory and the host's. */
export const ADDRESSES = 5 * 2 ** 30;

/**
 * Makes so many machines, one after the other, lets each run a little, disposes of it and keeps it.
 *
 * @returns The most bytes of addresses that this process had meanwhile beyond those at the beginning.
 */
export async function addressesOfDisposed(count: number, program: Uint8Array): Promise<number> {
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
