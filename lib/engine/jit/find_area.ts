/**
 * The exact question about an access behind page tables that is not in the area where it was last:
 * which area is it in?
 *
 * An area is a run of pages that lie in one row in physical memory, too, and that the TLB all has,
 * so one comparison asks for all of them. It is found as its pages are: a page joins the areas of its
 * neighbours. Only the page of the access itself may be walked for, as a walk marks what it finds as
 * accessed; what cannot be walked for in silence is left to the reference.
 *
 * A check of a region has a cell with the area that its access was in last. Cells are of one
 * generation of the TLB: a region that is entered in another one empties them.
 *
 * One small module serves all machines, each hart has an instance; regions import its functions.
 * What areas a TLB has room for, and when they are forgotten, is `lib/memory/tlb.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { DATA_ENTRIES, GENERATION, WANTED_REGION } from "../../hart/state.ts";
import { PAGE_SIZE, READ, WRITE } from "../../memory/page.ts";
import { QUIET } from "../../memory/store_watch.ts";
import { AREA, AREA_COUNT, BANK_AREAS, DATA_ENTRY } from "../../memory/tlb.ts";
import { type Code, I32, I64 } from "../../wasm/code.ts";
import { Module } from "../../wasm/module.ts";

/** The region is wanted anew whenever one of its checks failed so often again; a power of two. */
const FAILED = 256;
const PAGE_BITS = Math.log2(PAGE_SIZE);
/** What an area is asked for: bits of `how`. */
export const How = {
  /** Its area is for stores. */
  writes: 1,
  /** The access itself reads, whatever its area is for. */
  reads: 2,
} as const;
/** The only memory of the module: the host's. */
const HOST = 0;

/**
 * Layout of what a region knows of one check: i64 start of its area, i64 at how many places in there
 * what is asked for may begin, i32 what is added to an address there; u32 how often it failed, u32
 * slot of the region.
 */
export const AREA_CELL = {
  size: 32,
  start: 0,
  count: 8,
  addend: 16,
  failed: 20,
  slot: 24,
} as const;
/** What lies before the cells of a region: i64 the generation of the TLB that they are of. */
export const CELLS_HEAD = 8;

/** Declares the type of the function that regions import. */
export function findAreaType(module: Module): number {
  return module.type([I64, I32, I32, I32, I32, I32], [I32]);
}

/** Declares the type of the function that empties the cells of a region. */
export function renewType(module: Module): number {
  return module.type([I32, I32], []);
}

let compiled: WebAssembly.Module | undefined;

/** Pushes the host address of the entry for the page in a local. */
function pushEntry(code: Code, page: number): void {
  code.get(page).i64(BigInt(PAGE_BITS)).op("i64.shr_u", "i32.wrap_i64");
  code.i32(DATA_ENTRY.count - 1).op("i32.and").i32(Math.log2(DATA_ENTRY.size)).op("i32.shl");
  code.i32(0).access("i32.load", HOST, DATA_ENTRIES).op("i32.add");
}

/** Pushes what `page` is in an entry that allows the access: its tag. */
function pushTag(code: Code, entry: number, writes: number): void {
  code.get(entry).get(writes).i32(Math.log2(DATA_ENTRY.write)).op("i32.shl", "i32.add");
  code.access("i64.load", HOST, DATA_ENTRY.read);
}

/** Pushes an address that a local has, as the area with that addend translates it. */
function pushPhysical(code: Code, address: number, addend: number): void {
  code.get(address).op("i32.wrap_i64").get(addend).op("i32.add");
}

/** Pops the number of an area and pushes its host address. */
function toArea(code: Code, writes: number): void {
  code.i32(AREA_COUNT - 1).op("i32.and").i32(1).op("i32.shl").get(writes).op("i32.add");
  code.i32(AREA.size).op("i32.mul").i32(0).access("i32.load", HOST, DATA_ENTRIES);
  code.op("i32.add").i32(BANK_AREAS.all).op("i32.add");
}

/** Pushes the number of the area that the page of an entry was last found in. */
function pushNumber(code: Code, entry: number, writes: number): void {
  code.get(entry).get(writes).op("i32.add").access("i32.load8_u", HOST, DATA_ENTRY.area);
}

/** Pushes whether a page is in an area with that addend. */
function pushHolds(code: Code, area: number, page: number, addend: number): void {
  code.get(page).get(area).access("i64.load", HOST, AREA.start).op("i64.sub");
  code.get(area).access("i64.load", HOST, AREA.bytes).op("i64.lt_u");
  code.get(area).access("i32.load", HOST, AREA.addend).get(addend).op("i32.eq", "i32.and");
}

/**
 * `allows(page, writes, addend)`: whether the TLB has a page for such accesses, with that addend, and
 * nobody has to be told of a store.
 */
function writeAllows(module: Module): number {
  const { code, locals, index } = module.function(module.type([I64, I32, I32], [I32]));
  const page = 0, writes = 1, addend = 2, entry = 3;
  locals.push(I32);
  pushEntry(code, page);
  code.set(entry);
  pushTag(code, entry, writes);
  code.get(page).op("i64.eq");
  code.get(entry).access("i32.load", HOST, DATA_ENTRY.addend).get(addend).op("i32.eq", "i32.and");
  code.if(I32);
  pushPhysical(code, page, addend);
  code.i32(PAGE_BITS).op("i32.shr_u").access("i32.load8_u", HOST, QUIET);
  code.i32(READ | WRITE).op("i32.and").i32(READ | WRITE).op("i32.eq");
  code.i32(1).get(writes).op("select").op("else").i32(0).op("end");
  return index;
}

/**
 * `areaOf(page, writes)`: the host address of the area that a page is in, which its neighbours join;
 * 0 where there is none.
 */
function writeAreaOf(module: Module, allows: number): number {
  const { code, locals, index } = module.function(module.type([I64, I32], [I32]));
  locals.push(I32, I32, I32, I32, I64, I64, I64, I64, I64);
  const page = 0, writes = 1, entry = 2, addend = 3, area = 4, number = 5;
  const start = 6, end = 7, beside = 8, from = 9, to = 10;
  pushEntry(code, page);
  code.tee(entry).access("i32.load", HOST, DATA_ENTRY.addend).set(addend);
  code.get(page).get(writes).get(addend).call(allows).op("i32.eqz").if().i32(0).op("return", "end");
  pushNumber(code, entry, writes);
  toArea(code, writes);
  code.set(area);
  pushHolds(code, area, page, addend);
  code.if().get(area).op("return", "end");
  code.get(page).tee(start).i64(BigInt(PAGE_SIZE)).op("i64.add").set(end);
  code.i32(-1).set(number);
  for (const [border, step] of [[page, -PAGE_SIZE], [end, PAGE_SIZE]] as const) {
    code.get(page).i64(BigInt(step)).op("i64.add").set(beside);
    // Nothing reaches over the end of physical memory.
    pushPhysical(code, border, addend);
    code.if().get(beside).get(writes).get(addend).call(allows).if();
    code.get(beside).tee(from).i64(BigInt(PAGE_SIZE)).op("i64.add").set(to);
    pushEntry(code, beside);
    code.set(entry);
    pushNumber(code, entry, writes);
    toArea(code, writes);
    code.set(area);
    pushHolds(code, area, beside, addend);
    code.if();
    pushNumber(code, entry, writes);
    code.set(number);
    code.get(area).access("i64.load", HOST, AREA.start).tee(from);
    code.get(area).access("i64.load", HOST, AREA.bytes).op("i64.add").set(to).op("end");
    code.get(from).get(start).get(from).get(start).op("i64.lt_s", "select").set(start);
    code.get(to).get(end).get(to).get(end).op("i64.gt_s", "select").set(end);
    code.op("end", "end");
  }
  code.get(number).i32(0).op("i32.lt_s").if();
  code.i32(0).access("i32.load", HOST, DATA_ENTRIES).tee(area);
  code.get(area).access("i32.load", HOST, BANK_AREAS.used).tee(number).i32(1).op("i32.add");
  code.access("i32.store", HOST, BANK_AREAS.used).op("end");
  pushEntry(code, page);
  code.get(writes).op("i32.add").get(number).access("i32.store8", HOST, DATA_ENTRY.area);
  code.get(number);
  toArea(code, writes);
  code.tee(area).get(start).access("i64.store", HOST, AREA.start);
  code.get(area).get(end).get(start).op("i64.sub").access("i64.store", HOST, AREA.bytes);
  code.get(area).get(addend).access("i32.store", HOST, AREA.addend);
  code.get(area);
  return index;
}

/**
 * `findArea(base, own, first, last, how, cell)` gives 0 once the area of the bytes from base + first
 * to base + last, among them that at base + own, is in the cell, whose count is for them; else whoever
 * asks leaves the access to the reference. `missed(low, high, writes)` may bring a page into the TLB,
 * whose address comes in halves.
 */
function writeFindArea(module: Module, missed: number, areaOf: number): void {
  const { code, locals } = module.function(findAreaType(module), [], "findArea");
  locals.push(I64, I32, I32, I32, I64, I64, I32);
  const base = 0, own = 1, first = 2, last = 3, how = 4, cell = 5;
  const page = 6, entry = 7, writes = 8, area = 9, start = 10, behind = 11, reads = 12;
  const pageAt = (offset: number) => {
    code.get(base).get(offset).op("i64.extend_i32_s", "i64.add");
    return code.i64(BigInt(-PAGE_SIZE)).op("i64.and");
  };
  /** Pops an area, and leaves the innermost block if all bytes are in it. */
  const leaveIfHeld = () => {
    code.tee(area).if().get(start).get(area).access("i64.load", HOST, AREA.start).op("i64.sub");
    code.get(area).access("i64.load", HOST, AREA.bytes).get(behind).op("i64.sub", "i64.lt_u");
    code.brIf(1).op("end");
  };
  code.get(how).i32(How.writes).op("i32.and").set(writes);
  code.get(how).i32(How.reads).op("i32.and").set(reads);
  pageAt(own).set(page);
  pushEntry(code, page);
  code.set(entry);
  pushTag(code, entry, writes);
  code.get(page).op("i64.ne").if();
  code.get(page).op("i32.wrap_i64").get(page).i64(32n).op("i64.shr_u", "i32.wrap_i64");
  code.get(writes).get(reads).op("i32.eqz", "i32.and").call(missed).op("end");
  code.get(base).get(first).op("i64.extend_i32_s", "i64.add").set(start);
  code.get(last).get(first).op("i32.sub", "i64.extend_i32_u").set(behind);
  // A page beside that of the access may be new to the area, or known to be in a larger one.
  code.block();
  code.get(page).get(writes).call(areaOf).tee(area);
  // A device, or what faults: no other way of asking helps.
  code.get(reads).op("i32.or", "i32.eqz").if().i32(1).op("return", "end").get(area);
  leaveIfHeld();
  for (const offset of [first, last]) {
    pageAt(offset).get(writes).call(areaOf);
    leaveIfHeld();
  }
  code.get(cell).get(cell).access("i32.load", HOST, AREA_CELL.failed).i32(1).op("i32.add");
  code.tee(entry).access("i32.store", HOST, AREA_CELL.failed);
  code.get(entry).i32(FAILED - 1).op("i32.and", "i32.eqz").if();
  code.i32(0).get(cell).access("i32.load", HOST, AREA_CELL.slot);
  code.access("i32.store", HOST, WANTED_REGION);
  code.op("end").i32(1).op("return", "end");
  code.get(cell).get(area).access("i64.load", HOST, AREA.start);
  code.access("i64.store", HOST, AREA_CELL.start);
  code.get(cell).get(area).access("i64.load", HOST, AREA.bytes).get(behind).op("i64.sub");
  code.access("i64.store", HOST, AREA_CELL.count);
  code.get(cell).get(area).access("i32.load", HOST, AREA.addend);
  code.access("i32.store", HOST, AREA_CELL.addend);
  code.i32(0);
}

/**
 * `renew(head, end)` empties the cells of a region, from behind its head up to `end`, and says that
 * they are of the TLB's present generation.
 */
function writeRenew(module: Module): void {
  const { code } = module.function(renewType(module), [], "renew");
  const head = 0, end = 1, at = 0;
  code.get(head).i32(0).access("i64.load", HOST, GENERATION).access("i64.store", HOST);
  code.get(head).i32(CELLS_HEAD).op("i32.add").set(at);
  code.block().loop();
  code.get(at).get(end).op("i32.ge_u").brIf(1);
  code.get(at).i64(0n).access("i64.store", HOST, AREA_CELL.count);
  code.get(at).i32(AREA_CELL.size).op("i32.add").set(at).br(0);
  code.op("end", "end");
}

function writeModule(hostPages: number): Module {
  const module = new Module();
  module.importMemory("host", hostPages);
  const missed = module.importFunction("missed", module.type([I32, I32, I32], []));
  writeFindArea(module, missed, writeAreaOf(module, writeAllows(module)));
  writeRenew(module);
  return module;
}

/** Makes the functions `findArea` and `renew` for one hart. */
export function createFindArea({ memory: { host }, system }: Hart): WebAssembly.Exports {
  compiled ??= new WebAssembly.Module(writeModule(host.buffer.byteLength / 65536).encode());
  const missed = (low: number, high: number, writes: number) =>
    system?.translation.fillData(
      BigInt(high) << 32n | BigInt(low >>> 0),
      writes !== 0 ? WRITE : READ,
    );
  return new WebAssembly.Instance(compiled, { host: { host, missed } }).exports;
}
