/**
 * Where call sites are found, and what shape each has.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { parseElf } from "../../lib/program/elf.ts";
import { readSites, type SiteSource } from "../../lib/program/sites.ts";
import { SymbolTable } from "../../lib/program/symbols.ts";
import { programFile, readExpected } from "../fixtures/expected.ts";
import { buildElf, type ElfParts, words16, words32, words64 } from "./elf_builder.ts";
import { missingTool, runTool } from "./elf_oracle.ts";

const NOPS = new Array<number>(4).fill(0x0001);
const RET = 0x8082;
/** 0x10000: 8 bytes of nop and `first`; 0x10020: 8 bytes of nop, then `second` with 8 more. */
const TEXT = words16(
  ...[...NOPS, RET, ...new Array(11).fill(RET)],
  ...[...NOPS, ...NOPS, RET, RET],
);
const SYMBOLS = [
  { name: "first", address: 0x10000n, size: 10n },
  { name: "second", address: 0x10028n, size: 12n },
];
const SEGMENTS = [{ address: 0x10000n, data: TEXT }];
const TABLE = "__patchable_function_entries";

/** The sites of a program built from parts. */
function sitesOf(parts: ElfParts, bias = 0n): readonly SiteSource[] {
  const elf = parseElf(buildElf(parts).bytes);
  return readSites(elf, new SymbolTable(elf.symbols, bias), bias);
}

/** Address, entry, bytes before and after it, and name, in one line. */
function line({ address, entry, before, after, symbol }: SiteSource): string {
  const hex = (value: bigint) => value.toString(16);
  return `${hex(address)} ${hex(entry)} ${before}+${after} ${symbol?.name ?? "-"}`;
}

const FIRST = "10000 10000 0+8 first";
const SECOND = "10020 10028 8+8 second";

Deno.test("readSites() derives both counts from where the symbol starts when functions differ", () => {
  const sections = [{ name: TABLE, address: 0x20000n, data: words64(0x10000n, 0x10020n) }];
  assertEquals(sitesOf({ segments: SEGMENTS, symbols: SYMBOLS, sections }).map(line), [
    FIRST,
    SECOND,
  ]);
});

Deno.test("readSites() takes the function when a linker's mark lies on its first nop", () => {
  const sections = [{ name: TABLE, address: 0x20000n, data: words64(0x10020n) }];
  const mark = { name: "__rela_iplt_end", address: 0x10020n, size: 0n, type: 0 };
  const symbols = [...SYMBOLS, mark];
  assertEquals(sitesOf({ segments: SEGMENTS, symbols, sections }).map(line), [SECOND]);
});

Deno.test("readSites() merges all sections of the name, in order of address, when there are several", () => {
  const sections = [
    { name: TABLE, address: 0x20000n, data: words64(0x10020n) },
    { name: TABLE, address: 0x20008n, data: words64(0x10000n) },
    { name: TABLE, address: 0x20010n, data: words64(0x10000n) },
    { name: ".elsewhere", address: 0x20020n, data: words64(0x10004n) },
  ];
  assertEquals(sitesOf({ segments: SEGMENTS, symbols: SYMBOLS, sections }).map(line), [
    FIRST,
    SECOND,
  ]);
});

Deno.test("readSites() skips entries that are zero or outside the program when it walks a table", () => {
  const data = words64(0n, 0x10000n, 0n, 0x9000_0000n, -1n);
  const sections = [{ name: TABLE, address: 0x20000n, data }];
  assertEquals(sitesOf({ segments: SEGMENTS, symbols: SYMBOLS, sections }).map(line), [FIRST]);
});

Deno.test("readSites() takes addends of RELATIVE relocations when a program can be moved", () => {
  const parts: ElfParts = {
    type: "DYN",
    segments: [{ address: 0n, data: TEXT }],
    symbols: SYMBOLS.map((symbol) => ({ ...symbol, address: symbol.address - 0x10000n })),
    sections: [{ name: TABLE, address: 0x1000n, data: words64(0n, 0n) }],
    relatives: [
      { address: 0x1000n, addend: 0x20n },
      { address: 0x2000n, addend: 0x4n },
    ],
  };
  assertEquals(sitesOf(parts, 0x10000n).map(line), [SECOND]);
  assertEquals(sitesOf(parts).map(line), ["20 28 8+8 second"]);
});

Deno.test("readSites() reads __start_mcount_loc up to __stop_mcount_loc when a script kept only that", () => {
  const table = words64(0x10020n, 0n, 0x10000n, 0x10004n);
  const parts = (stop: bigint): ElfParts => ({
    segments: [...SEGMENTS, { address: 0x20000n, data: table }],
    symbols: [
      ...SYMBOLS,
      { name: "__start_mcount_loc", address: 0x20000n, type: 0 },
      { name: "__stop_mcount_loc", address: stop, type: 0 },
    ],
  });
  assertEquals(sitesOf(parts(0x20018n)).map(line), [FIRST, SECOND]);
  assertEquals(sitesOf(parts(0x20000n)), []);
  assertEquals(sitesOf(parts(0x20028n)), [], "a table that reaches past its segment is none");
});

Deno.test("readSites() leaves the symbol out when a site lies in none", () => {
  const sections = [{ name: TABLE, address: 0x20000n, data: words64(0x10000n, 0x10020n) }];
  assertEquals(sitesOf({ segments: SEGMENTS, sections }).map(line), [
    "10000 10000 0+8 -",
    "10020 10020 0+16 -",
  ]);
});

Deno.test("readSites() leaves the symbol out when it does not begin at the nops", () => {
  const symbols = [{ name: "other", address: 0x0fff0n, size: 0x100n }];
  const sections = [{ name: TABLE, address: 0x20000n, data: words64(0x10020n) }];
  assertEquals(sitesOf({ segments: SEGMENTS, sections, symbols }).map(line), [
    "10020 10020 0+16 -",
  ]);
});

Deno.test("readSites() gives the bytes there are when a site is small or its nops are four bytes long", () => {
  const data = words32(0x00000013, 0x80820001, 0x00018082, 0x00000013, 0x80828082);
  const sections = [{
    name: TABLE,
    address: 0x20000n,
    data: words64(0x10000n, 0x1000an, 0x10010n),
  }];
  const symbols = [
    { name: "six", address: 0x10000n },
    { name: "split", address: 0x1000cn },
    { name: "none", address: 0x10010n },
  ];
  assertEquals(sitesOf({ segments: [{ address: 0x10000n, data }], sections, symbols }).map(line), [
    "10000 10000 0+6 six",
    "1000a 1000c 2+4 split",
    "10010 10010 0+0 none",
  ]);
});

Deno.test("readSites() finds as many sites as the build recorded when it reads every fixture", async () => {
  for (const { name, sites } of (await readExpected()).programs) {
    const elf = parseElf(await Deno.readFile(programFile(name)));
    // One entry of mixed is zero.
    const expected = name === "mixed" ? sites - 1 : sites;
    assertEquals(readSites(elf, new SymbolTable(elf.symbols)).length, expected, name);
  }
});

/** The table's entries as objdump dumps them, or readelf's addends of a movable program. */
async function listedByBinutils(file: string): Promise<readonly bigint[]> {
  const relocations = await runTool("riscv64-linux-gnu-readelf", ["-Wr", file]);
  const sections = await runTool("riscv64-linux-gnu-readelf", ["-WS", file]);
  const [, start, , size] = new RegExp(`${TABLE} +PROGBITS +(\\w+) (\\w+) (\\w+)`).exec(sections)!
    .map((text) => BigInt(`0x${/^[0-9a-f]+$/.test(text) ? text : "0"}`)) as bigint[];
  const moved = [...relocations.matchAll(/^(\w+) +\w+ R_RISCV_RELATIVE +(\w+)$/gm)]
    .map(([, at, addend]) => [BigInt(`0x${at}`), BigInt(`0x${addend}`)] as const)
    .filter(([at]) => at >= start! && at < start! + size!);
  if (moved.length > 0) return moved.map(([, addend]) => addend);
  const dump = await runTool("riscv64-linux-gnu-objdump", ["-s", "-j", TABLE, file]);
  const bytes = [...dump.matchAll(/^ \w+ ((?:[0-9a-f]+ ){1,4})/gm)]
    .map(([, row]) => row!.replaceAll(" ", "")).join("");
  return (bytes.match(/.{16}/g) ?? [])
    .map((entry) => BigInt(`0x${entry.match(/../g)!.reverse().join("")}`));
}

/** Every site as it follows from the table, nm and the disassembly, in the form of `line`. */
async function sitesByBinutils(file: string): Promise<readonly string[]> {
  const listed = new Set(await listedByBinutils(file));
  listed.delete(0n);
  const names = new Map(
    [...(await runTool("riscv64-linux-gnu-nm", [file])).matchAll(/^(\w+) [tTW] (\S+)$/gm)]
      .map(([, address, name]) => [BigInt(`0x${address}`), name!]),
  );
  const text = await runTool("riscv64-linux-gnu-objdump", ["-dz", "-M", "no-aliases", file]);
  const nops = new Map(
    [...text.matchAll(/^ +(\w+):\t(\w+) +\t(?:c\.addi\tzero,0|addi\tzero,zero,0)$/gm)]
      .map(([, address, word]) => [BigInt(`0x${address}`), word!.length / 2]),
  );
  return [...listed].sort((a, b) => a < b ? -1 : 1).map((address) => {
    let entry = names.has(address) ? address : undefined;
    let here = address;
    for (let length = nops.get(here); length; length = nops.get(here)) {
      here += BigInt(length);
      if (names.has(here)) entry ??= here;
    }
    const before = Number((entry ?? address) - address);
    const name = entry === undefined ? "-" : names.get(entry);
    const shape = `${before}+${Number(here - address) - before}`;
    return `${address.toString(16)} ${(entry ?? address).toString(16)} ${shape} ${name}`;
  });
}

const missing = await missingTool("riscv64-linux-gnu-objdump");
for (const name of ["mixed", "sample_p4", "sample_pie_p84", "hello_bare_p84", "calls_p4a2"]) {
  Deno.test({
    name: `readSites() agrees with objdump and nm when it reads ${name} (needs binutils)`,
    ignore: missing,
    async fn() {
      const file = programFile(name);
      const elf = parseElf(await Deno.readFile(file));
      const sites = readSites(elf, new SymbolTable(elf.symbols));
      assertEquals(sites.map(line), await sitesByBinutils(file.pathname));
    },
  });
}

Deno.test("readSites() finds the same in mcount_loc when the table's section is gone", async () => {
  const [kept, table] = await Promise.all(
    ["hello_bare_mcount_loc", "hello_bare_p84"].map(async (name) => {
      const elf = parseElf(await Deno.readFile(programFile(name)));
      const sites = readSites(elf, new SymbolTable(elf.symbols));
      return sites.map(({ symbol, before, after }) => `${symbol?.name} ${before}+${after}`).sort();
    }),
  );
  assertEquals(kept, table);
});
