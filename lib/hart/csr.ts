/**
 * Control and status registers by number: who may read and write which, and what of it sticks.
 *
 * Bits 9 and 8 of a number say which mode it takes. Every register here follows the privileged
 * specification's WARL rules; a number that is not here is an illegal instruction.
 *
 * Which instruction reads or writes when is the meaning of `csrrw` and its kin in `lib/isa`; what
 * follows from the values is `system.ts`.
 *
 * @module
 */
import { misaOf } from "../isa/isa_string.ts";
import { LEVELS } from "../memory/page_table.ts";
import { PMP_ENTRIES } from "../memory/pmp.ts";
import { Mstatus } from "./privilege.ts";
import type { PrivilegedHart, System } from "./system.ts";

/** Numbers of the user's registers, which every hart has. */
const User = { fflags: 1, frm: 2, fcsr: 3, cycle: 0xc00, time: 0xc01, instret: 0xc02 } as const;
const SATP = 0x180;
const HPM_COUNTER = 0xc03;
const COUNTERS_END = 0xc20;

const { SIE, MIE, SPIE, MPIE, SPP, MPP, FS, MPRV, SUM, MXR, TVM, TW, TSR, XL, SD } = Mstatus;
const MSTATUS_WRITABLE = SIE | MIE | SPIE | MPIE | SPP | MPP | FS | MPRV | SUM | MXR | TVM | TW |
  TSR;
const SSTATUS = SIE | SPIE | SPP | FS | SUM | MXR;
/** The fixed UXL field of sstatus: user mode has 64 bits. */
const SSTATUS_FIXED = 2n << 32n;
/** Fetch, illegal, breakpoint, load and store causes, ecalls of U and S, page faults. */
const DELEGABLE = 0xb3ffn;
const SUPERVISOR_INTERRUPTS = 0x222n;
const INTERRUPTS = 0xaaan;
const COUNTERS = 0xffffffffn;
/** FIOM, CBIE, CBCFE, CBZE; ADUE for the machine. */
const SENVCFG = 0xf1n;
const MENVCFG = SENVCFG | 1n << 61n;
const ALL = (1n << 64n) - 1n;

/** How a CSR of supervisor or machine mode is read and written. */
interface Register {
  readonly read: (system: System) => bigint;
  /** What setting and clearing bits starts from, if that is not what is read. */
  readonly base?: (system: System) => bigint;
  /**
   * Writes the bits that can be written; false refuses. Without it the register keeps its value.
   */
  readonly write?: (system: System, value: bigint) => boolean | void;
}

type Field = {
  [K in keyof System]: System[K] extends bigint ? K : never;
}[keyof System];

/** A CSR whose bits in `mask` can be written and whose others are 0. */
function plain(field: Exclude<Field, "mip" | "raised">, mask: bigint): Register {
  return {
    read: (system) => system[field],
    write: (system, value) => void (system[field] = value & mask),
  };
}

/** mtvec and stvec: direct or vectored; the reserved modes are not taken. */
function vector(field: "mtvec" | "stvec"): Register {
  return {
    read: (system) => system[field],
    write: (system, value) => void ((value & 2n) || (system[field] = value)),
  };
}

const fixed = (value: bigint): Register => ({ read: () => value });
const withSd = (status: bigint) => (status & FS) === FS ? status | SD : status;

function writeStatus(system: System, value: bigint, mask: bigint): void {
  // No mode has number 2: MPP keeps what it was.
  const kept = mask & MPP && (value & MPP) === 2n << 11n ? mask & ~MPP : mask;
  system.mstatus = (system.mstatus & ~kept) | (value & kept);
}

/** sie or sip: the bits of mie or mip whose interrupts are delegated to S-mode. */
function delegated(field: "mie" | "mip"): Register {
  return {
    read: (system) => system[field] & system.mideleg,
    write(system, value) {
      const { mideleg } = system;
      if (field === "mie") system.mie = (system.mie & ~mideleg) | (value & mideleg);
      else system.raise(value, mideleg & 2n);
    },
  };
}

const PRIVILEGED: ReadonlyMap<number, Register> = new Map<number, Register>([
  [0x100, {
    read: ({ mstatus }) => withSd((mstatus & SSTATUS) | SSTATUS_FIXED),
    write: (system, value) => writeStatus(system, value, SSTATUS),
  }],
  [0x104, delegated("mie")],
  [0x105, vector("stvec")],
  [0x106, plain("scounteren", COUNTERS)],
  [0x10a, plain("senvcfg", SENVCFG)],
  [0x140, plain("sscratch", ALL)],
  [0x142, plain("scause", ALL)],
  [0x143, plain("stval", ALL)],
  [0x144, delegated("mip")],
  [SATP, {
    read: ({ satp }) => satp,
    write(system, value) {
      const mode = Number(value >> 60n);
      if (mode !== 0 && !(mode in LEVELS)) return;
      const before = system.satp;
      system.satp = value;
      if (system.satp !== before) {
        system.translation.changedSpace(before >> 60n !== value >> 60n);
      }
    },
  }],
  [0x300, {
    read: ({ mstatus }) => withSd(mstatus | XL),
    write: (system, value) => writeStatus(system, value, MSTATUS_WRITABLE),
  }],
  [0x302, plain("medeleg", DELEGABLE)],
  [0x303, plain("mideleg", SUPERVISOR_INTERRUPTS)],
  [0x304, plain("mie", INTERRUPTS)],
  [0x305, vector("mtvec")],
  [0x306, plain("mcounteren", COUNTERS)],
  [0x30a, {
    read: ({ menvcfg }) => menvcfg,
    write(system, value) {
      const mask = system.hasHardwareUpdate ? MENVCFG : SENVCFG;
      system.menvcfg = value & mask;
      system.translation.tlb.flush();
    },
  }],
  [0x320, {
    read: ({ counters }) => counters.inhibited,
    write: ({ counters }, value) => void (counters.inhibited = value),
  }],
  [0x340, plain("mscratch", ALL)],
  [0x342, plain("mcause", ALL)],
  [0x343, plain("mtval", ALL)],
  [0x344, {
    read: ({ mip }) => mip,
    // An interrupt controller's line is not software's to keep up.
    base: ({ raised }) => raised,
    write: (system, value) => system.raise(value, ALL),
  }],
  // No vendor, no architecture number, no version, no configuration to point at.
  ...[0xf11, 0xf12, 0xf13, 0xf15].map((number) => [number, fixed(0n)] as const),
  // A trigger of type 0, which is none, is the only one; it takes nothing.
  ...range(0x7a0, 0x7a3).map((number) => [number, { read: () => 0n, write: () => {} }] as const),
  ...range(0x323, 0x33f).map((number) => [number, { read: () => 0n, write: () => {} }] as const),
  ...range(0xb00, 0xb1f).filter((number) => number !== 0xb01).map((number) =>
    [number, {
      read: ({ counters }: System) => counters.read(number & 31),
      write: ({ counters }: System, value: bigint) => counters.write(number & 31, value),
    }] as const
  ),
  ...[0, 2].map((register) =>
    [0x3a0 + register, {
      read: ({ pmp }: System) => pmp.readConfig(register / 2 * 2),
      write: (system: System, value: bigint) => {
        system.pmp.writeConfig(register, value);
        system.translation.tlb.flush();
      },
    }] as const
  ),
  ...range(0, PMP_ENTRIES - 1).map((entry) =>
    [0x3b0 + entry, {
      read: ({ pmp }: System) => pmp.readAddress(entry),
      write: (system: System, value: bigint) => {
        system.pmp.writeAddress(entry, value);
        system.translation.tlb.flush();
      },
    }] as const
  ),
]);

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, k) => first + k);
}

/** A hart's CSRs by number, in the mode in which it is. */
export interface Csrs {
  /** The value, unsigned, or undefined if reading is an illegal instruction. */
  read(number: number): bigint | undefined;
  /** The value that setting and clearing bits starts from; undefined as for {@linkcode read}. */
  base(number: number): bigint | undefined;
  /** Writes those bits that can be written; false if writing is an illegal instruction. */
  write(number: number, value: bigint): boolean;
}

/** A hart, as far as its CSRs say something of it. */
export interface CsrHart extends PrivilegedHart {
  /** The hart's number, which mhartid holds. */
  readonly id: number;
  /** The value of fcsr: fflags in bits 0 to 4, frm in bits 5 to 7. */
  fcsr: number;
  /** The value of mtime, in virtual nanoseconds. */
  readonly mtime: bigint;
  /** Whether instructions may lie at any even address. */
  readonly hasCompressed: boolean;
  /** The registers of its privileged modes, if it has any. */
  readonly system: System | undefined;
}

/** Makes a hart's CSRs as reset leaves them. */
export function createCsrs(hart: CsrHart): Csrs {
  /** mepc or sepc: an address whose low bits are 0, as an instruction's are. */
  const place = (field: "mepc" | "sepc"): Register => ({
    read: (system) => system[field],
    write: (system, value) => void (system[field] = value & (hart.hasCompressed ? ~1n : ~3n)),
  });
  const own: ReadonlyMap<number, Register> = new Map([
    [0x141, place("sepc")],
    [0x301, { read: () => misaOf(hart.extensions), write: () => {} }],
    [0x341, place("mepc")],
    [0xf14, fixed(BigInt(hart.id))],
  ]);
  /** Whether mcounteren and scounteren let the hart's mode read a counter. */
  const counts = (number: number): boolean => {
    const { system, mode } = hart;
    if (!system || mode === "M") return true;
    const bit = 1n << BigInt(number & 31);
    const enabled = mode === "S" ? system.mcounteren : system.mcounteren & system.scounteren;
    return (enabled & bit) !== 0n;
  };
  const floatsOff = () => hart.system?.floats === "off";
  const readUser = (number: number): bigint | undefined => {
    if (number <= User.fcsr && floatsOff()) return undefined;
    switch (number) {
      case User.fflags:
        return BigInt(hart.fcsr & 31);
      case User.frm:
        return BigInt((hart.fcsr >>> 5) & 7);
      case User.fcsr:
        return BigInt(hart.fcsr & 255);
    }
    if (number < User.cycle || number >= COUNTERS_END || !counts(number)) return undefined;
    const { system } = hart;
    if (number === User.time) return system ? hart.mtime : hart.now();
    if (system) return system.counters.read(number & 31);
    if (number >= HPM_COUNTER) return undefined;
    return number === User.cycle ? hart.now() : hart.instret;
  };
  const writeUser = (number: number, value: bigint): boolean => {
    if (number < User.fflags || number > User.fcsr || floatsOff()) return false;
    const bits = Number(value & 255n);
    if (number === User.fflags) hart.fcsr = (hart.fcsr & ~31) | (bits & 31);
    else if (number === User.frm) hart.fcsr = (hart.fcsr & 31) | ((bits & 7) << 5);
    else hart.fcsr = bits;
    hart.system?.dirtyFloats();
    return true;
  };
  /** The register of a privileged mode, if there is one and the hart's mode may touch it. */
  const privileged = (number: number): { system: System; register: Register } | undefined => {
    const { system, mode } = hart;
    const level = number >>> 8 & 3;
    if (!system || mode === "U" || (mode === "S" && level > 1)) return undefined;
    if (number === SATP && !system.permits("sfence.vma")) return undefined;
    const register = own.get(number) ?? PRIVILEGED.get(number);
    return register && { system, register };
  };
  return {
    read(number) {
      if ((number >>> 8 & 3) === 0) return readUser(number);
      const found = privileged(number);
      return found && BigInt.asUintN(64, found.register.read(found.system));
    },
    base(number) {
      const found = (number >>> 8 & 3) === 0 ? undefined : privileged(number);
      return found?.register.base ? found.register.base(found.system) : this.read(number);
    },
    write(number, value) {
      if (number >>> 10 === 3) return false;
      if ((number >>> 8 & 3) === 0) return writeUser(number, value);
      const found = privileged(number);
      if (!found) return false;
      if (found.register.write?.(found.system, BigInt.asUintN(64, value)) === false) return false;
      found.system.changed();
      return true;
    },
  };
}
