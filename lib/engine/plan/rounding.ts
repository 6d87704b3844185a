/**
 * Rounding modes as recorded code: WASM rounds to nearest-even only, so a result in another mode is
 * that one, moved to its neighbour where what rounding lost says so.
 *
 * Which mode it is may be known when an instruction is recorded, said by the instruction as it runs,
 * or in frm. Nearest-even asks one condition where the mode is in frm, and nothing where it is said.
 *
 * What rounding lost is `residues.ts`.
 *
 * @module
 */
import { FCSR } from "../../hart/state.ts";
import { F32, F64, I32, I64, type PlainName } from "../../wasm/code.ts";
import type { Value } from "./plan.ts";
import type { Scribe } from "./scribe.ts";

/** Rounding modes as `rm` and frm number them. */
export const Mode = { nearest: 0, towardZero: 1, down: 2, up: 3, nearestAway: 4 } as const;
/** What `rm` says where the mode is in frm. */
const DYNAMIC = 7;

/** What a result of nearest-even lacks. */
export interface Residue {
  /** The exact result less the rounded one, f64; rounded itself if there is a `rest`. */
  readonly error: Value;
  /** What `error` lacks, f64. */
  readonly rest?: Value;
  /** Whether the exact result may be half-way between two numbers. */
  readonly ties: boolean;
}

/** What becomes of a magnitude's last place, two bits each, by mode, sign and the error's sign. */
function steps(ties: boolean): bigint {
  let table = 0n;
  for (const mode of Object.values(Mode)) {
    for (const [negative, below] of [[0, 0], [0, 1], [1, 0], [1, 1]] as const) {
      const wants = mode === Mode.towardZero
        ? 1 - negative
        : mode === Mode.down
        ? 1
        : mode === Mode.up
        ? 0
        : -1;
      let step = wants === below ? negative === below ? 1 : -1 : 0;
      if (mode === Mode.nearestAway && ties) step = 1;
      table |= BigInt(step + 1) << BigInt((mode * 4 + negative * 2 + below) * 2);
    }
  }
  return table;
}

/** The rounding mode of one instruction. */
export class Rounding {
  readonly #scribe: Scribe;
  readonly #said: number;
  readonly #alike: boolean;

  /**
   * `said` is what the instruction's `rm` field says; nearest-even if it has none. Where `alike`, all
   * modes that may be said make one plan, nearest-even among them, as code is to be small.
   */
  constructor(scribe: Scribe, said: number, alike = false) {
    this.#scribe = scribe;
    this.#said = said;
    this.#alike = alike;
  }

  /** Whether the instruction says that it rounds towards zero. */
  get isTruncation(): boolean {
    return this.#said === Mode.towardZero;
  }

  /** Leaves the instruction to the reference if the mode is reserved; for what never rounds. */
  requireValid(): void {
    if (this.#said !== DYNAMIC) return;
    const frm = this.#word("and", this.#fcsr(), this.#scribe.word(0xe0));
    this.#scribe.declineIf(this.#word("gt_u", frm, this.#scribe.word(Mode.nearestAway << 5)));
  }

  /** `nearest`, or what `otherwise` makes for another mode, which it is given; reserved ones decline. */
  unlessNearest(nearest: Value, otherwise: (mode: Value) => Value): Value {
    const scribe = this.#scribe;
    if (this.#said !== DYNAMIC) {
      const mode: Value = { type: I32, pieces: [{ kind: "mode" }] };
      if (this.#alike) return scribe.op(nearest.type, [otherwise(mode), nearest, mode], "select");
      return this.#said === Mode.nearest ? nearest : otherwise(mode);
    }
    const frm = () => this.#word("and", this.#fcsr(), scribe.word(0xe0));
    return scribe.when(frm(), () => {
      const mode = scribe.keep(this.#word("shr_u", frm(), scribe.word(5)));
      scribe.declineIf(this.#word("gt_u", mode, scribe.word(Mode.nearestAway)));
      return otherwise(mode);
    }, nearest);
  }

  /**
   * `nearest`, a normal number or exact, in the instruction's mode. `residue` is asked for where that
   * is another; what it cannot tell, and what becomes infinite, is declined.
   */
  round(nearest: Value, residue: (mode: Value) => Residue): Value {
    return this.unlessNearest(nearest, (mode) => {
      const scribe = this.#scribe;
      const { error, rest, ties } = residue(mode);
      const lost = scribe.keep(error);
      this.#requireFinite(lost, "f64");
      return this.#stepped(nearest, mode, lost, ties ? rest ?? this.#double(0) : undefined);
    });
  }

  #stepped(nearest: Value, mode: Value, lost: Value, rest: Value | undefined): Value {
    const scribe = this.#scribe;
    const isDouble = nearest.type === F64;
    const [type, prefix] = isDouble ? [I64, "i64"] as const : [I32, "i32"] as const;
    const toBits = isDouble ? "i64.reinterpret_f64" : "i32.reinterpret_f32";
    const fromBits = isDouble ? "f64.reinterpret_i64" : "f32.reinterpret_i32";
    const bits = scribe.keep(scribe.op(type, [nearest], toBits));
    const moved = (by: Value) =>
      scribe.op(nearest.type, [scribe.op(type, [bits, by], `${prefix}.add`)], fromBits);
    const wide = (value: Value) => isDouble ? value : scribe.op(F64, [value], "f64.promote_f32");
    const isNegative = (value: Value) => scribe.op(I32, [value, this.#double(0)], "f64.lt");
    let moves = scribe.op(I32, [lost, this.#double(0)], "f64.ne");
    if (rest) {
      const one = isDouble ? scribe.long(1n) : scribe.word(1);
      const gap = scribe.op(F64, [wide(moved(one)), wide(nearest)], "f64.sub");
      const half = scribe.op(I32, [gap, scribe.op(F64, [lost, lost], "f64.add")], "f64.eq");
      const exact = scribe.op(I32, [rest, this.#double(0)], "f64.eq");
      const away = this.#word("eq", mode, scribe.word(Mode.nearestAway));
      moves = scribe.op(I32, [this.#word("and", half, exact), moves, away], "select");
    }
    const signs = this.#word(
      "add",
      this.#word("shl", isNegative(wide(nearest)), scribe.word(2)),
      this.#word("shl", isNegative(lost), scribe.word(1)),
    );
    const index = this.#word("add", this.#word("shl", mode, scribe.word(3)), signs);
    const entry = scribe.op(I64, [
      scribe.long(steps(rest !== undefined)),
      scribe.op(I64, [index], "i64.extend_i32_u"),
    ], "i64.shr_u");
    const step = this.#word(
      "sub",
      this.#word("and", scribe.op(I32, [entry], "i32.wrap_i64"), scribe.word(3)),
      scribe.word(1),
    );
    const by = this.#word("mul", step, moves);
    const result = scribe.keep(moved(isDouble ? scribe.op(I64, [by], "i64.extend_i32_s") : by));
    this.#requireFinite(result, isDouble ? "f64" : "f32");
    return result;
  }

  /** An infinity or a NaN less itself is a NaN, which equals nothing. */
  #requireFinite(value: Value, prefix: "f32" | "f64"): void {
    const scribe = this.#scribe;
    const nothing = () => scribe.op(value.type, [value, value], `${prefix}.sub`);
    scribe.declineIf(scribe.op(I32, [nothing(), nothing()], `${prefix}.ne`));
  }

  /** Leaves a sum that cancels to zero to the reference where it rounds down: it is −0 there. */
  requireSum(mode: Value, isZero: Value): void {
    const down = this.#word("eq", mode, this.#scribe.word(Mode.down));
    this.#scribe.declineIf(this.#word("and", down, isZero));
  }

  #fcsr(): Value {
    return this.#scribe.state("i32.load", FCSR);
  }

  #double(value: number): Value {
    return this.#scribe.double(value);
  }

  #word(operation: string, a: Value, b: Value): Value {
    return this.#scribe.op(I32, [a, b], `i32.${operation}` as PlainName);
  }
}

/** An integral value of `value`, f32 or f64, in a mode that is not nearest-even. */
export function integralIn(mode: Value, value: Value, scribe: Scribe): Value {
  const isDouble = value.type === F64;
  const prefix = isDouble ? "f64" : "f32";
  const op = (name: string, ...operands: readonly Value[]) =>
    scribe.op(value.type, operands, `${prefix}.${name}` as PlainName);
  const constant = (number: number): Value =>
    isDouble ? scribe.double(number) : scribe.op(F32, [scribe.double(number)], "f32.demote_f64");
  const trunc = scribe.keep(op("trunc", value));
  const fraction = op("abs", op("sub", value, trunc));
  const isFar = scribe.op(I32, [fraction, constant(0.5)], `${prefix}.ge` as PlainName);
  const more = scribe.op(value.type, [constant(1), constant(0), isFar], "select");
  const away = op("add", trunc, op("copysign", more, value));
  const is = (which: number) => scribe.op(I32, [mode, scribe.word(which)], "i32.eq");
  const choose = (which: number, a: Value, b: Value) =>
    scribe.op(value.type, [a, b, is(which)], "select");
  const upwards = choose(Mode.up, op("ceil", value), away);
  return choose(Mode.towardZero, trunc, choose(Mode.down, op("floor", value), upwards));
}
