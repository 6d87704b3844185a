import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import type { Kprobe } from "../../lib/ftrace/probes/kprobe.ts";
import { kprobeBucket } from "../../lib/ftrace/probes/kprobe_table.ts";
import { RV64 } from "../../lib/isa/decode.ts";
import {
  FTRACE_FL_IPMODIFY,
  FTRACE_FL_REGS,
  FTRACE_FL_REGS_EN,
  ftraceRefCount,
} from "../../lib/patcher/dyn_ftrace.ts";
import { NOP4 } from "../../lib/patcher/scheme.ts";
import { readCaptureText } from "../output/captures.ts";
import { makeFirmware, tracedFirmware } from "./made_guest.ts";
import { traced } from "./guest.ts";
import { EBREAK, ENGINES, everyWay, unprobed, word } from "./kprobe_guest.ts";

const isPair = (first: number, second: number) =>
  RV64.decode(first).definition.name === "auipc" && RV64.decode(second).definition.name === "jalr";

Deno.test("registerKprobe() answers at each offset of a site as that era's kernel, and changes exactly that word", async () => {
  const verdicts: Record<string, readonly string[]> = {
    // entry+0, +2, +4, +6, +8, +9
    regs: ["ftrace", "EILSEQ", "ebreak", "EILSEQ", "ebreak", "EILSEQ"],
    args: ["EINVAL", "EILSEQ", "ebreak", "EILSEQ", "ebreak", "EILSEQ"],
    preset: ["ebreak", "EILSEQ", "EINVAL", "EILSEQ", "ebreak", "EILSEQ"],
    "call-ops": ["ebreak", "EILSEQ", "EINVAL", "EILSEQ", "ebreak", "EILSEQ"],
  };
  await everyWay(async ({ machine, ftrace, run, output }, { era, what }) => {
    const { output: expected, instret } = await unprobed();
    const entry = ftrace.lookup("bill")!;
    const text = () => machine.memory.bytes.slice(Number(entry), Number(entry) + 16);
    const before = text();
    const found = [0n, 2n, 4n, 6n, 8n, 9n].map((offset) => {
      const kp: Kprobe = { at: entry + offset };
      try {
        using _placed = ftrace.registerKprobe(kp);
        if (ftrace.kprobes.isOnFtrace(kp)) {
          assertEquals(isPair(word(machine, entry), word(machine, entry + 4n)), true, what);
          return "ftrace";
        }
        const changed = before.slice();
        const isShort = (before[Number(offset)]! & 3) !== 3;
        changed.set(isShort ? [0x02, 0x90] : [0x73, 0, 0x10, 0], Number(offset));
        assertEquals(text(), changed, `${what} +${offset}`);
        return "ebreak";
      } catch (error) {
        if (!(error instanceof FtraceError)) throw error;
        assertEquals(text(), before, what);
        return error.code;
      }
    });
    assertEquals(found, verdicts[era], what);
    assertEquals(text(), before, what);
    await run();
    assertEquals([output(), machine.harts[0]!.instret], [expected, instret], what);
  });
});

Deno.test("a kprobe at each place that allows one is hit, and the guest's output and times are those without", async () => {
  const { output: expected, instret } = await unprobed();
  await everyWay(async ({ machine, ftrace, run, output }, { era, what }) => {
    const places = era === "regs"
      ? ["bill", "bill+4", "bill+8"]
      : era === "args"
      ? ["bill+4", "bill+8"]
      : ["bill", "bill+8"];
    // On regs the entry's probe switches the site first, so the one at +4 stands on a jalr.
    const probes = places.map((at): Kprobe => ({ at }));
    for (const kp of probes) ftrace.registerKprobe(kp);
    await run();
    assertEquals(probes.map((kp) => ftrace.kprobes.of(kp)!.nhit), places.map(() => 2), what);
    assertEquals(output(), expected, what);
    assertEquals(machine.harts[0]!.instret, instret, what);
    assertEquals(machine.harts[0]!.overhead > 0n, true, what);
  });
});

Deno.test("a kprobe on every instruction that may be probed changes nothing that the guest sees", async () => {
  const { output: expected, instret } = await unprobed();
  for (const era of ["args", "call-ops"] as const) {
    for (const engine of ENGINES) {
      const { machine, ftrace, run, output } = await traced("sample_p84", { era }, { engine });
      const probes: Kprobe[] = [];
      const refused = new Set<string>();
      let simulated = 0;
      for (const { address, size } of machine.symbols.functions) {
        for (let at = address; at < address + size; at += 2n) {
          const kp: Kprobe = { at };
          try {
            if (ftrace.kprobes.check(at).simulated) simulated++;
            ftrace.registerKprobe(kp);
            probes.push(kp);
          } catch (error) {
            if (!(error instanceof FtraceError)) throw error;
            refused.add(`${error.code} ${error.reason}`);
          }
        }
      }
      await run();
      assertEquals(output(), expected, `${era} ${engine}`);
      assertEquals(machine.harts[0]!.instret, instret, `${era} ${engine}`);
      assertEquals(simulated > 50, true);
      assertEquals([...refused].sort(), [
        "EILSEQ not-instruction-boundary",
        "EINVAL on-ftrace-slot",
        "EINVAL on-reject-list",
      ]);
      const hits = probes.reduce((sum, kp) => sum + ftrace.kprobes.of(kp)!.nhit, 0);
      // All instructions but the ecalls and, of each call, the word that ftrace owns.
      assertEquals(BigInt(hits) > instret * 8n / 10n && BigInt(hits) < instret, true);
      for (const kp of probes) ftrace.kprobes.unregister(kp);
    }
  }
});

Deno.test("registerKprobe() refuses as the kernel, with the reason and what to use instead", async () => {
  const { machine, ftrace } = await traced("sample_p84", { era: "args" });
  const refusal = (at: string | bigint) =>
    assertThrows(() => ftrace.registerKprobe({ at }), FtraceError);
  const ecall = ftrace.lookup("put_text")! + 0x1an;
  assertEquals(RV64.decode(word(machine, ecall)).definition.name, "ecall");
  const all: [string | bigint, string, string][] = [
    ["nosuch", "ENOENT", "no-match"],
    ["bill", "EINVAL", "on-ftrace-slot"],
    ["bill+1", "EILSEQ", "not-instruction-boundary"],
    ["bill+6", "EILSEQ", "not-instruction-boundary"],
    ["put_text+0x1a", "EINVAL", "on-reject-list"],
    [BigInt(machine.tracing.start), "EINVAL", "blacklisted"],
    [0x8n, "EINVAL", "not-text"],
  ];
  for (const [at, code, reason] of all) {
    const error = refusal(at);
    assertEquals([error.code, error.reason], [code, reason], String(at));
    assertMatch(error.message, /Cannot place a kprobe at /);
    if (code !== "ENOENT") assertMatch(error.message, /; use .* instead$/);
  }
  const kp: Kprobe = { at: "bill+8" };
  ftrace.registerKprobe(kp);
  assertEquals(assertThrows(() => ftrace.registerKprobe(kp), FtraceError).code, "EINVAL");
  ftrace.kprobes.unregister(kp);
  for (const what of ["unregister", "enable", "disable"] as const) {
    assertEquals(assertThrows(() => ftrace.kprobes[what](kp), FtraceError).code, "EINVAL", what);
  }
});

Deno.test("args: a probe at +4 is lost when ftrace switches the site, and the nop comes back", async () => {
  for (const engine of ENGINES) {
    const guest = await traced("sample_p84", { era: "args" }, { engine });
    const { machine, ftrace, reports } = guest;
    const entry = ftrace.lookup("bill")!;
    const site = () => [word(machine, entry), word(machine, entry + 4n)] as const;
    const kp: Kprobe = { at: "bill+4" };
    ftrace.registerKprobe(kp);
    assertEquals(site(), [NOP4, EBREAK]);
    assertMatch(reports[0]!, /bill\+0x4.*lost as soon as the function is traced/);
    const ops = ftrace.registerFtraceFunction({ func() {}, filter: ["bill"] });
    assertEquals(isPair(...site()), true);
    assertMatch(reports[1]!, /bill\+0x4.*the probe is dead/);
    ops.unregister();
    assertEquals(site(), [NOP4, NOP4]);
    await guest.run();
    assertEquals(ftrace.kprobes.of(kp)!.nhit, 0);
    assertEquals(reports.length, 2);
  }
});

Deno.test("args: a probe put at +4 of a traced site simulates the jalr, so that both are called", async () => {
  for (const engine of ENGINES) {
    for (const trampoline of ["guest", "fast"] as const) {
      const guest = await traced("sample_p84", { era: "args", trampoline }, { engine });
      const { machine, ftrace } = guest;
      const entry = ftrace.lookup("bill")!;
      let calls = 0;
      ftrace.registerFtraceFunction({ func: () => void calls++, filter: ["bill"] });
      const kp: Kprobe = { at: "bill+4" };
      ftrace.registerKprobe(kp);
      assertEquals(word(machine, entry + 4n), EBREAK);
      assertMatch(guest.reports[0]!, /jalr is there now/);
      await guest.run();
      assertEquals([ftrace.kprobes.of(kp)!.nhit, calls], [2, 2], `${engine} ${trampoline}`);
      assertEquals(machine.harts[0]!.instret, (await unprobed()).instret);
    }
  }
});

Deno.test("call-ops and preset: a traced site with a probe at its entry reads ebreak, jalr, and both see each call", async () => {
  for (const era of ["preset", "call-ops"] as const) {
    for (const engine of ENGINES) {
      for (const trampoline of ["guest", "fast"] as const) {
        const guest = await traced("sample_p84", { era, trampoline }, { engine });
        const { machine, ftrace } = guest;
        const entry = ftrace.lookup("bill")!;
        const seen: string[] = [];
        ftrace.registerFtraceFunction({ func: () => void seen.push("ftrace"), filter: ["bill"] });
        const jalr = word(machine, entry + 4n);
        const kp: Kprobe = { at: "bill", preHandler: () => void seen.push("kprobe") };
        const placed = ftrace.registerKprobe(kp);
        assertEquals([word(machine, entry), word(machine, entry + 4n)], [EBREAK, jalr]);
        assertEquals(RV64.decode(jalr).definition.name, "jalr");
        await guest.run();
        assertEquals(seen, ["kprobe", "ftrace", "kprobe", "ftrace"]);
        placed[Symbol.dispose]();
        assertEquals(isPair(word(machine, entry), word(machine, entry + 4n)), true);
        assertEquals(machine.harts[0]!.instret, (await unprobed()).instret);
      }
    }
  }
});

Deno.test("regs: a probe on the entry runs on ftrace with full pt_regs, without a breakpoint", async () => {
  for (const engine of ENGINES) {
    for (const trampoline of ["guest", "fast"] as const) {
      const guest = await traced("sample_p84", { era: "regs", trampoline }, { engine });
      const { machine, ftrace } = guest;
      const entry = ftrace.lookup("bill")!;
      const epcs: bigint[] = [];
      const counts: bigint[] = [];
      const kp: Kprobe = {
        at: "bill",
        preHandler(_kp, regs, hart) {
          epcs.push(regs.epc);
          counts.push(regs.x(10));
          assertEquals(regs.x(3), BigInt.asUintN(64, hart.x[3]!), "gp, which ARGS does not save");
        },
        postHandler: (_kp, regs) => void epcs.push(regs.epc),
      };
      ftrace.registerKprobe(kp);
      assertEquals(isPair(word(machine, entry), word(machine, entry + 4n)), true);
      assertMatch(ftrace.kprobes.list(), / {2}k {2}bill\+0x0 {4}\[FTRACE\]\n$/);
      await guest.run();
      assertEquals(epcs, [entry, entry + 8n, entry, entry + 8n]);
      assertEquals(counts, [2n, 3n]);
      assertEquals(machine.harts[0]!.instret, (await unprobed()).instret);
      ftrace.kprobes.disable(kp);
      assertEquals([word(machine, entry), word(machine, entry + 4n)], [NOP4, NOP4]);
      assertMatch(ftrace.kprobes.list(), /bill\+0x0 {4}\[DISABLED\]\[FTRACE\]\n$/);
    }
  }
});

Deno.test("kprobes.list() prints a line a probe in the order of the kernel's table", async () => {
  for (const release of ["6.12", "7.2"]) {
    const text = await Deno.readTextFile(
      new URL(`../ground_truth/${release}/kprobes_list_enabled`, import.meta.url),
    );
    const buckets = text.trimEnd().split("\n").map((line) =>
      kprobeBucket(BigInt(`0x${line.slice(0, 16)}`))
    );
    assertEquals(buckets, buckets.toSorted((a, b) => a - b), release);
  }
  const { ftrace } = await traced("sample_p84", { era: "call-ops" });
  const at = ftrace.lookup("bill")!;
  ftrace.registerKprobe({ at: "bill" });
  ftrace.registerKprobe({ at: "bill+8", disabled: true });
  const lines = ftrace.kprobes.list().split("\n").sort();
  const hex = (address: bigint) => address.toString(16).padStart(16, "0");
  assertEquals(lines, [
    "",
    `${hex(at)}  k  bill+0x0    `,
    `${hex(at + 8n)}  k  bill+0x8    [DISABLED]`,
  ]);
});

Deno.test("args: kprobe_single of 6.12, a probe at +4 and the function tracer in either order", async () => {
  const text = readCaptureText("6.12", "kprobe_single");
  /** Hits of e4, and whether the function was traced, in a section. */
  const measured = (heading: string) => {
    const body = text.slice(text.indexOf(heading));
    const section = body.slice(0, body.indexOf("\n###"));
    return {
      isHit: Number(/^ {2}e4 +(\d+)/m.exec(section)![1]) > 0,
      isTraced: /ksys_read <-/.test(section),
    };
  };
  const ours = async (order: readonly ("probe" | "tracer")[]) => {
    const { ftrace, run } = await traced("sample_p84", { era: "args" });
    const kp: Kprobe = { at: "bill+4" };
    for (const what of order) {
      if (what === "probe") ftrace.registerKprobe(kp);
      else ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall, filter: ["bill"] });
    }
    await run();
    const isTraced = [...ftrace.events()].some(({ type }) => type === "function");
    return { isHit: ftrace.kprobes.of(kp)!.nhit > 0, isTraced };
  };
  assertEquals(
    await ours(["probe", "tracer"]),
    measured("### +4 and function tracer on the same function"),
  );
  assertEquals(await ours(["tracer", "probe"]), measured("### function tracer first then +4"));
});

Deno.test("call-ops: ftrace that must change a traced site with a probe at its entry finds a bug, as 7.2", async () => {
  const { machine, ftrace, reports } = await traced("sample_p84", { era: "call-ops" });
  const entry = ftrace.lookup("bill")!;
  ftrace.registerFtraceFunction({ func() {}, filter: ["bill"] });
  ftrace.registerKprobe({ at: "bill" });
  // The site's literal has to name the list now: a modification, which looks at the auipc.
  const refused = assertThrows(
    () => ftrace.registerFtraceFunction({ func() {}, filter: ["bill"] }),
    FtraceError,
  );
  assertEquals(refused.code, "ENODEV");
  assertMatch(reports.join("\n"), /bill\+0x4.*\n actual: {3}73:00:10:00\n expected: 97:02:f0:7f/);
  assertEquals(word(machine, entry), EBREAK);
});

Deno.test("where sites name no ops a second tracer changes no word, and leaves a probe there alone", async () => {
  for (const [era, at] of [["regs", 4n], ["args", 4n], ["preset", 0n]] as const) {
    const { machine, ftrace, run } = await traced("sample_p84", { era });
    const entry = ftrace.lookup("bill")!;
    let calls = 0;
    const tracer = () => ({ func: () => void calls++, filter: ["bill"] });
    ftrace.registerFtraceFunction(tracer());
    const kp: Kprobe = { at: entry + at };
    ftrace.registerKprobe(kp);
    const second = ftrace.registerFtraceFunction(tracer());
    assertEquals(word(machine, entry + at), EBREAK, era);
    await run();
    assertEquals([ftrace.kprobes.of(kp)!.nhit, calls], [2, 4], era);
    second.unregister();
    assertEquals(word(machine, entry + at), EBREAK, era);
  }
});

Deno.test("regs: enabled_functions shows R where a probe is served by ftrace, and I where it may change the ip", async () => {
  const { ftrace } = await traced("sample_p84", { era: "regs" });
  const line = () => {
    const { flags } = ftrace.records.find(({ name }) => name === "bill")!;
    const of = (bit: number, text: string) => flags & bit ? text : "";
    return `${of(FTRACE_FL_REGS, "R")}${of(FTRACE_FL_REGS_EN, "+")}${of(FTRACE_FL_IPMODIFY, "I")} ${
      ftraceRefCount(ftrace.records.find(({ name }) => name === "bill")!)
    }`;
  };
  assertEquals(line(), " 0");
  const plain = ftrace.registerKprobe({ at: "bill" });
  assertEquals(line(), "R+ 1");
  plain[Symbol.dispose]();
  assertEquals(line(), " 0");
  ftrace.registerKprobe({ at: "bill", postHandler() {} });
  assertEquals(line(), "R+I 1");
});

Deno.test("a probe at a virtual site's entry and the tracer there both see each call", async () => {
  for (const engine of ENGINES) {
    for (const offset of [0n, 4n, 8n]) {
      const plain = await traced("calls_p4a2", { era: "preset" }, { engine });
      const called = new Set<number>();
      plain.ftrace.registerFtraceFunction({ hit: (site) => void called.add(site) });
      await plain.run();
      const guest = await traced("calls_p4a2", { era: "preset" }, { engine });
      const { machine, ftrace } = guest;
      const record = ftrace.records.find(({ kind, index }) =>
        kind === "virtual" && called.has(index)
      )!;
      assertEquals(record.reason, "misaligned");
      const seen: string[] = [];
      const filter = [record.name];
      ftrace.registerFtraceFunction({ func: () => void seen.push("ftrace"), filter });
      const at = record.entry + offset;
      ftrace.registerKprobe({ at, preHandler: () => void seen.push("kprobe") });
      await guest.run();
      assertEquals(seen.slice(0, 2), ["ftrace", "kprobe"], `${engine} +${offset}`);
      assertEquals(seen.filter((who) => who === "kprobe").length, seen.length / 2);
      assertEquals(guest.output(), plain.output());
      assertEquals(machine.harts[0]!.instret, plain.machine.harts[0]!.instret);
    }
  }
});

Deno.test("registerKprobe() heeds the blacklist that a kernel brings", () => {
  const text = ".balign 8\n__start_kprobe_blacklist: .dword f1\n__stop_kprobe_blacklist:\n" +
    "__kprobes_text_start:\nhandler: nop\n__kprobes_text_end:\nother: nop\nret";
  const functions = [{ name: "free" }, { name: "listed", body: "nop\nret" }];
  const { ftrace } = tracedFirmware(makeFirmware(functions, "", text), { era: "call-ops" });
  for (const at of ["listed", "listed+8", "handler"]) {
    const error = assertThrows(() => ftrace.registerKprobe({ at }), FtraceError);
    assertEquals([error.code, error.reason], ["EINVAL", "blacklisted"], at);
  }
  for (const at of ["free", "other"]) ftrace.registerKprobe({ at });
});

Deno.test("args: taking out a probe that ftrace has overwritten leaves the site without its jalr, and says so", async () => {
  const { machine, ftrace, reports, run } = await traced("sample_p84", { era: "args" });
  const entry = ftrace.lookup("bill")!;
  let calls = 0;
  const placed = ftrace.registerKprobe({ at: "bill+4" });
  ftrace.registerFtraceFunction({ func: () => void calls++, filter: ["bill"] });
  placed[Symbol.dispose]();
  assertEquals(RV64.decode(word(machine, entry)).definition.name, "auipc");
  assertEquals(word(machine, entry + 4n), NOP4);
  assertMatch(reports.at(-1)!, /bill\+0x4: taking it out .* no longer calls a tracer/);
  await run();
  assertEquals(calls, 0);
});

Deno.test("regs: an entry whose ip another ops owns takes no probe with a postHandler, and is left as it was", async () => {
  const { ftrace } = await traced("sample_p84", { era: "regs" });
  const flags = ftrace.flags.IPMODIFY;
  ftrace.registerKprobe({ at: "price_of", postHandler() {} });
  const owner = ftrace.registerFtraceFunction({ func() {}, flags, filter: ["bill"] });
  const kp: Kprobe = { at: "bill", postHandler() {} };
  assertEquals(assertThrows(() => ftrace.registerKprobe(kp), FtraceError).code, "EBUSY");
  assertEquals(ftrace.kprobes.list().split("\n").length, 2);
  owner.unregister();
  ftrace.registerKprobe(kp);
  assertEquals(ftrace.kprobes.isOnFtrace(kp), true);
});
