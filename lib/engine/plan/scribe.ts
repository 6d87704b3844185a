/**
 * What recorded code is written with: pieces that are appended in order, values that are kept in
 * scratch locals, and the tests that leave an instruction to the reference.
 *
 * It is also the guard of what every emitter builds on: that nothing can leave an instruction once
 * something of it has happened. A piece that could do so behind a write is refused here.
 *
 * What a definition's words mean is `recorder.ts`; this file knows only how they are written down.
 *
 * @module
 */
import {
  Code,
  F64,
  I32,
  I64,
  type MemoryName,
  type PlainName,
  type ValueType,
} from "../../wasm/code.ts";
import { HOST, type Piece, SCRATCH, SCRATCH_BASE, type Value } from "./plan.ts";

/** A value of more pieces is the reference's: it would make the one function of all handlers slow. */
const MOST_PIECES = 256;
/** What recording ends with where an instruction is left to the reference. */
const DECLINED = Symbol("declined");

/** Gives what `write` gives, or undefined if it declined the instruction. */
export function unlessDeclined<T>(write: () => T): T | undefined {
  try {
    return write();
  } catch (reason) {
    if (reason === DECLINED) return undefined;
    throw reason;
  }
}

/** @throws {TypeError} If one of the values has another WASM type. */
export function expectType(type: ValueType, ...values: readonly Value[]): void {
  for (const value of values) {
    if (value.type !== type) throw new TypeError("Cannot record: a value of another width");
  }
}

/** Writes the code of one definition. */
export class Scribe {
  #used = new Map<ValueType, number>();
  #pieces: Piece[] = [];
  #written = false;

  /** All that was appended, in order. */
  get pieces(): readonly Piece[] {
    return this.#pieces;
  }

  /**
   * Appends pieces.
   *
   * @throws {TypeError} If one of them can leave the instruction and stands behind a write.
   */
  append(...pieces: readonly Piece[]): void {
    for (const piece of pieces) {
      this.#refuseLateExit(piece);
      this.#pieces.push(piece);
      if (piece.kind === "end") this.#written = true;
    }
  }

  /**
   * What decides where control goes on, behind all that was appended.
   *
   * @throws {TypeError} As {@linkcode Scribe.append} does.
   */
  outcome({ pieces }: Value): readonly Piece[] {
    for (const piece of pieces) this.#refuseLateExit(piece);
    return pieces;
  }

  #refuseLateExit({ kind }: Piece): void {
    if (this.#written && (kind === "declineIf" || kind === "address")) {
      throw new TypeError(`Cannot record: ${kind} behind a write, which cannot be undone`);
    }
  }

  /** Appends pieces that change memory or the hart's state; nothing can leave behind them. */
  appendWrite(...pieces: readonly Piece[]): void {
    this.append(...pieces);
    this.#written = true;
  }

  /** A value of any code. */
  code(type: ValueType, write: (code: Code) => void): Value {
    const code = new Code(16);
    write(code);
    return { type, pieces: [{ kind: "code", bytes: code.bytes.slice() }] };
  }

  /** A value of code: operands, then instructions. */
  op(type: ValueType, operands: readonly Value[], ...names: readonly PlainName[]): Value {
    const pieces = operands.flatMap((operand) => operand.pieces);
    if (pieces.length > MOST_PIECES) this.decline();
    return { type, pieces: [...pieces, ...this.code(type, (code) => code.op(...names)).pieces] };
  }

  /** A 32-bit constant. */
  word(value: number): Value {
    return this.code(I32, (code) => code.i32(value));
  }

  /** A 64-bit constant. */
  long(value: bigint): Value {
    return this.code(I64, (code) => code.i64(value));
  }

  /** A double-precision constant. */
  double(value: number): Value {
    const view = new DataView(new ArrayBuffer(8));
    view.setFloat64(0, value);
    return this.op(F64, [this.long(view.getBigInt64(0))], "f64.reinterpret_i64");
  }

  /**
   * Computes a value once and keeps it in a scratch local.
   *
   * @throws {RangeError} If no scratch local of its type is left.
   */
  keep(value: Value): Value {
    const { type } = value;
    const taken = this.#used.get(type) ?? 0;
    const local = SCRATCH.indexOf(type) + taken;
    if (SCRATCH[local] !== type) throw new RangeError("Cannot record: out of scratch locals");
    this.#used.set(type, taken + 1);
    const set = this.code(type, (code) => code.set(SCRATCH_BASE + local));
    this.append(...value.pieces, ...set.pieces);
    return this.code(type, (code) => code.get(SCRATCH_BASE + local));
  }

  /**
   * `condition ? then : otherwise`, where what `then` appends is executed only if the condition holds.
   * Scratch locals that `then` takes are free behind it.
   */
  when(condition: Value, then: () => Value, otherwise: Value = this.word(0)): Value {
    expectType(I32, condition);
    const before = this.#pieces;
    const used = [...this.#used];
    this.#pieces = [];
    const value = then();
    const inside = this.#pieces;
    this.#pieces = before;
    this.#used = new Map(used);
    const { type } = value;
    expectType(type, otherwise);
    return this.keep({
      type,
      pieces: [
        ...condition.pieces,
        { kind: "if", type },
        ...inside,
        ...value.pieces,
        { kind: "else" },
        ...otherwise.pieces,
        { kind: "endIf" },
      ],
    });
  }

  /** A word of the hart's state. */
  state(name: MemoryName, at: number): Value {
    const type = name.startsWith("i64") ? I64 : I32;
    return this.code(type, (code) => code.i32(0).access(name, HOST, at));
  }

  /** Writes a word of the hart's state. */
  setState(name: MemoryName, at: number, value: Value): void {
    this.appendWrite(
      ...this.word(0).pieces,
      ...value.pieces,
      ...this.code(I32, (code) => code.access(name, HOST, at)).pieces,
    );
  }

  /** Leaves the instruction to the reference if the 32-bit condition is not 0. */
  declineIf(condition: Value): void {
    expectType(I32, condition);
    this.append(...condition.pieces, { kind: "declineIf" });
  }

  /** Leaves the instruction to the reference always. */
  decline(): never {
    throw DECLINED;
  }
}
