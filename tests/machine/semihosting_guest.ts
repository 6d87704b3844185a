/**
 * Firmware of a test's that calls its host by semihosting, here and under QEMU.
 *
 * Each keeps what a0 holds after a call as a result of 8 bytes, and prints all of them at its end.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { ENGINE_NAMES, type EngineName } from "../../lib/engine/engines.ts";
import { createMachine, type MachineOptions } from "../../lib/machine/machine.ts";
import { buildBare, la } from "../program/elf_builder.ts";

/** The three instructions of a call. */
export const CALL = "slli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n";
/** Numbers of operations. */
export const OPEN = 1, WRITE0 = 4, WRITE = 5, READ = 6, READC = 7, SEEK = 10, FLEN = 12;

/** Calls an operation with words at the block; each is a number or a label. */
export function call(operation: number, ...words: readonly (number | string)[]): string {
  const stores = words.map((word, k) =>
    typeof word === "number"
      ? `li t0, ${word}\nsd t0, ${8 * k}(s0)\n`
      : word.startsWith("s")
      ? `sd ${word}, ${8 * k}(s0)\n`
      : `${la("t0", word)}sd t0, ${8 * k}(s0)\n`
  );
  return `${stores.join("")}li a0, ${operation}\nmv a1, s0\n${CALL}`;
}

/** Keeps a0 as the next result at s1. */
export const KEEP = "sd a0, 0(s1)\naddi s1, s1, 8\n";
const NAMES = `
name: .byte ${[...new TextEncoder().encode("given.txt"), 0].join(", ")}
other: .byte ${[...new TextEncoder().encode("new.txt"), 0].join(", ")}
missing: .byte ${[...new TextEncoder().encode("missing.txt"), 0].join(", ")}
tt: .byte 58, 116, 116, 0
features: .byte ${[...new TextEncoder().encode(":semihosting-features"), 0].join(", ")}
text: .byte 104, 101, 108, 108, 111, 10, 0
`;

/** Firmware that does `body` and then prints the results of 8 bytes each on :tt and exits with 5. */
export function firmware(body: string): Uint8Array {
  const source = `
  _start:
    ${la("s0", "data")}
    addi s1, s0, 256
    mv s4, s1
    addi s3, s0, 1024
    ${body}
    ${call(OPEN, "tt", 4, 3)}
    mv s2, a0
    sub s5, s1, s4
    ${call(WRITE, "s2", "s4", "s5")}
    ${call(0x18, 0x20026, 5)}
  ${NAMES}`;
  return buildBare(source, { data: new Uint8Array(2048), withoutHost: true });
}

export interface Ran {
  readonly code: number;
  readonly stdout: Uint8Array;
}

export async function ran(program: Uint8Array, options: MachineOptions = {}): Promise<Ran> {
  const printed: number[] = [];
  using machine = createMachine(program, {
    semihosting: "privileged",
    stdout: (data) => void printed.push(...data),
    ...options,
  });
  const outcome = await machine.run({ limit: 100_000n });
  assertEquals(outcome.kind, "exit");
  return { code: outcome.kind === "exit" ? outcome.code : -1, stdout: new Uint8Array(printed) };
}

const hasQemu = await new Deno.Command("qemu-system-riscv64", { args: ["--version"] }).output()
  .then(({ success }) => success, () => false);

/** What QEMU makes of it in a folder, with input. */
async function underQemu(program: Uint8Array, cwd: string, stdin: string): Promise<Ran> {
  await Deno.writeFile(`${cwd}/program`, program);
  const args = ["-machine", "virt", "-bios", "none", "-display", "none", "-serial", "none"];
  const semihosting = ["-semihosting-config", "enable=on,target=native,arg=prog,arg=one"];
  const process = new Deno.Command("qemu-system-riscv64", {
    args: [...args, "-monitor", "none", ...semihosting, "-kernel", "program"],
    cwd,
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin));
  await writer.close();
  return await process.output();
}

/** Works in a folder of its own. */
async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const before = Deno.cwd();
  try {
    Deno.chdir(folder);
    await body(folder);
  } finally {
    Deno.chdir(before);
    await Deno.remove(folder, { recursive: true });
  }
}

/** The exit code and the results as numbers. */
export function words({ code, stdout }: Ran): readonly string[] {
  const view = new DataView(stdout.buffer, stdout.byteOffset, stdout.length);
  const count = Math.floor(stdout.length / 8);
  const hex = Array.from({ length: count }, (_, k) => view.getBigUint64(8 * k, true).toString(16));
  return [`code ${code}`, ...hex];
}

/** Runs it on every engine, all of which must agree, and with QEMU if it is there. */
export function comparesWithQemu(program: Uint8Array): Promise<void> {
  return inFolder(async (folder) => {
    const give = () => Deno.writeTextFile("given.txt", "what is given\n");
    const results: Record<string, Ran> = {};
    for (const engine of ENGINE_NAMES) {
      await give();
      let input = new TextEncoder().encode("abcd");
      results[engine] = await ran(program, {
        engine: engine as EngineName,
        name: "prog",
        args: ["one"],
        allow: [".:rw"],
        stdin(length) {
          const taken = input.subarray(0, length);
          input = input.slice(length);
          return Promise.resolve(taken);
        },
      });
    }
    const [first, ...others] = Object.values(results).map(words);
    for (const other of others) assertEquals(other, first);
    assert(first!.length > 2);
    await give();
    if (hasQemu) assertEquals(first, words(await underQemu(program, folder, "abcd")));
  });
}
