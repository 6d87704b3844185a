/**
 * Properties that all readings of one definition share, on random words and random states.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { collect } from "../../lib/isa/collect.ts";
import { RV64 } from "../../lib/isa/decode.ts";
import { ENTRY_TRAIL, follow } from "../../lib/isa/follow.ts";
import { ENGINES } from "./engines.ts";
import { CODE, createGuest, DATA, type Guest, resetGuest, stateOf } from "./guest.ts";

const guests = ENGINES.map(({ make }) => createGuest(make));
const reference = guests[0]!;

const definitions = RV64.definitions.filter(({ name }) =>
  !["illegal", "hostcall", "ecall", "ebreak", "fence.i"].includes(name) &&
  !/ret$|^wfi$|^sfence/.test(name)
);
/** A word of some definition. */
const words = fc.tuple(fc.nat(definitions.length - 1), fc.integer()).map(([k, free]) => {
  const { pattern } = definitions[k]!;
  return (pattern.match | (free & ~pattern.mask)) >>> 0;
});
const longs = fc.oneof(
  fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
  fc.constantFrom(0n, 1n, -1n, 1n << 31n, -(1n << 63n), 0xffffffffn),
  // Mostly addresses, so that memory accesses do not all fault.
  fc.nat(4000).map((offset) => BigInt(DATA + offset)),
);
const states = fc.record({
  x: fc.array(longs, { minLength: 32, maxLength: 32 }),
  f: fc.array(longs, { minLength: 32, maxLength: 32 }),
  // With a valid rounding mode, or an instruction that rounds reads nothing else.
  fcsr: fc.tuple(fc.nat(4), fc.nat(31)).map(([mode, flags]) => mode << 5 | flags),
});
type State = typeof states extends fc.Arbitrary<infer T> ? T : never;

function put(guest: Guest, word: number, { x, f, fcsr }: State): void {
  resetGuest(guest);
  const { hart, memory } = guest;
  for (let n = 1; n < 32; n++) hart.x[n] = x[n]!;
  for (let n = 0; n < 32; n++) hart.f[n] = BigInt.asUintN(64, f[n]!);
  hart.fcsr = fcsr;
  memory.view.setUint32(CODE, word, true);
}

const RUNS = { numRuns: 3000, seed: 1 };

Deno.test("every engine leaves the same state when a random word meets a random state", () => {
  fc.assert(
    fc.property(words, states, (word, state) => {
      const results = guests.map((guest) => {
        put(guest, word, state);
        return stateOf(guest, guest.engine.run(guest.hart, 1n));
      });
      for (const result of results) assertEquals(result, results[0]);
    }),
    RUNS,
  );
});

Deno.test("collect() names every register that the reference is seen to write", () => {
  fc.assert(
    fc.property(words, states, (word, state) => {
      const { definition } = RV64.decode(word);
      const { writesX, writesF } = collect(definition, word);
      put(reference, word, state);
      reference.engine.run(reference.hart, 1n);
      const { x, f } = reference.hart;
      for (let n = 1; n < 32; n++) {
        if (x[n] !== state.x[n]) {
          assertEquals([definition.name, n, writesX.has(n)], [definition.name, n, true]);
        }
      }
      for (let n = 0; n < 32; n++) {
        const same = f[n] === BigInt.asUintN(64, state.f[n]!);
        if (!same) assertEquals([definition.name, n, writesF.has(n)], [definition.name, n, true]);
      }
    }),
    RUNS,
  );
});

Deno.test("nothing changes for the reference when registers change that collect() does not name as read", () => {
  fc.assert(
    fc.property(words, states, states, (word, state, other) => {
      const { definition } = RV64.decode(word);
      const { readsX, readsF, writesX, writesF } = collect(definition, word);
      const mixed = {
        x: state.x.map((value, n) => readsX.has(n) ? value : other.x[n]!),
        f: state.f.map((value, n) => readsF.has(n) ? value : other.f[n]!),
        fcsr: state.fcsr,
      };
      const [first, second] = [state, mixed].map((each) => {
        put(reference, word, each);
        const stop = reference.engine.run(reference.hart, 1n);
        const { x, f, pc, fcsr } = reference.hart;
        return {
          stop,
          pc,
          fcsr,
          x: [...writesX].map((n) => stop.kind === "trap" ? 0n : x[n]),
          f: [...writesF].map((n) => stop.kind === "trap" ? 0n : f[n]),
        };
      });
      assertEquals(second, first);
    }),
    RUNS,
  );
});

Deno.test("follow() is right about every register whose origin it claims to know", () => {
  fc.assert(
    fc.property(words, states, (word, state) => {
      const instruction = RV64.decode(word);
      put(reference, word, state);
      const stop = reference.engine.run(reference.hart, 1n);
      if (stop.kind === "trap") return;
      const { trail } = follow(instruction, BigInt(CODE), ENTRY_TRAIL);
      trail.x.forEach((origin, n) => {
        if (!origin || n === 0) return;
        const base = origin.register === 0 ? 0n : state.x[origin.register]!;
        assertEquals(
          [instruction.definition.name, n, reference.hart.x[n]],
          [instruction.definition.name, n, BigInt.asIntN(64, base + origin.plus)],
        );
      });
    }),
    RUNS,
  );
});

Deno.test("assemble() of a disassembled 16-bit word, and decode() of its expansion, come back to it", () => {
  for (let half = 0; half < 65536; half++) {
    if ((half & 3) === 3) continue;
    const { definition, word, length } = RV64.decode(half);
    assertEquals(length, 2);
    if (definition.name === "illegal") continue;
    // The expansion is a word of the same definition with the same fields.
    const expanded = RV64.decode(word);
    assertEquals([expanded.definition.name, expanded.word], [definition.name, word]);
    assertEquals(expanded.imm, RV64.decode(half).imm);
  }
});
