/**
 * What a campaign compares: outputs while they come, and blocks that are left.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { leaksOf, type LiveBlock } from "../../lib/cli/campaign/live_blocks.ts";
import { OutputCheck } from "../../lib/cli/campaign/output_check.ts";

/** Compares a text with an expected one, in pieces of `length` bytes. */
function difference(expected: string, actual: string, length: number) {
  const encoder = new TextEncoder();
  const check = new OutputCheck(encoder.encode(expected));
  const bytes = encoder.encode(actual);
  for (let at = 0; at < bytes.length; at += length) check.add(bytes.subarray(at, at + length));
  const found = check.end();
  return found && [found.line, found.unfailed, found.failed];
}

Deno.test("OutputCheck tells the line in which two outputs part, however they come", () => {
  for (const length of [1, 2, 100]) {
    const of = (expected: string, actual: string) => difference(expected, actual, length);
    assertEquals(of("", ""), undefined);
    assertEquals(of("one\ntwo\n", "one\ntwo\n"), undefined);
    assertEquals(of("one\ntwo\nthree\n", "one\ntoo\nthree\n"), [2, "two", "too"]);
    assertEquals(of("one\ntwo\n", "one\n"), [2, "two", null]);
    assertEquals(of("one\ntwo\n", "one\ntw"), [2, "two", "tw"]);
    assertEquals(of("one\n", "one\ntwo\nmore\n"), [2, null, "two"]);
    assertEquals(of("", "x"), [1, null, "x"]);
    assertEquals(of("x", ""), [1, "x", null]);
    assertEquals(of("one", "one\n"), [1, "one", "one\n"]);
    assertEquals(of("one\n", "one"), [1, "one\n", "one"]);
    assertEquals(of("a\n", "\n"), [1, "a", ""]);
    const [x, y] = ["x".repeat(1000), "y".repeat(1000)];
    assertEquals(of("x", y), [1, "x", `${y.slice(0, 120)}…`]);
    // Of what they have in common, the end is shown.
    const common = x.slice(0, 40);
    assertEquals(of(`${x}1\n`, `${x}2\n`), [1, `…${common}1`, `…${common}2`]);
  }
});

const block = (number: number, from = "f", size = 8): LiveBlock => ({
  ...{ number, from, size, allocator: "malloc" },
});

Deno.test("leaksOf() knows a block made before the failure by its number", () => {
  // The unfailed run leaves block 1 and frees block 2, from the same place.
  assertEquals(leaksOf([block(1)], [block(1)], 3), []);
  assertEquals(leaksOf([block(2)], [block(1)], 3), [
    { allocator: "malloc", from: "f", blocks: 1, bytes: 8 },
  ]);
});

Deno.test("leaksOf() counts blocks made after the failure by their place", () => {
  const unfailed = [block(4, "f"), block(5, "g")];
  assertEquals(leaksOf([block(6, "f"), block(7, "g")], unfailed, 3), []);
  assertEquals(leaksOf([block(6, "f"), block(7, "f", 16), block(8, "f", 16)], unfailed, 3), [
    { allocator: "malloc", from: "f", blocks: 2, bytes: 32 },
  ]);
});
