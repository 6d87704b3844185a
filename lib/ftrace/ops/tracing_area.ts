/**
 * What lies in the tracing range: trampolines, one-instruction stubs that call the host, the
 * `struct ftrace_ops` that literals point at, and the tables of ips that those point at.
 *
 * The guest can run the first two and read the others; it owns none of them. An ops of a tracer has
 * a stub and a struct of its own, so that in guest memory it looks as it does in the kernel's:
 * `ops->func` at offset 0 is an address that can be called.
 *
 * What the trampolines do is `lib/trampoline`; what a host call does is `call_paths.ts`.
 *
 * @module
 */
import { assemble } from "../../isa/asm.ts";
import type { Machine } from "../../machine/machine.ts";
import type { AddressSpace } from "../../memory/space.ts";
import { EXECUTE, PAGE_SIZE, READ } from "../../memory/page.ts";
import { buildTrampolines, type Trampolines } from "../../trampoline/caller.ts";
import { type IpTable, ipTableBytes } from "../../trampoline/list_func.ts";
import {
  OPS_DIRECT_CALL,
  OPS_FILTER_HASH,
  OPS_FLAGS,
  OPS_FUNC,
  OPS_NEXT,
  OPS_NOTRACE_HASH,
  OPS_SIZE,
} from "../../trampoline/ops_struct.ts";
import type { Poison } from "../../trampoline/poison.ts";
import type { Era } from "../era.ts";
import { FtraceError } from "../ftrace_error.ts";
import { FTRACE_OPS_FL_STUB } from "./ftrace_ops.ts";

/** The host call (custom-0), legal in the tracing range only. */
const HOST_CALL = 0x0000000b;
/** Most ops registered at a time. */
const MAX_OPS = 1024;
/** Room for tables of ips: a filter of all functions of a kernel fits. */
const TABLES = 0x90000;

/** No slot, as the end of the list has it. */
const NO_SLOT = -1;

/** Slots that the core itself takes; `first` is the first one for other ops. */
export const OPS_SLOT = { list: 0, nop: 1, first: 2 } as const;

/** How far before its ip a call-ops site has its literal: ip is entry + 4, the literal entry − 8. */
export const LITERAL_OFFSET = 12;

/** What stands between a trampoline and an ops: nothing, the recursion lock, or the walk of all. */
export type Dispatch = "direct" | "assist" | "list";

/** The tracing range of one machine, with trampolines, stubs and structs in it. */
export interface TracingArea {
  /** The trampolines and where their labels are. */
  readonly trampolines: Trampolines;
  /** Guest address of the stub of a slot. */
  stub(slot: number): bigint;
  /** Guest address of the `struct ftrace_ops` of a slot. */
  ops(slot: number): bigint;
  /** Takes a free slot and writes its struct. @throws {FtraceError} ENOMEM if 1022 are in use. */
  take(flags: number, directCall: bigint): number;
  /** Gives a slot back. It is used again as late as possible: a hart may still be walking there. */
  free(slot: number): void;
  /** Makes the list in guest memory: what slots are in it, in order. */
  link(slots: readonly number[]): void;
  /** Says where a slot's two tables are, 0 for none. */
  setTables(slot: number, filter: number, notrace: number): void;
  /** Changes a slot's `direct_call`. */
  setDirectCall(slot: number, address: bigint): void;
  /** Whether a slot has a `direct_call`. */
  isDirect(slot: number): boolean;
  /** Puts a table into guest memory; gives its address. @throws {FtraceError} ENOMEM if there is no room. */
  placeTable(table: IpTable): number;
  /** Frees the memory of a table. */
  freeTable(address: number): void;
  /** Whether sites have literals that name their ops. */
  readonly literals: boolean;
  /** Says which slot sites without a literal call: what the trampoline itself was pointed at. */
  shared: number;
  /** How the trampoline calls the ops of the shared slot. */
  sharedBy: Dispatch;
  /** The slot that a site at `ip` calls: its literal's, or the shared one; undefined if neither is known. */
  slotAt(ip: number): number | undefined;
  /** Writes one of the 64-bit words that trampolines load. */
  writeWord(address: bigint, value: bigint): void;
  /**
   * Assembles code of the caller's into the range, such as a direct trampoline; it may name the
   * trampolines' labels and `symbols`. What it retires counts as overhead.
   *
   * @throws {SyntaxError} If the text is malformed, {RangeError} if the range is full.
   */
  assemble(
    source: string,
    symbols?: Readonly<Record<string, bigint>>,
  ): { readonly address: bigint; readonly symbols: ReadonlyMap<string, bigint> };
  /** Where the frame of a virtual site is made: the guest's stack is not touched there. */
  readonly scratchFrame: number;
}

/** Lays out and fills the tracing range. */
export function createTracingArea(machine: Machine, era: Era, poison: Poison): TracingArea {
  return new Area(machine, era, poison);
}

class Area implements TracingArea {
  readonly trampolines: Trampolines;
  readonly literals: boolean;
  readonly scratchFrame: number;
  shared: number = OPS_SLOT.nop;
  sharedBy: Dispatch = "direct";
  readonly #machine: Machine;
  readonly #space: AddressSpace;
  readonly #text: number;
  readonly #stubs: number;
  readonly #structs: number;
  readonly #rooms: ReturnType<typeof createRooms>;
  /** Which slots are in use, and which of those are called directly. */
  readonly #taken = new Uint8Array(MAX_OPS);
  readonly #direct = new Uint8Array(MAX_OPS);
  /** The slot that a slot's struct names as the next. */
  readonly #next = new Int16Array(MAX_OPS).fill(NO_SLOT);
  // Literals are aligned: V8 is slow at DataView beyond 2 GiB, and at bigints everywhere.
  readonly #words: Int32Array;
  #count = 0;
  #lastSlot: number = OPS_SLOT.nop;

  constructor(machine: Machine, era: Era, poison: Poison) {
    const { memory, space, tracing } = machine;
    this.#machine = machine;
    this.#space = space;
    this.literals = era.opsLiteral;
    this.#words = new Int32Array(memory.guest.buffer);
    this.#text = tracing.allocate(PAGE_SIZE, READ | EXECUTE);
    this.#stubs = tracing.allocate(MAX_OPS * 4, READ | EXECUTE);
    const data = tracing.allocate(PAGE_SIZE, READ);
    this.scratchFrame = data + PAGE_SIZE / 2;
    this.#structs = tracing.allocate(MAX_OPS * OPS_SIZE, READ);
    this.#rooms = createRooms(tracing.allocate(TABLES, READ), TABLES);
    this.trampolines = buildTrampolines(
      era.trampoline,
      BigInt(this.#text),
      BigInt(data),
      poison,
    );
    this.#placeTrampolines();
  }

  #placeTrampolines(): void {
    const { bytes, symbols, data } = this.trampolines;
    if (bytes.length > PAGE_SIZE) {
      throw new RangeError("Cannot place the trampolines: more than a page");
    }
    this.#space.poke(BigInt(this.#text), bytes);
    this.#fill(OPS_SLOT.list, symbols.ftrace_ops_list_func, FTRACE_OPS_FL_STUB);
    this.#fill(OPS_SLOT.nop, symbols.ftrace_stub, FTRACE_OPS_FL_STUB);
    const { function_trace_op, ftrace_call_dest } = data;
    if (function_trace_op !== undefined) this.writeWord(function_trace_op, this.ops(OPS_SLOT.list));
    if (ftrace_call_dest !== undefined) this.writeWord(ftrace_call_dest, symbols.ftrace_stub);
  }

  slotAt(ip: number): number | undefined {
    if (!this.literals) return this.shared;
    const at = (ip - LITERAL_OFFSET) >>> 2;
    const offset = (this.#words[at]! >>> 0) - this.#structs;
    const slot = offset / OPS_SIZE;
    const isStruct = this.#words[at + 1] === 0 && offset % OPS_SIZE === 0;
    return isStruct && this.#taken[slot] === 1 ? slot : undefined;
  }

  stub(slot: number): bigint {
    return BigInt(this.#stubs + slot * 4);
  }

  ops(slot: number): bigint {
    return BigInt(this.#structs + slot * OPS_SIZE);
  }

  writeWord(address: bigint, value: bigint): void {
    const word = new Uint8Array(8);
    new DataView(word.buffer).setBigUint64(0, value, true);
    this.#space.poke(address, word);
  }

  take(flags: number, directCall: bigint): number {
    if (this.#count >= MAX_OPS) {
      throw new FtraceError(
        "ENOMEM",
        "too-many",
        `Cannot register another ops: ${MAX_OPS - OPS_SLOT.first} are in use`,
      );
    }
    do this.#lastSlot = this.#lastSlot + 1 < MAX_OPS ? this.#lastSlot + 1 : OPS_SLOT.first; while (
      this.#taken[this.#lastSlot] === 1
    );
    this.#fill(this.#lastSlot, this.stub(this.#lastSlot), flags, directCall);
    return this.#lastSlot;
  }

  free(slot: number): void {
    this.#taken[slot] = 0;
    this.#count--;
  }

  link(slots: readonly number[]): void {
    const first = slots.length > 0 ? this.ops(slots[0]!) : 0n;
    this.writeWord(this.trampolines.data.ftrace_ops_list, first);
    slots.forEach((slot, k) => {
      const following = slots[k + 1] ?? NO_SLOT;
      if (this.#next[slot] === following) return;
      this.#next[slot] = following;
      const address = following === NO_SLOT ? 0n : this.ops(following);
      this.writeWord(this.ops(slot) + BigInt(OPS_NEXT), address);
    });
  }

  setTables(slot: number, filter: number, notrace: number): void {
    this.writeWord(this.ops(slot) + BigInt(OPS_FILTER_HASH), BigInt(filter));
    this.writeWord(this.ops(slot) + BigInt(OPS_NOTRACE_HASH), BigInt(notrace));
  }

  setDirectCall(slot: number, address: bigint): void {
    this.writeWord(this.ops(slot) + BigInt(OPS_DIRECT_CALL), address);
    this.#direct[slot] = address === 0n ? 0 : 1;
  }

  isDirect(slot: number): boolean {
    return this.#direct[slot] === 1;
  }

  placeTable(table: IpTable): number {
    const bytes = ipTableBytes(table);
    const address = this.#rooms.take(bytes.length, !this.#isWalked());
    if (address === undefined) {
      throw new FtraceError(
        "ENOMEM",
        "too-many",
        `Cannot place a filter of ${table.keys.length / 2} functions: the tracing range is full`,
        "one hash for several ops, or smaller filters",
      );
    }
    this.#space.poke(BigInt(address), bytes);
    return address;
  }

  freeTable(address: number): void {
    this.#rooms.free(address);
  }

  assemble(
    source: string,
    more: Readonly<Record<string, bigint>> = {},
  ): ReturnType<TracingArea["assemble"]> {
    const labels: Record<string, bigint> = { ...more };
    for (const [name, value] of Object.entries(this.trampolines.symbols)) {
      if (value !== undefined) labels[name] ??= value;
    }
    const tried = assemble(source, { origin: BigInt(this.#text), symbols: labels });
    const size = tried.bytes.length;
    const address = BigInt(this.#machine.tracing.allocate(size, READ | EXECUTE));
    const made = assemble(source, { origin: address, symbols: labels });
    this.#space.poke(address, made.bytes);
    this.#machine.fenceI();
    return { address, symbols: made.symbols };
  }

  /** Whether a hart is in the list function, where it may hold the address of a table. */
  #isWalked(): boolean {
    const { ftrace_ops_list_func, ftrace_list_func_end } = this.trampolines.symbols;
    return this.#machine.harts.some(({ pc }) =>
      pc >= ftrace_ops_list_func && pc < ftrace_list_func_end
    );
  }

  /** Makes a slot's stub and struct. */
  #fill(slot: number, func: bigint, flags: number, directCall = 0n): void {
    const word = new Uint8Array(4);
    new DataView(word.buffer).setUint32(0, HOST_CALL, true);
    this.#space.poke(this.stub(slot), word);
    this.#space.poke(this.ops(slot), new Uint8Array(OPS_SIZE));
    this.writeWord(this.ops(slot) + BigInt(OPS_FUNC), func);
    this.writeWord(this.ops(slot) + BigInt(OPS_FLAGS), BigInt(flags));
    this.setDirectCall(slot, directCall);
    this.#next[slot] = NO_SLOT;
    this.#taken[slot] = 1;
    this.#count++;
  }
}

/** Rooms of one stretch of memory, of 8 bytes and a power of two, as a table needs. */
function createRooms(start: number, length: number) {
  const sizes = new Map<number, number>();
  const free = new Map<number, number[]>();
  /** Given back, but not to be used before nobody can be there. */
  let leaving: number[] = [];
  let next = start;
  return {
    take(bytes: number, mayReuse: boolean): number | undefined {
      let size = 8;
      while (size + 8 < bytes) size *= 2;
      size += 8;
      if (mayReuse) {
        for (const address of leaving) {
          const room = sizes.get(address)!;
          free.set(room, [...free.get(room) ?? [], address]);
        }
        leaving = [];
      }
      const again = free.get(size)?.pop();
      if (again !== undefined) return again;
      if (next + size > start + length) return undefined;
      const address = next;
      next += size;
      sizes.set(address, size);
      return address;
    },
    free: (address: number) => void leaving.push(address),
  };
}
