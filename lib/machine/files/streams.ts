/**
 * What a process makes for itself to read from and write to: pipes and eventfds.
 *
 * Their reader and their writer are one thread, so what would wait in the kernel waits for ever,
 * unless a signal handler runs; whoever calls says EAGAIN or ends the run.
 *
 * @module
 */
import { EAGAIN, EBADF, EINVAL, EPIPE } from "./errno.ts";

/** Events of `poll` (asm-generic/poll.h). */
export const POLLIN = 1, POLLOUT = 4, POLLERR = 8, POLLHUP = 16;

/** Bytes in a pipe, and the most that a write puts into it as a whole. */
const PIPE_SIZE = 65536, PIPE_BUF = 4096;
const EVENTFD_MOST = 2n ** 64n - 2n;

/** An end of a pipe, or an eventfd. */
export interface GuestStream {
  /** Fills `data`; gives how much of it, 0 at the end, or a negated errno: EAGAIN would wait. */
  read(data: Uint8Array): number;
  /** Takes of `data` what there is room for; gives how much, or a negated errno. */
  write(data: Uint8Array): number;
  /** Whether a writer waits until all that it wrote is taken. */
  readonly takesAll: boolean;
  /** What `poll` finds: a union of POLLIN, POLLOUT, POLLERR and POLLHUP. */
  readonly events: number;
  /** The last descriptor of it is closed. */
  close(): void;
}

/** Makes a pipe. */
export function createPipe(): { readonly reader: GuestStream; readonly writer: GuestStream } {
  const pipe = new Pipe();
  return { reader: new PipeReader(pipe), writer: new PipeWriter(pipe) };
}

/** The bytes between two ends. */
class Pipe {
  #bytes = new Uint8Array(PIPE_SIZE);
  #start = 0;
  length = 0;
  hasReader = true;
  hasWriter = true;

  get room(): number {
    return PIPE_SIZE - this.length;
  }

  take(data: Uint8Array): number {
    const count = Math.min(data.length, this.length);
    for (let k = 0; k < count; k++) data[k] = this.#bytes[(this.#start + k) % PIPE_SIZE]!;
    this.#start = (this.#start + count) % PIPE_SIZE;
    this.length -= count;
    return count;
  }

  put(data: Uint8Array): number {
    const count = Math.min(data.length, this.room);
    const end = this.#start + this.length;
    for (let k = 0; k < count; k++) this.#bytes[(end + k) % PIPE_SIZE] = data[k]!;
    this.length += count;
    return count;
  }
}

class PipeReader implements GuestStream {
  readonly takesAll = false;
  readonly #pipe: Pipe;

  constructor(pipe: Pipe) {
    this.#pipe = pipe;
  }

  read(data: Uint8Array): number {
    if (data.length === 0) return 0;
    return this.#pipe.take(data) || (this.#pipe.hasWriter ? -EAGAIN : 0);
  }

  write(): number {
    return -EBADF;
  }

  get events(): number {
    const { length, hasWriter } = this.#pipe;
    return (length > 0 ? POLLIN : 0) | (hasWriter ? 0 : POLLHUP);
  }

  close(): void {
    this.#pipe.hasReader = false;
  }
}

class PipeWriter implements GuestStream {
  readonly takesAll = true;
  readonly #pipe: Pipe;

  constructor(pipe: Pipe) {
    this.#pipe = pipe;
  }

  read(): number {
    return -EBADF;
  }

  write(data: Uint8Array): number {
    if (data.length === 0) return 0;
    if (!this.#pipe.hasReader) return -EPIPE;
    if (data.length <= PIPE_BUF && data.length > this.#pipe.room) return -EAGAIN;
    return this.#pipe.put(data) || -EAGAIN;
  }

  get events(): number {
    const { room, hasReader } = this.#pipe;
    return (room >= PIPE_BUF ? POLLOUT : 0) | (hasReader ? 0 : POLLERR);
  }

  close(): void {
    this.#pipe.hasWriter = false;
  }
}

/** An `eventfd`: a counter that is read as a whole, or one at a time as a semaphore. */
export class EventCounter implements GuestStream {
  readonly takesAll = false;
  #count: bigint;
  readonly #isSemaphore: boolean;

  /** A counter that begins at `count`. */
  constructor(count: bigint, isSemaphore: boolean) {
    this.#count = count;
    this.#isSemaphore = isSemaphore;
  }

  /** Takes the count, or one of it, as 64 bits. */
  read(data: Uint8Array): number {
    if (data.length < 8) return -EINVAL;
    if (this.#count === 0n) return -EAGAIN;
    const taken = this.#isSemaphore ? 1n : this.#count;
    new DataView(data.buffer, data.byteOffset).setBigUint64(0, taken, true);
    this.#count -= taken;
    return 8;
  }

  /** Adds 64 bits to the count; a longer buffer is refused as a shorter one is. */
  write(data: Uint8Array): number {
    if (data.length !== 8) return -EINVAL;
    const added = new DataView(data.buffer, data.byteOffset).getBigUint64(0, true);
    if (added > EVENTFD_MOST) return -EINVAL;
    if (this.#count + added > EVENTFD_MOST) return -EAGAIN;
    this.#count += added;
    return 8;
  }

  /** Readable while the count is not 0, writable while 1 can be added. */
  get events(): number {
    return (this.#count > 0n ? POLLIN : 0) | (this.#count < EVENTFD_MOST ? POLLOUT : 0);
  }

  /** A counter that nobody has open is forgotten. */
  close(): void {}
}
