/**
 * Options of tracers: their kinds, the types of their values, and what is refused.
 *
 * @module
 */
import { assertEquals, assertThrows } from "@std/assert";
import { defineTracer, type Tracer } from "../../mod.ts";
import { optionRange, optionValueText, resolveOptions } from "../../lib/ftrace/tracer_options.ts";

const tracer = {
  name: "t",
  options: {
    text: { description: "", default: "x" },
    one: { description: "", default: "a", choices: ["a", "b"] },
    count: { description: "", default: 3, min: 0, max: 8, integer: true },
    up: { description: "", default: 1.5, min: 1 },
    any: { description: "", default: 0 },
    on: { description: "", default: false },
    names: { description: "", default: ["p", "q"] },
  },
} as const;

Deno.test("resolveOptions() reads each kind of option when it is set", () => {
  assertEquals(resolveOptions(tracer, {}), {
    ...{ text: "x", one: "a", count: 3, up: 1.5, any: 0, on: false, names: ["p", "q"] },
  });
  const settings = { text: "", one: "b", count: "8", up: "1e3", any: "-2.5", on: "yes" };
  assertEquals(resolveOptions(tracer, { ...settings, names: " a*, !b  c," }), {
    ...{ text: "", one: "b", count: 8, up: 1000, any: -2.5, on: true, names: ["a*", "!b", "c"] },
  });
  assertEquals(resolveOptions(tracer, { names: "" })["names"], []);
});

for (
  const [key, text, message] of [
    ["one", "c", 'Cannot set t.one to "c": it takes a, b'],
    ["count", "9", "Cannot set t.count to 9: it must be a whole number from 0 to 8"],
    ["count", "-1", "Cannot set t.count to -1: it must be a whole number from 0 to 8"],
    ["count", "1.5", "Cannot set t.count to 1.5: it must be a whole number from 0 to 8"],
    ["up", "0", "Cannot set t.up to 0: it must be a number from 1 up"],
    ["any", " ", 'Cannot set t.any to " ": it takes a number'],
    ["on", "maybe", 'Cannot set t.on to "maybe": it takes true or false'],
    ["toString", "1", "Cannot set t.toString: t has no such option"],
    ["__proto__", "1", "Cannot set t.__proto__: t has no such option"],
    ["constructor", "1", "Cannot set t.constructor: t has no such option"],
  ] as const
) {
  Deno.test(`resolveOptions() refuses ${key}=${text} when it is no value of the option`, () => {
    const settings = Object.fromEntries([[key, text]]);
    assertThrows(() => resolveOptions(tracer, settings), RangeError, message);
  });
}

Deno.test("optionRange() and optionValueText() say what an option takes and is", () => {
  const { options } = tracer;
  assertEquals(optionRange(options.one), "a, b");
  assertEquals(optionRange(options.count), "a whole number from 0 to 8");
  assertEquals(optionRange(options.up), "a number from 1 up");
  assertEquals(optionRange(options.any), undefined);
  assertEquals(optionRange(options.on), undefined);
  assertEquals(optionRange({ description: "", default: 0, max: 4 }), "a number up to 4");
  assertEquals(optionRange({ description: "", default: 0, integer: true }), "a whole number");
  assertEquals(optionValueText(["a", "b"]), "a b");
  assertEquals(optionValueText(true), "true");
});

Deno.test("defineTracer() gives init the types that the options declare", () => {
  const made: Tracer = defineTracer({
    name: "typed",
    options: tracer.options,
    init(_ftrace, options) {
      const text: string = options.text;
      const one: "a" | "b" = options.one;
      const count: number = options.count;
      const on: boolean = options.on;
      const names: readonly string[] = options.names;
      assertEquals([text, one, count, on, names], ["x", "a", 3, false, ["p", "q"]]);
    },
  });
  assertEquals(made.name, "typed");
  assertThrows(() => defineTracer(JSON.parse('{"name":"x"}')), TypeError, "no init");
});
