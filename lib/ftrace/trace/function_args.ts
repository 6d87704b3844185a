/**
 * Arguments of functions as the options `func-args` and `funcgraph-args` print them.
 *
 * The kernel knows parameters from its BTF; a guest has none, so they come from prototypes that
 * people give. Where there is no prototype both print empty parentheses
 * (`kernel/trace/trace_output.c print_function_args`). No kernel function takes a float; one of a
 * guest's does, and prints as a number.
 *
 * @module
 */

import type { Hart } from "../../hart/hart.ts";
import type { FtraceRegs } from "../../trampoline/ftrace_regs.ts";
import { partWord, valueBytes, type ValueSource } from "../prototypes/call_values.ts";
import type { CallPlaces, ValuePart, ValuePlace } from "../prototypes/calling_convention.ts";
import type { CType } from "../prototypes/ctype.ts";
import type { Prototype } from "../prototypes/header.ts";
import { bytesText } from "../prototypes/value_text.ts";

/** A parameter, and where its argument is. */
export interface FunctionArgument {
  /** Name of the parameter; empty if the prototype has none. */
  readonly name: string;
  /** Type of the parameter. */
  readonly type: CType;
  /** Where the argument is at the function's entry. */
  readonly place: ValuePlace;
}

/** Parameters by function. */
export type FunctionArguments = ReadonlyMap<string, readonly FunctionArgument[]>;

/** Most registers that the kernel prints (`FTRACE_REGS_MAX_ARGS`, which RISC-V leaves as it is). */
const REGISTERS = 6;

/** The parameters that a C prototype declares, which are at `places`. */
export function functionArguments(
  { parameters }: Prototype,
  places: CallPlaces,
): readonly FunctionArgument[] {
  return parameters.map(({ name, type }, n) => ({ name, type, place: places.parameters[n]! }));
}

/**
 * What stands between the parentheses, for a call of `hart` whose registers are saved. `spells` says
 * whether names of enum values are printed (Linux 7).
 */
export function functionArgumentsText(
  parameters: readonly FunctionArgument[] | undefined,
  fregs: FtraceRegs,
  hart: Hart,
  spells: boolean,
): string {
  const texts: string[] = [];
  const source = { fregs, hart };
  for (const { name, type, place } of parameters ?? []) {
    if (place.parts[0] && isBeyond(place.parts[0])) {
      texts.push("...");
      break;
    }
    const text = argumentText(type, place, source, spells);
    texts.push(name === "" ? text : `${name}=${text}`);
  }
  return texts.join(", ");
}

/** Whether the kernel prints no argument that is there. */
function isBeyond({ in: where, at }: ValuePart): boolean {
  return where === "stack" || (where === "integer" && at >= REGISTERS);
}

function argumentText(
  type: CType,
  place: ValuePlace,
  source: ValueSource,
  spells: boolean,
): string {
  const [first] = place.parts;
  if (!first) return "{}";
  if (place.byReference) return hexText(partWord(first, source));
  switch (type.kind) {
    case "integer":
      if (type.bytes > 8 || type.signed) return wholeText(type, place, source);
      break;
    case "float":
    case "complex":
      return wholeText(type, place, source);
    case "enum": {
      const word = partWord(first, source);
      const number = BigInt.asIntN(64, word).toString();
      const { bytes, signed, names } = type;
      const value = signed ? BigInt.asIntN(8 * bytes, word) : BigInt.asUintN(8 * bytes, word);
      const name = spells ? names.get(value) : undefined;
      return name === undefined ? number : `${number} [${name}]`;
    }
    case "struct":
    case "union":
      return `(${type.kind.toUpperCase()})[${wordsText(place.parts, source)}]`;
  }
  return hexText(partWord(first, source));
}

/** A number that the kernel prints in decimal, a register as a whole, or has no form for. */
function wholeText(type: CType, place: ValuePlace, source: ValueSource): string {
  if (type.kind === "integer" && type.bytes <= 8) {
    return BigInt.asIntN(64, partWord(place.parts[0]!, source)).toString();
  }
  const bytes = valueBytes(type, place, source);
  return bytes ? bytesText(type, bytes, NO_STRINGS) : "?";
}

/** The registers of a structure with colons between them, as far as the kernel prints any. */
function wordsText(parts: readonly ValuePart[], source: ValueSource): string {
  const texts: string[] = [];
  for (const part of parts) {
    if (isBeyond(part)) {
      texts.push("...");
      break;
    }
    texts.push(hexText(partWord(part, source)));
  }
  return texts.join(":");
}

/** What of a guest a number needs: nothing. */
const NO_STRINGS = { guest: { readString: () => undefined }, symbol: () => undefined };

function hexText(value: bigint): string {
  return `0x${BigInt.asUintN(64, value).toString(16)}`;
}
