import { assertEquals } from "@std/assert";
import { RV64 } from "../../lib/isa/decode.ts";
import type { Definition } from "../../lib/isa/encoding.ts";
import { ENGINES } from "./engines.ts";
import {
  CODE,
  CONSTANTS,
  createGuest,
  DATA,
  differences,
  type Guest,
  NOTHING,
  resetGuest,
  stateOf,
} from "./guest.ts";
import { createRandom, type Random } from "./random.ts";
import { THOROUGH } from "../thorough.ts";

/** Instances of each definition. */
const INSTANCES = THOROUGH ? 200 : 30;
const INTEGERS = [
  0n,
  1n,
  -1n,
  2n,
  63n,
  64n,
  0x7fffffffn,
  -0x80000000n,
  0x80000000n,
  0xffffffffn,
  0x7fffffffffffffffn,
  -0x8000000000000000n,
];
/** Doubles, and singles in their box: ordinary, exact and inexact, and every special kind. */
const FLOATS = [
  ...[1, -1, 0, -0, 0.1, 3, 1e300, -1e300, 5e-324, 2 ** -1022, Infinity, NaN, 2 ** 31, 2 ** 63, 1.5]
    .map(bitsOfDouble),
  0x7ff0000000000001n,
  ...[1, -1.5, 0, 0.1, 16777217, 3e38, 1e-45, Infinity, NaN, 2 ** 31].map((value) =>
    bitsOfSingle(value) | (0xffffffffn << 32n)
  ),
  0xffffffff7f800001n,
];

function bitsOfDouble(value: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0);
}
function bitsOfSingle(value: number): bigint {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  return BigInt(view.getUint32(0));
}

/** Addresses that work, and every way in which one does not. */
function address(random: Random): bigint {
  const offset = BigInt(random.below(4080));
  return random.pick([
    BigInt(DATA) + (offset & ~7n),
    BigInt(DATA) + (offset & ~7n),
    BigInt(DATA) + (offset & ~3n),
    BigInt(DATA) + offset,
    BigInt(DATA) + 4096n - BigInt(random.below(9)),
    BigInt(CONSTANTS) + (offset & ~7n),
    BigInt(CONSTANTS) + 4096n - BigInt(random.below(9)),
    BigInt(NOTHING) + offset,
    BigInt(DATA) + (1n << BigInt(32 + random.below(31))),
    -8n,
  ]);
}

/** Puts a random state into a guest: the same one for the same seed. */
function fill(guest: Guest, seed: number): void {
  const random = createRandom(seed);
  resetGuest(guest);
  const { hart, memory } = guest;
  for (let n = 1; n < 32; n++) {
    const kind = random.below(4);
    hart.x[n] = BigInt.asIntN(
      64,
      kind === 0 ? random.pick(INTEGERS) : kind === 1 ? random.bits(64) : address(random),
    );
  }
  for (let n = 0; n < 32; n++) {
    hart.f[n] = random.below(4) === 0 ? random.bits(64) : random.pick(FLOATS);
  }
  hart.fcsr = random.pick([0, 0, 1, 1, 0x1f, 0x20, 0x61, 0x80, 0xa0, 0xe0]);
  for (let at = DATA; at < DATA + 8192; at += 8) {
    memory.view.setBigUint64(at, random.bits(64), true);
  }
  if (random.below(2) === 0) {
    const reserved = BigInt(DATA) + BigInt(random.below(1000) * 8);
    hart.reservation = {
      address: reserved,
      value: memory.view.getBigInt64(Number(reserved), true),
    };
  }
}

/** A word of this definition with random operands; memory offsets stay small. */
function instanceOf({ pattern }: Definition, random: Random): number {
  const free = ~pattern.mask >>> 0;
  return (pattern.match | (Number(random.bits(32)) & free)) >>> 0;
}

/** What each engine makes of one instruction at the start of the code. */
function compare(guests: readonly Guest[], word: number, bytes: number, seed: number): string[] {
  const states = guests.map((guest) => {
    fill(guest, seed);
    guest.memory.view.setUint32(CODE, bytes === 4 ? word : (word | 0x00010000) >>> 0, true);
    guest.hart.fetched.drop();
    return stateOf(guest, guest.engine.run(guest.hart, 1n));
  });
  return states.slice(1).flatMap((state) => differences(state, states[0]!));
}

Deno.test("run() of one instruction leaves the same state on every engine, for each definition", () => {
  const guests = ENGINES.map(({ make }) => createGuest(make, "M"));
  const random = createRandom(2026);
  const wrong: string[] = [];
  for (const definition of RV64.definitions) {
    for (let instance = 0; instance < INSTANCES; instance++) {
      const word = instanceOf(definition, random);
      const seed = random.below(2 ** 31);
      const lines = compare(guests, word, 4, seed);
      if (lines.length > 0) {
        wrong.push(`${definition.name} 0x${word.toString(16)} seed ${seed}: ${lines.join("; ")}`);
      }
    }
  }
  assertEquals(wrong.slice(0, 20), []);
});

Deno.test("run() of one instruction leaves the same state where addresses are translated", () => {
  const guests = [
    createGuest(ENGINES[0]!.make),
    ...ENGINES.map(({ make }) => createGuest(make, "translated")),
  ];
  const random = createRandom(2027);
  const wrong: string[] = [];
  // Whoever translates addresses lets cbo.inval through, where Linux does not.
  for (const definition of RV64.definitions.filter(({ name }) => name !== "cbo.inval")) {
    for (let instance = 0; instance < Math.ceil(INSTANCES / 2); instance++) {
      const word = instanceOf(definition, random);
      const seed = random.below(2 ** 31);
      const lines = compare(guests, word, 4, seed);
      if (lines.length > 0) {
        wrong.push(`${definition.name} 0x${word.toString(16)} seed ${seed}: ${lines.join("; ")}`);
      }
    }
  }
  assertEquals(wrong.slice(0, 20), []);
});

Deno.test("run() of one compressed instruction leaves the same state on every engine", () => {
  const guests = ENGINES.flatMap((
    { make },
  ) => [createGuest(make), createGuest(make, "translated")]);
  const random = createRandom(7);
  const wrong: string[] = [];
  for (let count = 0; count < (THOROUGH ? 40_000 : 2_000); count++) {
    const half = Number(random.bits(16));
    if ((half & 3) === 3) continue;
    const seed = random.below(2 ** 31);
    const lines = compare(guests, half, 2, seed);
    if (lines.length > 0) wrong.push(`0x${half.toString(16)} seed ${seed}: ${lines.join("; ")}`);
  }
  assertEquals(wrong.slice(0, 20), []);
});
