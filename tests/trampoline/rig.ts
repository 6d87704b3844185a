/**
 * One traced function on a bare hart: a call site, the trampolines of a scheme, and a callback.
 *
 * The rig takes the place of `lib/ftrace`: it points the trampolines at one stub and answers its
 * host call, so that what a trampoline does can be seen by itself.
 *
 * @module
 */
import { createReference } from "../../lib/engine/reference/reference.ts";
import { Hart } from "../../lib/hart/hart.ts";
import { Cause } from "../../lib/isa/sem.ts";
import { EXECUTE, READ, WRITE } from "../../lib/memory/page.ts";
import { Memory } from "../../lib/memory/memory.ts";
import { callPair, wordBytes } from "../../lib/patcher/scheme.ts";
import {
  buildTrampolines,
  type TrampolineName,
  type Trampolines,
} from "../../lib/trampoline/caller.ts";
import { OPS_DIRECT_CALL, OPS_FUNC } from "../../lib/trampoline/ops_struct.ts";

/** Addresses of the rig. */
export const AT = {
  text: 0x7ff00000n,
  stub: 0x7ff01000n,
  data: 0x7ff02000n,
  ops: 0x7ff03000n,
  /** The traced function; its body begins 8 bytes further on. */
  entry: 0x80000010n,
  body: 0x80000018n,
  /** Where its caller goes on. */
  caller: 0x80000100n,
  /** Somewhere else to go. */
  elsewhere: 0x80000200n,
  /** The stack pointer at the call. */
  sp: 0x80008000n,
} as const;

/** A hart at a call site. */
export interface Rig {
  readonly memory: Memory;
  readonly hart: Hart;
  readonly trampolines: Trampolines;
  /** Overhead at the moment of the host call, itself included. */
  readonly before: () => bigint;
  /** Runs from `start` until the hart is at one of the places behind the trampoline; gives it. */
  run(start: bigint, callback: (hart: Hart) => void): bigint;
  /** Writes a 64-bit word. */
  word(address: bigint, value: bigint): void;
}

/** Which trampoline a site calls. */
export type Way = TrampolineName | "regs-full";

/** Every trampoline there is. */
export const WAYS: readonly Way[] = ["regs", "regs-full", "args", "preset", "call-ops"];

/** Sets up one call of one trampoline. */
export function createRig(way: Way): Rig {
  const name = way === "regs-full" ? "regs" : way;
  const memory = new Memory();
  memory.map(Number(AT.text), 0x10000, READ | EXECUTE);
  memory.map(0x80000000, 0x10000, READ | WRITE | EXECUTE);
  const poke = (address: bigint, bytes: Uint8Array) => memory.poke(Number(address), bytes);
  const word = (address: bigint, value: bigint) =>
    memory.view.setBigUint64(Number(address), BigInt.asUintN(64, value), true);
  const trampolines = buildTrampolines(name, AT.text, AT.data);
  const { symbols, data } = trampolines;
  poke(AT.text, trampolines.bytes);
  poke(AT.stub, wordBytes(0x0000000b));
  for (const pair of [symbols.ftrace_call, symbols.ftrace_regs_call]) {
    if (pair !== undefined) poke(pair, wordBytes(...callPair("ra", pair, AT.stub)));
  }
  if (data.function_trace_op !== undefined) word(data.function_trace_op, AT.ops);
  if (data.ftrace_call_dest !== undefined) word(data.ftrace_call_dest, AT.stub);
  word(AT.ops + BigInt(OPS_FUNC), AT.stub);
  word(AT.ops + BigInt(OPS_DIRECT_CALL), 0n);
  word(AT.entry - 8n, AT.ops);
  const target = way === "regs-full" ? symbols.ftrace_regs_caller! : symbols.ftrace_caller;
  poke(AT.entry, wordBytes(...callPair("t0", AT.entry, target)));

  memory.placeTracing(Number(AT.text), 0x80000000);
  const hart = new Hart(0, memory, "U");
  const engine = createReference(memory);
  for (const place of [AT.body, AT.caller, AT.elsewhere]) {
    engine.hook(Number(place), { host: () => "stop" });
  }
  let before = 0n;
  return {
    memory,
    hart,
    trampolines,
    before: () => before,
    word,
    run(start, callback) {
      hart.pc = start;
      for (;;) {
        const stop = engine.run(hart, 1000n);
        if (stop.kind === "stopped") return hart.pc;
        if (stop.kind !== "trap" || stop.trap.cause !== Cause.HostCall) {
          throw new Error(`Cannot run the rig: ${JSON.stringify(stop, (_, v) => String(v))}`);
        }
        hart.overhead += 1n;
        before = hart.overhead;
        callback(hart);
        hart.pc = BigInt.asUintN(64, hart.x[1]!);
      }
    },
  };
}

/** What {@linkcode poison} puts into register x`n`. */
export function poisonOf(n: number): bigint {
  if (n === 0) return 0n;
  if (n === 1) return AT.caller;
  if (n === 2) return AT.sp;
  return 0x5a00_0000_0000_0000n + BigInt(n) * 0x0101_0101n;
}

/** Fills every register with a value of its own; ra and sp with what a call has there. */
export function poison(hart: Hart): void {
  for (let n = 1; n < 32; n++) hart.x[n] = poisonOf(n);
  for (let n = 0; n < 32; n++) hart.f[n] = 0xf100_0000_0000_0000n + BigInt(n);
  hart.fcsr = 0xa5;
}

/** The registers that do not hold what {@linkcode poison} put there, by number. */
export function changed(hart: Hart): Readonly<Record<string, bigint>> {
  const found: Record<string, bigint> = {};
  for (let n = 0; n < 32; n++) {
    if (hart.x[n] !== poisonOf(n)) found[`x${n}`] = BigInt.asUintN(64, hart.x[n]!);
    if (hart.f[n] !== 0xf100_0000_0000_0000n + BigInt(n)) found[`f${n}`] = hart.f[n]!;
  }
  if (hart.fcsr !== 0xa5) found["fcsr"] = BigInt(hart.fcsr);
  return found;
}
