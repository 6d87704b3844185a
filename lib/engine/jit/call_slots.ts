/**
 * The table entries that calls go through: one for each address that a region calls or begins at.
 *
 * Until the code there is compiled, an entry holds a stub that leaves at once with the address, and
 * counts: whoever is called often from compiled code is wanted compiled, too. A caller never knows
 * which of both an entry holds, so compiling and dropping a callee leaves callers alone.
 *
 * @module
 */
import { JUMPED_FROM, WANTED_JUMP, WANTED_REGION, WANTED_TARGET } from "../../hart/state.ts";
import type { Memory } from "../../memory/memory.ts";
import { I32 } from "../../wasm/code.ts";
import { Module } from "../../wasm/module.ts";
import { regionType } from "./region_frame.ts";

/** Entries that are made at once. */
const BATCH = 64;
/** Layout of what an entry's stub reads: i64 address, u32 count of calls. */
const STUB = { size: 16, pc: 0, calls: 8 } as const;
/** A stub asks to be compiled whenever it was called this often again; a power of two. */
const CALLS = 32;

/** The entries of one hart's regions in one space. */
export class CallSlots {
  readonly #memory: Memory;
  readonly #table: WebAssembly.Table;
  readonly #slots = new Map<number, number>();
  readonly #pcs = new Map<number, number>();
  readonly #stubs = new Map<number, CallableFunction>();
  #free: number[] = [];
  /** Where pointers have led once. */
  readonly #seen = new Set<number>();

  /** Makes entries in `table`, which emitted code calls through. */
  constructor(memory: Memory, table: WebAssembly.Table) {
    this.#memory = memory;
    this.#table = table;
  }

  /** The entry for calls of an address, which is made if there is none. */
  of(pc: number): number {
    let slot = this.#slots.get(pc);
    if (slot === undefined) this.#slots.set(pc, slot = this.take(pc));
    return slot;
  }

  /** An entry for an address that nobody else has. */
  take(pc: number): number {
    if (this.#free.length === 0) this.#grow();
    const slot = this.#free.pop()!;
    this.#pcs.set(slot, pc);
    this.#memory.hostView.setBigInt64(this.#stubAt(slot) + STUB.pc, BigInt(pc), true);
    return slot;
  }

  /** Takes back an entry that {@linkcode CallSlots.take} gave. */
  giveBack(slot: number): void {
    this.clear(slot);
    this.#pcs.delete(slot);
    this.#free.push(slot);
  }

  /** The address that has asked to be compiled since this was last called, or undefined. */
  takeWanted(): number | undefined {
    const { hostView } = this.#memory;
    const slot = hostView.getUint32(WANTED_REGION, true);
    if (slot === 0) return undefined;
    hostView.setUint32(WANTED_REGION, 0, true);
    return this.#pcs.get(slot);
  }

  /** How often compiled code came to what was not compiled. */
  get uncompiled(): number {
    const { hostView } = this.#memory;
    let calls = 0;
    for (const area of this.#areas.values()) {
      for (let k = 0; k < BATCH; k++) {
        calls += hostView.getUint32(area + k * STUB.size + STUB.calls, true);
      }
    }
    return calls;
  }

  /** Where a pointer has led twice since, and no region begins; asked for now and then. */
  takeTarget(): number | undefined {
    const { hostView } = this.#memory;
    const target = Number(hostView.getBigInt64(WANTED_TARGET, true));
    if (target === 0) return undefined;
    hostView.setBigInt64(WANTED_TARGET, 0n, true);
    if (this.#seen.delete(target)) return target;
    this.#seen.add(target);
    return undefined;
  }

  /** From which region, and where, an indirect jump has gone since that no jump table knew. */
  takeJump(): { readonly from: number; readonly target: number } | undefined {
    const { hostView } = this.#memory;
    const target = Number(hostView.getBigInt64(WANTED_JUMP, true));
    if (target === 0) return undefined;
    hostView.setBigInt64(WANTED_JUMP, 0n, true);
    return { target, from: Number(hostView.getBigInt64(JUMPED_FROM, true)) };
  }

  /** Makes an entry lead to compiled code. */
  set(slot: number, run: CallableFunction): void {
    this.#table.set(slot, run);
  }

  /** Makes an entry lead to its stub again. */
  clear(slot: number): void {
    this.#table.set(slot, this.#stubs.get(slot)!);
  }

  readonly #areas = new Map<number, number>();

  #stubAt(slot: number): number {
    const batch = Math.floor(slot / BATCH);
    return this.#areas.get(batch)! + (slot % BATCH) * STUB.size;
  }

  #grow(): void {
    // Batches begin at multiples of BATCH; entry 0 is nobody's.
    const now = this.#table.length;
    const first = Math.max(BATCH, Math.ceil(now / BATCH) * BATCH);
    this.#table.grow(first + BATCH - now);
    const area = this.#memory.heap.allocate(BATCH * STUB.size, 16);
    this.#memory.hostBytes.fill(0, area, area + BATCH * STUB.size);
    this.#areas.set(first / BATCH, area);
    const { host } = this.#memory;
    const module = new WebAssembly.Module(stubModule(host.buffer.byteLength / 65536, first, area));
    new WebAssembly.Instance(module, { host: { host, thunks: this.#table } });
    for (let slot = first + BATCH - 1; slot >= first; slot--) {
      this.#stubs.set(slot, this.#table.get(slot)!);
      this.#free.push(slot);
    }
  }
}

/** The stubs of one batch, which put themselves into the table. */
function stubModule(hostPages: number, first: number, area: number): Uint8Array<ArrayBuffer> {
  const module = new Module();
  module.importMemory("host", hostPages);
  module.importTable("thunks");
  const type = regionType(module);
  const indices: number[] = [];
  for (let k = 0; k < BATCH; k++) {
    const { code, index, locals } = module.function(type);
    indices.push(index);
    locals.push(I32);
    const at = area + k * STUB.size, left = 0, calls = 2;
    code.i32(0).i32(0).access("i32.load", 0, at + STUB.calls).i32(1).op("i32.add").tee(calls);
    code.access("i32.store", 0, at + STUB.calls);
    code.get(calls).i32(CALLS - 1).op("i32.and", "i32.eqz").if();
    code.i32(0).i32(first + k).access("i32.store", 0, WANTED_REGION).op("end");
    code.i32(0).access("i64.load", 0, at + STUB.pc).get(left);
  }
  module.fillTable(first, indices);
  return module.encode();
}
