/**
 * What a recorded plan reads, writes and asks of memory, as a region's analyses want to know it.
 *
 * All of it is read off the plan's holes, so no instruction is named here: an addition of a constant
 * is whatever was recorded as one.
 *
 * @module
 */
import { type Instruction, SHIFT } from "../../isa/encoding.ts";
import type { Field } from "../../isa/sem.ts";
import { PLAIN } from "../../wasm/code.ts";
import type { AddressHole, Piece, Plan } from "../plan/plan.ts";

/** What an integer register holds behind an instruction, where addresses can be followed through it. */
export type Form =
  /** The immediate. */
  | "immediate"
  /** pc + the immediate. */
  | "target"
  /** rs1 + the immediate. */
  | "offset"
  /** rs1 + rs2: a move where one of them is x0. */
  | "sum"
  | undefined;

/** What a plan does with registers and memory. */
export interface PlanUse {
  /** Fields that name the integer registers it reads. */
  readonly readsX: readonly Field[];
  /** Fields that name the float registers it reads. */
  readonly readsF: readonly Field[];
  /** The file of the register that it writes. */
  readonly writes: "x" | "f" | undefined;
  /** Its access of memory. */
  readonly access: AddressHole | undefined;
  /** Whether it may be left to the reference for other reasons than its access. */
  readonly declines: boolean;
  /** What it leaves in its register. */
  readonly form: Form;
}

const uses = new WeakMap<Plan, PlanUse>();

/** What a plan does with registers and memory. */
export function useOf(plan: Plan): PlanUse {
  let use = uses.get(plan);
  if (!use) uses.set(plan, use = readUse(plan));
  return use;
}

/** The register that a field of an instruction names. */
export function registerAt({ word }: Instruction, field: Field): number {
  return (word >>> SHIFT[field]) & 31;
}

function readUse({ body, outcome }: Plan): PlanUse {
  const readsX = new Set<Field>(), readsF = new Set<Field>();
  let writes: PlanUse["writes"];
  let access: AddressHole | undefined;
  let declines = false;
  for (const piece of [...body, ...outcome]) {
    if (piece.kind === "x") readsX.add(piece.field);
    else if (piece.kind === "f") readsF.add(piece.field);
    else if (piece.kind === "begin") writes = piece.file;
    else if (piece.kind === "declineIf") declines = true;
    else if (piece.kind === "address") {
      readsX.add(piece.field);
      access = piece;
    }
  }
  return { readsX: [...readsX], readsF: [...readsF], writes, access, declines, form: formOf(body) };
}

function formOf(body: readonly Piece[]): Form {
  const [begin, a, b, add] = body;
  if (begin?.kind !== "begin" || begin.file !== "x" || a === undefined) return undefined;
  if (body.length === 3) {
    return a.kind === "imm" && !a.low ? "immediate" : a.kind === "target" ? "target" : undefined;
  }
  if (body.length !== 5 || add?.kind !== "code" || a.kind !== "x" || a.low) return undefined;
  if (add.bytes.length !== 1 || add.bytes[0] !== PLAIN["i64.add"]) return undefined;
  if (b?.kind === "imm" && !b.low) return "offset";
  return b?.kind === "x" && !b.low ? "sum" : undefined;
}
