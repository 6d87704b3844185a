import { assert, assertEquals, assertMatch } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import type { FtraceOptions } from "../../lib/ftrace/ftrace.ts";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import type { WhyAnswer, WhyUse } from "../../lib/ftrace/explain/function_uses.ts";
import type { WhyReport } from "../../lib/ftrace/explain/why.ts";
import { traced } from "./guest.ts";

const ERAS = ["regs", "args", "preset", "call-ops"] as const;

async function why(
  program: string,
  what: string | bigint,
  options: FtraceOptions = {},
): Promise<WhyReport> {
  const reports = (await traced(program, options)).ftrace.why(what);
  assertEquals(reports.length, 1);
  return reports[0]!;
}

function of(report: WhyReport, use: WhyUse): WhyAnswer {
  return report.answers.find((each) => each.use === use)!;
}

/** `possible`, or errno and reason. */
function verdict({ possible, code, reason }: WhyAnswer): string {
  return possible ? `possible ${reason ?? ""}`.trim() : `${code} ${reason}`;
}

Deno.test("why() has the same reasons for every function of mixed in every era", async (t) => {
  const names = [
    "from_command_line",
    "no_site",
    "too_small",
    "only_after",
    "before_and_after",
    "only_before",
    "more_than_needed",
    "plain_four",
    "odd_label",
    "nosuch",
  ];
  const lines: string[] = [];
  for (const era of ERAS) {
    for (
      const [how, options] of [["", {}], [" strict", { strict: true }], [" virtual", {
        virtual: true,
      }]] as const
    ) {
      const { ftrace } = await traced("mixed", { era, ...options });
      for (const name of names) {
        const [report] = ftrace.why(name);
        const answers = report!.answers.map((each) => `${each.use}: ${verdict(each)}`);
        lines.push(`${era}${how} ${name}: ${answers.join(", ")}`);
      }
    }
  }
  await assertSnapshot(t, lines.join("\n"));
});

Deno.test("why() says of each function what registering then does", async () => {
  for (const era of ERAS) {
    for (const strict of [false, true]) {
      for (const virtual of [false, true]) {
        const { ftrace, machine } = await traced("mixed", { era, strict, virtual });
        for (const { name, address } of machine.symbols.functions) {
          const [report] = ftrace.why(name);
          const where = `${era} ${strict ? "strict" : ""} ${virtual ? "virtual" : ""} ${name}`;
          const attempt = (body: () => Disposable): string => {
            try {
              body()[Symbol.dispose]();
              return "possible";
            } catch (error) {
              if (!(error instanceof FtraceError)) throw error;
              return error.code;
            }
          };
          const said = (use: WhyUse) => verdict(of(report!, use)).split(" ")[0]!;
          const register = ftrace.registerFtraceFunction;
          const { IPMODIFY } = ftrace.flags;
          const fp = { entryHandler() {} };
          assertEquals(
            attempt(() => register({ func() {}, filter: [name] })),
            said("trace"),
            where,
          );
          assertEquals(
            attempt(() => ftrace.registerKprobe({ at: address })),
            said("kprobe"),
            where,
          );
          assertEquals(attempt(() => ftrace.registerFprobeSyms(fp, [name])), said("fprobe"), where);
          const target = ftrace.lookup("print")!;
          const direct = () => ftrace.registerFtraceDirect({ filter: [name] }, target);
          assertEquals(attempt(direct), said("direct"), `direct ${where}`);
          if (!strict && of(report!, "livepatch").reason !== "link-in-t0") {
            const ops = { func() {}, filter: [name], flags: IPMODIFY };
            assertEquals(attempt(() => register(ops)), said("livepatch"), where);
          }
        }
      }
    }
  }
});

Deno.test("why() names the places at which a function without a symbol is inlined", async () => {
  const report = await why("inlined_p84", "square");
  for (const each of report.answers) {
    assertEquals(each.reason, "inlined");
    assertMatch(each.text, /inlined everywhere: area\+0x\w+ \(line 24\), sum\+0x\w+ \(line 32\)/);
    assertMatch(each.instead, /noinline/);
  }
  assertEquals(report.inlinedAt.length, 2);
  const partly = await why("inlined_p84", "twice");
  assertEquals(verdict(of(partly, "trace")), "possible");
  assertMatch(partly.what, /also inlined at sum\+0x\w+ \(line 33\), where it has no site/);
});

Deno.test("why() names the clones that the compiler made instead of a function", async () => {
  const report = await why("inlined_p84", "scaled");
  assertMatch(of(report, "trace").text, /only clones of it: scaled\.constprop\.0/);
  assertMatch(of(report, "trace").instead, /^scaled\.constprop\.0/);
});

Deno.test("why() says that it cannot tell where an unknown name went without debug information", async () => {
  const report = await why("sample_p84", "square");
  assertEquals(of(report, "trace").reason, "no-symbol");
  assertMatch(of(report, "trace").text, /only debug information \(-g\) could tell/);
  const known = await why("inlined_p84", "nobody");
  assertMatch(of(known, "trace").text, /neither a symbol nor the debug information/);
  assertEquals(of(await why("sample_p84", "pice_of"), "trace").instead, "price_of");
});

Deno.test("why() says which store a misaligned entry would need, and serves it unless strict", async () => {
  const { ftrace } = await traced("calls_p4a2", { era: "preset" });
  const misaligned = ftrace.records.find(({ reason }) => reason === "misaligned")!;
  const report = await why("calls_p4a2", misaligned.entry, { era: "preset" });
  assertEquals(verdict(of(report, "trace")), "possible misaligned");
  const strict = await why("calls_p4a2", misaligned.entry, { era: "preset", strict: true });
  assertEquals(verdict(of(strict, "trace")), "EINVAL misaligned");
  assertMatch(of(strict, "trace").text, /no multiple of 4/);
  assertMatch(of(strict, "trace").instead, /-falign-functions=8/);
});

Deno.test("why() says that the ip of a function is taken, and by whom", async () => {
  const { ftrace } = await traced("sample_p84");
  ftrace.registerFtraceFunction({
    name: "mine",
    func() {},
    filter: ["bill"],
    flags: ftrace.flags.IPMODIFY,
  });
  const [bill] = ftrace.why("bill");
  assertEquals(verdict(of(bill!, "livepatch")), "EBUSY already-ipmodify");
  assertMatch(of(bill!, "livepatch").text, /^mine has/);
  assertEquals(verdict(of(bill!, "trace")), "possible");
  assertEquals(verdict(of(ftrace.why("price_of")[0]!, "livepatch")), "possible");
});

Deno.test("why() says that set_ftrace_notrace and set_ftrace_filter leave a function out", async () => {
  const { ftrace } = await traced("sample_p84");
  ftrace.setFtraceFilter(["bill", "price_of"]);
  ftrace.setFtraceNotrace(["bill"]);
  const of1 = (name: string, use: WhyUse) => verdict(of(ftrace.why(name)[0]!, use));
  assertEquals(of1("bill", "trace"), "EINVAL notrace");
  assertEquals(of1("add_prices", "graph"), "EINVAL not-in-filter");
  assertEquals(of1("price_of", "trace"), "possible");
  assertEquals(of1("bill", "fprobe"), "possible");
});

Deno.test("why() tells the words of a site, the inside of instructions, and places that are no entry", async () => {
  for (const era of ERAS) {
    const { ftrace } = await traced("sample_p84", { era });
    const kprobe = (what: string) => verdict(of(ftrace.why(what)[0]!, "kprobe"));
    const slot = era === "args" ? "bill" : "bill+4";
    if (era !== "regs") assertEquals(kprobe(slot), "EINVAL on-ftrace-slot");
    assertEquals(kprobe("bill+2"), "EILSEQ not-instruction-boundary");
    assertEquals(kprobe("bill+6"), "EILSEQ not-instruction-boundary");
    assertEquals(kprobe("bill+8"), "possible");
    assertEquals(verdict(of(ftrace.why("bill+8")[0]!, "trace")), "EINVAL not-entry");
    assertEquals(of(ftrace.why("bill+8")[0]!, "trace").instead, "bill");
    assertEquals(verdict(of(ftrace.why("bill+4")[0]!, "trace")), "possible");
  }
});

Deno.test("why() tells data, unmapped addresses, and code that no symbol covers", async () => {
  const { ftrace, machine } = await traced("calls_p84");
  const data = machine.elf.symbols.find(({ type }) => type === "object")!;
  assertEquals(verdict(of(ftrace.why(data.name)[0]!, "trace")), "EINVAL not-text");
  assertEquals(verdict(of(ftrace.why(16n)[0]!, "kprobe")), "EINVAL not-text");
  const nameless = ftrace.records.find(({ reason }) => reason === "no-symbol")!;
  assertEquals(verdict(of(ftrace.why(nameless.entry)[0]!, "trace")), "EINVAL no-symbol");
});

Deno.test("why() tells returns that cannot be caught", async () => {
  const { ftrace } = await traced("posix_p84", { virtual: true });
  const start = ftrace.why("_start")[0]!;
  assertEquals(verdict(of(start, "graph")), "EINVAL link-in-t0");
  assertEquals(verdict(of(start, "trace")), "possible no-site");
  assertEquals(verdict(of(start, "livepatch")), "EINVAL link-in-t0");
  assertEquals(verdict(of(ftrace.why("getcontext")[0]!, "graph")), "EINVAL returns-twice");
});

Deno.test("why() gives a report for each function of a name, in a sentence each", async () => {
  const { ftrace, machine } = await traced("calls_p84", { virtual: true });
  const names = machine.symbols.functions.map(({ name }) => name);
  const double = names.find((name, k) => names.indexOf(name) !== k)!;
  assert(ftrace.why(double).length > 1);
  for (const record of ftrace.records) {
    for (const report of ftrace.why(record.entry)) {
      for (const { text } of report.answers) assertMatch(text, /^[^.]{8,}.*[^.]$/);
    }
  }
});
