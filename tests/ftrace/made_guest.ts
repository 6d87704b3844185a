/**
 * Firmware made of functions with given names, each with a call site of the newest shape, so that
 * what a kernel did to its functions can be done to ours of the same names.
 *
 * @module
 */
import { createFtrace, type Ftrace, type FtraceOptions } from "../../lib/ftrace/ftrace.ts";
import { createMachine, type Machine, type MachineOptions } from "../../lib/machine/machine.ts";
import { assemble } from "../../lib/isa/asm.ts";
import { BARE, buildElf, la, words64 } from "../program/elf_builder.ts";

/** A function of the firmware. */
export interface MadeFunction {
  readonly name: string;
  /** Its instructions; it returns at once unless given. */
  readonly body?: string;
  /** Whether it has a call site (the default); its nops are there in any case. */
  readonly site?: boolean;
}

/** Firmware under ftrace. */
export interface MadeGuest {
  readonly machine: Machine;
  readonly ftrace: Ftrace;
  readonly reports: string[];
}

const ORIGIN = 0x80000000n;

/**
 * Builds it: `_start` runs `start` and ends with code 0. Functions have the labels `f0`, `f1`, …,
 * so that several may have one name. `text` has no sites: whatever else is to be called.
 */
export function makeFirmware(
  functions: readonly MadeFunction[],
  start = "",
  text = "",
): Uint8Array {
  const source = [
    "_start:",
    `li sp, ${BARE.data + 0x4000}`,
    start,
    la("t1", "tohost"),
    "li t0, 1",
    "sd t0, 0(t1)",
    "7: j 7b",
    ".balign 8",
    ...functions.map(({ body = "ret" }, k) =>
      `.balign 8\np${k}:\n${"c.nop\n".repeat(4)}f${k}:\n${"c.nop\n".repeat(4)}${body}\ne${k}:`
    ),
    ".balign 8",
    text,
  ].join("\n");
  const { bytes, symbols } = assemble(source, {
    origin: ORIGIN,
    symbols: { tohost: BigInt(BARE.tohost), data: BigInt(BARE.data) },
  });
  if (bytes.length > BARE.tohost - Number(ORIGIN)) throw new RangeError("Cannot fit the text");
  const at = (label: string) => symbols.get(label)!;
  const made = new Set(functions.flatMap((_, k) => [`p${k}`, `f${k}`, `e${k}`]));
  const labels = [...symbols].filter(([name]) => !made.has(name));
  return buildElf({
    entry: ORIGIN,
    segments: [
      { address: ORIGIN, data: bytes },
      { address: BigInt(BARE.tohost), data: new Uint8Array(16) },
      { address: BigInt(BARE.data), data: new Uint8Array(0x4000) },
    ],
    sections: [
      { name: ".text", address: ORIGIN, size: BigInt(bytes.length) },
      {
        name: "__patchable_function_entries",
        address: 0x1000n,
        data: words64(
          ...functions.flatMap(({ site = true }, k) => site ? [at(`p${k}`)] : []),
        ),
      },
    ],
    symbols: [
      ...functions.map(({ name }, k) => ({
        name,
        address: at(`f${k}`),
        size: at(`e${k}`) - at(`f${k}`),
      })),
      ...labels.map(([name, address]) => ({ name, address, type: 0 })),
      { name: "tohost", address: BigInt(BARE.tohost), type: 1 },
    ],
  }).bytes;
}

/**
 * Firmware of so many functions named `fn_0`, `fn_1`, …, each with a call site of the newest shape
 * and nothing but a return: for what is done to the sites of a whole kernel. It is not to be run.
 */
export function makeManyFunctions(count: number): Uint8Array {
  const text = new Uint8Array(count * 32);
  const view = new DataView(text.buffer);
  for (let at = 0; at < text.length; at += 32) {
    for (let nop = 0; nop < 16; nop += 2) view.setUint16(at + nop, 0x0001, true);
    view.setUint16(at + 16, 0x8082, true);
  }
  const sites = Array.from({ length: count }, (_, k) => ORIGIN + BigInt(k * 32));
  return buildElf({
    entry: ORIGIN,
    segments: [{ address: ORIGIN, data: text }],
    sections: [
      { name: ".text", address: ORIGIN, size: BigInt(text.length) },
      { name: "__patchable_function_entries", address: 0x1000n, data: words64(...sites) },
    ],
    symbols: sites.map((site, k) => ({ name: `fn_${k}`, address: site + 8n, size: 16n })),
  }).bytes;
}

/** Loads firmware under ftrace; a JIT that is asked for compiles whatever was fetched. */
export function tracedFirmware(
  program: Uint8Array,
  options: FtraceOptions = {},
  machineOptions: MachineOptions = {},
): MadeGuest {
  const machine = createMachine(program, {
    name: "firmware",
    stdout: () => {},
    ...machineOptions.engine === "jit" ? { jitThreshold: 1 } : {},
    ...machineOptions,
  });
  const reports: string[] = [];
  const ftrace = createFtrace(machine, { report: (line) => void reports.push(line), ...options });
  return { machine, ftrace, reports };
}
