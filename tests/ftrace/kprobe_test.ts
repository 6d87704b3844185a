import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import type { Kprobe } from "../../lib/ftrace/probes/kprobe.ts";
import { kprobeBucket } from "../../lib/ftrace/probes/kprobes.ts";
import { assemble } from "../../lib/isa/asm.ts";
import { RV64 } from "../../lib/isa/decode.ts";
import type { Machine } from "../../lib/machine/machine.ts";
import {
  FTRACE_FL_IPMODIFY,
  FTRACE_FL_REGS,
  FTRACE_FL_REGS_EN,
  ftraceRefCount,
} from "../../lib/patcher/dyn_ftrace.ts";
import { NOP4 } from "../../lib/patcher/scheme.ts";
import { readCaptureText } from "../output/captures.ts";
import { makeFirmware, tracedFirmware } from "./made_guest.ts";
import { eventLines, traced, type TracedGuest } from "./guest.ts";

const ERAS = ["regs", "args", "preset", "call-ops"] as const;
const ENGINES = ["ref", "interp"] as const;
const EBREAK = 0x00100073;
const C_EBREAK = 0x9002;

const word = (machine: Machine, address: bigint) =>
  machine.memory.view.getUint32(Number(address), true);
const half = (machine: Machine, address: bigint) =>
  machine.memory.view.getUint16(Number(address), true);
const isPair = (first: number, second: number) =>
  RV64.decode(first).definition.name === "auipc" && RV64.decode(second).definition.name === "jalr";

async function everyWay(
  body: (guest: TracedGuest, where: { era: typeof ERAS[number]; what: string }) => Promise<void>,
) {
  for (const era of ERAS) {
    for (const engine of ENGINES) {
      for (const trampoline of ["guest", "fast"] as const) {
        const guest = await traced("sample_p84", { era, trampoline }, { engine });
        await body(guest, { era, what: `${era} ${engine} ${trampoline}` });
      }
    }
  }
}

async function unprobed() {
  const guest = await traced("sample_p84");
  await guest.run();
  return { output: guest.output(), instret: guest.machine.harts[0]!.instret };
}

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
    assertEquals(probes.map(({ nhit }) => nhit), places.map(() => 2), what);
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
      const hits = probes.reduce((sum, { nhit }) => sum + nhit!, 0);
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
    assertEquals(kp.nhit, 0);
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
      assertEquals([kp.nhit, calls], [2, 2], `${engine} ${trampoline}`);
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

Deno.test("handlers change registers before and after the instruction, and may send the hart elsewhere", async () => {
  await everyWay(async ({ ftrace, run, output }, { what }) => {
    const entry = ftrace.lookup("no_discount")!;
    // no_discount is `ret` behind its site: a0 goes through.
    ftrace.registerKprobe({
      at: entry + 8n,
      preHandler: (_kp, regs) => regs.setX(10, 100n),
    });
    const tenth = ftrace.lookup("tenth_off")!;
    ftrace.registerKprobe({
      at: tenth + 8n,
      preHandler(_kp, regs) {
        regs.epc = regs.x(1);
        regs.setX(10, 7n);
        return 1;
      },
      postHandler() {
        throw new Error("the instruction was skipped");
      },
    });
    await run();
    assertMatch(output(), /^total 100, payable in coins of \d+\ntotal 7, payable/, what);
  });
});

Deno.test("a pre-handler's new epc is lost unless it says so, as in the kernel", async () => {
  const guest = await traced("sample_p84", { era: "call-ops" });
  guest.ftrace.registerKprobe({
    at: "no_discount+8",
    preHandler: (_kp, regs) => void (regs.epc = 0x4n),
  });
  await guest.run();
  assertEquals(guest.output(), (await unprobed()).output);
});

Deno.test("several probes of one instruction share its breakpoint; the newest is called first", async () => {
  await everyWay(async ({ machine, ftrace, run }, { what }) => {
    const at = ftrace.lookup("bill")! + 8n;
    const original = half(machine, at);
    const seen: string[] = [];
    const probes = ["a", "b", "c"].map((name): Kprobe => ({
      at,
      preHandler: () => void seen.push(name),
    }));
    for (const kp of probes) ftrace.registerKprobe(kp);
    assertEquals(half(machine, at), C_EBREAK, what);
    ftrace.kprobes.disable(probes[1]!);
    await run();
    assertEquals(seen, ["c", "a", "c", "a"], what);
    assertEquals(ftrace.kprobes.list().match(/bill\+0x8/g)?.length, 3);
    ftrace.kprobes.unregister(probes[0]!);
    ftrace.kprobes.unregister(probes[1]!);
    assertEquals(half(machine, at), C_EBREAK, what);
    ftrace.kprobes.disable(probes[2]!);
    assertEquals(half(machine, at), original, what);
    ftrace.kprobes.enable(probes[2]!);
    assertEquals(half(machine, at), C_EBREAK, what);
    ftrace.kprobes.unregister(probes[2]!);
    assertEquals(half(machine, at), original, what);
  });
});

Deno.test("a probe can be taken out while it is hit, and by another probe's handler", async () => {
  await everyWay(async ({ ftrace, run, output }, { what }) => {
    const first = ftrace.registerKprobe({
      at: "price_of+8",
      preHandler: () => first[Symbol.dispose](),
    });
    const second: Kprobe = { at: "add_prices+8" };
    ftrace.registerKprobe(second);
    const third: Kprobe = {
      at: "bill+8",
      preHandler: () => void (third.nhit === 2 && ftrace.kprobes.unregister(second)),
    };
    ftrace.registerKprobe(third);
    await run();
    assertEquals([second.nhit, third.nhit], [1, 2], what);
    assertEquals(output(), (await unprobed()).output, what);
  });
});

Deno.test("a probe that is hit while a handler runs on the hart is missed, and its instruction executed", async () => {
  for (const engine of ENGINES) {
    const guest = await traced("sample_p84", { era: "call-ops" }, { engine });
    const { machine, ftrace } = guest;
    const price = ftrace.lookup("price_of")!;
    const inner: Kprobe = { at: price + 8n };
    const simulated: Kprobe = { at: price };
    const results: bigint[] = [];
    ftrace.registerKprobe(inner);
    ftrace.registerKprobe(simulated);
    ftrace.registerKprobe({
      at: "price_of+10",
      // Runs the function once more from within, with the registers that it has.
      preHandler(_kp, _regs, hart) {
        const saved = hart.x.slice();
        const pc = hart.pc;
        hart.pc = price;
        while (hart.pc !== BigInt.asUintN(64, hart.x[1]!)) {
          assertEquals(machine.step(hart), undefined);
        }
        results.push(hart.x[10]!);
        hart.x.set(saved);
        hart.pc = pc;
      },
    });
    await guest.run();
    assertEquals(results.length, 5);
    assertEquals([inner.nhit, inner.nmissed], [5, 5]);
    assertEquals([simulated.nhit, simulated.nmissed], [5, 5]);
    assertEquals(guest.output(), (await unprobed()).output);
  }
});

Deno.test("a fault of the probed instruction is the guest's, at its own address", async () => {
  for (const engine of ENGINES) {
    const plain = await traced("fault_p84", {}, { engine });
    const expected = await plain.run();
    if (expected.kind !== "signal") throw new Error("the fixture faults");
    const { pc, value, cause } = expected.trap!;
    const guest = await traced("fault_p84", {}, { engine });
    const kp: Kprobe = { at: pc, postHandler: () => assertEquals("called", "not called") };
    guest.ftrace.registerKprobe(kp);
    const outcome = await guest.run();
    if (outcome.kind !== "signal") throw new Error("the fixture faults");
    assertEquals([outcome.trap!.pc, outcome.trap!.value, outcome.trap!.cause], [pc, value, cause]);
    assertEquals(outcome.backtrace, expected.backtrace);
    assertEquals(kp.nhit, 1);
    assertEquals(guest.machine.harts[0]!.instret, plain.machine.harts[0]!.instret);
  }
});

Deno.test("the guest's own ebreak stays the guest's while there are probes", async () => {
  for (const engine of ENGINES) {
    const plain = await traced("posix_p84", {}, { engine, args: ["trap"] });
    const expected = await plain.run();
    const guest = await traced("posix_p84", {}, { engine, args: ["trap"] });
    const kp: Kprobe = { at: "main+8" };
    guest.ftrace.registerKprobe(kp);
    assertEquals(await guest.run(), expected);
    assertEquals(guest.output(), plain.output());
    assertEquals(kp.nhit, 1);
  }
});

Deno.test("a probe on a store to tohost leaves it to the host, once", async () => {
  for (const engine of ENGINES) {
    const plain = await traced("hello_bare_p84", {}, { engine });
    const expected = await plain.run();
    const guest = await traced("hello_bare_p84", {}, { engine });
    const { machine, ftrace } = guest;
    let stores = 0;
    for (const { address, size } of machine.symbols.functions) {
      for (let at = address; at < address + size; at += 2n) {
        try {
          const { bits } = ftrace.kprobes.check(at);
          if (RV64.decode(bits).definition.name !== "sd") continue;
        } catch {
          continue;
        }
        ftrace.registerKprobe({ at, preHandler: () => void stores++ });
      }
    }
    assertEquals(await guest.run(), expected);
    assertEquals(guest.output(), plain.output());
    assertEquals(stores > guest.output().length, true);
    assertEquals(machine.harts[0]!.instret, plain.machine.harts[0]!.instret);
  }
});

Deno.test("a handler that throws is reported and its probe disabled; the guest goes on", async () => {
  const guest = await traced("sample_p84");
  const kp: Kprobe = {
    at: "bill+8",
    preHandler() {
      throw new Error("no");
    },
  };
  guest.ftrace.registerKprobe(kp);
  await guest.run();
  assertEquals([kp.nhit, kp.disabled], [1, true]);
  assertEquals(guest.reports.length, 1);
  assertMatch(guest.reports[0]!, /bill\+0x8: no; it is disabled/);
  assertEquals(guest.output(), (await unprobed()).output);
});

Deno.test("kprobes and ftrace record the same events at the same times on both engines and paths", async () => {
  for (const era of ERAS) {
    let first: string | undefined;
    for (const engine of ENGINES) {
      for (const trampoline of ["guest", "fast"] as const) {
        const guest = await traced("sample_p84", { era, trampoline }, { engine });
        const { ftrace } = guest;
        ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall });
        const hits: string[] = [];
        for (const { name } of ftrace.records) {
          ftrace.registerKprobe({
            at: `${name}+8`,
            preHandler: (_kp, regs, hart) => void hits.push(`${regs.epc} ${hart.now()}`),
          });
        }
        await guest.run();
        const all = [...eventLines(ftrace), ...hits].join("\n");
        first ??= all;
        assertEquals(all, first, `${era} ${engine} ${trampoline}`);
      }
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

Deno.test("engine.simulate() has the effect of executing the instruction in place", async () => {
  for (const engine of ENGINES) {
    const { machine } = await traced("sample_p84", {}, { engine });
    const [hart] = machine.harts as [typeof machine.harts[0]];
    const at = 0x10198n;
    for (
      const text of ["auipc a0, 4096", "jal ra, .+16", "jalr t0, 4(a1)", "beq zero, zero, .+8"]
    ) {
      const { bytes } = assemble(text, { origin: at });
      const bits = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
      const run = (execute: () => unknown) => {
        hart!.pc = at;
        hart!.x[11] = 0x20000n;
        hart!.x[10] = 0n;
        assertEquals(execute(), undefined);
        return [hart!.pc, hart!.x[10], hart!.x[1], hart!.x[5]];
      };
      const simulated = run(() => machine.engine.simulate(hart!, bits));
      machine.memory.poke(Number(at), bytes);
      machine.fenceI();
      assertEquals(run(() => machine.engine.step(hart!)), simulated, text);
    }
  }
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
    return { isHit: kp.nhit! > 0, isTraced };
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
    assertEquals([kp.nhit, calls], [2, 4], era);
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

Deno.test("probes come and go while the guest stands between any two instructions, and never in a slot", async () => {
  const { output: expected, instret } = await unprobed();
  for (const engine of ENGINES) {
    const guest = await traced("sample_p84", { era: "call-ops" }, { engine });
    const { machine, ftrace } = guest;
    const [hart] = machine.harts;
    const places: bigint[] = [];
    for (const { address, size } of machine.symbols.functions) {
      for (let at = address; at < address + size; at += 2n) {
        try {
          places.push(ftrace.kprobes.check(at).address);
        } catch (error) {
          if (!(error instanceof FtraceError)) throw error;
        }
      }
    }
    let probes: Kprobe[] = [];
    let hits = 0;
    // Odd stretches of the run are probed, each instruction; the code has been fetched by then.
    for (let limit = 1n; limit < 400n; limit++) {
      if (limit % 20n === 0n) {
        for (const kp of probes) ftrace.kprobes.unregister(kp);
        hits += probes.reduce((sum, { nhit }) => sum + nhit!, 0);
        probes = limit % 40n === 0n ? places.map((at): Kprobe => ({ at })) : [];
        for (const kp of probes) ftrace.registerKprobe(kp);
      }
      const outcome = await machine.run({ limit });
      assertEquals([outcome.kind, hart!.instret], ["limit", limit]);
      const inside = hart!.pc >= BigInt(machine.tracing.start) &&
        hart!.pc < BigInt(machine.tracing.end);
      assertEquals(inside, false, `0x${hart!.pc.toString(16)}`);
    }
    for (const kp of probes) ftrace.kprobes.unregister(kp);
    await guest.run();
    assertEquals(hits > 100, true);
    assertEquals([guest.output(), hart!.instret], [expected, instret], engine);
  }
});

Deno.test("a breakpoint is one store, with every hart stopped and one fence.i on each, as patch_text does", async () => {
  for (const era of ERAS) {
    const { ftrace, machine } = await traced("sample_p84", { era });
    const { statistics } = ftrace.core.patcher;
    const before = { ...statistics };
    const text = machine.memory.bytes.slice(0x10000, 0x11000);
    const placed = ftrace.registerKprobe({ at: "bill+8" });
    const changed = machine.memory.bytes.slice(0x10000, 0x11000).reduce(
      (count, byte, k) => count + (byte === text[k] ? 0 : 1),
      0,
    );
    assertEquals(changed, 2, era);
    placed[Symbol.dispose]();
    assertEquals(statistics, {
      ...before,
      parks: before.parks + 2,
      writes: before.writes + 2,
      localFences: before.localFences + 2,
    }, era);
  }
});

Deno.test("every pc-relative form is simulated, and atomics are stepped without losing a reservation", async () => {
  const body = [
    "auipc a0, 0x12345", // each value that depends on pc goes into a checksum
    "jal t0, 1f",
    "1: xor a0, a0, t0",
    "la t1, 2f",
    "jalr t2, 0(t1)",
    "2: xor a0, a0, t2",
    "beq zero, zero, 3f",
    "li a0, 0",
    "3: bne zero, zero, 3b",
    "li a3, -1",
    "blt a3, zero, 4f",
    "li a0, 0",
    "4: bgeu zero, a3, 4b",
    ".option rvc",
    "c.li a4, 0",
    "c.beqz a4, 5f",
    "c.li a0, 0",
    "5: c.bnez a4, 5b",
    "c.j 6f",
    "c.li a0, 0",
    "6: la t1, 7f",
    "mv t3, ra",
    "c.jalr t1",
    "7: xor a0, a0, ra",
    "mv ra, t3",
    `li a1, ${0x80002000}`,
    "8: lr.w a2, (a1)",
    "addi a2, a2, 1",
    "sc.w a5, a2, (a1)",
    "bnez a5, 8b",
    "amoadd.d a6, a0, (a1)",
    "fcvt.d.l fa0, a0",
    "fadd.d fa0, fa0, fa0",
    "fcvt.l.d a7, fa0",
    "xor a0, a0, a7",
    "la t1, 9f",
    "c.jr t1",
    "9: ret",
  ].join("\n");
  const program = makeFirmware(
    [{ name: "forms", body }],
    "call f0\nmv s1, a0\ncall f0\nxor s1, s1, a0",
  );
  const results: string[] = [];
  for (const engine of ENGINES) {
    for (const probed of [false, true]) {
      const { machine, ftrace } = tracedFirmware(program, { era: "call-ops" }, { engine });
      const simulated = new Set<string>();
      const probes: Kprobe[] = [];
      const { symbol } = machine.symbols.at(ftrace.lookup("forms")!)!;
      for (let at = symbol.address; probed && at < symbol.address + symbol.size; at += 2n) {
        try {
          const { bits, simulated: isSimulated, length } = ftrace.kprobes.check(at);
          const { definition } = RV64.decode(bits);
          if (isSimulated) simulated.add(`${definition.name}${length === 2 ? " short" : ""}`);
          const kp: Kprobe = { at };
          ftrace.registerKprobe(kp);
          probes.push(kp);
        } catch (error) {
          if (!(error instanceof FtraceError)) throw error;
        }
      }
      assertEquals(await machine.run(), { kind: "exit", code: 0 });
      const [hart] = machine.harts;
      results.push(`${hart!.x[9]} ${hart!.f[10]} ${hart!.instret} ${word(machine, 0x80002000n)}`);
      if (!probed) continue;
      assertEquals([...simulated].sort(), [
        "auipc",
        "beq",
        "beq short",
        "bgeu",
        "blt",
        "bne",
        "bne short",
        "jal",
        "jal short",
        "jalr",
        "jalr short",
      ]);
      const skipped = probes.filter(({ nhit }) => nhit !== 2).length;
      // What the taken branches jump over.
      assertEquals(skipped, 4, engine);
    }
  }
  assertEquals(new Set(results).size, 1, results.join("\n"));
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
