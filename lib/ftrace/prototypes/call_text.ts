/**
 * What prototypes make of a call: `int add(int a, int b)` turns a0 and a1 into `a=2, b=3`.
 *
 * What values are is `call_values.ts`.
 *
 * @module
 */
import type { FtraceRegs } from "../../trampoline/ftrace_regs.ts";
import type { Ftrace } from "../ftrace.ts";
import { callPlaces, memoryBytes, partWord, valueBytes, type ValueSource } from "./call_values.ts";
import type { ValuePlace } from "./calling_convention.ts";
import { type CType, sizeOf } from "./ctype.ts";
import type { Prototype } from "./header.ts";
import { bytesText, type ValueContext } from "./value_text.ts";

function placedText(
  type: CType,
  place: ValuePlace,
  source: ValueSource,
  context: ValueContext,
): string {
  const bytes = valueBytes(type, place, source);
  if (bytes) return bytesText(type, bytes, context);
  return `0x${partWord(place.parts[0]!, source).toString(16)}`;
}

/** The arguments of a call at its entry: `a=2, text="two"`. */
export function argumentsText(prototype: Prototype, fregs: FtraceRegs, ftrace: Ftrace): string {
  const { parameters, variadic } = prototype;
  const places = callPlaces(prototype, ftrace.machine.elf.bytes);
  const source = { fregs, hart: ftrace.guest.currentHart };
  const texts = parameters.map(({ name, type }, n) => {
    const text = placedText(type, places.parameters[n]!, source, ftrace);
    return `${name}${name ? "=" : ""}${text}`;
  });
  return [...texts, ...variadic ? ["..."] : []].join(", ");
}

/**
 * The address at which a function stores what it returns, at its entry; undefined if it returns in
 * registers. A function need not leave it in a0, so that who shows the result keeps it.
 */
export function resultAddress(
  prototype: Prototype,
  fregs: FtraceRegs,
  ftrace: Ftrace,
): bigint | undefined {
  const { resultAddress } = callPlaces(prototype, ftrace.machine.elf.bytes);
  return resultAddress && fregs.argument(0);
}

/**
 * What a function returns, at its exit; undefined for void.
 *
 * @param address Where it is stored, as {@linkcode resultAddress} said at the entry; a0 without it.
 */
export function returnText(
  prototype: Prototype,
  fregs: FtraceRegs,
  ftrace: Ftrace,
  address: bigint = fregs.returnValue,
): string | undefined {
  const { returns } = prototype;
  if (returns.kind === "void") return undefined;
  const { result } = callPlaces(prototype, ftrace.machine.elf.bytes);
  const hart = ftrace.guest.currentHart;
  if (result.byReference) {
    const bytes = memoryBytes(sizeOf(returns) ?? 0, address, hart);
    return bytes ? bytesText(returns, bytes, ftrace) : `0x${address.toString(16)}`;
  }
  const argument = (n: number) => n === 0 ? fregs.returnValue : fregs.returnValueHigh;
  const source = { fregs: { argument, kernelStackNth: () => 0n }, hart };
  return placedText(returns, result, source, ftrace);
}
