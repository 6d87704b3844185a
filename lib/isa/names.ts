/**
 * Names of registers, of rounding modes and of fence operands, as the assembler and objdump spell
 * them.
 *
 * @module
 */

/** ABI names of x0 to x31. */
export const X_NAMES: readonly string[] = [
  ...["zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2"],
  ...["s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5"],
  ...["a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7"],
  ...["s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"],
];

/** ABI names of f0 to f31. */
export const F_NAMES: readonly string[] = [
  ...["ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7"],
  ...["fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4", "fa5"],
  ...["fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7"],
  ...["fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11"],
];

const X_NUMBERS = numbersOf(X_NAMES, "x");
X_NUMBERS.set("fp", 8);
const F_NUMBERS = numbersOf(F_NAMES, "f");

function numbersOf(names: readonly string[], letter: string): Map<string, number> {
  return new Map(names.flatMap((name, number) => [[name, number], [letter + number, number]]));
}

/** Number of the integer register called so, by its ABI name or as x0 to x31. */
export function xNumber(name: string): number | undefined {
  return X_NUMBERS.get(name);
}

/** Number of the float register called so, by its ABI name or as f0 to f31. */
export function fNumber(name: string): number | undefined {
  return F_NUMBERS.get(name);
}
