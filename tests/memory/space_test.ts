/**
 * Address spaces: bytes by 64-bit address, with faults as values.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { Hart } from "../../lib/hart/hart.ts";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../../lib/memory/page.ts";
import { Memory } from "../../lib/memory/memory.ts";
import { type AddressSpace, FlatSpace } from "../../lib/memory/space.ts";

const BASE = 0x80000000;
const ROOT = 0x80100000n;
/** Valid, readable, writable, accessed and dirty; and what misses one of these. */
const DATA = 0xc7n, UNMARKED = 0x07n, READ_ONLY = 0xc3n;
/** Where the tables below begin to map pages: gigapage 256, at the start of the upper half. */
const HIGH = 0xffffffc000000000n;

/** Memory with a stretch of readable and writable pages. */
function memoryWithPages(pages = 512): Memory {
  const memory = new Memory();
  memory.map(BASE, pages * PAGE_SIZE, READ | WRITE);
  return memory;
}

/** A hart in supervisor mode whose pages from {@linkcode HIGH} on are `pages`: where, and the flags. */
function pagedSpace(
  memory: Memory,
  pages: readonly (readonly [bigint, bigint])[],
): { readonly space: AddressSpace; readonly entry: (page: number) => bigint } {
  const hart = new Hart(0, memory, "M");
  const put = (at: bigint, entry: bigint) => memory.view.setBigUint64(Number(at), entry, true);
  const pointer = (to: bigint) => (to >> 12n << 10n) | 1n;
  put(ROOT + 256n * 8n, pointer(ROOT + 0x1000n));
  put(ROOT + 0x1000n, pointer(ROOT + 0x2000n));
  const at = (page: number) => ROOT + 0x2000n + 8n * BigInt(page);
  pages.forEach(([to, flags], page) => put(at(page), (to >> 12n << 10n) | flags));
  const system = hart.system!;
  system.pmp.writeAddress(0, -1n);
  system.pmp.writeConfig(0, 0x1fn);
  system.satp = (8n << 60n) | (ROOT >> 12n);
  hart.mode = "S";
  system.changed();
  return {
    space: hart.space,
    entry: (page) => memory.view.getBigUint64(Number(at(page)), true),
  };
}

Deno.test("FlatSpace gives bytes, words and strings where they may be read, and faults as values", () => {
  const memory = memoryWithPages(2);
  const space: AddressSpace = new FlatSpace(memory);
  const at = BigInt(BASE) + 4092n;
  assertEquals(space.isFlat, true);
  assertEquals(space.write(at, Uint8Array.of(1, 2, 3, 4, 5, 0xff, 0, 9)), true);
  assertEquals(space.readWord(at, 8), 0x0900_ff05_0403_0201n);
  assertEquals([1, 2, 4].map((bytes) => space.readWord(at + 4n, bytes as 1 | 2 | 4)), [
    ...[5n, 0xff05n, 0x0900ff05n],
  ]);
  assertEquals(space.readString(at, 100), Uint8Array.of(1, 2, 3, 4, 5, 0xff));
  assertEquals(space.readString(at, 3), Uint8Array.of(1, 2, 3));
  assertEquals(space.writeWord(at, 4, -2n), true);
  assertEquals(space.readWord(at, 8), 0x0900_ff05_ffff_fffen);
  assertEquals(space.offset(at, 8), BASE + 4092);
});

Deno.test("FlatSpace refuses what lies outside, above 4 GiB, or may not be accessed so", () => {
  const memory = memoryWithPages(1);
  memory.map(BASE + PAGE_SIZE, PAGE_SIZE, READ | EXECUTE);
  const space = new FlatSpace(memory);
  for (const at of [0n, BigInt(BASE) + 2n * 4096n - 4n, BigInt(BASE) + 2n ** 32n, -8n]) {
    assertEquals(space.readWord(at, 8), undefined, `${at}`);
    assertEquals(space.read(at, 8), undefined, `${at}`);
    assertEquals(space.write(at, new Uint8Array(8)), false, `${at}`);
    assertEquals(space.offset(at, 8), -1, `${at}`);
  }
  const text = BigInt(BASE + PAGE_SIZE);
  assertEquals(space.write(text - 4n, new Uint8Array(8).fill(7)), false);
  assertEquals(space.readWord(text - 4n, 4), 0n, "nothing was written of it");
  assertEquals(space.poke(text, Uint8Array.of(7)), true);
  assertEquals(space.peek(text, 1), Uint8Array.of(7));
  assertEquals([space.peek(-1n, 1), space.poke(2n ** 32n, new Uint8Array(1))], [undefined, false]);
});

Deno.test("a hart's space gathers bytes of pages that lie apart, at high addresses", () => {
  const memory = memoryWithPages();
  const { space } = pagedSpace(memory, [[0x80008000n, DATA], [0x80003000n, DATA]]);
  const at = HIGH + 4092n;
  assertEquals(space.isFlat, false);
  assertEquals(space.writeWord(at, 8, 0x1122_3344_5566_7788n), true);
  assertEquals(memory.view.getUint32(0x80008ffc, true), 0x55667788);
  assertEquals(memory.view.getUint32(0x80003000, true), 0x11223344);
  assertEquals(space.readWord(at, 8), 0x1122_3344_5566_7788n);
  assertEquals(space.readWord(BigInt.asIntN(64, at), 8), 0x1122_3344_5566_7788n);
  assertEquals([space.offset(at, 8), space.offset(at, 4)], [-1, 0x80008ffc]);
  space.write(at, new TextEncoder().encode("abcdefgh\0"));
  assertEquals(space.readString(at, 100), new TextEncoder().encode("abcdefgh"));
  assertEquals(space.readString(at, 5), new TextEncoder().encode("abcde"));
});

Deno.test("a hart's space refuses what its tables do, and marks no entry when it is looked into", () => {
  const memory = memoryWithPages();
  const { space, entry } = pagedSpace(memory, [[0x80008000n, UNMARKED], [0x80003000n, READ_ONLY]]);
  assertEquals(space.readWord(HIGH, 8), 0n);
  assertEquals(space.writeWord(HIGH, 8, 5n), true);
  assertEquals(entry(0) & 0xc0n, 0n, "neither accessed nor dirty");
  assertEquals(space.write(HIGH + 4092n, new Uint8Array(8).fill(1)), false);
  assertEquals(space.readWord(HIGH + 4092n, 4), 0n, "nothing was written of it");
  assertEquals(space.poke(HIGH + 4096n, Uint8Array.of(9)), true);
  assertEquals(space.readWord(HIGH + 4096n, 1), 9n);
  for (const nowhere of [HIGH + 8192n, 0n, 0x80008000n, HIGH - 1n]) {
    assertEquals(space.readWord(nowhere, 1), undefined, nowhere.toString(16));
    assertEquals(space.readString(nowhere, 8), undefined);
    assertEquals(space.peek(nowhere, 1), undefined);
  }
});

Deno.test("two mappings of one page show the same bytes, and spaces of two machines do not", () => {
  const memory = memoryWithPages();
  const { space } = pagedSpace(memory, [[0x80008000n, DATA], [0x80008000n, DATA]]);
  space.writeWord(HIGH + 8n, 8, 77n);
  assertEquals(space.readWord(HIGH + 4096n + 8n, 8), 77n);
  const other = pagedSpace(memoryWithPages(), [[0x80008000n, DATA]]).space;
  assertEquals(other.readWord(HIGH + 8n, 8), 0n);
});
