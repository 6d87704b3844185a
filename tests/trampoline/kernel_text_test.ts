/**
 * The trampolines against the pinned kernels' own, assembled by binutils.
 *
 * What stands here is what `arch/riscv/kernel/mcount-dyn.S` and `mcount.S` of each kernel come to with
 * its configuration: gcc, frame pointers, direct calls where the architecture has them. 7.2's is 41
 * words and calls its callback at +0x40 when compressed, as the captured stack traces show.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { buildTrampolines, type TrampolineName } from "../../lib/trampoline/caller.ts";
import { OPS_DIRECT_CALL } from "../../lib/trampoline/ops_struct.ts";
import { disassembleWithBinutils, missingTool } from "../program/elf_oracle.ts";
import { AT } from "./rig.ts";

type Slots = readonly (readonly [register: string, offset: number])[];

const each = (op: "sd" | "ld", slots: Slots) =>
  slots.map(([name, at]) => `${op} ${name}, ${at}(sp)`);
const argumentsAt = (offset: number): Slots =>
  [0, 1, 2, 3, 4, 5, 6, 7].map((n) => [`a${n}`, offset + 8 * n]);
/** Registers in pt_regs lie in the order of their numbers. */
const inPtRegs = (...numbers: readonly number[]): Slots => numbers.map((n) => [`x${n}`, 8 * n]);
const SAVED = [6, 7, 8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31];

/** ip, then the ops from the global word, parent ip and the frame. */
const prepare = (
  distance: number,
) => [
  `addi a0, t0, -${distance}`,
  "la a1, function_trace_op",
  "ld a2, 0(a1)",
  "mv a1, ra",
  "mv a3, sp",
];
const PT_REGS_ABI: Slots = [["t0", 0], ["ra", 8], ...argumentsAt(80)];
const ARGS_ABI: Slots = [["t0", 0], ["ra", 8], ["s0", 24], ["t1", 32]];

/** What 6.16 and later store, arguments at `offset`. */
const storeFregs = (offset: number) => [
  ...["addi sp, sp, -112", ...each("sd", [...ARGS_ABI, ...argumentsAt(offset)])],
  ...["mv a0, sp", "addi a0, a0, 112", "sd a0, 16(sp)"],
];
const loadFregs = (
  offset: number,
) => [...each("ld", [...ARGS_ABI, ...argumentsAt(offset)]), "addi sp, sp, 112"];

const CALLERS: Readonly<Record<TrampolineName, readonly string[]>> = {
  regs: [
    ...["mv t1, zero", "addi sp, sp, -288"],
    ...each("sd", [...PT_REGS_ABI, ...inPtRegs(2, 3, 4, 5, ...SAVED)]),
    ...[...prepare(8), "call ftrace_stub"],
    ...each("ld", [...PT_REGS_ABI, ...inPtRegs(2, 3, 4, ...SAVED)]),
    ...["addi sp, sp, 288", "bnez t1, 1f", "jr t0", "1: jr t1"],
    ...["addi sp, sp, -288", ...each("sd", [...PT_REGS_ABI, ["s0", 64]])],
    ...[...prepare(8), "call ftrace_stub"],
    ...[...each("ld", [...PT_REGS_ABI, ["s0", 64]]), "addi sp, sp, 288", "jr t0"],
  ],
  args: [
    ...["mv t1, zero", "mv t4, sp", "addi sp, sp, -112"],
    ...each("sd", [["t0", 0], ["ra", 8], ["t4", 16], ["s0", 24], ["t1", 32], ...argumentsAt(40)]),
    ...[...prepare(8), "call ftrace_stub"],
    ...[...loadFregs(40), "bnez t1, 1f", "jr t0", "1: jr t1"],
  ],
  preset: [
    ...[...storeFregs(40), ...prepare(4), "ld ra, ftrace_call_dest", "jalr ra, 0(ra)"],
    ...[...loadFregs(40), "jr t0"],
  ],
  "call-ops": [
    ...["ld t1, -16(t0)", `ld t1, ${OPS_DIRECT_CALL}(t1)`, "bnez t1, 1f", ...storeFregs(48)],
    ...["addi a0, t0, -4", "mv a1, ra", "ld a2, -16(t0)", "ld ra, 0(a2)", "mv a3, sp", "jalr ra"],
    ...[...loadFregs(48), "bnez t1, 1f", "jr t0", "1: jr t1"],
  ],
};

/** Words of the kernel's data that the trampolines load, in their order. */
const WORDS: Readonly<Record<TrampolineName, readonly string[]>> = {
  regs: ["function_trace_op"],
  args: ["function_trace_op"],
  preset: ["function_trace_op", "ftrace_call_dest"],
  "call-ops": [],
};

/** Size of the frame of `return_to_handler`, and its slots in the order in which they are stored. */
const RETURNS: Readonly<Record<TrampolineName, readonly [number, Slots]>> = {
  regs: [32, [["s0", 16], ["ra", 24], ["a0", 8], ["a1", 0]]],
  args: [112, [["ra", 8], ["s0", 24], ["a0", 40], ["a1", 48]]],
  preset: [112, [["ra", 8], ["s0", 24], ["a0", 40], ["a1", 48]]],
  "call-ops": [112, [["ra", 8], ["s0", 24], ["a0", 48], ["a1", 56]]],
};

function returnToHandler([size, slots]: readonly [number, Slots]): readonly string[] {
  const loads = ["ra", "s0", "a0", "a1"].map((name) => slots.find(([slot]) => slot === name)!);
  return [
    ...[`addi sp, sp, -${size}`, ...each("sd", slots), `addi s0, sp, ${size}`, "mv a0, sp"],
    ...["call ftrace_return_to_handler", "mv a2, a0", ...each("ld", loads)],
    ...[`addi sp, sp, ${size}`, "jalr a2"],
  ];
}

async function tool(name: string, ...args: readonly string[]): Promise<void> {
  const command = new Deno.Command(`riscv64-linux-gnu-${name}`, { args: [...args] });
  const { success, stderr } = await command.output();
  assertEquals(success, true, new TextDecoder().decode(stderr));
}

/** Bytes of a source, linked at the rig's text. */
async function assembleWithBinutils(lines: readonly string[]): Promise<Uint8Array> {
  const folder = await Deno.makeTempDir();
  const [source, object, linked, flat] = ["s.S", "s.o", "s", "s.bin"].map((name) =>
    join(folder, name)
  ) as [string, string, string, string];
  try {
    await Deno.writeTextFile(source, `.globl _start\n_start:\n${lines.join("\n")}\n`);
    await tool("as", "-march=rv64g", "-o", object, source);
    const places = [`-Ttext=0x${AT.text.toString(16)}`, `-Tdata=0x${AT.data.toString(16)}`];
    await tool("ld", "--no-relax", ...places, "-o", linked, object);
    await tool("objcopy", "-O", "binary", "-j", ".text", linked, flat);
    return await Deno.readFile(flat);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const missing = await missingTool("riscv64-linux-gnu-as");
for (const name of ["regs", "args", "preset", "call-ops"] as const) {
  Deno.test({
    name:
      `buildTrampolines() makes every word of the kernel's own trampolines for ${name} (needs binutils)`,
    ignore: missing,
    async fn() {
      const { bytes, symbols } = buildTrampolines(name, AT.text, AT.data);
      const kernel = await assembleWithBinutils([
        ...[...CALLERS[name], "ftrace_stub: ret", "jr t0", ...returnToHandler(RETURNS[name])],
        ...[
          "ftrace_return_to_handler:",
          ".data",
          ...WORDS[name].map((word) => `${word}: .dword 0`),
        ],
      ]);
      const ours = bytes.subarray(0, Number(symbols.ftrace_return_to_handler - AT.text));
      assertEquals(
        await disassembleWithBinutils(ours, AT.text),
        await disassembleWithBinutils(kernel, AT.text),
      );
      assertEquals(ours, kernel);
    },
  });
}

Deno.test("ftrace_caller has the words that each kernel's has when it is built without compression", () => {
  const words = (["regs", "args", "preset", "call-ops"] as const).map((name) => {
    const { symbols } = buildTrampolines(name, AT.text, AT.data);
    return Number(symbols.ftrace_stub - symbols.ftrace_caller) / 4;
  });
  assertEquals(words, [33, 40, 39, 41]);
});
