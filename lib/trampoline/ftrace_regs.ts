/**
 * `struct ftrace_regs`: what a callback sees of the hart it has stopped.
 *
 * It is a view on the frame that the trampoline saved on the hart's stack, re-pointed for each call:
 * what is written here is what the trampoline restores. Where the hart's pages put the frame in one
 * piece of memory it is read there, else word by word through the hart's space. With ARGS only the arguments and what the
 * call itself needs are there, so {@linkcode FtraceRegs.getRegs} is null.
 *
 * Layouts are `frame.ts`.
 *
 * @module
 */
import type { Memory } from "../memory/memory.ts";
import type { AddressSpace } from "../memory/space.ts";
import type { FrameLayout, ReturnLayout } from "./frame.ts";

/** All integer registers and epc, as `struct pt_regs` has them: a view, like its source. */
export interface PtRegs {
  /** Address where the hart resumes. */
  epc: bigint;
  /** Register x`number`, unsigned; x0 is 0. */
  x(number: number): bigint;
  /** Changes register x`number`. */
  setX(number: number, value: bigint): void;
}

/** What is known of the registers where there are no full `pt_regs` (`ftrace_partial_regs`). */
export interface PartialRegs {
  /** Address where the hart resumes. */
  readonly epc: bigint;
  /** Where the traced function returns to. */
  readonly ra: bigint;
  /** The stack pointer at the traced function's entry. */
  readonly sp: bigint;
  /** The caller's frame pointer. */
  readonly s0: bigint;
  /** The direct-call target, 0 if there is none. */
  readonly t1: bigint;
  /** The argument registers a0 to a7. */
  readonly a: readonly bigint[];
}

/** Where a saved frame is, and what the hart that saved it sees. */
export interface FramePlace {
  /** Offset of the frame in guest memory; −1 if its pages lie apart. */
  readonly offset: number;
  /** Address of the frame as the hart has it: signed, as a number. */
  readonly address: number;
  /** The hart's address space, in which its stack lies. */
  readonly space: AddressSpace;
}

/** What of a space a frame is read through where it is not in one piece of memory. */
type FrameSpace = Pick<AddressSpace, "readWord" | "writeWord">;

/** Takes the place of the address space once the frame is gone. */
const GONE: FrameSpace = {
  readWord: refuseGone,
  writeWord: refuseGone,
};

function refuseGone(): never {
  throw new TypeError(
    "Cannot use fregs: its callback has returned, and the frame is gone; copy what is needed before",
  );
}

/**
 * The saved registers of a call or a return, valid during the callback only: reading or writing a
 * register later throws a TypeError.
 */
export class FtraceRegs {
  readonly #view: DataView;
  readonly #halves: Int32Array;
  /** Offset of the frame in guest memory, or −1 where only its space finds it. */
  #at = 0;
  #address = 0;
  #space: FrameSpace;
  #layout: FrameLayout;

  /** A view on frames in `memory`; {@linkcode point} aims it. */
  constructor(memory: Memory, layout: FrameLayout, space: AddressSpace) {
    this.#view = memory.view;
    this.#halves = new Int32Array(memory.guest.buffer);
    this.#space = space;
    this.#layout = layout;
  }

  /** Aims the view at a frame. Only who dispatches calls does so. */
  point({ offset, address, space }: FramePlace, layout: FrameLayout): void {
    this.#at = offset;
    this.#address = address;
    this.#space = space;
    this.#layout = layout;
  }

  /**
   * Points the view at nothing: the callback has returned, and whoever kept the view is told so. Only
   * who dispatches calls does so.
   */
  release(): void {
    this.#at = -1;
    this.#space = GONE;
  }

  #get(offset: number | undefined): bigint {
    if (offset === undefined) return 0n;
    if (this.#at >= 0) return this.#view.getBigUint64(this.#at + offset, true);
    return this.#space.readWord(BigInt(this.#address) + BigInt(offset), 8) ?? 0n;
  }
  #set(offset: number | undefined, value: bigint): void {
    if (offset === undefined) return;
    const word = BigInt.asUintN(64, value);
    if (this.#at >= 0) this.#view.setBigUint64(this.#at + offset, word, true);
    else this.#space.writeWord(BigInt(this.#address) + BigInt(offset), 8, word);
  }

  /**
   * Half of a saved register at an offset of the frame, signed: for who compares without a bigint.
   *
   * @internal
   */
  half(offset: number): number {
    const at = this.#at + offset;
    // V8 is slow at a DataView beyond 2 GiB, and frames are nearly always aligned.
    if (this.#at >= 0) {
      return (at & 3) === 0 ? this.#halves[at >>> 2]! : this.#view.getInt32(at, true);
    }
    return Number(
      BigInt.asIntN(32, this.#space.readWord(BigInt(this.#address) + BigInt(offset), 4) ?? 0n),
    );
  }

  /** Where the hart goes on (epc): behind the site, unless it is changed. Needs IPMODIFY to change. */
  get instructionPointer(): bigint {
    return this.#get(this.#layout.epc);
  }
  set instructionPointer(value: bigint) {
    this.#set(this.#layout.epc, value);
  }

  /** The traced function's stack pointer. Changing the frame's copy has no effect on any era. */
  get stackPointer(): bigint {
    const { sp, size } = this.#layout;
    return sp === undefined ? BigInt.asUintN(64, BigInt(this.#address + size)) : this.#get(sp);
  }

  /**
   * Word `n` of the traced function's stack, from {@linkcode stackPointer} up, unsigned: the ninth
   * argument is word 0 (`ftrace_regs_get_kernel_stack_nth`). 0 where the guest may not read.
   */
  kernelStackNth(n: number): bigint {
    return this.#space.readWord(this.stackPointer + BigInt(8 * n), 8) ?? 0n;
  }

  /** The caller's frame pointer, s0; 0 where it is not saved. */
  get framePointer(): bigint {
    return this.#get(this.#layout.s0);
  }

  /** ra: where the traced function returns to. */
  get returnAddress(): bigint {
    return this.#get(this.#layout.ra);
  }
  set returnAddress(value: bigint) {
    this.#set(this.#layout.ra, value);
  }

  /** Argument `n`, unsigned; 0 for n ≥ 8, which are on the stack. */
  argument(n: number): bigint {
    return n >= 0 && n < 8 ? this.#get(this.#layout.a0 + 8 * n) : 0n;
  }

  /** Changes argument `n`. @throws {RangeError} For n ≥ 8. */
  setArgument(n: number, value: bigint): void {
    if (!(n >= 0 && n < 8)) throw new RangeError(`Cannot set argument ${n}: registers hold 0 to 7`);
    this.#set(this.#layout.a0 + 8 * n, value);
  }

  /** Argument `n` as a number: its low 32 bits, signed. Five times as fast as {@linkcode argument}. */
  argumentNumber(n: number): number {
    return n >= 0 && n < 8 ? this.half(this.#layout.a0 + 8 * n) : 0;
  }

  /** a0 as a result: of the function at a return, of the override before one. */
  get returnValue(): bigint {
    return this.#get(this.#layout.a0);
  }
  set returnValue(value: bigint) {
    this.#set(this.#layout.a0, value);
  }

  /** a1: at a return the upper half of a result of 16 bytes. */
  get returnValueHigh(): bigint {
    return this.#get(this.#layout.a1 ?? this.#layout.a0 + 8);
  }

  /** Skips the function: the hart goes on at the caller, with `value` or {@linkcode returnValue}. Needs IPMODIFY. */
  overrideWithReturn(value?: bigint): void {
    if (value !== undefined) this.returnValue = value;
    this.instructionPointer = this.returnAddress;
  }

  /** Address of a direct trampoline to leave through, or 0: the slot of t1, where there is one. */
  get directTramp(): bigint {
    return this.#get(this.#layout.t1);
  }
  set directTramp(value: bigint) {
    this.#set(this.#layout.t1, value);
  }

  /** All registers, or null where only the arguments are saved (`arch_ftrace_get_regs`). */
  getRegs(): PtRegs | null {
    if (!this.#layout.full) return null;
    const get = (offset: number) => this.#get(offset);
    const set = (offset: number, value: bigint) => this.#set(offset, value);
    return {
      get epc() {
        return get(0);
      },
      set epc(value) {
        set(0, value);
      },
      x: (number) => number === 0 ? 0n : get(8 * number),
      setX(number, value) {
        if (number !== 0) set(8 * number, value);
      },
    };
  }

  /** What is valid of `pt_regs` under ARGS: epc, ra, sp, s0, t1 and a0 to a7. */
  partialRegs(): PartialRegs {
    return {
      epc: this.instructionPointer,
      ra: this.returnAddress,
      sp: this.stackPointer,
      s0: this.framePointer,
      t1: this.#get(this.#layout.t1),
      a: Array.from({ length: 8 }, (_, n) => this.argument(n)),
    };
  }
}

/** A return's frame as a frame of a call, so that one view serves both. */
export function returnFrame({ size, ra, s0, a0, a1 }: ReturnLayout): FrameLayout {
  const epc = size === 80 ? ra : 0;
  return {
    size,
    epc,
    ra,
    sp: undefined,
    s0,
    t1: undefined,
    directTramp: undefined,
    a0,
    a1,
    full: false,
  };
}
