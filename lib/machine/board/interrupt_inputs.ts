/**
 * The interrupt inputs of harts, each an OR of the lines that lead to it.
 *
 * What a hart makes of an input that is up is `lib/hart/system.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { HartInput, InterruptLine } from "./device.ts";

/** The interrupt inputs of a board's harts, each driven by any number of lines. */
export class InterruptInputs {
  readonly #harts: readonly Hart[];
  /** How many lines hold each input up, by hart and interrupt. */
  readonly #held: readonly Map<number, number>[];

  /** Starts with every input of `harts` down. */
  constructor(harts: readonly Hart[]) {
    this.#harts = harts;
    this.#held = harts.map(() => new Map());
  }

  /**
   * A new line to an input; it is down.
   *
   * @throws {RangeError} If there is no such hart.
   */
  connect({ hart: id, interrupt }: HartInput): InterruptLine {
    const system = this.#harts[id]?.system;
    const held = this.#held[id];
    if (!system || !held) {
      throw new RangeError(`Cannot connect a line to hart ${id}: there is no such hart`);
    }
    let isUp = false;
    return {
      set: (up) => {
        if (up === isUp) return;
        isUp = up;
        const count = (held.get(interrupt) ?? 0) + (up ? 1 : -1);
        held.set(interrupt, count);
        system.setLine(interrupt, count > 0);
      },
    };
  }
}
