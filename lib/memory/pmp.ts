/**
 * Physical memory protection: which addresses a mode may access how (privileged specification, 3.7).
 *
 * Sixteen entries of four bytes and more. The lowest entry that matches any byte of an access
 * decides, and must match all of them; in machine mode only locked entries restrict.
 *
 * Who asks, and when, is `lib/hart/translation.ts`.
 *
 * @module
 */
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "./page.ts";

/** Entries, as many as QEMU's harts have. */
export const PMP_ENTRIES = 16;

const LOCKED = 0x80;
const ADDRESS_BITS = (1n << 54n) - 1n;
const ALL = READ | WRITE | EXECUTE;
/** Values of a configuration's A field. */
const Mode = { off: 0, topOfRange: 1, four: 2, power: 3 } as const;

/** The physical addresses that an entry matches. */
interface Range {
  readonly start: bigint;
  readonly end: bigint;
  readonly config: number;
}

/** One hart's PMP registers (pmpcfg, pmpaddr) and what they permit. */
export class Pmp {
  readonly #configs = new Uint8Array(PMP_ENTRIES);
  readonly #addresses: bigint[] = new Array(PMP_ENTRIES).fill(0n);
  #ranges: readonly Range[] = [];

  /** Whether machine mode is restricted at all. */
  get locked(): boolean {
    return this.#ranges.some(({ config }) => config & LOCKED);
  }

  /** pmpcfgN with an even N: eight configurations. */
  readConfig(register: number): bigint {
    let value = 0n;
    for (let k = 7; k >= 0; k--) value = value << 8n | BigInt(this.#configs[register * 4 + k] ?? 0);
    return value;
  }

  /** Writes the configurations that are not locked; W without R is reserved, and loses W. */
  writeConfig(register: number, value: bigint): void {
    for (let k = 0; k < 8; k++) {
      const entry = register * 4 + k;
      if (entry >= PMP_ENTRIES || this.#configs[entry]! & LOCKED) continue;
      const config = Number(value >> BigInt(k * 8) & 0x9fn);
      this.#configs[entry] = config & READ ? config : config & ~WRITE;
    }
    this.#update();
  }

  /** pmpaddrN: bits 55 to 2 of an address. */
  readAddress(entry: number): bigint {
    return this.#addresses[entry]!;
  }

  /** Has no effect where the entry is locked, or is the start of a locked range. */
  writeAddress(entry: number, value: bigint): void {
    const next = this.#configs[entry + 1] ?? 0;
    const held = next & LOCKED && modeOf(next) === Mode.topOfRange;
    if (this.#configs[entry]! & LOCKED || held) return;
    this.#addresses[entry] = value & ADDRESS_BITS;
    this.#update();
  }

  #update(): void {
    this.#ranges = this.#addresses.flatMap((address, entry) => {
      const config = this.#configs[entry]!;
      const range = rangeOf(modeOf(config), address, this.#addresses[entry - 1] ?? 0n);
      return range && range.end > range.start ? [{ ...range, config }] : [];
    });
  }

  /** Which of READ, WRITE and EXECUTE the entries permit to all of the bytes. */
  permissions(address: number, bytes: number, machine: boolean): number {
    if (this.#ranges.length === 0) return machine ? ALL : 0;
    const start = BigInt(address), end = start + BigInt(bytes);
    for (const range of this.#ranges) {
      if (range.end <= start || range.start >= end) continue;
      if (range.start > start || range.end < end) return 0;
      return machine && !(range.config & LOCKED) ? ALL : range.config & ALL;
    }
    return machine ? ALL : 0;
  }

  /**
   * What the entries permit to a whole page, or undefined if an entry matches only a part of it.
   */
  pagePermissions(page: number, machine: boolean): number | undefined {
    const start = BigInt(page), end = start + BigInt(PAGE_SIZE);
    for (const range of this.#ranges) {
      if (range.end <= start || range.start >= end) continue;
      if (range.start > start || range.end < end) return undefined;
      break;
    }
    return this.permissions(page, PAGE_SIZE, machine);
  }
}

function modeOf(config: number): number {
  return config >> 3 & 3;
}

function rangeOf(
  mode: number,
  address: bigint,
  before: bigint,
): { readonly start: bigint; readonly end: bigint } | undefined {
  switch (mode) {
    case Mode.off:
      return undefined;
    case Mode.topOfRange:
      return { start: before << 2n, end: address << 2n };
    case Mode.four:
      return { start: address << 2n, end: (address << 2n) + 4n };
    default: {
      // Ones from bit 0 on say how long: none is 8 bytes.
      const mask = address ^ (address + 1n);
      const start = (address & ~mask) << 2n;
      return { start, end: start + ((mask + 1n) << 2n) };
    }
  }
}
