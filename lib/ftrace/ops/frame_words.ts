/**
 * A hart's registers into a trampoline's frame and back, as the trampoline itself moves them.
 *
 * Frames are aligned, so words of a typed array reach them: V8 is slow at DataView beyond 2 GiB.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { A0, RA, S0, SP } from "../../isa/abi.ts";
import type { Memory } from "../../memory/memory.ts";
import { PAGE_SIZE, WRITE } from "../../memory/page.ts";
import type { FrameLayout } from "../../trampoline/frame.ts";

/** Frames in one guest memory, by their offset there. */
export class FrameWords {
  readonly #memory: Memory;
  readonly #words: Int32Array;

  /** Reads and writes frames in `memory`. */
  constructor(memory: Memory) {
    this.#memory = memory;
    this.#words = new Int32Array(memory.guest.buffer);
  }

  /** Whether a frame can be built there; if not, the real trampoline is to fault. */
  isUsable(at: number, size: number): boolean {
    const { permissions } = this.#memory;
    return at >= 0 && at % 8 === 0 && (permissions[Math.floor(at / PAGE_SIZE)]! & WRITE) !== 0 &&
      (permissions[Math.floor((at + size - 1) / PAGE_SIZE)]! & WRITE) !== 0;
  }

  /** Stores a register at an offset of the frame, if it has such a slot. */
  put(at: number, offset: number | undefined, x32: Int32Array, register: number): void {
    if (offset === undefined) return;
    const to = (at + offset) >>> 2;
    this.#words[to] = x32[register * 2]!;
    this.#words[to + 1] = x32[register * 2 + 1]!;
  }

  /** Loads a register from an offset of the frame, if it has such a slot. */
  take(at: number, offset: number | undefined, x32: Int32Array, register: number): void {
    if (offset === undefined) return;
    const from = (at + offset) >>> 2;
    x32[register * 2] = this.#words[from]!;
    x32[register * 2 + 1] = this.#words[from + 1]!;
  }

  /**
   * Stores what the trampoline stores at an entry. In the slot of t1 one that leaves by t1 stores 0 as
   * long as there is no direct call; `t1` is the register to store there.
   */
  save({ x32 }: Hart, at: number, layout: FrameLayout, epc: number, t1 = 0): void {
    if (layout.full) { for (let n = 1; n < 32; n++) this.put(at, 8 * n, x32, n); }
    this.put(at, layout.ra, x32, RA);
    this.put(at, layout.sp, x32, SP);
    this.put(at, layout.s0, x32, S0);
    for (let n = 0; n < 8; n++) this.put(at, layout.a0 + 8 * n, x32, A0 + n);
    this.put(at, layout.t1, x32, t1);
    this.#words[(at + layout.epc) >>> 2] = epc;
    this.#words[(at + layout.epc + 4) >>> 2] = 0;
  }

  /** Loads what the trampoline loads before it goes on, but for sp and the place where it does. */
  restore({ x32 }: Hart, at: number, layout: FrameLayout): void {
    if (layout.full) { for (let n = 1; n < 32; n++) if (n !== SP) this.take(at, 8 * n, x32, n); }
    this.take(at, layout.ra, x32, RA);
    this.take(at, layout.s0, x32, S0);
    for (let n = 0; n < 8; n++) this.take(at, layout.a0 + 8 * n, x32, A0 + n);
  }
}

/** The low half of a register, unsigned. */
export function low(hart: Hart, register: number): number {
  return hart.x32[register * 2]! >>> 0;
}

/** The high half of a register, signed. */
export function high(hart: Hart, register: number): number {
  return hart.x32[register * 2 + 1]!;
}
