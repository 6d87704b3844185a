/**
 * One call as the handlers of `ftrace.attach()` see it: its arguments, its result, what is kept of it.
 *
 * Saved registers are there during a callback only, so arguments are copied when the entry is over:
 * an exit handler finds them as they were.
 *
 * Who calls the handlers is `attach.ts`.
 *
 * @module
 */
import type { FtraceRegs } from "../trampoline/ftrace_regs.ts";
import type { GuestView } from "./guest_view.ts";

/** How many arguments are in registers. */
const COUNT = 8;
/** Bytes of a string that are read, unless it is said how many. */
const STRING_LENGTH = 256;

/** The arguments of a call: a0 to a7 by index. At the entry they can be set. */
export interface CallArguments extends Iterable<bigint> {
  /** Argument `n` (0 to 7), unsigned. */
  [n: number]: bigint;
  /** Argument `n` as a signed number: its low 32 bits, as a C `int`. */
  int(n: number): number;
  /** The string that argument `n` points at, up to `most` bytes (256); undefined if unreadable. */
  string(n: number, most?: number): string | undefined;
}

/** The return value of a call, in each reading that a handler may want. */
export interface CallResult {
  /** a0, unsigned. Setting it changes what the caller gets. */
  value: bigint;
  /** a0 as a signed number of 64 bits. */
  readonly signed: bigint;
  /** The low 32 bits of a0, signed, as a C `int`. */
  readonly int: number;
  /** The string that a0 points at, up to `most` bytes (256); undefined if it cannot be read. */
  string(most?: number): string | undefined;
}

/** Arguments that are in saved registers during the entry, and copied behind it. */
export class EnteredArguments {
  readonly #guest: GuestView;
  #fregs: FtraceRegs | undefined;
  #kept: readonly bigint[] = [];

  /** The arguments of the call whose entry saved `fregs`. */
  constructor(guest: GuestView, fregs: FtraceRegs) {
    this.#guest = guest;
    this.#fregs = fregs;
  }

  /** Argument `n`, unsigned. @throws {RangeError} For an `n` that is in no register. */
  at(n: number): bigint {
    if (!(Number.isInteger(n) && n >= 0 && n < COUNT)) {
      throw new RangeError(`Cannot read argument ${n}: registers hold 0 to 7`);
    }
    return this.#fregs ? this.#fregs.argument(n) : this.#kept[n]!;
  }

  /** Changes argument `n`. @throws {TypeError} When the function has been entered. */
  set(n: number, value: bigint): void {
    if (!this.#fregs) {
      throw new TypeError(`Cannot set argument ${n}: the function has been entered already`);
    }
    this.#fregs.setArgument(n, value);
  }

  /** The low 32 bits of argument `n`, signed, as a C `int`. */
  int(n: number): number {
    return Number(BigInt.asIntN(32, this.at(n)));
  }

  /** The string that argument `n` points at. */
  string(n: number, most: number = STRING_LENGTH): string | undefined {
    return this.#guest.readString(this.at(n), most);
  }

  /** Gives all eight register arguments in order, unsigned. */
  *[Symbol.iterator](): Generator<bigint> {
    for (let n = 0; n < COUNT; n++) yield this.at(n);
  }

  /** Copies what the saved registers hold, because they are about to go. */
  keep(): void {
    const fregs = this.#fregs;
    if (fregs) this.#kept = Array.from({ length: COUNT }, (_, n) => fregs.argument(n));
    this.#fregs = undefined;
  }

  /** Forgets the saved registers, and copies nothing: nobody looks at the call again. */
  leave(): void {
    this.#fregs = undefined;
    this.#kept = NONE;
  }
}

const NONE: readonly bigint[] = new Array<bigint>(COUNT).fill(0n);

for (let n = 0; n < COUNT; n++) {
  Object.defineProperty(EnteredArguments.prototype, n, {
    get(this: EnteredArguments) {
      return this.at(n);
    },
    set(this: EnteredArguments, value: bigint) {
      this.set(n, value);
    },
  });
}

/** Makes the arguments of a call, by index too. */
export function enteredArguments(
  guest: GuestView,
  fregs: FtraceRegs,
): EnteredArguments & CallArguments {
  // The loop above gave the class its members 0 to 7.
  return new EnteredArguments(guest, fregs) as EnteredArguments & CallArguments;
}

/** The result of a call, in the registers saved at its return. */
export class ReturnedResult implements CallResult {
  readonly #guest: GuestView;
  readonly #fregs: FtraceRegs;

  /** The result of the call whose return saved `fregs`. */
  constructor(guest: GuestView, fregs: FtraceRegs) {
    this.#guest = guest;
    this.#fregs = fregs;
  }

  /** See {@linkcode CallResult.value}. */
  get value(): bigint {
    return this.#fregs.returnValue;
  }
  set value(value: bigint) {
    this.#fregs.returnValue = value;
  }

  /** See {@linkcode CallResult.signed}. */
  get signed(): bigint {
    return BigInt.asIntN(64, this.value);
  }

  /** See {@linkcode CallResult.int}. */
  get int(): number {
    return Number(BigInt.asIntN(32, this.value));
  }

  /** See {@linkcode CallResult.string}. */
  string(most: number = STRING_LENGTH): string | undefined {
    return this.#guest.readString(this.value, most);
  }
}
