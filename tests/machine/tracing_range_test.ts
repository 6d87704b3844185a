/**
 * Where the tracing range lies, and how it is given out.
 *
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { createTracingRange } from "../../lib/machine/tracing_range.ts";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../../lib/memory/page.ts";
import { Memory } from "../../lib/memory/memory.ts";
import { callPair, pairReaches } from "../../lib/patcher/scheme.ts";

const memory = new Memory();
const text = { start: 0x80000000, size: 0x1000 };

Deno.test("createTracingRange() lies below RAM when the machine is bare", () => {
  const { start, end } = createTracingRange(memory, { taken: [], text });
  assertEquals([start, end], [0x7ff00000, 0x80000000]);
});

Deno.test("createTracingRange() ends 2 GiB above the lowest text when there is a program", () => {
  for (const [lowest, start] of [[0x10000, 0x7ff10000], [0x10234, 0x7ff10000]] as const) {
    const range = createTracingRange(memory, lowest);
    assertEquals([range.start, range.end], [start, start + 0x100000]);
  }
});

Deno.test("createTracingRange() is within reach of a call from the lowest text to its last page", () => {
  for (const lowest of [0, 0x1000, 0x10000, 0x10ffe, 0x40000000]) {
    const { end } = createTracingRange(memory, lowest);
    // What is called lies at the start of pages; a pair does not reach the last 2 KiB.
    assert(pairReaches(BigInt(lowest), BigInt(end - PAGE_SIZE)), lowest.toString(16));
    callPair("t0", BigInt(lowest), BigInt(end - PAGE_SIZE));
  }
});

Deno.test("createTracingRange() stays within 4 GiB when the text lies high", () => {
  const { start, end } = createTracingRange(memory, 0xa0000000);
  assertEquals([start, end], [0xfff00000, 2 ** 32]);
});

Deno.test("MachineTracingRange.allocate() gives whole zeroed pages, each once, until it is full", () => {
  const range = createTracingRange(memory, { taken: [], text });
  memory.bytes.fill(0xff, range.start, range.start + PAGE_SIZE);
  memory.protect(range.start, PAGE_SIZE, READ | WRITE);
  const first = range.allocate(1, READ | EXECUTE);
  const second = range.allocate(PAGE_SIZE + 1, READ);
  const third = range.allocate(8, READ);
  assertEquals([first, second, third], [0, 1, 3].map((page) => range.start + page * PAGE_SIZE));
  assertEquals(memory.bytes[first], 0);
  assert(memory.allows(BigInt(first), PAGE_SIZE, READ | EXECUTE));
  assert(!memory.allows(BigInt(first), 1, WRITE), "the guest owns none of it");
  assert(!memory.allows(BigInt(second), 1, EXECUTE));
  const rest = range.end - third - PAGE_SIZE;
  assertThrows(
    () => range.allocate(rest + 1, READ),
    RangeError,
    `Cannot allocate ${rest + 1} bytes: the tracing range is full`,
  );
  assertEquals(range.allocate(rest, READ), third + PAGE_SIZE);
});

Deno.test("createTracingRange() lies beside what a board has, within reach, when its place is taken", () => {
  const ram = { start: 0x80000000, size: 2 ** 31 };
  const flash = { start: 0x7f000000, size: 0x1000000 };
  const { reserved, end } = createTracingRange(new Memory(), { taken: [flash, ram], text });
  assertEquals([reserved, end], [0x7ee00000, 0x7f000000]);
  const all = { start: 0, size: 2 ** 32 };
  assertThrows(
    () => createTracingRange(new Memory(), { taken: [all], text }),
    RangeError,
    "Cannot place the tracing range",
  );
});
