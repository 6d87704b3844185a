import { assertEquals, assertThrows } from "@std/assert";
import {
  isSince,
  parseTraceOption,
  TRACE_OPTIONS,
  traceOptions,
  traceOptionsOf,
} from "../../lib/ftrace/trace/trace_options.ts";
import { captureNames, KERNELS } from "../output/captures.ts";

Deno.test("parseTraceOption() reads every option set and cleared", () => {
  for (const option of TRACE_OPTIONS) {
    assertEquals(parseTraceOption(option.name), { option, value: true });
    assertEquals(parseTraceOption(`no${option.name}`), { option, value: false });
  }
});

Deno.test("parseTraceOption() refuses unknown names and those of later releases", () => {
  for (const text of ["", "no", "nono", "nonoraw", "Raw", "raw ", "rawno"]) {
    assertThrows(() => parseTraceOption(text), RangeError, `Cannot set trace option "${text}"`);
  }
  assertThrows(
    () => parseTraceOption("nofunc-args", "6.12.107+deb13-riscv64"),
    RangeError,
    "Cannot set trace option func-args: Linux 6.12.107+deb13-riscv64 has none, it came with 6.15",
  );
  assertEquals(parseTraceOption("nofunc-args", "6.15.0").value, false);
});

Deno.test("the options that a kernel had not are refused there, or need a configuration", () => {
  for (const kernel of KERNELS) {
    const absent = captureNames(kernel).flatMap((file) =>
      /\.opt\.(.+)\.absent$/.exec(file)?.[1] ?? []
    );
    assertEquals(absent.length, kernel === "6.12" ? 5 : 2);
    for (const name of absent) {
      const there = traceOptionsOf(kernel).find((option) => option.name === name);
      assertEquals(there === undefined || there.config !== undefined, true, `${kernel} ${name}`);
      if (!there) assertThrows(() => parseTraceOption(name, kernel), RangeError);
    }
  }
});

Deno.test("traceOptions() changes only what it is given", () => {
  const defaults = traceOptions();
  assertEquals(defaults["print-parent"], true);
  assertEquals(defaults["funcgraph-tail"], false);
  assertEquals(traceOptions({ raw: true }), { ...defaults, raw: true });
});

Deno.test("isSince() compares releases as numbers", () => {
  assertEquals(isSince("6.9.0", [6, 12]), false);
  assertEquals(isSince("6.12", [6, 12]), true);
  assertEquals(isSince("7.2.13+deb14-riscv64", [6, 12]), true);
  assertEquals(isSince("10.0", [7, 2]), true);
  assertThrows(() => isSince("next", [6, 12]), SyntaxError, 'Cannot read release "next"');
  const added = traceOptionsOf("7.2").length - traceOptionsOf("6.9").length;
  assertEquals(added, TRACE_OPTIONS.filter(({ since }) => since !== undefined).length);
});
