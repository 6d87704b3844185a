/**
 * What compiled code counts while statistics are asked for: exits by reason, and for each function
 * how often it was entered and what it executed itself.
 *
 * A region's function is then wrapped in another one, which its table entry holds. A tail call ends in
 * such a wrapper like any call, whose frame stays; so each wrapper takes one of the depth that calls
 * may nest to, and one that has none left leaves at once.
 *
 * @module
 */
import type { Memory } from "../../memory/memory.ts";
import { type Code, I32, I64 } from "../../wasm/code.ts";
import type { Module } from "../../wasm/module.ts";
import { REGION_DEPTH } from "../interpreter/micro_op.ts";
import type { Meter } from "../meter.ts";
import { HOST } from "../plan/plan.ts";
import { EXIT_REASONS, type ExitReason } from "../statistics.ts";

/** Layout of what is counted of one entry: u64 calls, u64 instructions. */
const CELL = { size: 16, calls: 0, instructions: 8 } as const;
/** Cells that are made at once. */
const BATCH = 256;

/** Numbers of the functions that a counting module imports. */
export interface CountingImports {
  readonly enter: number;
  readonly leave: number;
}

/** A region's function that is to be wrapped. */
export interface Wrapped extends CountingImports {
  /** Number of the type of regions. */
  readonly type: number;
  /** Number of the function. */
  readonly body: number;
  /** Where the region begins. */
  readonly entry: number;
}

/** What the compiled code of one memory's harts has counted. */
export class RegionCounters {
  /** What counting modules import. */
  readonly imports: WebAssembly.ModuleImports;
  readonly #memory: Memory;
  /** Host address of a u64 for each reason. */
  readonly #exits: number;
  /** Host address of u64: instructions of what the running region has called. */
  readonly #called: number;
  readonly #cells = new Map<number, number>();
  #batch = 0;

  /** Counts in `memory`; `meter` is told of entries by the interpreter. */
  constructor(memory: Memory, meter: Meter) {
    this.#memory = memory;
    this.#exits = memory.heap.allocate(EXIT_REASONS.length * 8);
    this.#called = memory.heap.allocate(8);
    this.imports = {
      enter: () => meter.enter(),
      leave: (instructions: number) => meter.leave(instructions),
    };
  }

  /** Exits that compiled code has counted, by reason. */
  exits(): Record<ExitReason, number> {
    const counts = EXIT_REASONS.map((reason, at) => [reason, this.#read(this.#exits + at * 8)]);
    return Object.fromEntries(counts);
  }

  /** What was counted for each address where a region is or was entered. */
  *entries(): Iterable<{ entry: number; calls: number; instructions: number }> {
    for (const [entry, cell] of this.#cells) {
      const calls = this.#read(cell + CELL.calls);
      yield { entry, calls, instructions: this.#read(cell + CELL.instructions) };
    }
  }

  /** Writes code that counts an exit. */
  countExit(code: Code, reason: ExitReason): void {
    const cell = this.#exits + EXIT_REASONS.indexOf(reason) * 8;
    add(code, cell, () => code.i64(1n));
  }

  /** Declares what a counting module imports. */
  declare(module: Module): CountingImports {
    const enter = module.importFunction("enter", module.type([], []));
    return { enter, leave: module.importFunction("leave", module.type([I32], [])) };
  }

  /**
   * Writes the function around `body`, the next number, and exports it as `run`. It is `body` to
   * whoever calls it.
   */
  wrap(module: Module, { type, body, entry, enter, leave }: Wrapped): void {
    const locals = [I64, I64, I32, I32] as const;
    const left = 0, depth = 1, before = 2, pc = 3, then = 4, spent = 5;
    const { code } = module.function(type, locals, "run");
    const cell = this.cellOf(entry), called = this.#called;
    const fromInterpreter = () => code.get(depth).i32(REGION_DEPTH).op("i32.eq").if();
    code.get(depth).op("i32.eqz").if();
    this.countExit(code, "depth");
    code.i64(BigInt(entry)).get(left).op("return", "end");
    fromInterpreter();
    code.call(enter).op("end");
    code.i32(0).access("i64.load", HOST, called).set(before);
    code.i32(0).i64(0n).access("i64.store", HOST, called);
    code.get(left).get(depth).i32(1).op("i32.sub").call(body).set(then).set(pc);
    code.get(left).get(then).op("i32.sub").set(spent);
    fromInterpreter();
    code.get(spent).call(leave).op("end");
    add(code, cell + CELL.calls, () => code.i64(1n));
    const own = () => {
      code.get(spent).op("i64.extend_i32_s");
      code.i32(0).access("i64.load", HOST, called).op("i64.sub");
    };
    add(code, cell + CELL.instructions, own);
    code.i32(0).get(before).get(spent).op("i64.extend_i32_s", "i64.add");
    code.access("i64.store", HOST, called);
    code.get(pc).get(then);
  }

  /** Writes code that adds instructions, executed before a callee is entered, to the cell in a local. */
  countOwn(code: Code, cell: number, instructions: number): void {
    code.get(cell).get(cell).access("i64.load", HOST, CELL.instructions);
    code.i64(BigInt(instructions)).op("i64.add").access("i64.store", HOST, CELL.instructions);
    add(code, this.#called, () => code.i64(BigInt(instructions)));
  }

  /** Host address of the cell of an entry. */
  cellOf(entry: number): number {
    let cell = this.#cells.get(entry);
    if (cell === undefined) {
      const at = this.#cells.size % BATCH;
      if (at === 0) this.#batch = this.#memory.heap.allocate(BATCH * CELL.size);
      this.#cells.set(entry, cell = this.#batch + at * CELL.size);
    }
    return cell;
  }

  #read(address: number): number {
    return Number(this.#memory.hostView.getBigUint64(address, true));
  }
}

/** Adds what `push` pushes to a u64. */
function add(code: Code, address: number, push: () => void): void {
  code.i32(0).i32(0).access("i64.load", HOST, address);
  push();
  code.op("i64.add").access("i64.store", HOST, address);
}
