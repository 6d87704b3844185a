import { assertEquals } from "@std/assert";
import { Hart } from "../../lib/hart/hart.ts";
import { Mstatus } from "../../lib/hart/privilege.ts";
import { Memory } from "../../lib/memory/memory.ts";

Deno.test("Csrs of user mode are the float and counter registers alone", () => {
  const { csrs } = new Hart(0, new Memory(), "U");
  const readable: number[] = [];
  const writable: number[] = [];
  for (let number = 0; number < 4096; number++) {
    if (csrs.read(number) !== undefined) readable.push(number);
    if (csrs.write(number, 0n)) writable.push(number);
  }
  assertEquals(readable, [1, 2, 3, 0xc00, 0xc01, 0xc02]);
  assertEquals(writable, [1, 2, 3]);
});

/** Numbers from first to last. */
function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, k) => first + k);
}

const SUPERVISOR = [0x100, 0x104, 0x105, 0x106, 0x10a, ...range(0x140, 0x144), 0x180];
const MACHINE = [
  ...range(0x300, 0x306),
  0x30a,
  0x320,
  ...range(0x323, 0x33f),
  ...range(0x340, 0x344),
  0x3a0,
  0x3a2,
  ...range(0x3b0, 0x3bf),
  ...range(0x7a0, 0x7a3),
  0xb00,
  ...range(0xb02, 0xb1f),
];

Deno.test("Csrs are those of the mode and of the modes below", () => {
  const hart = new Hart(3, new Memory(), "M");
  const { csrs, system } = hart;
  system!.mstatus |= Mstatus.FS;
  const of = (mode: "U" | "S" | "M") => {
    hart.mode = mode;
    const numbers = range(0, 4095);
    return {
      readable: numbers.filter((number) => csrs.read(number) !== undefined),
      writable: numbers.filter((number) => {
        // Writing back what is there, so that nothing is switched off on the way.
        const value = csrs.read(number);
        return value !== undefined && csrs.write(number, value);
      }),
    };
  };
  const counters = range(0xc00, 0xc1f);
  const machine = of("M");
  assertEquals(machine.readable, [
    ...[1, 2, 3, ...SUPERVISOR, ...MACHINE, ...counters],
    ...[0xf11, 0xf12, 0xf13, 0xf14, 0xf15],
  ]);
  assertEquals(machine.writable, [1, 2, 3, ...SUPERVISOR, ...MACHINE]);
  assertEquals(csrs.read(0xf14), 3n);
  assertEquals(of("S"), { readable: [1, 2, 3, ...SUPERVISOR], writable: [1, 2, 3, ...SUPERVISOR] });
  assertEquals(of("U"), { readable: [1, 2, 3], writable: [1, 2, 3] });
  system!.mcounteren = 5n;
  assertEquals(of("S").readable, [1, 2, 3, ...SUPERVISOR, 0xc00, 0xc02]);
  assertEquals(of("U").readable, [1, 2, 3]);
  system!.scounteren = 6n;
  assertEquals(of("U").readable, [1, 2, 3, 0xc02]);
});

Deno.test("fflags, frm and fcsr are three views of one register", () => {
  const hart = new Hart(0, new Memory(), "U");
  hart.csrs.write(3, -1n);
  assertEquals(hart.fcsr, 255);
  hart.csrs.write(1, 0n);
  assertEquals([hart.csrs.read(1), hart.csrs.read(2), hart.csrs.read(3)], [0n, 7n, 0xe0n]);
  hart.csrs.write(2, 0xan);
  assertEquals([hart.csrs.read(2), hart.csrs.read(3)], [2n, 0x40n]);
});

Deno.test("counters show the hart's own", () => {
  const hart = new Hart(0, new Memory(), "U");
  hart.instret = 5n;
  hart.overhead = 2n;
  hart.chargeTracing = true;
  assertEquals([0xc00, 0xc01, 0xc02].map((n) => hart.csrs.read(n)), [7n, 7n, 5n]);
});

/** What a register holds after all ones, and after zeros, were written. */
const WARL: readonly (readonly [name: string, number: number, ones: bigint, zeros: bigint])[] = [
  // No UBE, SBE, MBE, VS, XS; MPP is 3, a mode; UXL and SXL are 64 bits.
  ["mstatus", 0x300, 0x8000000a007e79aan, 0xa00000000n],
  ["sstatus", 0x100, 0x80000002000c6122n, 0x200000000n],
  ["misa", 0x301, 2n << 62n | 0x14112fn, 2n << 62n | 0x14112fn],
  ["medeleg", 0x302, 0xb3ffn, 0n],
  ["mideleg", 0x303, 0x222n, 0n],
  ["mie", 0x304, 0xaaan, 0n],
  ["mip", 0x344, 0x222n, 0n],
  // The reserved modes leave the vector as it was.
  ["mtvec", 0x305, 0n, 0n],
  ["stvec", 0x105, 0n, 0n],
  ["mcounteren", 0x306, 0xffffffffn, 0n],
  ["mcountinhibit", 0x320, 0xfffffffdn, 0n],
  ["menvcfg", 0x30a, 0x20000000000000f1n, 0n],
  ["senvcfg", 0x10a, 0xf1n, 0n],
  ["mscratch", 0x340, 2n ** 64n - 1n, 0n],
  ["mepc", 0x341, 2n ** 64n - 2n, 0n],
  ["sepc", 0x141, 2n ** 64n - 2n, 0n],
  ["mcause", 0x342, 2n ** 64n - 1n, 0n],
  ["mtval", 0x343, 2n ** 64n - 1n, 0n],
  // Mode 15 is none: nothing of the write happens.
  ["satp", 0x180, 0n, 0n],
  ["pmpaddr15", 0x3bf, (1n << 54n) - 1n, 0n],
  ["mhpmcounter3", 0xb03, 0n, 0n],
  ["mhpmevent3", 0x323, 0n, 0n],
];
for (const [name, number, ones, zeros] of WARL) {
  Deno.test(`Csrs.write() keeps only the bits that ${name} has`, () => {
    const { csrs } = new Hart(0, new Memory(), "M");
    csrs.write(number, -1n);
    assertEquals(csrs.read(number)!.toString(16), ones.toString(16));
    csrs.write(number, 0n);
    assertEquals(csrs.read(number)!.toString(16), zeros.toString(16));
  });
}

Deno.test("sie and sip show and change what is delegated", () => {
  const { csrs } = new Hart(0, new Memory(), "M");
  csrs.write(0x304, -1n);
  csrs.write(0x344, -1n);
  assertEquals([csrs.read(0x104), csrs.read(0x144)], [0n, 0n]);
  csrs.write(0x303, 0x22n);
  assertEquals([csrs.read(0x104), csrs.read(0x144)], [0x22n, 0x22n]);
  csrs.write(0x104, 0n);
  csrs.write(0x144, 0n);
  assertEquals(csrs.read(0x304), 0xa88n);
  assertEquals(
    csrs.read(0x344),
    0x220n,
    "only the software interrupt is the supervisor's to clear",
  );
});

Deno.test("satp takes the modes that there are, and TVM keeps the supervisor from it", () => {
  const hart = new Hart(0, new Memory(), "M");
  const { csrs } = hart;
  for (const mode of [8n, 9n, 10n]) {
    const value = mode << 60n | 0xabcdn << 44n | 0x12345n;
    csrs.write(0x180, value);
    assertEquals(csrs.read(0x180), value);
    csrs.write(0x180, 7n << 60n);
    assertEquals(csrs.read(0x180), value);
  }
  hart.mode = "S";
  assertEquals(csrs.write(0x180, 0n), true);
  hart.system!.mstatus |= 1n << 20n;
  assertEquals([csrs.read(0x180), csrs.write(0x180, 0n)], [undefined, false]);
});

Deno.test("MPP keeps its mode when the one that is none is written", () => {
  const { csrs } = new Hart(0, new Memory(), "M");
  csrs.write(0x300, 1n << 11n);
  csrs.write(0x300, 2n << 11n);
  assertEquals(csrs.read(0x300)! >> 11n & 3n, 1n);
});

Deno.test("mcycle and minstret go on from what is written, stand still when inhibited, and go on again", () => {
  const hart = new Hart(0, new Memory(), "M");
  const { csrs } = hart;
  const retire = (count: number) => {
    for (let k = 0; k < count; k++) hart.retire(false);
  };
  retire(10);
  csrs.write(0xb02, 100n);
  retire(1);
  assertEquals(csrs.read(0xb02), 100n, "the instruction behind the write reads what was written");
  assertEquals(csrs.read(0xc02), 100n);
  retire(5);
  assertEquals([csrs.read(0xb02), csrs.read(0xb00), csrs.read(0xc01)], [105n, 16n, 16n]);
  csrs.write(0x320, 4n);
  retire(7);
  assertEquals([csrs.read(0xb02), csrs.read(0xb00)], [106n, 23n]);
  csrs.write(0x320, 0n);
  retire(3);
  assertEquals([csrs.read(0xb02), csrs.read(0xb00)], [108n, 26n]);
});

Deno.test("float registers that are off cannot be reached, and clean ones become dirty", () => {
  const { csrs } = new Hart(0, new Memory(), "M");
  csrs.write(0x300, 0n);
  assertEquals([csrs.read(3), csrs.write(1, 0n)], [undefined, false]);
  csrs.write(0x300, 1n << 13n);
  assertEquals([csrs.read(3), csrs.read(0x300)], [0n, 0xa00002000n]);
  csrs.write(2, 1n);
  assertEquals(csrs.read(0x300), 0x8000000a00006000n);
});
