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
import { PLAIN, type PlainName } from "../../wasm/code.ts";
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

/** A bitwise operation or a comparison, of registers or of one and the immediate. */
export interface WordPair {
  /** The operation on 64 bits. */
  readonly operation: PlainName;
  readonly left: Field;
  readonly right: Field | "imm";
}

/** What a plan does with registers and memory. */
export interface PlanUse {
  /** Fields that name the integer registers it reads. */
  readonly readsX: readonly Field[];
  /** Those of them of which it reads the low half only. */
  readonly readsHalf: readonly Field[];
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
  /** Whether it always leaves the sign-extension of 32 bits in its register. */
  readonly narrow: boolean;
  /** Whether it does so by an extension of its own, which nobody needs who wants the low half. */
  readonly extends: boolean;
  /** What it writes or decides by, if that is as true of the low halves of sign-extended operands. */
  readonly pair: WordPair | undefined;
}

/** Operations whose result on sign-extended operands is that on their low halves, sign-extended. */
const PAIRED = [
  ...["i64.and", "i64.or", "i64.xor"] as const,
  ...["i64.eq", "i64.ne", "i64.lt_s", "i64.lt_u", "i64.ge_s", "i64.ge_u"] as const,
] as const;
const PAIRED_BY_CODE = new Map<number, PlainName>(PAIRED.map((name) => [PLAIN[name], name]));

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
  const readsX = new Set<Field>(), readsWhole = new Set<Field>(), readsF = new Set<Field>();
  let writes: PlanUse["writes"];
  let access: AddressHole | undefined;
  let declines = false;
  for (const piece of [...body, ...outcome]) {
    if (piece.kind === "x") {
      readsX.add(piece.field);
      // What is stored of a register by less than all of its bytes comes behind the address.
      if (!piece.low && !(isStore(access) && access.access.bytes < 8)) readsWhole.add(piece.field);
    } else if (piece.kind === "f") readsF.add(piece.field);
    else if (piece.kind === "begin") writes = piece.file;
    else if (piece.kind === "declineIf") declines = true;
    else if (piece.kind === "address") {
      readsX.add(piece.field);
      access = piece;
    }
  }
  return {
    readsX: [...readsX],
    readsHalf: [...readsX].filter((field) => !readsWhole.has(field)),
    readsF: [...readsF],
    writes,
    access,
    declines,
    form: formOf(body),
    narrow: isNarrow(body, access),
    extends: extendsWord(body),
    pair: pairOf(outcome.length > 0 ? outcome : body),
  };
}

function isStore(access: AddressHole | undefined): access is AddressHole {
  return access !== undefined && access.writes && !access.atomic;
}

/**
 * The register that a step copies to another as it is, x0 included; undefined if it does something
 * else.
 */
export function movedFrom(
  { instruction, use }: { readonly instruction: Instruction; readonly use: PlanUse },
): number | undefined {
  const left = registerAt(instruction, "rs1"), right = registerAt(instruction, "rs2");
  if (use.form === "offset") return instruction.imm === 0 ? left : undefined;
  if (use.form !== "sum" || (left !== 0 && right !== 0)) return undefined;
  return left || right;
}

/** Whether the last thing done to the value that is written is the sign-extension of 32 bits. */
function extendsWord(body: readonly Piece[]): boolean {
  const last = body.at(-2);
  // No immediate ends in a byte like that.
  return body.at(-1)?.kind === "end" && last?.kind === "code" &&
    last.bytes.at(-1) === PLAIN["i64.extend_i32_s"];
}

/** Whether the value that is written is the sign-extension of 32 bits, by how it was recorded. */
function isNarrow(body: readonly Piece[], access: AddressHole | undefined): boolean {
  const last = body.at(-2);
  if (body.at(-1)?.kind !== "end" || last?.kind !== "code") return false;
  if (extendsWord(body)) return true;
  const { bytes } = last;
  if (bytes.length === 2 && bytes[1] === PLAIN["i64.extend_i32_u"]) {
    return bytes[0]! >= PLAIN["i64.eqz"] && bytes[0]! <= PLAIN["i64.ge_u"];
  }
  const isLoad = access !== undefined && !access.writes && !access.atomic && body.length === 4;
  return isLoad && (access.access.bytes < 4 ||
    (access.access.bytes === 4 && access.access.as === "signed"));
}

function pairOf(pieces: readonly Piece[]): WordPair | undefined {
  const [a, b, code] = pieces[0]?.kind === "begin" ? pieces.slice(1) : pieces;
  if (a?.kind !== "x" || a.low || code?.kind !== "code" || code.bytes.length !== 1) {
    return undefined;
  }
  const operation = PAIRED_BY_CODE.get(code.bytes[0]!);
  if (operation === undefined || pieces.length > 5) return undefined;
  if (b?.kind === "x" && !b.low) return { operation, left: a.field, right: b.field };
  return b?.kind === "imm" && !b.low ? { operation, left: a.field, right: "imm" } : undefined;
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
