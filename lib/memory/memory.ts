/**
 * Guest memory: one flat 4 GiB space with page permissions, and the host's memory beside it.
 *
 * Both are WebAssembly memories that the system commits page by page, so their size costs nothing
 * until a page is touched; nothing here touches one without need. What the host keeps (registers,
 * permissions, micro-ops, rings) lies in the second memory, where no guest address can reach it.
 * It never grows, so views on it stay valid.
 *
 * What a hart has fetched is `fetch_cache.ts`; where its registers lie is `lib/hart/state.ts`.
 *
 * @module
 */

/** Bytes of a page. */
export const PAGE_SIZE = 4096;
/** Page permission: loads. */
export const READ = 1;
/** Page permission: stores; an atomic needs both. */
export const WRITE = 2;
/** Page permission: fetches. */
export const EXECUTE = 4;

/** Host memory: the running hart's state (`lib/hart/state.ts`). */
export const HART = 0x1000;
/** Host memory: one byte of permissions for each guest page, 1 MiB. */
export const PERMISSIONS = 0x100000;

/**
 * Host memory: the same for stores that nobody has to be told of, 1 MiB. It differs from
 * {@linkcode PERMISSIONS} where a page is watched: there it is 0.
 */
export const QUIET: number = PERMISSIONS + 0x100000;

/** Host memory: what {@linkcode Memory.allocateHost} gives out begins here. */
const HEAP = 0x300000;
const GUEST_SIZE = 2 ** 32;
const GUEST_PAGES = GUEST_SIZE / PAGE_SIZE;

/** Why a page is watched: a hart has fetched from it. */
const CODE = 1;
/** Why a page is watched: the surroundings asked to be told of stores. */
const TOLD = 2;

/** What answers loads and stores where there is no memory. Offsets are from its start. */
export interface Device {
  /** First address. */
  readonly start: number;
  /** Address behind the last. */
  readonly end: number;
  /** The value of `bytes` at an aligned offset, unsigned; undefined is an access fault. */
  read(offset: number, bytes: number, hart: number): bigint | undefined;
  /** Takes a value, unsigned; false is an access fault. */
  write(offset: number, bytes: number, value: bigint, hart: number): boolean;
}

/** The two memories of a machine. */
export class Memory {
  /** Guest memory: 65536 WebAssembly pages, 4 GiB. */
  readonly guest: WebAssembly.Memory = new WebAssembly.Memory({ initial: 65536, maximum: 65536 });
  /** Host memory: 16384 WebAssembly pages, 1 GiB. */
  readonly host: WebAssembly.Memory = new WebAssembly.Memory({ initial: 16384, maximum: 16384 });
  /** All of guest memory. */
  readonly bytes: Uint8Array = new Uint8Array(this.guest.buffer);
  /** All of guest memory. */
  readonly view: DataView = new DataView(this.guest.buffer);
  /** All of host memory. */
  readonly hostBytes: Uint8Array = new Uint8Array(this.host.buffer);
  /** All of host memory. */
  readonly hostView: DataView = new DataView(this.host.buffer);
  /** Permissions of each guest page: READ, WRITE, EXECUTE, or 0 where nothing is mapped. */
  readonly permissions: Uint8Array = new Uint8Array(this.host.buffer, PERMISSIONS, GUEST_PAGES);
  /** 1 for each page that was writable or poked since it was last zeroed. */
  readonly #dirty: Uint8Array = new Uint8Array(GUEST_PAGES);
  /** Permissions for stores that nobody has to be told of. */
  readonly #quiet: Uint8Array = new Uint8Array(this.host.buffer, QUIET, GUEST_PAGES);
  /** Why each page is watched. */
  readonly #watched: Uint8Array = new Uint8Array(GUEST_PAGES);
  readonly #textListeners: ((page: number) => void)[] = [];
  #told: (address: number) => void = () => {};
  readonly #devices: Device[] = [];
  #tracing = { start: 0, end: 0 };
  #heap = HEAP;

  /**
   * Takes zeroed host memory that nobody gives back.
   *
   * @throws {RangeError} When 1 GiB is full.
   */
  allocateHost(bytes: number, align = 8): number {
    const start = Math.ceil(this.#heap / align) * align;
    if (start + bytes > this.host.buffer.byteLength) {
      throw new RangeError(`Cannot allocate ${bytes} bytes of host memory: 1 GiB is in use`);
    }
    this.#heap = start + bytes;
    return start;
  }

  /**
   * Makes the pages of `length` bytes from `address` on pages of zeros with these permissions.
   *
   * @throws {RangeError} Beyond 4 GiB, here and in the two that follow.
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

  /** Changes the permissions of pages and nothing else. */
  protect(address: number, length: number, permissions: number): void {
    const [first, last] = pagesOf(address, length);
    this.permissions.fill(permissions, first, last);
    this.#quiet.fill(permissions, first, last);
    if (permissions & WRITE) this.#dirty.fill(1, first, last);
    this.#changed(first, last);
  }

  /** Takes pages away: every access to them faults until they are mapped again. */
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
    this.#changed(...pagesOf(start, data.length));
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
    this.#changed(first, last);
  }

  /** Puts a device where there is no memory. */
  attach(device: Device): void {
    this.#devices.push(device);
  }

  /** The device at an address. */
  deviceAt(address: number): Device | undefined {
    return this.#devices.find(({ start, end }) => address >= start && address < end);
  }

  /** Says where the tracing range lies, which harts reach at its own addresses whatever they map. */
  placeTracing(start: number, end: number): void {
    this.#tracing = { start, end };
  }

  /** Whether an address is one of the tracing range's. */
  isTracing(address: bigint | number): boolean {
    return address >= this.#tracing.start && address < this.#tracing.end;
  }

  /** From now on a store to the page is told to the listeners of {@linkcode Memory.onTextChange}, once. */
  watchText(page: number): void {
    this.#watched[page]! |= CODE;
    this.#quiet[page] = 0;
  }

  /** Calls `listener` with the number of a page of text that may have changed. */
  onTextChange(listener: (page: number) => void): void {
    this.#textListeners.push(listener);
  }

  /** Calls `told` with the address of each store of the guest's to a page, from now on. */
  tellStores(page: number, told: (address: number) => void): void {
    this.#watched[page]! |= TOLD;
    this.#quiet[page] = 0;
    this.#told = told;
  }

  /** To be called after each store to an address whose page is not quiet. */
  stored(address: number): void {
    const page = Math.floor(address / PAGE_SIZE);
    const why = this.#watched[page]!;
    if (why & CODE) this.#textChanged(page);
    if (why & TOLD) this.#told(address);
  }

  /** Whether nobody has to be told of stores to the page. */
  isQuiet(page: number): boolean {
    return this.#watched[page] === 0;
  }

  #textChanged(page: number): void {
    const why = this.#watched[page]! & ~CODE;
    this.#watched[page] = why;
    if (why === 0) this.#quiet[page] = this.permissions[page]!;
    for (const listener of this.#textListeners) listener(page);
  }

  /** The bytes or permissions of pages are others than before. */
  #changed(first: number, last: number): void {
    for (let page = first; page < last; page++) {
      const why = this.#watched[page]!;
      if (why & CODE) this.#textChanged(page);
      if (why & TOLD) this.#quiet[page] = 0;
    }
  }
}

/** Numbers of the first page and of the one behind the last. */
function pagesOf(address: number, length: number): [first: number, last: number] {
  const end = address + length;
  if (!(address >= 0 && length >= 0 && end <= GUEST_SIZE)) {
    const range = `0x${address.toString(16)}..0x${end.toString(16)}`;
    throw new RangeError(`Cannot change pages ${range}: outside the guest's 4 GiB`);
  }
  return [Math.floor(address / PAGE_SIZE), Math.ceil(end / PAGE_SIZE)];
}
