import { assertEquals } from "@std/assert";
import { Memory } from "../../lib/memory/memory.ts";
import { PAGE_SIZE, READ, WRITE } from "../../lib/memory/page.ts";
import { QUIET } from "../../lib/memory/store_watch.ts";

const PAGE = 0x10;
const AT = PAGE * PAGE_SIZE;

function watched(): { readonly memory: Memory; readonly quiet: () => number } {
  const memory = new Memory();
  memory.map(AT, PAGE_SIZE, READ | WRITE);
  return { memory, quiet: () => memory.hostBytes[QUIET + PAGE]! };
}

Deno.test("watchText() tells of the first store or change alone, and then the page is quiet", () => {
  const { memory, quiet } = watched();
  const seen: number[] = [];
  const listening = memory.watch.onTextChange((page) => void seen.push(page));
  memory.watch.watchText(PAGE);
  assertEquals([memory.watch.isQuiet(PAGE), quiet()], [false, 0]);
  memory.watch.stored(AT + 8);
  memory.watch.stored(AT + 16);
  assertEquals([seen, memory.watch.isQuiet(PAGE), quiet()], [[PAGE], true, READ | WRITE]);
  memory.watch.watchText(PAGE);
  memory.poke(AT, Uint8Array.of(1));
  memory.watch.watchText(PAGE);
  memory.protect(AT, PAGE_SIZE, READ);
  assertEquals([seen, quiet()], [[PAGE, PAGE, PAGE], READ]);
  listening[Symbol.dispose]();
  memory.watch.watchText(PAGE);
  memory.watch.stored(AT);
  assertEquals(seen.length, 3);
});

Deno.test("watchStores() tells every listener of every store, until each is disposed of", () => {
  const { memory, quiet } = watched();
  const seen: string[] = [];
  const first = memory.watch.watchStores(PAGE, (at) => void seen.push(`a${at - AT}`));
  const second = memory.watch.watchStores(PAGE, (at) => void seen.push(`b${at - AT}`));
  memory.watch.stored(AT);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  memory.watch.stored(AT + 8);
  assertEquals([seen, quiet()], [["a0", "b0", "b8"], 0]);
  memory.protect(AT, PAGE_SIZE, READ | WRITE);
  assertEquals(quiet(), 0, "a page with listeners stays watched when its permissions change");
  second[Symbol.dispose]();
  assertEquals([memory.watch.isQuiet(PAGE), quiet()], [true, READ | WRITE]);
});

Deno.test("a page whose text and words are watched keeps one reason when the other goes", () => {
  const { memory, quiet } = watched();
  using _stores = memory.watch.watchStores(PAGE, () => {});
  memory.watch.watchText(PAGE);
  memory.watch.stored(AT);
  assertEquals([memory.watch.isQuiet(PAGE), quiet()], [false, 0]);
});
