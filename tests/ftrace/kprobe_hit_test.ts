import { assertEquals, assertMatch } from "@std/assert";
import { FtraceError } from "../../lib/ftrace/ftrace_error.ts";
import type { Kprobe } from "../../lib/ftrace/probes/kprobe.ts";
import type { Hart } from "../../lib/hart/hart.ts";
import type { PtRegs } from "../../lib/trampoline/ftrace_regs.ts";
import { assemble } from "../../lib/isa/asm.ts";
import { RV64 } from "../../lib/isa/decode.ts";
import { makeFirmware, tracedFirmware } from "./made_guest.ts";
import { eventLines, traced } from "./guest.ts";
import { C_EBREAK, ENGINES, ERAS, everyWay, half, unprobed, word } from "./kprobe_guest.ts";

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
      preHandler: () =>
        void (ftrace.kprobes.of(third)!.nhit === 2 && ftrace.kprobes.unregister(second)),
    };
    ftrace.registerKprobe(third);
    await run();
    assertEquals([ftrace.kprobes.of(second)!.nhit, ftrace.kprobes.of(third)!.nhit], [1, 2], what);
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
    assertEquals([ftrace.kprobes.of(inner)!.nhit, ftrace.kprobes.of(inner)!.nmissed], [5, 5]);
    assertEquals([ftrace.kprobes.of(simulated)!.nhit, ftrace.kprobes.of(simulated)!.nmissed], [
      5,
      5,
    ]);
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
    assertEquals(guest.ftrace.kprobes.of(kp)!.nhit, 1);
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
    assertEquals(guest.ftrace.kprobes.of(kp)!.nhit, 1);
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
  const { nhit, disabled } = guest.ftrace.kprobes.of(kp)!;
  assertEquals([nhit, disabled], [1, true]);
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

Deno.test("engine.executeBits() has the effect of executing the instruction in place", async () => {
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
      const simulated = run(() => machine.engine.executeBits(hart!, bits));
      machine.memory.poke(Number(at), bytes);
      machine.fenceI();
      assertEquals(run(() => machine.engine.step(hart!)), simulated, text);
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
        hits += probes.reduce((sum, kp) => sum + ftrace.kprobes.of(kp)!.nhit, 0);
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
    "li t0, 0x6000\ncsrs mstatus, t0\ncall f0\nmv s1, a0\ncall f0\nxor s1, s1, a0",
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
      const skipped = probes.filter((kp) => ftrace.kprobes.of(kp)!.nhit !== 2).length;
      // What the taken branches jump over.
      assertEquals(skipped, 4, engine);
    }
  }
  assertEquals(new Set(results).size, 1, results.join("\n"));
});

Deno.test("registerKprobe() never writes to the probe: a frozen one counts, throws, and serves two machines", async () => {
  const kp: Kprobe = Object.freeze({
    at: "bill+8",
    preHandler(_kp: Kprobe, _regs: PtRegs, hart: Hart) {
      if (hart.instret > 0n) throw new Error("no");
    },
  });
  for (let machine = 0; machine < 2; machine++) {
    const guest = await traced("sample_p84");
    const registration = guest.ftrace.registerKprobe(kp);
    guest.ftrace.kprobes.disable(kp);
    assertEquals(registration.disabled, true);
    guest.ftrace.kprobes.enable(kp);
    assertEquals(registration.disabled, false);
    await guest.run();
    assertEquals([registration.nhit, registration.nmissed, registration.disabled], [1, 0, true]);
    registration[Symbol.dispose]();
    assertEquals(guest.reports.length, 1);
  }
});
