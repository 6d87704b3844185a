/**
 * The class of a float as recorded code: one of ten bits, read off the number's own.
 *
 * @module
 */
import type { Format } from "../../isa/sem.ts";
import { I32, I64, type PlainName } from "../../wasm/code.ts";
import type { Value } from "./plan.ts";
import type { Scribe } from "./scribe.ts";

/** Bits of a format: all of them, and those of the fraction. */
const SHAPES: Readonly<Record<Format, readonly [width: number, fraction: number]>> = {
  h: [16, 10],
  s: [32, 23],
  d: [64, 52],
};
/** Number of the class of signalling NaNs; quiet ones come behind. */
const SIGNALLING = 8;
/** Classes from 0 to this one are numbers: the positive ones mirror the negative ones. */
const LAST_NUMBER = 7;

/** What fclass gives, i64, of the bits of a number: i64 in double precision, otherwise i32. */
export function classOf(format: Format, bits: Value, scribe: Scribe): Value {
  const [width, fraction] = SHAPES[format];
  const [type, prefix] = width === 64 ? [I64, "i64"] as const : [I32, "i32"] as const;
  const constant = (value: bigint): Value =>
    width === 64 ? scribe.long(value) : scribe.word(Number(BigInt.asIntN(32, value)));
  const sign = 1n << BigInt(width - 1);
  const kept = scribe.keep(bits);
  const size = scribe.keep(scribe.op(type, [kept, constant(sign - 1n)], `${prefix}.and`));
  const at = (name: string, limit: bigint): Value =>
    scribe.op(I32, [size, constant(limit)], `${prefix}.${name}` as PlainName);
  const add = (a: Value, b: Value): Value => scribe.op(I32, [a, b], "i32.add");
  const infinity = sign - (1n << BigInt(fraction));
  // −∞, negative normals, negative subnormals, −0: one more each.
  const steps = scribe.keep(
    add(at("lt_u", infinity), add(at("lt_u", 1n << BigInt(fraction)), at("eq", 0n))),
  );
  const negative = scribe.op(
    I32,
    [scribe.op(type, [kept, constant(sign)], `${prefix}.and`), constant(0n)],
    `${prefix}.ne`,
  );
  const positive = scribe.op(I32, [scribe.word(LAST_NUMBER), steps], "i32.sub");
  const number = scribe.op(I32, [steps, positive, negative], "select");
  const quiet = at("ge_u", infinity | 1n << BigInt(fraction - 1));
  const none = add(quiet, scribe.word(SIGNALLING));
  const place = scribe.op(I32, [none, number, at("gt_u", infinity)], "select");
  const one = scribe.op(I32, [scribe.word(1), place], "i32.shl");
  return scribe.op(I64, [one], "i64.extend_i32_u");
}
