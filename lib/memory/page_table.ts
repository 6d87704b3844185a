/**
 * The walk through page tables: Sv39, Sv48 and Sv57 (privileged specification, 12.3 to 12.6).
 *
 * It knows neither caches nor PMP: what reads and writes entries does.
 * What is kept of its answers is `tlb.ts`.
 *
 * @module
 */
import { EXECUTE, READ, WRITE } from "./page.ts";

/** Bits of an entry; the three permissions stand one bit left of where pages have them. */
const V = 1n, U = 1n << 4n, A = 1n << 6n, D = 1n << 7n;
/** Reserved: no Svnapot, no Svpbmt here. */
const RESERVED = 0x3ffn << 54n;
const PPN = (1n << 44n) - 1n;
const ENTRY_SIZE = 8n;

/** Levels of each mode of satp; others do not translate. */
export const LEVELS: Readonly<Record<number, number>> = { 8: 3, 9: 4, 10: 5 };

/** The access to translate, and the control bits that decide about it. */
export interface WalkRequest {
  /** satp.MODE. */
  readonly mode: number;
  /** Physical address of the root table. */
  readonly root: bigint;
  /** READ, WRITE, both, or EXECUTE. */
  readonly access: number;
  /** Whether the access is user mode's; else supervisor mode's. */
  readonly user: boolean;
  /** mstatus.SUM: supervisor loads and stores reach user pages. */
  readonly sum: boolean;
  /** mstatus.MXR: executable pages can be read. */
  readonly mxr: boolean;
  /** Whether accessed and dirty bits are set here; else a missing one is a page fault (Svade). */
  readonly update: boolean;
}

/** Reads and writes page-table entries; false and undefined are access faults. */
export interface TableAccess {
  read(address: bigint): bigint | undefined;
  write(address: bigint, value: bigint): boolean;
}

/** The entry that ends a page-table walk. */
export interface Leaf {
  /** Physical address that the virtual one translates to. */
  readonly physical: bigint;
  /** Bytes that the leaf covers, 2^bits. */
  readonly bits: number;
  /** What may be done here without another walk; no WRITE while it is not dirty. */
  readonly permissions: number;
  /** Whether the mapping is in all address spaces (G). */
  readonly global: boolean;
}

/** Translates a virtual address, signed or not; `"page"` and `"access"` are faults. */
export function walk(
  address: bigint,
  request: WalkRequest,
  table: TableAccess,
): Leaf | "page" | "access" {
  const levels = LEVELS[request.mode]!;
  const bits = BigInt(12 + 9 * levels);
  if (BigInt.asIntN(Number(bits), address) !== BigInt.asIntN(64, address)) return "page";
  let base = request.root;
  let global = false;
  for (let level = levels - 1; level >= 0; level--) {
    const shift = BigInt(12 + 9 * level);
    const at = base + (address >> shift & 511n) * ENTRY_SIZE;
    const entry = table.read(at);
    if (entry === undefined) return "access";
    const kind = entry >> 1n & 7n;
    if (!(entry & V) || entry & RESERVED || (kind & 3n) === 2n) return "page";
    global ||= (entry & 1n << 5n) !== 0n;
    const target = (entry >> 10n & PPN) << 12n;
    if (kind === 0n) {
      if (entry & (U | A | D)) return "page";
      base = target;
      continue;
    }
    const within = (1n << shift) - 1n;
    if (target & within) return "page";
    const permissions = permissionsOf(entry, request);
    if ((permissions & request.access) !== request.access) return "page";
    const wanted = A | (request.access & WRITE ? D : 0n);
    if ((entry & wanted) !== wanted) {
      if (!request.update) return "page";
      if (!table.write(at, entry | wanted)) return "access";
    }
    const clean = !((entry | wanted) & D);
    return {
      physical: target | (BigInt.asUintN(64, address) & within),
      bits: Number(shift),
      permissions: clean ? permissions & ~WRITE : permissions,
      global,
    };
  }
  return "page";
}

function permissionsOf(entry: bigint, { user, sum, mxr }: WalkRequest): number {
  let permissions = Number(entry >> 1n & 7n);
  if (mxr && permissions & EXECUTE) permissions |= READ;
  if (user) return entry & U ? permissions : 0;
  if (!(entry & U)) return permissions;
  return sum ? permissions & ~EXECUTE : 0;
}
