import { assertEquals } from "@std/assert";
import { Hart } from "../../lib/hart/hart.ts";
import { Memory } from "../../lib/memory/memory.ts";

const MACHINE = [0x300, 0x301, 0x305, 0x340, 0x341, 0x342, 0x343];

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

Deno.test("Csrs of machine mode are those and the few of a bare board", () => {
  const { csrs } = new Hart(3, new Memory(), "M");
  const readable: number[] = [];
  const writable: number[] = [];
  for (let number = 0; number < 4096; number++) {
    if (csrs.read(number) !== undefined) readable.push(number);
    if (csrs.write(number, 0n)) writable.push(number);
  }
  assertEquals(readable, [1, 2, 3, ...MACHINE, 0xc00, 0xc01, 0xc02, 0xf14]);
  assertEquals(writable, [1, 2, 3, ...MACHINE]);
  assertEquals(csrs.read(0xf14), 3n);
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

Deno.test("machine registers keep only the bits they have", () => {
  const { csrs } = new Hart(0, new Memory(), "M");
  const after = (number: number): bigint | undefined => {
    csrs.write(number, -1n);
    return csrs.read(number);
  };
  const ones = 0xffffffffffffffffn;
  assertEquals(after(0x305), ones - 3n);
  assertEquals(after(0x341), ones - 1n);
  assertEquals([after(0x340), after(0x342), after(0x343)], [ones, ones, ones]);
  // MIE and MPIE change; MPP is machine mode, FS is dirty and so is SD.
  assertEquals(after(0x300), (1n << 63n) | 0x7888n);
  const letters = [..."ABCDFIM"].map((letter) => 1n << BigInt(letter.charCodeAt(0) - 65));
  assertEquals(after(0x301), letters.reduce((bits, bit) => bits | bit, 2n << 62n));
});
