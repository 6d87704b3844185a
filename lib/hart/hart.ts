/**
 * One hart: its registers, its counters and its time.
 *
 * The state lies in host memory, where emitted code works on it directly; the members here are
 * views and accessors on the same bytes, so that there is one state whoever executes. Emitted code
 * knows one place only: of several harts the running one is there, and each other one at a place of
 * its own ({@linkcode Hart.enter}).
 *
 * Offsets are `state.ts`; CSRs `csr.ts`; modes and traps `system.ts`; who executes instructions is
 * `lib/engine`.
 *
 * @module
 */
import { FetchCache } from "../memory/fetch_cache.ts";
import type { Memory } from "../memory/memory.ts";
import { type AddressSpace, FlatSpace } from "../memory/space.ts";
import { RV64 } from "../isa/decode.ts";
import { ALL_EXTENSIONS, type Decoder, restrictIsa } from "../isa/isa_string.ts";
import { createCsrs, type Csrs } from "./csr.ts";
import { HartSpace } from "./hart_space.ts";
import {
  CHARGE_TRACING,
  F,
  FCSR,
  FLOAT_GUARD,
  HART_ID,
  IDLE,
  INSTRET,
  PC,
  REGION_INSTRET,
  RESERVED_ADDRESS,
  RESERVED_VALUE,
  STATE_SIZE,
  TRANSLATED,
  X,
} from "./state.ts";
import { ADUE, type Mode } from "./privilege.ts";
import { System } from "./system.ts";
import type { Trap } from "./trap.ts";

/** A RISC-V hart: its registers, its privilege mode, and the time that it has executed. */
export class Hart {
  /** The hart's number among those of its machine, from 0 (mhartid). */
  readonly id: number;
  /** The memory that the hart loads from, stores to and fetches from. */
  readonly memory: Memory;
  /** The address space that the hart sees, for tracers that read its stack and arguments. */
  readonly space: AddressSpace;
  /** The instructions that the hart has fetched since its last `fence.i`. */
  readonly fetched: FetchCache;
  /** Integer registers, signed; x[0] stays 0. Another view once the hart runs, or no longer does. */
  x!: BigInt64Array;
  /** The integer registers as halves: low, high, low, high … */
  x32!: Int32Array;
  /** Floating-point registers as raw bits, 64 each. */
  f!: BigUint64Array;
  /** The privilege mode that the hart executes in. */
  mode: Mode;
  /** The privileged registers; undefined for a hart that has user mode alone. */
  readonly system: System | undefined;
  /** The control and status registers, as the hart's mode may access them. */
  readonly csrs: Csrs;
  /** Whether somebody has to look at the hart before its next instruction. */
  attention = false;
  /** Whether the hart waits in `wfi` for an interrupt. */
  waiting = false;
  /**
   * What it decodes.
   *
   * @internal
   */
  isa: Decoder = RV64;
  #extensions = ALL_EXTENSIONS;
  /** Whether misaligned loads and stores trap instead of working. */
  trapsMisaligned = false;
  /** What mtime is ahead of the hart's own time, because the guest wrote to it. */
  timeDelta = 0n;
  #serviceRequested = false;
  #flat = true;
  #floatGuard = false;
  #idle = 0n;
  /** Host address of the hart's state while another hart runs. */
  readonly #home: number;
  #base = 0;
  readonly #views = new Map<number, Views>();
  readonly #state: DataView;
  #words!: BigInt64Array;
  #pcHalves!: Uint32Array;
  #counters!: BigUint64Array;
  #counterHalves!: Uint32Array;

  /**
   * A hart as reset leaves it: all zeros, no reservation. One with mode M has the privileged modes,
   * one with mode U runs a user's program and no more. With `home`, it runs only after
   * {@linkcode Hart.enter}.
   */
  constructor(id: number, memory: Memory, mode: "U" | "M", home: "running" | "aside" = "running") {
    this.id = id;
    this.memory = memory;
    this.mode = mode;
    this.fetched = new FetchCache(memory);
    this.#state = memory.hostView;
    this.#home = home === "running" ? X : memory.heap.allocate(STATE_SIZE, 64);
    this.#view(this.#home);
    this.x.fill(0n);
    this.f.fill(0n);
    this.reservation = { address: -1n, value: 0n };
    this.#state.setUint32(this.#base + HART_ID, id, true);
    this.csrs = createCsrs(this);
    this.system = mode === "M" ? new System(this) : undefined;
    this.space = this.system
      ? new HartSpace(memory, this.system.translation)
      : new FlatSpace(memory);
    this.system?.changed();
  }

  /** Makes the members views on the state at a place in host memory. */
  #view(place: number): void {
    const views = this.#views.get(place) ?? viewsAt(this.memory.host.buffer, place - X);
    this.#views.set(place, views);
    this.#base = place - X;
    this.x = views.x;
    this.x32 = views.x32;
    this.f = views.f;
    this.#words = views.words;
    this.#pcHalves = views.pcHalves;
    this.#counters = views.counters;
    this.#counterHalves = views.counterHalves;
  }

  /** Takes the running hart's place, which `from` leaves. What `from` had reserved is lost. */
  enter(from: Hart | undefined): void {
    if (from === this || this.#home === X) return;
    if (from) {
      from.reservation = { address: -1n, value: 0n };
      this.memory.hostBytes.copyWithin(from.#home, X, X + STATE_SIZE);
      from.#view(from.#home);
    }
    this.memory.hostBytes.copyWithin(X, this.#home, this.#home + STATE_SIZE);
    this.#view(X);
  }

  /** Address of the next instruction, unsigned. */
  get pc(): bigint {
    return BigInt.asUintN(64, this.#words[0]!);
  }
  set pc(value: bigint) {
    this.#words[0] = value;
  }

  /** The value of fcsr: fflags in bits 0 to 4, frm in bits 5 to 7. */
  get fcsr(): number {
    return this.#state.getUint32(this.#base + FCSR, true);
  }
  set fcsr(value: number) {
    this.#state.setUint32(this.#base + FCSR, value & 255, true);
  }

  /** Instructions of the guest's own that have retired; a call site counts two, on or off. */
  get instret(): bigint {
    return this.#counters[0]!;
  }
  set instret(value: bigint) {
    this.#counters[0] = value;
  }

  /**
   * Instructions of {@linkcode Hart.instret} that compiled code has executed.
   *
   * @internal
   */
  get compiledInstret(): number {
    const at = this.#base + REGION_INSTRET;
    return this.#state.getUint32(at, true) + this.#state.getUint32(at + 4, true) * 2 ** 32;
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

  /** Whether the instruction at pc is one of the tracing range's. */
  get isTracing(): boolean {
    const pc = this.#pcHalves[0]!;
    if (this.#pcHalves[1] !== 0 || !this.memory.isTracing(pc)) return false;
    return this.#flat || this.system!.translation.isTracing(BigInt(pc));
  }

  /** pc as a number, or −1 where it has a bit above 31 set. */
  get pcNumber(): number {
    return this.#pcHalves[1] === 0 ? this.#pcHalves[0]! : -1;
  }

  /**
   * The address in an integer register as a number: signed, so that every address of a space, low or
   * high, is one exactly.
   */
  addressIn(register: number): number {
    return this.x32[register * 2 + 1]! * 2 ** 32 + (this.x32[register * 2]! >>> 0);
  }

  /** Goes on at the address in an integer register. */
  goToRegister(register: number): void {
    this.#pcHalves[0] = this.x32[register * 2]!;
    this.#pcHalves[1] = this.x32[register * 2 + 1]!;
  }

  /** Whether tracing costs the guest time. */
  get chargeTracing(): boolean {
    return this.#state.getUint32(this.#base + CHARGE_TRACING, true) !== 0;
  }
  set chargeTracing(value: boolean) {
    this.#state.setUint32(this.#base + CHARGE_TRACING, value ? 1 : 0, true);
  }

  /** What the last lr reserved; address −1 is nothing. */
  get reservation(): { readonly address: bigint; readonly value: bigint } {
    return {
      address: this.#state.getBigInt64(this.#base + RESERVED_ADDRESS, true),
      value: this.#state.getBigInt64(this.#base + RESERVED_VALUE, true),
    };
  }
  set reservation({ address, value }: { readonly address: bigint; readonly value: bigint }) {
    this.#state.setBigInt64(this.#base + RESERVED_ADDRESS, address, true);
    this.#state.setBigInt64(this.#base + RESERVED_VALUE, value, true);
  }

  /** Whether emitted code has to leave float instructions to the reference. */
  get floatGuard(): boolean {
    return this.#floatGuard;
  }
  set floatGuard(value: boolean) {
    this.#floatGuard = value;
    this.#state.setUint32(this.#base + FLOAT_GUARD, value ? 1 : 0, true);
  }

  /** Whether addresses are physical, and nothing but a page's permissions restricts accesses. */
  get flat(): boolean {
    return this.#flat;
  }
  set flat(value: boolean) {
    this.#flat = value;
    this.#state.setUint32(this.#base + TRANSLATED, value ? 0 : 1, true);
  }

  /** Extensions that it has. To be set before it runs. */
  get extensions(): ReadonlySet<string> {
    return this.#extensions;
  }
  set extensions(names: ReadonlySet<string>) {
    this.#extensions = names;
    this.isa = restrictIsa(RV64, names);
    if (this.system) this.system.menvcfg = names.has("svadu") ? ADUE : 0n;
  }

  /** Whether instructions may lie at any even address. */
  get hasCompressed(): boolean {
    return this.#extensions.has("c");
  }

  /** Whether something, such as a store to a device, waits for the platform to look at it. */
  get serviceRequested(): boolean {
    return this.#serviceRequested;
  }
  set serviceRequested(value: boolean) {
    this.#serviceRequested = value;
    if (value) this.attention = true;
    else this.system?.changed();
  }

  /** Virtual nanoseconds that it has waited instead of executing. */
  get idle(): bigint {
    return this.#idle;
  }
  set idle(value: bigint) {
    this.#idle = value;
    this.#state.setBigInt64(this.#base + IDLE, value, true);
  }

  /** Virtual nanoseconds since the first instruction: one an instruction, and what it waited. */
  now(): bigint {
    const busy = this.chargeTracing ? this.instret + this.overhead : this.instret;
    return this.#idle === 0n ? busy : busy + this.#idle;
  }

  /** The value of mtime: the hart's virtual nanoseconds, counted on from what the guest wrote. */
  get mtime(): bigint {
    return BigInt.asUintN(64, this.now() + this.timeDelta);
  }

  /**
   * Enters the handler of a trap, in the mode that it is delegated to.
   *
   * @returns False, and nothing has changed, if no instruction of it could ever be fetched.
   */
  takeTrap({ cause, value, pc }: Trap): boolean {
    return this.system?.enter(cause, value, pc, false) ?? false;
  }

  /** Enters the handler of the interrupt that is pending, if there is one; false as above. */
  takeInterrupt(): boolean {
    const interrupt = this.system?.pendingInterrupt();
    if (interrupt === undefined) return true;
    return this.system!.enter(interrupt, 0n, this.pc, true);
  }

  /** Waits for an interrupt, as `wfi` does, unless one is pending. */
  wait(): void {
    if (!this.system || this.system.wakes) return;
    this.waiting = true;
    this.attention = true;
  }
}

/** Typed arrays over a hart's state at one host address. */
interface Views {
  readonly x: BigInt64Array;
  readonly x32: Int32Array;
  readonly f: BigUint64Array;
  readonly words: BigInt64Array;
  readonly pcHalves: Uint32Array;
  readonly counters: BigUint64Array;
  readonly counterHalves: Uint32Array;
}

function viewsAt(buffer: ArrayBufferLike, base: number): Views {
  return {
    x: new BigInt64Array(buffer, base + X, 32),
    x32: new Int32Array(buffer, base + X, 64),
    f: new BigUint64Array(buffer, base + F, 32),
    words: new BigInt64Array(buffer, base + PC, 1),
    pcHalves: new Uint32Array(buffer, base + PC, 2),
    counters: new BigUint64Array(buffer, base + INSTRET, 2),
    counterHalves: new Uint32Array(buffer, base + INSTRET, 4),
  };
}
