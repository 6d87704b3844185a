import { assert, assertEquals, assertThrows } from "@std/assert";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../../lib/memory/page.ts";
import { Memory } from "../../lib/memory/memory.ts";

const MIB = 2 ** 20;

Deno.test("Memory commits next to nothing when it is made and when large ranges come and go", () => {
  const before = Deno.memoryUsage().rss;
  const memory = new Memory();
  for (let k = 0; k < 4; k++) {
    memory.map(0x10000000, 512 * MIB, READ);
    memory.unmap(0x10000000, 512 * MIB);
  }
  memory.map(0x80000000, 1024 * MIB, READ | WRITE);
  const grown = Deno.memoryUsage().rss - before;
  assert(grown < 16 * MIB, `${grown} bytes`);
});

Deno.test("map() gives zeros when the page was written, unmapped and mapped again", () => {
  const memory = new Memory();
  memory.map(0x10000, 3 * PAGE_SIZE, READ | WRITE);
  memory.bytes.fill(7, 0x10000, 0x10000 + 3 * PAGE_SIZE);
  memory.unmap(0x10000, 3 * PAGE_SIZE);
  memory.map(0x10000, PAGE_SIZE, READ);
  assertEquals(memory.bytes[0x10000], 0);
  assertEquals(memory.bytes[0x10000 + PAGE_SIZE - 1], 0);
  assertEquals(memory.bytes[0x10000 + PAGE_SIZE], 7);
  memory.map(0x10000, 3 * PAGE_SIZE, READ);
  assertEquals(memory.bytes.subarray(0x10000, 0x10000 + 3 * PAGE_SIZE).indexOf(7), -1);
});

Deno.test("map() gives zeros when a read-only page was poked, or writable for a while", () => {
  const memory = new Memory();
  memory.map(0x10000, 2 * PAGE_SIZE, READ);
  memory.poke(0x10ffe, new Uint8Array([1, 2, 3, 4]));
  memory.map(0x10000, 2 * PAGE_SIZE, READ);
  assertEquals(memory.read(0x10ffen, 4), new Uint8Array(4));
  memory.protect(0x10000, PAGE_SIZE, READ | WRITE);
  memory.write(0x10000n, new Uint8Array([5]));
  memory.protect(0x10000, PAGE_SIZE, READ);
  memory.map(0x10000, PAGE_SIZE, READ);
  assertEquals(memory.bytes[0x10000], 0);
});

Deno.test("protect() keeps what the page holds", () => {
  const memory = new Memory();
  memory.map(0x10000, PAGE_SIZE, READ | WRITE);
  memory.write(0x10004n, new Uint8Array([9]));
  memory.protect(0x10000, PAGE_SIZE, READ | EXECUTE);
  assertEquals(memory.bytes[0x10004], 9);
  assertEquals(memory.permissions[0x10], READ | EXECUTE);
});

Deno.test("map() and poke() refuse what lies outside 4 GiB", () => {
  const memory = new Memory();
  assertThrows(() => memory.map(0xfffff000, 2 * PAGE_SIZE, READ), RangeError, "Cannot change");
  assertThrows(() => memory.map(-4096, 4096, READ), RangeError, "Cannot change");
  assertThrows(() => memory.poke(0xffffffff, new Uint8Array(2)), RangeError, "Cannot change");
  memory.map(0xfffff000, PAGE_SIZE, READ);
  memory.poke(0xfffffffe, new Uint8Array([1, 2]));
  assertEquals(memory.read(0xfffffffen, 2), new Uint8Array([1, 2]));
});

Deno.test("allows() looks at every page that an access touches", () => {
  const memory = new Memory();
  memory.map(0x10000, PAGE_SIZE, READ | WRITE);
  memory.map(0x11000, PAGE_SIZE, READ);
  assert(memory.allows(0x10ff8n, 8, WRITE));
  assert(!memory.allows(0x10ffcn, 8, WRITE));
  assert(memory.allows(0x10ffcn, 8, READ));
  assert(!memory.allows(0x10000n, PAGE_SIZE * 2 + 1, READ));
  assert(memory.allows(0x10000n, PAGE_SIZE * 2, READ));
  assert(!memory.allows(0xffffn, 2, READ));
  assert(!memory.allows(0x11000n, 1, READ | WRITE));
});

Deno.test("allows() says no to any address with a bit above 31 and to what reaches past 4 GiB", () => {
  const memory = new Memory();
  memory.map(0, PAGE_SIZE, READ);
  memory.map(0xfffff000, PAGE_SIZE, READ);
  assert(memory.allows(0xffffffffn, 1, READ));
  assert(!memory.allows(0xffffffffn, 2, READ));
  assert(!memory.allows(1n << 32n, 1, READ));
  assert(!memory.allows(-1n, 1, READ));
  assert(!memory.allows(1n << 63n, 1, READ));
  assert(!memory.allows(0xfffff000n, 2 ** 53, READ));
});

Deno.test("read() and write() answer EFAULT, having done nothing, when a page refuses", () => {
  const memory = new Memory();
  memory.map(0x10000, PAGE_SIZE, READ | WRITE);
  assertEquals(memory.read(0x10ffcn, 8), undefined);
  assertEquals(memory.write(0x10ffcn, new Uint8Array(8).fill(1)), false);
  assertEquals(memory.bytes[0x10ffc], 0);
  assertEquals(memory.write(0x10000n, new Uint8Array([1, 2])), true);
  const copy = memory.read(0x10000n, 2)!;
  copy[0] = 99;
  assertEquals(memory.bytes[0x10000], 1);
});
