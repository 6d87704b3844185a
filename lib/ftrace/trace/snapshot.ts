/**
 * The snapshot: a second buffer that the events are exchanged with (`snapshot`).
 *
 * Taking one costs as much however many events there are: the two buffers change places, so what was
 * in the snapshot before is in the live buffer afterwards, as in the kernel.
 *
 * What is in a buffer is `ring_buffer.ts`; the file's text is `lib/output`.
 *
 * @module
 */
import type { RingBuffer } from "./ring_buffer.ts";

/** The snapshot of one trace. */
export interface Snapshot {
  /** Whether there is a buffer for one, as the file's help says. */
  readonly state: "freed" | "allocated";
  /** The events of the last snapshot; undefined while there is no buffer. */
  readonly buffer: RingBuffer | undefined;
  /** Makes sure that there is a buffer (`tracing_alloc_snapshot`). */
  allocate(): void;
  /** Exchanges the buffers; nothing if there is none to exchange with. */
  take(): void;
  /**
   * Writes the file: 0 clears and frees, 1 allocates and takes, any other number clears.
   *
   * @throws {RangeError} If it is no whole number from 0 on (EINVAL).
   */
  write(value: number): void;
}

/** Makes the snapshot of a buffer, without room yet. */
export function createSnapshot(live: RingBuffer): Snapshot {
  /** Kept when it is freed, because host memory is not given back. */
  let spare: RingBuffer | undefined;
  let allocated = false;
  const allocate = () => {
    if (allocated) return;
    spare ??= live.spare();
    spare.clear();
    allocated = true;
  };
  /** The live buffer may have been resized since; what it is exchanged for is to be as large. */
  const take = () => {
    if (!allocated) return;
    for (let hart = 0; hart < live.harts; hart++) {
      if (spare!.kibOf(hart) !== live.kibOf(hart)) spare!.resize(live.kibOf(hart), hart);
    }
    live.swap(spare!);
  };
  return {
    get state() {
      return allocated ? "allocated" : "freed";
    },
    get buffer() {
      return allocated ? spare : undefined;
    },
    allocate,
    take,
    write(value) {
      if (!Number.isInteger(value) || value < 0) {
        throw new RangeError(`Cannot write ${value} to snapshot: it takes 0, 1 or another number`);
      }
      if (value === 0) {
        allocated = false;
        spare?.clear();
      } else if (value === 1) {
        allocate();
        take();
      } else if (allocated) {
        spare!.clear();
      }
    },
  };
}
