/**
 * Every line of assembly on every pair of operands, computed by QEMU and by our engines.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { createMachine } from "../../lib/machine/machine.ts";
import { engineOptions, MACHINE_ENGINES } from "./engines.ts";
import { build, outputOf } from "./guest_tools.ts";

/** Lines of assembly and operands. */
export interface Grid {
  /** File name of the program, ending in `.s`. */
  readonly name: string;
  readonly lines: readonly string[];
  readonly operands: readonly string[];
  /** Operands go into fa0 and fa1, too, and flags are compared. */
  readonly floats: boolean;
  /** Extensions beyond RV64GC, as the assembler names them. */
  readonly extensions: readonly string[];
}

/** Builds a grid's program, runs it on QEMU and on every engine, and expects the same results. */
export async function compareGrid(grid: Grid): Promise<void> {
  const { name, lines, operands, floats, extensions } = grid;
  const folder = await Deno.makeTempDir();
  try {
    const march = [`-march=rv64gc${extensions.map((each) => `_${each}`).join("")}`, "-mabi=lp64d"];
    const file = await build(folder, name, gridProgram(lines, operands, floats), march);
    const cpu = extensions.map((each) => `,${each === "zfh" ? "Zfh" : each}=true`).join("");
    const expected = await outputOf("qemu-riscv64", ["-cpu", `rv64${cpu}`, file]);
    for (const engine of MACHINE_ENGINES) {
      const parts: Uint8Array[] = [];
      const machine = createMachine(await Deno.readFile(file), {
        ...engineOptions(engine),
        stdout: (data) => void parts.push(data.slice()),
      });
      assertEquals(await machine.run(), { kind: "exit", code: 0 });
      const actual = new Uint8Array(await new Blob(parts as BlobPart[]).arrayBuffer());
      assertEquals(actual.length, expected.length);
      assertEquals(mismatches(actual, expected, lines, operands), [], engine);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const MODES = ["rne", "rtz", "rdn", "rup", "rmm", "dyn"];

/**
 * Lines that say their rounding mode, where it is in frm instead and the inexact flag is up: nearly all
 * that engines compute by themselves.
 */
export function underway(lines: readonly string[]): string[] {
  return lines.flatMap((line) => {
    const said = /, (rne|rtz|rdn|rup|rmm)(?=\n|$)/.exec(line);
    if (!said) return [];
    const fcsr = MODES.indexOf(said[1]!) << 5 | 1;
    const before = (text: string) => `li a3, ${fcsr}\nfscsr a3\n${text}`;
    return [before(line), before(line.replace(said[0], ", dyn"))];
  });
}

/** Every instruction of the formats, in every rounding mode, on fa0 and fa1 (or a0), as lines of assembly. */
export function floatLines(formats: readonly ("h" | "s" | "d")[]): string[] {
  const lines: string[] = [];
  for (const format of formats) {
    const back = "fmv.x.d a2, fa2";
    for (const mode of MODES) {
      for (const name of ["fadd", "fsub", "fmul", "fdiv"]) {
        lines.push(`${name}.${format} fa2, fa0, fa1, ${mode}\n${back}`);
      }
      lines.push(`fsqrt.${format} fa2, fa0, ${mode}\n${back}`);
      for (const name of ["fmadd", "fmsub", "fnmadd", "fnmsub"]) {
        lines.push(`${name}.${format} fa2, fa0, fa1, fa0, ${mode}\n${back}`);
      }
      for (const type of ["w", "wu", "l", "lu"]) {
        lines.push(`fcvt.${type}.${format} a2, fa0, ${mode}`);
        if (format !== "d" || type.startsWith("l")) {
          lines.push(`fcvt.${format}.${type} fa2, a0, ${mode}\n${back}`);
        }
      }
    }
    for (const other of formats.filter((each) => each !== format)) {
      lines.push(`fcvt.${format}.${other} fa2, fa0\n${back}`);
    }
    for (const name of ["fsgnj", "fsgnjn", "fsgnjx", "fmin", "fmax"]) {
      lines.push(`${name}.${format} fa2, fa0, fa1\n${back}`);
    }
    for (const name of ["feq", "flt", "fle"]) lines.push(`${name}.${format} a2, fa0, fa1`);
    lines.push(`fclass.${format} a2, fa0`);
  }
  return lines;
}

/** A program that does each line for every pair of operands and prints a2 and fcsr, 16 bytes each. */
export function gridProgram(
  lines: readonly string[],
  operands: readonly string[],
  floats: boolean,
): string {
  const body = lines.map((line, k) => `
    la s0, operands
    la s2, operands_end
outer${k}: la s1, operands
inner${k}:
    ld a0, 0(s0)
    ld a1, 0(s1)
    ${floats ? "fmv.d.x fa0, a0\n    fmv.d.x fa1, a1\n    fscsr zero" : ""}
    ${line.replaceAll("\n", "\n    ")}
    sd a2, 0(s3)
    ${floats ? "frcsr a3" : "li a3, 0"}
    sd a3, 8(s3)
    addi s3, s3, 16
    addi s1, s1, 8
    bne s1, s2, inner${k}
    addi s0, s0, 8
    bne s0, s2, outer${k}`).join("");
  return `
.option norelax
.text
.globl _start
_start:
    la s3, results
${body}
    la a1, results
    sub a2, s3, a1
1:  li a0, 1
    li a7, 64
    ecall
    add a1, a1, a0
    sub a2, a2, a0
    bnez a2, 1b
    li a0, 0
    li a7, 93
    ecall
.data
.balign 8
operands: .dword ${operands.join(", ")}
operands_end:
.bss
.balign 16
results: .space ${lines.length * operands.length ** 2 * 16}
`;
}

/** The first results that differ, in words. */
function mismatches(
  actual: Uint8Array,
  expected: Uint8Array,
  lines: readonly string[],
  operands: readonly string[],
): string[] {
  const wrong: string[] = [];
  const mine = new DataView(actual.buffer), theirs = new DataView(expected.slice().buffer);
  const pairs = operands.length ** 2;
  for (let at = 0; at < actual.length && wrong.length < 10; at += 16) {
    const [value, flags] = [0, 8].map((offset) => mine.getBigUint64(at + offset, true));
    const [wanted, wantedFlags] = [0, 8].map((offset) => theirs.getBigUint64(at + offset, true));
    if (value === wanted && flags === wantedFlags) continue;
    const pair = at / 16 % pairs;
    const a = operands[Math.floor(pair / operands.length)], b = operands[pair % operands.length];
    const line = lines[Math.floor(at / 16 / pairs)]!.replaceAll("\n", "; ");
    if (isKnownWrong(line, a!, value!)) continue;
    wrong.push(
      `${line} with ${a}, ${b}: 0x${value!.toString(16)} flags ${flags}, ` +
        `qemu 0x${wanted!.toString(16)} flags ${wantedFlags}`,
    );
  }
  return wrong;
}

/** QEMU 7.2 counts ctzw on into the upper half where the lower is 0; the ISA says 32. */
function isKnownWrong(line: string, a: string, value: bigint): boolean {
  return line.startsWith("ctzw ") && a === "-0x8000000000000000" && value === 32n;
}
