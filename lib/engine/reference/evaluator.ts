/**
 * The reading of instructions that is the oracle of all others: a value is a bigint, and a word of
 * the vocabulary does at once what it says, on one hart.
 *
 * Integers are signed two's complement, floating-point numbers are bit patterns. Accesses that can
 * fault come before register writes in every definition, so nothing needs to be undone.
 *
 * What is in flight is `in_flight.ts`; memory is accessed by `data_access.ts`; which instruction is
 * next, and what retires, is `reference.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { F, X } from "../../hart/state.ts";
import type { Trap } from "../../hart/trap.ts";
import {
  type Access,
  type Alu,
  type AmoOperation,
  Cause,
  type CsrUpdate,
  type Field,
  type Format,
  type Fpu,
  type Sem,
} from "../../isa/sem.ts";
import { DataAccess } from "./data_access.ts";
import { floatUnit } from "./float_unit.ts";
import { FAR, InFlight, type Placed, TRAPPED } from "./in_flight.ts";
import { ALU32, ALU64, unsigned32, unsigned64, wrap32, wrap64 } from "./integer_alu.ts";
import { CANONICAL_NAN, Rounding } from "./softfloat.ts";

/** What is or'ed to a narrower number to make it fill a register. */
const BOXES = { h: 0xffffffffffffn << 16n, s: 0xffffffffn << 32n } as const;

/** Executes single instructions on one hart. */
export class Evaluator implements Sem<bigint> {
  /** 64-bit arithmetic. */
  readonly i64: Alu<bigint> = ALU64;
  /** 32-bit arithmetic. */
  readonly i32: Alu<bigint> = ALU32;
  /** Floating-point arithmetic. */
  readonly float: Readonly<Record<Format, Fpu<bigint>>>;
  readonly #hart: Hart;
  readonly #x: BigInt64Array;
  readonly #f: BigUint64Array;
  readonly #flight: InFlight;
  readonly #data: DataAccess;
  #floatWritten = false;
  /** The integer register written last, and what it held. */
  #written = 0;
  #before = 0n;

  /** Evaluates instructions on a hart's registers, CSRs and memory. */
  constructor(hart: Hart) {
    this.#hart = hart;
    // A hart that executes is at the running one's place.
    const { buffer } = hart.memory.host;
    this.#x = new BigInt64Array(buffer, X, 32);
    this.#f = new BigUint64Array(buffer, F, 32);
    const flight = this.#flight = new InFlight(hart);
    this.#data = new DataAccess(hart, flight);
    this.float = {
      h: floatUnit("h", flight),
      s: floatUnit("s", flight),
      d: floatUnit("d", flight),
    };
  }

  /**
   * Executes one instruction.
   *
   * @returns The next pc if that is below 4 GiB, else {@linkcode FAR} or {@linkcode TRAPPED}.
   */
  execute(placed: Placed): number {
    const flight = this.#flight;
    flight.begin(placed);
    this.#written = 0;
    if (placed.floats && this.#hart.floatGuard) this.#guarded(placed);
    else if (this.#isReserved(placed)) flight.raise(Cause.Illegal);
    else placed.instruction.definition.meaning(this);
    return flight.trap === undefined ? flight.next : TRAPPED;
  }

  /** Whether the rounding mode in force is none. */
  #isReserved({ rounding }: Placed): boolean {
    return rounding > Rounding.nearestAway && this.#flight.rounding > Rounding.nearestAway;
  }

  /** A float instruction while the float registers are off, or to be marked when they change. */
  #guarded(placed: Placed): void {
    const system = this.#hart.system!;
    if (system.floats === "off") return this.trap(Cause.Illegal);
    const before = this.#hart.fcsr;
    if (this.#isReserved(placed)) return this.trap(Cause.Illegal);
    placed.instruction.definition.meaning(this);
    if (this.#floatWritten || this.#hart.fcsr !== before) system.dirtyFloats();
    this.#floatWritten = false;
  }

  /** The next pc, unsigned, after {@linkcode Evaluator.execute} gave {@linkcode FAR}. */
  get far(): bigint {
    return this.#flight.far;
  }

  /** The trap that the last instruction raised, if it raised one. */
  get trapped(): Trap | undefined {
    return this.#flight.trap;
  }

  /** An integer register, signed. */
  x(field: Field): bigint {
    return this.#x[this.#flight.number(field)]!;
  }

  /** Writes an integer register. */
  setX(field: Field, value: bigint): void {
    const number = this.#flight.number(field);
    if (number === 0 || this.#flight.trap !== undefined) return;
    this.#written = number;
    this.#before = this.#x[number]!;
    this.#x[number] = value;
  }

  /** Raw bits of a float register. */
  fbits(field: Field): bigint {
    return wrap64(this.#f[this.#flight.number(field)]!);
  }

  /** Bits of a float register in a format. */
  f(format: Format, field: Field): bigint {
    const bits = this.#f[this.#flight.number(field)]!;
    if (format === "d") return bits;
    return bits >= BOXES[format] ? bits ^ BOXES[format] : CANONICAL_NAN[format];
  }

  /** Writes a float register. */
  setF(format: Format, field: Field, value: bigint): void {
    if (this.#flight.trap) return;
    this.#floatWritten = true;
    this.#f[this.#flight.number(field)] = format === "d" ? value : value | BOXES[format];
  }

  /** The immediate. */
  imm(): bigint {
    return this.#flight.placed.imm;
  }

  /** pc + immediate. */
  target(): bigint {
    return wrap64(this.#flight.placed.pc + this.#flight.placed.imm);
  }

  /** Address of the following instruction. */
  next(): bigint {
    return wrap64(this.#flight.placed.link);
  }

  /** The value itself. */
  constant(value: bigint): bigint {
    return value;
  }

  /** The value itself. */
  keep(value: bigint): bigint {
    return value;
  }

  /** Low half. */
  low(value: bigint): bigint {
    return wrap32(value);
  }

  /** A word, sign-extended; it is held so. */
  signed(word: bigint): bigint {
    return word;
  }

  /** A word, zero-extended. */
  unsigned(word: bigint): bigint {
    return unsigned32(word);
  }

  /** `a` if the condition is not 0, else `b`. */
  select(condition: bigint, a: bigint, b: bigint): bigint {
    return condition ? a : b;
  }

  /** Upper half of the product. */
  mulh(a: bigint, b: bigint): bigint {
    return (a * b) >> 64n;
  }

  /** Upper half of the unsigned product. */
  mulhu(a: bigint, b: bigint): bigint {
    return wrap64((unsigned64(a) * unsigned64(b)) >> 64n);
  }

  /** Upper half of the product of a signed and an unsigned value. */
  mulhsu(a: bigint, b: bigint): bigint {
    return (a * unsigned64(b)) >> 64n;
  }

  /** A value from memory, extended as the access says; misaligned ones work unless they are to trap. */
  load(access: Access, base: bigint, offset = 0n): bigint {
    return this.#data.load(access, base, offset);
  }

  /** Writes the low bytes of a value to memory; misaligned ones work unless they are to trap. */
  store(access: Access, base: bigint, offset: bigint, value: bigint): void {
    this.#data.store(access, base, offset, value);
  }

  /** Reads and updates memory as one access, of which every fault is a store's. */
  amo(operation: AmoOperation, access: Access, address: bigint, value: bigint): bigint {
    return this.#data.amo(operation, access, address, value);
  }

  /** Reads, and remembers physical address and value for the next store-conditional. */
  loadReserved(access: Access, address: bigint): bigint {
    return this.#data.loadReserved(access, address);
  }

  /** Stores if the reserved address still holds the reserved value. Faults even if it would fail. */
  storeConditional(access: Access, address: bigint, value: bigint): bigint {
    return this.#data.storeConditional(access, address, value);
  }

  /** Zeroes the 64-byte block around an address; or does nothing but ask whether it could be stored to. */
  cacheBlock(operation: "manage" | "zero", address: bigint): void {
    this.#data.cacheBlock(operation, address);
  }

  /** Reads a CSR and updates it. Set and clear with source x0, or 0, do not write. */
  csr(update: CsrUpdate, source: bigint): bigint {
    const { csrs } = this.#hart;
    const number = this.#flight.word >>> 20;
    const old = csrs.read(number);
    if (old === undefined) return this.#illegal();
    if (update === "write" || this.#flight.number("rs1") !== 0) {
      const readOnly = number >>> 10 === 3;
      const base = csrs.base(number) ?? old;
      const value = update === "write" ? source : update === "set" ? base | source : base & ~source;
      if (readOnly || !csrs.write(number, value)) return this.#illegal();
    }
    return wrap64(old);
  }

  #illegal(): bigint {
    this.trap(Cause.Illegal);
    return 0n;
  }

  /** Jumps if the condition is not 0. */
  branch(condition: bigint): void {
    if (condition) this.jump(this.target());
  }

  /** Goes on elsewhere. */
  jump(target: bigint): void {
    if (this.#flight.trap !== undefined) return;
    if ((target & 2n) !== 0n && !this.#hart.hasCompressed) return this.#misalignedJump(target);
    const next = Number(target);
    this.#flight.next = next >= 0 && next < 2 ** 32 ? next : FAR;
    if (this.#flight.next === FAR) this.#flight.far = unsigned64(target);
  }

  /** A jump that traps links nothing. */
  #misalignedJump(target: bigint): void {
    if (this.#written === this.#flight.number("rd")) this.#x[this.#written] = this.#before;
    this.trap(Cause.FetchMisaligned, unsigned64(target));
  }

  /** Raises a trap, unless there is one already. */
  trap(cause: Cause, value?: bigint): void {
    this.#flight.raise(cause, value);
  }

  /** Memory is always in order; a fetch fence drops what the hart has fetched. */
  synchronize(what: "memory" | "fetch"): void {
    if (what === "fetch") this.#hart.fetched.fence();
  }

  /** mret and sret. Illegal below their modes, and sret where mstatus.TSR says so. */
  returnFromTrap(level: "M" | "S"): void {
    const { system } = this.#hart;
    if (!system?.permits(level === "M" ? "mret" : "sret")) return this.trap(Cause.Illegal);
    this.jump(system.leave(level));
  }

  /** wfi: illegal in user mode, and where mstatus.TW says so. */
  wait(): void {
    if (this.#hart.system?.permits("wfi")) this.#hart.wait();
    else this.trap(Cause.Illegal);
  }

  /** sfence.vma; x0 as an operand is not an address or space of 0. */
  forgetTranslations(address: bigint, space: bigint): void {
    const { system } = this.#hart;
    if (!system?.permits("sfence.vma")) return this.trap(Cause.Illegal);
    system.translation.fence(
      this.#flight.number("rs1") === 0 ? undefined : address,
      this.#flight.number("rs2") === 0 ? undefined : space,
    );
  }
}
