/**
 * Programs that execute code in more pages than anybody wants to keep translated.
 *
 * @module
 */
import { buildGuest } from "../machine/linux_guest.ts";
import { buildBare, la } from "../program/elf_builder.ts";

/** Pages of the 128 MiB of RAM that {@linkcode firmwareOfPages} runs code in. */
export const FIRMWARE_PAGES = 32_500;
/** Pages that {@linkcode programOfPages} maps, calls and unmaps. */
export const PROGRAM_PAGES = 40_000;

/** `addi a0, a0, 1; ret` in four bytes. */
const INCREMENT = 0x80820505;

/**
 * Firmware that puts a function into each page from 0x80010000 on and calls it, on every hart; the
 * last one done exits with 0 if all calls of all harts have counted, else with 1.
 * Where it is translated it runs in S-mode, behind page tables that map RAM at its own addresses.
 */
export function firmwareOfPages(harts: number, translated: boolean): Uint8Array {
  const enter = translated
    ? `
  ${la("t0", "data")}
  # A gigapage at each entry that is needed: devices, and RAM.
  li t1, 0x20000000
  slli t2, t1, 0
  li t3, 0x200000cf
  sd t3, 16(t0)
  srli t2, t0, 12
  li t3, 8
  slli t3, t3, 60
  or t2, t2, t3
  csrw satp, t2
  sfence.vma
  li t0, -1
  csrw pmpaddr0, t0
  li t0, 0x1f
  csrw pmpcfg0, t0
  li t0, 0x1800
  csrc mstatus, t0
  li t0, 0x800
  csrs mstatus, t0
  ${la("t0", "main")}
  csrw mepc, t0
  mret
`
    : "";
  return buildBare(
    `
_start:
  ${enter}
main:
  li s0, 0x80010000
  li s1, ${FIRMWARE_PAGES}
  li s2, ${INCREMENT}
  li a0, 0
  li s3, 4096
next:
  sw s2, 0(s0)
  fence.i
  jalr s0
  add s0, s0, s3
  addi s1, s1, -1
  bnez s1, next
  ${la("t0", "counts")}
  amoadd.d zero, a0, (t0)
  addi t1, t0, 8
  li t2, 1
  amoadd.d t3, t2, (t1)
  li t4, ${harts - 1}
wait:
  bne t3, t4, wait
  ld t5, 0(t0)
  li t6, ${FIRMWARE_PAGES * harts}
  sub t5, t5, t6
  snez t5, t5
  slli t5, t5, 1
  ori t5, t5, 1
  ${la("t0", "tohost")}
  sd t5, 0(t0)
  j wait
`,
    { data: new Uint8Array(8192), symbols: { counts: 0x80003000n } },
  );
}

/** A Linux program that maps a page of code at ever new addresses, calls it and unmaps it. */
export function programOfPages(): Uint8Array {
  return buildGuest((guest) => {
    guest.load("s2", PROGRAM_PAGES);
    guest.load("s3", 0x10000000);
    guest.load("s4", INCREMENT);
    guest.load("s5", 0);
    guest.load("s6", 4096);
    guest.line("next:");
    guest.call("mmap", "s3", "s6", 7, 0x32, -1, 0);
    guest.line("sw s4, 0(s3)");
    guest.line("addi a0, s5, 0");
    guest.line("jalr ra, 0(s3)");
    guest.line("addi s5, a0, 0");
    guest.call("munmap", "s3", "s6");
    guest.line("add s3, s3, s6");
    guest.line("addi s2, s2, -1");
    guest.line("bne s2, zero, next");
    guest.note("s5");
    guest.finish();
  });
}
