/**
 * Registers that a trampoline overwrites before it goes on, to see who still needs them.
 *
 * A trampoline saves only what is live at a function's entry. Poisoning a dead register on the way
 * out changes nothing in any program; poisoning a live one breaks it, which proves the table
 * {@linkcode ENTRY_REGISTERS} by running it. t0 leads back to the function, so while it is poisoned
 * t1, which is dead, does that.
 *
 * The trampolines are `caller.ts`; the fast path that does the same is `lib/ftrace/ops/call_paths.ts`.
 *
 * @module
 */
import { SP, T0, T1 } from "../isa/abi.ts";
import { fNumber, xNumber } from "../isa/names.ts";

/** The registers that a trampoline is to overwrite, by number. */
export interface Poison {
  /** Integer registers, without x0. */
  readonly x: readonly number[];
  /** Float registers. */
  readonly f: readonly number[];
}

/**
 * A row of the live-register table: what registers hold at a function's entry, and who needs it.
 */
export interface EntryRegister {
  /** ABI names of the registers. */
  readonly names: readonly string[];
  /** Whether the function, or its caller afterwards, needs them; `chain` if only nested functions do. */
  readonly live: boolean | "chain" | "floats";
  /** What the registers hold at the entry, for the table that is printed. */
  readonly role: string;
}

const numbered = (letter: string, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, k) => `${letter}${from + k}`);

/** The live-register table: what a trampoline must keep (RISC-V calling convention). */
export const ENTRY_REGISTERS: readonly EntryRegister[] = [
  { names: ["ra"], live: true, role: "where the function returns to" },
  { names: ["sp"], live: true, role: "the stack" },
  { names: ["gp"], live: true, role: "the program's small data, never changed" },
  { names: ["tp"], live: true, role: "the thread's data, never changed" },
  { names: ["t0"], live: false, role: "link of the site's call, up to the trampoline's way back" },
  { names: ["t1"], live: false, role: "a direct call's target, inside the trampoline" },
  { names: ["t2"], live: "chain", role: "static chain of a nested function" },
  { names: numbered("t", 3, 6), live: false, role: "nothing" },
  { names: ["s0"], live: true, role: "the caller's, often its frame pointer" },
  { names: numbered("s", 1, 11), live: true, role: "the caller's" },
  { names: numbered("a", 0, 7), live: true, role: "arguments" },
  { names: numbered("fa", 0, 7), live: "floats", role: "float arguments, which a kernel has not" },
];

/** Reads names such as `t2` and `fa0`. @throws {RangeError} If one is no register, or x0. */
export function parsePoison(names: readonly string[]): Poison {
  const x: number[] = [], f: number[] = [];
  for (const name of names) {
    const integer = xNumber(name), float = fNumber(name);
    if (integer) x.push(integer);
    else if (float !== undefined) f.push(float);
    else throw new RangeError(`Cannot poison ${name}: it is no register that can be written`);
  }
  return { x, f };
}

/** What a poisoned integer register holds, as `lui` takes it: no address of the guest's. */
const upperOf = (register: number) => 0xdea00 + register;

/** The instructions that take the place of a trampoline's `jr t0`. */
export function poisonedExit({ x, f }: Poison): readonly string[] {
  // Float registers get sp, so they come before sp is gone; t0 is copied before it is.
  const leadsBack = x.includes(T0) ? "t1" : "t0";
  return [
    ...f.map((register) => `fmv.d.x f${register}, sp`),
    ...x.filter((register) => register !== T0 && !(register === T1 && leadsBack === "t1"))
      .map((register) => `lui x${register}, ${upperOf(register)}`),
    ...(leadsBack === "t1" ? ["mv t1, t0", `lui t0, ${upperOf(T0)}`] : []),
    `jr ${leadsBack}`,
  ];
}

/** Does to a hart's registers what {@linkcode poisonedExit} does, but for the jump. */
export function applyPoison(
  { x: poisoned, f: floats }: Poison,
  x: BigInt64Array,
  f: BigUint64Array | BigInt64Array,
): void {
  for (const register of floats) f[register] = x[SP]!;
  const back = x[T0]!;
  for (const register of poisoned) {
    x[register] = BigInt.asIntN(32, BigInt(upperOf(register)) << 12n);
  }
  if (poisoned.includes(T0)) x[T1] = back;
}
