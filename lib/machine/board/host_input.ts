/**
 * The host's input on its way to a device: a standard input, a pipe, a library user's bytes.
 *
 * The host is asked only when the guest wants input, and for more only when all that it gave is
 * taken. A device accepts what is there at a moment of the guest's; how long the guest is held for
 * input that is slow in coming is the device's affair.
 *
 * @module
 */

/** How the host gives input; see `PlatformOptions.stdin`. */
export type ReadInput = (length: number) => Promise<Uint8Array>;

/** Bytes that the host is asked for at once. */
const CHUNK = 4096;

/** Bytes of input that a device has not taken yet. */
export class HostInput {
  readonly #read: ReadInput | undefined;
  readonly #arrived: () => void;
  #bytes = new Uint8Array();
  #at = 0;
  #ended: boolean;
  #failure: { readonly error: unknown } | undefined;
  #arriving: Promise<void> | undefined;

  /** Input by `read`; none at all without it. `arrived` is called when an answer has come. */
  constructor(read: ReadInput | undefined, arrived: () => void) {
    this.#read = read;
    this.#arrived = arrived;
    this.#ended = read === undefined;
  }

  /** Whether nothing more can come. */
  get ended(): boolean {
    return this.#ended && !this.hasByte;
  }

  /** Whether a byte is there. */
  get hasByte(): boolean {
    return this.#at < this.#bytes.length;
  }

  /** The answer of the host that is on its way, if it was asked and has not answered. */
  get arriving(): Promise<void> | undefined {
    return this.#arriving;
  }

  /** Takes the next byte, which must be there. */
  take(): number {
    return this.#bytes[this.#at++]!;
  }

  /** Asks the host for input, unless there is some, it has been asked, or there is none to come. */
  ask(): void {
    if (this.hasByte || this.#ended || this.#arriving) return;
    this.#arriving = this.#read!(CHUNK).then(
      (bytes) => {
        this.#bytes = new Uint8Array(bytes);
        this.#at = 0;
        this.#ended = bytes.length === 0;
      },
      (error) => {
        this.#failure = { error };
        this.#ended = true;
      },
    ).then(() => {
      this.#arriving = undefined;
      this.#arrived();
    });
  }

  /** Throws what the host threw instead of giving input. */
  rethrow(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
