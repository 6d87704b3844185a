import { assertEquals, assertThrows } from "@std/assert";
import { type BarChartScale, createBarChart } from "../../lib/output/bar_chart.ts";

function lines(scale: BarChartScale, values: readonly bigint[]): string {
  const histogram = createBarChart(scale);
  for (const value of values) histogram.add(value);
  assertEquals(histogram.count, values.length);
  assertEquals(histogram.total, values.reduce((sum, value) => sum + value, 0n));
  return histogram.lines().map((line) => line.replace(/\|.*/, (bar) => `${bar.length - 2 === 40}`))
    .join("\n");
}

Deno.test("BarChart.lines() have a line for each power of two, of either sign", () => {
  assertEquals(
    lines("log2", [-5n, -1n, 0n, 1n, 1n, 2n, 3n, 1024n]).split("\n").map((line) =>
      line.trim().replace(/ +/g, " ")
    ),
    [
      "(-8, -4] 1 true",
      "(-4, -2] 0 true",
      "-1 1 true",
      "0 1 true",
      "1 2 true",
      "[2, 4) 2 true",
      "[4, 8) 0 true",
      "[8, 16) 0 true",
      "[16, 32) 0 true",
      "[32, 64) 0 true",
      "[64, 128) 0 true",
      "[128, 256) 0 true",
      "[256, 512) 0 true",
      "[512, 1K) 0 true",
      "[1K, 2K) 1 true",
    ],
  );
});

Deno.test("BarChart.lines() widen their steps when there would be too many", () => {
  const values = Array.from({ length: 1000 }, (_, n) => BigInt(n - 500));
  const text = lines(1n, values).split("\n");
  assertEquals(text.length <= 33, true);
  const counts = text.map((line) => Number(/ (\d+) true$/.exec(line)![1]));
  assertEquals(counts.reduce((sum, count) => sum + count, 0), 1000);
});

Deno.test("BarChart.lines() show that there is something however little it is", () => {
  const histogram = createBarChart(10n);
  for (let n = 0; n < 1000; n++) histogram.add(5n);
  histogram.add(-15n);
  assertEquals(histogram.lines(), [
    `  [-20, -10)         1 |#${" ".repeat(39)}|`,
    `  [-10, 0)           0 |${" ".repeat(40)}|`,
    `  [0, 10)         1000 |${"#".repeat(40)}|`,
  ]);
  assertEquals(createBarChart("log2").lines(), []);
});

Deno.test("createBarChart() refuses steps below 1", () => {
  assertThrows(() => createBarChart(0n), RangeError, "1 is the least");
});
