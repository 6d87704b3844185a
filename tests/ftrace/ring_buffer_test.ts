import { assertEquals, assertThrows } from "@std/assert";
import type { TraceEvent } from "../../lib/ftrace/trace/events.ts";
import type { RingMode } from "../../lib/ftrace/trace/hart_ring.ts";
import { RingBuffer } from "../../lib/ftrace/trace/ring_buffer.ts";
import { Memory } from "../../lib/memory/memory.ts";

const memory = new Memory();
const RECORDS = 1024 / 32;
const bufferOf = (mode: RingMode) => new RingBuffer(memory, { harts: 1, kib: 1, mode });
const COMMON = { cpu: 0, pid: 1, flags: 0, preemptCount: 0 };
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
    read: 0,
    bytes: 1024,
    oldest: 5n,
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
  assertEquals(buffer.statistics(0), {
    entries: 0,
    overrun: 0,
    dropped: 0,
    written: 0,
    read: 0,
    bytes: 0,
    oldest: 0n,
  });
});

Deno.test("RingBuffer refuses a size that is not positive", () => {
  assertThrows(
    () => new RingBuffer(memory, { harts: 1, kib: 0, mode: "drop" }),
    RangeError,
    "0 KiB",
  );
});

Deno.test("RingBuffer.resize() takes sizes as buffer_size_kb does and keeps the newest events", () => {
  const sizes = [3, 8, 100, 1408].map((kib) => {
    const buffer = bufferOf("overwrite");
    buffer.resize(kib);
    return buffer.kibOf(0);
  });
  assertEquals(sizes, [7, 11, 103, 1410]);
  const buffer = bufferOf("overwrite");
  buffer.resize(100);
  const common = { cpu: 0, pid: 1, flags: 0, preemptCount: 0 };
  for (let k = 0; k < 500; k++) {
    buffer.writeGraphEntry(0, BigInt(3 * k), 1n, 0, 1);
    buffer.writeGraphExit(0, { ...exit, returnTime: BigInt(3 * k + 1) }, 1);
    buffer.write({ ...common, type: "print", time: BigInt(3 * k + 2), ip: 0n, text: `at ${k}` });
  }
  const before = [...buffer.events(0)];
  buffer.resize(1);
  const after = [...buffer.events(0)];
  assertEquals(after, before.slice(-after.length));
  assertEquals(after.at(-1), { ...common, type: "print", time: 1499n, ip: 0n, text: "at 499" });
  const { entries, overrun, written } = buffer.statistics(0);
  assertEquals([entries, entries + overrun, written], [after.length, 1500, 1500]);
  // What is written from now on follows it, in the smaller ring.
  for (let k = 0; k < 300; k++) buffer.writeGraphExit(0, exit, 1);
  assertEquals([...buffer.events(0)].every(({ type }) => type === "funcgraph_exit"), true);
  assertThrows(() => buffer.resize(0), RangeError, "0 KiB");
});

Deno.test("RingBuffer.read() takes events out in order of time and says once what is lost", () => {
  for (const mode of ["overwrite", "drain"] as const) {
    const buffer = new RingBuffer(memory, { harts: 2, kib: 1, mode });
    for (let k = 0; k < RECORDS + 3; k++) buffer.writeFunction(k % 2, BigInt(k), 1n, 2n, 1);
    for (let k = 0; k < RECORDS; k++) buffer.writeGraphExit(0, { ...exit, returnTime: 100n }, 1);
    const events: string[] = [];
    for (let event = buffer.read(); event; event = buffer.read()) {
      events.push(event.type === "lost" ? `CPU:${event.cpu} lost ${event.count}` : `${event.time}`);
    }
    const odd = Array.from({ length: 17 }, (_, k) => String(2 * k + 1));
    const exits = Array(mode === "drain" ? RECORDS : RECORDS / 2).fill("100");
    const functions = Array.from({ length: RECORDS + 3 }, (_, k) => String(k));
    assertEquals(
      events,
      mode === "drain" ? [...functions, ...exits] : [...odd, "CPU:0 lost 34", ...exits],
      mode,
    );
    const { read, entries, overrun, written } = buffer.statistics(0);
    assertEquals(entries, 0);
    assertEquals(read + overrun, written);
    buffer.writeFunction(0, 200n, 1n, 2n, 1);
    assertEquals(buffer.read(), [...functionsOf(200n)][0]);
    assertEquals(buffer.read(0), undefined);
  }
});

function functionsOf(time: bigint): TraceEvent[] {
  const common = { cpu: 0, pid: 1, flags: 0, preemptCount: 0 };
  return [{ ...common, type: "function" as const, time, ip: 1n, parentIp: 2n }];
}

Deno.test("RingBuffer.swap() exchanges events, sizes and figures, and writers go on", () => {
  const buffer = bufferOf("overwrite");
  for (let k = 0; k < 40; k++) buffer.writeFunction(0, BigInt(k), 1n, 2n, 1);
  buffer.write({ ...COMMON, time: 41n, type: "print", ip: 0n, text: "beside" });
  const before = [...buffer.events(0)], figures = buffer.statistics(0);
  const snapshot = buffer.spare();
  const control = buffer.controlOf(0);
  buffer.swap(snapshot);
  assertEquals([...snapshot.events(0)], before);
  assertEquals(snapshot.statistics(0), figures);
  assertEquals([buffer.statistics(0).entries, buffer.controlOf(0)], [0, control]);
  buffer.writeFunction(0, 50n, 1n, 2n, 1);
  assertEquals([...buffer.events(0)], functionsOf(50n));
  assertEquals([...snapshot.events(0)], before);
  buffer.swap(snapshot);
  assertEquals([...buffer.events(0)], before);
});

Deno.test("RingBuffer keeps payloads of the events that are there, however many were lost", () => {
  const buffer = bufferOf("overwrite");
  const common = { cpu: 0, pid: 1, flags: 0, preemptCount: 0 };
  for (let k = 0; k < 20_000; k++) {
    buffer.write({ ...common, type: "print", time: BigInt(k), ip: 0n, text: String(k) });
  }
  const texts = [...buffer.events(0)].map((event) => event.type === "print" ? event.text : "");
  assertEquals(texts, Array.from({ length: RECORDS }, (_, k) => String(20_000 - RECORDS + k)));
});

Deno.test("RingBuffer stamps by the clock that is set; durations stay nanoseconds", () => {
  const buffer = bufferOf("overwrite");
  buffer.setClock((time) => time * 10n);
  buffer.writeFunction(0, 3n, 1n, 2n, 1);
  buffer.writeGraphExit(0, exit, 1);
  buffer.write({ ...COMMON, time: 11n, type: "print", ip: 0n, text: "beside" });
  assertEquals([...buffer.events(0)].map(({ time }) => time), [30n, 90n, 110n]);
  const second = [...buffer.events(0)][1]!;
  assertEquals(second.type === "funcgraph_exit" && second.returnTime - second.callTime, 4n);
});

Deno.test("RingBuffer stores only events of harts in its cpumask", () => {
  const buffer = new RingBuffer(memory, { harts: 2, kib: 1, mode: "overwrite" });
  buffer.cpumask = 2;
  for (const hart of [0, 1]) buffer.writeFunction(hart, 1n, 1n, 2n, 1);
  assertEquals([0, 1].map((hart) => buffer.statistics(hart).written), [0, 1]);
});
