/**
 * Damaged programs are read or refused; nothing else comes out, and nothing takes long.
 *
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { parseElf } from "../../lib/program/elf.ts";
import { readSites } from "../../lib/program/sites.ts";
import { SymbolTable } from "../../lib/program/symbols.ts";
import { buildElf, type SectionPart, words16, words64 } from "./elf_builder.ts";
import { fuzz, fuzzSeeds } from "./elf_fuzz.ts";

Deno.test("parseElf(), SymbolTable and readSites() succeed or refuse when programs are damaged", async () => {
  const { read, refused } = fuzz(await fuzzSeeds(), 1, 100_000);
  assert(read > 20_000, `only ${read} were read`);
  // Damage that is refused at the same place every time would prove little.
  for (
    const field of [
      "e_ident",
      "e_machine",
      "e_phoff",
      "e_shoff",
      "p_filesz",
      "p_memsz",
      "p_vaddr",
      "sh_offset",
      "sh_size",
      "sh_link",
    ]
  ) {
    assert((refused.get(field) ?? 0) > 0, `${field} was never refused`);
  }
});

Deno.test("fuzzSeeds() are all read when they are whole", async () => {
  for (const bytes of await fuzzSeeds()) {
    const elf = parseElf(bytes);
    assert(readSites(elf, new SymbolTable(elf.symbols)).length > 0);
  }
});

/** Fails when `work` takes so long that it must do more than a pass or two over its input. */
function assertQuick(work: () => void): void {
  const started = performance.now();
  work();
  assert(performance.now() - started < 3000, `${performance.now() - started} ms`);
}

Deno.test("parseElf() refuses quickly when thousands of sections share the same bytes", () => {
  const relocations = words64(...Array.from({ length: 60_000 }, (_, k) => k % 3 === 1 ? 3n : 0n));
  const { bytes, sectionHeader } = buildElf({
    segments: [{ address: 0x10000n, data: words64(0n) }],
    sections: [
      { name: "all", type: 4, address: 8n, data: relocations },
      ...Array.from({ length: 20_000 }, (): SectionPart => ({ name: "none", data: words64() })),
    ],
  });
  const first = sectionHeader("all");
  for (let k = 1; k <= 20_000; k++) bytes.copyWithin(first + 64 * k, first, first + 64);
  assertQuick(() =>
    assertThrows(() => parseElf(bytes), SyntaxError, "sections overlap: the first ")
  );
});

Deno.test("parseElf() refuses quickly when every symbol's name is the whole table", () => {
  const { bytes } = buildElf({
    segments: [{ address: 0x10000n, data: words64(0n) }],
    symbols: Array.from({ length: 30_000 }, (_, k) => ({
      name: k === 0 ? "n".repeat(500_000) : "n",
      address: 0x10000n,
    })),
  });
  const view = new DataView(bytes.buffer);
  const elf = parseElf(bytes);
  const table = elf.sections.find(({ name }) => name === ".symtab")!;
  for (let k = 2; k <= 30_000; k++) view.setUint32(table.offset + 24 * k, 1 + k % 1000, true);
  assertQuick(() =>
    assertThrows(() => parseElf(bytes), SyntaxError, "the names are longer than any table")
  );
});

Deno.test("readSites() is quick when a table lists every halfword of nops and segments abound", () => {
  const text = words16(...new Array(60_000).fill(1));
  const table = words64(...Array.from({ length: 60_000 }, (_, k) => 0x100000n + BigInt(2 * k)));
  const elf = parseElf(
    buildElf({
      segments: [
        { address: 0x100000n, data: text },
        ...Array.from({ length: 20_000 }, () => ({ address: 0x10n, data: words64() })),
      ],
      sections: [{ name: "__patchable_function_entries", address: 8n, data: table }],
      relatives: Array.from({ length: 5000 }, (_, k) => ({ address: BigInt(8 * k), addend: 0n })),
      symbols: Array.from({ length: 5000 }, (_, k) => ({
        name: `f${k}`,
        address: 0x100001n + BigInt(10 * k),
      })),
    }).bytes,
  );
  assertQuick(() => {
    const sites = readSites(elf, new SymbolTable(elf.symbols));
    assertEquals(sites.length, 60_000 - 5000 + 1);
  });
});
