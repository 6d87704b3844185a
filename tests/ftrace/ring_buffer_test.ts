import { assertEquals, assertThrows } from "@std/assert";
import { RingBuffer, type RingMode } from "../../lib/ftrace/ring_buffer.ts";
import { Memory } from "../../lib/memory/memory.ts";

const memory = new Memory();
const RECORDS = 1024 / 32;
const bufferOf = (mode: RingMode) => new RingBuffer(memory, { harts: 1, kib: 1, mode });
const exit = {
  func: 1n,
  callTime: 5n,
  returnTime: 9n,
  returnValue: 7n,
  depth: 2,
  overrun: 3,
  unwound: true,
};

Deno.test("RingBuffer gives back every field of what was written", () => {
  const buffer = bufferOf("overwrite");
  const common = { cpu: 0, pid: 1000, flags: 0, preemptCount: 0 };
  buffer.writeFunction(0, 1n, 0x10000n, 0x20000n, 1000);
  buffer.writeGraphEntry(0, 2n, 0x10000n, 4, 1000);
  buffer.writeGraphExit(0, exit, 1000);
  buffer.write({ ...common, type: "print", time: 10n, ip: 0n, text: "hello" });
  assertEquals([...buffer.events(0)], [
    { ...common, type: "function", time: 1n, ip: 0x10000n, parentIp: 0x20000n },
    { ...common, type: "funcgraph_entry", time: 2n, func: 0x10000n, depth: 4 },
    { ...common, ...exit, type: "funcgraph_exit", time: 9n },
    { ...common, type: "print", time: 10n, ip: 0n, text: "hello" },
  ]);
});

Deno.test("RingBuffer forgets the oldest in overwrite mode and counts them", () => {
  const buffer = bufferOf("overwrite");
  for (let k = 0; k < RECORDS + 5; k++) buffer.writeFunction(0, BigInt(k), 1n, 2n, 1);
  const times = [...buffer.events(0)].map(({ time }) => time);
  assertEquals(times[0], 5n);
  assertEquals(times.length, RECORDS);
  assertEquals(buffer.statistics(0), {
    entries: RECORDS,
    overrun: 5,
    dropped: 0,
    written: RECORDS + 5,
    bytes: 1024,
  });
  assertEquals([...buffer.all()][0], { type: "lost", cpu: 0, count: 5 });
});

Deno.test("RingBuffer counts lost events, not records, where an exit takes two", () => {
  const buffer = bufferOf("overwrite");
  for (let k = 0; k < 100; k++) {
    buffer.writeGraphEntry(0, BigInt(k), 1n, 0, 1);
    buffer.writeGraphExit(0, exit, 1);
  }
  const { entries, overrun, written } = buffer.statistics(0);
  assertEquals(written, 200);
  assertEquals(entries + overrun, 200);
  assertEquals([...buffer.events(0)].length, entries);
});

Deno.test("RingBuffer refuses the newest in drop mode and counts them", () => {
  const buffer = bufferOf("drop");
  for (let k = 0; k < RECORDS + 5; k++) buffer.writeFunction(0, BigInt(k), 1n, 2n, 1);
  assertEquals([...buffer.events(0)].map(({ time }) => time).at(-1), BigInt(RECORDS - 1));
  assertEquals(buffer.statistics(0).dropped, 5);
});

Deno.test("RingBuffer loses nothing in drain mode", () => {
  const buffer = bufferOf("drain");
  for (let k = 0; k < 1000; k++) buffer.writeFunction(0, BigInt(k), 1n, 2n, 1);
  assertEquals(
    [...buffer.events(0)].map(({ time }) => Number(time)),
    Array.from({ length: 1000 }, (_, k) => k),
  );
  assertEquals(buffer.statistics(0).overrun, 0);
});

Deno.test("RingBuffer stores nothing while it is off, and clear() empties it", () => {
  const buffer = bufferOf("overwrite");
  buffer.on = false;
  buffer.writeFunction(0, 1n, 1n, 2n, 1);
  assertEquals(buffer.statistics(0).written, 0);
  buffer.on = true;
  buffer.writeFunction(0, 1n, 1n, 2n, 1);
  buffer.clear();
  assertEquals(buffer.statistics(0), { entries: 0, overrun: 0, dropped: 0, written: 0, bytes: 0 });
});

Deno.test("RingBuffer refuses a size that is not positive", () => {
  assertThrows(
    () => new RingBuffer(memory, { harts: 1, kib: 0, mode: "drop" }),
    RangeError,
    "0 KiB",
  );
});
