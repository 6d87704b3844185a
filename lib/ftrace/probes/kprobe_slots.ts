/**
 * Slots of the tracing range in which probed instructions are executed out of line: the instruction,
 * and an ebreak behind it (`arch/riscv/kernel/probes`).
 *
 * @module
 */
import type { Machine } from "../../machine/machine.ts";
import { EXECUTE, PAGE_SIZE, READ } from "../../memory/page.ts";
import { FtraceError } from "../ftrace_error.ts";

/** The bytes of `ebreak`, which replace an instruction of four bytes. */
export const EBREAK: Uint8Array = Uint8Array.of(0x73, 0x00, 0x10, 0x00);
const SLOT_SIZE = 8;

/** The slots of one machine; a page of them is taken when there is none left. */
export class KprobeSlots {
  readonly #machine: Machine;
  readonly #free: number[] = [];

  /** Starts without a page. */
  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /**
   * Address of a slot that holds an instruction's bytes and an ebreak.
   *
   * @param name Where the probe is, for the error.
   * @throws {FtraceError} ENOMEM if the tracing range is full.
   */
  take(instruction: Uint8Array, name: string): number {
    if (this.#free.length === 0) {
      const page = this.#page(name);
      for (let at = PAGE_SIZE - SLOT_SIZE; at >= 0; at -= SLOT_SIZE) this.#free.push(page + at);
    }
    const slot = this.#free.pop()!;
    const { space } = this.#machine;
    space.poke(BigInt(slot), instruction);
    space.poke(BigInt(slot + instruction.length), EBREAK);
    this.#machine.fenceI();
    return slot;
  }

  /** Gives a slot back. */
  release(slot: number): void {
    this.#free.push(slot);
  }

  #page(name: string): number {
    try {
      return this.#machine.tracing.allocate(PAGE_SIZE, READ | EXECUTE);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new FtraceError(
        "ENOMEM",
        "too-many",
        `Cannot place a kprobe at ${name}: there is no slot left to step it in`,
        "fewer probes at a time",
      );
    }
  }
}
