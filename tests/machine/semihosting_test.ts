/**
 * Semihosting: the calls of firmware to its host, answered as QEMU answers them.
 *
 * Addresses that are not there, and S-mode, are in `semihosting_faults_test.ts`; firmware in C is
 * among the fixtures.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { createMachine } from "../../lib/machine/machine.ts";
import { buildBare, la } from "../program/elf_builder.ts";
import {
  CALL,
  call,
  comparesWithQemu,
  firmware,
  FLEN,
  KEEP,
  OPEN,
  ran,
  READ,
  READC,
  SEEK,
  words,
  WRITE,
  WRITE0,
} from "./semihosting_guest.ts";

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
    comparesWithQemu(firmware(body)));
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
