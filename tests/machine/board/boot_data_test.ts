/**
 * What firmware finds in RAM through a2; the device tree that a1 leads to has a test of its own.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { createMachine, type MachineOptions } from "../../../lib/machine/machine.ts";
import { imageProgram, parseElf, withImages } from "../../../lib/program/mod.ts";
import { assemble } from "../../../lib/isa/asm.ts";
import type { Elf } from "../../../lib/program/elf.ts";
import { buildBare } from "../../program/elf_builder.ts";
import { comparesWithQemu, firmware, KEEP } from "../semihosting_guest.ts";

const FIRMWARE = buildBare("_start:\nret", { withoutHost: true });
const IMAGE = { address: 0x80200000n, data: new Uint8Array(8) };

/** The six words at a2. */
function wordsOf(program: Elf, options: MachineOptions = {}): readonly bigint[] {
  using machine = createMachine(program, { machine: "bare", ...options });
  const address = BigInt.asUintN(64, machine.harts[0]!.x[12]!);
  return [0n, 1n, 2n, 3n, 4n, 5n].map((k) => machine.space.readWord(address + 8n * k, 8)!);
}

Deno.test("placeBootData() says of the next stage what QEMU says (needs qemu-system-riscv64 to be compared)", () =>
  // The third word is where it is: QEMU has the program itself there.
  comparesWithQemu(
    firmware([0, 8, 24, 32, 40].map((at) => `ld a0, ${at}(a2)\n${KEEP}`).join("")),
  ));

Deno.test("placeBootData() names the first image beside the program as the next stage", () => {
  const next = (program: Elf) => wordsOf(program)[2];
  const program = parseElf(FIRMWARE);
  assertEquals(next(program), 0n);
  assertEquals(next(withImages(program, [IMAGE])), IMAGE.address);
  const { bytes } = assemble("ret", { origin: 0x80000000n });
  const first = { address: 0x80000000n, data: bytes };
  assertEquals(next(imageProgram([first], {})), 0n);
  assertEquals(next(imageProgram([first, IMAGE], {})), IMAGE.address);
});

Deno.test("placeBootData() leaves a2 at 0 when there is no room", () => {
  const data = new Uint8Array(0x100000 - 64);
  const full = imageProgram([{ address: 0x80000000n, data }], {});
  using machine = createMachine(full, { machine: "bare", ramMib: 1 });
  assertEquals([...machine.harts[0]!.x.slice(11, 13)], [0n, 0n]);
});
