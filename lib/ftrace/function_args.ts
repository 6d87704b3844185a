/**
 * Arguments of functions as the options `func-args` and `funcgraph-args` print them.
 *
 * The kernel knows parameters from its BTF; a guest has none, so they come from prototypes that
 * people give. Where there is no prototype both print empty parentheses
 * (`kernel/trace/trace_output.c print_function_args`).
 *
 * @module
 */

/** How the kernel prints a register by its parameter's type. */
export interface FunctionArgument {
  /** Name of the parameter; empty if the prototype has none. */
  readonly name: string;
  /** Signed integers print in decimal, whatever else is known in hexadecimal. */
  readonly form: "signed" | "unsigned" | "enum";
  /** Names of an enum's values. */
  readonly names?: ReadonlyMap<bigint, string>;
}

/** Parameters by function. */
export type FunctionArguments = ReadonlyMap<string, readonly FunctionArgument[]>;

/** Most registers that the kernel prints (`FTRACE_REGS_MAX_ARGS`, which RISC-V leaves as it is). */
const REGISTERS = 6;

/**
 * What stands between the parentheses; `register` gives the nth argument register, unsigned.
 * `names` says whether names of enum values are printed (Linux 7).
 */
export function functionArgumentsText(
  parameters: readonly FunctionArgument[] | undefined,
  register: (n: number) => bigint,
  names: boolean,
): string {
  const texts = (parameters ?? []).slice(0, REGISTERS).map((parameter, n) => {
    const text = argumentText(parameter, BigInt.asUintN(64, register(n)), names);
    return parameter.name === "" ? text : `${parameter.name}=${text}`;
  });
  if ((parameters?.length ?? 0) > REGISTERS) texts.push("...");
  return texts.join(", ");
}

function argumentText({ form, names }: FunctionArgument, value: bigint, spell: boolean): string {
  if (form === "unsigned") return `0x${value.toString(16)}`;
  const number = BigInt.asIntN(64, value).toString();
  const name = spell ? names?.get(BigInt.asIntN(32, value)) : undefined;
  return name === undefined ? number : `${number} [${name}]`;
}
