/**
 * The exact question about an access that is not in the area it was expected in: may all of its
 * bytes be accessed?
 *
 * It notes where the access was, so that a region whose expectations are often wrong can be made
 * anew with better ones. One small module serves all machines; regions import its function.
 *
 * @module
 */
import { WANTED_REGION } from "../../hart/state.ts";
import type { Memory } from "../../memory/memory.ts";
import { PERMISSIONS } from "../../memory/memory.ts";
import { PAGE_SIZE, READ, WRITE } from "../../memory/page.ts";
import { QUIET } from "../../memory/store_watch.ts";
import { I32, I64 } from "../../wasm/code.ts";
import { Module } from "../../wasm/module.ts";

/** Layout of what is noted of a check: i64 base, u32 how often it was asked, u32 slot of the region. */
export const CELL = { size: 16, base: 0, asked: 8, slot: 12 } as const;
/** The region is wanted anew whenever one of its checks was asked this often again; a power of two. */
const ASKED = 256;

/** Declares the function's type in a module. */
export function lookCloserType(module: Module): number {
  return module.type([I64, I32, I32, I32], [I32]);
}

let compiled: WebAssembly.Module | undefined;

/**
 * `(base, first, last, cell)` gives 0 if the bytes from base + first to base + last, which lie in two
 * pages at most, may be read, and quietly written if the cell's address is odd.
 */
function writeModule(hostPages: number): Module {
  const module = new Module();
  module.importMemory("host", hostPages);
  const { code, locals } = module.function(lookCloserType(module), [], "lookCloser");
  const base = 0, first = 1, last = 2, cell = 3;
  locals.push(I64, I64, I32, I32, I32);
  const start = 4, end = 5, both = 6, wanted = 7, writes = 8;
  code.get(cell).i32(1).op("i32.and").set(writes);
  code.get(cell).i32(-2).op("i32.and").tee(cell).get(base).access("i64.store", 0, CELL.base);
  code.get(cell).get(cell).access("i32.load", 0, CELL.asked).i32(1).op("i32.add").tee(both);
  code.access("i32.store", 0, CELL.asked);
  code.get(both).i32(ASKED - 1).op("i32.and", "i32.eqz").if();
  code.i32(0).get(cell).access("i32.load", 0, CELL.slot).access("i32.store", 0, WANTED_REGION);
  code.op("end");
  code.get(base).get(first).op("i64.extend_i32_s", "i64.add").tee(start);
  code.get(base).get(last).op("i64.extend_i32_s", "i64.add").tee(end);
  code.op("i64.or").i64(32n).op("i64.shr_u", "i64.eqz").if(I32);
  const shift = Math.log2(PAGE_SIZE);
  const read = (table: number) => {
    for (const at of [start, end]) {
      code.get(at).op("i32.wrap_i64").i32(shift).op("i32.shr_u");
      code.access("i32.load8_u", 0, table);
    }
    code.op("i32.and");
  };
  code.get(writes).if(I32);
  read(QUIET);
  code.op("else");
  read(PERMISSIONS);
  code.op("end").set(both);
  code.i32(READ | WRITE).i32(READ).get(writes).op("select").tee(wanted);
  code.get(both).op("i32.and").get(wanted).op("i32.ne");
  code.op("else").i32(1).op("end");
  return module;
}

/** Makes the function for one machine. */
export function createLookCloser({ host }: Memory): WebAssembly.ExportValue {
  compiled ??= new WebAssembly.Module(writeModule(host.buffer.byteLength / 65536).encode());
  return new WebAssembly.Instance(compiled, { host: { host } }).exports["lookCloser"]!;
}
