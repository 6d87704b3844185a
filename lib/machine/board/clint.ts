/**
 * The core-local interruptor: msip, mtimecmp and mtime where QEMU's virt board has them.
 *
 * mtime counts virtual nanoseconds, and each hart reads its own: they run one after another, never
 * more than one turn of the schedule apart. A hart's timer is an event on its own time.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { BoardDevice, DeviceContext, DeviceRow, InterruptLine } from "./device.ts";

/** Offsets: a word of msip for each hart, then 8 bytes of mtimecmp for each, then mtime. */
const SOFTWARE_PENDING = 0, TIME_COMPARE = 0x4000, TIME = 0xbff8;
/** Interrupt numbers in mip. */
const SOFTWARE = 3, TIMER = 7;
/** A timer that is set to this never comes, and neither does one that was not set. */
const NEVER = (1n << 64n) - 1n;
const WORD = 0xffffffffn;

/** The register that an offset lies in; undefined for a hole. */
type Register =
  | { readonly kind: "msip" | "compare"; readonly hart: number }
  | { readonly kind: "time" }
  | undefined;

class Clint implements BoardDevice {
  readonly #harts: readonly Hart[];
  readonly #software: readonly InterruptLine[];
  readonly #timer: readonly InterruptLine[];
  readonly #compare: bigint[];
  readonly #pending: boolean[];
  /** When each hart's timer line goes up, as `now()` counts; undefined if it is up, or never does. */
  readonly #due: (bigint | undefined)[];

  constructor({ harts, lines }: DeviceContext) {
    this.#harts = harts;
    this.#software = harts.map(({ id }) => lines[2 * id]!);
    this.#timer = harts.map(({ id }) => lines[2 * id + 1]!);
    this.#compare = harts.map(() => 0n);
    this.#pending = harts.map(() => false);
    this.#due = harts.map(() => undefined);
  }

  reset(): void {
    // As QEMU's: the timer's line is up until the guest says when it wants the timer.
    this.#compare.fill(0n);
    for (const hart of this.#harts) {
      this.#setPending(hart.id, false);
      this.advance(hart);
    }
  }

  nextEvent(hart: Hart): bigint | undefined {
    return this.#due[hart.id];
  }

  advance(hart: Hart): void {
    const compare = this.#compare[hart.id]!;
    const left = compare - hart.mtime;
    this.#due[hart.id] = compare === NEVER || left <= 0n ? undefined : hart.now() + left;
    this.#timer[hart.id]!.set(left <= 0n);
  }

  mayWake(hart: Hart): boolean {
    return (hart.system!.mie >> BigInt(TIMER) & 1n) === 1n;
  }

  read(offset: number, bytes: number, hart: number): bigint | undefined {
    if (bytes < 4) return undefined;
    const register = this.#registerAt(offset);
    const value = this.#value(register, hart);
    if (register?.kind === "msip" || bytes === 8) return value;
    return value >> BigInt(offset % 8 * 8) & WORD;
  }

  write(offset: number, bytes: number, value: bigint, writer: number): boolean {
    if (bytes < 4) return false;
    const register = this.#registerAt(offset);
    if (!register) return true;
    if (register.kind === "msip") {
      this.#setPending(register.hart, (value & 1n) === 1n);
      return true;
    }
    const old = this.#value(register, writer);
    const shift = BigInt(offset % 8 * 8);
    const next = bytes === 8 ? value : (old & ~(WORD << shift)) | (value << shift);
    if (register.kind === "compare") this.#compare[register.hart] = next;
    else {
      for (const hart of this.#harts) hart.timeDelta += next - old;
    }
    for (const hart of this.#harts) this.advance(hart);
    return true;
  }

  #setPending(hart: number, pending: boolean): void {
    this.#pending[hart] = pending;
    this.#software[hart]!.set(pending);
  }

  #registerAt(offset: number): Register {
    const count = this.#harts.length;
    if (offset < SOFTWARE_PENDING + count * 4) return { kind: "msip", hart: offset >>> 2 };
    const hart = (offset - TIME_COMPARE) >>> 3;
    if (offset >= TIME_COMPARE && hart < count) return { kind: "compare", hart };
    return offset >= TIME && offset < TIME + 8 ? { kind: "time" } : undefined;
  }

  #value(register: Register, reader: number): bigint {
    if (!register) return 0n;
    if (register.kind === "time") return this.#harts[reader]!.mtime;
    if (register.kind === "compare") return this.#compare[register.hart]!;
    return this.#pending[register.hart] ? 1n : 0n;
  }
}

/** Software and timer interrupts of all harts. */
export const CLINT: DeviceRow = {
  name: "clint",
  compatible: ["sifive,clint0", "riscv,clint0"],
  regions: [{ start: 0x2000000, size: 0x10000 }],
  interrupts: (harts) =>
    Array.from({ length: harts }, (_, hart) => [
      { hart, interrupt: SOFTWARE },
      { hart, interrupt: TIMER },
    ]).flat(),
  create: (context) => new Clint(context),
};
