/**
 * The run loop, host calls and parking of a machine, on firmware of a few instructions.
 *
 * @module
 */
import { ENGINE_NAMES } from "../../lib/engine/engines.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { createMachine, type Machine, type MachineOptions } from "../../lib/machine/machine.ts";
import { EXECUTE, READ } from "../../lib/memory/page.ts";
import { readProgram } from "../fixtures/expected.ts";
import { buildBare, buildElf, la, words16, words32, words64 } from "../program/elf_builder.ts";

const START = 0x80000000;
/** Two instructions a turn, for ever. */
const COUNTING = "_start:\nloop:\naddi a3, a3, 1\nj loop\n";
const HOST_CALL = 0x0000000b;

function machineOf(source: string, options: MachineOptions = {}): Machine {
  return createMachine(buildBare(source), { engine: "ref", ...options });
}

/** Puts instructions into the tracing range; gives their address. */
function traceText({ tracing, memory }: Machine, ...words: readonly number[]): number {
  const address = tracing.allocate(4096, READ | EXECUTE);
  memory.poke(address, words32(...words));
  return address;
}

for (const engine of ENGINE_NAMES) {
  Deno.test(`Machine.run() stops after exactly as many instructions as its limit when ${engine} runs`, async () => {
    const machine = machineOf(COUNTING, { engine });
    const hart = machine.harts[0]!;
    for (const limit of [1n, 2n, 7n, 7n, 30_001n, 123_456n]) {
      assertEquals(await machine.run({ limit }), { kind: "limit" });
      assertEquals([hart.instret, hart.x[13]], [limit, (limit + 1n) / 2n]);
    }
  });

  Deno.test(`Machine.run() ends as interrupted and can go on when ${engine} runs and a stop is requested`, async () => {
    const machine = machineOf(COUNTING, { engine });
    setTimeout(() => machine.requestStop(), 30);
    const slices: bigint[] = [];
    const outcome = await machine.run({ slice: (instret) => void slices.push(instret) });
    assertEquals(outcome, { kind: "interrupted" });
    const { instret } = machine.harts[0]!;
    assertEquals(slices.at(-1), instret);
    assert(slices.every((value, k) => k === 0 || value > slices[k - 1]!), "slices go forward");
    assertEquals(await machine.run({ limit: instret + 10n }), { kind: "limit" });
  });

  Deno.test(`Machine.run() lets the host's events through while ${engine} runs a busy loop`, async () => {
    const machine = machineOf(COUNTING, { engine });
    let ticks = 0;
    const timer = setInterval(() => {
      if (++ticks === 5) machine.requestStop();
    }, 1);
    const started = performance.now();
    assertEquals(await machine.run(), { kind: "interrupted" });
    clearInterval(timer);
    assert(performance.now() - started < 2000, "five ticks take five slices at most");
  });
}

Deno.test("Machine.run() ends as interrupted before the first instruction when a stop was requested", async () => {
  const machine = machineOf(COUNTING);
  machine.requestStop();
  assertEquals(await machine.run(), { kind: "interrupted" });
  assertEquals(machine.harts[0]!.instret, 0n);
});

/** Calls the host through a stub in the tracing range, again and again. */
function callingMachine(options: MachineOptions = {}): { machine: Machine; stub: number } {
  const machine = machineOf("_start:\nloop:\njalr ra, 0(t0)\naddi a3, a3, 1\nj loop", options);
  const stub = traceText(machine, HOST_CALL);
  machine.harts[0]!.x[5] = BigInt(stub);
  return { machine, stub };
}

Deno.test("Machine.hostCall() runs its handler and counts one overhead when a hart reaches the stub", async () => {
  const { machine, stub } = callingMachine();
  const seen: bigint[] = [];
  machine.hostCall(stub, (hart) => {
    seen.push(hart.instret);
    hart.pc = BigInt.asUintN(64, hart.x[1]!);
  });
  assertEquals(await machine.run({ limit: 9n }), { kind: "limit" });
  assertEquals(seen, [1n, 4n, 7n]);
  const { overhead, instret, x } = machine.harts[0]!;
  assertEquals([overhead, instret, x[13]], [3n, 9n, 3n]);
});

Deno.test("Machine.run() says which host call it is when nobody serves it", async () => {
  const { machine, stub } = callingMachine();
  await assertRejects(
    () => machine.run({ limit: 9n }),
    RangeError,
    `Cannot serve the host call at 0x${stub.toString(16)}: nobody asked for it`,
  );
});

Deno.test("Machine.run() gives what a host call throws to its caller", async () => {
  const { machine, stub } = callingMachine();
  machine.hostCall(stub, () => {
    throw new TypeError("from a handler");
  });
  await assertRejects(() => machine.run({ limit: 9n }), TypeError, "from a handler");
});

Deno.test("Hart.now() counts tracing when it is charged, and not when it is not", async () => {
  for (const [chargeTracing, expected] of [[false, 9n], [true, 12n]] as const) {
    const { machine, stub } = callingMachine({ chargeTracing });
    machine.hostCall(stub, (hart) => void (hart.pc = BigInt.asUintN(64, hart.x[1]!)));
    await machine.run({ limit: 9n });
    assertEquals(machine.harts[0]!.now(), expected);
  }
});

Deno.test("Machine.park() steps a hart on when it is stopped inside, and leaves it when it is not", () => {
  const machine = machineOf("_start:\naddi a3, a3, 1\naddi a3, a3, 1\naddi a3, a3, 1\nret");
  const hart = machine.harts[0]!;
  machine.park((pc) => pc < START);
  assertEquals([hart.pc, hart.instret], [BigInt(START), 0n]);
  machine.park((pc) => pc < START + 8);
  assertEquals([hart.pc, hart.instret, hart.x[13]], [BigInt(START + 8), 2n, 2n]);
});

Deno.test("Machine.park() serves host calls on the way, and leaves the hart that is in one", () => {
  const { machine, stub } = callingMachine();
  const hart = machine.harts[0]!;
  const body = BigInt(START + 4);
  machine.hostCall(stub, (inside) => {
    const { pc, instret } = inside;
    machine.park(() => true);
    assertEquals([inside.pc, inside.instret], [pc, instret], "a caller is where it may be");
    inside.pc = BigInt.asUintN(64, inside.x[1]!);
  });
  machine.park((pc) => pc !== Number(body));
  assertEquals([hart.pc, hart.overhead, hart.instret], [body, 1n, 1n]);
});

Deno.test("Machine.park() leaves harts alone when it is disabled, or when they cannot go on", () => {
  const disabled = machineOf(COUNTING, { parkDisabled: true });
  disabled.park(() => true);
  assertEquals(disabled.harts[0]!.instret, 0n);
  const trapping = machineOf("_start:\n.word 0");
  trapping.park(() => true);
  assertEquals([trapping.harts[0]!.pc, trapping.harts[0]!.instret], [BigInt(START), 0n]);
});

for (const engine of ENGINE_NAMES) {
  Deno.test(`Machine.fenceI() makes new text seen when ${engine} runs what it had fetched`, async () => {
    const machine = machineOf(COUNTING, { engine });
    const hart = machine.harts[0]!;
    await machine.run({ limit: 10n });
    assertEquals(hart.x[13], 5n);
    // addi a3, a3, 16
    machine.memory.poke(START, words32(0x01068693));
    await machine.run({ limit: 20n });
    assertEquals(hart.x[13], 10n, "the old instruction goes on");
    machine.fenceI();
    await machine.run({ limit: 30n });
    assertEquals(hart.x[13], 90n, "until the fence");
  });
}

Deno.test("Machine.tracing lies below RAM, where no memory is for firmware's segments", () => {
  const { tracing } = machineOf(COUNTING);
  assertEquals([tracing.start, tracing.end], [0x7ff00000, 0x80000000]);
  const inside = { address: 0x7ff01000n, data: words32(0) };
  for (
    const [segment, message] of [
      [inside, "Cannot load the segment at 0x7ff01000: a bare machine has RAM"],
      [
        { ...inside, address: 0x1000n },
        "Cannot load the segment at 0x1000: a bare machine has RAM",
      ],
      [
        { ...inside, address: 0xf0000000n },
        "Cannot load the segment at 0xf0000000: a bare machine",
      ],
    ] as const
  ) {
    const { bytes } = buildElf({ segments: [segment] });
    assertThrows(() => createMachine(bytes, { machine: "bare" }), SyntaxError, message);
  }
});

Deno.test("createMachine() refuses a program when moving it would put it beyond 4 GiB", () => {
  const { bytes } = buildElf({
    type: "DYN",
    segments: [{ address: 0n, data: words32(0) }, { address: 0xffff8000n, data: words32(0) }],
  });
  for (const machine of ["linux", "bare"] as const) {
    assertThrows(
      () => createMachine(bytes, { machine }),
      SyntaxError,
      "Cannot load the segment at",
    );
  }
});

Deno.test("createMachine() refuses a dynamically linked program when it is to be linux", () => {
  const interpreter = { type: 3, address: 0n, data: new TextEncoder().encode("/lib/ld.so.1\0") };
  const { bytes } = buildElf({ segments: [interpreter, { address: 0x10000n, data: words32(0) }] });
  assertThrows(
    () => createMachine(bytes),
    SyntaxError,
    "Cannot run a dynamically linked program: it wants /lib/ld.so.1; link it with -static",
  );
});

Deno.test("createMachine() moves a bare program that can be moved, with its sites and symbols", () => {
  const text = words16(1, 1, 1, 1, 1, 1, 1, 1, 0x8082, 0x8082, 0x8082, 0x8082);
  const { bytes } = buildElf({
    type: "DYN",
    entry: 8n,
    segments: [{ address: 0n, data: text }, { address: 0x1000n, data: words64(0n) }],
    symbols: [{ name: "moved", address: 8n, size: 10n }],
    sections: [{ name: "__patchable_function_entries", address: 0x1000n, size: 8n }],
    relatives: [{ address: 0x1000n, addend: 0n }],
  });
  const machine = createMachine(bytes, { machine: "bare", engine: "ref" });
  assertEquals(machine.harts[0]!.pc, BigInt(START + 8));
  assertEquals(machine.symbols.at(BigInt(START + 8))?.symbol.name, "moved");
  assertEquals(machine.memory.view.getBigUint64(START + 0x1000, true), BigInt(START));
});

Deno.test("Machine.sites have the names and places of where the program was loaded", async () => {
  const { bytes } = await readProgram("sample_pie_p84");
  const { sites, symbols } = createMachine(bytes, { machine: "bare", engine: "ref" });
  assertEquals(sites.length, 16);
  for (const { entry, before, after, symbol } of sites) {
    assert(entry >= BigInt(START));
    assertEquals([before, after], [8, 8]);
    assertEquals(symbols.at(entry)?.symbol, symbol);
    assertEquals(symbol?.address, entry);
  }
});

Deno.test("Machine.run() ends with the trap when firmware jumps where nothing can be fetched", async () => {
  const machine = machineOf(`_start:\n${la("t0", "data")}jalr ra, -2000(zero)`);
  const outcome = await machine.run({ limit: 100n });
  assert(outcome.kind === "trap");
  assertEquals(outcome.trap.cause, 1);
  assertEquals(outcome.trap.pc, 2n ** 64n - 2000n);
  assertEquals(outcome.backtrace, [2n ** 64n - 2000n, BigInt(START + 12)]);
});
