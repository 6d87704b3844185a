/**
 * Floating-point arithmetic of the reference, on bit patterns.
 *
 * How it is computed is `softfloat.ts`.
 *
 * @module
 */
import type { Format, Fpu } from "../../isa/sem.ts";
import type { InFlight } from "./in_flight.ts";
import { flag } from "./integer_alu.ts";
import { Rounding, SoftFloat } from "./softfloat.ts";

const WIDTHS: Readonly<Record<Format, number>> = { h: 16, s: 32, d: 64 };

/** Arithmetic in one format for the instruction in flight, with its rounding mode. */
export function floatUnit(format: Format, flight: InFlight): Fpu<bigint> {
  const width = WIDTHS[format];
  const sign = 1n << BigInt(width - 1);
  /** Computes in this instruction's rounding mode and accrues the flags. */
  const exactly = (compute: (soft: SoftFloat) => bigint): bigint => {
    const mode = flight.placed.rounding < 0 ? Rounding.nearestEven : flight.rounding;
    const soft = new SoftFloat(format, mode);
    const result = compute(soft);
    flight.hart.fcsr |= soft.flags;
    return result;
  };
  return {
    add: (a, b) => exactly((soft) => soft.add(a, b)),
    sub: (a, b) => exactly((soft) => soft.sub(a, b)),
    mul: (a, b) => exactly((soft) => soft.mul(a, b)),
    div: (a, b) => exactly((soft) => soft.div(a, b)),
    sqrt: (a) => exactly((soft) => soft.sqrt(a)),
    fma: (a, b, c) => exactly((soft) => soft.fma(a, b, c)),
    min: (a, b) => exactly((soft) => soft.extreme(a, b, -1)),
    max: (a, b) => exactly((soft) => soft.extreme(a, b, 1)),
    eq: (a, b) => exactly((soft) => flag(soft.compare(a, b, false) === 0)),
    lt: (a, b) => exactly((soft) => flag(soft.compare(a, b, true) === -1)),
    le: (a, b) => exactly((soft) => flag((soft.compare(a, b, true) ?? 1) <= 0)),
    neg: (a) => a ^ sign,
    copySign: (a, b) => (a & ~sign) | (b & sign),
    xorSign: (a, b) => a ^ (b & sign),
    toInteger: (type, a) => exactly((soft) => soft.toInteger(type, a)),
    fromInteger: (type, x) => exactly((soft) => soft.fromInteger(type, x)),
    convert: (from, a) => exactly((soft) => soft.convertFrom(from, a)),
    classify: (a) => new SoftFloat(format, Rounding.nearestEven).classify(a),
    fromBits: (bits) => BigInt.asUintN(width, bits),
  };
}
