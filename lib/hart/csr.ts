/**
 * Control and status registers: the user's, and the few of machine mode that bare programs get.
 *
 * Everything else is an illegal instruction, as the bare machine of this version promises.
 * Which instruction reads or writes when is the meaning of `csrrw` and its kin in `lib/isa`.
 *
 * @module
 */
import type { Hart } from "./hart.ts";
import type { Trap } from "./trap.ts";

/** Numbers of the registers that exist (privileged specification, CSR address table). */
export const Csr = {
  fflags: 0x001,
  frm: 0x002,
  fcsr: 0x003,
  mstatus: 0x300,
  misa: 0x301,
  mtvec: 0x305,
  mscratch: 0x340,
  mepc: 0x341,
  mcause: 0x342,
  mtval: 0x343,
  cycle: 0xc00,
  time: 0xc01,
  instret: 0xc02,
  mhartid: 0xf14,
} as const;

/** mstatus.MIE: interrupts are enabled. */
export const MSTATUS_MIE: bigint = 1n << 3n;
/** mstatus.MPIE: MIE as it was before the last trap. */
export const MSTATUS_MPIE: bigint = 1n << 7n;
/** mstatus.MPP, fixed: machine mode is the only one there is to return to. */
const MSTATUS_MPP = 3n << 11n;
/** mstatus.FS and SD, fixed: the float registers are always on, and count as changed. */
const MSTATUS_FLOAT = (3n << 13n) | (1n << 63n);

/** RV64 with A, B, C, D, F, I, M. */
const MISA = [..."ABCDFIM"].reduce(
  (bits, letter) => bits | (1n << BigInt(letter.charCodeAt(0) - 65)),
  2n << 62n,
);

/** A hart's CSRs by number. */
export interface Csrs {
  /** The value, unsigned, or undefined if reading is an illegal instruction. */
  read(number: number): bigint | undefined;
  /** Writes those bits that can be written; false if writing is an illegal instruction. */
  write(number: number, value: bigint): boolean;
  /** Where traps are handled: mtvec, which knows the direct mode only. */
  trapVector(): bigint;
  /** Sets mepc, mcause, mtval and mstatus as a trap does. */
  enterTrap(trap: Trap): void;
  /** Sets mstatus as `mret` does and gives mepc, where the hart goes on. */
  leaveTrap(): bigint;
}

/** Makes a hart's CSRs as reset leaves them. */
export function createCsrs(hart: Hart): Csrs {
  const machine = { mstatus: 0n, mtvec: 0n, mscratch: 0n, mepc: 0n, mcause: 0n, mtval: 0n };
  const mstatus = () => machine.mstatus | MSTATUS_MPP | MSTATUS_FLOAT;
  const readMachine = (number: number): bigint | undefined => {
    switch (number) {
      case Csr.mstatus:
        return mstatus();
      case Csr.misa:
        return MISA;
      case Csr.mtvec:
        return machine.mtvec;
      case Csr.mscratch:
        return machine.mscratch;
      case Csr.mepc:
        return machine.mepc;
      case Csr.mcause:
        return machine.mcause;
      case Csr.mtval:
        return machine.mtval;
      case Csr.mhartid:
        return BigInt(hart.id);
      default:
        return undefined;
    }
  };
  return {
    read(number) {
      switch (number) {
        case Csr.fflags:
          return BigInt(hart.fcsr & 31);
        case Csr.frm:
          return BigInt((hart.fcsr >>> 5) & 7);
        case Csr.fcsr:
          return BigInt(hart.fcsr & 255);
        case Csr.cycle:
        case Csr.time:
          return hart.now();
        case Csr.instret:
          return hart.instret;
        default:
          return hart.mode === "M" ? readMachine(number) : undefined;
      }
    },
    write(number, value) {
      const bits = Number(value & 255n);
      switch (number) {
        case Csr.fflags:
          hart.fcsr = (hart.fcsr & ~31) | (bits & 31);
          return true;
        case Csr.frm:
          hart.fcsr = (hart.fcsr & 31) | ((bits & 7) << 5);
          return true;
        case Csr.fcsr:
          hart.fcsr = bits;
          return true;
      }
      if (hart.mode !== "M") return false;
      const unsigned = BigInt.asUintN(64, value);
      switch (number) {
        case Csr.mstatus:
          machine.mstatus = unsigned & (MSTATUS_MIE | MSTATUS_MPIE);
          return true;
        case Csr.misa: // WARL: nothing can be switched off
          return true;
        case Csr.mtvec: // direct mode only
          machine.mtvec = unsigned & ~3n;
          return true;
        case Csr.mscratch:
          machine.mscratch = unsigned;
          return true;
        case Csr.mepc:
          machine.mepc = unsigned & ~1n;
          return true;
        case Csr.mcause:
          machine.mcause = unsigned;
          return true;
        case Csr.mtval:
          machine.mtval = unsigned;
          return true;
        default:
          return false;
      }
    },
    trapVector: () => machine.mtvec,
    enterTrap({ cause, value, pc }) {
      machine.mstatus = machine.mstatus & MSTATUS_MIE ? MSTATUS_MPIE : 0n;
      machine.mcause = BigInt(cause);
      machine.mtval = BigInt.asUintN(64, value);
      machine.mepc = BigInt.asUintN(64, pc) & ~1n;
    },
    leaveTrap() {
      const enabled = machine.mstatus & MSTATUS_MPIE;
      machine.mstatus = MSTATUS_MPIE | (enabled ? MSTATUS_MIE : 0n);
      return machine.mepc;
    },
  };
}
