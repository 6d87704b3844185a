/**
 * `ftrace.attach()` and `ftrace.select()`: handlers at entries and exits, by patterns.
 *
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { type EraName, ERAS, FtraceError } from "../../mod.ts";
import { traced } from "./guest.ts";

const NAMES = Object.keys(ERAS) as EraName[];

for (const era of NAMES) {
  for (const trampoline of ["guest", "fast"] as const) {
    Deno.test(`attach() gives a call's arguments, data and result, era ${era}, ${trampoline}`, async () => {
      const { ftrace, machine, reports, run } = await traced("settings_p84", { era, trampoline });
      const seen: unknown[] = [];
      ftrace.attach("number", {
        data: () => ({ began: 0n }),
        onEnter(call) {
          call.data.began = call.time;
        },
        onLeave(call, result) {
          const text = call.args.string(0);
          assert(call.data.began > 0n && call.data.began === call.time);
          assertEquals(call.hart, machine.harts[0]);
          seen.push([call.name, call.caller, text, result.int, result.signed, result.value]);
        },
      });
      assertEquals((await run()).kind, "exit");
      assertEquals(reports, []);
      assertEquals(seen, [
        ["number", "parse", "30", 30, 30n, 30n],
        ["number", "parse", "5", 5, 5n, 5n],
        ["number", "parse", "0x1000", 4096, 4096n, 4096n],
        ["number", "parse", "-1", -1, -1n, 0xffffffffffffffffn],
      ]);
    });
  }
}

Deno.test("attach() changes arguments at the entry and results at the exit", async () => {
  const { ftrace, output, run } = await traced("settings_p84");
  const names: (string | undefined)[] = [];
  ftrace.attach("copy", {
    onEnter({ args }) {
      if (args[1]! > 3n) args[1] = 3n;
    },
    onLeave({ args }, result) {
      assertEquals(args.int(1), 3);
      names.push(result.string());
    },
  });
  ftrace.attach("number", { onLeave: (_call, result) => void (result.value *= 2n) });
  await run();
  assertEquals(names, ["tim", "ret", "siz", "ver"]);
  assert(output().includes("sum 8260"), output());
});

Deno.test("attach() with onEnter alone leaves returns alone and names the caller beside a graph", async () => {
  const { ftrace, run } = await traced("settings_p84");
  ftrace.registerFtraceGraph({ entryFunc: ftrace.graph.entryFunc, retFunc: ftrace.graph.retFunc });
  const callers: (string | undefined)[] = [];
  const { functions } = ftrace.attach(["copy"], { onEnter: ({ caller }) => callers.push(caller) });
  await run();
  assertEquals(functions.map(({ name }) => name), ["copy"]);
  assertEquals(callers, ["parse", "parse", "parse", "parse"]);
});

Deno.test("attach() ends when its handle is disposed, and detach needs no receiver", async () => {
  const { ftrace, run } = await traced("settings_p84");
  let calls = 0;
  const { detach } = ftrace.attach("copy number", {
    onEnter() {
      if (++calls === 2) detach();
    },
  });
  await run();
  assertEquals(calls, 2);
});

Deno.test("attach() reports a handler that throws once, and the guest goes on", async () => {
  const { ftrace, reports, output, run } = await traced("settings_p84");
  ftrace.attach("parse", {
    onEnter() {
      throw new Error("no");
    },
    onLeave() {},
  });
  ftrace.attach("copy", {
    onLeave(call) {
      call.args[0] = 1n;
    },
  });
  assertEquals(await run(), { kind: "exit", code: 0 });
  assertEquals(reports.length, 2, reports.join("\n"));
  assert(reports.some((line) => line.includes("parse") && line.includes("no")), reports.join("\n"));
  assert(reports.some((line) => line.includes("has been entered already")), reports.join("\n"));
  assert(output().includes("sum 4130"));
});

Deno.test("attach() never writes to the handlers it gets", async () => {
  const { ftrace, run } = await traced("settings_p84");
  let left = 0;
  ftrace.attach("copy", Object.freeze({ onEnter() {}, onLeave: () => void left++ }));
  await run();
  assertEquals(left, 4);
});

Deno.test("attach() refuses what matches nothing, and handlers that are none", async () => {
  const { ftrace } = await traced("settings_p84");
  const error = assertThrows(() => ftrace.attach("pars", { onEnter() {} }), FtraceError);
  assertEquals(error.code, "EINVAL");
  assert(error.message.includes("did you mean parse?"), error.message);
  assertThrows(() => ftrace.attach("parse !p*", { onEnter() {} }), FtraceError, "nothing is left");
  assertThrows(() => ftrace.attach("parse", {}), TypeError, "neither an onEnter nor an onLeave");
});

Deno.test("select() gives what patterns match less what those with an exclamation mark do", async () => {
  const { ftrace } = await traced("settings_p84");
  const names = (globs: string | readonly string[]) =>
    ftrace.select(globs).map(({ name }) => name).sort();
  assertEquals(names("pa* copy"), ["copy", "parse"]);
  assertEquals(names("copy, parse"), ["copy", "parse"]);
  assertEquals(names(["!p*", "*a*"]), ["average", "classify", "load", "main"]);
  assertEquals(names("!*a*"), ["copy", "number", "sum"]);
  assertEquals(names(""), names("*"));
  assertThrows(() => ftrace.select("copy !nosuch"), FtraceError, 'by "!nosuch"');
});
