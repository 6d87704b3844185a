import { assertEquals } from "@std/assert";
import { type ReturnFrame, ReturnHooks } from "../../lib/ftrace/returns/return_hooks.ts";
import { Hart } from "../../lib/hart/hart.ts";
import { RA, SP } from "../../lib/isa/abi.ts";
import { Memory } from "../../lib/memory/memory.ts";
import { READ, WRITE } from "../../lib/memory/page.ts";

const GRAPH = 0x7000n;
const RETHOOK = 0x8000n;
const STACK = 0x10000;

function setup() {
  const memory = new Memory();
  memory.map(STACK, 0x2000, READ | WRITE);
  const harts = [0, 1].map((id) => new Hart(id, memory, "M", "aside"));
  const hooks = new ReturnHooks({ stackIdentity: () => 0 }, {
    returnToHandler: GRAPH,
    rethookTrampoline: RETHOOK,
  });
  const left: string[] = [];
  const enter = (hart: Hart, sp: number, ra: bigint, isGraph: boolean, name = "") => {
    const stack = hooks.arrive(hart, sp, ra, isGraph);
    const hook = isGraph ? GRAPH : RETHOOK;
    const frame: ReturnFrame = {
      hook,
      returnAddress: ra,
      sp,
      isGraph,
      ending: "hook",
      left: (_hart, depth) => void left.push(`${name} ${depth}`),
    };
    hooks.push(stack, frame);
    return hook;
  };
  return { harts, hooks, left, enter };
}

Deno.test("realReturn() finds the address behind hooks of both kinds, in either order and after tail calls", () => {
  for (const order of [[true, false], [false, true], [true, false, true], [false, false, true]]) {
    const { harts: [hart], hooks, enter } = setup();
    const sp = STACK + 0x800;
    let ra = 0x1234n;
    for (const isGraph of order) ra = enter(hart!, sp, ra, isGraph);
    assertEquals(hooks.realReturn(hart!, ra, sp), 0x1234n);
    assertEquals(hooks.realReturnInSlot(hart!, ra, sp - 8), 0x1234n);
    assertEquals(hooks.realReturn(hart!, 0x4321n, sp), 0x4321n);
    const stack = hooks.comeBack(hart!, sp, true);
    for (let left = order.length; left > 0; left--) {
      const frame = hooks.take(hart!, stack, ra, sp)!;
      assertEquals(frame.hook, ra);
      ra = frame.returnAddress;
    }
    assertEquals([ra, stack.depth, stack.frames.length], [0x1234n, 0, 0]);
  }
});

Deno.test("two unwinders may run at a time, on two stacks, and both hide what they were shown", () => {
  const { harts, hooks, enter } = setup();
  const slots = harts.map((hart, k) => {
    const sp = STACK + 0x800 + 0x1000 * k;
    const slot = BigInt(sp - 8);
    hart.space.writeWord(slot, 8, enter(hart, sp, 0x1000n + BigInt(k), k === 0));
    hart.x[SP] = BigInt(sp - 64);
    hart.x[RA] = 0x5000n;
    hart.pc = 0x3000n;
    return slot;
  });
  const words = () => harts.map((hart, k) => hart.space.readWord(slots[k]!, 8));
  for (const hart of harts) hooks.beginUnwinding(hart);
  assertEquals(words(), [0x1000n, 0x1001n]);
  for (const hart of harts) {
    hart.pc = hart.x[RA]!;
    hooks.endUnwinding(hart);
  }
  assertEquals(words(), [GRAPH, RETHOOK]);
});

Deno.test("a call that only a kretprobe proves dead is told when the graph tracer looks next", () => {
  const { harts: [hart], hooks, left, enter } = setup();
  const sp = STACK + 0x800;
  enter(hart!, sp, 1n, true, "outer");
  enter(hart!, sp - 64, 2n, true, "jumped");
  enter(hart!, sp - 128, 3n, true, "innermost");
  enter(hart!, sp - 32, 4n, false, "probed");
  assertEquals(left, []);
  assertEquals([...hooks.frames()].length, 4);
  hooks.arrive(hart!, sp - 32, RETHOOK, true);
  assertEquals(left, ["innermost 2", "jumped 1"]);
  assertEquals([...hooks.frames()].length, 2);
});

Deno.test("take() gives nothing for a return that the guest made up", () => {
  const { harts: [hart], hooks, enter } = setup();
  const sp = STACK + 0x800;
  enter(hart!, sp, 1n, true);
  const stack = hooks.comeBack(hart!, sp, false);
  assertEquals(hooks.take(hart!, stack, RETHOOK, sp), undefined);
  assertEquals(stack.frames.length, 1);
});
