/**
 * The relaxed multiply-add as recorded code, and whether this host's rounds once.
 *
 * WASM leaves it open; a host with fused multiply-add instructions uses them. It is asked once, by
 * computing something that two roundings get wrong.
 *
 * @module
 */
import { F64, type PlainName } from "../../wasm/code.ts";
import { Module } from "../../wasm/module.ts";
import type { Value } from "./plan.ts";
import type { Scribe } from "./scribe.ts";

let answer: boolean | undefined;

/** Whether `f64x2.relaxed_madd` and `f32x4.relaxed_madd` are fused here. */
export function hostFusesMultiplyAdd(): boolean {
  return answer ??= ask();
}

function ask(): boolean {
  const module = new Module();
  const { code } = module.function(module.type([F64, F64, F64], [F64]), [], "madd");
  code.get(0).op("f64x2.splat").get(1).op("f64x2.splat").get(2).op("f64x2.splat");
  code.op("f64x2.relaxed_madd").lane("f64x2.extract_lane");
  try {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module.encode()));
    const madd = exports["madd"] as (a: number, b: number, c: number) => number;
    // (1 + 2⁻³⁰)² = 1 + 2⁻²⁹ + 2⁻⁶⁰, whose last term the rounded product has lost.
    return madd(1 + 2 ** -30, 1 + 2 ** -30, -(1 + 2 ** -29)) === 2 ** -60;
  } catch {
    return false;
  }
}

/** a × b + c of three values of one type, f32 or f64. */
export function relaxedMadd(scribe: Scribe, a: Value, b: Value, c: Value): Value {
  const { type } = a;
  const isDouble = type === F64;
  const splat: PlainName = isDouble ? "f64x2.splat" : "f32x4.splat";
  const lanes = [a, b, c].flatMap((operand) => scribe.op(type, [operand], splat).pieces);
  const madd: PlainName = isDouble ? "f64x2.relaxed_madd" : "f32x4.relaxed_madd";
  const lane = isDouble ? "f64x2.extract_lane" : "f32x4.extract_lane";
  const code = scribe.code(type, (out) => out.op(madd).lane(lane));
  return { type, pieces: [...lanes, ...code.pieces] };
}
