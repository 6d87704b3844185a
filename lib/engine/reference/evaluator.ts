/**
 * The reading of instructions that is the oracle of all others: a value is a bigint, and a word of
 * the vocabulary does at once what it says, on one hart.
 *
 * Integers are signed two's complement, floating-point numbers are bit patterns. A trap is a state:
 * once an instruction has trapped, what is left of its definition has no effect, and as accesses
 * that can fault come before register writes in every definition, nothing needs to be undone.
 *
 * Which instruction is next, and what retires, is `reference.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { F, X } from "../../hart/state.ts";
import { PAGE_FAULT } from "../../hart/translation.ts";
import type { Trap } from "../../hart/trap.ts";
import { type Instruction, SHIFT } from "../../isa/encoding.ts";
import {
  type Access,
  type Alu,
  type AmoOperation,
  BYTE,
  Cause,
  type CsrUpdate,
  type Field,
  type Format,
  type Fpu,
  LONG,
  type Sem,
} from "../../isa/sem.ts";
import type { Memory } from "../../memory/memory.ts";
import { PAGE_SIZE, READ, WRITE } from "../../memory/page.ts";
import { CANONICAL_NAN, Rounding, SoftFloat } from "./softfloat.ts";

/** A decoded instruction at an address, with what the evaluator would work out each time. */
export interface Placed {
  readonly instruction: Instruction;
  /** Address. */
  readonly pc: bigint;
  /** Address of the instruction behind it, or {@linkcode FAR}. */
  readonly next: number;
  /** The same, as it is. */
  readonly link: bigint;
  /** Immediate. */
  readonly imm: bigint;
  /** The bits as fetched: 16 of them if compressed. */
  readonly raw: bigint;
  /** The `rm` field, or −1 where the instruction has none. */
  readonly rounding: number;
  /** Whether it reads or writes float registers. */
  readonly floats: boolean;
  /** Whether it lies in the tracing range. */
  readonly tracing: boolean;
}

/** {@linkcode Evaluator.execute}: the instruction trapped. */
export const TRAPPED = -1;
/** {@linkcode Evaluator.execute}: the next pc has a bit above 31 set. */
export const FAR = -2;

/** Instead of a physical address: the access traps. */
const REFUSED = -1;
/** Instead of one: a device is there. */
const ELSEWHERE = -2;
/** Instead of one: the access lies in two pages that are apart. */
const SPLIT = -3;

const PAGE_FAULT_OF: Readonly<Record<number, Cause>> = {
  [Cause.LoadFault]: Cause.LoadPageFault,
  [Cause.StoreFault]: Cause.StorePageFault,
};

/** What is or'ed to a narrower number to make it fill a register. */
const BOXES = { h: 0xffffffffffffn << 16n, s: 0xffffffffn << 32n } as const;
const WIDTHS: Readonly<Record<Format, number>> = { h: 16, s: 32, d: 64 };

const wrap64 = (value: bigint): bigint => BigInt.asIntN(64, value);
const wrap32 = (value: bigint): bigint => BigInt.asIntN(32, value);
const unsigned64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const unsigned32 = (value: bigint): bigint => BigInt.asUintN(32, value);
const flag = (condition: boolean): bigint => condition ? 1n : 0n;

/** Arithmetic at one width, whose wrapping is given: V8 has fast code for constant widths only. */
function aluOf(
  wrap: (value: bigint) => bigint,
  unsigned: (value: bigint) => bigint,
  lastBit: bigint,
): Alu<bigint> {
  const width = Number(lastBit) + 1;
  const rotate = (value: bigint, left: bigint): bigint =>
    wrap((unsigned(value) << left) | (unsigned(value) >> (lastBit + 1n - left)));
  const digits = (value: bigint): string => unsigned(value).toString(2).padStart(width, "0");
  return {
    add: (a, b) => wrap(a + b),
    sub: (a, b) => wrap(a - b),
    mul: (a, b) => wrap(a * b),
    and: (a, b) => a & b,
    or: (a, b) => a | b,
    xor: (a, b) => a ^ b,
    shl: (a, b) => wrap(a << (b & lastBit)),
    shr: (a, b) => wrap(unsigned(a) >> (b & lastBit)),
    sar: (a, b) => a >> (b & lastBit),
    rotl: (a, b) => rotate(a, b & lastBit),
    rotr: (a, b) => rotate(a, (lastBit + 1n - (b & lastBit)) & lastBit),
    clz: (a) => BigInt((digits(a) + "1").indexOf("1")),
    ctz: (a) => BigInt(a === 0n ? width : width - 1 - digits(a).lastIndexOf("1")),
    cpop: (a) => BigInt(digits(a).replaceAll("0", "").length),
    div: (a, b) => b === 0n ? -1n : wrap(a / b),
    divu: (a, b) => b === 0n ? -1n : wrap(unsigned(a) / unsigned(b)),
    rem: (a, b) => b === 0n ? a : wrap(a % b),
    remu: (a, b) => b === 0n ? a : wrap(unsigned(a) % unsigned(b)),
    eq: (a, b) => flag(a === b),
    ne: (a, b) => flag(a !== b),
    lt: (a, b) => flag(a < b),
    ge: (a, b) => flag(a >= b),
    ltu: (a, b) => flag(unsigned(a) < unsigned(b)),
    geu: (a, b) => flag(unsigned(a) >= unsigned(b)),
  };
}

/** Executes single instructions on one hart. */
export class Evaluator implements Sem<bigint> {
  /** 64-bit arithmetic. */
  readonly i64: Alu<bigint> = aluOf(wrap64, unsigned64, 63n);
  /** 32-bit arithmetic. */
  readonly i32: Alu<bigint> = aluOf(wrap32, unsigned32, 31n);
  /** Floating-point arithmetic. */
  readonly float: Readonly<Record<Format, Fpu<bigint>>> = {
    h: this.#fpuOf("h"),
    s: this.#fpuOf("s"),
    d: this.#fpuOf("d"),
  };
  readonly #hart: Hart;
  readonly #x: BigInt64Array;
  readonly #f: BigUint64Array;
  readonly #memory: Memory;
  readonly #view: DataView;
  readonly #permissions: Uint8Array;
  #placed!: Placed;
  #word = 0;
  #next = 0;
  #far = 0n;
  #trap: Trap | undefined;
  #floatWritten = false;
  /** The integer register written last, and what it held. */
  #written = 0;
  #before = 0n;
  /** Where the device is that {@linkcode Evaluator.#locate} found. */
  #elsewhere = 0;

  /** An evaluator of `hart`. */
  constructor(hart: Hart) {
    this.#hart = hart;
    // A hart that executes is at the running one's place.
    const { buffer } = hart.memory.host;
    this.#x = new BigInt64Array(buffer, X, 32);
    this.#f = new BigUint64Array(buffer, F, 32);
    this.#memory = hart.memory;
    this.#view = hart.memory.view;
    this.#permissions = hart.memory.permissions;
  }

  /**
   * Executes one instruction.
   *
   * @returns The next pc if that is below 4 GiB, else {@linkcode FAR} or {@linkcode TRAPPED}.
   */
  execute(placed: Placed): number {
    this.#placed = placed;
    this.#word = placed.instruction.word;
    this.#next = placed.next;
    this.#far = placed.link;
    this.#trap = undefined;
    this.#written = 0;
    if (placed.floats && this.#hart.floatGuard) this.#guarded(placed);
    else if (placed.rounding > Rounding.nearestAway && this.#rounding() > Rounding.nearestAway) {
      this.trap(Cause.Illegal);
    } else placed.instruction.definition.meaning(this);
    return this.#trap === undefined ? this.#next : TRAPPED;
  }

  /** A float instruction while the float registers are off, or to be marked when they change. */
  #guarded(placed: Placed): void {
    const system = this.#hart.system!;
    if (system.floats === "off") return this.trap(Cause.Illegal);
    const before = this.#hart.fcsr;
    if (placed.rounding > Rounding.nearestAway && this.#rounding() > Rounding.nearestAway) {
      return this.trap(Cause.Illegal);
    }
    placed.instruction.definition.meaning(this);
    if (this.#floatWritten || this.#hart.fcsr !== before) system.dirtyFloats();
    this.#floatWritten = false;
  }

  /** The next pc, unsigned, after {@linkcode Evaluator.execute} gave {@linkcode FAR}. */
  get far(): bigint {
    return this.#far;
  }

  /** The trap that the last instruction raised, if it raised one. */
  get trapped(): Trap | undefined {
    return this.#trap;
  }

  /** The rounding mode in force; 5 and above are reserved. */
  #rounding(): number {
    const { rounding } = this.#placed;
    return rounding === Rounding.dynamic ? this.#hart.fcsr >>> 5 : rounding;
  }

  #number(field: Field): number {
    return (this.#word >>> SHIFT[field]) & 31;
  }

  /** See {@linkcode Sem}, as all that follow. */
  x(field: Field): bigint {
    return this.#x[this.#number(field)]!;
  }

  /** Writes an integer register. */
  setX(field: Field, value: bigint): void {
    const number = this.#number(field);
    if (number === 0 || this.#trap !== undefined) return;
    this.#written = number;
    this.#before = this.#x[number]!;
    this.#x[number] = value;
  }

  /** Raw bits of a float register. */
  fbits(field: Field): bigint {
    return wrap64(this.#f[this.#number(field)]!);
  }

  /** Bits of a float register in a format. */
  f(format: Format, field: Field): bigint {
    const bits = this.#f[this.#number(field)]!;
    if (format === "d") return bits;
    return bits >= BOXES[format] ? bits ^ BOXES[format] : CANONICAL_NAN[format];
  }

  /** Writes a float register. */
  setF(format: Format, field: Field, value: bigint): void {
    if (this.#trap) return;
    this.#floatWritten = true;
    this.#f[this.#number(field)] = format === "d" ? value : value | BOXES[format];
  }

  /** The immediate. */
  imm(): bigint {
    return this.#placed.imm;
  }

  /** pc + immediate. */
  target(): bigint {
    return wrap64(this.#placed.pc + this.#placed.imm);
  }

  /** Address of the following instruction. */
  next(): bigint {
    return wrap64(this.#placed.link);
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

  /** One of two values. */
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

  /**
   * The physical address, once all its bytes may be accessed so; {@linkcode REFUSED} with a trap,
   * {@linkcode ELSEWHERE} or {@linkcode SPLIT} otherwise.
   * mtval is the address, or the start of the second page where only that is refused.
   */
  #locate(address: bigint, bytes: number, permission: number, cause: Cause): number {
    const within = Number(address & BigInt(PAGE_SIZE - 1)) + bytes <= PAGE_SIZE;
    if (!this.#hart.flat) {
      if (within) return this.#translate(address, bytes, permission, cause);
      const first = this.#translate(address, bytes, permission, cause);
      const second = BigInt.asIntN(64, (address | BigInt(PAGE_SIZE - 1)) + 1n);
      if (first === REFUSED) return REFUSED;
      const then = this.#translate(second, 1, permission, cause);
      if (first >= 0 && then >= 0) return SPLIT;
      // Devices take no part of an access.
      if (then !== REFUSED) this.trap(cause, unsigned64(address));
      return REFUSED;
    }
    const start = Number(address);
    if (!this.#allows(start, permission)) return this.#outside(address, start, cause);
    const last = start + bytes - 1;
    if (!within && !this.#allows(last, permission)) {
      return this.#outside(BigInt(last - last % PAGE_SIZE), -1, cause);
    }
    return start;
  }

  #translate(address: bigint, bytes: number, permission: number, cause: Cause): number {
    const virtual = wrap64(address);
    const physical = this.#hart.system!.translation.data(virtual, bytes, permission);
    if (physical >= 0) {
      return this.#allows(physical, permission)
        ? physical
        : this.#outside(virtual, physical, cause);
    }
    this.trap(physical === PAGE_FAULT ? PAGE_FAULT_OF[cause]! : cause, unsigned64(virtual));
    return REFUSED;
  }

  /** No memory: a device, or nothing. */
  #outside(address: bigint, physical: number, cause: Cause): number {
    if (this.#memory.bus.at(physical)) {
      this.#elsewhere = physical;
      return ELSEWHERE;
    }
    this.trap(cause, unsigned64(address));
    return REFUSED;
  }

  #allows(address: number, permission: number): boolean {
    if (address < 0 || address >= 2 ** 32) return false;
    return (this.#permissions[address >>> 12]! & permission) === permission;
  }

  #aligned(address: bigint, { bytes }: Access, cause: Cause): boolean {
    if ((address & BigInt(bytes - 1)) === 0n) return true;
    this.trap(cause, unsigned64(address));
    return false;
  }

  /** Where an atomic goes on: it must be aligned, and no device does atomics. */
  #atomic(address: bigint, access: Access, permission: number, cause: Cause): number {
    const misaligned = cause === Cause.LoadFault ? Cause.LoadMisaligned : Cause.StoreMisaligned;
    if (!this.#aligned(address, access, misaligned)) return REFUSED;
    const at = this.#locate(address, access.bytes, permission, cause);
    if (at === ELSEWHERE) this.trap(cause, unsigned64(address));
    return at;
  }

  /** A value from memory, extended as the access says; misaligned ones work unless they are to trap. */
  load(access: Access, base: bigint, offset = 0n): bigint {
    const address = base + offset;
    if (this.#hart.trapsMisaligned && !this.#aligned(address, access, Cause.LoadMisaligned)) {
      return 0n;
    }
    const at = this.#locate(address, access.bytes, READ, Cause.LoadFault);
    if (at >= 0) return this.#read(access, at);
    if (at === REFUSED) return 0n;
    return at === SPLIT ? this.#readSplit(access, address) : this.#readDevice(access, address);
  }

  #readSplit({ bytes, as }: Access, address: bigint): bigint {
    let value = 0n;
    for (let k = bytes - 1; k >= 0; k--) {
      const at = this.#locate(wrap64(address + BigInt(k)), 1, READ, Cause.LoadFault);
      if (at < 0) return 0n;
      value = value << 8n | BigInt(this.#view.getUint8(at));
    }
    return as === "signed" ? BigInt.asIntN(bytes * 8, value) : value;
  }

  #readDevice({ bytes, as }: Access, address: bigint): bigint {
    const physical = this.#elsewhere;
    const device = this.#memory.bus.at(physical)!;
    const value = physical % bytes === 0
      ? device.read(physical - device.start, bytes, this.#hart.id)
      : undefined;
    if (value === undefined) {
      this.trap(Cause.LoadFault, unsigned64(address));
      return 0n;
    }
    return as === "signed" ? BigInt.asIntN(bytes * 8, value) : value;
  }

  #read({ bytes, as }: Access, at: number): bigint {
    const view = this.#view;
    switch (bytes) {
      case 1:
        return BigInt(as === "signed" ? view.getInt8(at) : view.getUint8(at));
      case 2:
        return BigInt(as === "signed" ? view.getInt16(at, true) : view.getUint16(at, true));
      case 4:
        return BigInt(as === "signed" ? view.getInt32(at, true) : view.getUint32(at, true));
      default:
        return as === "signed" ? view.getBigInt64(at, true) : view.getBigUint64(at, true);
    }
  }

  /** Writes the low bytes of a value to memory; misaligned ones work unless they are to trap. */
  store(access: Access, base: bigint, offset: bigint, value: bigint): void {
    const address = base + offset;
    if (this.#hart.trapsMisaligned && !this.#aligned(address, access, Cause.StoreMisaligned)) {
      return;
    }
    const at = this.#locate(address, access.bytes, WRITE, Cause.StoreFault);
    if (at >= 0) this.#write(access, at, value);
    else if (at === SPLIT) this.#writeSplit(access, address, value);
    else if (at === ELSEWHERE) this.#writeDevice(access, address, value);
  }

  #writeSplit({ bytes }: Access, address: bigint, value: bigint): void {
    for (let k = 0; k < bytes; k++) {
      const at = this.#locate(wrap64(address + BigInt(k)), 1, WRITE, Cause.StoreFault);
      if (at < 0) return;
      this.#write(BYTE, at, value >> BigInt(k * 8));
    }
  }

  #writeDevice({ bytes }: Access, address: bigint, value: bigint): void {
    const physical = this.#elsewhere;
    const device = this.#memory.bus.at(physical)!;
    const bits = BigInt.asUintN(bytes * 8, value);
    const taken = physical % bytes === 0 &&
      device.write(physical - device.start, bytes, bits, this.#hart.id);
    if (!taken) this.trap(Cause.StoreFault, unsigned64(address));
  }

  #write({ bytes }: Access, at: number, value: bigint): void {
    const view = this.#view;
    if (bytes === 8) view.setBigInt64(at, value, true);
    else if (bytes === 4) view.setUint32(at, Number(value & 0xffffffffn), true);
    else if (bytes === 2) view.setUint16(at, Number(value & 0xffffn), true);
    else view.setUint8(at, Number(value & 0xffn));
    const last = at + bytes - 1;
    if (!this.#memory.watch.isQuiet(at >>> 12)) this.#memory.watch.stored(at);
    if (last >>> 12 !== at >>> 12 && !this.#memory.watch.isQuiet(last >>> 12)) {
      this.#memory.watch.stored(last);
    }
  }

  /** Reads and updates memory as one access, of which every fault is a store's. */
  amo(operation: AmoOperation, access: Access, address: bigint, value: bigint): bigint {
    const at = this.#atomic(address, access, READ | WRITE, Cause.StoreFault);
    if (at < 0) return 0n;
    const old = this.#read(access, at);
    const operand = BigInt.asIntN(access.bytes * 8, value);
    this.#write(access, at, this.#combine(operation, access, old, operand));
    return old;
  }

  #combine(operation: AmoOperation, { bytes }: Access, old: bigint, operand: bigint): bigint {
    const unit = bytes === 4 ? this.i32 : this.i64;
    switch (operation) {
      case "swap":
        return operand;
      case "min":
        return unit.lt(old, operand) ? old : operand;
      case "max":
        return unit.lt(old, operand) ? operand : old;
      case "minu":
        return unit.ltu(old, operand) ? old : operand;
      case "maxu":
        return unit.ltu(old, operand) ? operand : old;
      default:
        return unit[operation](old, operand);
    }
  }

  /** Reads, and remembers physical address and value for the next store-conditional. */
  loadReserved(access: Access, address: bigint): bigint {
    const at = this.#atomic(address, access, READ, Cause.LoadFault);
    if (at < 0) return 0n;
    const value = this.#read(access, at);
    this.#hart.reservation = { address: BigInt(at), value };
    return value;
  }

  /** Stores if the reserved address still holds the reserved value. Faults even if it would fail. */
  storeConditional(access: Access, address: bigint, value: bigint): bigint {
    const at = this.#atomic(address, access, READ | WRITE, Cause.StoreFault);
    if (at < 0) return 0n;
    const reserved = this.#hart.reservation;
    const held = reserved.address === BigInt(at) && reserved.value === this.#read(access, at);
    if (held) this.#write(access, at, value);
    this.#hart.reservation = { address: -1n, value: 0n };
    return held ? 0n : 1n;
  }

  /** Zeroes the 64-byte block around an address; or does nothing but ask whether it could be stored to. */
  cacheBlock(operation: "manage" | "zero", address: bigint): void {
    const { system } = this.#hart;
    if (system && !system.permitsCacheBlock(this.#word >>> 20)) return this.trap(Cause.Illegal);
    const start = unsigned64(address) & ~63n;
    const permission = operation === "zero" ? WRITE : READ;
    const at = this.#locate(wrap64(start), 64, permission, Cause.StoreFault);
    if (at === ELSEWHERE) this.trap(Cause.StoreFault, start);
    if (this.#trap || operation === "manage") return;
    for (let k = 0; k < 64; k += 8) this.#write(LONG, at + k, 0n);
  }

  #fpuOf(format: Format): Fpu<bigint> {
    const width = WIDTHS[format];
    const sign = 1n << BigInt(width - 1);
    /** Computes in this instruction's rounding mode and accrues the flags. */
    const exactly = (compute: (soft: SoftFloat) => bigint): bigint => {
      const mode = this.#placed.rounding < 0 ? Rounding.nearestEven : this.#rounding();
      const soft = new SoftFloat(format, mode);
      const result = compute(soft);
      this.#hart.fcsr |= soft.flags;
      return result;
    };
    return {
      add: (a, b) => exactly((soft) => soft.add(a, b)),
      sub: (a, b) => exactly((soft) => soft.sub(a, b)),
      mul: (a, b) => exactly((soft) => soft.mul(a, b)),
      div: (a, b) => exactly((soft) => soft.div(a, b)),
      sqrt: (a) => exactly((soft) => soft.sqrt(a)),
      fma: (a, b, c) => exactly((soft) => soft.fma(a, b, c)),
      min: (a, b) => exactly((soft) => soft.extreme(a, b, -1)),
      max: (a, b) => exactly((soft) => soft.extreme(a, b, 1)),
      eq: (a, b) => exactly((soft) => flag(soft.compare(a, b, false) === 0)),
      lt: (a, b) => exactly((soft) => flag(soft.compare(a, b, true) === -1)),
      le: (a, b) => exactly((soft) => flag((soft.compare(a, b, true) ?? 1) <= 0)),
      neg: (a) => a ^ sign,
      copySign: (a, b) => (a & ~sign) | (b & sign),
      xorSign: (a, b) => a ^ (b & sign),
      toInteger: (type, a) => exactly((soft) => soft.toInteger(type, a)),
      fromInteger: (type, x) => exactly((soft) => soft.fromInteger(type, x)),
      convert: (from, a) => exactly((soft) => soft.convertFrom(from, a)),
      classify: (a) => new SoftFloat(format, Rounding.nearestEven).classify(a),
      fromBits: (bits) => BigInt.asUintN(width, bits),
    };
  }

  /** Reads a CSR and updates it. Set and clear with source x0, or 0, do not write. */
  csr(update: CsrUpdate, source: bigint): bigint {
    const { csrs } = this.#hart;
    const number = this.#word >>> 20;
    const old = csrs.read(number);
    if (old === undefined) return this.#illegal();
    if (update === "write" || this.#number("rs1") !== 0) {
      const readOnly = number >>> 10 === 3;
      const value = update === "write" ? source : update === "set" ? old | source : old & ~source;
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
    if (this.#trap !== undefined) return;
    if ((target & 2n) !== 0n && !this.#hart.hasCompressed) return this.#misalignedJump(target);
    const next = Number(target);
    this.#next = next >= 0 && next < 2 ** 32 ? next : FAR;
    if (this.#next === FAR) this.#far = unsigned64(target);
  }

  /** A jump that traps links nothing. */
  #misalignedJump(target: bigint): void {
    if (this.#written === this.#number("rd")) this.#x[this.#written] = this.#before;
    this.trap(Cause.FetchMisaligned, unsigned64(target));
  }

  /** Raises a trap, unless there is one already. What mtval holds depends on the cause. */
  trap(cause: Cause, value?: bigint): void {
    if (this.#trap) return;
    const { pc, raw, tracing } = this.#placed;
    if (cause === Cause.Illegal || (cause === Cause.HostCall && !tracing)) {
      this.#trap = { cause: Cause.Illegal, value: raw, pc };
    } else if (cause === Cause.Breakpoint) {
      this.#trap = { cause, value: pc, pc };
    } else if (cause === Cause.EcallU) {
      const { mode } = this.#hart;
      const from = mode === "M" ? Cause.EcallM : mode === "S" ? Cause.EcallS : cause;
      this.#trap = { cause: from, value: 0n, pc };
    } else this.#trap = { cause, value: value ?? 0n, pc };
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
      this.#number("rs1") === 0 ? undefined : address,
      this.#number("rs2") === 0 ? undefined : space,
    );
  }
}
