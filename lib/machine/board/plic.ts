/**
 * The platform-level interrupt controller, as QEMU's virt board has it (sifive_plic): 95 sources,
 * and for each hart a context for M-mode and one for S-mode.
 *
 * What firmware finds is what QEMU 7.2 does, also where the PLIC specification asks for more. A
 * source is pending from when its device raises the line until a context claims it, even if the line
 * falls. A line that is still up at a completion does not ask again until its device raises it anew,
 * as a serial port does whenever it works out its interrupt. The harts' inputs follow a write to
 * enable bits only when something else changes, such as a threshold. Any context may complete any
 * source.
 *
 * @module
 */
import type { BoardDevice, DeviceContext, DeviceRow, InterruptLine } from "./device.ts";

/** Offsets: a word a source, then bits of pending, bits of enable by context, and a page a context. */
const PRIORITY = 0, PENDING = 0x1000, ENABLE = 0x2000, CONTEXT = 0x200000;
/** Bytes from one context's registers to the next one's. */
const ENABLE_STRIDE = 0x80, CONTEXT_STRIDE = 0x1000;
/** Offsets in a context's page. */
const THRESHOLD = 0, CLAIM = 4;
/** Sources that have a priority; 0 is none. */
const SOURCES = 96;
/** Words of bits, which reach to source 95. */
const WORDS = SOURCES / 32;
const LAST_SOURCE = 32 * WORDS - 1;
/** Bits of a priority and of a threshold. */
const LEVELS = 7;
/** Interrupts of a hart, as mip numbers them. */
const MACHINE_EXTERNAL = 11, SUPERVISOR_EXTERNAL = 9;
const SIZE = 0x600000;

/** Who is interrupted: a hart in one of its modes. */
interface Context {
  readonly line: InterruptLine;
  readonly enabled: Uint32Array;
  threshold: number;
}

class Plic implements BoardDevice {
  readonly #contexts: readonly Context[];
  readonly #priorities = new Uint8Array(SOURCES + 1);
  readonly #pending = new Uint32Array(WORDS);
  readonly #claimed = new Uint32Array(WORDS);

  constructor({ lines }: DeviceContext) {
    this.#contexts = lines.map((line) => ({
      line,
      enabled: new Uint32Array(WORDS),
      threshold: 0,
    }));
  }

  /** See {@linkcode BoardDevice.connect}. */
  connect(source: number): InterruptLine {
    if (!(Number.isInteger(source) && source >= 1 && source <= LAST_SOURCE)) {
      throw new RangeError(
        `Cannot connect a line to source ${source}: the plic has sources 1 to ${LAST_SOURCE}`,
      );
    }
    return {
      set: (up) => {
        if (!up) return;
        setBit(this.#pending, source, true);
        this.#update();
      },
    };
  }

  read(offset: number, bytes: number): bigint | undefined {
    return bytes === 4 ? BigInt(this.#readWord(offset)) : undefined;
  }

  write(offset: number, bytes: number, value: bigint): boolean {
    if (bytes !== 4) return false;
    this.#writeWord(offset, Number(value));
    return true;
  }

  #readWord(offset: number): number {
    if (offset < PENDING) return this.#priorities[(offset - PRIORITY) >>> 2] ?? 0;
    if (offset < ENABLE) return this.#pending[(offset - PENDING) >>> 2] ?? 0;
    if (offset < CONTEXT) return this.#enableWord(offset)?.[0] ?? 0;
    const { context, register } = this.#contextAt(offset);
    if (!context) return 0;
    return register === THRESHOLD
      ? context.threshold
      : register === CLAIM
      ? this.#claim(context)
      : 0;
  }

  #writeWord(offset: number, value: number): void {
    if (offset < PENDING) {
      const source = (offset - PRIORITY) >>> 2;
      if (source < 1 || source > SOURCES) return;
      this.#priorities[source] = value & LEVELS;
      this.#update();
    } else if (offset >= CONTEXT) {
      this.#writeContext(offset, value);
    } else if (offset >= ENABLE) {
      const word = this.#enableWord(offset);
      if (word) word[0] = value;
    }
  }

  #writeContext(offset: number, value: number): void {
    const { context, register } = this.#contextAt(offset);
    if (!context) return;
    if (register === THRESHOLD) context.threshold = value & LEVELS;
    else if (register !== CLAIM || value > LAST_SOURCE) return;
    else setBit(this.#claimed, value, false);
    this.#update();
  }

  /** Takes the most urgent source for a context; 0 if there is none. */
  #claim(context: Context): number {
    const source = this.#mostUrgent(context);
    if (source !== 0) {
      setBit(this.#pending, source, false);
      setBit(this.#claimed, source, true);
    }
    this.#update();
    return source;
  }

  #update(): void {
    for (const context of this.#contexts) context.line.set(this.#mostUrgent(context) !== 0);
  }

  /** The source with the highest priority above the threshold, of those the lowest; else 0. */
  #mostUrgent({ enabled, threshold }: Context): number {
    let found = 0;
    let most = threshold;
    for (let word = 0; word < WORDS; word++) {
      let asking = this.#pending[word]! & ~this.#claimed[word]! & enabled[word]!;
      for (let source = word * 32; asking !== 0; source++, asking >>>= 1) {
        if ((asking & 1) === 0 || this.#priorities[source]! <= most) continue;
        found = source;
        most = this.#priorities[source]!;
      }
    }
    return found;
  }

  #enableWord(offset: number): Uint32Array | undefined {
    const at = offset - ENABLE;
    const context = this.#contexts[Math.floor(at / ENABLE_STRIDE)];
    const word = at % ENABLE_STRIDE >>> 2;
    return context && word < WORDS ? context.enabled.subarray(word, word + 1) : undefined;
  }

  #contextAt(offset: number) {
    const at = offset - CONTEXT;
    const context = this.#contexts[Math.floor(at / CONTEXT_STRIDE)];
    return { context, register: at % CONTEXT_STRIDE };
  }
}

function setBit(words: Uint32Array, bit: number, on: boolean): void {
  const mask = 1 << (bit & 31);
  if (on) words[bit >>> 5]! |= mask;
  else words[bit >>> 5]! &= ~mask;
}

/** External interrupts of all harts: the board's interrupt controller. */
export const PLIC: DeviceRow = {
  name: "plic",
  compatible: ["sifive,plic-1.0.0", "riscv,plic0"],
  regions: [{ start: 0xc000000, size: SIZE }],
  interrupts: (harts) =>
    Array.from({ length: harts }, (_, hart) => [
      { hart, interrupt: MACHINE_EXTERNAL },
      { hart, interrupt: SUPERVISOR_EXTERNAL },
    ]).flat(),
  properties: {
    "#address-cells": [0],
    "#interrupt-cells": [1],
    "interrupt-controller": [],
    "riscv,ndev": [SOURCES],
  },
  create: (context) => new Plic(context),
};
