/**
 * The trampolines, executed: what a callback is given, what it can change, and what they cost.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import { buildTrampolines, type PathCost } from "../../lib/trampoline/caller.ts";
import { OPS_DIRECT_CALL } from "../../lib/trampoline/ops_struct.ts";
import type { FrameLayout } from "../../lib/trampoline/frame.ts";
import { disassembleWithBinutils, missingTool } from "../program/elf_oracle.ts";
import { AT, changed, createRig, poison, poisonOf, type Rig, type Way, WAYS } from "./rig.ts";

/** What the kernels document, not what `frame.ts` says: size and offsets by register. */
const FRAMES: Readonly<Record<Way, Readonly<Record<string, number>>>> = {
  regs: { size: 288, epc: 0, ra: 8, s0: 64, a0: 80 },
  "regs-full": { size: 288, epc: 0, ra: 8, s0: 64, a0: 80, t1: 48 },
  args: { size: 112, epc: 0, ra: 8, sp: 16, s0: 24, t1: 32, a0: 40 },
  preset: { size: 112, epc: 0, ra: 8, sp: 16, s0: 24, t1: 32, a0: 40 },
  "call-ops": { size: 112, epc: 0, ra: 8, sp: 16, s0: 24, t1: 32, a0: 48 },
};
/** From the function to the ip that its callback is told. */
const IP: Readonly<Record<Way, bigint>> = {
  regs: 0n,
  "regs-full": 0n,
  args: 0n,
  preset: 4n,
  "call-ops": 4n,
};
/** Registers that a trampoline leaves changed, besides t0, which holds where it resumes. */
const CLOBBERED: Readonly<Record<Way, Readonly<Record<string, bigint>>>> = {
  regs: {},
  "regs-full": { x6: 0n },
  args: { x6: 0n, x29: AT.sp },
  preset: {},
  "call-ops": { x6: 0n },
};
/** Trampolines that go on by t1, if it is not 0, from where a callback may have put a direct one. */
const LEAVES_BY_T1: readonly Way[] = ["regs-full", "args", "call-ops"];

function layoutOf({ trampolines: { frame, regsFrame } }: Rig, way: Way): FrameLayout {
  return way === "regs-full" ? regsFrame! : frame;
}

function costOf({ trampolines: { cost } }: Rig, way: Way): PathCost {
  return way === "regs-full" ? cost.regsCaller! : cost.caller;
}

/** Makes the call; `callback` gets the address of the frame. Gives where the hart went on. */
function call(rig: Rig, callback: (frame: bigint) => void = () => {}): bigint {
  poison(rig.hart);
  return rig.run(AT.entry, ({ x }) => callback(BigInt.asUintN(64, x[13]!)));
}

for (const way of WAYS) {
  Deno.test(`ftrace_caller saves registers where the kernel does when a site calls ${way}`, () => {
    const rig = createRig(way);
    const { size, ...offsets } = FRAMES[way];
    let seen = 0;
    call(rig, (frame) => {
      seen++;
      assertEquals(frame, AT.sp - BigInt(size!));
      const slot = (offset: number) => rig.memory.view.getBigUint64(Number(frame) + offset, true);
      const expected: Record<string, bigint> = {
        epc: AT.body,
        ra: AT.caller,
        sp: AT.sp,
        s0: poisonOf(8),
        t1: LEAVES_BY_T1.includes(way) ? 0n : poisonOf(6),
        a0: poisonOf(10),
      };
      for (const [name, offset] of Object.entries(offsets)) {
        assertEquals(slot(offset), expected[name], name);
      }
      for (let n = 0; n < 8; n++) assertEquals(slot(offsets["a0"]! + 8 * n), poisonOf(10 + n));
      if (way !== "regs-full") return;
      assertEquals(slot(16), frame, "pt_regs has sp as the trampoline has already moved it");
      assertEquals(slot(40), AT.body, "t0 is where the site has put it");
      for (const n of [3, 4, 7, 9, 18, 27, 28, 31]) assertEquals(slot(8 * n), poisonOf(n), `x${n}`);
    });
    assertEquals(seen, 1);
    assertEquals(layoutOf(rig, way).size, size);
  });

  Deno.test(`ftrace_caller gives ip, parent ip, ops and frame when a site calls ${way}`, () => {
    const rig = createRig(way);
    poison(rig.hart);
    rig.run(AT.entry, ({ x }) => {
      const frame = AT.sp - BigInt(FRAMES[way]["size"]!);
      assertEquals([...x.subarray(10, 14)], [AT.entry + IP[way], AT.caller, AT.ops, frame]);
    });
  });

  Deno.test(`ftrace_caller leaves every register as it was when a callback changes none under ${way}`, () => {
    const rig = createRig(way);
    assertEquals(call(rig), AT.body);
    assertEquals(changed(rig.hart), { x5: AT.body, ...CLOBBERED[way] });
    assertEquals(rig.trampolines.clobbersT4, way === "args");
  });

  Deno.test(`ftrace_caller costs what it declares when its instructions are counted under ${way}`, () => {
    const rig = createRig(way);
    call(rig);
    const { before, after } = costOf(rig, way);
    assertEquals(rig.before(), BigInt(before));
    assertEquals(rig.hart.overhead, BigInt(before + after));
    assertEquals(rig.hart.instret, 2n, "the site counts two");
  });

  Deno.test(`ftrace_caller goes on as the frame says when a callback changes it under ${way}`, () => {
    const rig = createRig(way);
    const { epc, ra, a0, s0 } = layoutOf(rig, way);
    const end = call(rig, (frame) => {
      rig.word(frame + BigInt(epc), AT.elsewhere);
      rig.word(frame + BigInt(ra), 0x1234n);
      rig.word(frame + BigInt(s0!), 0x5678n);
      for (let n = 0; n < 8; n++) rig.word(frame + BigInt(a0 + 8 * n), BigInt(100 + n));
    });
    assertEquals(end, AT.elsewhere);
    const { x } = rig.hart;
    assertEquals([x[1], x[8], x[2], x[5]], [0x1234n, 0x5678n, AT.sp, AT.elsewhere]);
    assertEquals([...x.subarray(10, 18)], [100n, 101n, 102n, 103n, 104n, 105n, 106n, 107n]);
  });

  Deno.test(`ftrace_caller leaves through a direct trampoline when a callback names one under ${way}`, () => {
    const rig = createRig(way);
    const { t1 } = layoutOf(rig, way);
    const end = call(rig, (frame) => {
      if (t1 !== undefined) rig.word(frame + BigInt(t1), AT.elsewhere);
    });
    // The short trampoline of 6.9 has no place to name one, and 7.2 without CALL_OPS no direct calls.
    assertEquals(end, LEAVES_BY_T1.includes(way) ? AT.elsewhere : AT.body);
    assertEquals(rig.hart.x[5], AT.body, "t0 tells the direct trampoline where to resume");
  });
}

Deno.test("ftrace_caller does not reload sp when the frame is one of ftrace_regs", () => {
  for (const way of ["args", "preset", "call-ops"] as const) {
    const rig = createRig(way);
    call(rig, (frame) => rig.word(frame + 16n, 0x1000n));
    assertEquals(rig.hart.x[2], AT.sp, way);
  }
});

Deno.test("ftrace_regs_caller restores every register but t0 from pt_regs when a callback changes them", () => {
  const rig = createRig("regs-full");
  call(rig, (frame) => {
    for (let n = 3; n < 32; n++) if (n !== 6) rig.word(frame + BigInt(8 * n), BigInt(n));
  });
  const { x } = rig.hart;
  for (let n = 3; n < 32; n++) {
    assertEquals(x[n], n === 5 ? AT.body : n === 6 ? 0n : BigInt(n), `x${n}`);
  }
});

Deno.test("ftrace_caller jumps without a frame when the ops of a literal has a direct call", () => {
  const rig = createRig("call-ops");
  rig.word(AT.ops + BigInt(OPS_DIRECT_CALL), AT.elsewhere);
  const before = rig.memory.bytes.slice(0x80007000, 0x80008000);
  assertEquals(call(rig, () => assert(false, "no callback is called")), AT.elsewhere);
  assertEquals(changed(rig.hart), { x5: AT.body, x6: AT.elsewhere });
  assertEquals(rig.memory.bytes.slice(0x80007000, 0x80008000), before);
});

Deno.test("ftrace_stub_direct_tramp resumes the function when a site leads through it", () => {
  const rig = createRig("args");
  poison(rig.hart);
  rig.hart.x[5] = AT.body;
  const end = rig.run(rig.trampolines.symbols.ftrace_stub_direct_tramp, () => assert(false));
  assertEquals(end, AT.body);
});

/** Size of the frame of `return_to_handler`, and where it keeps ra, s0, a0 and a1. */
const RETURN_FRAMES: Readonly<Record<Way, readonly [number, number, number, number, number]>> = {
  regs: [32, 24, 16, 8, 0],
  "regs-full": [32, 24, 16, 8, 0],
  args: [112, 8, 24, 40, 48],
  preset: [112, 8, 24, 40, 48],
  "call-ops": [112, 8, 24, 48, 56],
};

for (const way of WAYS.filter((way) => way !== "regs-full")) {
  Deno.test(`return_to_handler keeps every register but ra and a2 when a function returns under ${way}`, () => {
    const rig = createRig(way);
    const { symbols, cost } = rig.trampolines;
    poison(rig.hart);
    const end = rig.run(symbols.return_to_handler, ({ x, pc }) => {
      assertEquals(pc, symbols.ftrace_return_to_handler);
      const [size, ra, s0, a0, a1] = RETURN_FRAMES[way];
      const frame = Number(AT.sp) - size;
      assertEquals([x[10], x[2], x[8]], [BigInt(frame), BigInt(frame), AT.sp]);
      const slots = [ra, s0, a0, a1].map((at) => rig.memory.view.getBigUint64(frame + at, true));
      assertEquals(slots, [AT.caller, poisonOf(8), poisonOf(10), poisonOf(11)]);
      x[10] = AT.elsewhere;
    });
    assertEquals(end, AT.elsewhere);
    assertEquals(changed(rig.hart), { x1: symbols.return_to_handler_end, x12: AT.elsewhere });
    const { before, after } = cost.returnToHandler;
    assertEquals(rig.before(), BigInt(before));
    assertEquals([rig.hart.overhead, rig.hart.instret], [BigInt(before + after), 0n]);
  });

  Deno.test(`return_to_handler returns what a callback puts into a0 and a1 under ${way}`, () => {
    const rig = createRig(way);
    const [size, , , a0, a1] = RETURN_FRAMES[way];
    poison(rig.hart);
    rig.run(rig.trampolines.symbols.return_to_handler, ({ x }) => {
      rig.word(AT.sp - BigInt(size - a0), 7n);
      rig.word(AT.sp - BigInt(size - a1), 8n);
      x[10] = AT.elsewhere;
    });
    assertEquals([rig.hart.x[10], rig.hart.x[11]], [7n, 8n]);
  });
}

const missing = await missingTool("riscv64-linux-gnu-objdump");
for (const name of ["regs", "args", "preset", "call-ops"] as const) {
  Deno.test({
    name: `buildTrampolines() assembles what objdump shows for ${name} (needs binutils)`,
    ignore: missing,
    async fn(t) {
      const { bytes, symbols } = buildTrampolines(name, AT.text, AT.data);
      const text = await disassembleWithBinutils(bytes, AT.text);
      const labels = Object.fromEntries(
        Object.entries(symbols).map(([label, address]) => [label, address?.toString(16)]),
      );
      await assertSnapshot(t, { labels, text });
    },
  });
}
