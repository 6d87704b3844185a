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

/** The slots that the core itself takes. */
export const OPS_SLOT = { list: 0, nop: 1, first: 2 } as const;

/** How far before its ip a call-ops site has its literal: ip is entry + 4, the literal entry − 8. */
export const LITERAL_OFFSET = 12;

/** What stands between a trampoline and an ops: nothing, the recursion lock, or the walk of all. */
export type Dispatch = "direct" | "assist" | "list";

/** The tracing range of one machine, filled. */
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
  /** Gives a table's room back. */
  freeTable(address: number): void;
  /** Whether sites have literals that name their ops. */
  readonly literals: boolean;
  /** Says which slot sites without a literal call: what the trampoline itself was pointed at. */
  shared: number;
  /** How they get there. */
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
export function createTracingArea(
  machine: Machine,
  era: Era,
  poison: Poison,
): TracingArea {
  const literals = era.opsLiteral;
  const { memory, space, tracing } = machine;
  const text = tracing.allocate(PAGE_SIZE, READ | EXECUTE);
  const stubs = tracing.allocate(MAX_OPS * 4, READ | EXECUTE);
  const data = tracing.allocate(PAGE_SIZE, READ);
  const structs = tracing.allocate(MAX_OPS * OPS_SIZE, READ);
  const tables = tracing.allocate(TABLES, READ);
  const trampolines = buildTrampolines(era.trampoline, BigInt(text), BigInt(data), poison);
  if (trampolines.bytes.length > PAGE_SIZE) {
    throw new RangeError("Cannot place the trampolines: more than a page");
  }
  space.poke(BigInt(text), trampolines.bytes);
  const writeWord = (address: bigint, value: bigint) => {
    const word = new Uint8Array(8);
    new DataView(word.buffer).setBigUint64(0, value, true);
    space.poke(address, word);
  };
  const stub = (slot: number) => BigInt(stubs + slot * 4);
  const ops = (slot: number) => BigInt(structs + slot * OPS_SIZE);
  /** Which slots are in use, and which of those are called directly. */
  const taken = new Uint8Array(MAX_OPS);
  const direct = new Uint8Array(MAX_OPS);
  /** The slot that a slot's struct names as the next. */
  const next = new Int16Array(MAX_OPS).fill(NO_SLOT);
  let count = 0;
  let lastSlot: number = OPS_SLOT.nop;
  const fill = (slot: number, func: bigint, flags: number, directCall = 0n) => {
    const word = new Uint8Array(4);
    new DataView(word.buffer).setUint32(0, HOST_CALL, true);
    space.poke(BigInt(stubs + slot * 4), word);
    space.poke(ops(slot), new Uint8Array(OPS_SIZE));
    writeWord(ops(slot) + BigInt(OPS_FUNC), func);
    writeWord(ops(slot) + BigInt(OPS_FLAGS), BigInt(flags));
    writeWord(ops(slot) + BigInt(OPS_DIRECT_CALL), directCall);
    direct[slot] = directCall === 0n ? 0 : 1;
    next[slot] = NO_SLOT;
    taken[slot] = 1;
    count++;
  };
  const { symbols } = trampolines;
  fill(OPS_SLOT.list, symbols.ftrace_ops_list_func, FTRACE_OPS_FL_STUB);
  fill(OPS_SLOT.nop, symbols.ftrace_stub, FTRACE_OPS_FL_STUB);
  const { function_trace_op, ftrace_call_dest, ftrace_ops_list } = trampolines.data;
  if (function_trace_op !== undefined) writeWord(function_trace_op, ops(OPS_SLOT.list));
  if (ftrace_call_dest !== undefined) writeWord(ftrace_call_dest, symbols.ftrace_stub);

  const rooms = createRooms(tables, TABLES);
  /** A hart in the list function may hold the address of a table. */
  const isWalked = () =>
    machine.harts.some(({ pc }) =>
      pc >= symbols.ftrace_ops_list_func && pc < symbols.ftrace_list_func_end
    );
  const setDirectCall = (slot: number, address: bigint) => {
    writeWord(ops(slot) + BigInt(OPS_DIRECT_CALL), address);
    direct[slot] = address === 0n ? 0 : 1;
  };
  // Literals are aligned: V8 is slow at DataView beyond 2 GiB, and at bigints everywhere.
  const words = new Int32Array(memory.guest.buffer);

  return {
    trampolines,
    literals,
    shared: OPS_SLOT.nop,
    sharedBy: "direct",
    slotAt(ip) {
      if (!literals) return this.shared;
      const at = (ip - LITERAL_OFFSET) >>> 2;
      const offset = (words[at]! >>> 0) - structs;
      const slot = offset / OPS_SIZE;
      return words[at + 1] === 0 && offset % OPS_SIZE === 0 && taken[slot] === 1 ? slot : undefined;
    },
    stub,
    ops,
    writeWord,
    scratchFrame: data + PAGE_SIZE / 2,
    take(flags, directCall) {
      if (count >= MAX_OPS) {
        throw new FtraceError(
          "ENOMEM",
          "too-many",
          `Cannot register another ops: ${MAX_OPS - OPS_SLOT.first} are in use`,
        );
      }
      do lastSlot = lastSlot + 1 < MAX_OPS ? lastSlot + 1 : OPS_SLOT.first; while (
        taken[lastSlot] === 1
      );
      fill(lastSlot, stub(lastSlot), flags, directCall);
      return lastSlot;
    },
    free(slot) {
      taken[slot] = 0;
      count--;
    },
    link(slots) {
      writeWord(ftrace_ops_list, slots.length > 0 ? ops(slots[0]!) : 0n);
      slots.forEach((slot, k) => {
        const following = slots[k + 1] ?? NO_SLOT;
        if (next[slot] === following) return;
        next[slot] = following;
        const address = following === NO_SLOT ? 0n : ops(following);
        writeWord(ops(slot) + BigInt(OPS_NEXT), address);
      });
    },
    setTables(slot, filter, notrace) {
      writeWord(ops(slot) + BigInt(OPS_FILTER_HASH), BigInt(filter));
      writeWord(ops(slot) + BigInt(OPS_NOTRACE_HASH), BigInt(notrace));
    },
    setDirectCall,
    isDirect: (slot) => direct[slot] === 1,
    placeTable(table) {
      const bytes = ipTableBytes(table);
      const address = rooms.take(bytes.length, !isWalked());
      if (address === undefined) {
        throw new FtraceError(
          "ENOMEM",
          "too-many",
          `Cannot place a filter of ${table.keys.length / 2} functions: the tracing range is full`,
          "one hash for several ops, or smaller filters",
        );
      }
      space.poke(BigInt(address), bytes);
      return address;
    },
    freeTable: (address) => rooms.free(address),
    assemble(source, more = {}) {
      const labels: Record<string, bigint> = { ...more };
      for (const [name, value] of Object.entries(symbols)) {
        if (value !== undefined) labels[name] ??= value;
      }
      const size = assemble(source, { origin: BigInt(text), symbols: labels }).bytes.length;
      const address = BigInt(tracing.allocate(size, READ | EXECUTE));
      const made = assemble(source, { origin: address, symbols: labels });
      space.poke(address, made.bytes);
      machine.fenceI();
      return { address, symbols: made.symbols };
    },
  };
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
