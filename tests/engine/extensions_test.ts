/**
 * Extensions that QEMU 7.2 does not have, so that fuzzing leaves them out: what each instruction
 * does, on every engine, from the specification.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { RV64 } from "../../lib/isa/decode.ts";
import { ENGINES } from "./engines.ts";
import { CODE, CONSTANTS, createGuest, DATA, describeStop, NOTHING, resetGuest } from "./guest.ts";

/** Runs one word on an engine with a0 = `a0`, a1 = `a1`; gives a0, memory's first block, the stop. */
function run(make: typeof ENGINES[number]["make"], word: number, a0: bigint, a1 = 0n) {
  const guest = createGuest(make);
  resetGuest(guest);
  const { memory, hart, engine } = guest;
  memory.view.setUint32(CODE, word, true);
  for (let at = DATA; at < DATA + 192; at += 8) memory.view.setBigUint64(at, 0xffn, true);
  memory.view.setBigUint64(DATA, 0xfedc_ba98_7654_3210n, true);
  hart.x[10] = a0;
  hart.x[11] = a1;
  const stop = describeStop(engine.run(hart, 1n));
  const zeroed: number[] = [];
  for (let at = 0; at < 192; at += 8) {
    if (memory.view.getBigUint64(DATA + at, true) === 0n) zeroed.push(at);
  }
  const first = memory.view.getBigUint64(DATA, true);
  return { a0: BigInt.asUintN(64, hart.x[10]!), zeroed, first, stop };
}

const block = (start: number) => Array.from({ length: 8 }, (_, k) => start + 8 * k);

for (const { name, make } of ENGINES) {
  Deno.test(`cbo.zero zeroes the aligned block of 64 bytes around its address (${name})`, () => {
    const word = RV64.assemble("cbo.zero (x10)");
    assertEquals(run(make, word, BigInt(DATA + 64)).zeroed, block(64));
    assertEquals(run(make, word, BigInt(DATA + 64 + 37)).zeroed, block(64));
    const refused = run(make, word, BigInt(CONSTANTS + 5));
    assertEquals(refused.stop, `trap 7 value 0x${CONSTANTS.toString(16)} at 0x10000`);
  });

  Deno.test(`cbo.inval is illegal in a user's program, as Linux has it (${name})`, () => {
    const word = RV64.assemble("cbo.inval (x10)");
    const { zeroed, stop } = run(make, word, BigInt(DATA + 64));
    assertEquals(zeroed, []);
    assertEquals(/^trap 2 /.exec(stop)?.[0], "trap 2 ");
  });

  Deno.test(`cbo.clean and cbo.flush change nothing, and fault where nothing is (${name})`, () => {
    for (const operation of ["clean", "flush"]) {
      const word = RV64.assemble(`cbo.${operation} (x10)`);
      const { zeroed, stop } = run(make, word, BigInt(DATA + 64));
      assertEquals([zeroed, stop], [[], "limit"]);
      assertEquals(run(make, word, BigInt(CONSTANTS)).stop, "limit");
      const value = NOTHING.toString(16);
      assertEquals(run(make, word, BigInt(NOTHING)).stop, `trap 7 value 0x${value} at 0x10000`);
    }
  });

  Deno.test(`mop.r.n and mop.rr.n give 0, wrs.nto and wrs.sto nothing (${name})`, () => {
    for (let n = 0; n < 32; n++) {
      assertEquals(run(make, RV64.assemble(`mop.r.${n} x10, x11`), 5n, 7n).a0, 0n);
    }
    for (let n = 0; n < 8; n++) {
      assertEquals(run(make, RV64.assemble(`mop.rr.${n} x10, x10, x11`), 5n, 7n).a0, 0n);
    }
    for (const waiting of ["wrs.nto", "wrs.sto"]) {
      assertEquals(run(make, RV64.assemble(waiting), 5n), {
        a0: 5n,
        zeroed: [],
        first: 0xfedc_ba98_7654_3210n,
        stop: "limit",
      });
    }
  });

  Deno.test(`Zcb's 16-bit words do what they expand to (${name})`, () => {
    const base = BigInt(DATA);
    /** Bits with rd' or rs1' a0 (2), rs2' a1 (3); what a0 becomes, or the first 8 bytes of memory. */
    const cases: readonly [bits: number, a0: bigint, a1: bigint, becomes: bigint][] = [
      [0x8000 | 2 << 7 | 2 << 2, base, 0n, 0x10n], // c.lbu a0,0(a0)
      [0x8000 | 2 << 7 | 1 << 6 | 2 << 2, base, 0n, 0x32n], // c.lbu a0,1(a0)
      [0x8000 | 2 << 7 | 1 << 5 | 2 << 2, base, 0n, 0x54n], // c.lbu a0,2(a0)
      [0x8400 | 2 << 7 | 1 << 5 | 2 << 2, base + 4n, 0n, 0xfedcn], // c.lhu a0,2(a0)
      [0x8440 | 2 << 7 | 1 << 5 | 2 << 2, base + 4n, 0n, 0xffff_ffff_ffff_fedcn], // c.lh a0,2(a0)
      [0x9c61 | 2 << 7, 0x1234n, 0n, 0x34n], // c.zext.b a0
      [0x9c65 | 2 << 7, 0x1280n, 0n, 0xffff_ffff_ffff_ff80n], // c.sext.b a0
      [0x9c69 | 2 << 7, 0x5_8000n, 0n, 0x8000n], // c.zext.h a0
      [0x9c6d | 2 << 7, 0x5_8000n, 0n, 0xffff_ffff_ffff_8000n], // c.sext.h a0
      [0x9c71 | 2 << 7, -1n, 0n, 0xffff_ffffn], // c.zext.w a0
      [0x9c75 | 2 << 7, 0n, 0n, 0xffff_ffff_ffff_ffffn], // c.not a0
      [0x9c41 | 2 << 7 | 3 << 2, 6n, 7n, 42n], // c.mul a0,a1
    ];
    for (const [bits, a0, a1, becomes] of cases) {
      assertEquals(run(make, 0x0001_0000 | bits, a0, a1).a0, becomes, bits.toString(16));
    }
    const stores: readonly [bits: number, becomes: bigint][] = [
      [0x8800 | 2 << 7 | 1 << 6 | 3 << 2, 0xfedc_ba98_7654_cd10n], // c.sb a1,1(a0)
      [0x8c00 | 2 << 7 | 1 << 5 | 3 << 2, 0xfedc_ba98_abcd_3210n], // c.sh a1,2(a0)
    ];
    for (const [bits, becomes] of stores) {
      assertEquals(run(make, 0x0001_0000 | bits, base, 0xabcdn).first, becomes, bits.toString(16));
    }
  });
}
