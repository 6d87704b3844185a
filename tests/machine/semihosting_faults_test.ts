/**
 * Semihosting where an argument is wrong: addresses that are not there, lengths that are not the
 * name's, too little room; and the same calls from S-mode.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { buildBare, la } from "../program/elf_builder.ts";
import {
  CALL,
  call,
  comparesWithQemu,
  firmware,
  KEEP,
  OPEN,
  ran,
  READ,
  words,
  WRITE,
  WRITE0,
} from "./semihosting_guest.ts";

const CLOSE = 2, WRITEC = 3, ISERROR = 8, ISTTY = 9, SEEK = 10, FLEN = 12, TMPNAM = 13;
const REMOVE = 14, RENAME = 15, ERRNO = 0x13, GET_CMDLINE = 0x15, HEAPINFO = 0x16;
const ELAPSED = 0x30, TICKFREQ = 0x31;

/** Calls an operation whose arguments are to be at `address`, where nothing is. */
const nowhere = (operation: number, address: number) =>
  `li a0, ${operation}\nli a1, ${address}\n${CALL}${KEEP}`;
const KEEP_ERRNO = call(ERRNO) + KEEP;
/** Sets errno to something else: ENOENT. */
const FORGET = call(OPEN, "missing", 0, 11);
/** Neither RAM nor a device's, here and on QEMU's board; and the last word that there is. */
const NOWHERE = 0x8000000, LAST = -8;

const BLOCKS = [OPEN, CLOSE, WRITE, READ, ISERROR, ISTTY, SEEK, FLEN, TMPNAM, REMOVE, RENAME]
  .concat(GET_CMDLINE, HEAPINFO);

const CASES: Readonly<Record<string, string>> = {
  ...Object.fromEntries([NOWHERE, LAST].map((address) => [
    `a block at ${address}`,
    BLOCKS.map((operation) => FORGET + nowhere(operation, address) + KEEP_ERRNO).join(""),
  ])),
  "names that are nowhere": [
    call(OPEN, NOWHERE, 0, 5),
    call(REMOVE, NOWHERE, 5),
    call(RENAME, NOWHERE, 5, "name", 9),
    call(RENAME, "name", 9, NOWHERE, 5),
  ].map((each) => FORGET + each + KEEP + KEEP_ERRNO).join(""),
  "data that is nowhere": call(OPEN, "other", 4, 7) + "mv s2, a0\n" +
    call(WRITE, "s2", NOWHERE, 5) + KEEP + call(WRITE, "s2", LAST, 5) + KEEP +
    call(FLEN, "s2") + KEEP,
  "lengths that are not the name's": [
    call(OPEN, "name", 0, 3),
    call(OPEN, "name", 0, 10),
    call(OPEN, "name", 0, 0),
    call(REMOVE, "name", 3),
    call(RENAME, "name", 3, "other", 7),
    call(RENAME, "name", 9, "other", 3),
  ].map((each) => FORGET + each + KEEP + KEEP_ERRNO).join("") +
    // Streams go by their names alone.
    call(OPEN, "tt", 4, 1) + "slti a0, a0, 0\n" + KEEP,
  "temporary names, with room and without": call(TMPNAM, "s3", 3, 64) + KEEP +
    "lwu a0, 0(s3)\n" + KEEP + "lbu a0, 4(s3)\n" + KEEP + call(TMPNAM, "s3", 3, 5) + KEEP,
  "ticks, and how many a second": call(ELAPSED) + KEEP + call(TICKFREQ) + KEEP +
    // Time has passed, whatever it is: a load later it is not less.
    call(ELAPSED) + "ld s2, 0(s0)\n" + call(ELAPSED) + "ld a0, 0(s0)\nsltu a0, a0, s2\n" + KEEP,
};

for (const [what, body] of Object.entries(CASES)) {
  Deno.test(`Semihosting.serve() refuses what QEMU refuses (needs qemu-system-riscv64 to be compared): ${what}`, () =>
    comparesWithQemu(firmware(body)));
}

Deno.test("Semihosting.serve() gives a temporary name that the number decides, and its end", async () => {
  const body = call(13, "s3", 0x1fe, 20) + KEEP +
    [0, 8, 16].map((at) => `ld a0, ${at}(s3)\n${KEEP}`).join("");
  const { stdout } = await ran(firmware(body));
  assertEquals(new TextDecoder().decode(stdout.subarray(8, 26)), "/tmp/hartrace-fe\0\0");
});

Deno.test("Semihosting.serve() counts virtual nanoseconds in SYS_ELAPSED", async () => {
  // Between the two readings lie those instructions, one nanosecond each.
  const between = "nop\n".repeat(10);
  const first = call(ELAPSED) + "ld s2, 0(s0)\n", second = call(ELAPSED) + "ld a0, 0(s0)\n";
  const elapsed = async (body: string) =>
    words(await ran(firmware(`${first}${body}${second}sub a0, a0, s2\n${KEEP}`)))[1]!;
  const without = parseInt(await elapsed(""), 16), with10 = parseInt(await elapsed(between), 16);
  assertEquals(with10 - without, 10);
});

// QEMU loses what it is to write where no memory is, and prints of nowhere without a word.
Deno.test("Semihosting.serve() refuses to write where no memory is, and to print from there", async () => {
  const reads = (address: number) => FORGET + call(READ, "s2", address, 5) + KEEP + KEEP_ERRNO;
  const body = call(OPEN, "features", 0, 21) + "mv s2, a0\n" + reads(NOWHERE) + reads(LAST) +
    call(READ, "s2", "s3", -1) + KEEP + KEEP_ERRNO + call(READ, "s2", "s3", 5) + KEEP +
    [
      call(HEAPINFO, NOWHERE),
      call(GET_CMDLINE, NOWHERE, 64),
      call(TMPNAM, NOWHERE, 1, 64),
    ].map((each) => FORGET + each + KEEP + KEEP_ERRNO).join("") +
    [ELAPSED, WRITE0, WRITEC].map((each) => FORGET + nowhere(each, NOWHERE) + KEEP_ERRNO).join("");
  const refused = "f".repeat(16);
  const results = words(await ran(firmware(body)));
  const asLong = ["5", "e", "5", "e", refused, "e", "0"];
  assertEquals(results, ["code 5", ...asLong, ...Array(6).fill([refused, "e"]).flat()]);
});

/** Goes into S-mode; with pages, RAM is at 0 there, and s0, s1 and the names are as they were. */
function supervisor(pages: boolean, body: string): Uint8Array {
  const source = `
  _start:
    ${la("s0", "data")}
    addi s1, s0, 256
    addi s3, s0, 1024
    li t0, -1
    csrrw zero, 0x3b0, t0
    li t0, 0x1f
    csrrw zero, 0x3a0, t0
    ${pages ? PAGES : ""}
    li t0, 0x1000
    csrrc zero, 0x300, t0
    li t0, 0x800
    csrrs zero, 0x300, t0
    ${la("t0", "inside")}
    csrrw zero, 0x341, t0
    mret
  inside:
    ${body}
    li t0, 0x20026
    sd t0, 0(s0)
    sd a0, 8(s0)
    li a0, 0x18
    mv a1, s0
    ${CALL}
  tt: .byte 58, 116, 116, 0
  `;
  return buildBare(source, { data: new Uint8Array(3 * 4096), withoutHost: true });
}

/** A root table in the next page of s0's: RAM at its place, and at 0. */
const PAGES = `
  li t2, 4096
  add t0, s0, t2
  addi t2, t2, -1
  xori t2, t2, -1
  and t0, t0, t2
  li t1, 0x200000cf
  sd t1, 0(t0)
  sd t1, 16(t0)
  srli t0, t0, 12
  li t1, 8
  slli t1, t1, 60
  or t0, t0, t1
  csrrw zero, 0x180, t0
  sfence.vma zero, zero`;

/** Opens :tt with a block and a name at addresses that are `less` lower, and gives the handle. */
const opens = (less: string) => `
  li t2, ${less}
  ${la("t0", "tt")}
  sub t0, t0, t2
  sd t0, 0(s0)
  li t0, 4
  sd t0, 8(s0)
  li t0, 3
  sd t0, 16(s0)
  sub a1, s0, t2
  li a0, ${OPEN}
  ${CALL}`;

for (
  const [where, pages, less] of [
    ["S-mode", false, "0"],
    ["S-mode behind page tables", true, "0x80000000"],
  ] as const
) {
  Deno.test(`Semihosting.serve() reads the memory that the caller sees, from ${where}`, async () => {
    // A handle is 3 or more; where the block is nowhere it would be -1, of which 8 bits are 255.
    assertEquals((await ran(supervisor(pages, opens(less)))).code, 3);
  });
}

Deno.test("Semihosting.serve() sees no address that the caller's pages do not have", async () => {
  assertEquals((await ran(supervisor(true, opens("0x40000000")))).code, 255);
});
