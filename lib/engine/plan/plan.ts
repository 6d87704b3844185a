/**
 * What the recorder makes of an instruction's definition: WASM code with holes.
 *
 * A definition never looks at a value, so what it asks for is the same for every instance of the
 * instruction. It is recorded once; to translate an instance is to copy the code and to fill the
 * holes, from a micro-op or with constants. The holes are also the list of what it reads and writes.
 *
 * `recorder.ts` makes plans; whoever copies one does so through `piece_sink.ts`.
 *
 * @module
 */
import type { Access, Field } from "../../isa/sem.ts";
import { F32, F64, I32, I64, type ValueType } from "../../wasm/code.ts";

/** Where the bytes of one guest access lie: a register, or a register + the immediate. */
export interface AddressHole {
  /** The instruction's field that names the base register. */
  readonly field: Field;
  /** Whether the immediate is added to it. */
  readonly offset: boolean;
  /** What kind of access is made at that address, and of how many bytes. */
  readonly access: Access;
  /** Whether the access writes; an atomic reads and writes. */
  readonly writes: boolean;
  /** Whether the access reads. */
  readonly reads: boolean;
  /** Whether it is an atomic's, which has to be aligned. */
  readonly atomic: boolean;
}

/**
 * A stretch of recorded code, or a hole. What each one pushes or pops stands behind it.
 *
 * `address` and `declineIf` can leave the instruction before anything of it has happened: none of
 * them comes behind a write.
 */
export type Piece =
  /** WASM bytes as they are. They open and close no blocks. */
  | { readonly kind: "code"; readonly bytes: Uint8Array }
  /** An integer register: pushes i64, or i32 if only its low half is wanted. */
  | { readonly kind: "x"; readonly field: Field; readonly low: boolean }
  /** A float register's raw bits: pushes i64, or f64 if it is read as a double. */
  | { readonly kind: "f"; readonly field: Field; readonly as: "bits" | "double" }
  /** The immediate: pushes i64, or i32. */
  | { readonly kind: "imm"; readonly low: boolean }
  /** The rounding mode that the instruction says, as `rm` numbers it: pushes i32. */
  | { readonly kind: "mode" }
  /** pc + immediate: pushes i64. */
  | { readonly kind: "target" }
  /** Address of the following instruction: pushes i64. */
  | { readonly kind: "next" }
  /** A guest address that was checked for its access: pushes it as i32. */
  | { readonly kind: "address" } & AddressHole
  /** Around the value written to rd: the emitter may push where it goes before. */
  | { readonly kind: "begin" | "end"; readonly file: "x" | "f"; readonly as: "i64" | "f64" }
  /** Pops i32 and opens a conditional that gives a value of `type`. */
  | { readonly kind: "if"; readonly type: ValueType }
  /** Goes on with what the innermost conditional gives otherwise. */
  | { readonly kind: "else" }
  /** Closes the innermost conditional. */
  | { readonly kind: "endIf" }
  /** Pops i32: not 0 leaves the instruction to the reference, before anything of it has happened. */
  | { readonly kind: "declineIf" };

/** A recorded value: the code that pushes it. */
export interface Value {
  /** WASM type that the code pushes. */
  readonly type: ValueType;
  /** The code that pushes the value. */
  readonly pieces: readonly Piece[];
}

/** How an instruction hands over to the next. */
export type Flow = "next" | "branch" | "jump" | "indirect" | "leave";

/** What was recorded of one instruction definition: its WASM pieces and the holes between them. */
export interface Plan {
  /** What it does before control goes on. */
  readonly body: readonly Piece[];
  /** Whether it can go elsewhere; `leave` is for the reference alone. */
  readonly flow: Flow;
  /** A branch's condition (pushes i32) or an indirect jump's target (pushes i64). */
  readonly outcome: readonly Piece[];
  /** Whether it reads or writes float registers, or their flags. */
  readonly floats: boolean;
  /** What it asks for besides registers and constants, by what an emitter has to provide. */
  readonly asks: Asks;
}

/** What the holes of a plan's body ask for. */
export interface Asks {
  /** Whether a `next` hole is among them. */
  readonly next: boolean;
  /** Whether a `target` hole is among them. */
  readonly target: boolean;
  /** Whether a third source register is read. */
  readonly rs3: boolean;
  /** Whether a `mode` hole is among them. */
  readonly mode: boolean;
  /** Whether an integer register is written. */
  readonly writesX: boolean;
}

/** What the holes among `pieces` ask for. */
export function asksOf(pieces: readonly Piece[]): Asks {
  const some = (test: (piece: Piece) => boolean): boolean => pieces.some(test);
  return {
    next: some(({ kind }) => kind === "next"),
    target: some(({ kind }) => kind === "target"),
    rs3: some((piece) => piece.kind === "f" && piece.field === "rs3"),
    mode: some(({ kind }) => kind === "mode"),
    writesX: some((piece) => piece.kind === "begin" && piece.file === "x"),
  };
}

/** The plan of an instruction that is the reference's. */
export const LEAVE: Plan = {
  body: [],
  flow: "leave",
  outcome: [],
  floats: false,
  asks: asksOf([]),
};

/** Scratch locals that every function with recorded code has, from {@linkcode SCRATCH_BASE} on. */
export const SCRATCH: readonly ValueType[] = [
  ...new Array<ValueType>(8).fill(I32),
  ...new Array<ValueType>(10).fill(I64),
  ...new Array<ValueType>(8).fill(F32),
  ...new Array<ValueType>(16).fill(F64),
];
/** Number of the first scratch local; parameters and the emitter's own locals come before. */
export const SCRATCH_BASE = 10;

/** Number of guest memory in emitted code. */
export const GUEST = 0;
/** Number of host memory in emitted code. */
export const HOST = 1;

/** Joins neighbouring stretches of code. */
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
