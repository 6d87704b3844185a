/**
 * Every accessor of `struct ftrace_regs`, against the slots that the kernels document.
 *
 * @module
 */
import { FlatSpace } from "../../lib/memory/space.ts";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Memory } from "../../lib/memory/memory.ts";
import {
  ARGS_FRAME,
  ARGS_RETURN,
  CALL_OPS_FRAME,
  CALL_OPS_RETURN,
  type FrameLayout,
  REGS_CALLER_FRAME,
  REGS_FRAME,
  SHORT_RETURN,
} from "../../lib/trampoline/frame.ts";
import { FtraceRegs, returnFrame } from "../../lib/trampoline/ftrace_regs.ts";

const AT = 0x80001000;
const memory = new Memory();
const space = new FlatSpace(memory);

/** Where a kernel's layout has what; undefined where it saves nothing. */
interface Slots {
  readonly layout: FrameLayout;
  readonly epc: number;
  readonly ra: number;
  readonly sp: number | undefined;
  readonly s0: number;
  readonly t1: number | undefined;
  readonly a0: number;
}

const LAYOUTS: Readonly<Record<string, Slots>> = {
  args: { layout: ARGS_FRAME, epc: 0, ra: 8, sp: 16, s0: 24, t1: 32, a0: 40 },
  "call-ops": { layout: CALL_OPS_FRAME, epc: 0, ra: 8, sp: 16, s0: 24, t1: 32, a0: 48 },
  "the short caller of regs": {
    layout: REGS_CALLER_FRAME,
    epc: 0,
    ra: 8,
    sp: undefined,
    s0: 64,
    t1: undefined,
    a0: 80,
  },
  regs: { layout: REGS_FRAME, epc: 0, ra: 8, sp: 16, s0: 64, t1: 48, a0: 80 },
};

/** What the slot at an offset is filled with; bit 63 is set, which a signed read would show. */
function filling(offset: number): bigint {
  return 0xc0de_0000_8000_0000n + BigInt(offset);
}

/** A frame at an address that is its offset in memory. */
const placeAt = (at: number) => ({ offset: at, address: at, space });

/** A view on a frame of which every slot differs. */
function frameOf(layout: FrameLayout): FtraceRegs {
  for (let offset = -64; offset < 352; offset += 8) {
    memory.view.setBigUint64(AT + offset, filling(offset), true);
  }
  const regs = new FtraceRegs(memory, ARGS_FRAME, space);
  regs.point(placeAt(AT), layout);
  return regs;
}

/** The slots that no longer hold their filling, around the frame, too. */
function written(): Readonly<Record<number, bigint>> {
  const found: Record<number, bigint> = {};
  for (let offset = -64; offset < 352; offset += 8) {
    const value = memory.view.getBigUint64(AT + offset, true);
    if (value !== filling(offset)) found[offset] = value;
  }
  return found;
}

for (const [name, { layout, epc, ra, sp, s0, t1, a0 }] of Object.entries(LAYOUTS)) {
  const slot = (offset: number | undefined) => offset === undefined ? 0n : filling(offset);

  Deno.test(`FtraceRegs reads each register from its slot when the frame is that of ${name}`, () => {
    const regs = frameOf(layout);
    assertEquals(regs.instructionPointer, slot(epc));
    assertEquals(regs.returnAddress, slot(ra));
    assertEquals(regs.stackPointer, sp === undefined ? BigInt(AT + 288) : slot(sp));
    assertEquals(regs.framePointer, slot(s0));
    assertEquals(regs.directTramp, slot(t1));
    assertEquals(regs.returnValue, slot(a0));
    for (let n = 0; n < 8; n++) {
      assertEquals(regs.argument(n), slot(a0 + 8 * n));
      assertEquals(regs.argumentNumber(n), Number(BigInt.asIntN(32, slot(a0 + 8 * n))));
    }
    assertEquals(regs.partialRegs(), {
      epc: slot(epc),
      ra: slot(ra),
      sp: regs.stackPointer,
      s0: slot(s0),
      t1: slot(t1),
      a: [0, 1, 2, 3, 4, 5, 6, 7].map((n) => slot(a0 + 8 * n)),
    });
    assertEquals(written(), {}, "reading changes nothing");
  });

  Deno.test(`FtraceRegs writes each register to its slot alone when the frame is that of ${name}`, () => {
    const writes: readonly [number | undefined, (regs: FtraceRegs, value: bigint) => void][] = [
      [epc, (regs, value) => regs.instructionPointer = value],
      [ra, (regs, value) => regs.returnAddress = value],
      [a0, (regs, value) => regs.returnValue = value],
      [t1, (regs, value) => regs.directTramp = value],
      [a0, (regs, value) => regs.setArgument(0, value)],
      [a0 + 24, (regs, value) => regs.setArgument(3, value)],
      [a0 + 56, (regs, value) => regs.setArgument(7, value)],
    ];
    for (const [offset, write] of writes) {
      write(frameOf(layout), -2n);
      assertEquals(written(), offset === undefined ? {} : { [offset]: 2n ** 64n - 2n });
    }
  });

  Deno.test(`FtraceRegs.overrideWithReturn() makes epc the return address when the frame is that of ${name}`, () => {
    const regs = frameOf(layout);
    regs.overrideWithReturn();
    assertEquals(written(), { [epc]: filling(ra) });
    assertEquals(regs.instructionPointer, regs.returnAddress);
  });

  Deno.test(`FtraceRegs.directTramp gives what it was set to when the frame is that of ${name}`, () => {
    const regs = frameOf(layout);
    regs.directTramp = 0x1234n;
    assertEquals(regs.directTramp, t1 === undefined ? 0n : 0x1234n);
  });
}

Deno.test("FtraceRegs.argument() is 0 when the argument is not in a register", () => {
  const regs = frameOf(ARGS_FRAME);
  for (const n of [8, 9, -1, NaN, Infinity]) {
    assertEquals(regs.argument(n), 0n);
    assertEquals(regs.argumentNumber(n), 0);
    assertThrows(() => regs.setArgument(n, 1n), RangeError, `Cannot set argument ${n}: registers`);
  }
  assertEquals(written(), {});
});

Deno.test("FtraceRegs.getRegs() is null when the frame is not all of pt_regs", () => {
  for (const layout of [ARGS_FRAME, CALL_OPS_FRAME, REGS_CALLER_FRAME]) {
    assertEquals(frameOf(layout).getRegs(), null);
  }
});

Deno.test("FtraceRegs.getRegs() reads and writes every register when the frame is pt_regs", () => {
  const regs = frameOf(REGS_FRAME).getRegs();
  assert(regs);
  assertEquals(regs.epc, filling(0));
  assertEquals(regs.x(0), 0n);
  for (let n = 1; n < 32; n++) assertEquals(regs.x(n), filling(8 * n), `x${n}`);
  for (let n = 1; n < 32; n++) {
    const fresh = frameOf(REGS_FRAME).getRegs()!;
    fresh.setX(n, -1n);
    assertEquals(written(), { [8 * n]: 2n ** 64n - 1n });
  }
  const last = frameOf(REGS_FRAME).getRegs()!;
  last.setX(0, 5n);
  assertEquals(written(), {}, "x0 is no register to write");
  last.epc = 7n;
  assertEquals(written(), { 0: 7n });
});

Deno.test("FtraceRegs.point() aims one view at another frame when the next call comes", () => {
  const regs = frameOf(ARGS_FRAME);
  regs.point(placeAt(AT + 16), CALL_OPS_FRAME);
  assertEquals(regs.instructionPointer, filling(16));
  assertEquals(regs.argument(1), filling(16 + 56));
});

Deno.test("returnFrame() gives a view the result and the caller's registers when a function returns", () => {
  for (
    const [layout, size, ra, s0, a0] of [
      [SHORT_RETURN, 32, 24, 16, 8],
      [ARGS_RETURN, 112, 8, 24, 40],
      [CALL_OPS_RETURN, 112, 8, 24, 48],
    ] as const
  ) {
    const regs = frameOf(returnFrame(layout));
    assertEquals(regs.returnValue, filling(a0));
    assertEquals(regs.returnAddress, filling(ra));
    assertEquals(regs.framePointer, filling(s0));
    assertEquals(regs.stackPointer, BigInt(AT + size));
    assertEquals(regs.getRegs(), null);
    regs.returnValue = 9n;
    assertEquals(written(), { [a0]: 9n });
  }
});

Deno.test("frame layouts are 112 bytes where ARGS is and 288 where pt_regs is", () => {
  assertEquals(
    [ARGS_FRAME, CALL_OPS_FRAME, REGS_CALLER_FRAME, REGS_FRAME].map(({ size }) => size),
    [112, 112, 288, 288],
  );
  // A stack pointer stays a multiple of 16, and the last argument fits.
  for (const { size, a0 } of [ARGS_FRAME, CALL_OPS_FRAME, REGS_CALLER_FRAME, REGS_FRAME]) {
    assertEquals(size % 16, 0);
    assert(a0 + 64 <= size);
  }
});
