/**
 * Functions without a call site that are asked for by their name.
 *
 * @module
 */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import type { Ftrace } from "../../lib/ftrace/ftrace.ts";
import { traced } from "./guest.ts";

/** Ways to ask for a function, each with how often `print` is seen then. */
const WAYS: Readonly<Record<string, (ftrace: Ftrace, name: string, seen: () => void) => void>> = {
  registerFtraceFunction: (ftrace, name, seen) =>
    void ftrace.registerFtraceFunction({ filter: [name], func: seen }),
  registerFtraceGraph: (ftrace, name, seen) =>
    void ftrace.registerFtraceGraph({ filter: [name], entryFunc: seen }),
  registerFprobe: (ftrace, name, seen) => void ftrace.registerFprobe({ entryHandler: seen }, name),
  registerFprobeSyms: (ftrace, name, seen) =>
    void ftrace.registerFprobeSyms({ entryHandler: seen }, [name]),
  attach: (ftrace, name, seen) => void ftrace.attach(name, { onEnter: seen }),
  "set_ftrace_filter": (ftrace, name, seen) => {
    ftrace.setFtraceFilter([name]);
    ftrace.registerFtraceFunction({ hash: ftrace.globalHash, func: seen });
  },
};

for (const [way, ask] of Object.entries(WAYS)) {
  Deno.test(`${way} serves a function without a call site when it is named, and says so once`, async () => {
    for (const fixture of ["sample_without_sites", "mixed"]) {
      const name = fixture === "mixed" ? "plain" : "print";
      const { ftrace, run, reports, machine } = await traced(fixture);
      const known = ftrace.records.length;
      const [symbol] = machine.symbols.named(name);
      if (!symbol || ftrace.records.some(({ entry }) => entry === symbol.address)) continue;
      let calls = 0;
      ask(ftrace, name, () => void calls++);
      assertEquals(ftrace.records.length, known + 1);
      await run();
      assertEquals(calls > 0, true, fixture);
      const lines = reports.filter((line) => line.includes("no call site"));
      assertEquals(lines.length, 1);
      assertMatch(lines[0]!, new RegExp(`^${name} has no call site`));
    }
  });

  Deno.test(`${way} refuses it where virtual sites are off or the era is strict`, async () => {
    for (const options of [{ virtual: false }, { strict: true }] as const) {
      const { ftrace } = await traced("sample_without_sites", options);
      const error = assertThrows(() => ask(ftrace, "print", () => {}), FtraceError);
      assertEquals(error.instead, "--virtual", `${way} ${error.message}`);
    }
  });
}

Deno.test("a glob names no function without a call site, but its refusal counts them", async () => {
  const { ftrace } = await traced("sample_without_sites");
  const error = assertThrows(() => ftrace.setFtraceFilter(["pri*"]), FtraceError);
  assertMatch(
    error.message,
    /no function with a call site matches, but \d+ without; use --virtual/,
  );
  assertEquals(ftrace.records.length, 0);
});

Deno.test("a function that is named later is traced beside those with sites", async () => {
  const { ftrace, run } = await traced("calls_p4");
  const seen = new Set<string>();
  ftrace.registerFtraceFunction({
    filter: ["main", "malloc"],
    func: (ip) => void seen.add(ftrace.symbol(ip)!),
  });
  await run();
  assertEquals(seen, new Set(["malloc", "main"]));
});
