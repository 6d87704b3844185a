/**
 * What `parseElf()` reads from real programs, compared with readelf, and how it refuses damaged
 * ones.
 *
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { parseElf } from "../../lib/program/elf.ts";
import { programFile } from "../fixtures/expected.ts";
import { buildElf, type ElfParts, words16, words32, words64 } from "./elf_builder.ts";
import { missingTool, runTool } from "./elf_oracle.ts";

const READELF = "riscv64-linux-gnu-readelf";
const TEXT = { address: 0x10000n, data: words32(0x13, 0x13) };

/** A program with everything that the reader looks at. */
const PARTS: ElfParts = {
  entry: 0x10000n,
  segments: [TEXT, { address: 0x11000n, data: words64(0n, 0n), size: 32n, flags: 6 }],
  symbols: [{ name: "first", address: 0x10000n, size: 4n }],
  sections: [
    { name: ".text", address: 0x10000n, size: 8n },
    { name: ".bss", type: 8, address: 0x11010n, size: 16n },
  ],
  relatives: [{ address: 0x11000n, addend: 0x10000n }],
};

/** Refuses `bytes` with exactly this message. */
function assertRefused(bytes: Uint8Array, message: string): void {
  assertThrows(() => parseElf(bytes), SyntaxError, `Cannot read ELF: ${message}`);
}

/** A copy of the file with `data` at `offset`. */
function patched(bytes: Uint8Array, offset: number, data: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy.set(data, offset);
  return copy;
}

Deno.test("parseElf() gives segments, symbols, sections and relocations when a file is whole", () => {
  const elf = parseElf(buildElf(PARTS).bytes);
  assertEquals(elf.type, "EXEC");
  assertEquals(elf.entry, 0x10000n);
  assertEquals(
    elf.segments.map(({ address, data, size, flags }) => [address, data.length, size, flags]),
    [[0x10000n, 8, 8n, 7], [0x11000n, 16, 32n, 6]],
  );
  assertEquals(elf.symbols, [
    { name: "first", address: 0x10000n, size: 4n, type: "func", binding: "global" },
  ]);
  assertEquals(elf.relatives, [{ address: 0x11000n, addend: 0x10000n }]);
  assertEquals(
    elf.sections.map(({ name }) => name),
    ["", ".text", ".bss", ".rela.dyn", ".symtab", ".strtab", ".shstrtab"],
  );
  assertEquals(elf.programHeaders.count, 2);
  assertEquals(elf.interpreter, undefined);
  assertEquals(elf.tls, undefined);
  assertEquals(elf.stackExecutable, false);
});

Deno.test("parseElf() reads a program without section headers when it was stripped of them", () => {
  const elf = parseElf(buildElf({ ...PARTS, stripped: true }).bytes);
  assertEquals([elf.sections, elf.symbols, elf.relatives], [[], [], []]);
  assertEquals(elf.segments.length, 2);
});

Deno.test("parseElf() leaves out symbols that name no place when it reads the table", () => {
  const elf = parseElf(
    buildElf({
      segments: [TEXT],
      symbols: [
        { name: "undefined", address: 0n, section: 0 },
        { name: "", address: 0x10000n },
        { name: "file.c", address: 0n, type: 4 },
        { name: "data", address: 0x10004n, type: 1, binding: 2 },
        { name: "label", address: 0x10000n, type: 0, binding: 0 },
      ],
    }).bytes,
  );
  assertEquals(elf.symbols.map(({ name, type, binding }) => [name, type, binding]), [
    ["data", "object", "weak"],
    ["label", "notype", "local"],
  ]);
});

Deno.test("parseElf() gives interpreter, TLS and the stack's permission when headers have them", () => {
  const elf = parseElf(
    buildElf({
      type: "DYN",
      segments: [
        { type: 3, address: 0n, data: new TextEncoder().encode("/lib/ld.so\0more") },
        { type: 7, address: 0x2000n, data: words64(5n), size: 24n },
        { type: 0x6474e551, address: 0n, data: new Uint8Array(0), flags: 7 },
        TEXT,
      ],
    }).bytes,
  );
  assertEquals(elf.type, "DYN");
  assertEquals(elf.interpreter, "/lib/ld.so");
  assertEquals(elf.tls, { address: 0x2000n, size: 24n });
  assertEquals(elf.stackExecutable, true);
  assertEquals(elf.segments.length, 1);
});

Deno.test("parseElf() says that a file is no ELF when it does not begin like one", () => {
  assertRefused(new Uint8Array(0), "e_ident at offset 0x0: the file is empty");
  assertRefused(
    new TextEncoder().encode("#!/bin/sh\n"),
    "e_ident at offset 0x0: the file is a script; name a RISC-V ELF",
  );
  assertRefused(
    new TextEncoder().encode("hello"),
    "e_ident at offset 0x0: the file is no ELF; name a RISC-V ELF",
  );
});

Deno.test("parseElf() names what it found when the file is for something else", () => {
  const { bytes } = buildElf(PARTS);
  const cases: readonly [number, Uint8Array, string][] = [
    [4, new Uint8Array([1]), "EI_CLASS at offset 0x4: the file is not 64-bit; compile for rv64"],
    [5, new Uint8Array([2]), "EI_DATA at offset 0x5: the file is not little-endian"],
    [18, words16(62), "e_machine at offset 0x12: x86-64, not RISC-V; use a riscv64 compiler"],
    [18, words16(183), "e_machine at offset 0x12: AArch64, not RISC-V; use a riscv64 compiler"],
    [18, words16(999), "e_machine at offset 0x12: machine 999, not RISC-V"],
    [16, words16(1), "e_type at offset 0x10: 1 is a relocatable object: link it first"],
    [16, words16(4), "e_type at offset 0x10: 4 is a core dump"],
    [16, words16(9), "e_type at offset 0x10: 9 is no program"],
  ];
  for (const [offset, data, message] of cases) {
    assertRefused(patched(bytes, offset, data), message);
  }
});

Deno.test("parseElf() refuses a header when a field of it cannot be", () => {
  const { bytes } = buildElf(PARTS);
  const size = bytes.length.toString(16);
  const cases: readonly [number, Uint8Array, string][] = [
    [56, words16(0), "e_phnum at offset 0x38: 0: there is nothing to load"],
    [54, words16(32), "e_phentsize at offset 0x36: 32: it must be 56"],
    [
      32,
      words64(0x100000n),
      `e_phoff at offset 0x20: it reaches to 0x100000, and the file ends at 0x${size}`,
    ],
    [56, words16(0xffff), "e_phoff at offset 0x20: it reaches to 0x380008, and the file ends"],
    [
      40,
      words64(1n << 63n),
      `e_shoff at offset 0x28: it reaches to 0x8000000000000000, and the file ends at 0x${size}`,
    ],
    [60, words16(0xffff), "e_shoff at offset 0x28: it reaches to"],
    [58, words16(40), "e_shentsize at offset 0x3a: 40: it must be 64"],
    [62, words16(99), "e_shstrndx at offset 0x3e: there is no such section"],
  ];
  for (const [offset, data, message] of cases) {
    assertRefused(patched(bytes, offset, data), message);
  }
});

Deno.test("parseElf() refuses a segment when it does not fit the file or 4 GiB", () => {
  const { bytes, programHeader } = buildElf(PARTS);
  const at = programHeader(1);
  const hex = (offset: number) => `0x${offset.toString(16)}`;
  const cases: readonly [number, Uint8Array, string][] = [
    [at + 8, words64(0x100000n), `p_offset at offset ${hex(at + 8)}: it reaches to 0x100000`],
    [at + 32, words64(0x100000n), `p_filesz at offset ${hex(at + 32)}: it reaches to 0x100000`],
    [at + 40, words64(8n), `p_memsz at offset ${hex(at + 40)}: less than p_filesz`],
    [
      at + 16,
      words64(0xfffffff0n),
      `p_vaddr at offset ${hex(at + 16)}: 0xfffffff0 + 0x20 lies beyond 4 GiB`,
    ],
    [
      at + 40,
      words64(-1n),
      `p_vaddr at offset ${hex(at + 16)}: 0x11000 + 0xffffffffffffffff lies beyond 4 GiB`,
    ],
  ];
  for (const [offset, data, message] of cases) {
    assertThrows(() => parseElf(patched(bytes, offset, data)), SyntaxError, message);
  }
  const noLoad = patched(patched(bytes, at, words32(4)), programHeader(0), words32(4));
  assertRefused(noLoad, "e_phnum at offset 0x38: none of 2 program headers is PT_LOAD");
});

Deno.test("parseElf() takes a segment that ends at 4 GiB when it is the last byte", () => {
  const segment = { address: 0xfffffff8n, data: words64(0n) };
  assertEquals(parseElf(buildElf({ segments: [segment] }).bytes).segments[0]?.size, 8n);
  assertRefused(
    buildElf({ segments: [{ ...segment, size: 9n }] }).bytes,
    "p_vaddr at offset 0x50: 0xfffffff8 + 0x9 lies beyond 4 GiB",
  );
});

Deno.test("parseElf() refuses a section when its header points outside", () => {
  const { bytes, sectionHeader } = buildElf(PARTS);
  const table = sectionHeader(".symtab");
  const hex = (offset: number) => `0x${offset.toString(16)}`;
  const cases: readonly [number, Uint8Array, string][] = [
    [table + 24, words64(0xfffffn), `sh_offset at offset ${hex(table + 24)}: it reaches to`],
    [table + 32, words64(0xfffffn), `sh_size at offset ${hex(table + 32)}: it reaches to`],
    [
      table + 40,
      words32(99),
      `sh_link at offset ${
        hex(table + 40)
      }: the symbol table names string table 99, and there is none`,
    ],
  ];
  for (const [offset, data, message] of cases) {
    assertRefused(patched(bytes, offset, data), message);
  }
});

Deno.test("parseElf() cuts a name when it runs past its string table", () => {
  const { bytes, symbol } = buildElf(PARTS);
  const elf = parseElf(patched(bytes, symbol(1), words32(0x7fffffff)));
  assertEquals(elf.symbols, []);
});

Deno.test("parseElf() refuses every beginning of a file when the rest is cut off", () => {
  const { bytes } = buildElf(PARTS);
  for (let length = 0; length < bytes.length; length++) {
    const error = assertThrows(() => parseElf(bytes.slice(0, length)), SyntaxError);
    assert(
      /^Cannot read ELF: [a-zA-Z_]+ at offset 0x[0-9a-f]+: /.test(error.message),
      `${length} bytes: ${error.message}`,
    );
  }
});

/** What readelf says: entry, PT_LOADs and how many named symbols lie in sections. */
async function readelf(file: string): Promise<{
  readonly entry: bigint;
  readonly type: string;
  readonly loads: readonly string[];
  readonly symbols: readonly string[];
}> {
  const text = await runTool(READELF, ["-Whls", file]);
  const loads = [...text.matchAll(/^ +LOAD +(.*)$/gm)].map(([, row]) => {
    const [, address, , fileSize, size] = row!.trim().split(/ +/);
    const flags = /0x\w+ ([R ][W ][E ]) 0x\w+$/.exec(row!)![1]!;
    return `${BigInt(address!)} ${BigInt(fileSize!)} ${BigInt(size!)} ${flags}`;
  });
  const symbols = [
    ...text.matchAll(
      /^ +\d+: (\w+) +(\w+) (NOTYPE|OBJECT|FUNC|TLS) +\w+ +\w+ .*?(ABS|\d+) (\S+)$/gm,
    ),
  ].map(([, address, size, type, , name]) =>
    `${BigInt(`0x${address}`)} ${BigInt(size!)} ${type!.toLowerCase()} ${name}`
  );
  return {
    entry: BigInt(/Entry point address: +(0x\w+)/.exec(text)![1]!),
    type: /Type: +(\w+)/.exec(text)![1]!,
    loads,
    symbols: symbols.sort(),
  };
}

const missing = await missingTool(READELF);
for (const name of ["hello_bare_p84", "sample_p4", "sample_pie_p84", "mixed", "calls_p84"]) {
  Deno.test({
    name: `parseElf() agrees with readelf when it reads ${name} (needs binutils-riscv64-linux-gnu)`,
    ignore: missing,
    async fn() {
      const file = programFile(name);
      const elf = parseElf(await Deno.readFile(file));
      const truth = await readelf(file.pathname);
      assertEquals(elf.entry, truth.entry);
      assertEquals(elf.type, truth.type);
      assertEquals(
        elf.segments.map(({ address, data, size, flags }) => {
          const letters = `${flags & 4 ? "R" : " "}${flags & 2 ? "W" : " "}${
            flags & 1 ? "E" : " "
          }`;
          return `${address} ${data.length} ${size} ${letters}`;
        }),
        truth.loads,
      );
      const symbols = elf.symbols.map(({ name, address, size, type }) =>
        `${address} ${size} ${type} ${name}`
      );
      assertEquals(symbols.sort(), truth.symbols);
      assert(symbols.length > 10);
    },
  });
}
