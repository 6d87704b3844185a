/**
 * Names for addresses and addresses for names.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { type ElfSymbol, parseElf } from "../../lib/program/elf.ts";
import { SymbolTable } from "../../lib/program/symbols.ts";
import { programFile } from "../fixtures/expected.ts";

/** A global function of 16 bytes, unless `more` says otherwise. */
function symbol(name: string, address: bigint, more: Partial<ElfSymbol> = {}): ElfSymbol {
  return { name, address, size: 16n, type: "func", binding: "global", ...more };
}

/** `name+offset` as the table sees an address, or undefined. */
function named(table: SymbolTable, address: bigint): string | undefined {
  const found = table.at(address);
  return found && `${found.symbol.name}+${found.offset}`;
}

Deno.test("SymbolTable.at() gives the symbol that covers an address when one does", () => {
  const table = new SymbolTable([symbol("second", 0x120n), symbol("first", 0x100n)]);
  assertEquals(
    [0xffn, 0x100n, 0x10fn, 0x110n, 0x120n, 0x12fn, 0x130n].map((address) => named(table, address)),
    [undefined, "first+0", "first+15", undefined, "second+0", "second+15", undefined],
  );
});

Deno.test("SymbolTable.at() lets a symbol reach to the next one when its size is not known", () => {
  const table = new SymbolTable([
    symbol("label", 0x100n, { size: 0n, type: "notype" }),
    symbol("next", 0x200n, { size: 0n }),
  ]);
  assertEquals(named(table, 0x1ffn), "label+255");
  assertEquals(named(table, 0x200n + 0x10000n), "next+65536");
  assertEquals(named(table, 0x200n + 0x10001n), undefined, "the last one does not reach forever");
});

Deno.test("SymbolTable.at() leaves out data and the assembler's marks when it names code", () => {
  const table = new SymbolTable([
    symbol("data", 0x100n, { type: "object" }),
    symbol("$xrv64i2p1", 0x200n, { type: "notype" }),
    symbol(".L4", 0x200n, { type: "notype" }),
  ]);
  assertEquals([named(table, 0x100n), named(table, 0x200n)], [undefined, undefined]);
  assertEquals(table.named("data").map(({ address }) => address), [0x100n]);
  assertEquals(table.named(".L4"), []);
});

Deno.test("SymbolTable.functions has each address once when functions have aliases", () => {
  const table = new SymbolTable([
    symbol("__libc_puts", 0x200n),
    symbol("puts", 0x200n, { binding: "weak" }),
    symbol("local_name", 0x100n, { binding: "local" }),
    symbol("global_name", 0x100n),
    symbol("label", 0x300n, { type: "notype" }),
    symbol("function", 0x300n, { binding: "local" }),
    symbol("only_label", 0x400n, { type: "notype" }),
  ]);
  assertEquals(table.functions.map(({ name }) => name), ["global_name", "puts", "function"]);
  assertEquals(table.named("puts").length, 1, "an alias is still found by its name");
});

Deno.test("SymbolTable.named() gives every symbol of a name when static functions share it", () => {
  const table = new SymbolTable([
    symbol("helper", 0x100n, { binding: "local" }),
    symbol("helper", 0x200n, { binding: "local" }),
  ]);
  assertEquals(table.named("helper").map(({ address }) => address), [0x100n, 0x200n]);
  assertEquals(table.named("toString"), []);
});

Deno.test("SymbolTable moves every symbol when the program was moved", () => {
  const table = new SymbolTable([symbol("first", 0x100n)], 0x10000n);
  assertEquals(named(table, 0x10104n), "first+4");
  assertEquals(table.named("first")[0]?.address, 0x10100n);
});

Deno.test("SymbolTable.next() gives the first symbol behind an address when there is one", () => {
  const table = new SymbolTable([symbol("first", 0x100n), symbol("second", 0x120n)]);
  assertEquals(
    [0xffn, 0x100n, 0x11fn, 0x120n].map((address) => table.next(address)?.name),
    ["first", "second", "second", undefined],
  );
});

Deno.test("SymbolTable.at() finds every function by its own address when it reads a fixture", async () => {
  const elf = parseElf(await Deno.readFile(programFile("calls_p84")));
  const table = new SymbolTable(elf.symbols);
  for (const { name, address, size } of table.functions) {
    assertEquals(named(table, address), `${name}+0`);
    if (size > 1n) assertEquals(table.at(address + 1n)?.symbol.address, address);
  }
});

Deno.test("SymbolTable.called() finds a mangled symbol by each of its names when it is to demangle", () => {
  const mangled = ["_ZN4shop4Cart3addEi", "_ZN4shop4Cart3addEPKc", "_Z3fooi"];
  const all = [...mangled, "foo_c"].map((name, k) => symbol(name, BigInt(0x100 * (k + 1))));
  const table = new SymbolTable(all, 0n, { demangle: true });
  const addresses = (name: string) => table.called(name).map(({ address }) => address);
  assertEquals(addresses("shop::Cart::add"), [0x100n, 0x200n]);
  assertEquals(addresses("shop::Cart::add(char const *)"), [0x200n]);
  assertEquals(addresses("_ZN4shop4Cart3addEi"), [0x100n]);
  assertEquals(addresses("foo"), [0x300n]);
  assertEquals(addresses("foo_c"), [0x400n]);
  assertEquals(table.named("foo"), []);
  assertEquals(table.at(0x204n)?.symbol.name, "shop::Cart::add");
  assertEquals(table.at(0x204n)?.symbol.mangled, "_ZN4shop4Cart3addEPKc");
  const plain = new SymbolTable(all);
  assertEquals(plain.at(0x204n)?.symbol.name, "_ZN4shop4Cart3addEPKc");
  assertEquals(plain.called("shop::Cart::add"), []);
  // A symbol of C is the file's own object.
  assertEquals(table.at(0x400n)?.symbol, all[3]);
});
