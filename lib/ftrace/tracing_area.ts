/**
 * What lies in the tracing range: trampolines, one-instruction stubs that call the host, and the
 * `struct ftrace_ops` that literals point at.
 *
 * The guest can run the first two and read the third; it owns none of them. An ops of a tracer has
 * a stub and a struct of its own, so that in guest memory it looks as it does in the kernel's:
 * `ops->func` at offset 0 is an address that can be called.
 *
 * What the trampolines do is `lib/trampoline`; what a host call does is `call_paths.ts`.
 *
 * @module
 */
import type { Machine } from "../machine/machine.ts";
import { EXECUTE, READ } from "../memory/memory.ts";
import {
  buildTrampolines,
  OPS_FLAGS,
  OPS_FUNC,
  OPS_SIZE,
  type Trampolines,
} from "../trampoline/caller.ts";
import type { Poison } from "../trampoline/poison.ts";
import type { EraName } from "./era.ts";

/** The host call (custom-0), legal in the tracing range only. */
const HOST_CALL = 0x0000000b;
/** Most ops registered over the life of a trace; slots of unregistered ones are used again. */
const MAX_OPS = 1024;
const PAGE = 4096;

/** The slots that the core itself takes. */
export const OPS_SLOT = { list: 0, nop: 1, first: 2 } as const;

/** How far before its ip a call-ops site has its literal: ip is entry + 4, the literal entry − 8. */
export const LITERAL_OFFSET = 12;

/** The tracing range of one machine, filled. */
export interface TracingArea {
  /** The trampolines and where their labels are. */
  readonly trampolines: Trampolines;
  /** Guest address of the stub of a slot. */
  stub(slot: number): bigint;
  /** Guest address of the `struct ftrace_ops` of a slot. */
  ops(slot: number): bigint;
  /** Takes a free slot and writes its struct. @throws {RangeError} If 1022 are in use. */
  take(flags: number): number;
  /** Gives a slot back. */
  free(slot: number): void;
  /** Whether sites have literals that name their ops. */
  readonly literals: boolean;
  /** Says which slot sites without a literal call: what the trampoline itself was pointed at. */
  shared: number;
  /** The slot that a site at `ip` calls: its literal's, or the shared one; undefined if neither is known. */
  slotAt(ip: number): number | undefined;
  /** Writes one of the 64-bit words that trampolines load. */
  writeWord(address: bigint, value: bigint): void;
  /** Where the frame of a virtual site is made: the guest's stack is not touched there. */
  readonly scratchFrame: number;
}

/** Lays out and fills the tracing range. */
export function createTracingArea(
  machine: Machine,
  era: EraName,
  literals: boolean,
  poison: Poison,
): TracingArea {
  const { memory, tracing } = machine;
  const text = tracing.allocate(PAGE, READ | EXECUTE);
  const stubs = tracing.allocate(MAX_OPS * 4, READ | EXECUTE);
  const data = tracing.allocate(PAGE, READ);
  const structs = tracing.allocate(MAX_OPS * OPS_SIZE, READ);
  const trampolines = buildTrampolines(era, BigInt(text), BigInt(data), poison);
  if (trampolines.bytes.length > PAGE) {
    throw new RangeError("Cannot place the trampolines: more than a page");
  }
  memory.poke(text, trampolines.bytes);
  const writeWord = (address: bigint, value: bigint) => {
    const word = new Uint8Array(8);
    new DataView(word.buffer).setBigUint64(0, value, true);
    memory.poke(Number(address), word);
  };
  const stub = (slot: number) => BigInt(stubs + slot * 4);
  const ops = (slot: number) => BigInt(structs + slot * OPS_SIZE);
  const used = new Set<number>();
  const fill = (slot: number, func: bigint, flags: number) => {
    const word = new Uint8Array(4);
    new DataView(word.buffer).setUint32(0, HOST_CALL, true);
    memory.poke(stubs + slot * 4, word);
    writeWord(ops(slot) + BigInt(OPS_FUNC), func);
    writeWord(ops(slot) + BigInt(OPS_FLAGS), BigInt(flags));
    used.add(slot);
  };
  fill(OPS_SLOT.list, stub(OPS_SLOT.list), 0);
  fill(OPS_SLOT.nop, trampolines.symbols.ftrace_stub, 0);
  const { function_trace_op, ftrace_call_dest } = trampolines.data;
  if (function_trace_op !== undefined) writeWord(function_trace_op, ops(OPS_SLOT.list));
  if (ftrace_call_dest !== undefined) writeWord(ftrace_call_dest, trampolines.symbols.ftrace_stub);

  return {
    trampolines,
    literals,
    shared: OPS_SLOT.nop,
    slotAt(ip) {
      if (!literals) return this.shared;
      const address = Number(memory.view.getBigUint64(ip - LITERAL_OFFSET, true));
      const slot = (address - structs) / OPS_SIZE;
      return Number.isInteger(slot) && used.has(slot) ? slot : undefined;
    },
    stub,
    ops,
    writeWord,
    scratchFrame: data + PAGE / 2,
    take(flags) {
      let slot: number = OPS_SLOT.first;
      while (used.has(slot)) slot++;
      if (slot >= MAX_OPS) {
        throw new RangeError(`Cannot register another ops: ${MAX_OPS} are in use`);
      }
      fill(slot, stub(slot), flags);
      return slot;
    },
    free(slot) {
      used.delete(slot);
    },
  };
}
