/**
 * The serial port and the interrupt controller: accesses to their registers one by one, and firmware
 * that is driven by input, beside QEMU's virt board.
 *
 * Misaligned accesses are left out: QEMU's translator makes aligned ones of a load, bytes of a store.
 *
 * @module
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { ENGINE_NAMES } from "../../../lib/engine/engines.ts";
import { createMachine, type MachineOptions } from "../../../lib/machine/machine.ts";
import { installed, outputOf } from "../../engine/guest_tools.ts";
import { buildBare, la, words32 } from "../../program/elf_builder.ts";

const hasQemu = installed("qemu-system-riscv64");

/** Runs firmware under QEMU with two harts; gives what it printed. */
async function qemu(elf: Uint8Array, input: string): Promise<string> {
  const file = await Deno.makeTempFile({ suffix: ".elf" });
  await Deno.writeFile(file, elf);
  try {
    const options = "-machine virt -smp 2 -bios none -display none -monitor none -serial stdio";
    const text = await outputOf(
      "qemu-system-riscv64",
      [...options.split(" "), "-kernel", file],
      new TextEncoder().encode(input),
    );
    return new TextDecoder().decode(text).replaceAll("\r\n", "\n");
  } finally {
    await Deno.remove(file);
  }
}

/** A standard input that gives `text` in pieces of `most` bytes, then its end. */
function inputOf(text: string, most = 4096): (length: number) => Promise<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  return (length) => {
    const piece = bytes.subarray(at, at + Math.min(length, most));
    at += piece.length;
    return Promise.resolve(piece);
  };
}

/** Runs firmware here; gives how it ended and what it printed. */
async function run(elf: Uint8Array, options: MachineOptions = {}, limit = 20_000_000n) {
  let text = "";
  const machine = createMachine(elf, {
    machine: "bare",
    stdout: (data) => void (text += new TextDecoder().decode(data)),
    ...options,
  });
  const outcome = await machine.run({ limit });
  return { outcome, text, instret: machine.harts[0]!.instret, time: machine.harts[0]!.now() };
}

const PLIC = 0xc000000, UART = 0x10000000;

/** One access: `r` or `w`, bits, address, value; or a read of mip. */
type Access = readonly ["r", number, number] | readonly ["w", number, number, number] | "mip";

const KINDS = ["end", "r8", "r16", "r32", "r64", "w8", "w16", "w32", "w64", "mip"];

/** Firmware that makes accesses and then prints what each gave: a value, or 0x1000 + a fault's cause. */
function accessing(accesses: readonly Access[]): Uint8Array {
  const table = words32(
    ...accesses.flatMap((access) => {
      if (access === "mip") return [KINDS.indexOf(access), 0, 0, 0];
      const [how, bits, address, value = 0] = access;
      return [KINDS.indexOf(`${how}${bits}`), address, value, 0];
    }),
    ...[0, 0, 0, 0],
  );
  const choices = KINDS.map((kind, k) => `li t1, ${k}\nbeq t0, t1, do_${kind}`).join("\n");
  const doing = ["lbu a2, 0(a0)", "lhu a2, 0(a0)", "lwu a2, 0(a0)", "ld a2, 0(a0)"]
    .concat(["sb a1, 0(a0)", "sh a1, 0(a0)", "sw a1, 0(a0)", "sd a1, 0(a0)", "csrr a2, mip"])
    .map((instruction, k) => `do_${KINDS[k + 1]}:\n${instruction}\nj store`).join("\n");
  return buildBare(
    `
  _start:
    csrr t0, mhartid
    bnez t0, aside
    ${la("t0", "handler")}
    csrw mtvec, t0
    ${la("s0", "data")}
    li s1, 0x80200000
    mv s2, s1
  next:
    lwu t0, 0(s0)
    lwu a0, 4(s0)
    lwu a1, 8(s0)
    addi s0, s0, 16
    li a2, 0
    ${choices}
  aside:
    wfi
    j aside
  ${doing}
  .align 2
  handler:
    csrr a2, mcause
    li t1, 0x1000
    add a2, a2, t1
  store:
    sd a2, 0(s2)
    addi s2, s2, 8
    j next
  do_end:
    li s3, ${UART}
    li t0, 8
    sb t0, 4(s3)
    sb zero, 3(s3)
  value:
    beq s1, s2, finish
    ld a0, 0(s1)
    addi s1, s1, 8
    li t1, 60
  digit:
    srl t2, a0, t1
    andi t2, t2, 15
    addi t2, t2, 48
    li t3, 58
    blt t2, t3, decimal
    addi t2, t2, 39
  decimal:
    sb t2, 0(s3)
    addi t1, t1, -4
    bgez t1, digit
    li t2, 10
    sb t2, 0(s3)
    j value
  finish:
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
  `,
    { data: table },
  );
}

const r8 = (register: number): Access => ["r", 8, UART + register];
const w8 = (register: number, value: number): Access => ["w", 8, UART + register, value];
const r32 = (offset: number): Access => ["r", 32, PLIC + offset];
const w32 = (offset: number, value: number): Access => ["w", 32, PLIC + offset, value];
/** A write of all ones and of 10, and what sticks of each. */
const kept = (offset: number): Access[] => [
  ...[w32(offset, 0xffffffff), r32(offset), w32(offset, 10), r32(offset), w32(offset, 0)],
];
const CLAIM = 0x200004, SUPERVISOR_CLAIM = 0x201004, ENABLE = 0x2000, THRESHOLD = 0x200000;
/** Has the transmitter's interrupt raised anew. */
const raise: Access[] = [w8(1, 0), w8(1, 2)];

const TOPICS: Readonly<Record<string, readonly Access[]>> = {
  "widths of the interrupt controller's registers": [
    ...[8, 16, 32, 64].flatMap((bits): Access[] => [
      ["r", bits, PLIC + 8],
      ["w", bits, PLIC + 8, 1],
      ["r", bits, PLIC + CLAIM - 4],
    ]),
    ["w", 32, PLIC + 6, 1],
    r32(8),
    r32(0x5ffffc),
    r32(0x600000),
    r32(0x40000),
  ],
  "which priorities, enable bits and thresholds there are": [
    ...[0, 1, 2, 10, 94, 95, 96, 97, 127, 128, 0x3ff].flatMap((source) => kept(4 * source)),
    ...[0, 1, 2, 3, 4].flatMap((word) => kept(0x1000 + 4 * word)),
    ...[0, 1, 2, 3, 4].flatMap((context) => [
      ...[0, 1, 2, 3, 31].flatMap((word) => kept(ENABLE + 0x80 * context + 4 * word)),
      ...[0, 4, 8].flatMap((register) => kept(THRESHOLD + 0x1000 * context + register)),
    ]),
  ],
  "claims and completions": [
    ...[w32(40, 1), w32(ENABLE, 1 << 10), w32(ENABLE + 0x80, 1 << 10), ...raise],
    ...[r32(0x1000), "mip", r32(CLAIM), r32(0x1000), "mip", r32(CLAIM)] as const,
    ...[w32(CLAIM, 10), r32(0x1000), "mip", r32(CLAIM), ...raise, r32(CLAIM)] as const,
    ...[w32(ENABLE, 0), ...raise, w32(CLAIM, 10), "mip", r32(SUPERVISOR_CLAIM)] as const,
    ...[w32(CLAIM, 10), ...raise, r32(SUPERVISOR_CLAIM), w32(SUPERVISOR_CLAIM, 10)],
    ...[w32(CLAIM, 500), w32(CLAIM, 0), w32(CLAIM, 0xffffffff), "mip"] as const,
    ...[...raise, r32(0x1000), w8(1, 0), r32(0x1000), "mip", r32(CLAIM)] as const,
  ],
  "priorities and thresholds": [
    ...[w32(40, 1), w32(ENABLE, 1 << 10), "mip", ...raise, "mip", w32(40, 3)] as const,
    ...[w32(THRESHOLD, 3), "mip", r32(CLAIM), w32(THRESHOLD, 2), "mip", w32(40, 0)] as const,
    ...["mip", w32(THRESHOLD, 0), "mip", r32(CLAIM), w32(40, 7), w32(THRESHOLD, 7)] as const,
    ...["mip", w32(THRESHOLD, 6), "mip", w32(ENABLE, 0), "mip", w32(THRESHOLD, 6)] as const,
    ...["mip", w32(ENABLE, 1 << 10), "mip", w32(THRESHOLD, 0), "mip", r32(CLAIM)] as const,
  ],
  "registers of the serial port at reset, and where they end": [
    ...[0, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0x100].map(r8),
    ...[w8(8, 1), ["r", 16, UART + 4], ["r", 32, UART + 4], ["r", 64, UART]] as Access[],
    ...[w8(7, 0x5a), r8(7), ["w", 32, UART + 4, 0x12345608], r8(4), r8(7)] as Access[],
    ...[w8(3, 0x83), r8(0), r8(1), w8(0, 0x34), w8(1, 0x12)] as Access[],
    ...[r8(0), r8(1), w8(0, 12), w8(1, 0), r8(3), w8(3, 3), r8(1), r8(3)],
  ],
  "modem status in loopback": Array.from(
    { length: 16 },
    (_, control) => [w8(4, 0xf0 | control), r8(4), r8(6)],
  ).flat(),
  "FIFO control": [0, 1, 7, 0xc1, 0xff, 0x41, 0x81, 0, 6, 0xf0].flatMap((control) => [
    ...[w8(2, control), r8(2), r8(5)],
  ]),
  "the transmitter's interrupt": [
    ...[w8(4, 0x18), w8(1, 2), r8(2), r8(2), w8(1, 2), r8(2), ...raise, r8(2), w8(0, 65), r8(2)],
    ...[r8(2), w8(2, 7), r8(2), r8(2), w8(0, 65), r8(2), r8(2), w8(1, 0xff), r8(1), r8(2)],
  ],
  "receiving in loopback": [
    ...[w8(4, 0x18), w8(1, 1), w8(0, 65), r8(5), r8(2), w8(0, 66), r8(5), r8(5), r8(0), r8(5)],
    ...[r8(2), r8(0), w8(1, 7), w8(0, 65), w8(0, 66), r8(2), r8(5), r8(2), r8(0), r8(2), r8(2)],
  ],
  "receiving in loopback with FIFOs": [0x01, 0x41, 0x81, 0xc1].flatMap((control) => [
    ...[w8(2, 0), w8(2, control), w8(4, 0x18), w8(1, 5)],
    ...Array.from({ length: 18 }, (_, k) => [w8(0, 97 + k), r8(2)]).flat(),
    ...[r8(5), r8(5), r8(2)],
    ...Array.from({ length: 10 }, () => [r8(0), r8(2)]).flat(),
    ...[w8(2, control | 2), r8(5), r8(0), r8(2)],
  ]),
};

for (const [topic, accesses] of Object.entries(TOPICS)) {
  Deno.test({
    name: `every access gives what qemu-system-riscv64 gives: ${topic} (needs qemu-system-misc)`,
    ignore: !hasQemu,
    async fn() {
      const elf = accessing(accesses);
      const expected = (await qemu(elf, "")).trim().split("\n");
      for (const engine of ENGINE_NAMES) {
        const { outcome, text } = await run(elf, { engine, harts: 2 });
        assertEquals(outcome, { kind: "exit", code: 0 });
        const found = text.trim().split("\n");
        const differing = accesses.flatMap((access, k) =>
          found[k] === expected[k] ? [] : [{ k, access, found: found[k], expected: expected[k] }]
        );
        assertEquals(differing, [], engine);
      }
    },
  });
}

/** Prints what it receives, its letters one further, from a handler; ends at a `q`. */
const echo = (fifos: number, meanwhile = "wfi") =>
  buildBare(`
  _start:
    csrr t0, mhartid
    bnez t0, aside
    ${la("t0", "handler")}
    csrw mtvec, t0
    li s1, ${UART}
    li s2, ${PLIC + THRESHOLD}
    li t0, ${fifos}
    sb t0, 2(s1)
    li t0, 1
    li t1, ${PLIC}
    sw t0, 40(t1)
    li t0, 1024
    li t1, ${PLIC + ENABLE}
    sw t0, 0(t1)
    sw zero, 0(s2)
    li t0, 1
    sb t0, 1(s1)
    li t0, 2048
    csrw mie, t0
    csrsi mstatus, 8
  aside:
    ${meanwhile}
    j aside
  .align 2
  handler:
    lw s3, 4(s2)
  again:
    lbu t0, 5(s1)
    andi t0, t0, 1
    beqz t0, done
    lbu a0, 0(s1)
    addi a1, a0, 1
    sb a1, 0(s1)
    li t0, 113
    beq a0, t0, finish
    j again
  done:
    sw s3, 4(s2)
    mret
  finish:
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
  `);

const LINE = "more than a FIFO holds, in one line q";
const NEXT = [...LINE].map((letter) => String.fromCharCode(letter.charCodeAt(0) + 1)).join("");

Deno.test({
  name:
    "firmware that is driven by input prints what it prints under QEMU (needs qemu-system-misc)",
  ignore: !hasQemu,
  async fn() {
    assertEquals(await qemu(echo(0), LINE), NEXT);
  },
});

for (const engine of ENGINE_NAMES) {
  for (const fifos of [0, 0x01, 0x41, 0x81, 0xc1]) {
    Deno.test(`firmware is interrupted by input with FIFO control ${fifos} while ${engine} waits or runs`, async () => {
      for (const meanwhile of ["wfi", "addi a5, a5, 1"]) {
        const elf = echo(fifos, meanwhile);
        const { outcome, text, ...first } = await run(elf, { engine, stdin: inputOf(LINE) });
        assertEquals([outcome, text], [{ kind: "exit", code: 0 }, NEXT]);
        const { instret, time } = await run(elf, { engine, stdin: inputOf(LINE) });
        assertEquals({ instret, time }, first, "the same run twice");
      }
    });
  }
}

Deno.test("firmware gets the same input in one piece or byte by byte, with other harts beside", async () => {
  for (const harts of [1, 3]) {
    for (const most of [1, 5]) {
      const { text } = await run(echo(1), { harts, stdin: inputOf(LINE, most) });
      assertEquals(text, NEXT);
    }
  }
});

Deno.test("Machine.run() ends as a deadlock and names the input when it has ended and the guest waits for it", async () => {
  for (const stdin of [inputOf("abc"), undefined]) {
    const { outcome } = await run(echo(0), { stdin });
    assertEquals(outcome.kind === "deadlock" && outcome.reason, REASON);
  }
});

const REASON =
  "every hart waits for an interrupt, and none can come; its input has come to the end";

Deno.test("Machine.run() waits for input that is long in coming, and time stands still meanwhile", async () => {
  const slow = (ms: number) => {
    const read = inputOf("q");
    return async (length: number) => {
      await new Promise((resolve) => setTimeout(resolve, ms));
      return await read(length);
    };
  };
  const times = [];
  for (const ms of [70, 130]) {
    const { outcome, time } = await run(echo(0), { stdin: slow(ms) });
    assertEquals(outcome, { kind: "exit", code: 0 });
    times.push(time);
  }
  assertEquals(times[0], times[1]);
});

/** Sleeps a millisecond at a time, in which only input interrupts. */
const SLEEP = `
    csrci mstatus, 8
    csrr t3, mhartid
    slli t3, t3, 3
    li t0, 0x2004000
    add t0, t0, t3
    csrr t1, time
    li t2, 1000000
    add t1, t1, t2
    sd t1, 0(t0)
    li t1, 128
    csrs mie, t1
    wfi
    csrc mie, t1
    csrsi mstatus, 8
`;

Deno.test("Machine.run() lets no more time pass than the host's while sleeping firmware may get input", async () => {
  for (const harts of [1, 3]) {
    const started = performance.now();
    const read = inputOf("q");
    const stdin = async (length: number) => {
      await new Promise((resolve) => setTimeout(resolve, 200));
      return await read(length);
    };
    const { outcome, time } = await run(echo(0, SLEEP), { harts, stdin });
    assertEquals(outcome, { kind: "exit", code: 0 });
    // Of the 200 ms it is held for the first 50.
    const passed = BigInt(Math.ceil(performance.now() - started)) * 1_000_000n;
    const least = harts === 1 ? 10_000_000n : 0n;
    assert(time > least && time < passed, `${harts}: ${time} of ${passed} ns`);
  }
});

Deno.test("Machine.run() says nothing of input when the guest waits for something else", async () => {
  const { outcome } = await run(buildBare("_start:\nwfi\nj _start"));
  assertEquals(outcome.kind === "deadlock" && outcome.reason, REASON.split(";")[0]);
});

Deno.test("Machine.run() can be stopped while the guest waits for input, and goes on with it", async () => {
  let give = (_: Uint8Array) => {};
  const machine = createMachine(echo(0), {
    machine: "bare",
    stdin: () => new Promise<Uint8Array>((resolve) => void (give = resolve)),
  });
  setTimeout(() => machine.requestStop(), 80);
  assertEquals(await machine.run(), { kind: "interrupted" });
  give(new TextEncoder().encode("q"));
  assertEquals(await machine.run(), { kind: "exit", code: 0 });
});

Deno.test("Machine.run() gives what the host throws for input to its caller", async () => {
  const stdin = () => Promise.reject(new TypeError("no such input"));
  await assertRejects(() => run(echo(0), { stdin }), TypeError, "no such input");
});

Deno.test("Machine.run() asks for input only when nothing else can happen with stdinWhen waiting", async () => {
  let asked = 0;
  const read = inputOf("q");
  const stdin = (length: number) => {
    asked++;
    return read(length);
  };
  const looks = echo(0, "lbu t0, 5(s1)");
  const looking = await run(looks, { stdin, stdinWhen: "waiting" }, 10_000n);
  assertEquals([looking.outcome, asked], [{ kind: "limit" }, 0]);
  const waiting = await run(echo(0), { stdin, stdinWhen: "waiting" });
  assertEquals([waiting.outcome, asked], [{ kind: "exit", code: 0 }, 1]);
});
