/**
 * Where a process's segments go, and what is around them, as Linux maps a file.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import { assemble } from "../../lib/isa/asm.ts";
import { createMachine } from "../../lib/machine/machine.ts";
import { buildElf, type SegmentPart, words32 } from "../program/elf_builder.ts";
import { hasQemu } from "./linux_guest.ts";

const R = 4, W = 2, X = 1;
const TEXT = 0x10000n, DATA = 0x20000n;

/** A program that ends with the byte at an address as its exit code. */
function readingByte(address: bigint, segments: readonly SegmentPart[]): Uint8Array {
  const source = `li a0, ${address}\nlbu a0, 0(a0)\nli a7, 93\necall`;
  const { bytes: data } = assemble(source, { origin: TEXT });
  const text = { address: TEXT, data, flags: R | X };
  return buildElf({ entry: TEXT, segments: [text, ...segments], mappable: true }).bytes;
}

async function runs(program: Uint8Array): Promise<unknown> {
  return await createMachine(program).run();
}

/** The exit code under `qemu-riscv64`, where it is installed. */
async function underQemu(program: Uint8Array): Promise<number | undefined> {
  if (!hasQemu) return undefined;
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, program);
    await Deno.chmod(file, 0o755);
    return (await new Deno.Command("qemu-riscv64", { args: [file] }).output()).code;
  } finally {
    await Deno.remove(file);
  }
}

const cases:
  readonly (readonly [what: string, at: bigint, segments: SegmentPart[], code: number])[] = [
    ["a later segment over an earlier one", DATA, [
      { address: DATA, data: words32(7), flags: R | W },
      { address: DATA, data: words32(9), flags: R | W },
    ], 9],
    ["all of the file's page that a later segment begins in", DATA, [
      { address: DATA, data: words32(7), flags: R | W, size: 4n },
      { address: DATA + 0x100n, data: words32(9), flags: R | W },
    ], 7],
    ["a segment that can only be written", DATA, [
      { address: DATA, data: words32(7), flags: W },
    ], 7],
    ["what the file has behind a segment", DATA + 4n, [
      { address: DATA, data: words32(7), flags: R },
    ], 0],
    ["zeros behind the file's part", DATA + 4n, [
      { address: DATA, data: words32(7, 8), flags: R | W, size: 0x3000n },
    ], 8],
    ["pages of zeros", DATA + 0x2fffn, [
      { address: DATA, data: words32(7), flags: R | W, size: 0x3000n },
    ], 0],
  ];

for (const [what, at, segments, code] of cases) {
  Deno.test(`createMachine() maps ${what} as Linux does (needs qemu-user to be compared)`, async () => {
    const program = readingByte(at, segments);
    assertEquals(await runs(program), { kind: "exit", code });
    assertEquals(await underQemu(program) ?? code, code);
  });
}

Deno.test("createMachine() maps a segment that can only be executed so that it cannot be read", async () => {
  const program = readingByte(DATA, [{ address: DATA, data: words32(7), flags: X }]);
  const { kind, signal } = await runs(program) as { kind: string; signal?: number };
  assertEquals([kind, signal], ["signal", 11]);
});

Deno.test("createMachine() refuses a segment that no page of the file has where it is to be", async () => {
  const { bytes } = buildElf({
    segments: [{ address: 0x10008n, data: words32(0x13, 0x73), flags: R | X }],
  });
  assertThrows(
    () => createMachine(bytes, { machine: "linux" }),
    SyntaxError,
    "p_offset 0x78 is not where p_vaddr is in its page",
  );
  assertEquals((await underQemu(bytes) ?? 1) !== 0, true);
});

Deno.test("createMachine() refuses firmware whose segments overlap", () => {
  const segments = [0x80000000n, 0x80000004n].map((address) => ({ address, data: words32(1, 2) }));
  assertThrows(
    () => createMachine(buildElf({ segments }).bytes),
    SyntaxError,
    "Cannot load firmware: its segments at 0x80000000 and 0x80000004 overlap",
  );
});

for (const start of [0xff7f0000n, 0xff7fc000n, 0xff800000n, 0xffffd000n]) {
  const isRefused = start > 0xff7fb000n;
  const what = isRefused ? "refuses a program that reaches the stack" : "loads a program below it";
  Deno.test(`createMachine() ${what} when it is linked to 0x${start.toString(16)}`, () => {
    const data = new Uint8Array(0x2000);
    const segment = { address: start, data, flags: R | X, size: 0x2000n };
    const program = buildElf({ entry: start, segments: [segment], mappable: true }).bytes;
    const make = () => createMachine(program, { machine: "linux" });
    if (!isRefused) make()[Symbol.dispose]();
    else {
      assertThrows(
        make,
        SyntaxError,
        `Cannot load the segment at 0x${start.toString(16)}: the stack is there, from ` +
          "0xff7fd000 on; link the program lower, as with -Wl,-Ttext-segment=0x10000",
      );
    }
  });
}
