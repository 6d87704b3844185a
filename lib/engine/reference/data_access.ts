/**
 * Loads, stores and atomics of the reference: addresses that are translated, split over two pages,
 * or a device's.
 *
 * An access has no effect before all of its bytes may be accessed so. Which faults it raises, and
 * what they name, is decided here.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { PAGE_FAULT } from "../../hart/translation.ts";
import { type Access, type AmoOperation, BYTE, Cause, LONG } from "../../isa/sem.ts";
import type { Memory } from "../../memory/memory.ts";
import { PAGE_SIZE, READ, WRITE } from "../../memory/page.ts";
import type { InFlight } from "./in_flight.ts";
import { ALU32, ALU64, unsigned64, wrap64 } from "./integer_alu.ts";

/** Instead of a physical address: the access traps. */
const REFUSED = -1;
/** Instead of a physical address: a device is there. */
const ELSEWHERE = -2;
/** The operation of cbo.inval, in the upper twelve bits of its word. */
const INVAL = 0;
/** Instead of a physical address: the access lies in two pages that are apart. */
const SPLIT = -3;

const PAGE_FAULT_OF: Readonly<Record<number, Cause>> = {
  [Cause.LoadFault]: Cause.LoadPageFault,
  [Cause.StoreFault]: Cause.StorePageFault,
};

/** Accesses memory for one hart. */
export class DataAccess {
  readonly #hart: Hart;
  readonly #flight: InFlight;
  readonly #memory: Memory;
  readonly #view: DataView;
  readonly #permissions: Uint8Array;
  /** Where the device is that {@linkcode DataAccess.#locate} found. */
  #elsewhere = 0;

  /** Accesses for `hart`, whose instruction is `flight`. */
  constructor(hart: Hart, flight: InFlight) {
    this.#hart = hart;
    this.#flight = flight;
    this.#memory = hart.memory;
    this.#view = hart.memory.view;
    this.#permissions = hart.memory.permissions;
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
      if (then !== REFUSED) this.#flight.raise(cause, unsigned64(address));
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
    this.#flight.raise(
      physical === PAGE_FAULT ? PAGE_FAULT_OF[cause]! : cause,
      unsigned64(virtual),
    );
    return REFUSED;
  }

  /** No memory: a device, or nothing. */
  #outside(address: bigint, physical: number, cause: Cause): number {
    if (this.#memory.bus.at(physical)) {
      this.#elsewhere = physical;
      return ELSEWHERE;
    }
    this.#flight.raise(cause, unsigned64(address));
    return REFUSED;
  }

  #allows(address: number, permission: number): boolean {
    if (address < 0 || address >= 2 ** 32) return false;
    return (this.#permissions[address >>> 12]! & permission) === permission;
  }

  #aligned(address: bigint, { bytes }: Access, cause: Cause): boolean {
    if ((address & BigInt(bytes - 1)) === 0n) return true;
    this.#flight.raise(cause, unsigned64(address));
    return false;
  }

  /** Where an atomic goes on: it must be aligned, and no device does atomics. */
  #atomic(address: bigint, access: Access, permission: number, cause: Cause): number {
    const misaligned = cause === Cause.LoadFault ? Cause.LoadMisaligned : Cause.StoreMisaligned;
    if (!this.#aligned(address, access, misaligned)) return REFUSED;
    const at = this.#locate(address, access.bytes, permission, cause);
    if (at === ELSEWHERE) this.#flight.raise(cause, unsigned64(address));
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
      this.#flight.raise(Cause.LoadFault, unsigned64(address));
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
    if (!taken) this.#flight.raise(Cause.StoreFault, unsigned64(address));
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
    const unit = bytes === 4 ? ALU32 : ALU64;
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
    const code = this.#flight.word >>> 20;
    // Linux lets user mode clean, flush and zero blocks, but never throw away what they hold.
    if (system ? !system.permitsCacheBlock(code) : code === INVAL) {
      return this.#flight.raise(Cause.Illegal);
    }
    const start = unsigned64(address) & ~63n;
    const permission = operation === "zero" ? WRITE : READ;
    const at = this.#locate(wrap64(start), 64, permission, Cause.StoreFault);
    if (at === ELSEWHERE) this.#flight.raise(Cause.StoreFault, start);
    if (this.#flight.trap || operation === "manage") return;
    for (let k = 0; k < 64; k += 8) this.#write(LONG, at + k, 0n);
  }
}
