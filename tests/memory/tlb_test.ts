import { assert, assertEquals } from "@std/assert";
import { EXECUTE, READ, WRITE } from "../../lib/memory/page.ts";
import { Memory } from "../../lib/memory/memory.ts";
import { DATA_ENTRY, FETCH_ENTRY, Tlb, TLB_BANKS } from "../../lib/memory/tlb.ts";

const V = -0x80000000n;
const P = 0x80200000;
const page = {
  page: V,
  physical: P,
  permissions: READ | WRITE | EXECUTE,
  bits: 12,
  global: false,
};

Deno.test("a new Tlb knows nothing, not even of page 0", () => {
  const tlb = new Tlb(new Memory());
  for (let bank = 0; bank < TLB_BANKS; bank++) {
    assertEquals([tlb.data(bank, 0n, READ), tlb.data(bank, -1n, READ), tlb.fetch(bank, 0n)], [
      -1,
      -1,
      -1,
    ]);
  }
});

Deno.test("data() and fetch() give what was filled, by bank and by permission", () => {
  const tlb = new Tlb(new Memory());
  tlb.fillData(2, { ...page, permissions: READ });
  tlb.fillFetch(2, { ...page, permissions: READ });
  assertEquals(tlb.data(2, V + 5n, READ), P + 5);
  assertEquals([tlb.data(2, V, WRITE), tlb.data(1, V, READ), tlb.fetch(2, V)], [-1, -1, -1]);
  tlb.fillFetch(2, page);
  assertEquals(tlb.fetch(2, V + 2n), P + 2);
});

Deno.test("flushPage() forgets one page in every bank and nothing else", () => {
  const tlb = new Tlb(new Memory());
  const other = { ...page, page: V + 4096n, physical: P + 4096 };
  for (const bank of [1, 2]) {
    for (const each of [page, other]) {
      tlb.fillData(bank, each);
      tlb.fillFetch(bank, each);
    }
  }
  tlb.flushPage(V + 8n, true);
  for (const bank of [1, 2]) {
    assertEquals([tlb.data(bank, V, READ), tlb.fetch(bank, V)], [-1, -1]);
    assertEquals(tlb.data(bank, V + 4096n, WRITE), P + 4096);
    assertEquals(tlb.fetch(bank, V + 4096n), P + 4096);
  }
});

Deno.test("flushPage() forgets all that a large leaf led to", () => {
  const tlb = new Tlb(new Memory());
  const large = { ...page, bits: 21 };
  tlb.fillData(1, large);
  tlb.fillData(1, { ...large, page: V + 0x5000n, physical: P + 0x5000 });
  tlb.fillData(1, { ...page, page: V + 0x200000n });
  tlb.flushPage(V + 0x1000n, true);
  assertEquals(
    [V, V + 0x5000n, V + 0x200000n].map((at) => tlb.data(1, at, READ)),
    [-1, -1, P],
  );
});

Deno.test("what is global stays when an address space goes", () => {
  const tlb = new Tlb(new Memory());
  tlb.fillData(1, { ...page, global: true });
  tlb.fillFetch(1, { ...page, global: true });
  tlb.fillData(1, { ...page, page: V + 4096n });
  tlb.flushLocal();
  tlb.flushPage(V, false);
  assertEquals([tlb.data(1, V, READ), tlb.fetch(1, V), tlb.data(1, V + 4096n, READ)], [P, P, -1]);
  tlb.flushPage(V, true);
  assertEquals([tlb.data(1, V, READ), tlb.fetch(1, V)], [-1, -1]);
});

Deno.test("an entry gives way to the page that has its place", () => {
  const tlb = new Tlb(new Memory());
  tlb.fillData(0, page);
  tlb.fillFetch(0, page);
  tlb.fillData(0, { ...page, page: V + 4096n * BigInt(DATA_ENTRY.count) });
  tlb.fillFetch(0, { ...page, page: V + 4096n * BigInt(FETCH_ENTRY.count) });
  assertEquals([tlb.data(0, V, READ), tlb.fetch(0, V)], [-1, -1]);
});

Deno.test("generation() is another one when something is lost, and only then", () => {
  const memory = new Memory();
  const tlb = new Tlb(memory);
  const filled = () => {
    tlb.flush();
    tlb.fillData(0, page);
    tlb.fillFetch(0, page);
    return tlb.generation(0, 1);
  };
  const kept: Readonly<Record<string, () => void>> = {
    "a page more": () => tlb.fillData(0, { ...page, page: V + 4096n }),
    "the same again": () => tlb.fillData(0, page),
    "a page of another bank": () => tlb.fillFetch(2, page),
  };
  const lost: Readonly<Record<string, () => void>> = {
    "a flush": () => tlb.flush(),
    "a page flushed": () => tlb.flushPage(V, true),
    "a space gone": () => tlb.flushLocal(),
    "a place taken by data": () =>
      tlb.fillData(0, { ...page, page: V + 4096n * BigInt(DATA_ENTRY.count) }),
    "a place taken by a fetch": () =>
      tlb.fillFetch(0, { ...page, page: V + 4096n * BigInt(FETCH_ENTRY.count) }),
    "fewer rights": () => tlb.fillData(0, { ...page, permissions: READ }),
    "another frame": () => tlb.fillData(0, { ...page, physical: P + 4096 }),
    "stores that are told of": () => memory.watch.watchText(P / 4096),
  };
  memory.map(P, 4096, READ | WRITE);
  for (const [what, act] of Object.entries(kept)) {
    const before = filled();
    act();
    assertEquals(tlb.generation(0, 1), before, what);
  }
  const seen = new Set<bigint>();
  for (const [what, act] of Object.entries(lost)) {
    const before = filled();
    act();
    assert(tlb.generation(0, 1) !== before, what);
    assert(tlb.generation(0, 1) !== tlb.generation(1, 1), what);
    assert(!seen.has(tlb.generation(0, 1)), what);
    seen.add(tlb.generation(0, 1));
  }
});
