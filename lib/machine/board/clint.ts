/**
 * The core-local interruptor: msip, mtimecmp and mtime where QEMU's virt board has them.
 *
 * mtime counts virtual nanoseconds, and each hart reads its own: they run one after another, never
 * more than one turn of the schedule apart.
 *
 * When a timer is due the run loop has to ask; a line goes up only then.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { EventSource } from "../event_queue.ts";
import type { Device } from "../../memory/memory.ts";

const START = 0x2000000;
const SIZE = 0x10000;
const TIME_COMPARE = 0x4000;
const TIME = 0xbff8;
/** Interrupt numbers. */
const SOFTWARE = 3, TIMER = 7;
const NEVER = (1n << 64n) - 1n;

/** Software and timer interrupts of all harts. */
export interface Clint extends Device, EventSource {}

/** Makes one for these harts; `moved` is called when a timer is set, as a turn may then end earlier. */
export function createClint(harts: readonly Hart[], moved: () => void): Clint {
  const compare = harts.map(() => NEVER);
  const pending = harts.map(() => 0n);
  /** Whether each hart's timer line is up. */
  const up = harts.map(() => false);
  const update = (hart: Hart) => {
    up[hart.id] = hart.mtime >= compare[hart.id]!;
    hart.system!.setLine(TIMER, up[hart.id]!);
  };
  /** The register of 8 bytes, or 4, that an offset is in. */
  const registerAt = (offset: number) => {
    if (offset < harts.length * 4) return { kind: "msip", index: offset >>> 2 } as const;
    const index = (offset - TIME_COMPARE) >>> 3;
    if (offset >= TIME_COMPARE && index < harts.length) return { kind: "compare", index } as const;
    return offset >= TIME && offset < TIME + 8 ? { kind: "time" } as const : undefined;
  };
  const valueOf = (register: ReturnType<typeof registerAt>, reader: number): bigint => {
    if (!register) return 0n;
    if (register.kind === "msip") return pending[register.index]!;
    return register.kind === "compare" ? compare[register.index]! : harts[reader]!.mtime;
  };
  return {
    start: START,
    end: START + SIZE,
    name: "clint",
    nextEvent(hart) {
      const at = compare[hart.id]!;
      if (at === NEVER || up[hart.id]) return undefined;
      return hart.now() + (at - hart.mtime);
    },
    advance: update,
    mayWake: (hart) => (hart.system!.mie >> 7n & 1n) === 1n,
    read(offset, bytes, reader) {
      if (bytes < 4) return undefined;
      const register = registerAt(offset);
      const value = valueOf(register, reader);
      if (register?.kind === "msip" || bytes === 8) return value;
      return value >> BigInt(offset % 8 * 8) & 0xffffffffn;
    },
    write(offset, bytes, value, writer) {
      if (bytes < 4) return false;
      const register = registerAt(offset);
      if (!register) return true;
      if (register.kind === "msip") {
        pending[register.index] = value & 1n;
        harts[register.index]!.system!.setLine(SOFTWARE, (value & 1n) === 1n);
        return true;
      }
      const old = valueOf(register, writer);
      const shift = BigInt(offset % 8 * 8);
      const next = bytes === 8 ? value : (old & ~(0xffffffffn << shift)) | (value << shift);
      if (register.kind === "compare") compare[register.index] = next;
      else {
        for (const hart of harts) hart.timeDelta += next - old;
      }
      for (const hart of harts) update(hart);
      moved();
      return true;
    },
  };
}
