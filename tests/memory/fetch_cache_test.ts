import { assertEquals } from "@std/assert";
import { FETCH_FAULT, FETCH_FAULT_SECOND, FetchCache } from "../../lib/memory/fetch_cache.ts";
import { EXECUTE, PAGE_SIZE, READ } from "../../lib/memory/page.ts";
import { Memory } from "../../lib/memory/memory.ts";

const BASE = 0x10000;
/** addi a0, a0, 1 */
const WIDE = 0x00150513;
/** addi a0, a0, 2 */
const OTHER = 0x00250513;
/** c.addi a0, 1 */
const SHORT = 0x0505;

function memoryWith(pages: number): Memory {
  const memory = new Memory();
  memory.map(BASE, pages * PAGE_SIZE, READ | EXECUTE);
  return memory;
}

function put(memory: Memory, address: number, word: number): void {
  memory.poke(address, new Uint8Array(new Uint32Array([word]).buffer));
}

/** A cache and the addresses that it has reported. */
function cacheOf(memory: Memory): { cache: FetchCache; dropped: number[] } {
  const cache = new FetchCache(memory);
  const dropped: number[] = [];
  cache.onDrop((pc) => dropped.push(pc));
  return { cache, dropped };
}

Deno.test("fetch() gives 32 bits, or 16 when they are a compressed instruction", () => {
  const memory = memoryWith(1);
  put(memory, BASE, WIDE);
  put(memory, BASE + 4, (WIDE << 16) | SHORT);
  put(memory, BASE + 8, 0xffffffff);
  const { cache } = cacheOf(memory);
  assertEquals(cache.fetch(BASE), WIDE);
  assertEquals(cache.fetch(BASE + 4), SHORT);
  assertEquals(cache.fetch(BASE + 8), 0xffffffff);
});

Deno.test("fetch() keeps the old instruction until drop() when memory changes", () => {
  const memory = memoryWith(1);
  put(memory, BASE, WIDE);
  const { cache, dropped } = cacheOf(memory);
  cache.fetch(BASE);
  put(memory, BASE, OTHER);
  assertEquals(cache.fetch(BASE), WIDE);
  cache.drop();
  assertEquals(dropped, [BASE]);
  assertEquals(cache.fetch(BASE), OTHER);
});

Deno.test("fetch() keys by halfword: the middle of an instruction is fetched for itself", () => {
  const memory = memoryWith(1);
  put(memory, BASE, WIDE);
  const { cache } = cacheOf(memory);
  cache.fetch(BASE);
  put(memory, BASE + 2, SHORT);
  assertEquals(cache.fetch(BASE + 2), SHORT);
  assertEquals(cache.fetch(BASE), WIDE);
});

Deno.test("drop() reports nothing when memory holds what was fetched", () => {
  const memory = memoryWith(1);
  put(memory, BASE, WIDE);
  const { cache, dropped } = cacheOf(memory);
  cache.fetch(BASE);
  put(memory, BASE, OTHER);
  put(memory, BASE, WIDE);
  put(memory, BASE + 4, OTHER);
  cache.drop();
  assertEquals(dropped, []);
});

Deno.test("drop() of a range leaves what does not reach into it", () => {
  const memory = memoryWith(2);
  for (const at of [BASE, BASE + 4, BASE + 8, BASE + PAGE_SIZE]) put(memory, at, WIDE);
  const { cache, dropped } = cacheOf(memory);
  for (const at of [BASE, BASE + 4, BASE + 8, BASE + PAGE_SIZE]) cache.fetch(at);
  for (const at of [BASE, BASE + 4, BASE + 8, BASE + PAGE_SIZE]) put(memory, at, OTHER);
  cache.drop(BASE + 6, BASE + 8);
  assertEquals(dropped, [BASE + 4]);
  assertEquals(cache.fetch(BASE), WIDE);
  assertEquals(cache.fetch(BASE + 4), OTHER);
  assertEquals(cache.fetch(BASE + 8), WIDE);
  assertEquals(cache.fetch(BASE + PAGE_SIZE), WIDE);
});

Deno.test("drop() of the second page finds the instruction that begins on the first", () => {
  const memory = memoryWith(2);
  const at = BASE + PAGE_SIZE - 2;
  put(memory, at, WIDE);
  const { cache, dropped } = cacheOf(memory);
  assertEquals(cache.fetch(at), WIDE);
  put(memory, at, OTHER);
  cache.drop(BASE + PAGE_SIZE, BASE + 2 * PAGE_SIZE);
  assertEquals(dropped, [at]);
  assertEquals(cache.fetch(at), OTHER);
});

Deno.test("fetch() faults by half when a page is not executable, and remembers no fault", () => {
  const memory = memoryWith(1);
  const at = BASE + PAGE_SIZE - 2;
  put(memory, at, WIDE);
  const { cache } = cacheOf(memory);
  assertEquals(cache.fetch(at), FETCH_FAULT_SECOND);
  assertEquals(cache.fetch(BASE + PAGE_SIZE), FETCH_FAULT);
  memory.protect(BASE + PAGE_SIZE, PAGE_SIZE, READ | EXECUTE);
  assertEquals(cache.fetch(at), WIDE);
  assertEquals(cache.fetch(2 ** 32), FETCH_FAULT);
  memory.map(2 ** 32 - PAGE_SIZE, PAGE_SIZE, EXECUTE);
  memory.poke(2 ** 32 - 2, new Uint8Array([3, 0]));
  assertEquals(cache.fetch(2 ** 32 - 2), FETCH_FAULT_SECOND);
});

Deno.test("fetch() of a compressed instruction at a page's end does not look at the next page", () => {
  const memory = memoryWith(1);
  memory.poke(BASE + PAGE_SIZE - 2, new Uint8Array([SHORT & 255, SHORT >> 8]));
  assertEquals(cacheOf(memory).cache.fetch(BASE + PAGE_SIZE - 2), SHORT);
});

Deno.test("drop() drops unchanged instructions when their page is no longer executable", () => {
  const memory = memoryWith(2);
  const at = BASE + PAGE_SIZE - 2;
  put(memory, at, WIDE);
  const { cache, dropped } = cacheOf(memory);
  cache.fetch(at);
  memory.protect(BASE + PAGE_SIZE, PAGE_SIZE, READ);
  assertEquals(cache.fetch(at), WIDE);
  cache.drop(BASE + PAGE_SIZE, BASE + 2 * PAGE_SIZE);
  assertEquals(dropped, [at]);
  assertEquals(cache.fetch(at), FETCH_FAULT_SECOND);
});

Deno.test("fence() looks only at pages whose text was stored to, and sees what drop() would", () => {
  const memory = memoryWith(3);
  const places = [BASE, BASE + PAGE_SIZE - 2, BASE + 2 * PAGE_SIZE];
  const { cache, dropped } = cacheOf(memory);
  for (const at of places) put(memory, at, WIDE);
  for (const at of places) cache.fetch(at);
  cache.fence();
  assertEquals(dropped, []);
  // The second half of the instruction across the pages changes, by the page behind it alone.
  memory.poke(BASE + PAGE_SIZE, new Uint8Array([0x25, 0]));
  cache.fence();
  assertEquals(dropped, [places[1]]);
  // Nobody told of this store: the fence does not look there, and drop() does.
  memory.view.setUint32(BASE, OTHER, true);
  cache.fence();
  assertEquals(dropped, [places[1]]);
  cache.drop();
  assertEquals(dropped, [places[1], BASE]);
  assertEquals(cache.fetch(BASE), OTHER);
  // Watched again since the last fence.
  put(memory, BASE, WIDE);
  cache.fence();
  assertEquals(cache.fetch(BASE), WIDE);
});

Deno.test("fetchSplit() joins halves that lie apart, and keeps them until the fence", () => {
  const memory = memoryWith(3);
  const first = BASE + PAGE_SIZE - 2, second = BASE + 2 * PAGE_SIZE;
  const half = (at: number, word: number) =>
    memory.poke(at, new Uint8Array([word & 255, word >> 8 & 255]));
  half(first, WIDE);
  half(second, WIDE >>> 16);
  const { cache } = cacheOf(memory);
  assertEquals(cache.fetchSplit(first, second), WIDE);
  half(second, OTHER >>> 16);
  assertEquals(cache.fetchSplit(first, second), WIDE);
  cache.fence();
  assertEquals(cache.fetchSplit(first, second), OTHER);
});

Deno.test("peek() gives what is held and fetches nothing", () => {
  const memory = memoryWith(1);
  put(memory, BASE, WIDE);
  const { cache } = cacheOf(memory);
  assertEquals(cache.peek(BASE), undefined);
  cache.fetch(BASE);
  put(memory, BASE, OTHER);
  assertEquals([cache.peek(BASE), cache.peek(BASE + 4)], [WIDE, undefined]);
});

/** Where an instruction begins whose other half is two pages further on. */
const FIRST = BASE + PAGE_SIZE - 2;
const SECOND = BASE + 3 * PAGE_SIZE;

function putHalf(memory: Memory, address: number, half: number): void {
  memory.poke(address, new Uint8Array(new Uint16Array([half]).buffer));
}

for (const changed of [FIRST, SECOND]) {
  const which = changed === FIRST ? "first" : "second";
  Deno.test(`fetchSplit() keeps an instruction until fence() when its ${which} half changes`, () => {
    const memory = memoryWith(4);
    putHalf(memory, FIRST, WIDE & 0xffff);
    putHalf(memory, SECOND, WIDE >>> 16);
    const { cache, dropped } = cacheOf(memory);
    assertEquals(cache.fetchSplit(FIRST, SECOND), WIDE);
    cache.fence();
    assertEquals(dropped, [], "nothing has changed");
    for (const times of [1, 2]) {
      const before = cache.fetchSplit(FIRST, SECOND);
      putHalf(memory, changed, (changed === FIRST ? 0x0593 : 0x0035) + 0x80 * times);
      assertEquals(cache.fetchSplit(FIRST, SECOND), before);
      assertEquals(cache.firstHalf(FIRST), before & 0xffff);
      cache.fence();
      assertEquals(dropped.splice(0), [FIRST]);
      const now = memory.view.getUint16(FIRST, true) | memory.view.getUint16(SECOND, true) << 16;
      assertEquals(cache.fetchSplit(FIRST, SECOND), now >>> 0);
    }
  });
}

Deno.test("onDrop() tells nobody who was disposed of", () => {
  const memory = memoryWith(1);
  put(memory, BASE, WIDE);
  const { cache, dropped } = cacheOf(memory);
  const more: number[] = [];
  const listener = cache.onDrop((pc) => more.push(pc));
  listener[Symbol.dispose]();
  cache.fetch(BASE);
  put(memory, BASE, OTHER);
  cache.drop();
  assertEquals([dropped, more], [[BASE], []]);
});
