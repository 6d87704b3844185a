import { assert, assertEquals } from "@std/assert";
import { Hart } from "../../lib/hart/hart.ts";
import {
  FCSR,
  INSTRET,
  OVERHEAD,
  PC,
  RESERVED_ADDRESS,
  RESERVED_VALUE,
  X,
} from "../../lib/hart/state.ts";
import { EXECUTE, PAGE_SIZE, READ } from "../../lib/memory/page.ts";
import { HART, Memory } from "../../lib/memory/memory.ts";

Deno.test("Hart and host memory are one state, laid out as emitted code expects", () => {
  const memory = new Memory();
  const hart = new Hart(0, memory, "U");
  const view = memory.hostView;
  hart.x[10] = -2n;
  assertEquals(view.getBigInt64(X + 80, true), -2n);
  assertEquals([hart.x32[20], hart.x32[21]], [-2, -1]);
  hart.f[31] = 5n;
  assertEquals(view.getBigUint64(HART + 256 + 31 * 8, true), 5n);
  view.setBigInt64(PC, -16n, true);
  assertEquals(hart.pc, 0xfffffffffffffff0n);
  hart.pc = 0xfffffffffffffff8n;
  assertEquals(view.getBigInt64(PC, true), -8n);
  hart.fcsr = 0x1e3;
  assertEquals(view.getUint32(FCSR, true), 0xe3);
  hart.instret = 7n;
  hart.overhead = 9n;
  assertEquals([view.getBigInt64(INSTRET, true), view.getBigInt64(OVERHEAD, true)], [7n, 9n]);
  assertEquals([X, PC, FCSR], [HART, HART + 512, HART + 520]);
  assertEquals([RESERVED_ADDRESS, RESERVED_VALUE], [HART + 528, HART + 536]);
});

Deno.test("retire() carries into the upper half when the lower is full", () => {
  const hart = new Hart(0, new Memory(), "U");
  hart.instret = 0xffffffffn;
  hart.overhead = 0x1ffffffffn;
  hart.retire(false);
  assertEquals([hart.instret, hart.overhead], [0x100000000n, 0x1ffffffffn]);
  hart.retire(true);
  assertEquals([hart.instret, hart.overhead], [0x100000000n, 0x200000000n]);
});

Deno.test("now() counts the guest's instructions, and trampolines' only when they are charged", () => {
  const hart = new Hart(0, new Memory(), "U");
  hart.instret = 100n;
  hart.overhead = 11n;
  assertEquals(hart.now(), 100n);
  hart.chargeTracing = true;
  assertEquals(hart.now(), 111n);
});

Deno.test("takeTrap() enters the handler and mret's state comes back", () => {
  const memory = new Memory();
  memory.map(0x10000, PAGE_SIZE, READ | EXECUTE);
  const hart = new Hart(0, memory, "M");
  hart.csrs.write(0x305, 0x10001n);
  hart.csrs.write(0x300, 8n);
  assert(hart.takeTrap({ cause: 5, value: -1n, pc: 0x1234n }));
  assertEquals(hart.pc, 0x10000n);
  assertEquals(hart.csrs.read(0x341), 0x1234n);
  assertEquals(hart.csrs.read(0x342), 5n);
  assertEquals(hart.csrs.read(0x343), 0xffffffffffffffffn);
  assertEquals(hart.csrs.read(0x300)! & 0x88n, 0x80n);
  assertEquals(hart.system!.leave("M"), 0x1234n);
  assertEquals(hart.csrs.read(0x300)! & 0x88n, 0x88n);
});

Deno.test("takeTrap() changes nothing when mtvec points where nothing can be fetched", () => {
  const hart = new Hart(0, new Memory(), "M");
  hart.pc = 0x4444n;
  hart.csrs.write(0x300, 8n);
  for (const vector of [0n, 0x10000n, 1n << 40n]) {
    hart.csrs.write(0x305, vector);
    assertEquals(hart.takeTrap({ cause: 2, value: 3n, pc: 0x4444n }), false);
    assertEquals(hart.pc, 0x4444n);
    assertEquals(hart.csrs.read(0x342), 0n);
    assertEquals(hart.csrs.read(0x300)! & 0x88n, 8n);
  }
});
