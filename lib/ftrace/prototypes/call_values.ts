/**
 * The bytes of a call's arguments and of its result, put together from registers, stack and memory.
 *
 * The kernel's frame holds no floating-point register; at a traced entry the hart's own still are
 * the caller's, and at a traced return the function's.
 *
 * Where values are is `calling_convention.ts`, how they print `call_text.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { FA0 } from "../../isa/abi.ts";
import type { FtraceRegs } from "../../trampoline/ftrace_regs.ts";
import {
  type CallPlaces,
  type FloatWidth,
  floatWidthOf,
  placeCall,
  type ValuePart,
  type ValuePlace,
} from "./calling_convention.ts";
import { type CType, sizeOf } from "./ctype.ts";
import type { Prototype } from "./header.ts";

/** Where the flags of an ELF header are. */
const E_FLAGS = 48;
/** Most bytes of a value in memory that are read. */
const MOST_BYTES = 65536;

const placed = new WeakMap<Prototype, Map<FloatWidth, CallPlaces>>();

/** Where the values of a call are in a program, by the float ABI that it was built for. */
export function callPlaces(prototype: Prototype, program: Uint8Array): CallPlaces {
  const { buffer, byteOffset } = program;
  const flags = new DataView(buffer, byteOffset).getUint32(E_FLAGS, true);
  const width = floatWidthOf(flags);
  const known = placed.get(prototype) ?? new Map<FloatWidth, CallPlaces>();
  placed.set(prototype, known);
  const places = known.get(width) ?? placeCall(prototype, width);
  known.set(width, places);
  return places;
}

/** Registers and stack that a call's values are read from. */
export interface ValueSource {
  /** The saved registers. */
  readonly fregs: Pick<FtraceRegs, "argument" | "kernelStackNth">;
  /** The hart of the call. */
  readonly hart: Hart;
}

/** 64 bits of a register or the stack that hold a part of a value. */
export function partWord(part: ValuePart, { fregs, hart }: ValueSource): bigint {
  if (part.in === "float") return hart.f[FA0 + part.at]!;
  if (part.in === "stack") return fregs.kernelStackNth(part.at / 8);
  return fregs.argument(part.at);
}

/** The bytes of a value; undefined if they are in memory that the guest may not read. */
export function valueBytes(
  type: CType,
  { parts, byReference }: ValuePlace,
  source: ValueSource,
): DataView | undefined {
  const size = sizeOf(type) ?? 0;
  if (byReference) return memoryBytes(size, partWord(parts[0]!, source), source.hart);
  const data = new DataView(new ArrayBuffer(size));
  for (const part of parts) {
    let word = partWord(part, source);
    for (let n = 0; n < part.bytes; n++, word >>= 8n) {
      data.setUint8(part.offset + n, Number(word & 0xffn));
    }
  }
  return data;
}

/** Bytes of the guest's memory; undefined if they are too many, or it may not read them. */
export function memoryBytes(size: number, address: bigint, { space }: Hart): DataView | undefined {
  if (size > MOST_BYTES) return undefined;
  const bytes = space.read(address, size);
  return bytes && new DataView(bytes.slice().buffer);
}
