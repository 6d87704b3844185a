import { assertEquals, assertThrows } from "@std/assert";
import { Hart } from "../../lib/hart/hart.ts";
import { EventQueue, type EventSource } from "../../lib/machine/event_queue.ts";
import { Memory } from "../../lib/memory/memory.ts";

const memory = new Memory();

/** Harts that have retired no instruction. */
function hartsOf(count: number): Hart[] {
  return Array.from({ length: count }, (_, id) => new Hart(id, memory, "M", "aside"));
}

/** A source whose events on one hart's time are given; what happens goes into `log`. */
function source(name: string, on: Hart, moments: bigint[], log: string[], wakes = true) {
  const made: EventSource = {
    name,
    nextEvent: (hart) => hart === on ? moments[0] : undefined,
    advance: (hart) => void log.push(`${name} ${moments.shift()} at ${hart.now()}`),
    mayWake: () => wakes,
  };
  return made;
}

Deno.test("EventQueue.advance() lets what is due happen in order of time, then of sources", () => {
  const [hart] = hartsOf(1) as [Hart];
  const queue = new EventQueue(1);
  const log: string[] = [];
  queue.add(source("first", hart, [5n, 20n], log));
  queue.add(source("second", hart, [3n, 5n, 21n], log));
  assertEquals([queue.advance(hart), log], [3n, []]);
  hart.instret = 20n;
  assertEquals(queue.advance(hart), 1n);
  assertEquals(log, ["second 3 at 20", "first 5 at 20", "second 5 at 20", "first 20 at 20"]);
  hart.instret = 21n;
  assertEquals(queue.advance(hart), undefined);
});

Deno.test("EventQueue.advance() goes by each hart's own time", () => {
  const [first, second] = hartsOf(2) as [Hart, Hart];
  const queue = new EventQueue(2);
  const log: string[] = [];
  queue.add(source("a", first, [10n], log));
  queue.add(source("b", second, [4n], log));
  second.idle = 9n;
  assertEquals([queue.advance(first), log.length], [10n, 0]);
  assertEquals([queue.advance(second), log], [undefined, ["b 4 at 9"]]);
});

Deno.test("EventQueue.advance() keeps what a source said until it is told to ask again", () => {
  const [hart] = hartsOf(1) as [Hart];
  const queue = new EventQueue(1);
  const moments = [100n];
  queue.add(source("a", hart, moments, []));
  assertEquals(queue.advance(hart), 100n);
  moments[0] = 7n;
  queue.reschedule();
  assertEquals(queue.advance(hart), 7n);
});

Deno.test("EventQueue.untilWoken() counts only events that may wake a hart", () => {
  const [hart] = hartsOf(1) as [Hart];
  const queue = new EventQueue(1);
  queue.add(source("quiet", hart, [4n], [], false));
  assertEquals(queue.untilWoken(hart), undefined);
  const loud = queue.add(source("loud", hart, [9n], []));
  hart.instret = 2n;
  assertEquals([queue.advance(hart), queue.untilWoken(hart)], [2n, 7n]);
  loud[Symbol.dispose]();
  assertEquals([queue.advance(hart), queue.untilWoken(hart)], [2n, undefined]);
});

Deno.test("EventQueue.advance() refuses an event that is still due when it has happened", () => {
  const [hart] = hartsOf(1) as [Hart];
  const queue = new EventQueue(1);
  queue.add({ name: "stuck", nextEvent: () => 0n, advance() {}, mayWake: () => true });
  assertThrows(
    () => queue.advance(hart),
    RangeError,
    "Cannot go on: the event of stuck at 0 ns has happened and is still due",
  );
});
