import { assertEquals } from "@std/assert";
import { CodeCache, type CodeOwner, type CodeUnit } from "../../lib/engine/code_cache.ts";
import { Hart } from "../../lib/hart/hart.ts";
import { PAGE_SIZE } from "../../lib/memory/page.ts";
import { Memory } from "../../lib/memory/memory.ts";

const PAGE = 7;
const START = PAGE * PAGE_SIZE;

/** An owner of units that each hold the instructions at some addresses. */
class Owner implements CodeOwner {
  readonly hart: Hart;
  readonly addresses = new Map<CodeUnit, Set<number>>();

  constructor(hart: Hart) {
    this.hart = hart;
  }

  forget(unit: CodeUnit, start: number, end: number): boolean {
    const here = this.addresses.get(unit)!;
    for (const address of here) if (address >= start && address < end) here.delete(address);
    return here.size > 0;
  }

  entries(unit: CodeUnit): Iterable<number> {
    return this.addresses.get(unit)!;
  }

  *words(unit: CodeUnit): Iterable<{ address: number; bits: number }> {
    for (const address of this.entries(unit)) yield { address, bits: 1 };
  }
}

function cacheOf(budget: number) {
  const memory = new Memory();
  const { heap } = memory;
  const [first, second] = [
    new Owner(new Hart(0, memory, "U")),
    new Owner(new Hart(1, memory, "U")),
  ];
  const cache = new CodeCache(heap, budget);
  const before = heap.used;
  const released: CodeUnit[] = [];
  const listening = cache.onRelease((units) => void released.push(...units));
  const unit = (owner: Owner, pages: readonly number[], addresses: readonly number[]) => {
    const made = cache.allocate({ owner, pages, bytes: 1000 });
    owner.addresses.set(made, new Set(addresses));
    return made;
  };
  return { cache, first, second, released, listening, unit, used: () => heap.used - before };
}

Deno.test("allocate() lets the oldest units go when the budget is spent", () => {
  const { cache, first, released, unit, used } = cacheOf(4000);
  const units = [0, 1, 2, 3].map((page) => unit(first, [page], [page * PAGE_SIZE]));
  cache.touch(units[0]!);
  unit(first, [4], [4 * PAGE_SIZE]);
  assertEquals(released, [units[1], units[2]], "with some room for more, and not the one in use");
  assertEquals([cache.size, cache.used, used()], [3, 3000, 3000]);
  assertEquals([cache.at(1), cache.at(0)], [[], [units[0]]]);
});

Deno.test("allocate() counts what a unit costs elsewhere", () => {
  const { cache, first, released } = cacheOf(4000);
  const module = cache.allocate({ owner: first, pages: [1], bytes: 0, cost: 3000 });
  cache.allocate({ owner: first, pages: [2], bytes: 2000 });
  assertEquals(released, [module]);
  assertEquals(cache.used, 2000);
});

Deno.test("allocate() takes the place of units when the heap has no other", () => {
  const { cache, first, released } = cacheOf(2 ** 30);
  const size = 3 * 2 ** 20;
  const { heap } = first.hart.memory;
  heap.allocate(2 ** 30 - heap.used - 8 * 2 ** 20);
  const one = cache.allocate({ owner: first, pages: [1], bytes: size });
  cache.allocate({ owner: first, pages: [2], bytes: size });
  assertEquals(released, [one]);
});

Deno.test("invalidateAddress() drops one hart's instruction, and a unit of which nothing is left", () => {
  const { cache, first, second, released, unit, used } = cacheOf(100_000);
  const mine = unit(first, [PAGE], [START, START + 4]);
  const theirs = unit(second, [PAGE], [START]);
  cache.invalidateAddress(START, first.hart);
  assertEquals([...first.entries(mine)], [START + 4]);
  assertEquals(released, []);
  cache.invalidateAddress(START + 4, first.hart);
  assertEquals(released, [mine]);
  assertEquals([cache.at(PAGE), used()], [[theirs], 1000]);
  cache.invalidateAddress(START);
  assertEquals(released, [mine, theirs]);
});

Deno.test("invalidate() drops a range, and invalidatePage() a page, of units that span pages", () => {
  const { cache, first, released, unit } = cacheOf(100_000);
  const both = unit(first, [PAGE, PAGE + 1], [START + 8, START + PAGE_SIZE]);
  const other = unit(first, [PAGE + 1], [START + PAGE_SIZE + 64]);
  cache.invalidate(START + 8, START + PAGE_SIZE);
  assertEquals([...first.entries(both)], [START + PAGE_SIZE]);
  cache.invalidatePage(PAGE + 1);
  assertEquals(released, [both, other]);
  assertEquals([cache.at(PAGE), cache.size, cache.used], [[], 0, 0]);
});

Deno.test("onRelease() tells nobody who was disposed of", () => {
  const { cache, first, released, listening, unit } = cacheOf(100_000);
  unit(first, [PAGE], [START]);
  listening[Symbol.dispose]();
  cache.evict(1);
  assertEquals([released, cache.size], [[], 0]);
});
