/**
 * Tracing across external interrupts: firmware whose handler is called by the serial port's input,
 * traced and untraced.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { ENGINE_NAMES } from "../../lib/engine/engines.ts";
import { createFtrace } from "../../lib/ftrace/ftrace.ts";
import { createMachine, type MachineOptions } from "../../lib/machine/machine.ts";
import { la } from "../program/elf_builder.ts";
import { callEvents, eventLines, graph, openCalls } from "./guest.ts";
import { makeFirmware } from "./made_guest.ts";

const SERIAL = 0x10000000, PLIC = 0xc000000;
const INPUT = "as it comes q";

/** Calls a function that keeps nothing on the stack of its own but ra. */
const calling = (label: string, behind = "") =>
  `addi sp, sp, -16\nsd ra, 8(sp)\ncall ${label}\n${behind}\nld ra, 8(sp)\naddi sp, sp, 16\nret`;

const FIRMWARE = makeFirmware(
  [
    { name: "echo", body: `li t0, ${SERIAL}\nsb a0, 0(t0)\nret` },
    {
      name: "receive",
      body: `li t0, ${SERIAL}\nlbu a0, 0(t0)\nmv s5, a0\n${calling("f0")}`,
    },
    {
      name: "external",
      body: calling("f1", `li t0, ${PLIC + 0x200004}\nlw t1, 0(t0)\nsw t1, 0(t0)`),
    },
    {
      name: "wait",
      body: `again:\nwfi\naddi s6, s6, 1\nli t1, 113\nbne s5, t1, again\nret`,
    },
  ],
  `
    ${la("t0", "handler")}
    csrw mtvec, t0
    li t0, ${SERIAL}
    li t1, 1
    sb t1, 1(t0)
    li t0, ${PLIC}
    sw t1, 40(t0)
    li t0, ${PLIC + 0x2000}
    li t2, 1024
    sw t2, 0(t0)
    li t0, ${PLIC + 0x200000}
    sw zero, 0(t0)
    li t0, 2048
    csrw mie, t0
    csrsi mstatus, 8
    call f3
  `,
  `
    .align 2
  handler:
    addi sp, sp, -64
    sd t0, 0(sp)
    sd t1, 8(sp)
    sd t2, 16(sp)
    sd a0, 24(sp)
    sd ra, 32(sp)
    call f2
    ld t0, 0(sp)
    ld t1, 8(sp)
    ld t2, 16(sp)
    ld a0, 24(sp)
    ld ra, 32(sp)
    addi sp, sp, 64
    mret
  `,
);

/** Runs it with `INPUT`; `trace` makes it traced. */
async function run(trace: boolean, options: MachineOptions, trampoline: "guest" | "fast") {
  let output = "";
  let input = new TextEncoder().encode(INPUT);
  const machine = createMachine(FIRMWARE, {
    stdout: (data) => void (output += new TextDecoder().decode(data)),
    stdin(length) {
      const part = input.subarray(0, length);
      input = input.subarray(part.length);
      return Promise.resolve(part);
    },
    ...options,
  });
  const ftrace = createFtrace(machine, { trampoline });
  if (trace) graph(ftrace);
  const outcome = await machine.run({ limit: 10_000_000n });
  const { instret, idle } = machine.harts[0]!;
  return { ftrace, ending: { outcome, output, instret, idle } };
}

for (const engine of ENGINE_NAMES) {
  for (const trampoline of ["guest", "fast"] as const) {
    Deno.test(`a graph has what external interrupts call, and moves none of them (${engine}, ${trampoline})`, async () => {
      const plain = await run(false, { engine }, trampoline);
      assertEquals(plain.ending.output, INPUT);
      const { ftrace, ending } = await run(true, { engine }, trampoline);
      assertEquals(ending, plain.ending);
      const lines = eventLines(ftrace);
      for (const name of ["external", "receive", "echo"]) {
        const calls = lines.filter((line) => new RegExp(`func=${name} `).test(line)).length;
        assertEquals(calls, 2 * INPUT.length, `${name}: entries and returns`);
      }
      assertEquals(openCalls(callEvents(ftrace)), []);
    });
  }
}
