/**
 * The privileged state of a hart: mstatus, delegation, traps, interrupts.
 *
 * A trap or an interrupt that is taken, a return from one, and every write that can change what the
 * hart may do end in {@linkcode System.changed}: it works out whether the fast engine's plain path
 * will do, and whether an interrupt is to be taken before the next instruction.
 *
 * Which register is what number, and what of it can be written, is `csr.ts`; addresses are
 * `translation.ts`.
 *
 * @module
 */
import { Pmp } from "../memory/pmp.ts";
import { type CountedHart, Counters } from "./counters.ts";
import { ADUE, type Mode, MODE_LEVELS, MODES, MPP_SHIFT, Mstatus } from "./privilege.ts";
import { type TranslatedHart, Translation } from "./translation.ts";

/** Interrupts, as mip numbers them, in the order in which they are taken. */
const PRIORITY = [11, 3, 7, 9, 1, 5] as const;
/** Interrupts that software can raise by writing mip. */
const SOFTWARE = 0x222n;
/** Causes of traps that the fetch of an instruction raises. */
const FETCH_CAUSES: readonly number[] = [0, 1, 12];

/** A hart, as far as its privileged registers act on it. */
export interface PrivilegedHart extends TranslatedHart, CountedHart {
  /** The privilege mode that the hart executes in. */
  mode: Mode;
  /** Address of the hart's next instruction. */
  pc: bigint;
  /** The names of the ISA extensions that the hart can execute. */
  readonly extensions: ReadonlySet<string>;
  /** Whether the hart waits in `wfi` for an interrupt. */
  waiting: boolean;
  /** Whether something waits for the platform to look at it. */
  readonly serviceRequested: boolean;
  /** Whether somebody has to look at the hart before its next instruction. */
  attention: boolean;
  /** Whether addresses are physical, and nothing but a page's permissions restricts accesses. */
  flat: boolean;
  /** Whether emitted code has to leave float instructions to the reference. */
  floatGuard: boolean;
}

/** A hart's privileged registers; csr.ts sees to what can be written to each. */
export class System {
  /** The writable fields of mstatus; SD and the fixed fields are added when it is read. */
  mstatus = 0n;
  /** Exceptions of lower modes that S-mode handles, by cause. */
  medeleg = 0n;
  /** Interrupts that S-mode handles, by number. */
  mideleg = 0n;
  /** Interrupts that are enabled, by number. */
  mie = 0n;
  /** Where M-mode's handler is; bit 0 is set if it is vectored. */
  mtvec = 0n;
  /** A word that M-mode's handler keeps for itself. */
  mscratch = 0n;
  /** The pc at the last trap into M-mode, which `mret` returns to. */
  mepc = 0n;
  /** The cause of the last trap into M-mode; bit 63 is set for an interrupt. */
  mcause = 0n;
  /** The faulting address or illegal instruction of the last trap into M-mode, or 0. */
  mtval = 0n;
  /** Counters that S-mode may read. */
  mcounteren = 0n;
  /** What S-mode may do with cache blocks; bit 61, whether walks set accessed and dirty bits. */
  menvcfg: bigint = ADUE;
  /** Where S-mode's handler is; bit 0 is set if it is vectored. */
  stvec = 0n;
  /** A word that S-mode's handler keeps for itself. */
  sscratch = 0n;
  /** The pc at the last trap into S-mode, which `sret` returns to. */
  sepc = 0n;
  /** The cause of the last trap into S-mode; bit 63 is set for an interrupt. */
  scause = 0n;
  /** The faulting address or illegal instruction of the last trap into S-mode, or 0. */
  stval = 0n;
  /** Counters that U-mode may read, of those that S-mode may. */
  scounteren = 0n;
  /** What U-mode may do with cache blocks. */
  senvcfg = 0n;
  /** Mode, address space and root of the page tables. */
  satp = 0n;
  /** The bits of mip that software holds up. */
  #raised = 0n;
  /** The bits of mip that devices hold up. */
  #lines = 0n;
  /** The hart's physical memory protection. */
  readonly pmp: Pmp = new Pmp();
  /** The hart's mcycle and minstret. */
  readonly counters: Counters;
  /** Translates the hart's addresses: page tables, PMP and TLB. */
  readonly translation: Translation;
  readonly #hart: PrivilegedHart;

  /** Privileged registers as reset leaves them: all zeros but for menvcfg, and the float registers off. */
  constructor(hart: PrivilegedHart) {
    this.#hart = hart;
    this.counters = new Counters(hart);
    this.translation = new Translation(hart, this);
  }

  /** Whether walks can be made to set accessed and dirty bits. */
  get hasHardwareUpdate(): boolean {
    return this.#hart.extensions.has("svadu");
  }

  /** The pending interrupts: the bits of mip that software or devices hold up. */
  get mip(): bigint {
    return this.#raised | this.#lines;
  }

  /** The bits of mip that software holds up. */
  get raised(): bigint {
    return this.#raised;
  }

  /** Sets the bits of mip that `mask` has and software may write to those of `bits`. */
  raise(bits: bigint, mask: bigint): void {
    const writable = mask & SOFTWARE;
    this.#raised = (this.#raised & ~writable) | (bits & writable);
  }

  /** Raises or lowers a device's interrupt line to the hart. */
  setLine(interrupt: number, up: boolean): void {
    const bit = 1n << BigInt(interrupt);
    const lines = up ? this.#lines | bit : this.#lines & ~bit;
    if (lines === this.#lines) return;
    this.#lines = lines;
    this.changed();
  }

  /** The mode whose rights loads and stores have: mstatus.MPP instead of the hart's own if MPRV. */
  get dataMode(): Mode {
    const { mode } = this.#hart;
    if (mode !== "M" || !(this.mstatus & Mstatus.MPRV)) return mode;
    return MODES[Number(this.mstatus >> MPP_SHIFT & 3n)]!;
  }

  /** Whether float registers are not to be touched, or to be marked when they are written. */
  get floats(): "off" | "clean" | "dirty" {
    const state = this.mstatus & Mstatus.FS;
    return state === 0n ? "off" : state === Mstatus.FS ? "dirty" : "clean";
  }

  /** The number of the interrupt to be taken now, if any. */
  pendingInterrupt(): number | undefined {
    const pending = this.mip & this.mie;
    if (pending === 0n) return undefined;
    const { mode } = this.#hart;
    const machine = mode !== "M" || (this.mstatus & Mstatus.MIE) !== 0n;
    const supervisor = mode === "U" || (mode === "S" && (this.mstatus & Mstatus.SIE) !== 0n);
    const taken = (machine ? pending & ~this.mideleg : 0n) ||
      (supervisor ? pending & this.mideleg : 0n);
    return PRIORITY.find((number) => taken >> BigInt(number) & 1n);
  }

  /** Whether an interrupt ends wfi, taken or not. */
  get wakes(): boolean {
    return (this.mip & this.mie) !== 0n;
  }

  /** To be called when a privileged register has changed: works out what follows from it. */
  changed(): void {
    const hart = this.#hart;
    this.translation.changed();
    hart.flat = hart.mode === "M" && this.dataMode === "M" && !this.pmp.locked;
    hart.floatGuard = this.floats !== "dirty";
    if (hart.waiting && this.wakes) hart.waiting = false;
    hart.attention = hart.waiting || hart.serviceRequested || this.pendingInterrupt() !== undefined;
  }

  /**
   * Enters the handler of a trap or an interrupt.
   *
   * @returns False, and nothing has changed, if the hart could never execute an instruction of it.
   */
  enter(cause: number, value: bigint, pc: bigint, interrupt: boolean): boolean {
    const hart = this.#hart;
    const delegated = (interrupt ? this.mideleg : this.medeleg) >> BigInt(cause) & 1n;
    const level = hart.mode !== "M" && delegated ? "S" : "M";
    const vector = level === "M" ? this.mtvec : this.stvec;
    const vectored = interrupt && (vector & 1n) !== 0n;
    const handler = BigInt.asUintN(64, (vector & ~3n) + (vectored ? 4n * BigInt(cause) : 0n));
    if (level === "M" && !this.translation.machineFetches(handler)) return false;
    const again = level === hart.mode && handler === pc;
    if (!interrupt && again && FETCH_CAUSES.includes(cause)) return false;
    const code = BigInt(cause) | (interrupt ? 1n << 63n : 0n);
    const at = BigInt.asUintN(64, pc) & ~1n;
    const about = BigInt.asUintN(64, value);
    const { mstatus } = this;
    if (level === "M") {
      this.mcause = code;
      this.mepc = at;
      this.mtval = about;
      const enabled = mstatus & Mstatus.MIE ? Mstatus.MPIE : 0n;
      this.mstatus = (mstatus & ~(Mstatus.MIE | Mstatus.MPIE | Mstatus.MPP)) | enabled |
        MODE_LEVELS[hart.mode] << MPP_SHIFT;
    } else {
      this.scause = code;
      this.sepc = at;
      this.stval = about;
      const enabled = mstatus & Mstatus.SIE ? Mstatus.SPIE : 0n;
      this.mstatus = (mstatus & ~(Mstatus.SIE | Mstatus.SPIE | Mstatus.SPP)) | enabled |
        (hart.mode === "S" ? Mstatus.SPP : 0n);
    }
    hart.mode = level;
    hart.pc = handler;
    this.changed();
    return true;
  }

  /** What mret and sret do; gives where the hart goes on. */
  leave(level: "M" | "S"): bigint {
    const { mstatus } = this;
    const previous = level === "M"
      ? MODES[Number(mstatus >> MPP_SHIFT & 3n)]!
      : mstatus & Mstatus.SPP
      ? "S"
      : "U";
    const cleared = level === "M" ? Mstatus.MIE | Mstatus.MPP : Mstatus.SIE | Mstatus.SPP;
    const [was, now] = level === "M" ? [Mstatus.MPIE, Mstatus.MIE] : [Mstatus.SPIE, Mstatus.SIE];
    this.mstatus = (mstatus & ~cleared) | was | (mstatus & was ? now : 0n);
    if (previous !== "M") this.mstatus &= ~Mstatus.MPRV;
    this.#hart.mode = previous;
    this.changed();
    return level === "M" ? this.mepc : this.sepc;
  }

  /** Whether the hart may execute an instruction of a higher mode where it is. */
  permits(instruction: "mret" | "sret" | "wfi" | "sfence.vma"): boolean {
    const { mode } = this.#hart;
    if (mode === "M") return true;
    if (mode === "U" || instruction === "mret") return false;
    const trapped = { sret: Mstatus.TSR, wfi: Mstatus.TW, "sfence.vma": Mstatus.TVM }[instruction];
    return !(this.mstatus & trapped);
  }

  /**
   * Whether the hart may execute the cache-block instruction of that number: inval, clean, flush,
   * zero.
   */
  permitsCacheBlock(number: number): boolean {
    const { mode } = this.#hart;
    if (mode === "M") return true;
    const enabled = mode === "S" ? this.menvcfg : this.menvcfg & this.senvcfg;
    const [first, mask] = number === 4 ? [7n, 1n] : number === 0 ? [4n, 3n] : [6n, 1n];
    return (enabled >> first & mask) !== 0n;
  }

  /** Float registers or their flags have been written. */
  dirtyFloats(): void {
    if (this.floats !== "clean") return;
    this.mstatus |= Mstatus.FS;
    this.changed();
  }
}
