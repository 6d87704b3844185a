import { assertEquals } from "@std/assert";
import { Isa, RV64 } from "../../lib/isa/decode.ts";
import { EXTENSIONS } from "../../lib/isa/rv64.ts";
import { createRandom } from "../engine/random.ts";

Deno.test("decode() gives each definition's own words back", () => {
  const random = createRandom(3);
  const wrong: string[] = [];
  for (const { name, pattern } of RV64.definitions) {
    if (name === "illegal") continue;
    for (let k = 0; k < 50; k++) {
      const word = (pattern.match | (Number(random.bits(32)) & ~pattern.mask)) >>> 0;
      const found = RV64.decode(word);
      if (found.definition.name !== name) wrong.push(`${name} became ${found.definition.name}`);
      if (found.length !== 4 || found.word !== word) wrong.push(`${name}: another word`);
    }
  }
  assertEquals(wrong, []);
});

Deno.test("decode() finds a load behind halfwords of zeros, which are no instruction", () => {
  const isa = new Isa(EXTENSIONS);
  assertEquals(isa.decode(0).definition.name, "illegal");
  assertEquals(isa.decode(0x00070683).definition.name, "lb");
});

Deno.test("no word belongs to two definitions", () => {
  const overlaps: string[] = [];
  RV64.definitions.forEach((a, k) => {
    for (const b of RV64.definitions.slice(k + 1)) {
      const common = a.pattern.mask & b.pattern.mask;
      if (((a.pattern.match ^ b.pattern.match) & common) === 0) {
        overlaps.push(`${a.name} ${b.name}`);
      }
    }
  });
  // A word of zeros is only illegal's; whatever else has it as its match would be found here.
  // packw with x0 is how RV64 spells zext.h, which stands first.
  assertEquals(overlaps, ["zext.h packw"]);
});

Deno.test("decode() refuses reserved compressed encodings and keeps hints", () => {
  const reserved = {
    "all zeros": 0x0000,
    "c.addi4spn with 0": 0x0004,
    "c.addiw to x0": 0x2001,
    "c.addi16sp by 0": 0x6101,
    "c.lui of 0": 0x6501,
    "c.lwsp to x0": 0x4002,
    "c.ldsp to x0": 0x6002,
    "c.jr to x0": 0x8002,
  };
  for (const [what, half] of Object.entries(reserved)) {
    assertEquals(RV64.decode(half).definition.name, "illegal", what);
  }
  const hints = {
    "c.nop": 0x0001,
    "c.li to x0": 0x4001,
    "c.mv to x0": 0x802a,
    "c.slli by 0": 0x0502,
  };
  for (const [what, half] of Object.entries(hints)) {
    assertEquals(RV64.decode(half).length, 2, what);
    assertEquals(RV64.decode(half).definition.name === "illegal", false, what);
  }
});
