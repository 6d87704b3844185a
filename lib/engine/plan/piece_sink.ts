/**
 * The one way in which plans are copied: piece by piece into a {@linkcode PieceSink}, which writes
 * code, fills holes and knows how deep in blocks it is.
 *
 * A hole that leaves the instruction may stand inside a conditional of the plan's: how far out it
 * has to branch there is the sink's business, which is told of every block that opens and closes.
 *
 * What pieces are is `plan.ts`.
 *
 * @module
 */
import type { Field } from "../../isa/sem.ts";
import type { ValueType } from "../../wasm/code.ts";
import type { AddressHole, Piece, Plan } from "./plan.ts";

/** What a plan is copied into; what each hole pushes or pops stands at its {@linkcode Piece}. */
export interface PieceSink {
  /** Recorded WASM, to be written as it is. */
  code(bytes: Uint8Array): void;
  /** Pushes an integer register: i64, or its low half as i32. */
  integer(field: Field, low: boolean): void;
  /** Pushes a float register: its bits as i64, or an f64. */
  float(field: Field, as: "bits" | "double"): void;
  /** Pushes the immediate: i64, or i32. */
  immediate(low: boolean): void;
  /** Pushes the rounding mode that the instruction says, i32. */
  mode(): void;
  /** Pushes pc + immediate, i64. */
  target(): void;
  /** Pushes the address of the following instruction, i64. */
  next(): void;
  /** Pushes a checked guest address, i32; leaves the instruction where the check fails. */
  address(hole: AddressHole): void;
  /** Comes before the value that is written to rd. */
  beginWrite(file: "x" | "f"): void;
  /** Pops the value, which is then in rd. */
  endWrite(file: "x" | "f", as: "i64" | "f64"): void;
  /** Pops i32 and opens a conditional that gives a value. */
  openIf(type: ValueType): void;
  /** Begins the other half of the innermost conditional. */
  otherwise(): void;
  /** Closes the innermost conditional. */
  closeIf(): void;
  /** Pops i32: not 0 leaves the instruction to the reference. */
  declineIf(): void;

  // ---- ends of an instruction
  /** Goes on with the following instruction. */
  goOn(): void;
  /** Pops i32: not 0 goes to pc + immediate, 0 to the following instruction. */
  branch(): void;
  /** Goes to pc + immediate. */
  jump(): void;
  /** Pops i64 and goes there. */
  jumpIndirect(): void;
  /** Leaves the instruction to the reference, always. */
  leave(): void;
}

/** Copies a plan: its body, what decides where it goes on, and its end. */
export function copyPlan({ body, flow, outcome }: Plan, sink: PieceSink): void {
  copyPieces(body, sink);
  copyPieces(outcome, sink);
  switch (flow) {
    case "next":
      return sink.goOn();
    case "branch":
      return sink.branch();
    case "jump":
      return sink.jump();
    case "indirect":
      return sink.jumpIndirect();
    case "leave":
      return sink.leave();
  }
}

function copyPieces(pieces: readonly Piece[], sink: PieceSink): void {
  for (const piece of pieces) copyPiece(piece, sink);
}

function copyPiece(piece: Piece, sink: PieceSink): void {
  switch (piece.kind) {
    case "code":
      return sink.code(piece.bytes);
    case "x":
      return sink.integer(piece.field, piece.low);
    case "f":
      return sink.float(piece.field, piece.as);
    case "imm":
      return sink.immediate(piece.low);
    case "mode":
      return sink.mode();
    case "target":
      return sink.target();
    case "next":
      return sink.next();
    case "address":
      return sink.address(piece);
    case "begin":
      return sink.beginWrite(piece.file);
    case "end":
      return sink.endWrite(piece.file, piece.as);
    case "if":
      return sink.openIf(piece.type);
    case "else":
      return sink.otherwise();
    case "endIf":
      return sink.closeIf();
    case "declineIf":
      return sink.declineIf();
  }
}
