/**
 * Which registers and which words of the stack a call passes each value in (RISC-V psABI, "Integer
 * Calling Convention" and "Hardware Floating-point Calling Convention").
 *
 * Programs for machines without float registers pass floats as integers; the ELF file says so.
 *
 * What is read there is `call_values.ts`.
 *
 * @module
 */
import { alignOf, type CType, sizeOf } from "./ctype.ts";
import type { Prototype } from "./header.ts";

/** Widest float, in bytes, that is passed in a float register; 0 if none is. */
export type FloatWidth = 0 | 4 | 8;

/** A part of a value, and where it is passed. */
export interface ValuePart {
  /** In an argument register a0 to a7, in fa0 to fa7, or on the stack. */
  readonly in: "integer" | "float" | "stack";
  /** Number of the register from 0; on the stack, bytes above sp at the function's entry. */
  readonly at: number;
  /** Bytes of the value before this part. */
  readonly offset: number;
  /** Bytes of the part. */
  readonly bytes: number;
}

/** Where a value is passed. */
export interface ValuePlace {
  /** Its parts in the value's order; none for one that takes no room. */
  readonly parts: readonly ValuePart[];
  /** Whether the parts are the address of the value. */
  readonly byReference: boolean;
}

/** Where a function's arguments and its result are. */
export interface CallPlaces {
  /** Of each parameter. */
  readonly parameters: readonly ValuePlace[];
  /** Of the result, when the function returns. */
  readonly result: ValuePlace;
  /** Of the address that the result is to be stored at, which is passed before all parameters. */
  readonly resultAddress: ValuePlace | undefined;
}

const REGISTERS = 8;
const XLEN = 8;

/** The float ABI that an ELF file's flags (`e_flags`) name: `EF_RISCV_FLOAT_ABI`. */
export function floatWidthOf(elfFlags: number): FloatWidth {
  const abi = (elfFlags >> 1) & 3;
  return abi === 0 ? 0 : abi === 1 ? 4 : 8;
}

/** Says where a function of a prototype finds its arguments, and its caller the result. */
export function placeCall({ parameters, returns }: Prototype, width: FloatWidth): CallPlaces {
  const returned = new Assignment(width).place(returns);
  const byMemory = returned.byReference;
  const assignment = new Assignment(width);
  const resultAddress = byMemory ? assignment.pointer() : undefined;
  return {
    parameters: parameters.map(({ type }) => assignment.place(type)),
    result: returns.kind === "void" ? { parts: [], byReference: false } : returned,
    resultAddress,
  };
}

/** A scalar inside a value. */
interface Leaf {
  readonly isFloat: boolean;
  readonly offset: number;
  readonly bytes: number;
}

/** Registers and stack as they are given to one value after the other. */
class Assignment {
  readonly #width: FloatWidth;
  #integers = 0;
  #floats = 0;
  #stack = 0;

  constructor(width: FloatWidth) {
    this.#width = width;
  }

  /** Where the next value is, if its type is this. */
  place(type: CType): ValuePlace {
    const size = sizeOf(type) ?? XLEN;
    if (size === 0) return { parts: [], byReference: false };
    const inFloats = this.#inFloats(type);
    if (inFloats) return { parts: inFloats, byReference: false };
    if (size > 2 * XLEN) return { ...this.pointer(), byReference: true };
    return { parts: this.#inWords(size, alignOf(type) ?? XLEN), byReference: false };
  }

  /** Where the next value is, if it is an address. */
  pointer(): ValuePlace {
    return { parts: this.#inWords(XLEN, XLEN), byReference: false };
  }

  #inWords(size: number, align: number): ValuePart[] {
    const count = Math.ceil(size / XLEN);
    if (this.#integers >= REGISTERS) {
      const unit = Math.min(Math.max(align, XLEN), 2 * XLEN);
      this.#stack = Math.ceil(this.#stack / unit) * unit;
    }
    return Array.from({ length: count }, (_, n): ValuePart => {
      const offset = n * XLEN;
      const bytes = Math.min(XLEN, size - offset);
      if (this.#integers < REGISTERS) return { in: "integer", at: this.#integers++, offset, bytes };
      const at = this.#stack;
      this.#stack += XLEN;
      return { in: "stack", at, offset, bytes };
    });
  }

  /** A float, two of them, or one and an integer go into float registers while there are any. */
  #inFloats(type: CType): ValuePart[] | undefined {
    if (this.#width === 0) return undefined;
    const leaves: Leaf[] = [];
    if (!flatten(type, 0, leaves)) return undefined;
    const floats = leaves.filter(({ isFloat }) => isFloat);
    const fits = leaves.every(({ isFloat, bytes }) => bytes <= (isFloat ? this.#width : XLEN));
    const integers = leaves.length - floats.length;
    if (!fits || floats.length === 0) return undefined;
    if (this.#floats + floats.length > REGISTERS || this.#integers + integers > REGISTERS) {
      return undefined;
    }
    return leaves.map(({ isFloat, offset, bytes }) => ({
      in: isFloat ? "float" : "integer",
      at: isFloat ? this.#floats++ : this.#integers++,
      offset,
      bytes,
    }));
  }
}

/** The scalars of a type, if they are at most two and none is in a union. */
function flatten(type: CType, offset: number, to: Leaf[]): boolean {
  switch (type.kind) {
    case "float":
      to.push({ isFloat: true, offset, bytes: type.bytes });
      break;
    case "complex":
      for (const at of [offset, offset + type.part]) {
        to.push({ isFloat: true, offset: at, bytes: type.part });
      }
      break;
    case "array": {
      const each = sizeOf(type.of) ?? 0;
      for (let n = 0; n < (type.count ?? 0) && each > 0; n++) {
        if (!flatten(type.of, offset + n * each, to)) return false;
      }
      break;
    }
    case "struct":
      for (const { type: inner, offset: at, bits } of type.layout?.members ?? []) {
        const isFlat = bits
          ? to.push({ isFloat: false, offset: offset + at, bytes: bitsBytes(bits) }) > 0
          : flatten(inner, offset + at, to);
        if (!isFlat || to.length > 2) return false;
      }
      break;
    case "union":
      return sizeOf(type) === 0;
    default:
      to.push({ isFloat: false, offset, bytes: sizeOf(type) ?? 0 });
  }
  return to.length <= 2;
}

/** Bytes that a bit-field is in, from the first of them on. */
function bitsBytes({ width, start }: { readonly width: number; readonly start: number }): number {
  return Math.ceil(((start & 7) + width) / 8);
}
