/**
 * What the parts of a region's function share: parameters, locals, and how a region is left.
 *
 * A region is a function of (what is left to execute, how deep calls may still nest) and gives (the
 * pc where it was left, what is left then). Registers are in the hart's state whenever it is called
 * or left, and in locals in between.
 *
 * @module
 */
import { F, X } from "../../hart/state.ts";
import { F_NAMES, X_NAMES } from "../../isa/names.ts";
import { type Code, F64, I32, I64, type ValueType } from "../../wasm/code.ts";
import type { Module } from "../../wasm/module.ts";
import type { CompiledLocal } from "../compiled_code.ts";
import { HOST, SCRATCH } from "../plan/plan.ts";
import type { RegisterSet } from "./liveness.ts";

/** Numbers of a region's parameters and own locals; recorded code's scratch locals come behind. */
export const RegionLocal = {
  /** Parameter: instructions that may still be executed, without those pending in the block. */
  left: 0,
  /** Parameter: calls that may still nest. */
  depth: 1,
  /** Where the region is left in the middle of a block. */
  exitPc: 2,
  /** Instructions that were executed up to there and not taken from what is left. */
  spent: 3,
  /** Where a jump goes whose target is not known. */
  target: 4,
  /** Host address of the micro-op there. */
  microOp: 5,
  /** Any other 32 bits. */
  word: 6,
  /** Any other 64 bits. */
  long: 7,
} as const;

/** Those behind the parameters; two are unused, as scratch locals begin where recorded code has them. */
const OWN_LOCALS: readonly ValueType[] = [I64, I32, I64, I32, I32, I64, I32, I32];

/** Declares the type of regions in a module. */
export function regionType(module: Module): number {
  return module.type([I32, I32], [I64, I32]);
}

/** The locals of one region: fixed ones, and those of registers as they are first used. */
export class RegionFrame {
  readonly locals: ValueType[];
  readonly #x: number[] = [];
  readonly #halves: number[] = [];
  readonly #f: number[] = [];
  readonly #addends: number[] = [];

  /** Adds to `locals`, which are those of the function. */
  constructor(locals: ValueType[]) {
    this.locals = locals;
    locals.push(...OWN_LOCALS, ...SCRATCH);
  }

  /** The local of an integer register. */
  x(register: number): number {
    return this.#x[register] ??= this.#add(I64);
  }

  /** The local of the low half of an integer register, where it is kept as that (`narrow.ts`). */
  half(register: number): number {
    return this.#halves[register] ??= this.#add(I32);
  }

  /** The local of a float register. */
  f(register: number): number {
    return this.#f[register] ??= this.#add(F64);
  }

  /** The local with what is added to an address in the area of an origin (`access_facts.ts`). */
  addend(origin: number): number {
    return this.#addends[origin] ??= this.#add(I32);
  }

  /** Parameters and locals, for whoever reads the code. */
  described(): CompiledLocal[] {
    const names = new Map<number, string>();
    for (const [name, local] of Object.entries(RegionLocal)) names.set(local, name);
    this.#x.forEach((local, register) => names.set(local, X_NAMES[register]!));
    this.#halves.forEach((local, register) => names.set(local, `${X_NAMES[register]!}.low`));
    this.#f.forEach((local, register) => names.set(local, F_NAMES[register]!));
    this.#addends.forEach((local, origin) =>
      names.set(local, `${X_NAMES[origin >> 1]!}.${origin % 2 ? "write" : "read"}.addend`)
    );
    const types: readonly ValueType[] = [I32, I32, ...this.locals];
    return types.map((type, local) => ({ name: names.get(local) ?? `v${local}`, type }));
  }

  /** Parameters come before locals. */
  #add(type: ValueType): number {
    return this.locals.push(type) - 1 + 2;
  }

  /** Loads registers from the hart's state. */
  load(code: Code, { x, f }: RegisterSet): void {
    for (let r = 1; r < 32; r++) {
      if ((x >>> r) & 1) code.i32(0).access("i64.load", HOST, X + r * 8).set(this.x(r));
    }
    for (let r = 0; r < 32; r++) {
      if ((f >>> r) & 1) code.i32(0).access("f64.load", HOST, F + r * 8).set(this.f(r));
    }
  }

  /** Pushes an integer register other than x0, i64, where those in `halves` are kept as halves. */
  push(code: Code, register: number, halves: number): void {
    if ((halves >>> register) & 1) code.get(this.half(register)).op("i64.extend_i32_s");
    else code.get(this.x(register));
  }

  /** Extends registers that are kept as halves. */
  widen(code: Code, registers: number): void {
    for (let r = 1; r < 32; r++) {
      if ((registers >>> r) & 1) {
        this.push(code, r, registers);
        code.set(this.x(r));
      }
    }
  }

  /** Stores registers to the hart's state; those in `halves` are kept as halves. */
  store(code: Code, { x, f }: RegisterSet, halves: number): void {
    for (let r = 1; r < 32; r++) {
      if (((x >>> r) & 1) === 0) continue;
      code.i32(0);
      this.push(code, r, halves);
      code.access("i64.store", HOST, X + r * 8);
    }
    for (let r = 0; r < 32; r++) {
      if ((f >>> r) & 1) code.i32(0).get(this.f(r)).access("f64.store", HOST, F + r * 8);
    }
  }
}

/** Leaves the region at `pc`, where `pending` instructions are not yet taken from what is left. */
export function leaveAt(code: Code, pc: number, pending: number): void {
  code.i64(BigInt(pc));
  leaveWithTarget(code, pending);
}

/** Leaves the region at the pc on the stack. */
export function leaveWithTarget(code: Code, pending: number): void {
  pushLeft(code, pending);
  code.op("return");
}

/** Pushes what is left once `pending` instructions are taken from it. */
export function pushLeft(code: Code, pending: number): void {
  code.get(RegionLocal.left);
  if (pending !== 0) code.i32(pending).op("i32.sub");
}

/** Takes `pending` instructions from what is left. */
export function spend(code: Code, pending: number): void {
  if (pending === 0) return;
  pushLeft(code, pending);
  code.set(RegionLocal.left);
}
