/**
 * Where a hart's addresses lead: modes, page tables, PMP, and the TLB in front of them.
 *
 * Every access of a hart with machine mode that is not plain goes through here, on every engine;
 * emitted code looks into the same TLB first. The tracing range is mapped at its own addresses
 * behind the guest's tables: where those lead somewhere, that is meant, and where not, a hart can
 * execute trampolines there, and only they can read what lies beside them.
 *
 * @module
 */
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../memory/page.ts";
import type { Memory } from "../memory/memory.ts";
import { LEVELS, walk, type WalkRequest } from "../memory/page_table.ts";
import { Tlb } from "../memory/tlb.ts";
import type { Pmp } from "../memory/pmp.ts";
import { ADUE, type Mode, Mstatus } from "./privilege.ts";

/** Instead of an address: the page tables refuse the access. */
export const PAGE_FAULT = -1;
/** Instead of an address: there is nothing, or PMP refuses the access. */
export const ACCESS_FAULT = -2;

/**
 * The TLB's banks, by the mode of the access: S without and with SUM; `other` for data under MXR.
 */
const Bank = { M: 0, U: 1, S: 2, SUM: 3, other: 4 } as const;
const MEMORY_SIZE = 2n ** 32n;
const PAGE = BigInt(PAGE_SIZE - 1);

/** When a walk marks entries as accessed and dirty: `"quietly"` fails where somebody is to be told. */
type Marks = "always" | "quietly" | "never";

/** A page that a walk of the page tables has found. */
interface Found {
  readonly physical: bigint;
  readonly permissions: number;
  readonly bits: number;
  readonly global: boolean;
}

/** A hart, as far as translation depends on it. */
export interface TranslatedHart {
  /** The memory that the hart loads from, stores to and fetches from. */
  readonly memory: Memory;
  /** The privilege mode that the hart executes in. */
  readonly mode: Mode;
  /** Address of the instruction that the hart executes. */
  readonly pc: bigint;
}

/** The privileged registers that translation depends on. */
export interface TranslationRegisters {
  /** Mode, address space and root of the page tables. */
  readonly satp: bigint;
  /** mstatus, whose fields SUM, MXR and MPRV matter here. */
  readonly mstatus: bigint;
  /** menvcfg, whose bit 61 (ADUE) says whether walks set accessed and dirty bits. */
  readonly menvcfg: bigint;
  /** The mode whose rights loads and stores have. */
  readonly dataMode: Mode;
  /** The hart's physical memory protection. */
  readonly pmp: Pmp;
}

/** Translates one hart's addresses and keeps its TLB. */
export class Translation {
  /** The translations found so far, which emitted code looks up. */
  readonly tlb: Tlb;
  /** The TLB bank that loads and stores use in the present mode. */
  dataBank: number = Bank.M;
  /** The TLB bank that fetches use in the present mode. */
  fetchBank: number = Bank.M;
  readonly #hart: TranslatedHart;
  readonly #system: TranslationRegisters;
  readonly #memory: Memory;
  #dataMode: Mode = "M";
  /** The data mode and SUM that the entries of bank `other` were found under. */
  #other = "";
  /** Pages of the tracing range that were looked for in the guest's tables: whether none maps them. */
  readonly #unmapped = new Map<bigint, boolean>();

  /** Translates for `hart`, whose registers are `system`. */
  constructor(hart: TranslatedHart, system: TranslationRegisters) {
    this.#hart = hart;
    this.#system = system;
    this.#memory = hart.memory;
    this.tlb = new Tlb(hart.memory);
  }

  /** To be called when the mode, or what mstatus says about accesses, may have changed. */
  changed(): void {
    const { mode } = this.#hart;
    const { mstatus, dataMode } = this.#system;
    this.#dataMode = dataMode;
    this.fetchBank = Bank[mode];
    const sum = (mstatus & Mstatus.SUM) !== 0n;
    if (dataMode === "M") this.dataBank = Bank.M;
    else if (mstatus & Mstatus.MXR) {
      this.dataBank = Bank.other;
      const key = `${dataMode} ${sum}`;
      if (key !== this.#other) this.tlb.flushBank(Bank.other);
      this.#other = key;
    } else this.dataBank = dataMode === "U" ? Bank.U : sum ? Bank.SUM : Bank.S;
  }

  /**
   * To be called when satp was written: drops what is not global, or everything if `mode` changed.
   */
  changedSpace(mode: boolean): void {
    this.#unmapped.clear();
    if (mode) this.tlb.flush();
    else this.tlb.flushLocal();
  }

  /** sfence.vma: forgets what is known of an address and an address space, or of all of them. */
  fence(address: bigint | undefined, space: bigint | undefined): void {
    this.#unmapped.clear();
    // Only one space's translations, and those for all spaces, are ever kept.
    if (space !== undefined && (space & 0xffffn) !== (this.#system.satp >> 44n & 0xffffn)) return;
    if (address !== undefined) this.tlb.flushPage(address, space === undefined);
    else if (space !== undefined) this.tlb.flushLocal();
    else this.tlb.flush();
  }

  /** Whether machine mode can fetch from a physical address. */
  machineFetches(address: bigint): boolean {
    return address < MEMORY_SIZE && this.#memory.allows(address, 2, EXECUTE);
  }

  /**
   * The physical address of `bytes` bytes of data at a signed address, all in one page; or
   * {@linkcode PAGE_FAULT} or {@linkcode ACCESS_FAULT}.
   */
  data(address: bigint, bytes: number, access: number): number {
    const known = this.tlb.data(this.dataBank, address, access);
    if (known >= 0) return known;
    const found = this.#find(address, bytes, access, this.#dataMode, (page, physical, found) => {
      this.tlb.fillData(this.dataBank, { ...found, page, physical });
    });
    if (found >= 0 || !this.#memory.isTracing(address)) return found;
    return this.isTracing(this.#hart.pc) && this.#isUnmapped(address) ? Number(address) : found;
  }

  /**
   * Brings the page of an access of data into the TLB as `data()` does, for compiled code that goes
   * on behind it. What it does not bring in is the reference's: faults, what is looked up each time,
   * and entries of page tables whose marking somebody has to be told of.
   */
  fillData(address: bigint, access: number): void {
    this.#find(address, 1, access, this.#dataMode, (page, physical, found) => {
      this.tlb.fillData(this.dataBank, { ...found, page, physical });
    }, "quietly");
  }

  /** The physical address for a fetch of two bytes, or a fault as of `data()`. */
  fetch(address: bigint): number {
    const known = this.tlb.fetch(this.fetchBank, address);
    if (known >= 0) return known;
    if (this.isTracing(address)) return Number(address);
    return this.#find(address, 2, EXECUTE, this.#hart.mode, (page, physical, found) => {
      this.tlb.fillFetch(this.fetchBank, { ...found, page, physical });
    });
  }

  /** Whether an instruction fetched from `address` is one of the tracing range's. */
  isTracing(address: bigint): boolean {
    return this.#memory.isTracing(address) && this.#isUnmapped(address);
  }

  /** Whether the guest's page tables, if they are on, say nothing of an address. */
  #isUnmapped(address: bigint): boolean {
    if (this.#hart.mode === "M" || !(Number(this.#system.satp >> 60n) in LEVELS)) return true;
    const page = address >> 12n;
    let unmapped = this.#unmapped.get(page);
    if (unmapped === undefined) {
      unmapped = typeof this.#look(address, 0, "S") === "number";
      this.#unmapped.set(page, unmapped);
    }
    return unmapped;
  }

  /**
   * Where one byte at an address lies, as somebody who looks at the hart from outside finds it, in
   * the mode that its loads have: no entry is marked, no translation kept, and a supervisor's look
   * reaches user pages. −1 where nothing may be accessed so.
   */
  peek(address: bigint, access: number): number {
    const signed = BigInt.asIntN(64, address);
    const found = this.#look(signed, access, this.#dataMode);
    if (typeof found === "number") {
      return this.#memory.isTracing(signed) ? Number(signed) : -1;
    }
    return found.physical < MEMORY_SIZE ? Number(found.physical) : -1;
  }

  #find(
    address: bigint,
    bytes: number,
    access: number,
    mode: Mode,
    fill: (page: bigint, physical: number, found: Found) => void,
    marks: Marks = "always",
  ): number {
    const found = this.#walk(address, access, mode, marks);
    if (typeof found === "number") return found;
    if (found.physical >= MEMORY_SIZE) return ACCESS_FAULT;
    const physical = Number(found.physical);
    // No memory of a board lies there.
    if (mode !== "M" && this.#memory.isTracing(found.physical)) return ACCESS_FAULT;
    const { pmp } = this.#system;
    const machine = mode === "M";
    if ((pmp.permissions(physical, bytes, machine) & access) !== access) return ACCESS_FAULT;
    const page = physical - physical % PAGE_SIZE;
    const here = this.#memory.permissions[page / PAGE_SIZE]!;
    const all = pmp.pagePermissions(page, machine);
    // Parts of a page, and devices, are looked up each time.
    if (all !== undefined && here !== 0) {
      const permissions = found.permissions & all & here;
      fill(BigInt.asIntN(64, address) & ~PAGE, page, { ...found, permissions });
    }
    return physical;
  }

  #walk(address: bigint, access: number, mode: Mode, marks: Marks): Found | number {
    const { mstatus, menvcfg } = this.#system;
    return this.#through(address, mode, {
      access,
      sum: (mstatus & Mstatus.SUM) !== 0n,
      mxr: (mstatus & Mstatus.MXR) !== 0n,
      update: (menvcfg & ADUE) !== 0n,
    }, marks);
  }

  /** A walk that changes nothing, not even what the tables say of accesses. */
  #look(address: bigint, access: number, mode: Mode): Found | number {
    return this.#through(address, mode, { access, sum: true, mxr: false, update: true }, "never");
  }

  /** Walks through the page tables in a mode. */
  #through(
    address: bigint,
    mode: Mode,
    how: Pick<WalkRequest, "access" | "sum" | "mxr" | "update">,
    marks: Marks,
  ): Found | number {
    const { satp, pmp } = this.#system;
    const scheme = Number(satp >> 60n);
    if (mode === "M" || !(scheme in LEVELS)) {
      const physical = BigInt.asUintN(64, address);
      return { physical, permissions: READ | WRITE | EXECUTE, bits: 12, global: false };
    }
    const memory = this.#memory;
    // Entries are read and written with the supervisor's permissions.
    const allowed = (at: bigint, how: number) =>
      at < MEMORY_SIZE && memory.allows(at, 8, how) &&
      (pmp.permissions(Number(at), 8, false) & how) === how;
    const leaf = walk(address, {
      mode: scheme,
      root: (satp & (1n << 44n) - 1n) << 12n,
      user: mode === "U",
      ...how,
    }, {
      read: (at) => allowed(at, READ) ? memory.view.getBigUint64(Number(at), true) : undefined,
      write(at, value) {
        if (marks === "never") return true;
        if (!allowed(at, WRITE)) return false;
        if (marks === "quietly" && !memory.watch.isQuiet(Number(at) >>> 12)) return false;
        memory.view.setBigUint64(Number(at), value, true);
        memory.watch.stored(Number(at));
        return true;
      },
    });
    return leaf === "page" ? PAGE_FAULT : leaf === "access" ? ACCESS_FAULT : leaf;
  }
}
