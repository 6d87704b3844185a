/**
 * Semihosting: the calls of firmware to its host, answered as QEMU answers them.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { ENGINE_NAMES, type EngineName } from "../../lib/engine/engines.ts";
import { createMachine, type MachineOptions } from "../../lib/machine/machine.ts";
import { buildBare, la } from "../program/elf_builder.ts";

const CALL = "slli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n";
const OPEN = 1, WRITE0 = 4, WRITE = 5, READ = 6, READC = 7, SEEK = 10, FLEN = 12;

/** Calls an operation with words at the block; each is a number or a label. */
function call(operation: number, ...words: readonly (number | string)[]): string {
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
const KEEP = "sd a0, 0(s1)\naddi s1, s1, 8\n";
const NAMES = `
name: .byte ${[...new TextEncoder().encode("given.txt"), 0].join(", ")}
other: .byte ${[...new TextEncoder().encode("new.txt"), 0].join(", ")}
missing: .byte ${[...new TextEncoder().encode("missing.txt"), 0].join(", ")}
tt: .byte 58, 116, 116, 0
features: .byte ${[...new TextEncoder().encode(":semihosting-features"), 0].join(", ")}
text: .byte 104, 101, 108, 108, 111, 10, 0
`;

/** Firmware that does `body` and then prints the results of 8 bytes each on :tt and exits with 5. */
function firmware(body: string): Uint8Array {
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

interface Ran {
  readonly code: number;
  readonly stdout: Uint8Array;
}

async function ran(program: Uint8Array, options: MachineOptions = {}): Promise<Ran> {
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

/** Works on a folder with a file that is given. */
async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  const before = Deno.cwd();
  try {
    await Deno.writeTextFile(`${folder}/given.txt`, "what is given\n");
    Deno.chdir(folder);
    await body(folder);
  } finally {
    Deno.chdir(before);
    await Deno.remove(folder, { recursive: true });
  }
}

/** Copies a word that was read into the results. */
const KEEP_READ = "ld a0, 0(s3)\n" + KEEP;
const CASES: Readonly<Record<string, string>> = {
  "reading, seeking and measuring a file": call(OPEN, "name", 0, 9) + "mv s2, a0\n" +
    call(FLEN, "s2") + KEEP + call(READ, "s2", "s3", 8) + KEEP + KEEP_READ +
    call(SEEK, "s2", 5) + KEEP + call(READ, "s2", "s3", 100) + KEEP + KEEP_READ +
    call(READ, "s2", "s3", 8) + KEEP + call(9, "s2") + KEEP + call(2, "s2") + KEEP +
    call(2, "s2") + KEEP + call(0x13) + KEEP + call(FLEN, "s2") + KEEP,
  "writing, renaming and removing a file": call(OPEN, "other", 4, 7) + "mv s2, a0\n" +
    call(WRITE, "s2", "text", 6) + KEEP + call(2, "s2") + KEEP +
    call(OPEN, "other", 8, 7) + "mv s2, a0\n" + call(WRITE, "s2", "text", 2) + KEEP +
    call(2, "s2") + KEEP +
    call(15, "other", 7, "missing", 11) + KEEP + call(14, "other", 7) + KEEP + call(0x13) + KEEP +
    call(14, "missing", 11) + KEEP,
  "what is wrong: names, modes, handles": call(OPEN, "missing", 0, 11) + KEEP +
    call(0x13) + KEEP + call(OPEN, "name", 12, 9) + KEEP + call(0x13) + KEEP +
    call(WRITE, 77, "text", 3) + KEEP + call(READ, 77, "s3", 3) + KEEP + call(SEEK, 77, 0) + KEEP +
    call(0x13) + KEEP +
    call(8, -1) + KEEP + call(8, 1) + KEEP,
  "the features": call(OPEN, "features", 0, 21) + "mv s2, a0\n" + call(FLEN, "s2") + KEEP +
    call(READ, "s2", "s3", 8) + KEEP + KEEP_READ + call(SEEK, "s2", 4) + KEEP +
    call(READ, "s2", "s3", 1) + KEEP + KEEP_READ + call(OPEN, "features", 4, 21) + KEEP,
  "the command line, with room and without": call(0x15, "s3", 64) + KEEP + KEEP_READ +
    "ld a0, 8(s0)\n" + KEEP + call(0x15, "s3", 3) + KEEP,
  "the heap's start, and ticks": call(0x16, "s3") + KEEP + KEEP_READ + call(0x31) + KEEP +
    call(0x30) + KEEP,
  "standard input, and its end": call(OPEN, "tt", 0, 3) + "mv s2, a0\n" +
    call(READ, "s2", "s3", 4) + KEEP + KEEP_READ + call(READ, "s2", "s3", 4) + KEEP,
};

for (const [what, body] of Object.entries(CASES)) {
  Deno.test(`Semihosting.serve() answers as QEMU does (needs qemu-system-riscv64 to be compared): ${what}`, () =>
    inFolder(async (folder) => {
      const program = firmware(body);
      const results: Record<string, Ran> = {};
      for (const engine of ENGINE_NAMES) {
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
      if (hasQemu) assertEquals(first, words(await underQemu(program, folder, "abcd")));
    }));
}

/** The exit code and the results as numbers. */
function words({ code, stdout }: Ran): readonly string[] {
  const view = new DataView(stdout.buffer, stdout.byteOffset, stdout.length);
  const count = Math.floor(stdout.length / 8);
  const hex = Array.from({ length: count }, (_, k) => view.getBigUint64(8 * k, true).toString(16));
  return [`code ${code}`, ...hex];
}

Deno.test("Semihosting.serve() prints a string and reads a character, and passes no time by the host", async () => {
  const body = `${la("a1", "text")}li a0, ${WRITE0}\n${CALL}` + call(READC) + KEEP + call(0x11) +
    KEEP + call(0x10) + KEEP;
  const program = firmware(body);
  const stdin = () => Promise.resolve(Uint8Array.of(65));
  const { stdout } = await ran(program, { stdin });
  const text = new TextDecoder().decode(stdout);
  assertEquals(text.slice(0, 7), "hello\nA");
  assertEquals((await ran(program, { stdin })).stdout, stdout);
});

Deno.test("Semihosting.serve() shows no file that was not shown, and runs no command", async () => {
  const said: string[] = [];
  const program = firmware(
    call(OPEN, "name", 0, 9) + KEEP + call(0x12, "name", 9) + KEEP + call(99) + KEEP,
  );
  const result = await ran(program, { warn: (line) => void said.push(line) });
  assertEquals(words(result).slice(1), Array(3).fill("f".repeat(16)));
  assertEquals(said, [
    "the guest sees no file given.txt: ENOENT; show it with --allow given.txt or --root DIR",
    "the guest may not run given.txt on the host (SYS_SYSTEM): EPERM",
    "semihosting has no operation 0x63: ENOSYS",
  ]);
});

Deno.test("createBare() makes the sequence a breakpoint, and says what would answer it, when nobody does", async () => {
  const said: string[] = [];
  const machine = createMachine(firmware(""), { warn: (line) => void said.push(line) });
  const outcome = await machine.run({ limit: 1000n });
  assertEquals(outcome.kind === "trap" && outcome.trap.cause, 3);
  assertEquals(said.map((line) => line.includes("--semihosting")), [true]);
});

Deno.test("createBare() leaves an ebreak alone that is not between the two shifts", async () => {
  const machine = createMachine(buildBare("_start: nop\nebreak\nsrai x0, x0, 7"), {
    semihosting: "user",
  });
  const outcome = await machine.run({ limit: 1000n });
  assertEquals(outcome.kind === "trap" && outcome.trap.cause, 3);
});

Deno.test("Semihosting.serve() answers U-mode only when that is asked for", async () => {
  const program = buildBare(
    `
    _start:
      li t0, -1
      csrrw zero, 0x3b0, t0
      li t0, 0x1f
      csrrw zero, 0x3a0, t0
      ${la("t0", "user")}
      csrrw zero, 0x341, t0
      mret
    user:
      ${la("s0", "data")}
      ${call(0x20, 0x20026, 7)}`,
    { data: new Uint8Array(64) },
  );
  assertEquals((await ran(program, { semihosting: "user" })).code, 7);
  const machine = createMachine(program, { semihosting: "privileged" });
  assertEquals((await machine.run({ limit: 1000n })).kind, "trap");
});
