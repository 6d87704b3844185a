/**
 * The table entries that calls go through: one for each address that a region calls or begins at.
 *
 * Until the code there is compiled, an entry holds a stub that leaves at once with the address, and
 * counts: whoever is called often from compiled code is wanted compiled, too. A caller never knows
 * which of both an entry holds, so compiling and dropping a callee leaves callers alone.
 *
 * @module
 */
import {
  FETCH_ENTRIES,
  JUMPED_FROM,
  LEFT_AT,
  WANTED_JUMP,
  WANTED_REGION,
  WANTED_TARGET,
  X,
} from "../../hart/state.ts";
import { T0 } from "../../isa/abi.ts";
import type { Memory } from "../../memory/memory.ts";
import { PAGE_SIZE } from "../../memory/page.ts";
import { FETCH_ENTRY, fetchOffset } from "../../memory/tlb.ts";
import { type Code, I32 } from "../../wasm/code.ts";
import { Module } from "../../wasm/module.ts";
import { HOST } from "../plan/plan.ts";
import { PHYSICAL } from "./addressing.ts";
import type { RegionCounters } from "./region_counters.ts";
import { regionType } from "./region_frame.ts";
import { SITE_COUNT } from "./site_words.ts";

/** Entries that are made at once. */
const BATCH = 64;
/**
 * Layout of what an entry's stub reads: i64 address, u32 count of calls; u32 the entry of the region
 * there or behind an open site there, 0 if none may be entered; i64 what t0 is behind the site, u32
 * whether it is set, u32 address of the cell that counts for statistics. Where addresses are
 * translated: u32 where among the entries for fetches the site's page is, u32 the number of the
 * physical page and i64 the address of the virtual one that it has to have there.
 */
const STUB = {
  ...{ size: 48, pc: 0, calls: 8, region: 12, t0: 16, setsT0: 24, cell: 28 },
  ...{ entry: 32, physical: 36, page: 40 },
} as const;
/** A stub asks to be compiled whenever it was called this often again; a power of two. */
const CALLS = 32;

/** Where an open site goes on. */
export interface OpenSite {
  /** The table entry of the region behind it. */
  readonly region: number;
  /** What t0 is there; undefined leaves it alone. */
  readonly t0: bigint | undefined;
  /** Physical address of the site. */
  readonly physical: number;
}

/** How the entries of a hart are made. */
export interface SlotStyle {
  /** Whether addresses are translated. */
  readonly translated: boolean;
  /** What counts for statistics; absent in a plain run. */
  readonly counters: RegionCounters | undefined;
}

/** The entries of one hart's regions in one space. */
export class CallSlots {
  readonly #memory: Memory;
  readonly #style: SlotStyle;
  readonly #table: WebAssembly.Table;
  readonly #slots = new Map<number, number>();
  readonly #pcs = new Map<number, number>();
  readonly #stubs = new Map<number, CallableFunction>();
  #free: number[] = [];
  /** Where pointers have led once. */
  readonly #seen = new Set<number>();

  /** Makes entries in `table`, which emitted code calls through. */
  constructor(memory: Memory, table: WebAssembly.Table, style: SlotStyle) {
    this.#memory = memory;
    this.#style = style;
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
    const target = this.#take(WANTED_TARGET);
    if (target === undefined || this.#seen.delete(target)) return target;
    this.#seen.add(target);
    return undefined;
  }

  /** From which region, and where, an indirect jump has gone since that no jump table knew. */
  takeJump(): { readonly from: number; readonly target: number } | undefined {
    const target = this.#take(WANTED_JUMP);
    if (target === undefined) return undefined;
    return { target, from: Number(this.#memory.hostView.getBigInt64(JUMPED_FROM, true)) };
  }

  /** Where compiled code was last left since, as it goes no further there. */
  takeLeft(): number | undefined {
    return this.#take(LEFT_AT);
  }

  /** Takes an address out of an i64, in halves: this is asked after every system call. */
  #take(cell: number): number | undefined {
    const { hostView } = this.#memory;
    const low = hostView.getUint32(cell, true), high = hostView.getInt32(cell + 4, true);
    if (low === 0 && high === 0) return undefined;
    hostView.setUint32(cell, 0, true);
    hostView.setInt32(cell + 4, 0, true);
    return high * 2 ** 32 + low;
  }

  /** Makes an entry lead to compiled code. */
  set(slot: number, run: CallableFunction): void {
    this.#table.set(slot, run);
  }

  /** Makes an entry lead to a region, whose own entry is given: there it may be entered. */
  lead(slot: number, run: CallableFunction, region: number): void {
    this.set(slot, run);
    this.#setRegion(slot, region);
  }

  /** Makes an entry lead to its stub again, which leaves. */
  clear(slot: number): void {
    this.#table.set(slot, this.#stubs.get(slot)!);
    this.#setRegion(slot, 0);
  }

  #setRegion(slot: number, region: number): void {
    this.#memory.hostView.setUint32(this.#stubAt(slot) + STUB.region, region, true);
  }

  /** Host address of what the stub of an address reads, for {@linkcode executeSite}. */
  stubOf(pc: number): number {
    return this.#stubAt(this.of(pc));
  }

  /** Makes the stub of an entry execute the site at its address and go on behind it. */
  open(slot: number, { region, t0, physical }: OpenSite): void {
    const { hostView } = this.#memory;
    const at = this.#stubAt(slot);
    this.#setRegion(slot, region);
    hostView.setBigInt64(at + STUB.t0, t0 ?? 0n, true);
    hostView.setUint32(at + STUB.setsT0, Number(t0 !== undefined), true);
    const pc = this.#pcs.get(slot)!, page = Math.floor(pc / PAGE_SIZE);
    hostView.setUint32(at + STUB.cell, this.#style.counters?.cellOf(pc) ?? 0, true);
    hostView.setUint32(at + STUB.entry, fetchOffset(page), true);
    hostView.setUint32(at + STUB.physical, Math.floor(physical / PAGE_SIZE), true);
    hostView.setBigInt64(at + STUB.page, BigInt(page) * BigInt(PAGE_SIZE), true);
  }

  /** Makes the stub of an entry leave at its address. */
  close(slot: number): void {
    this.#setRegion(slot, 0);
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
    const { guest, host } = this.#memory;
    const bytes = stubModule({ memory: this.#memory, first, area }, this.#style);
    const imports = { guest, host, thunks: this.#table };
    new WebAssembly.Instance(new WebAssembly.Module(bytes), { host: imports });
    for (let slot = first + BATCH - 1; slot >= first; slot--) {
      this.#stubs.set(slot, this.#table.get(slot)!);
      this.#free.push(slot);
    }
  }
}

/** Where the stubs of one batch are, and what they read. */
interface Batch {
  readonly memory: Memory;
  /** The first entry of the table. */
  readonly first: number;
  /** Host address of what the first one reads. */
  readonly area: number;
}

const StubLocal = { left: 0, depth: 1, word: 2 } as const;

/** The stubs of one batch, which put themselves into the table. */
function stubModule(
  { memory: { guest, host }, first, area }: Batch,
  style: SlotStyle,
): Uint8Array<ArrayBuffer> {
  const module = new Module();
  module.importMemory("guest", guest.buffer.byteLength / 65536);
  module.importMemory("host", host.buffer.byteLength / 65536);
  module.importTable("thunks");
  const type = regionType(module);
  const indices: number[] = [];
  for (let k = 0; k < BATCH; k++) {
    const { code, index, locals } = module.function(type);
    indices.push(index);
    locals.push(I32);
    const at = area + k * STUB.size, { left, word } = StubLocal;
    writeOpen(code, at, type, style);
    code.i32(0).i32(0).access("i32.load", HOST, at + STUB.calls).i32(1).op("i32.add").tee(word);
    code.access("i32.store", HOST, at + STUB.calls);
    code.get(word).i32(CALLS - 1).op("i32.and", "i32.eqz").if();
    code.i32(0).i32(first + k).access("i32.store", HOST, WANTED_REGION).op("end");
    code.i32(0).access("i64.load", HOST, at + STUB.pc).get(left);
  }
  module.fillTable(first, indices);
  return module.encode();
}

/** Pushes whether no region, or another one, may be entered at the address of the stub at `at`. */
export function pushIsClosed(code: Code, at: number, region: number): void {
  code.i32(0).access("i32.load", HOST, at + STUB.region).i32(region).op("i32.ne");
}

/** Does to the hart's state what the open site of the stub at `at` does, but for the count. */
export function executeSite(code: Code, at: number): void {
  code.i32(0).access("i32.load", HOST, at + STUB.setsT0).if();
  code.i32(0).i32(0).access("i64.load", HOST, at + STUB.t0);
  code.access("i64.store", HOST, X + T0 * 8).op("end");
}

/** Pushes what t0 is behind the open site of the stub at `at`, if it was on the stack before. */
export function chooseT0(code: Code, at: number): void {
  code.i32(0).access("i64.load", HOST, at + STUB.t0);
  code.i32(0).access("i32.load", HOST, at + STUB.setsT0).op("i32.eqz", "select");
}

/** What a stub does while the site at its address is open, if both words may be executed. */
function writeOpen(code: Code, at: number, type: number, { translated, counters }: SlotStyle) {
  const { left, depth, word } = StubLocal;
  code.i32(0).access("i32.load", HOST, at + STUB.region).op("i32.eqz");
  if (translated) pushHasMoved(code, at);
  code.op("i32.eqz").if();
  code.get(left).i32(SITE_COUNT).op("i32.lt_s").unlikely().if();
  code.i32(0).access("i64.load", HOST, at + STUB.pc).get(left).op("return", "end");
  executeSite(code, at);
  if (counters) {
    code.i32(0).access("i32.load", HOST, at + STUB.cell).set(word);
    counters.countOwn(code, word, SITE_COUNT);
  }
  code.get(left).i32(SITE_COUNT).op("i32.sub").get(depth);
  code.i32(0).access("i32.load", HOST, at + STUB.region).returnCallIndirect(type).op("end");
}

/** Makes what is on the stack true also where the page of the site has moved. */
function pushHasMoved(code: Code, at: number): void {
  const { word } = StubLocal;
  code.i32(0).access("i32.load", HOST, FETCH_ENTRIES).i32(0);
  code.access("i32.load", HOST, at + STUB.entry).op("i32.add").tee(word);
  code.access("i64.load", HOST, FETCH_ENTRY.page);
  code.i32(0).access("i64.load", HOST, at + STUB.page).op("i64.ne", "i32.or");
  code.get(word).access("i32.load", HOST, FETCH_ENTRY.physical).i32(PHYSICAL).op("i32.and");
  code.i32(0).access("i32.load", HOST, at + STUB.physical).op("i32.ne", "i32.or");
}
