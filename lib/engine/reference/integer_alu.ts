/**
 * Integer arithmetic of the reference, at 32 and 64 bits, on signed bigints.
 *
 * @module
 */
import type { Alu } from "../../isa/sem.ts";

/** Wraps to 64 bits, signed. */
export const wrap64 = (value: bigint): bigint => BigInt.asIntN(64, value);
/** Wraps to 32 bits, signed. */
export const wrap32 = (value: bigint): bigint => BigInt.asIntN(32, value);
/** The low 64 bits, unsigned. */
export const unsigned64 = (value: bigint): bigint => BigInt.asUintN(64, value);
/** The low 32 bits, unsigned. */
export const unsigned32 = (value: bigint): bigint => BigInt.asUintN(32, value);
/** 1 if a condition holds, else 0. */
export const flag = (condition: boolean): bigint => condition ? 1n : 0n;

/** Arithmetic at one width, whose wrapping is given: V8 has fast code for constant widths only. */
function aluOf(
  wrap: (value: bigint) => bigint,
  unsigned: (value: bigint) => bigint,
  lastBit: bigint,
): Alu<bigint> {
  const width = Number(lastBit) + 1;
  const rotate = (value: bigint, left: bigint): bigint =>
    wrap((unsigned(value) << left) | (unsigned(value) >> (lastBit + 1n - left)));
  const digits = (value: bigint): string => unsigned(value).toString(2).padStart(width, "0");
  return {
    add: (a, b) => wrap(a + b),
    sub: (a, b) => wrap(a - b),
    mul: (a, b) => wrap(a * b),
    and: (a, b) => a & b,
    or: (a, b) => a | b,
    xor: (a, b) => a ^ b,
    shl: (a, b) => wrap(a << (b & lastBit)),
    shr: (a, b) => wrap(unsigned(a) >> (b & lastBit)),
    sar: (a, b) => a >> (b & lastBit),
    rotl: (a, b) => rotate(a, b & lastBit),
    rotr: (a, b) => rotate(a, (lastBit + 1n - (b & lastBit)) & lastBit),
    clz: (a) => BigInt((digits(a) + "1").indexOf("1")),
    ctz: (a) => BigInt(a === 0n ? width : width - 1 - digits(a).lastIndexOf("1")),
    cpop: (a) => BigInt(digits(a).replaceAll("0", "").length),
    div: (a, b) => b === 0n ? -1n : wrap(a / b),
    divu: (a, b) => b === 0n ? -1n : wrap(unsigned(a) / unsigned(b)),
    rem: (a, b) => b === 0n ? a : wrap(a % b),
    remu: (a, b) => b === 0n ? a : wrap(unsigned(a) % unsigned(b)),
    eq: (a, b) => flag(a === b),
    ne: (a, b) => flag(a !== b),
    lt: (a, b) => flag(a < b),
    ge: (a, b) => flag(a >= b),
    ltu: (a, b) => flag(unsigned(a) < unsigned(b)),
    geu: (a, b) => flag(unsigned(a) >= unsigned(b)),
  };
}

/** 64-bit arithmetic. */
export const ALU64: Alu<bigint> = aluOf(wrap64, unsigned64, 63n);
/** 32-bit arithmetic. */
export const ALU32: Alu<bigint> = aluOf(wrap32, unsigned32, 31n);
