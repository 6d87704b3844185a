/**
 * What the JIT keeps, and what leads there, while regions come and go.
 *
 * That nobody notices is in `jit_test.ts` and `eviction_test.ts`.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { BLOCK_SIZE } from "../../lib/engine/interpreter/micro_op.ts";
import { createJit } from "../../lib/engine/jit/jit.ts";
import { assemble } from "../../lib/isa/asm.ts";
import { EXECUTE, PAGE_SIZE, READ } from "../../lib/memory/page.ts";
import { CODE, createGuest, describeStop, type Guest, resetGuest, setRegisters } from "./guest.ts";
import { ALIAS, PageTables } from "./jit_paged.ts";
import { createRandom } from "./random.ts";

/** Runs from `CODE` to an ebreak. */
function run({ hart, engine }: Guest): void {
  hart.pc = BigInt(CODE);
  const stop = describeStop(engine.run(hart, 2n ** 40n));
  assert(stop.startsWith("trap 3"), stop);
}

Deno.test("a region that goes leaves calls to the newer one at its address when that lies elsewhere", () => {
  const callee = 0x40000, other = 0x41000;
  const guest = createGuest(
    (memory) => createJit(memory, { jitThreshold: 400, statistics: true }),
    "M",
  );
  const { hart, memory, engine } = guest;
  const tables = new PageTables(hart, "S", createRandom(1));
  const write = (address: number, source: string) =>
    memory.poke(tables.physical(address), assemble(source, { origin: BigInt(address) }).bytes);
  write(CODE, `1: jal ra, .+${callee - CODE}\naddi a1, a1, -1\nbnez a1, 1b\nebreak`);
  // It is long enough to be seen in the interpreter.
  const adding = (count: number) => `addi a0, a0, ${count}\n${"xor a2, a2, a0\n".repeat(40)}ret`;
  write(callee, adding(1));
  write(other, adding(2));
  for (const page of [CODE, callee]) tables.protect(page, READ | EXECUTE);
  const calls = (): bigint => {
    setRegisters(guest, { a0: 0n, a1: 2000n });
    run(guest);
    return hart.x[10]!;
  };
  const frame = tables.physical(callee);
  assertEquals(calls(), 2000n);
  tables.alias(callee, other);
  tables.protect(callee, READ | EXECUTE);
  assertEquals(calls(), 4000n);
  assertEquals(calls(), 4000n);
  const { exits: { uncompiled }, regions: { dropped } } = engine.statistics!()!;
  memory.poke(frame, assemble(adding(3)).bytes);
  hart.fetched.fence();
  assertEquals(engine.statistics!()!.regions.dropped, dropped + 1);
  assertEquals(calls(), 4000n);
  assertEquals(engine.statistics!()!.exits.uncompiled, uncompiled);
});

Deno.test("run() compiles code once for each of its names when it is entered by both in turn", () => {
  const other = CODE + ALIAS;
  const guest = createGuest(
    (memory) => createJit(memory, { jitThreshold: 1, statistics: true }),
    "M",
  );
  const { hart, memory, engine } = guest;
  const tables = new PageTables(hart, "S", createRandom(1));
  memory.poke(tables.physical(CODE), assemble("1: addi a0, a0, 1\nj 1b").bytes);
  tables.alias(other, CODE);
  for (const name of [CODE, other]) tables.protect(name, READ | EXECUTE);
  for (let turn = 0; turn < 100; turn++) {
    hart.pc = BigInt(turn % 2 === 0 ? CODE : other);
    assertEquals(engine.run(hart, hart.instret + 20n).kind, "limit");
  }
  assertEquals([hart.x[10], hart.instret], [1000n, 2000n]);
  const { compiled } = engine.statistics!()!.regions;
  assert(compiled < 8, `${compiled} regions were compiled`);
});

/** Calls a function that loops, and one of many others, in turn: s2 of them, from s1 on. */
const HOT_AND_COLD = `
1: call hot
  jalr s1
  addi s1, s1, 32
  addi s2, s2, -1
  bnez s2, 1b
  ebreak
hot:
  li a1, 20000
2: addi a1, a1, -1
  bnez a1, 2b
  ret
`;
const COLD = "li a1, 2500\n1: addi a1, a1, -1\nxor a2, a2, a1\nbnez a1, 1b\nret";

Deno.test("run() keeps the region that it is in most when others come and go", () => {
  const many = 100, first = 0x40000, budget = 30 * 25_000;
  const entries: number[] = [];
  const { bytes, symbols } = assemble(HOT_AND_COLD, { origin: BigInt(CODE) });
  const hot = Number(symbols.get("hot"));
  const bounds = [CODE, hot, first, ...Array.from({ length: many }, (_, k) => first + 32 * k)];
  const functionAt = (pc: number) => {
    const k = bounds.findLastIndex((low) => low <= pc);
    return { low: bounds[k]!, high: bounds[k + 1] ?? bounds[k]! + 32 };
  };
  const onCompiled = ({ entry }: { entry: number }) => void entries.push(entry);
  const guest = createGuest((memory) =>
    createJit(memory, { jitThreshold: 1000, functionAt, onCompiled }, budget)
  );
  resetGuest(guest);
  guest.memory.map(first, PAGE_SIZE * 2, READ | EXECUTE);
  guest.memory.poke(CODE, bytes);
  for (let k = 0; k < many; k++) guest.memory.poke(first + 32 * k, assemble(COLD).bytes);
  setRegisters(guest, { s1: BigInt(first), s2: BigInt(many) });
  run(guest);
  const compiled = entries.filter((entry) => entry >= hot && entry < hot + 16);
  assert(entries.length > 90, `${entries.length} were compiled`);
  assert(compiled.length <= 2, `${compiled.length} of them were the one that runs most`);
});

Deno.test("run() writes no entrance into memory that was given back when few blocks are kept", () => {
  for (const blocks of [1.2, 1.4, 1.7, 2.2]) {
    const guest = createGuest((memory) =>
      createJit(memory, { jitThreshold: 1 }, blocks * BLOCK_SIZE)
    );
    const { heap, hostBytes } = guest.memory;
    const taken = new Map<number, number>(), given = new Map<number, number>();
    const allocate = heap.allocate.bind(heap), free = heap.free.bind(heap);
    heap.allocate = (bytes, align) => {
      const at = allocate(bytes, align);
      for (const [start, size] of given) {
        if (start < at + bytes && at < start + size) given.delete(start);
      }
      taken.set(at, bytes);
      return at;
    };
    let freed = 0;
    heap.free = (at) => {
      freed++;
      free(at);
      hostBytes.fill(0xa5, at, at + taken.get(at)!);
      given.set(at, taken.get(at)!);
    };
    resetGuest(guest);
    const source =
      `li a1, 50\n1: call 2f\naddi a1, a1, -1\nbnez a1, 1b\nebreak\n.zero 4096\n2: ret`;
    guest.memory.poke(CODE, assemble(source, { origin: BigInt(CODE) }).bytes);
    run(guest);
    assert(freed > 0, `${blocks} blocks: nothing was let go`);
    for (const [at, size] of given) {
      const written = hostBytes.subarray(at, at + size).findIndex((byte) => byte !== 0xa5);
      assertEquals(written, -1, `${blocks} blocks: written to ${at} + ${written}`);
    }
  }
});
