import { assert, assertEquals, assertThrows } from "@std/assert";
import { HostHeap } from "../../lib/memory/host_heap.ts";

const START = 64;

function heap(size = 4096): { readonly bytes: Uint8Array; readonly heap: HostHeap } {
  const bytes = new Uint8Array(size);
  return { bytes, heap: new HostHeap(bytes, START) };
}

Deno.test("allocate() gives disjoint zeroed aligned pieces and refuses more than there is", () => {
  const { heap: pieces } = heap();
  const first = pieces.allocate(10);
  const second = pieces.allocate(16, 1024);
  assert(first >= START && second >= first + 10 && second % 1024 === 0);
  assertEquals(pieces.used, 26);
  assertThrows(() => pieces.allocate(4096), RangeError, "Cannot allocate 4096 bytes");
  assertEquals(pieces.used, 26, "a refusal takes nothing");
});

Deno.test("allocate() zeroes a piece that somebody has had", () => {
  const { bytes, heap: pieces } = heap();
  const first = pieces.allocate(100);
  bytes.fill(0xff, first, first + 100);
  pieces.free(first);
  const again = pieces.allocate(50);
  assertEquals(again, first);
  assert(bytes.subarray(again, again + 50).every((byte) => byte === 0));
});

Deno.test("free() makes one hole of neighbours, in whatever order they come back", () => {
  for (const order of [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]]) {
    const { heap: pieces } = heap();
    const taken = [0, 1, 2, 3].map(() => pieces.allocate(1000));
    assertThrows(() => pieces.allocate(1000), RangeError);
    for (const k of order) pieces.free(taken[k]!);
    assertEquals([pieces.used, pieces.allocate(4096 - START)], [0, START]);
  }
});

Deno.test("free() refuses what nobody has, or has no longer", () => {
  const { heap: pieces } = heap();
  const at = pieces.allocate(8);
  pieces.free(at);
  for (const wrong of [at, at + 8, 0]) {
    assertThrows(() => pieces.free(wrong), RangeError, "nobody has it");
  }
});

Deno.test("pieces never overlap, and all come back, when they are taken and freed at random", () => {
  const { bytes, heap: pieces } = heap(1 << 16);
  let seed = 12345;
  const random = (below: number) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % below;
  const taken: { at: number; size: number; mark: number }[] = [];
  for (let step = 0; step < 5000; step++) {
    if (taken.length > 0 && random(2) === 0) {
      const [{ at, size, mark }] = taken.splice(random(taken.length), 1) as [typeof taken[0]];
      assert(bytes.subarray(at, at + size).every((byte) => byte === mark));
      pieces.free(at);
      continue;
    }
    const size = 1 + random(900), align = 1 << random(8), mark = 1 + random(255);
    let at;
    try {
      at = pieces.allocate(size, align);
    } catch {
      continue;
    }
    assertEquals(at % align, 0);
    assert(bytes.subarray(at, at + size).every((byte) => byte === 0));
    bytes.fill(mark, at, at + size);
    taken.push({ at, size, mark });
  }
  for (const { at } of taken) pieces.free(at);
  assertEquals([pieces.used, pieces.allocate((1 << 16) - START)], [0, START]);
});
