/**
 * Firmware behind page tables whose stack is at a virtual address that is not its physical one: its
 * arguments, stack and results are what the hart sees, on both trampoline paths and engines.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { ENGINE_NAMES, type EngineName } from "../../lib/engine/engines.ts";
import { type EraName, ERAS, type Ftrace, type FtraceOptions } from "../../mod.ts";
import { BARE, la } from "../program/elf_builder.ts";
import { makeFirmware, tracedFirmware } from "./made_guest.ts";

/** Where the firmware keeps its page tables. */
const ROOT = 0x80200000n;
/** Valid, readable, writable, executable, accessed, dirty. */
const KERNEL = 0xcfn;
/** The same for user mode, too. */
const USER = 0xdfn;
/** Top of the stack, as the hart sees it: gigapage 3 lies on 0x80000000. */
const STACK = 0xc0100000n;

const leaf = (address: bigint, flags: bigint) => (address >> 12n << 10n) | flags;

/** Writes entries of page tables: `[address of the entry, entry]`. */
const writeEntries = (entries: readonly (readonly [bigint, bigint])[]) =>
  entries.map(([at, entry]) => `li t0, ${at}\nli t1, ${entry}\nsd t1, 0(t0)`).join("\n");

/** Goes on at `label` in a mode (0 user, 1 supervisor) behind the tables at {@linkcode ROOT}. */
const enterMode = (mode: 0 | 1, label: string) => `
  li t0, -1
  csrrw zero, 0x3b0, t0
  li t0, 0x1f
  csrrw zero, 0x3a0, t0
  li t0, ${(8n << 60n) | (ROOT >> 12n)}
  csrrw zero, 0x180, t0
  li t0, 0x1800
  csrrc zero, 0x300, t0
  li t0, ${mode << 11}
  csrrs zero, 0x300, t0
  ${la("t0", label)}
  csrrw zero, 0x341, t0
  mret
${label}:`;

const GIGAPAGES = (flags: bigint): readonly (readonly [bigint, bigint])[] => [
  [ROOT + 16n, leaf(0x80000000n, flags)],
  [ROOT + 24n, leaf(0x80000000n, flags)],
];

/** A leaf that keeps a word on its stack, called with 5 in supervisor mode; its result is kept. */
const LEAF = makeFirmware(
  [{
    name: "leaf",
    body: "addi sp, sp, -16\nsd a0, 0(sp)\nld a0, 0(sp)\nadd a0, a0, a0\naddi sp, sp, 16\nret",
  }],
  `
  ${writeEntries(GIGAPAGES(KERNEL))}
  ${enterMode(1, "supervisor")}
  li sp, ${STACK}
  li a0, 5
  call f0
  ${la("t0", "data")}
  sd a0, 0(t0)`,
);

/** What every tracer of a run saw. */
async function traceLeaf(
  program: Uint8Array,
  options: FtraceOptions,
  engine: EngineName,
  register: (ftrace: Ftrace, seen: bigint[]) => void,
): Promise<{ readonly seen: bigint[]; readonly result: bigint; readonly reports: string[] }> {
  const { machine, ftrace, reports } = tracedFirmware(program, options, { engine });
  const seen: bigint[] = [];
  register(ftrace, seen);
  assertEquals(await machine.run({ limit: 100_000n }), { kind: "exit", code: 0 });
  return { seen, result: machine.memory.view.getBigUint64(BARE.data, true), reports };
}

const NAMES = Object.keys(ERAS) as EraName[];
const PATHS = NAMES.flatMap((era) =>
  (["guest", "fast"] as const).flatMap((trampoline) =>
    ENGINE_NAMES.map((engine) => ({ era, trampoline, engine }))
  )
);

for (const { era, trampoline, engine } of PATHS) {
  const where = `era ${era}, ${trampoline}, ${engine}`;
  Deno.test(`fregs hold what a paged hart has when its stack is mapped elsewhere, ${where}`, async () => {
    const { seen, result, reports } = await traceLeaf(
      LEAF,
      { era, trampoline },
      engine,
      (ftrace, seen) =>
        ftrace.registerFtraceFunction({
          filter: ["leaf"],
          func(_ip, parentIp, _ops, fregs) {
            assertEquals(ftrace.symbol(parentIp), "supervisor");
            seen.push(fregs.argument(0), fregs.stackPointer, fregs.returnAddress - parentIp);
            fregs.setArgument(0, 21n);
          },
        }),
    );
    assertEquals(reports, []);
    assertEquals(seen, [5n, STACK, 0n]);
    assertEquals(result, 42n);
  });

  Deno.test(`a paged hart's returns are traced and changed, ${where}`, async () => {
    const { seen, result, reports } = await traceLeaf(
      LEAF,
      { era, trampoline },
      engine,
      (ftrace, seen) =>
        ftrace.attach("leaf", {
          onEnter: ({ args }) => void (args[0] = 8n),
          onLeave(call, result) {
            seen.push(call.args[0]!, result.value);
            result.value = 7n;
          },
        }),
    );
    assertEquals(reports, []);
    assertEquals(seen, [8n, 16n]);
    assertEquals(result, 7n);
  });

  Deno.test(`a virtual site of a paged hart sees its stack, ${where}`, async () => {
    const program = makeFirmware(
      [{ name: "plain", body: "addi a0, a0, 1\nret", site: false }, { name: "other" }],
      `
      ${writeEntries(GIGAPAGES(KERNEL))}
      ${enterMode(1, "supervisor")}
      li sp, ${STACK}
      li a0, 5
      li t0, 99
      sd t0, 0(sp)
      call f0
      ${la("t0", "data")}
      sd a0, 0(t0)`,
    );
    const { seen, result } = await traceLeaf(
      program,
      { era, trampoline, virtual: true },
      engine,
      (ftrace, seen) =>
        ftrace.registerFtraceFunction({
          filter: ["plain"],
          func(_ip, _parentIp, _ops, fregs) {
            seen.push(fregs.argument(0), fregs.stackPointer, fregs.kernelStackNth(0));
            fregs.setArgument(0, 40n);
          },
        }),
    );
    assertEquals(seen, [5n, STACK, 99n]);
    assertEquals(result, 41n);
  });
}

for (const engine of ENGINE_NAMES) {
  Deno.test(`a frame across two pages that lie apart is whole, ${engine}`, async () => {
    // The page at 0xc0100000 lies on 0x80300000, the one below it on 0x80301000.
    const table = ROOT + 0x1000n, low = ROOT + 0x2000n;
    const program = makeFirmware(
      [{ name: "leaf", body: "add a0, a0, a0\nret" }],
      `
      ${
        writeEntries([
          [ROOT + 16n, leaf(0x80000000n, KERNEL)],
          [ROOT + 24n, leaf(table, 1n)],
          [table, leaf(low, 1n)],
          [low + 8n * 0xffn, leaf(0x80301000n, KERNEL)],
          [low + 8n * 0x100n, leaf(0x80300000n, KERNEL)],
        ])
      }
      ${enterMode(1, "supervisor")}
      li sp, ${0xc0100000n + 48n}
      li a0, 5
      call f0
      ${la("t0", "data")}
      sd a0, 0(t0)`,
    );
    for (const trampoline of ["guest", "fast"] as const) {
      const { seen, result, reports } = await traceLeaf(
        program,
        { era: "args", trampoline },
        engine,
        (ftrace, seen) => {
          ftrace.registerFtraceFunction({
            filter: ["leaf"],
            func(_ip, _parentIp, _ops, fregs) {
              seen.push(fregs.argument(0), fregs.stackPointer);
              fregs.setArgument(0, 21n);
            },
          });
          ftrace.attach("leaf", { onLeave: (_call, { value }) => void seen.push(value) });
        },
      );
      assertEquals(reports, []);
      assertEquals(seen, [5n, 0xc0100000n + 48n, 42n], trampoline);
      assertEquals(result, 42n);
    }
  });

  Deno.test(`a page that the guest maps where trampolines are is its own, ${engine}`, async () => {
    const table = ROOT + 0x1000n, low = ROOT + 0x2000n;
    // 0x7ffff000 in the tracing range, and 0x7fe00000 below it, lead to 0x80300000 and on.
    const program = makeFirmware(
      [],
      `
      ${
        writeEntries([
          [ROOT + 16n, leaf(0x80000000n, KERNEL)],
          [ROOT + 8n, leaf(table, 1n)],
          [table + 8n * 0x1ffn, leaf(low, 1n)],
          [low + 8n * 0x1ffn, leaf(0x80300000n, KERNEL)],
          [low, leaf(0x80301000n, KERNEL)],
        ])
      }
      ${enterMode(1, "supervisor")}
      li t0, 0x7ffff000
      li t1, 0x1234
      sd t1, 8(t0)
      ld a0, 8(t0)
      li t0, 0x7fe00000
      sd t1, 16(t0)
      ld a1, 16(t0)
      ${la("t0", "data")}
      sd a0, 0(t0)
      sd a1, 8(t0)`,
    );
    for (const trace of [false, true]) {
      const { machine, ftrace } = tracedFirmware(program, {}, { engine });
      if (trace) ftrace.registerFtraceGraph({ entryFunc: () => true });
      assertEquals(await machine.run({ limit: 100_000n }), { kind: "exit", code: 0 });
      const word = (at: bigint) => machine.space.readWord(at, 8);
      assertEquals(word(BigInt(BARE.data)), 0x1234n);
      assertEquals(word(BigInt(BARE.data) + 8n), 0x1234n);
      assertEquals(word(0x80300008n), 0x1234n);
      assertEquals(word(0x80301010n), 0x1234n);
    }
  });

  Deno.test(`code that the guest maps where trampolines are is the guest's, ${engine}`, async () => {
    const table = ROOT + 0x1000n, low = ROOT + 0x2000n;
    // `addi a0, a0, 1; ret` at 0x80300000, to be run at 0x7ff00000, where the trampolines begin.
    const program = makeFirmware(
      [],
      `
      ${
        writeEntries([
          [ROOT + 16n, leaf(0x80000000n, KERNEL)],
          [ROOT + 8n, leaf(table, 1n)],
          [table + 8n * 0x1ffn, leaf(low, 1n)],
          [low + 8n * 0x100n, leaf(0x80300000n, KERNEL)],
        ])
      }
      li t0, 0x80300000
      li t1, 0x00150513
      sw t1, 0(t0)
      li t1, 0x00008067
      sw t1, 4(t0)
      fence.i
      ${enterMode(1, "supervisor")}
      li t0, 0x7ff00000
      li a0, 41
      jalr ra, 0(t0)
      ${la("t0", "data")}
      sd a0, 0(t0)`,
    );
    const { machine } = tracedFirmware(program, {}, { engine });
    assertEquals(await machine.run({ limit: 100_000n }), { kind: "exit", code: 0 });
    assertEquals(machine.space.readWord(BigInt(BARE.data), 8), 42n);
    assertEquals(machine.harts[0]!.overhead, 0n, "its instructions are the guest's own");
  });

  for (const paged of [true, false]) {
    Deno.test(`user mode is traced but cannot read the trampolines, paged ${paged}, ${engine}`, async () => {
      const program = makeFirmware(
        [{ name: "leaf", body: "add a0, a0, a0\nret" }],
        `
        ${writeEntries(GIGAPAGES(USER))}
        ${la("t0", "trapped")}
        csrrw zero, 0x305, t0
        ${paged ? enterMode(0, "user") : enterMode(0, "user").replace("csrrw zero, 0x180, t0", "")}
        li sp, ${paged ? STACK : 0x80100000n}
        li a0, 5
        call f0
        mv s0, a0
        li t0, 0x7ff00000
        ld s1, 0(t0)
      never:
        j never
      trapped:
        ${la("t0", "data")}
        sd s0, 0(t0)
        csrrs t1, 0x342, zero
        sd t1, 8(t0)
        csrrs t1, 0x343, zero
        sd t1, 16(t0)`,
      );
      const { machine, ftrace } = tracedFirmware(program, { trampoline: "guest" }, { engine });
      let calls = 0;
      ftrace.registerFtraceFunction({ func: () => void calls++ });
      assertEquals(await machine.run({ limit: 100_000n }), { kind: "exit", code: 0 });
      const word = (k: bigint) => machine.space.readWord(BigInt(BARE.data) + 8n * k, 8);
      assert(calls > 0);
      assertEquals(word(0n), 10n, "the traced call ran");
      assertEquals(word(1n), paged ? 13n : 5n, "a load page fault, or an access fault");
      assertEquals(word(2n), 0x7ff00000n);
    });
  }
}

for (const engine of ENGINE_NAMES) {
  for (const trampoline of ["guest", "fast"] as const) {
    Deno.test(`a frame whose lower page cannot be written is the trampoline's fault, ${trampoline}, ${engine}`, async () => {
      // RAM begins at 0x80000000: the frame's upper part would be in it, the lower one is nowhere.
      const program = makeFirmware(
        [{ name: "leaf", body: "ret" }],
        `
        ${la("t0", "trapped")}
        csrrw zero, 0x305, t0
        li sp, 0x80000040
        call f0
        j 7f
      .balign 4
      trapped:
        ${la("t0", "data")}
        csrrs t1, 0x342, zero
        sd t1, 0(t0)
        csrrs t1, 0x343, zero
        sd t1, 8(t0)
      7:`,
      );
      const { machine, ftrace } = tracedFirmware(program, { era: "args", trampoline }, { engine });
      let calls = 0;
      ftrace.registerFtraceFunction({ func: () => void calls++ });
      assertEquals(await machine.run({ limit: 10_000n }), { kind: "exit", code: 0 });
      const word = (k: bigint) => machine.space.readWord(BigInt(BARE.data) + 8n * k, 8);
      assertEquals([calls, word(0n)], [0, 7n], "a store access fault");
      assert(word(1n)! < 0x80000000n && word(1n)! >= 0x80000040n - 112n, `${word(1n)}`);
    });
  }
}
