/**
 * Firmware in memory that is not RAM at 0x80000000, and where a board's memory can be.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import { assemble } from "../../lib/isa/asm.ts";
import { memoryMapOf } from "../../lib/machine/board/memory_map.ts";
import { createMachine } from "../../lib/machine/machine.ts";
import { parseElf, withImages } from "../../lib/program/mod.ts";
import { buildElf, words32 } from "../program/elf_builder.ts";

const FLASH = 0x20000000n, RAM = 0x80000000n;
const MIB = 0x100000;
const flash = { start: Number(FLASH), size: MIB };

/** Firmware in flash that copies a word to RAM, where it is linked, and exits with it. */
function inFlash(): Uint8Array {
  const source = `
    csrrs zero, 0xf14, zero
    li t0, ${FLASH + 0x1000n}
    lw t1, 0(t0)
    li t2, ${RAM}
    sw t1, 0(t2)
    lw t1, 0(t2)
    slli t1, t1, 16
    li t3, 0x3333
    or t1, t1, t3
    li t0, 0x100000
    sw t1, 0(t0)
    j .`;
  const { bytes: text } = assemble(source, { origin: FLASH });
  const built = buildElf({
    segments: [
      { address: FLASH, data: text, flags: 5 },
      { address: RAM, data: words32(42), flags: 6, size: 64n },
    ],
  });
  const { bytes } = built;
  new DataView(bytes.buffer).setBigUint64(built.programHeader(1) + 24, FLASH + 0x1000n, true);
  return bytes;
}

Deno.test("createMachine() loads segments where they are physically when firmware copies them itself", async () => {
  const machine = createMachine(inFlash(), { memoryMap: [flash] });
  assertEquals(machine.kind, "bare");
  assertEquals(machine.memory.view.getUint32(Number(RAM), true), 0);
  assertEquals(await machine.run({ limit: 1000n }), { kind: "exit", code: 42 });
});

Deno.test("createMachine() names the memory that would do when firmware lies outside all there is", () => {
  assertThrows(
    () => createMachine(inFlash()),
    SyntaxError,
    "give it memory there with --memory 0x20000000,0x2000",
  );
});

Deno.test("createMachine() refuses memory when a device, or other memory, is there", () => {
  const refused = (start: number, size: number) => () =>
    createMachine(inFlash(), { memoryMap: [flash, { start, size }] });
  assertThrows(refused(0x2000000, MIB), RangeError, "Cannot put clint at 0x2000000: memory is");
  assertThrows(
    refused(0x20001000, MIB),
    RangeError,
    "Cannot put memory at 0x20001000,0x100000: there is memory at 0x20000000,0x100000",
  );
  assertThrows(refused(0x30000000, 100), RangeError, "whole pages of 4096 bytes");
  assertThrows(refused(0xfff00000, 2 * MIB), RangeError, "within 4 GiB");
});

Deno.test("memoryMapOf() takes a stretch around 0x80000000 in place of the usual RAM", () => {
  const ram = { start: 0x80000000, size: 256 * MIB };
  assertEquals(memoryMapOf({ memoryMap: [flash, ram] }), { ram, all: [ram, flash] });
  assertEquals(memoryMapOf({}).all, [{ start: 0x80000000, size: 128 * MIB }]);
});

/** Firmware linked at 0 that may be anywhere: it exits with the word at 0x80200000. */
function movable(): Uint8Array {
  const source = `
    csrrs zero, 0xf14, zero
    li t0, 0x80200000
    lw t1, 0(t0)
    slli t1, t1, 16
    li t3, 0x3333
    or t1, t1, t3
    li t0, 0x100000
    sw t1, 0(t0)
    j .`;
  const { bytes: data } = assemble(source, { origin: 0n });
  return buildElf({ type: "DYN", entry: 0n, segments: [{ address: 0n, data, flags: 5 }] }).bytes;
}

Deno.test("createMachine() leaves an image where it is to be when it moves the program", async () => {
  const image = { address: 0x80200000n, data: words32(17) };
  const machine = createMachine(withImages(parseElf(movable()), [image]), { machine: "bare" });
  assertEquals([machine.bias, machine.harts[0]!.pc & 0xffffffffn], [RAM, RAM]);
  assertEquals(await machine.run({ limit: 1000n }), { kind: "exit", code: 17 });
  const beyond = { address: 0x100000000n, data: words32(17) };
  assertThrows(
    () => createMachine(withImages(parseElf(movable()), [beyond]), { machine: "bare" }),
    SyntaxError,
    "Cannot load the segment at 0x100000000: it lies beyond 4 GiB",
  );
});

Deno.test("createMachine() begins where it is told to when it moves the program", () => {
  const start = 0x80000004n;
  const machine = createMachine(withImages(parseElf(movable()), [], start), { machine: "bare" });
  assertEquals(machine.harts[0]!.pc & 0xffffffffn, start);
});
