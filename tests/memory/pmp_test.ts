import { assertEquals } from "@std/assert";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../../lib/memory/page.ts";
import { Pmp } from "../../lib/memory/pmp.ts";

const ALL = READ | WRITE | EXECUTE;
const BASE = 0x80000000;
const NAPOT = 0x18, TOR = 8, LOCKED = 0x80;

Deno.test("permissions() gives nothing to the lower modes, and all to machine mode, when no entry matches", () => {
  const pmp = new Pmp();
  assertEquals([pmp.permissions(BASE, 8, false), pmp.permissions(BASE, 8, true)], [0, ALL]);
  pmp.writeAddress(0, BigInt(BASE) >> 2n);
  pmp.writeConfig(0, BigInt(NAPOT | READ));
  assertEquals(pmp.permissions(BASE + 8, 8, false), 0);
  assertEquals(pmp.permissions(BASE, 8, false), READ);
  assertEquals(pmp.permissions(BASE, 8, true), ALL);
});

Deno.test("pagePermissions() is undefined exactly where a page's bytes differ", () => {
  const pmp = new Pmp();
  pmp.writeAddress(0, BigInt(BASE + PAGE_SIZE) >> 2n);
  pmp.writeAddress(1, BigInt(BASE + 2 * PAGE_SIZE + 8) >> 2n);
  pmp.writeConfig(0, BigInt(TOR | READ | WRITE) << 8n);
  const pages = [0, 1, 2, 3].map((k) => pmp.pagePermissions(BASE + k * PAGE_SIZE, false));
  assertEquals(pages, [0, READ | WRITE, undefined, 0]);
});

Deno.test("writeConfig() keeps locked entries, and takes W from what has no R", () => {
  const pmp = new Pmp();
  pmp.writeConfig(0, BigInt(NAPOT | WRITE | EXECUTE) << 8n | BigInt(LOCKED | NAPOT | READ));
  assertEquals(pmp.readConfig(0), BigInt(NAPOT | EXECUTE) << 8n | BigInt(LOCKED | NAPOT | READ));
  assertEquals(pmp.locked, true);
  pmp.writeConfig(0, 0n);
  pmp.writeAddress(0, 5n);
  assertEquals([pmp.readConfig(0), pmp.readAddress(0)], [BigInt(LOCKED | NAPOT | READ), 0n]);
});

Deno.test("permissions() gives nothing, to machine mode neither, when an entry covers an access in part", () => {
  const pmp = new Pmp();
  pmp.writeAddress(0, BigInt(BASE) >> 2n);
  pmp.writeConfig(0, BigInt(NAPOT | READ | WRITE));
  // The entry covers 8 bytes; an access may reach over either of its ends, or around it.
  for (const [at, bytes] of [[BASE - 4, 8], [BASE + 4, 8], [BASE - 4, 16]] as const) {
    assertEquals(pmp.permissions(at, bytes, false), 0);
    assertEquals(pmp.permissions(at, bytes, true), 0);
  }
  assertEquals(pmp.permissions(BASE + 4, 4, false), READ | WRITE);
});

Deno.test("permissions() are those of the first entry that an access touches, though a later one has more", () => {
  const pmp = new Pmp();
  pmp.writeAddress(0, BigInt(BASE) >> 2n);
  pmp.writeAddress(1, (1n << 54n) - 1n);
  pmp.writeConfig(0, BigInt(NAPOT | READ) | BigInt(NAPOT | READ | WRITE | EXECUTE) << 8n);
  assertEquals(pmp.permissions(BASE, 8, false), READ);
  assertEquals(pmp.permissions(BASE + 4, 8, false), 0);
  assertEquals(pmp.permissions(BASE + 8, 8, false), ALL);
});
