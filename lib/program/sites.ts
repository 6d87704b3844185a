/**
 * Where a program has call sites.
 *
 * A compiler with `-fpatchable-function-entry=N,M` leaves N nops at each function, M of them before
 * its symbol, and lists their addresses; it does not say N or M. Both follow from where the symbol
 * starts and from the nops that are there, and may differ from function to function.
 *
 * What becomes of a site is `lib/ftrace/ops/records.ts`.
 *
 * @module
 */
import type { Elf, ElfSymbol, Segment } from "./elf.ts";
import type { SymbolTable } from "./symbols.ts";

/** One call site, as the compiler left it. */
export interface SiteSource {
  /** Address of the first nop. */
  readonly address: bigint;
  /** Where the function begins; `address` if no symbol covers it. */
  readonly entry: bigint;
  /** Bytes of nop before the entry. */
  readonly before: number;
  /** Bytes of nop from the entry on. */
  readonly after: number;
  /** Symbol of the function that the site belongs to. */
  readonly symbol: ElfSymbol | undefined;
}

const C_NOP = 0x0001;
const NOP = 0x00000013;
/** Most bytes of nop that are counted as a site's: more than anyone asks the compiler for. */
const MOST = 4096;

/** Finds a program's sites, in order of address; it and its `symbols` were moved by `bias`. */
export function readSites(elf: Elf, symbols: SymbolTable, bias = 0n): readonly SiteSource[] {
  const addresses = new Set<bigint>();
  for (const address of listed(elf)) if (address !== 0n) addresses.add(address);
  const sorted = [...addresses].sort((a, b) => a < b ? -1 : 1);
  const segments = elf.segments.filter(({ data }) => data.length > 0)
    .sort((a, b) => a.address < b.address ? -1 : 1);
  let k = 0;
  return sorted.flatMap((address) => {
    // Both are in order, so one walk finds the segment of each.
    while (k < segments.length && endOf(segments[k]!) <= address) k++;
    const segment = segments[k];
    if (!segment || segment.address > address) return [];
    return [siteAt(segment, symbols, address, bias)];
  });
}

/** Every address in the tables, before the bias. */
function* listed(elf: Elf): Generator<bigint> {
  const view = new DataView(elf.bytes.buffer, elf.bytes.byteOffset, elf.bytes.length);
  const ranges: { start: bigint; end: bigint; offset: number }[] = [];
  for (const { name, address, offset, size } of elf.sections) {
    if (name !== "__patchable_function_entries") continue;
    ranges.push({ start: address, end: address + BigInt(size), offset });
  }
  const start = elf.symbols.find(({ name }) => name === "__start_mcount_loc")?.address;
  const stop = elf.symbols.find(({ name }) => name === "__stop_mcount_loc")?.address;
  if (start !== undefined && stop !== undefined && start < stop) {
    const segment = elf.segments.find(({ address, data }) =>
      address <= start && stop <= address + BigInt(data.length)
    );
    if (segment) {
      const offset = segment.data.byteOffset - elf.bytes.byteOffset +
        Number(start - segment.address);
      ranges.push({ start, end: stop, offset });
    }
  }
  // A position-independent program has zeros there, and the addresses in its relocations.
  const relocated = new Map(
    ranges.length === 0 ? [] : elf.relatives.map(({ address, addend }) => [address, addend]),
  );
  for (const { start, end, offset } of ranges) {
    const count = Number((end - start) / 8n);
    for (let k = 0; k < count; k++) {
      yield relocated.get(start + BigInt(8 * k)) ?? view.getBigUint64(offset + k * 8, true);
    }
  }
}

function endOf({ address, data }: Segment): bigint {
  return address + BigInt(data.length);
}

/** The site whose first nop lies at `address` in some code; code and `symbols` may differ by `bias`. */
export function siteAt(
  segment: Pick<Segment, "address" | "data">,
  symbols: SymbolTable,
  address: bigint,
  bias = 0n,
): SiteSource {
  const { data } = segment;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const first = Number(address - segment.address);
  /** Bytes of nop from `at` on, up to `end`. */
  const nops = (at: number, end: number) => {
    let here = at;
    while (here + 2 <= end) {
      if (view.getUint16(here, true) === C_NOP) here += 2;
      else if (here + 4 <= end && view.getUint32(here, true) === NOP) here += 4;
      else break;
    }
    return here - at;
  };
  const last = Math.min(first + MOST, data.length);
  const run = nops(first, last);
  const place = address + bias;
  const inside = symbols.at(place);
  // The nops may begin before the symbol, which then starts inside them or right behind.
  const next = symbols.next(place);
  const before = next === undefined ? Infinity : Number(next.address - place);
  const reaches = before <= run && before % 2 === 0;
  // A linker's mark such as __rela_iplt_end can lie where the nops before a function begin.
  const isMark = inside?.symbol.type === "notype" && reaches && next?.type === "func";
  if (inside?.offset === 0n && !isMark) {
    return { address: place, entry: place, before: 0, after: run, symbol: inside.symbol };
  }
  if (next && reaches) {
    return { address: place, entry: next.address, before, after: run - before, symbol: next };
  }
  return { address: place, entry: place, before: 0, after: run, symbol: undefined };
}
