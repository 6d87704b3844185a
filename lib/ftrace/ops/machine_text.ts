/**
 * A machine as the patcher sees it.
 *
 * No hart runs while an update's sites are written, so the fences of all of them are one at the end:
 * nobody can tell the difference, and each would look at every page that was written to.
 *
 * @module
 */
import type { Machine } from "../../machine/machine.ts";
import type { PatchText } from "../../patcher/patcher.ts";

/** The text of one machine. */
export class MachineText implements PatchText {
  readonly #machine: Machine;
  #together = false;
  /** Whether a fence was asked for that has not been carried out. */
  #owed = false;

  /** Reads and writes what `machine` runs. */
  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Carries out `update`, in which no hart runs behind the first write, with one fence at its end. */
  together(update: () => void): void {
    this.#together = true;
    try {
      update();
    } finally {
      this.#together = false;
      if (this.#owed) this.remoteFenceI();
    }
  }

  read(address: bigint, length: number): Uint8Array {
    return this.#machine.space.peek(address, length)!;
  }

  write(address: bigint, bytes: Uint8Array): void {
    this.#machine.space.poke(address, bytes);
  }

  park(inside: (pc: number) => boolean): number {
    return this.#machine.park(inside);
  }

  localFenceI(): void {
    this.remoteFenceI();
  }

  remoteFenceI(): void {
    this.#owed = this.#together;
    if (!this.#together) this.#machine.fenceI();
  }
}
