/**
 * A small guest for engine tests: code, data and tracing pages, one hart and one engine; and its
 * whole state as a value, to compare engines by.
 *
 * @module
 */
import type { Engine, Stop } from "../../lib/engine/engine.ts";
import type { EngineMaker } from "../../lib/engine/engines.ts";
import { Hart } from "../../lib/hart/hart.ts";
import { Mstatus } from "../../lib/hart/privilege.ts";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../../lib/memory/page.ts";
import { Memory } from "../../lib/memory/memory.ts";

/** Two pages of code, which the guest may also write. Nothing is mapped around them. */
export const CODE = 0x10000;
/** Two pages that the guest may read and write. */
export const DATA = 0x20000;
/** One page behind the data that it may only read. */
export const CONSTANTS = 0x22000;
/** Where nothing is mapped. */
export const NOTHING = 0x30000;
/** One page of the tracing range. */
export const TRACING = 0x7ff00000;

const REGIONS = [
  { start: CODE, pages: 2, permissions: READ | WRITE | EXECUTE },
  { start: DATA, pages: 2, permissions: READ | WRITE },
  { start: CONSTANTS, pages: 1, permissions: READ },
  { start: TRACING, pages: 1, permissions: READ | EXECUTE },
];

const X_NAMES = [
  ..."zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 t3 t4 t5 t6"
    .split(" "),
];
const F_NAMES = [
  ..."ft0 ft1 ft2 ft3 ft4 ft5 ft6 ft7 fs0 fs1 fa0 fa1 fa2 fa3 fa4 fa5 fa6 fa7 fs2 fs3 fs4 fs5 fs6 fs7 fs8 fs9 fs10 fs11 ft8 ft9 ft10 ft11"
    .split(" "),
];
const MACHINE_CSRS = [0x300, 0x305, 0x340, 0x341, 0x342, 0x343];

/** A hart and what it runs on. */
export interface Guest {
  readonly memory: Memory;
  readonly hart: Hart;
  readonly engine: Engine;
}

/**
 * Makes a guest with nothing in its memory yet. One that is `"translated"` is in user mode, too, but
 * with privileged modes above it: every address goes the way that page tables and PMP need, though
 * there is no page table, and all must be as without them.
 */
export function createGuest(make: EngineMaker, mode: "U" | "M" | "translated" = "U"): Guest {
  const memory = new Memory();
  memory.placeTracing(TRACING, TRACING + 0x100000);
  const hart = new Hart(0, memory, mode === "U" ? "U" : "M");
  // A user's program has the float registers.
  if (hart.system) hart.system.mstatus |= Mstatus.FS;
  if (mode === "translated") {
    const system = hart.system!;
    system.pmp.writeAddress(0, -1n);
    system.pmp.writeConfig(0, 0x1fn);
    // Its user may do all that a user's program does.
    system.mcounteren = system.scounteren = 7n;
    system.menvcfg = system.senvcfg = -1n;
    hart.mode = "U";
  }
  hart.system?.changed();
  return { memory, hart, engine: make(memory) };
}

/** Makes memory and registers as they are before a program, and the hart forget what it fetched. */
export function resetGuest({ memory, hart }: Guest): void {
  for (const { start, pages, permissions } of REGIONS) {
    memory.map(start, pages * PAGE_SIZE, permissions);
  }
  hart.fetched.drop();
  hart.system?.translation.tlb.flush();
  hart.x.fill(0n);
  hart.f.fill(0n);
  hart.fcsr = 0;
  hart.pc = BigInt(CODE);
  hart.instret = 0n;
  hart.overhead = 0n;
  hart.reservation = { address: -1n, value: 0n };
}

/** Sets registers by name: `a0`, `fa0`. */
export function setRegisters({ hart }: Guest, values: Readonly<Record<string, bigint>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (X_NAMES.includes(name)) hart.x[X_NAMES.indexOf(name)] = value;
    else if (F_NAMES.includes(name)) hart.f[F_NAMES.indexOf(name)] = value;
    else throw new TypeError(`Cannot set ${name}: not a register`);
  }
}

/** All that a program can have changed, by name. */
export type State = ReadonlyMap<string, string>;

/** How a stop is written in a {@linkcode State}: `trap 5 0x30000`, `limit`, `stopped`. */
export function describeStop(stop: Stop | undefined): string {
  if (stop === undefined) return "retired";
  if (stop.kind !== "trap") return stop.kind;
  const { cause, value, pc } = stop.trap;
  return `trap ${cause} value 0x${value.toString(16)} at 0x${pc.toString(16)}`;
}

/** The state of a guest that stopped so: registers, counters, and memory by 16 bytes. */
export function stateOf({ memory, hart }: Guest, stop?: Stop): State {
  const hex = (value: bigint): string => `0x${BigInt.asUintN(64, value).toString(16)}`;
  const state = new Map<string, string>([
    ["stop", describeStop(stop)],
    ["pc", hex(hart.pc)],
    ["fcsr", hex(BigInt(hart.fcsr))],
    ["instret", String(hart.instret)],
    ["overhead", String(hart.overhead)],
    ["reserved", `${hex(hart.reservation.address)} ${hex(hart.reservation.value)}`],
  ]);
  X_NAMES.forEach((name, k) => state.set(name, hex(hart.x[k]!)));
  F_NAMES.forEach((name, k) => state.set(name, hex(hart.f[k]!)));
  if (hart.mode === "M") {
    for (const number of MACHINE_CSRS) state.set(`csr ${number}`, hex(hart.csrs.read(number)!));
  }
  for (const { start, pages } of REGIONS) {
    for (let at = start; at < start + pages * PAGE_SIZE; at += 16) {
      const [low, high] = [0, 8].map((offset) => memory.view.getBigUint64(at + offset, true));
      if (low || high) state.set(`memory 0x${at.toString(16)}`, `${hex(high!)} ${hex(low!)}`);
    }
  }
  return state;
}

/** What differs between two states, a line each. */
export function differences(actual: State, expected: State): string[] {
  const lines: string[] = [];
  for (const name of new Set([...actual.keys(), ...expected.keys()])) {
    const [mine, theirs] = [actual.get(name) ?? "0", expected.get(name) ?? "0"];
    if (mine !== theirs) lines.push(`${name}: ${mine}, expected ${theirs}`);
  }
  return lines;
}
