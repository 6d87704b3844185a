import { assertEquals, assertThrows } from "@std/assert";
import {
  findMark,
  formatSeconds,
  latencyFlags,
  parseLatencyFlags,
  toMicroseconds,
} from "../../lib/output/columns.ts";

const common = { time: 0n, cpu: 0, pid: 1 };

Deno.test("latencyFlags() prints every combination of flags that parseLatencyFlags() reads", () => {
  const texts = new Set<string>();
  for (let flags = 0; flags < 256; flags++) {
    const text = latencyFlags({ ...common, flags, preemptCount: flags });
    texts.add(text.slice(0, 3));
    const read = parseLatencyFlags(text);
    assertEquals(latencyFlags({ ...common, ...read }), text);
    assertEquals(read.preemptCount, flags);
  }
  assertEquals(texts.size, 4 * 8 * 6);
});

Deno.test("latencyFlags() prints each value of the columns", () => {
  const column = (index: number, ...flags: readonly number[]) =>
    flags.map((bits) => latencyFlags({ ...common, flags: bits, preemptCount: 0 })[index]).join("");
  assertEquals(column(0, 0, 0x01, 0x80, 0x81), ".dbD");
  assertEquals(column(1, 0, 0x04, 0x20, 0x24, 0x02, 0x22, 0x06, 0x26), ".npNlLbB");
  assertEquals(column(2, 0, 0x08, 0x10, 0x18, 0x40, 0x48, 0x58), ".hsHzZZ");
});

Deno.test("parseLatencyFlags() refuses a character of another column", () => {
  for (const text of ["n....", ".d...", "..x.."]) {
    assertThrows(() => parseLatencyFlags(text), SyntaxError, `Cannot read flags "${text}"`);
  }
});

Deno.test("toMicroseconds() rounds half up, formatSeconds() pads", () => {
  assertEquals([499n, 500n, 1499n].map(toMicroseconds), [0n, 1n, 1n]);
  assertEquals(formatSeconds(1n), "    0.000001");
  assertEquals(formatSeconds(1_795_351_712_398_428n), "1795351712.398428");
  assertEquals(findMark(10_000n), " ");
});
