import { assertEquals } from "@std/assert";
import { chooseEra } from "../../lib/ftrace/era.ts";
import { traced } from "./guest.ts";

const named = { symbol: "f" };

Deno.test("chooseEra() takes the newest era that every site allows", () => {
  const literal = { entry: 0x80000008n, before: 8, after: 8, ...named };
  const aligned = { entry: 0x80000014n, before: 0, after: 8, ...named };
  const odd = { entry: 0x80000022n, before: 0, after: 8, ...named };
  const era = (...sites: Parameters<typeof chooseEra>[0]) => chooseEra(sites).era.name;
  assertEquals(era(literal, literal), "call-ops");
  assertEquals(era(literal, aligned), "preset");
  assertEquals(era(literal, aligned, odd), "args");
  assertEquals(era(), "args");
  // A site that is too small for any era is served as a virtual one.
  assertEquals(era(literal, { ...odd, after: 4 }), "call-ops");
});

Deno.test("chooseEra() asks no site of a function that has lost its name, unless none has one", () => {
  const dead = { entry: 0x80000010n, before: 0, after: 16, symbol: undefined };
  const live = { entry: 0x80000008n, before: 8, after: 8, ...named };
  const choice = chooseEra([live, dead]);
  assertEquals([choice.era.name, /\d+/.exec(choice.reason)![0]], ["call-ops", "1"]);
  assertEquals(chooseEra([dead]).era.name, "preset");
});

Deno.test("createFtrace() serves a program with an overridden weak function by the era of its live sites", async () => {
  const { ftrace, run, output } = await traced("weak_p84");
  assertEquals(ftrace.era.name, "call-ops");
  const kinds = ftrace.records.filter(({ name }) => /^(ask|hook|__ftrace_invalid.*)$/.test(name))
    .map(({ name, kind }) => `${name} ${kind}`).sort();
  assertEquals(kinds, ["__ftrace_invalid_address___7 disabled", "ask patched", "hook patched"]);
  await run();
  assertEquals(output(), "strong\n");
});
