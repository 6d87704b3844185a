/**
 * Firmware of four harts that run traced functions without end, while hart 0 calls `tick`, whose
 * callback may switch tracing: at exact instructions, so that a seed says all that happens.
 *
 * @module
 */
import { createFtrace, type Ftrace, type FtraceOptions } from "../../lib/ftrace/ftrace.ts";
import { assemble } from "../../lib/isa/asm.ts";
import { createMachine, type Machine, type MachineOptions } from "../../lib/machine/machine.ts";
import type { Outcome } from "../../lib/machine/outcome.ts";
import { buildElf, words64 } from "../program/elf_builder.ts";

/** Harts. */
export const HARTS = 4;
const ORIGIN = 0x80000000n;
const TABLE = 0x80020000n;
/** Where each hart leaves how often it called `leaf`, 64 bytes apart. */
export const COUNTS = 0x80030000;

/** A function with room for a literal before it and two words at its entry. */
const traceable = (name: string, body: string): string => `
.align 3
.word 0x13, 0x13
${name}:
.word 0x13, 0x13
${body}
`;

/** Hart 0 calls `tick` so often; then all stop, and each says so. */
const source = (ticks: number): string => `
_start:
  mv s0, a0
  slli t0, a0, 16
  li sp, 0x80100000
  add sp, sp, t0
  li s2, 0x80030000
  slli t0, a0, 6
  add s2, s2, t0
  li s3, 0
  li s5, 0x80031000
  li s6, ${ticks}
loop:
  bnez s0, 1f
  beqz s6, stop
  addi s6, s6, -1
  call tick
1:
  ld t0, 0(s5)
  bnez t0, done
  mv a0, s3
  call middle
  addi t0, s3, 7
  bne a0, t0, wrong
  addi s3, s3, 2
  sd s3, 0(s2)
  j loop
stop:
  li t0, 1
  sd t0, 0(s5)
done:
  # The last one of all ends the machine.
  li t0, 0x80031040
  li t1, 1
  amoadd.d t1, t1, (t0)
  li t0, ${HARTS - 1}
  beq t1, t0, 3f
2:
  j 2b
3:
  li t0, 0x100000
  li t1, 0x5555
  sw t1, 0(t0)
wrong:
  li t0, 0x100000
  li t1, 0x53333
  sw t1, 0(t0)
  j wrong
${traceable("tick", "ret")}
${traceable("leaf", "addi a0, a0, 3\nret")}
${
  traceable(
    "middle",
    `addi sp, sp, -16
  sd ra, 8(sp)
  call leaf
  call leaf
  addi a0, a0, 1
  ld ra, 8(sp)
  addi sp, sp, 16
  ret`,
  )
}
`;

/** The program's file. */
export function hartsProgram(ticks: number): Uint8Array {
  const { bytes, symbols } = assemble(source(ticks), { origin: ORIGIN });
  const functions = ["tick", "leaf", "middle"].map((name) => symbols.get(name)!);
  return buildElf({
    entry: ORIGIN,
    segments: [{ address: ORIGIN, data: bytes }],
    sections: [
      { name: ".text", address: ORIGIN, size: BigInt(bytes.length) },
      {
        name: "__patchable_function_entries",
        address: TABLE,
        data: words64(...functions.map((entry) => entry - 8n)),
      },
    ],
    symbols: functions.map((address, k) => ({
      name: ["tick", "leaf", "middle"][k]!,
      address,
      size: 16n,
      type: 2,
    })),
  }).bytes;
}

/** One hart that calls `work` again and again while a timer interrupts it at any instruction. */
export function interruptedProgram(interrupts: number): Uint8Array {
  const { bytes, symbols } = assemble(
    `
_start:
  li sp, 0x80100000
  la t0, handler
  csrw mtvec, t0
  li s4, 0x2004000
  li s5, ${interrupts}
  li s6, 0
  li s7, 0
  li t0, 100
  sd t0, 0(s4)
  li t0, 0x80
  csrw mie, t0
  csrsi mstatus, 8
1:
  mv a0, s6
  call work
  mv s6, a0
  bnez s5, 1b
  li t0, 0x100000
  li t1, 0x5555
  sw t1, 0(t0)
.align 2
handler:
  csrw mscratch, t0
  sd t1, -16(sp)
  # What it interrupted, and when, goes into a sum.
  csrr t0, mepc
  slli t1, s7, 7
  xor s7, s7, t1
  srli t1, s7, 9
  xor s7, s7, t1
  add s7, s7, t0
  csrr t0, time
  add s7, s7, t0
  addi t0, t0, 13
  andi t1, s7, 31
  add t0, t0, t1
  sd t0, 0(s4)
  addi s5, s5, -1
  bnez s5, 2f
  li t0, -1
  sd t0, 0(s4)
2:
  ld t1, -16(sp)
  csrr t0, mscratch
  mret
${
      traceable(
        "work",
        "addi sp, sp, -32\nsd ra, 24(sp)\naddi a0, a0, 1\ncall part\nld ra, 24(sp)\naddi sp, sp, 32\nret",
      )
    }
${traceable("part", "slli t3, a0, 3\nadd a0, a0, t3\nret")}
`,
    { origin: ORIGIN },
  );
  const functions = ["work", "part"].map((name) => ({ name, address: symbols.get(name)! }));
  return buildElf({
    entry: ORIGIN,
    segments: [{ address: ORIGIN, data: bytes }],
    sections: [
      { name: ".text", address: ORIGIN, size: BigInt(bytes.length) },
      {
        name: "__patchable_function_entries",
        address: TABLE,
        data: words64(...functions.map(({ address }) => address - 8n)),
      },
    ],
    symbols: functions.map((each) => ({ ...each, size: 16n, type: 2 })),
  }).bytes;
}

/** What a run left. */
export interface HartsRun {
  readonly machine: Machine;
  readonly ftrace: Ftrace;
  readonly outcome: Outcome;
  readonly warnings: readonly string[];
  /** Calls of `leaf` by each hart. */
  readonly counts: readonly number[];
  /** How often tracing was turned on. */
  readonly switched: number;
}

/** Runs it; with `switching` each call of `tick` turns tracing of the others on, or off again. */
export async function runHarts(
  ticks: number,
  options: MachineOptions & { readonly switching?: boolean; readonly ftrace?: FtraceOptions },
): Promise<HartsRun> {
  const warnings: string[] = [];
  const machine = createMachine(hartsProgram(ticks), {
    machine: "bare",
    harts: HARTS,
    warn: (line) => void warnings.push(line),
    ...options,
  });
  const ftrace = createFtrace(machine, options.ftrace);
  let switched = 0;
  let tracing: Disposable | undefined;
  const turn = () => {
    if (tracing) {
      tracing[Symbol.dispose]();
      tracing = undefined;
      return;
    }
    switched++;
    tracing = ftrace.registerFtraceFunction({
      func: ftrace.functionTraceCall,
      filter: ["leaf", "middle"],
    });
  };
  if (options.switching) ftrace.registerFtraceFunction({ hit: turn, filter: ["tick"] });
  const outcome = await machine.run({ limit: BigInt(ticks) * 2000n + 100_000n });
  const counts = Array.from(
    { length: HARTS },
    (_, hart) => Number(machine.memory.view.getBigUint64(COUNTS + hart * 64, true)),
  );
  return { machine, ftrace, outcome, warnings, counts, switched };
}
