/**
 * What the recorder makes of an instruction's definition: WASM code with holes.
 *
 * A definition never looks at a value, so what it asks for is the same for every instance of the
 * instruction. It is recorded once; to translate an instance is to copy the code and to fill the
 * holes, from a micro-op or with constants. The holes are also the list of what it reads and writes.
 *
 * `recorder.ts` makes plans, `interpreter_code.ts` copies them.
 *
 * @module
 */
import type { Access, Field } from "../../isa/sem.ts";
import { F32, F64, I32, I64, type ValueType } from "../../wasm/code.ts";

/** A stretch of recorded code, or a hole. What each one pushes or pops stands behind it. */
export type Piece =
  /** WASM bytes as they are. */
  | { readonly kind: "code"; readonly bytes: Uint8Array }
  /** An integer register: pushes i64, or i32 if only its low half is wanted. */
  | { readonly kind: "x"; readonly field: Field; readonly low: boolean }
  /** A float register's raw bits: pushes i64, or f64 if it is read as a double. */
  | { readonly kind: "f"; readonly field: Field; readonly as: "bits" | "double" }
  /** The immediate: pushes i64, or i32. */
  | { readonly kind: "imm"; readonly low: boolean }
  /** pc + immediate: pushes i64. */
  | { readonly kind: "target" }
  /** Address of the following instruction: pushes i64. */
  | { readonly kind: "next" }
  /** A register, or register + immediate, checked for the access: pushes an i32 guest address. */
  | {
    readonly kind: "address";
    readonly field: Field;
    readonly offset: boolean;
    readonly access: Access;
    readonly writes: boolean;
    readonly reads: boolean;
  }
  /** Around the value written to rd: the emitter may push where it goes before. */
  | { readonly kind: "begin" | "end"; readonly file: "x" | "f"; readonly as: "i64" | "f64" }
  /** Pops i32: not 0 leaves the instruction to the reference, before anything of it has happened. */
  | { readonly kind: "declineIf" };

/** A recorded value: the code that pushes it. */
export interface Value {
  /** Its WASM type. */
  readonly type: ValueType;
  /** Its code. */
  readonly pieces: readonly Piece[];
}

/** How an instruction hands over to the next. */
export type Flow = "next" | "branch" | "jump" | "indirect" | "leave";

/** A recorded definition. */
export interface Plan {
  /** What it does before control goes on. */
  readonly body: readonly Piece[];
  /** Whether it can go elsewhere; `leave` is for the reference alone. */
  readonly flow: Flow;
  /** A branch's condition (pushes i32) or an indirect jump's target (pushes i64). */
  readonly outcome: readonly Piece[];
  /** Whether it reads or writes float registers, or their flags. */
  readonly floats: boolean;
}

/** Scratch locals that every function with recorded code has, from {@linkcode SCRATCH_BASE} on. */
export const SCRATCH: readonly ValueType[] = [
  ...new Array<ValueType>(8).fill(I32),
  ...new Array<ValueType>(10).fill(I64),
  ...new Array<ValueType>(8).fill(F32),
  ...new Array<ValueType>(16).fill(F64),
];
/** Number of the first scratch local; parameters and the emitter's own locals come before. */
export const SCRATCH_BASE = 10;

/** Memory numbers in emitted code. */
export const GUEST = 0, HOST = 1;

/** Neighbouring stretches of code become one. */
export function mergePieces(pieces: readonly Piece[]): Piece[] {
  const merged: Piece[] = [];
  for (const piece of pieces) {
    const last = merged.at(-1);
    if (piece.kind === "code" && last?.kind === "code") {
      const bytes = new Uint8Array(last.bytes.length + piece.bytes.length);
      bytes.set(last.bytes);
      bytes.set(piece.bytes, last.bytes.length);
      merged[merged.length - 1] = { kind: "code", bytes };
    } else merged.push(piece);
  }
  return merged;
}
