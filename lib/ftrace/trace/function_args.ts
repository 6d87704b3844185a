/**
 * Arguments of functions as the options `func-args` and `funcgraph-args` print them.
 *
 * The kernel knows parameters from its BTF; a guest has none, so they come from prototypes that
 * people give. Where there is no prototype both print empty parentheses
 * (`kernel/trace/trace_output.c print_function_args`).
 *
 * @module
 */

import type { CType, Prototype } from "../prototype.ts";

/** How the kernel prints a register by its parameter's type. */
export interface FunctionArgument {
  /** Name of the parameter; empty if the prototype has none. */
  readonly name: string;
  /**
   * Signed integers print in decimal, other integers and pointers in hexadecimal. A floating-point
   * parameter is in no register that a traced call saves; the kernel has none.
   */
  readonly form: "signed" | "unsigned" | "enum" | "float";
  /** Names of an enum's values. */
  readonly names?: ReadonlyMap<bigint, string>;
}

/** Parameters by function. */
export type FunctionArguments = ReadonlyMap<string, readonly FunctionArgument[]>;

/** Most registers that the kernel prints (`FTRACE_REGS_MAX_ARGS`, which RISC-V leaves as it is). */
const REGISTERS = 6;

/** The parameters that a C prototype declares. */
export function functionArguments({ parameters }: Prototype): readonly FunctionArgument[] {
  return parameters.map(({ name, type }) => ({ name, ...formOf(type) }));
}

function formOf(type: CType): Pick<FunctionArgument, "form" | "names"> {
  switch (type.kind) {
    case "integer":
      return { form: type.signed ? "signed" : "unsigned" };
    case "enum":
      return { form: "enum", names: type.names };
    case "float":
      return { form: "float" };
    default:
      return { form: "unsigned" };
  }
}

/**
 * What stands between the parentheses; `register` gives the nth argument register, unsigned.
 * `spells` says whether names of enum values are printed (Linux 7).
 */
export function functionArgumentsText(
  parameters: readonly FunctionArgument[] | undefined,
  register: (n: number) => bigint,
  spells: boolean,
): string {
  const texts: string[] = [];
  let n = 0;
  for (const parameter of parameters ?? []) {
    if (n === REGISTERS) {
      texts.push("...");
      break;
    }
    const text = parameter.form === "float"
      ? "?"
      : argumentText(parameter, BigInt.asUintN(64, register(n++)), spells);
    texts.push(parameter.name === "" ? text : `${parameter.name}=${text}`);
  }
  return texts.join(", ");
}

function argumentText({ form, names }: FunctionArgument, value: bigint, spells: boolean): string {
  if (form === "unsigned") return `0x${value.toString(16)}`;
  const number = BigInt.asIntN(64, value).toString();
  const name = spells ? names?.get(BigInt.asIntN(32, value)) : undefined;
  return name === undefined ? number : `${number} [${name}]`;
}
