import { assert, assertEquals } from "@std/assert";
import { readInlines } from "../../lib/program/dwarf_inlines.ts";
import { parseElf } from "../../lib/program/elf.ts";
import { readProgram } from "../fixtures/expected.ts";
import { createRandom } from "../engine/random.ts";

Deno.test("readInlines() names every place at which inlined.c calls what it inlines", async () => {
  const { bytes } = await readProgram("inlined_p84");
  const elf = parseElf(bytes);
  const inlines = readInlines(elf);
  assert(inlines);
  const inside = (name: string) => {
    const { address, size } = elf.symbols.find((each) => each.name === name)!;
    return (place: { address: bigint }) =>
      place.address >= address && place.address < address + size;
  };
  const square = inlines.get("square")!;
  assertEquals(square.map(({ line }) => line), [24, 32]);
  assert(inside("area")(square[0]!) && inside("sum")(square[1]!));
  assertEquals(inlines.get("twice")!.map(({ line }) => line), [33]);
  assertEquals(inlines.get("area"), []);
  assertEquals(inlines.get("print_number"), []);
  assertEquals(inlines.get("nobody"), undefined);
});

Deno.test("readInlines() moves places with the program", async () => {
  const elf = parseElf((await readProgram("inlined_p84")).bytes);
  const [still] = readInlines(elf)!.get("twice")!;
  const [moved] = readInlines(elf, 0x1000n)!.get("twice")!;
  assertEquals(moved!.address, still!.address + 0x1000n);
});

Deno.test("readInlines() gives undefined for a program without debug information", async () => {
  assertEquals(readInlines(parseElf((await readProgram("sample_p84")).bytes)), undefined);
});

Deno.test("readInlines() gives something or undefined for damaged debug information, and never throws", async () => {
  const { bytes } = await readProgram("inlined_p84");
  const { sections } = parseElf(bytes);
  const debug = sections.filter(({ name }) => name.startsWith(".debug_"));
  const { below, pick } = createRandom(7);
  let unreadable = 0;
  for (let round = 0; round < 3000; round++) {
    const damaged = bytes.slice();
    const { offset, size } = pick(debug);
    for (let k = 0; k < 1 + below(4); k++) damaged[offset + below(size)] = below(256);
    if (readInlines(parseElf(damaged)) === undefined) unreadable++;
  }
  assert(unreadable > 100, `${unreadable} of 3000 were unreadable`);
});
