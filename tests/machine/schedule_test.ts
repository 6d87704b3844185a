import { assert, assertEquals } from "@std/assert";
import { Hart } from "../../lib/hart/hart.ts";
import { Schedule } from "../../lib/machine/schedule.ts";
import { Memory } from "../../lib/memory/memory.ts";

/** The first turns of three harts: who, and for how long. */
function turns(seed: bigint, count: number): string[] {
  const memory = new Memory();
  const harts = [0, 1, 2].map((id) => new Hart(id, memory, "M", "aside"));
  const schedule = new Schedule(harts, seed);
  return Array.from({ length: count }, () => {
    const { hart, end } = schedule.turn();
    assert(hart.now() < end && schedule.running === hart);
    const length = end - hart.now();
    hart.instret += length;
    return `${hart.id} ${length}`;
  });
}

Deno.test("turn() gives every hart a turn in each round, as long as all others'", () => {
  const all = turns(1n, 300);
  for (let round = 0; round < 100; round++) {
    const [ids, lengths] = [0, 1].map((k) =>
      all.slice(round * 3, round * 3 + 3).map((turn) => turn.split(" ")[k]!)
    );
    assertEquals(ids!.toSorted(), ["0", "1", "2"]);
    assertEquals(new Set(lengths).size, 1);
  }
  assert(all.some((turn) => Number(turn.split(" ")[1]) === 1), "the shortest is one nanosecond");
});

Deno.test("turn() is the same for a seed, and another for another", () => {
  assertEquals(turns(5n, 60), turns(5n, 60));
  assert(String(turns(5n, 60)) !== String(turns(6n, 60)));
});

Deno.test("enter() keeps each hart's state, and loses what another had reserved", () => {
  const memory = new Memory();
  const harts = [0, 1].map((id) => new Hart(id, memory, "M", "aside"));
  const [first, second] = harts as [Hart, Hart];
  const schedule = new Schedule(harts, 0n);
  first.x[5] = 11n;
  first.pc = 0x80000000n;
  first.reservation = { address: 8n, value: 1n };
  second.x[5] = 22n;
  schedule.enter(second);
  second.f[1] = 3n;
  assertEquals([first.x[5], second.x[5], first.pc], [11n, 22n, 0x80000000n]);
  assertEquals(first.reservation.address, -1n);
  schedule.enter(first);
  assertEquals([first.x[5], second.x[5], second.f[1], first.f[1]], [11n, 22n, 3n, 0n]);
});
