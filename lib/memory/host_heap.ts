/**
 * The heap in host memory: pieces of any size, taken and given back.
 *
 * A piece is zeroed when it is taken. Memory that was never taken is so from the start and is not
 * touched, because the system commits a page only when somebody does.
 *
 * What lies below the heap at fixed places is `memory.ts`.
 *
 * @module
 */

/** A stretch of free bytes. */
interface Hole {
  start: number;
  end: number;
}

/** The allocator of host memory behind the fixed areas. */
export class HostHeap {
  readonly #bytes: Uint8Array;
  /** Holes by address, none beside another; the last is what was never taken. */
  readonly #holes: Hole[];
  /** Size of each piece by its address. */
  readonly #sizes = new Map<number, number>();
  /** Nothing from here on was ever taken. */
  #untouched: number;
  #used = 0;

  /** A heap in `bytes` from `start` on. */
  constructor(bytes: Uint8Array, start: number) {
    this.#bytes = bytes;
    this.#holes = [{ start, end: bytes.length }];
    this.#untouched = start;
  }

  /** Bytes that are allocated. */
  get used(): number {
    return this.#used;
  }

  /**
   * Takes zeroed bytes, and gives where they begin.
   *
   * @throws {RangeError} When there is no hole so large.
   */
  allocate(bytes: number, align = 8): number {
    for (let at = 0; at < this.#holes.length; at++) {
      const hole = this.#holes[at]!;
      const start = Math.ceil(hole.start / align) * align;
      if (start + bytes > hole.end) continue;
      this.#cut(at, start, start + bytes);
      this.#sizes.set(start, bytes);
      this.#used += bytes;
      const dirty = Math.min(start + bytes, this.#untouched);
      if (start < dirty) this.#bytes.fill(0, start, dirty);
      this.#untouched = Math.max(this.#untouched, start + bytes);
      return start;
    }
    const inUse = (this.#used / 2 ** 20).toFixed(0);
    throw new RangeError(
      `Cannot allocate ${bytes} bytes of host memory: ${inUse} MiB of ${
        this.#bytes.length / 2 ** 20
      } MiB are in use`,
    );
  }

  /**
   * Gives back what {@linkcode HostHeap.allocate} took at `start`.
   *
   * @throws {RangeError} If nothing was taken there.
   */
  free(start: number): void {
    const bytes = this.#sizes.get(start);
    if (bytes === undefined) {
      throw new RangeError(`Cannot free host memory at 0x${start.toString(16)}: nobody has it`);
    }
    this.#sizes.delete(start);
    this.#used -= bytes;
    const end = start + bytes;
    const at = this.#indexBehind(start);
    const before = this.#holes[at - 1];
    const behind = this.#holes[at];
    const joinsBefore = before?.end === start, joinsBehind = behind?.start === end;
    if (joinsBefore && joinsBehind) {
      before.end = behind.end;
      this.#holes.splice(at, 1);
    } else if (joinsBefore) before.end = end;
    else if (joinsBehind) behind.start = start;
    else this.#holes.splice(at, 0, { start, end });
  }

  /** Takes the bytes from `start` up to `end` out of the hole at an index. */
  #cut(at: number, start: number, end: number): void {
    const hole = this.#holes[at]!;
    const left = { start: hole.start, end: start }, right = { start: end, end: hole.end };
    const rest = [left, right].filter((each) => each.start < each.end);
    this.#holes.splice(at, 1, ...rest);
  }

  /** Index of the first hole behind an address. */
  #indexBehind(address: number): number {
    let low = 0, high = this.#holes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#holes[middle]!.start > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
