import { assert, assertEquals, assertThrows } from "@std/assert";
import { assemble } from "../../lib/isa/asm.ts";
import { Isa, RV64 } from "../../lib/isa/decode.ts";
import { disassemble } from "../../lib/isa/disasm.ts";
import { compress, define } from "../../lib/isa/encoding.ts";
import { extension } from "../../lib/isa/extension.ts";
import {
  ALL_EXTENSIONS,
  hwcapOf,
  hwprobeOf,
  misaOf,
  parseIsaString,
  restrictIsa,
} from "../../lib/isa/isa_string.ts";
import { EXTENSIONS } from "../../lib/isa/rv64.ts";

/** All that somebody who adds an extension writes. */
const XTWICE = extension("xtwice", {
  implies: ["m"],
  hwprobe: [63],
  entries: [
    define("twice", "0000000 00000 rs1 000 rd 0101011", "rd,rs1", (s) => {
      s.setX("rd", s.i64.add(s.x("rs1"), s.x("rs1")));
    }),
  ],
  compressed: [compress("c.twice", "100 111 rd' 11 110 01", "rd'", "twice rd',rd'")],
});
const WITH_TWICE = new Isa([...EXTENSIONS, XTWICE]);

Deno.test("Isa gives assembler, disassembler and decoder an extension of its list", () => {
  const { bytes } = assemble("twice a0, a1\nc.twice a0", { isa: WITH_TWICE });
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const word = view.getUint32(0, true), half = view.getUint16(4, true);
  assertEquals(disassemble(word, 0n, { isa: WITH_TWICE }), "twice\ta0,a1");
  assertEquals(disassemble(half, 0n, { isa: WITH_TWICE }), "c.twice\ta0");
  assertEquals(WITH_TWICE.decode(word).definition.name, "twice");
  assertEquals(WITH_TWICE.decode(half).definition.name, "twice");
  assertEquals(WITH_TWICE.decode(half).length, 2);
  assertEquals(RV64.decode(word).definition.name, "illegal");
  assertThrows(() => assemble("twice a0, a1"), SyntaxError, "no instruction is called twice");
});

Deno.test("parseIsaString() knows an extension of the Isa's list, and restrictIsa() keeps to it", () => {
  const named = parseIsaString("rv64ic_xtwice", WITH_TWICE);
  assert(named.has("xtwice") && named.has("m"));
  const word = WITH_TWICE.assemble("twice x8, x8"), half = 0x9c79;
  assertEquals(disassemble(half, 0n, { isa: WITH_TWICE }), "c.twice\ts0");
  const names = (extensions: ReadonlySet<string>) =>
    [word, half].map((bits) => restrictIsa(WITH_TWICE, extensions).decode(bits).definition.name);
  assertEquals(names(named), ["twice", "twice"]);
  assertEquals(names(parseIsaString("rv64imc", WITH_TWICE)), ["illegal", "illegal"]);
  assertThrows(() => parseIsaString("rv64ic_xtwice"), SyntaxError, "there is no xtwice");
  assertEquals(hwprobeOf(named, WITH_TWICE) >> 63n, 1n);
  assertEquals(misaOf(named), misaOf(parseIsaString("rv64imc")));
});

Deno.test("every instruction is of an extension of the list, but for the privileged ones", () => {
  const names = new Set(EXTENSIONS.map(({ name }) => name));
  assertEquals(names.size, EXTENSIONS.length);
  const without = RV64.definitions.filter(({ extensions }) => extensions.length === 0);
  assertEquals(without.map(({ name }) => name), [
    "mret",
    "sret",
    "sfence.vma",
    "wfi",
    "hostcall",
    "illegal",
  ]);
  const strange = [
    ...RV64.definitions,
    ...RV64.compressed,
    ...EXTENSIONS.flatMap((each) => [
      { extensions: each.implies },
      { extensions: each.replaces === undefined ? [] : [each.replaces] },
    ]),
  ].flatMap(({ extensions }) => extensions).filter((name) => !names.has(name));
  assertEquals(strange, []);
});

Deno.test("hwcapOf() and hwprobeOf() say what Linux says of these extensions", () => {
  assertEquals(hwcapOf(ALL_EXTENSIONS), 0x112dn);
  assertEquals(hwcapOf(parseIsaString("rv64imac")), 0x1105n);
  // asm/hwprobe.h: FD, C, Zba, Zbb, Zbs, Zicboz, Zbc, Zbkb, Zfh, Zfhmin, Zicond, Zimop, Zca, Zcb,
  // Zcd, Zawrs.
  const bits = [0, 1, 3, 4, 5, 6, 7, 8, 27, 28, 35, 42, 43, 44, 45, 48];
  assertEquals(hwprobeOf(ALL_EXTENSIONS), bits.reduce((all, bit) => all | (1n << BigInt(bit)), 0n));
});
