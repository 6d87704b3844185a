/**
 * One hart: its registers, its counters and its time.
 *
 * The state lies in host memory, where emitted code works on it directly; the members here are
 * views and accessors on the same bytes, so that there is one state whoever executes.
 *
 * Offsets are `state.ts`; CSRs `csr.ts`; who executes instructions is `lib/engine`.
 *
 * @module
 */
import { FetchCache } from "../memory/fetch_cache.ts";
import type { Memory } from "../memory/memory.ts";
import { createCsrs, type Csrs } from "./csr.ts";
import {
  CHARGE_TRACING,
  F,
  FCSR,
  INSTRET,
  PC,
  RESERVED_ADDRESS,
  RESERVED_VALUE,
  X,
} from "./state.ts";
import type { Trap } from "./trap.ts";

/** A RISC-V hart. */
export class Hart {
  /** mhartid. */
  readonly id: number;
  /** What it loads from, stores to and fetches from. */
  readonly memory: Memory;
  /** What it has fetched. */
  readonly fetched: FetchCache;
  /** Integer registers, signed; x[0] stays 0. */
  readonly x: BigInt64Array;
  /** The same registers as halves: low, high, low, high … */
  readonly x32: Int32Array;
  /** Floating-point registers, raw bits. */
  readonly f: BigUint64Array;
  /** Privilege mode. */
  readonly mode: "U" | "M";
  /** Control and status registers. */
  readonly csrs: Csrs;
  readonly #state: DataView;
  readonly #words: BigInt64Array;
  readonly #pcHalves: Uint32Array;
  readonly #counters: BigUint64Array;
  readonly #counterHalves: Uint32Array;

  /** A hart as reset leaves it: all zeros, no reservation. */
  constructor(id: number, memory: Memory, mode: "U" | "M") {
    this.id = id;
    this.memory = memory;
    this.mode = mode;
    this.fetched = new FetchCache(memory);
    const { buffer } = memory.host;
    this.x = new BigInt64Array(buffer, X, 32);
    this.x32 = new Int32Array(buffer, X, 64);
    this.f = new BigUint64Array(buffer, F, 32);
    this.#state = memory.hostView;
    this.#words = new BigInt64Array(buffer, PC, 1);
    this.#pcHalves = new Uint32Array(buffer, PC, 2);
    this.#counters = new BigUint64Array(buffer, INSTRET, 2);
    this.#counterHalves = new Uint32Array(buffer, INSTRET, 4);
    this.x.fill(0n);
    this.f.fill(0n);
    this.reservation = { address: -1n, value: 0n };
    this.csrs = createCsrs(this);
  }

  /** Address of the next instruction, unsigned. */
  get pc(): bigint {
    return BigInt.asUintN(64, this.#words[0]!);
  }
  set pc(value: bigint) {
    this.#words[0] = value;
  }

  /** fflags and frm. */
  get fcsr(): number {
    return this.#state.getUint32(FCSR, true);
  }
  set fcsr(value: number) {
    this.#state.setUint32(FCSR, value & 255, true);
  }

  /** Instructions of the guest's own that have retired; a call site counts two, on or off. */
  get instret(): bigint {
    return this.#counters[0]!;
  }
  set instret(value: bigint) {
    this.#counters[0] = value;
  }

  /** Instructions of trampolines that have retired, or would have on the real path. */
  get overhead(): bigint {
    return this.#counters[1]!;
  }
  set overhead(value: bigint) {
    this.#counters[1] = value;
  }

  /** Counts one retired instruction, in `overhead` if it is one of the tracing range. */
  retire(tracing: boolean): void {
    const low = tracing ? 2 : 0;
    const count = (this.#counterHalves[low]! + 1) >>> 0;
    this.#counterHalves[low] = count;
    if (count === 0) this.#counterHalves[low + 1]! += 1;
  }

  /** Adds to `overhead` what a trampoline retires. */
  charge(count: number): void {
    const low = this.#counterHalves[2]! + count;
    this.#counterHalves[2] = low;
    if (low >= 2 ** 32) this.#counterHalves[3]! += 1;
  }

  /** pc as a number, or −1 where it has a bit above 31 set. */
  get pcNumber(): number {
    return this.#pcHalves[1] === 0 ? this.#pcHalves[0]! : -1;
  }

  /** Goes on at the address in an integer register. */
  goToRegister(register: number): void {
    this.#pcHalves[0] = this.x32[register * 2]!;
    this.#pcHalves[1] = this.x32[register * 2 + 1]!;
  }

  /** Whether tracing costs the guest time. */
  get chargeTracing(): boolean {
    return this.#state.getUint32(CHARGE_TRACING, true) !== 0;
  }
  set chargeTracing(value: boolean) {
    this.#state.setUint32(CHARGE_TRACING, value ? 1 : 0, true);
  }

  /** What the last lr reserved; address −1 is nothing. */
  get reservation(): { readonly address: bigint; readonly value: bigint } {
    return {
      address: this.#state.getBigInt64(RESERVED_ADDRESS, true),
      value: this.#state.getBigInt64(RESERVED_VALUE, true),
    };
  }
  set reservation({ address, value }: { readonly address: bigint; readonly value: bigint }) {
    this.#state.setBigInt64(RESERVED_ADDRESS, address, true);
    this.#state.setBigInt64(RESERVED_VALUE, value, true);
  }

  /** Virtual nanoseconds since the first instruction: one an instruction. */
  now(): bigint {
    return this.chargeTracing ? this.instret + this.overhead : this.instret;
  }

  /**
   * Enters the machine-mode trap handler.
   *
   * @returns False, and nothing has changed, if nothing can be fetched where mtvec points.
   */
  takeTrap(trap: Trap): boolean {
    const handler = this.csrs.trapVector();
    if (handler >= 2n ** 32n || this.fetched.fetch(Number(handler)) < 0) return false;
    this.csrs.enterTrap(trap);
    this.pc = handler;
    return true;
  }
}
