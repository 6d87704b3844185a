/**
 * The two memories of a machine: the guest's 4 GiB with a permission for each page, and the host's.
 *
 * Both are WebAssembly memories that the system commits page by page, so their size costs nothing
 * until a page is touched; nothing here touches one without need. What the host keeps (registers,
 * permissions, micro-ops, rings) lies in the second memory, where no guest address can reach it.
 * It never grows, so views on it stay valid.
 *
 * Bytes by 64-bit address are `space.ts`; the heap in host memory `host_heap.ts`; stores that
 * somebody watches `store_watch.ts`; devices `bus.ts`; what a hart has fetched `fetch_cache.ts`;
 * where its registers lie `lib/hart/state.ts`.
 *
 * @module
 */
import { Bus } from "./bus.ts";
import { HostHeap } from "./host_heap.ts";
import { GUEST_PAGES, PAGE_SIZE, READ, WRITE } from "./page.ts";
import { StoreWatch } from "./store_watch.ts";

/** Host memory: the running hart's state (`lib/hart/state.ts`). */
export const HART = 0x1000;
/** Host memory: one byte of permissions for each guest page, 1 MiB. */
export const PERMISSIONS = 0x100000;

/** Host memory: the heap begins here, behind {@linkcode PERMISSIONS} and what `store_watch.ts` has. */
const HEAP = 0x300000;
const GUEST_SIZE = 2 ** 32;

/** The two memories of a machine. */
export class Memory {
  /** Guest memory: 65536 WebAssembly pages, 4 GiB. */
  readonly guest: WebAssembly.Memory = new WebAssembly.Memory({ initial: 65536, maximum: 65536 });
  /** Host memory: 16384 WebAssembly pages, 1 GiB. */
  readonly host: WebAssembly.Memory = new WebAssembly.Memory({ initial: 16384, maximum: 16384 });
  /** Guest memory as bytes, by guest address. */
  readonly bytes: Uint8Array = new Uint8Array(this.guest.buffer);
  /** Guest memory as words of any size, by guest address. */
  readonly view: DataView = new DataView(this.guest.buffer);
  /** Host memory as bytes. */
  readonly hostBytes: Uint8Array = new Uint8Array(this.host.buffer);
  /** Host memory as words of any size. */
  readonly hostView: DataView = new DataView(this.host.buffer);
  /** Permissions of each guest page: READ, WRITE, EXECUTE, or 0 where nothing is mapped. */
  readonly permissions: Uint8Array = new Uint8Array(this.host.buffer, PERMISSIONS, GUEST_PAGES);
  /** 1 for each page that was writable or poked since it was last zeroed. */
  readonly #dirty: Uint8Array = new Uint8Array(GUEST_PAGES);
  #tracing = { start: 0, end: 0 };
  /** The allocator of host memory behind the fixed areas. */
  readonly heap: HostHeap = new HostHeap(this.hostBytes, HEAP);
  /** The devices that answer loads and stores where no memory is mapped. */
  readonly bus: Bus = new Bus();
  /** The pages whose stores somebody has to be told of. */
  readonly watch: StoreWatch = new StoreWatch(this.permissions, this.host.buffer);

  /**
   * Makes the pages of `length` bytes from `address` on pages of zeros with these permissions.
   *
   * @throws {RangeError} Beyond 4 GiB.
   */
  map(address: number, length: number, permissions: number): void {
    const [first, last] = pagesOf(address, length);
    const dirty = this.#dirty.subarray(first, last);
    for (let start = dirty.indexOf(1); start >= 0;) {
      let end = start + 1;
      while (dirty[end]) end++;
      this.bytes.fill(0, (first + start) * PAGE_SIZE, (first + end) * PAGE_SIZE);
      start = dirty.indexOf(1, end);
    }
    dirty.fill(0);
    this.protect(address, length, permissions);
  }

  /** Changes the permissions of pages and nothing else. @throws {RangeError} Beyond 4 GiB. */
  protect(address: number, length: number, permissions: number): void {
    const [first, last] = pagesOf(address, length);
    this.permissions.fill(permissions, first, last);
    if (permissions & WRITE) this.#dirty.fill(1, first, last);
    this.watch.changed(first, last);
  }

  /**
   * Unmaps pages: every access faults until they are mapped again. @throws {RangeError} Beyond 4
   * GiB.
   */
  unmap(address: number, length: number): void {
    this.protect(address, length, 0);
  }

  /**
   * Whether every byte of `length` from `address` on may be accessed so.
   * An address with a bit above 31 set is nobody's, and neither is what reaches past 4 GiB.
   */
  allows(address: bigint, length: number, permission: number): boolean {
    const start = BigInt.asUintN(64, address);
    if (start >= BigInt(GUEST_SIZE)) return false;
    const low = Number(start);
    if (low + length > GUEST_SIZE) return false;
    const end = Math.ceil((low + length) / PAGE_SIZE);
    for (let page = Math.floor(low / PAGE_SIZE); page < end; page++) {
      if ((this.permissions[page]! & permission) !== permission) return false;
    }
    return true;
  }

  /** A copy of bytes that the guest may read, or undefined (EFAULT). */
  read(address: bigint, length: number): Uint8Array | undefined {
    if (!this.allows(address, length, READ)) return undefined;
    const start = Number(BigInt.asUintN(32, address));
    return this.bytes.slice(start, start + length);
  }

  /** Writes where the guest may write; false (EFAULT) if it may not, and then writes nothing. */
  write(address: bigint, data: Uint8Array): boolean {
    if (!this.allows(address, data.length, WRITE)) return false;
    const start = Number(BigInt.asUintN(32, address));
    this.bytes.set(data, start);
    this.watch.changed(...pagesOf(start, data.length));
    return true;
  }

  /**
   * Writes whatever the permissions, as a loader or a patcher does.
   *
   * @throws {RangeError} Beyond 4 GiB.
   */
  poke(address: number, data: Uint8Array): void {
    const [first, last] = pagesOf(address, data.length);
    this.bytes.set(data, address);
    this.#dirty.fill(1, first, last);
    this.watch.changed(first, last);
  }

  /** Says where the tracing range lies, which harts reach at its own addresses whatever they map. */
  placeTracing(start: number, end: number): void {
    this.#tracing = { start, end };
  }

  /** Whether an address is one of the tracing range's. */
  isTracing(address: bigint | number): boolean {
    return address >= this.#tracing.start && address < this.#tracing.end;
  }
}

/** Numbers of the first page of a range and of the page behind its last. */
function pagesOf(address: number, length: number): [first: number, last: number] {
  const end = address + length;
  if (!(address >= 0 && length >= 0 && end <= GUEST_SIZE)) {
    const range = `0x${address.toString(16)}..0x${end.toString(16)}`;
    throw new RangeError(`Cannot change pages ${range}: outside the guest's 4 GiB`);
  }
  return [Math.floor(address / PAGE_SIZE), Math.ceil(end / PAGE_SIZE)];
}
