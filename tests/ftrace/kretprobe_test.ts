import { ENGINE_NAMES } from "../../lib/engine/engines.ts";
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { buildCallTree, parseCallTree } from "../fixtures/call_tree.ts";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import type { Kretprobe } from "../../lib/ftrace/probes/kretprobe.ts";
import type { Kprobe } from "../../lib/ftrace/probes/kprobe.ts";
import { RV64 } from "../../lib/isa/decode.ts";
import { printKernelText } from "../../lib/output/kernel_text.ts";
import { liveTraceSettings } from "../../lib/output/live_trace.ts";
import { traceOptions } from "../../lib/ftrace/trace/trace_options.ts";
import { callEvents, eventLines, graph, traced } from "./guest.ts";

/** Where a kretprobe on a function with a site is possible. */
const ERAS = ["regs", "preset", "call-ops"] as const;
const ENGINES = ENGINE_NAMES;
const PATHS = ["guest", "fast"] as const;

async function everyWay(
  name: string,
  body: (guest: Awaited<ReturnType<typeof traced>>, what: string) => Promise<void>,
) {
  for (const era of ERAS) {
    for (const engine of ENGINES) {
      for (const trampoline of PATHS) {
        await body(
          await traced(name, { era, trampoline }, { engine }),
          `${era} ${engine} ${trampoline}`,
        );
      }
    }
  }
}

const plain = await traced("sample_p84");
await plain.run();
const OUTPUT = plain.output();
const INSTRET = plain.machine.harts[0]!.instret;

Deno.test("registerKretprobe() sees entry and return of each call with its data, and changes no time", async () => {
  await everyWay("sample_p84", async ({ machine, ftrace, run, output }, what) => {
    const calls: string[] = [];
    const rp: Kretprobe = {
      at: "common_coin",
      dataSize: 16,
      entryHandler(ri, regs) {
        ri.data!.setBigUint64(0, regs.x(10));
        ri.data!.setBigUint64(8, regs.x(11));
      },
      handler(ri, regs) {
        const { data } = ri;
        const back = ftrace.symbol(regs.epc);
        calls.push(`${data!.getBigUint64(0)},${data!.getBigUint64(8)}=${regs.x(10)} ${back}`);
        assertEquals(regs.epc, ri.returnAddress);
      },
    };
    ftrace.registerKretprobe(rp);
    await run();
    assertEquals(calls, [
      "1350,0=1350 common_coin",
      "1350,1350=1350 bill",
      "9,0=9 common_coin",
      "234,9=9 common_coin",
      "2115,234=9 common_coin",
      "2349,2115=9 common_coin",
      "2115,2349=9 bill",
    ], what);
    assertEquals([ftrace.kretprobes.of(rp)!.nhit, ftrace.kretprobes.of(rp)!.nmissed], [7, 0], what);
    assertEquals([output(), machine.harts[0]!.instret], [OUTPUT, INSTRET], what);
  });
});

Deno.test("a kretprobe's handler changes what the caller gets, and registers survive the trampoline", async () => {
  await everyWay("sample_p84", async ({ ftrace, run, output }, what) => {
    ftrace.registerKretprobe({
      at: "price_of",
      handler(_ri, regs) {
        regs.setX(10, 1n);
      },
    });
    await run();
    assertEquals(
      output(),
      "total 2, payable in coins of 2\ntotal 3, payable in coins of 3\n",
      what,
    );
  });
});

Deno.test("arch_rethook_trampoline is real code that keeps every register and costs no guest time", async () => {
  for (const engine of ENGINES) {
    const guest = await traced("sample_p84", { era: "call-ops" }, { engine });
    const { machine, ftrace } = guest;
    const at = Number(ftrace.kretprobes.trampoline);
    assertEquals(at >= machine.tracing.start && at < machine.tracing.end, true);
    const first = RV64.decode(machine.memory.view.getUint32(at, true));
    assertEquals([first.definition.name, first.imm], ["addi", -288]);
    const [hart] = machine.harts;
    let before: BigInt64Array | undefined;
    const compared: number[] = [];
    ftrace.registerKretprobe({ at: "price_of", handler() {} });
    // `ret` of price_of, and the instruction of add_prices that it returns to.
    const price = machine.symbols.named("price_of")[0]!;
    let end = price.address + 8n;
    while (
      RV64.decode(machine.memory.view.getUint16(Number(end), true)).definition.name !== "jalr"
    ) {
      end += (machine.memory.view.getUint16(Number(end), true) & 3) === 3 ? 4n : 2n;
    }
    ftrace.registerKprobe({ at: end, preHandler: () => void (before = hart!.x.slice()) });
    let back: Disposable | undefined;
    ftrace.registerKretprobe({
      at: "price_of",
      handler(ri) {
        back ??= ftrace.registerKprobe({
          at: ri.returnAddress,
          preHandler() {
            for (let n = 0; n < 32; n++) {
              if (n === 1) assertEquals(hart!.x[1], ri.returnAddress);
              else assertEquals(hart!.x[n], before![n], `x${n}`);
            }
            compared.push(1);
          },
        });
      },
    });
    await guest.run();
    assertEquals(compared.length >= 5, true);
    assertEquals(guest.output(), OUTPUT);
  }
});

Deno.test("registerKretprobe() refuses where 6.12 and 7.2 do, and says what to use instead", async () => {
  const args = await traced("sample_p84", { era: "args" });
  const refusal = (guest: typeof args, rp: Kretprobe) => {
    const { code, reason, instead } = assertThrows(
      () => guest.ftrace.registerKretprobe(rp),
      FtraceError,
    );
    return [code, reason, instead];
  };
  assertEquals(refusal(args, { at: "bill" }), [
    "EINVAL",
    "on-ftrace-slot",
    "fprobe on bill with an exitHandler",
  ]);
  assertEquals(refusal(args, { at: "bill+8" }).slice(0, 2), ["EINVAL", "not-entry"]);
  const guest = await traced("sample_p84", { era: "call-ops" });
  for (const at of ["bill+8", "bill+4", "bill+2"]) {
    assertEquals(refusal(guest, { at }), ["EINVAL", "not-entry", "a kretprobe on bill"], at);
  }
  assertEquals(refusal(guest, { at: "nosuch" }).slice(0, 2), ["ENOENT", "no-match"]);
  assertEquals(refusal(guest, { at: "bill", dataSize: 4097 })[0], "E2BIG");
  assertEquals(refusal(guest, { at: "_start" }).slice(0, 2), ["EINVAL", "link-in-t0"]);
  const rp: Kretprobe = { at: "bill" };
  guest.ftrace.registerKretprobe(rp);
  assertEquals(refusal(guest, rp).slice(0, 2), ["EINVAL", "already-enabled"]);
  guest.ftrace.kretprobes.unregister(rp);
  for (const what of ["unregister", "enable", "disable"] as const) {
    assertEquals(assertThrows(() => guest.ftrace.kretprobes[what](rp), FtraceError).code, "EINVAL");
  }
  const calls = await traced("calls_p84", { era: "call-ops" });
  assertEquals(refusal(calls, { at: "_setjmp" }).slice(0, 2), ["EINVAL", "returns-twice"]);
});

Deno.test("args: a kretprobe on a function without a site works", async () => {
  for (const engine of ENGINES) {
    const guest = await traced("sample_without_sites", { era: "args" }, { engine });
    const rp: Kretprobe = { at: "price_of" };
    guest.ftrace.registerKretprobe(rp);
    await guest.run();
    const { nhit, nmissed } = guest.ftrace.kretprobes.of(rp)!;
    assertEquals([nhit, nmissed], [5, 0]);
    assertEquals(guest.output(), OUTPUT);
  }
});

Deno.test("calls beyond maxactive are missed and counted; an entry handler gives its instance back", async () => {
  await everyWay("sample_p84", async ({ ftrace, run, output }, what) => {
    const few: Kretprobe = { at: "common_coin", maxactive: 2 };
    let seen = 0;
    const even: Kretprobe = { at: "common_coin", maxactive: 3, entryHandler: () => seen++ % 2 };
    ftrace.registerKretprobe(few);
    ftrace.registerKretprobe(even);
    await run();
    // Depths are 2 and 5.
    assertEquals(
      [ftrace.kretprobes.of(few)!.nhit, ftrace.kretprobes.of(few)!.nmissed],
      [4, 3],
      what,
    );
    assertEquals(
      [ftrace.kretprobes.of(even)!.nhit, ftrace.kretprobes.of(even)!.nmissed],
      [4, 0],
      what,
    );
    assertEquals(output(), OUTPUT, what);
  });
});

Deno.test("kretprobes are listed as r, and disabled and taken out while calls are open", async () => {
  await everyWay("sample_p84", async ({ ftrace, run, output }, what) => {
    const outer: Kretprobe = { at: "bill" };
    const inner: Kretprobe = {
      at: "add_prices",
      handler: () =>
        void (ftrace.kretprobes.of(inner)!.nhit === 1 && ftrace.kretprobes.unregister(outer)),
    };
    const off: Kretprobe = { at: "program", disabled: true };
    for (const rp of [outer, inner, off]) ftrace.registerKretprobe(rp);
    assertMatch(ftrace.kprobes.list(), /^[0-9a-f]{16} {2}r {2}bill\+0x0 {4}(\[FTRACE\])?$/m);
    assertMatch(ftrace.kprobes.list(), /^[0-9a-f]{16} {2}r {2}program\+0x0 {4}\[DISABLED\]/m);
    await run();
    assertEquals(
      [
        ftrace.kretprobes.of(outer)!.nhit,
        ftrace.kretprobes.of(inner)!.nhit,
        ftrace.kretprobes.of(off)!.nhit,
      ],
      [0, 2, 0],
      what,
    );
    assertEquals(output(), OUTPUT, what);
  });
});

Deno.test("a probe that a kretprobe's handler makes the hart hit is missed", async () => {
  const guest = await traced("sample_p84", { era: "call-ops" });
  const { machine, ftrace } = guest;
  const missed: Kprobe = { at: "no_discount+8" };
  ftrace.registerKprobe(missed);
  ftrace.registerKretprobe({
    at: "price_of",
    handler({ hart }) {
      const saved = hart.x.slice();
      const { pc } = hart;
      hart.pc = ftrace.lookup("no_discount")! + 8n;
      assertEquals(machine.step(hart), undefined);
      hart.x.set(saved);
      hart.pc = pc;
    },
  });
  await guest.run();
  assertEquals([ftrace.kprobes.of(missed)!.nhit, ftrace.kprobes.of(missed)!.nmissed], [1, 5]);
  assertEquals(guest.output(), OUTPUT);
});

Deno.test("a parent whose return a kretprobe waits for prints as the kernel prints it", async () => {
  for (const era of ["preset", "call-ops"] as const) {
    const { ftrace, run } = await traced("sample_p84", { era });
    ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall, filter: ["price_of"] });
    ftrace.registerKretprobe({ at: "price_of" });
    await run();
    const settings = liveTraceSettings(ftrace, "function", traceOptions());
    const text = [...printKernelText(ftrace.events(), settings)].join("");
    assertEquals(text.match(/: price_of <-\[unknown\/kretprobe'd\]$/gm)?.length, 5, era);
  }
});

Deno.test("the graph tracer and kretprobes hook the same returns, tail calls included, in every order", async () => {
  const golden = parseCallTree(
    await Deno.readTextFile(new URL("../fixtures/calls.tree", import.meta.url)),
  );
  for (const era of ERAS) {
    for (const trampoline of PATHS) {
      for (const first of ["graph", "kretprobes"]) {
        const guest = await traced("calls_p84", { era, trampoline });
        const { ftrace } = guest;
        const alone = await traced("calls_p84", { era, trampoline });
        graph(alone.ftrace);
        const expected = await alone.run();
        let open = 0;
        const probes: Kretprobe[] = [];
        const hook = () => {
          for (const { name, entry, kind } of ftrace.records) {
            if (kind !== "patched" || /setjmp/.test(name)) continue;
            const rp: Kretprobe = {
              at: entry,
              maxactive: 1000,
              entryHandler: () => void open++,
              handler: () => void open--,
            };
            ftrace.registerKretprobe(rp);
            probes.push(rp);
          }
        };
        if (first === "graph") graph(ftrace);
        hook();
        if (first !== "graph") graph(ftrace);
        const outcome = await guest.run();
        const what = `${era} ${trampoline} ${first}`;
        assertEquals(outcome, expected, what);
        assertEquals(guest.output(), alone.output(), what);
        assertEquals(eventLines(ftrace), eventLines(alone.ftrace), what);
        assertEquals(buildCallTree(callEvents(ftrace)), golden, what);
        const hits = probes.reduce((sum, rp) => sum + ftrace.kretprobes.of(rp)!.nhit, 0);
        assertEquals(hits > 100, true, what);
        assertEquals(
          probes.reduce((sum, rp) => sum + ftrace.kretprobes.of(rp)!.nmissed, 0),
          0,
          what,
        );
        // Calls that never came back: they ended in exit() or were left by longjmp().
        const left = { entries: 0, returns: 0 };
        for (const event of ftrace.events()) {
          if (event.type === "funcgraph_entry") left.entries++;
          if (event.type === "funcgraph_exit" && !event.unwound) left.returns++;
        }
        assertEquals(open, left.entries - left.returns, what);
      }
    }
  }
});

Deno.test("an exception passes frames whose returns kretprobes wait for, with the graph tracer and without", async () => {
  for (const era of ERAS) {
    for (const withGraph of [false, true]) {
      const alone = await traced("exceptions_p84", { era });
      const expected = await alone.run();
      const guest = await traced("exceptions_p84", { era });
      const { ftrace } = guest;
      if (withGraph) graph(ftrace);
      const probes: Kretprobe[] = [];
      for (const { entry, kind } of ftrace.records) {
        if (kind !== "patched") continue;
        const rp: Kretprobe = { at: entry, maxactive: 100 };
        ftrace.registerKretprobe(rp);
        probes.push(rp);
      }
      const outcome = await guest.run();
      assertEquals(outcome, expected, `${era} ${withGraph}`);
      assertEquals(guest.output(), alone.output(), `${era} ${withGraph}`);
      assertEquals(probes.some((rp) => ftrace.kretprobes.of(rp)!.nhit > 0), true);
      assertEquals(guest.machine.harts[0]!.instret, alone.machine.harts[0]!.instret);
    }
  }
});

Deno.test("a backtrace of the guest's own is the same with kretprobes", async () => {
  for (const era of ERAS) {
    const alone = await traced("backtrace_p84", { era });
    const called = new Map<string, number>();
    alone.ftrace.registerFtraceFunction({
      hit(site) {
        const { entry } = alone.ftrace.records[site]!;
        called.set(String(entry), (called.get(String(entry)) ?? 0) + 1);
      },
    });
    const expected = await alone.run();
    const guest = await traced("backtrace_p84", { era });
    const probes: Kretprobe[] = [];
    for (const { entry, kind } of guest.ftrace.records) {
      if (kind !== "patched") continue;
      const rp: Kretprobe = { at: entry };
      guest.ftrace.registerKretprobe(rp);
      probes.push(rp);
    }
    const outcome = await guest.run();
    assertEquals(outcome, expected, era);
    assertEquals(guest.output(), alone.output(), era);
    const hits = probes.map((rp) => {
      const { nhit, nmissed } = guest.ftrace.kretprobes.of(rp)!;
      return nhit + nmissed;
    });
    assertEquals(hits, probes.map((rp) => called.get(String(rp.at))), era);
  }
});

Deno.test("the graph tracer sees the exit of each call that an unwinder was called from", async () => {
  const { ftrace, run } = await traced("backtrace_p84");
  graph(ftrace);
  await run();
  const open: bigint[] = [];
  for (const event of ftrace.events()) {
    if (event.type === "funcgraph_entry") open.push(event.func);
    if (event.type === "funcgraph_exit") {
      assertEquals(open.pop(), event.func);
      assertEquals(event.unwound, false);
    }
  }
  assertEquals(open, []);
});

Deno.test("registerKretprobe() never writes to the probe: a frozen one counts and serves two machines", async () => {
  const rp: Kretprobe = Object.freeze({ at: "price_of", maxactive: 1, handler() {} });
  for (let machine = 0; machine < 2; machine++) {
    const { ftrace, run } = await traced("sample_p84", { era: "call-ops" });
    const registration = ftrace.registerKretprobe(rp);
    await run();
    assertEquals([registration.nhit, registration.nmissed], [5, 0]);
  }
});

Deno.test("kretprobes.verdict() says what register() refuses, and places nothing", async () => {
  const { ftrace } = await traced("sample_p84", { era: "args" });
  for (const at of ["price_of", "bill+8"]) {
    const rp: Kretprobe = { at };
    const { message } = assertThrows(() => ftrace.registerKretprobe(rp), FtraceError);
    assertEquals(ftrace.kretprobes.verdict(rp)?.message, message);
  }
  const bill = ftrace.lookup("bill")!;
  assertEquals(ftrace.kprobes.verdict(bill + 8n), ftrace.kprobes.check(bill + 8n));
  const refusal = ftrace.kprobes.verdict(bill);
  assertEquals(refusal instanceof FtraceError && refusal.reason, "on-ftrace-slot");
  assertEquals(ftrace.kprobes.list(), "");
});
