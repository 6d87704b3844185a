/**
 * Random programs on an engine, stopped again and again, with the whole state of each stop: what the
 * JIT gives at any threshold has to be what the reference gives.
 *
 * The programs are `cfg_program.ts`.
 *
 * @module
 */
import type { Engine, EngineOptions } from "../../lib/engine/engine.ts";
import { Hart } from "../../lib/hart/hart.ts";
import { Mstatus } from "../../lib/hart/privilege.ts";
import { REGION_INSTRET } from "../../lib/hart/state.ts";
import { F_NAMES, X_NAMES } from "../../lib/isa/names.ts";
import { Memory } from "../../lib/memory/memory.ts";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../../lib/memory/page.ts";
import {
  CFG_CODE,
  CFG_CODE_PAGES,
  CFG_CONSTANTS,
  CFG_STACK,
  CFG_STACK_SIZE,
  type CfgProgram,
} from "./cfg_program.ts";
import { describeStop } from "./guest.ts";
import { ALIAS, PageTables } from "./jit_paged.ts";
import { createRandom, type Random } from "./random.ts";

const STACK_PAGES = CFG_STACK_SIZE / PAGE_SIZE;
/** Traps that end a program: where nothing can be fetched, and ebreak. */
const ENDS: readonly number[] = [1, 3, 12];

/** Pages of the program's own memory. */
export interface Mapped {
  readonly start: number;
  readonly pages: number;
  readonly permissions: number;
}

/** How a program is run. */
export interface RunPlan {
  readonly program: CfgProgram;
  /** What is mapped besides code, stack and constants. */
  readonly mapped: readonly Mapped[];
  /** Whether it may write its own text: a stray store is then seen by who fetches ahead. */
  readonly writesText: boolean;
  readonly seed: number;
  /** `S` and `paged U` are behind page tables. */
  readonly mode: "U" | "M" | "S" | "paged U";
  /** Whether misaligned accesses trap. */
  readonly aligned: boolean;
  /** Lengths of slices to pick from. */
  readonly slices: readonly number[];
  /** Instructions after which it is given up. */
  readonly most: number;
  /** Done to the guest between slices, as the seed says. */
  readonly meddle?: (guest: RunningGuest, random: Random) => void;
}

/** A guest that is about to run. */
export interface RunningGuest {
  readonly memory: Memory;
  readonly hart: Hart;
  readonly engine: Engine;
  readonly program: CfgProgram;
  readonly tables: PageTables | undefined;
  /** Where a byte of the program's lies in memory. */
  physical(address: number): number;
}

/** Makes an engine that is told where the program's functions are. */
export type TestedEngine = (memory: Memory, options: EngineOptions) => Engine;

/** What came of a run. */
export interface RunRecord {
  /** The state at each stop, a line each. */
  readonly stops: readonly string[];
  /** Instructions that compiled code executed. */
  readonly compiled: bigint;
  readonly instret: bigint;
}

/** Runs a program and writes down each stop; faults are skipped. */
export function record(plan: RunPlan, make: TestedEngine): RunRecord {
  const guest = prepare(plan, make);
  const { hart, engine, memory } = guest;
  const random = createRandom(plan.seed);
  const stops: string[] = [];
  for (let faults = 0; hart.instret < BigInt(plan.most) && faults < 20_000;) {
    const until = hart.instret + BigInt(random.pick(plan.slices));
    const stop = engine.run(hart, until);
    stops.push(`${describeStop(stop)} ${stateLine(hart)}`);
    if (stop.kind === "trap") {
      faults++;
      if (ENDS.includes(stop.trap.cause)) break;
      skip(guest);
    }
    plan.meddle?.(guest, random);
  }
  stops.push(memoryLine(guest, plan));
  const compiled = memory.hostView.getBigInt64(REGION_INSTRET, true);
  return { stops, compiled, instret: hart.instret };
}

function prepare(plan: RunPlan, make: TestedEngine): RunningGuest {
  const { program, mapped, mode, aligned, seed, writesText } = plan;
  const memory = new Memory();
  memory.placeTracing(0x7ff00000, 0x7ff01000);
  const hart = new Hart(0, memory, mode === "U" ? "U" : "M");
  hart.trapsMisaligned = aligned;
  if (hart.system && seed % 3 !== 0) hart.system.mstatus |= Mstatus.FS;
  hart.system?.changed();
  const random = createRandom(seed);
  const isPaged = mode === "S" || mode === "paged U";
  const tables = isPaged ? new PageTables(hart, mode === "S" ? "S" : "U", random) : undefined;
  const physical = (address: number) => tables?.physical(address) ?? address;
  const map = ({ start, pages, permissions }: Mapped) => {
    if (!tables) memory.map(start, pages * PAGE_SIZE, permissions);
    else for (let k = 0; k < pages; k++) tables.protect(start + k * PAGE_SIZE, permissions);
  };
  const text = READ | EXECUTE | (writesText ? WRITE : 0);
  map({ start: CFG_CODE, pages: CFG_CODE_PAGES, permissions: text });
  if (tables) {
    for (let at = CFG_CODE; at < CFG_CODE + CFG_CODE_PAGES * PAGE_SIZE; at += PAGE_SIZE) {
      tables.alias(at + ALIAS, at);
      tables.protect(at + ALIAS, text);
    }
  }
  map({ start: CFG_STACK - CFG_STACK_SIZE, pages: STACK_PAGES, permissions: READ | WRITE });
  const data = [...mapped, { start: CFG_CONSTANTS, pages: 1, permissions: READ }];
  for (const area of data) {
    map(area);
    for (let at = area.start; at < area.start + area.pages * PAGE_SIZE; at += 8) {
      memory.view.setBigUint64(physical(at), constant(random), true);
    }
  }
  program.assembly.bytes.forEach((byte, k) => void (memory.bytes[physical(CFG_CODE + k)] = byte));
  hart.pc = BigInt(CFG_CODE);
  return { memory, hart, engine: make(memory, optionsOf(plan)), program, tables, physical };
}

/** Engines are told of functions by half of the plans. */
function optionsOf({ program: { bounds }, seed }: RunPlan): EngineOptions {
  if (seed % 2 !== 0) return {};
  return {
    functionAt(pc) {
      const at = bounds.findLastIndex((low) => low <= pc);
      const high = bounds[at + 1];
      return at < 0 || high === undefined ? undefined : { low: bounds[at]!, high };
    },
  };
}

function constant(random: Random): bigint {
  switch (random.below(5)) {
    case 0:
      return random.bits(64);
    case 1:
      return random.bits(1 + random.below(64));
    case 2:
      return 0xffffffffn << 32n | random.bits(32);
    case 3:
      return random.bits(1) << 63n | (0x3f0n + random.bits(5)) << 52n | random.bits(20) << 32n;
    default:
      return random.pick([0n, 1n, (1n << 64n) - 1n, 1n << 63n, 0x7ffn << 52n, 0x3ffn << 52n]);
  }
}

/** Goes on behind the instruction that trapped. */
function skip({ hart, memory, physical }: RunningGuest): void {
  const pc = hart.pcNumber;
  const half = memory.view.getUint16(physical(pc), true);
  hart.pc = BigInt(pc + ((half & 3) === 3 ? 4 : 2));
}

/** Registers, flags and counters. */
export function stateLine(hart: Hart): string {
  const hex = (value: bigint) => BigInt.asUintN(64, value).toString(16);
  const x = X_NAMES.map((name, k) => `${name}=${hex(hart.x[k]!)}`);
  const f = F_NAMES.map((name, k) => `${name}=${hex(hart.f[k]!)}`);
  const { address, value } = hart.reservation;
  const status = hart.system ? hex(hart.system.mstatus) : "";
  return `pc=${hex(hart.pc)} instret=${hart.instret} fcsr=${hart.fcsr} ` +
    `reserved=${hex(address)},${hex(value)} status=${status} ${[...x, ...f].join(" ")}`;
}

function memoryLine(
  { memory: { bytes }, physical, tables }: RunningGuest,
  { mapped }: RunPlan,
): string {
  const all = [
    ...mapped,
    { start: CFG_CODE, pages: CFG_CODE_PAGES },
    { start: CFG_STACK - CFG_STACK_SIZE, pages: STACK_PAGES },
  ];
  const pages = all.flatMap(({ start, pages }) =>
    Array.from({ length: pages }, (_, k) => {
      const at = physical(start + k * PAGE_SIZE);
      return `${(start + k * PAGE_SIZE).toString(16)}: ${hash(bytes.subarray(at, at + PAGE_SIZE))}`;
    })
  );
  return [`tables: ${tables ? hash(tables.bytes) : "none"}`, ...pages].join(" ");
}

/** A hash of bytes (FNV-1a). */
export function hash(bytes: Uint8Array): string {
  let value = 0x811c9dc5;
  for (const byte of bytes) value = Math.imul(value ^ byte, 0x01000193);
  return (value >>> 0).toString(16);
}

/** The first stop in which a run differs from another, or undefined: what differs there. */
export function firstDifference(actual: RunRecord, expected: RunRecord): string | undefined {
  const at = expected.stops.findIndex((stop, k) => stop !== actual.stops[k]);
  if (at < 0) {
    return actual.stops.length === expected.stops.length
      ? undefined
      : `${actual.stops.length} stops, expected ${expected.stops.length}`;
  }
  const [mine, theirs] = [actual.stops[at] ?? "", expected.stops[at]!].map((line) =>
    line.split(" ")
  );
  const words = theirs!.flatMap((word, k) => word === mine![k] ? [] : [`${mine![k]} not ${word}`]);
  const before = expected.stops[at - 1]?.split(" ").filter((word) => /^(pc|instret)=/.test(word));
  return `stop ${at} (before: ${before?.join(" ")}): ${words.slice(0, 8).join(", ")}`;
}
