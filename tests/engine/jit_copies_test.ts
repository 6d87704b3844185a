/**
 * Blocks that stand in a region several times: loops that are unrolled, functions that are inlined.
 *
 * Each program is stopped behind every one of its instructions and compared with the reference, so
 * that each copy is left in its middle.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { createJit } from "../../lib/engine/jit/jit.ts";
import { ControlFlow } from "../../lib/engine/jit/control_flow.ts";
import { inlineCalls } from "../../lib/engine/jit/inlining.ts";
import { type CodeSource, discoverRegion, type Region } from "../../lib/engine/jit/region.ts";
import { splitLoops } from "../../lib/engine/jit/splitting.ts";
import { unrollLoops } from "../../lib/engine/jit/unrolling.ts";
import { LEAVE } from "../../lib/engine/plan/plan.ts";
import { Plans } from "../../lib/engine/plan/plans.ts";
import { createReference } from "../../lib/engine/reference/reference.ts";
import { assemble } from "../../lib/isa/asm.ts";
import { RV64 } from "../../lib/isa/decode.ts";
import { PAGE_SIZE } from "../../lib/memory/page.ts";
import { CODE, createGuest, DATA, differences, type Guest, resetGuest, stateOf } from "./guest.ts";

/** Two pages of data, behind which one may only read. */
const END = DATA + 2 * PAGE_SIZE;

/** Counts characters up to the one that is 7, from a few bytes before the end of what is written. */
const MATCH = `
  lui a0, ${END / PAGE_SIZE}
  addi a0, a0, -11
  mv a1, a0
  li a3, 0
  li a4, 40
loop:
  lbu a2, 0(a0)
  addi a3, a3, 1
  addi a0, a0, 1
  beq a2, s0, found
  sb a3, -1(a0)
  bne a3, a4, loop
found:
  ebreak`;

/** The number of leaves below s0 levels of three calls, by a function that calls itself. */
const TREE = `
  lui sp, ${END / PAGE_SIZE}
  mv a0, s0
  jal tree
  ebreak
tree:
  addi sp, sp, -32
  sd ra, 24(sp)
  sd s0, 16(sp)
  sd s1, 8(sp)
  li s1, 1
  blez a0, 2f
  li s1, 0
  li s0, 3
  sd a0, 0(sp)
1:
  ld a0, 0(sp)
  addi a0, a0, -1
  jal tree
  add s1, s1, a0
  addi s0, s0, -1
  bnez s0, 1b
2:
  mv a0, s1
  ld s1, 8(sp)
  ld s0, 16(sp)
  ld ra, 24(sp)
  addi sp, sp, 32
  ret`;

/** The Fibonacci number of s0, by a function that calls itself twice. */
const FIBONACCI = `
  lui sp, ${END / PAGE_SIZE}
  mv a0, s0
  jal fib
  ebreak
fib:
  addi sp, sp, -16
  sd s0, 0(sp)
  sd ra, 8(sp)
  li a5, 1
  mv s0, a0
  bgeu a5, a0, 1f
  addi a0, a0, -1
  jal fib
  mv a5, a0
  addi a0, s0, -2
  mv s0, a5
  jal fib
  add s0, s0, a0
1:
  ld ra, 8(sp)
  mv a0, s0
  ld s0, 0(sp)
  addi sp, sp, 16
  ret`;

/** As {@linkcode TREE}, but each function of level 1 goes back to its caller's caller. */
const SKIPS = TREE.replace(
  "  ret",
  `  li t1, 1
  bne a0, t1, 3f
  beqz s2, 3f
  addi s2, s2, -1
  ld ra, 24(sp)
  ld s0, 16(sp)
  ld s1, 8(sp)
  addi sp, sp, 32
3:
  ret`,
);

/** A loop that is entered at its first block or, from s0 = 2 on, in its middle, as compilers move tests. */
const MIDDLE = `
  lui a0, ${END / PAGE_SIZE}
  addi a0, a0, -40
  li a1, 1
outer:
  li a2, 7
  bge s0, a1, test
loop:
  addi a2, a2, -1
  addi a3, a3, 2
  beqz a2, out
  bltz a2, loop
test:
  addi a4, a4, 3
  sb a4, 0(a0)
  addi a0, a0, 1
  andi a5, a4, 1
  bnez a5, loop
  addi a3, a3, -1
  bgtz a2, loop
out:
  addi a1, a1, 1
  bge s0, a1, outer
  ebreak`;

const PROGRAMS = [
  { name: "a loop of two blocks that ends at what may not be written", source: MATCH, s0: 1n },
  { name: "a loop that is entered in its middle", source: MIDDLE, s0: 3n },
  { name: "a function that calls itself", source: TREE, s0: 2n },
  { name: "a function that calls itself twice", source: FIBONACCI, s0: 5n },
  { name: "a function that calls itself until its stack ends", source: TREE, s0: 300n },
  { name: "a function that goes back to its caller's caller", source: SKIPS, s0: 2n, s2: 2n },
];

function begin(guest: Guest, source: string, registers: Readonly<Record<string, bigint>>): void {
  resetGuest(guest);
  guest.memory.poke(CODE, assemble(source, { origin: BigInt(CODE) }).bytes);
  guest.hart.x[8] = registers["s0"] ?? 0n;
  guest.hart.x[18] = registers["s2"] ?? 0n;
}

for (const { name, source, ...registers } of PROGRAMS) {
  Deno.test(`run() stops behind each instruction as the reference does: ${name}`, () => {
    const reference = createGuest(createReference);
    const jits = [0, 1].map((jitThreshold) =>
      createGuest((memory) => createJit(memory, { jitThreshold }))
    );
    begin(reference, source, registers);
    reference.engine.run(reference.hart, 100_000n);
    const length = Number(reference.hart.instret);
    for (let limit = 1; limit <= length + 2; limit += limit < 150 ? 1 : 197) {
      begin(reference, source, registers);
      const expected = stateOf(reference, reference.engine.run(reference.hart, BigInt(limit)));
      for (const jit of jits) {
        // What was compiled in the first runs is there in the later ones.
        begin(jit, source, registers);
        const stop = jit.engine.run(jit.hart, BigInt(limit));
        assertEquals(differences(stateOf(jit, stop), expected), [], `${limit} instructions`);
      }
    }
  });
}

/** The region of a program's label, all of it fetched. */
function regionAt(source: string, label: string): Region {
  const { bytes, symbols } = assemble(source, { origin: BigInt(CODE) });
  const plans = new Plans();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const code: CodeSource = {
    peek: (pc) =>
      pc < CODE + bytes.length ? RV64.decode(view.getUint32(pc - CODE, true)) : undefined,
    plan: (instruction) => instruction ? plans.of(instruction) : LEAVE,
    behindSite: (pc) => pc,
    jumpTargets: () => [],
    bounds: () => ({
      low: Number(symbols.get(label)),
      high: Number(symbols.get("out") ?? CODE + bytes.length),
    }),
    most: 1000,
  };
  return discoverRegion(code, Number(symbols.get(label)))!;
}

Deno.test("unrollLoops() leads each copy of a loop into the next, and the last one to the first", () => {
  const region = regionAt(MATCH, "loop");
  const { order } = new ControlFlow(region);
  const [header] = order;
  assertEquals(header!.predecessors.map(({ count }) => count), [2]);
  assertEquals(unrollLoops(region).written, 4 * 6);
  const flow = new ControlFlow(region);
  assertEquals(flow.order.filter(({ pc }) => pc === header!.pc).length, 4);
  assertEquals(flow.order.filter((block) => flow.of(block).isLoop), [header!]);
  assertEquals(flow.of(header!).longest, 4 * 6);
  for (const block of flow.order) assertEquals(flow.of(block).dropped.size, 0);
});

Deno.test("splitLoops() gives those who come into a loop's middle a copy that leads to its header", () => {
  const region = regionAt(MIDDLE, "outer");
  const dropped = (flow: ControlFlow) =>
    flow.order.reduce((sum, block) => sum + flow.of(block).dropped.size, 0);
  assert(dropped(new ControlFlow(region)) > 0);
  const { size } = region.steps;
  const { flow, region: split } = splitLoops(region);
  assertEquals(dropped(flow), 0);
  const count = flow.order.reduce((sum, block) => sum + block.count, 0);
  assertEquals([count, split.steps.size], [split.written, size]);
  // Nothing is left to be split.
  assertEquals(splitLoops(split).region.written, split.written);
});

for (
  const { source, label, calls } of [
    { source: TREE, label: "tree", calls: 1 },
    { source: FIBONACCI, label: "fib", calls: 2 },
  ]
) {
  Deno.test(`inlineCalls() writes a function into itself at each of ${calls} calls`, () => {
    const region = regionAt(source, label);
    const { size } = region.steps;
    const inlined = inlineCalls(region, (pc) => pc === region.entry.pc ? { region } : undefined);
    const { order } = new ControlFlow(inlined);
    const ends = order.map(({ end }) => end);
    const count = (kind: string) => ends.filter((end) => end.kind === kind).length;
    assertEquals([count("enter"), count("call")], [calls, calls * calls]);
    assertEquals([count("return"), count("comeBack")], [1, calls]);
    assert(ends.every(({ kind, to }) => kind !== "enter" || to !== undefined));
    assertEquals(order.reduce((sum, block) => sum + block.count, 0), (1 + calls) * size);
    assertEquals([inlined.steps.size, inlined.written], [size, (1 + calls) * size]);
  });
}

Deno.test("inlineCalls() leaves a function alone that jumps to another, or that is long", () => {
  const kindsOf = (region: Region) =>
    new ControlFlow(inlineCalls(region, () => ({ region }))).order.map(({ end: { kind } }) => kind);
  const long = TREE.replace("li s0, 3", "addi t1, t1, 1\n".repeat(80) + "li s0, 3");
  assert(!kindsOf(regionAt(long, "tree")).includes("enter"));
  const leaves = `${TREE.replace("  ret", "  j out")}\nout: ret`;
  assert(!kindsOf(regionAt(leaves, "tree")).includes("enter"));
});
