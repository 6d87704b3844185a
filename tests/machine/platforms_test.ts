/**
 * Which platform a program is for, told by its headers, notes and first instructions.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import { assemble } from "../../lib/isa/asm.ts";
import { platformFor } from "../../lib/machine/platforms.ts";
import { parseElf } from "../../lib/program/elf.ts";
import { programFile, readExpected } from "../fixtures/expected.ts";
import { buildElf, type ElfParts } from "../program/elf_builder.ts";

const LOW = 0x10000n, FLASH = 0x20000000n, RAM = 0x80000000n;
const FIRMWARE = "mv s0, a0\njal boot\nboot: csrrw zero, 0x305, t0\nj .";
const UNTOLD = "j .";
const PROCESS = "li a7, 93\njal call\nj .\ncall: ecall\nret";
/** A note of the C library: which kernel it wants. */
const ABI_TAG = { address: 0n, data: note("GNU", 1), type: 4 };

function note(owner: string, type: number): Uint8Array {
  const bytes = new Uint8Array(12 + Math.ceil((owner.length + 1) / 4) * 4);
  new Uint32Array(bytes.buffer).set([owner.length + 1, 0, type]);
  bytes.set(new TextEncoder().encode(owner), 12);
  return bytes;
}

function kindOf(source: string, address: bigint, parts: Partial<ElfParts> = {}): string {
  const { bytes } = assemble(source, { origin: address });
  const segments = [{ address, data: bytes }, ...parts.segments ?? []];
  return platformFor(parseElf(buildElf({ ...parts, segments }).bytes));
}

Deno.test("platformFor() takes firmware for firmware wherever it is linked, moved or not", () => {
  assertEquals(kindOf(FIRMWARE, RAM), "bare");
  assertEquals(kindOf(FIRMWARE, RAM, { type: "DYN" }), "bare");
  assertEquals(kindOf(FIRMWARE, 0n, { type: "DYN" }), "bare");
  assertEquals(kindOf(FIRMWARE, FLASH), "bare");
  assertEquals(kindOf(UNTOLD, RAM), "bare");
  // The note of a build says nothing.
  assertEquals(kindOf(UNTOLD, RAM, { segments: [{ ...ABI_TAG, data: note("GNU", 3) }] }), "bare");
});

Deno.test("platformFor() takes a Linux program for one wherever it is linked, moved or not", () => {
  for (const address of [LOW, FLASH, RAM]) {
    assertEquals(kindOf(PROCESS, address), "linux");
    assertEquals(kindOf(PROCESS, address, { type: "DYN" }), "linux");
  }
  assertEquals(kindOf(UNTOLD, LOW), "linux");
  assertEquals(kindOf(UNTOLD, RAM, { segments: [ABI_TAG] }), "linux");
  assertEquals(kindOf(UNTOLD, RAM, { segments: [{ ...ABI_TAG, data: note("Go", 4) }] }), "linux");
});

Deno.test("platformFor() asks when a program has marks of both", () => {
  for (
    const ask of [
      () => kindOf(FIRMWARE, RAM, { segments: [ABI_TAG] }),
      () => kindOf(`ecall\n${FIRMWARE}`, FLASH),
    ]
  ) assertThrows(ask, SyntaxError, "give --machine linux or --machine bare");
});

Deno.test("platformFor() tells every fixture by what it was built for", async () => {
  for (const { name, machine } of (await readExpected()).programs) {
    const bytes = await Deno.readFile(programFile(name));
    assertEquals(platformFor(parseElf(bytes)), machine, name);
  }
});
