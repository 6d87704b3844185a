/**
 * The address space of a Linux process, by itself and as a program sees it.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { Hart } from "../../lib/hart/hart.ts";
import { Mappings } from "../../lib/machine/linux/mappings.ts";
import { createMachine } from "../../lib/machine/machine.ts";
import { createTracingRange } from "../../lib/machine/tracing_range.ts";
import { EXECUTE, READ, WRITE } from "../../lib/memory/page.ts";
import { Memory } from "../../lib/memory/memory.ts";
import { readProgram } from "../fixtures/expected.ts";
import { askQemu, buildGuest, type GuestText, hasQemu, runGuest } from "./linux_guest.ts";

const PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, PROT_READ_WRITE = 3;
const MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20;
const MAP_FIXED_NOREPLACE = 0x100000;
const ANONYMOUS = MAP_PRIVATE | MAP_ANONYMOUS, FIXED = ANONYMOUS | MAP_FIXED;
const MADV_DONTNEED = 4, MREMAP_MAYMOVE = 1, MREMAP_FIXED = 2;
const EPERM = -1, ENOMEM = -12, EFAULT = -14, EEXIST = -17, EINVAL = -22;

/** A space with a program of 16 pages from 0x10000. */
function spaceOf() {
  const memory = new Memory();
  const tracing = createTracingRange(memory, 0x10000);
  const hart = new Hart(0, memory, "U");
  const lines: string[] = [];
  const space = new Mappings(memory, tracing, [hart], (line) => void lines.push(line));
  memory.map(0x10000, 0x10000, READ | EXECUTE);
  space.adoptProgram([[0x10000, 0x1fff0]]);
  return { memory, tracing, hart, lines, space };
}

Deno.test("Mappings.brk() begins behind the program's last page and gives the old end when it is refused", () => {
  const { space, memory } = spaceOf();
  assertEquals(space.brk(0n), 0x20000);
  assertEquals(space.brk(0x20010n), 0x20010);
  assert(memory.allows(0x20000n, 4096, READ | WRITE));
  assertEquals(space.brk(0x1fffen), 0x20010);
  space.mmap(0x30000n, 4096n, PROT_READ, FIXED);
  assertEquals(space.brk(0x30001n), 0x20010, "something is in the way");
  assertEquals(space.brk(0x30000n), 0x30000);
  assertEquals(space.brk(0x20000n), 0x20000);
  assert(!memory.allows(0x20000n, 1, READ), "given back");
});

Deno.test("Mappings.brk() gives zeros again when the heap grows over pages that it gave back", () => {
  const { space, memory } = spaceOf();
  space.brk(0x21000n);
  memory.write(0x20000n, new Uint8Array([7]));
  space.brk(0x20000n);
  space.brk(0x21000n);
  assertEquals(memory.read(0x20000n, 1), new Uint8Array([0]));
});

Deno.test("Mappings.brk() stops below the tracing range when asked for all there is", () => {
  const { space, tracing } = spaceOf();
  const heap = space.brk(0n);
  assertEquals(space.brk(BigInt(tracing.reserved) + 1n), heap);
  assertEquals(space.brk(BigInt(tracing.reserved)), tracing.reserved);
});

Deno.test("Mappings.mmap() never gives out the tracing range when memory is used up", () => {
  const { space, tracing } = spaceOf();
  let mappings = 0;
  for (;; mappings++) {
    const at = space.mmap(0n, 0x7000000n, PROT_READ_WRITE, ANONYMOUS);
    if (at < 0) {
      assertEquals(at, ENOMEM);
      break;
    }
    assert(
      at + 0x7000000 <= tracing.reserved || at >= tracing.end,
      `${at.toString(16)} is tracing's`,
    );
  }
  assert(mappings > 30, "nearly all of 4 GiB can be had");
});

Deno.test("Mappings.mmap() gives ENOMEM when a fixed mapping touches the tracing range", () => {
  const { space, tracing } = spaceOf();
  const start = BigInt(tracing.reserved), end = BigInt(tracing.end);
  assertEquals(space.mmap(start - 4096n, 8192n, PROT_READ, FIXED), ENOMEM);
  assertEquals(space.mmap(end - 4096n, 8192n, PROT_READ, FIXED), ENOMEM);
  assertEquals(space.mmap(start, 4096n, PROT_READ, ANONYMOUS | MAP_FIXED_NOREPLACE), ENOMEM);
  assertEquals(space.mmap(end, 4096n, PROT_READ, FIXED), tracing.end);
  const elsewhere = space.mmap(start, 4096n, PROT_READ, ANONYMOUS);
  assert(elsewhere > 0 && elsewhere !== tracing.reserved, "a hint is no more than that");
  assertEquals(space.mprotect(start, 4096n, PROT_READ_WRITE), ENOMEM);
  assertEquals(space.munmap(start, 4096n), EINVAL);
});

Deno.test("Mappings.mmap() gives ENOMEM and says so once when asked for more than 4 GiB can hold", () => {
  const { space, lines } = spaceOf();
  assertEquals(space.mmap(0x1_0000_0000n, 4096n, PROT_READ, FIXED), ENOMEM);
  assertEquals(space.mmap(0xffff_f000n, 8192n, PROT_READ, FIXED), ENOMEM);
  assertEquals(space.mmap(0n, 1n << 40n, PROT_READ, ANONYMOUS), ENOMEM);
  assert(lines.length > 0 && new Set(lines).size === 1, "the same line, which is then said once");
  assert(lines[0]!.includes("4 GiB"));
});

Deno.test("Mappings.mmap() refuses what Linux refuses", () => {
  const { space } = spaceOf();
  assertEquals(space.mmap(0n, 0n, PROT_READ, ANONYMOUS), EINVAL, "no length");
  assertEquals(space.mmap(0x50001n, 4096n, PROT_READ, FIXED), EINVAL, "not on a page");
  assertEquals(space.mmap(0n, 4096n, PROT_READ, MAP_ANONYMOUS), EINVAL, "neither kind");
  assertEquals(space.mmap(0n, 4096n, PROT_READ, FIXED), EPERM, "below mmap_min_addr");
  assertEquals(
    space.mmap(0x10000n, 4096n, PROT_READ, ANONYMOUS | MAP_FIXED_NOREPLACE),
    EEXIST,
    "over the program",
  );
});

Deno.test("Mappings.mmap() takes a free hint and goes elsewhere when it is taken", () => {
  const { space } = spaceOf();
  assertEquals(space.mmap(0x50000n, 4096n, PROT_READ, ANONYMOUS), 0x50000);
  const other = space.mmap(0x50000n, 4096n, PROT_READ, ANONYMOUS);
  assert(other > 0 && other !== 0x50000);
});

Deno.test("Mappings.mmap() replaces what was there with zeros when it is fixed", () => {
  const { space, memory } = spaceOf();
  space.mmap(0x50000n, 4096n, PROT_READ_WRITE, FIXED);
  memory.write(0x50000n, new Uint8Array([1]));
  assertEquals(space.mmap(0x50000n, 4096n, PROT_READ, FIXED), 0x50000);
  assertEquals(memory.read(0x50000n, 1), new Uint8Array([0]));
  assert(!memory.allows(0x50000n, 1, WRITE));
});

Deno.test("Mappings.mprotect() needs every page mapped, and lets what can be written be read", () => {
  const { space, memory } = spaceOf();
  space.mmap(0x50000n, 8192n, 0, FIXED);
  assert(space.isMapped(0x50000n) && !memory.allows(0x50000n, 1, READ));
  assertEquals(space.mprotect(0x50000n, 8192n, PROT_WRITE), 0);
  assert(memory.allows(0x50000n, 8192, READ | WRITE));
  assertEquals(space.mprotect(0x50000n, 8193n, PROT_READ), ENOMEM);
  assertEquals(space.mprotect(0x50001n, 1n, PROT_READ), EINVAL);
});

Deno.test("Mappings drops what harts have fetched when pages go, change, or become executable", () => {
  const { space, memory, hart } = spaceOf();
  const nop = new Uint8Array([0x13, 0, 0, 0]), other = new Uint8Array([0x93, 0, 0, 0]);
  const at = 0x50000;
  const executable = PROT_READ | PROT_EXEC;
  const fetch = () => hart.fetched.fetch(at);
  space.mmap(BigInt(at), 4096n, executable, FIXED);
  memory.poke(at, nop);
  assertEquals(fetch(), 0x13);
  memory.poke(at, other);
  assertEquals(fetch(), 0x13, "stale until something drops it");
  space.mprotect(BigInt(at), 4096n, executable);
  assertEquals(fetch(), 0x93);
  space.mprotect(BigInt(at), 4096n, PROT_READ);
  assert(fetch() < 0, "no longer executable");
  space.mprotect(BigInt(at), 4096n, executable);
  assertEquals(fetch(), 0x93);
  space.munmap(BigInt(at), 4096n);
  assert(fetch() < 0, "unmapped");
  space.mmap(BigInt(at), 4096n, executable, FIXED);
  assertEquals(fetch(), 0, "a page of zeros");
});

Deno.test("Mappings.mremap() shrinks, grows in place, moves only when it may, and refuses the rest", () => {
  const { space, memory } = spaceOf();
  space.mmap(0x50000n, 8192n, PROT_READ_WRITE, FIXED);
  memory.write(0x50000n, new Uint8Array([42]));
  assertEquals(space.mremap(0x50000n, 8192n, 4096n, 0), 0x50000);
  assert(!space.isMapped(0x51000n));
  assertEquals(space.mremap(0x50000n, 4096n, 12288n, 0), 0x50000);
  assert(memory.allows(0x52000n, 4096, READ | WRITE));
  space.mmap(0x53000n, 4096n, PROT_READ, FIXED);
  assertEquals(space.mremap(0x50000n, 12288n, 16384n, 0), ENOMEM);
  const moved = space.mremap(0x50000n, 12288n, 16384n, MREMAP_MAYMOVE);
  assert(moved > 0x53000);
  assertEquals(memory.read(BigInt(moved), 1), new Uint8Array([42]));
  assert(!space.isMapped(0x50000n));
  assertEquals(space.mremap(BigInt(moved), 4096n, 8192n, MREMAP_MAYMOVE | MREMAP_FIXED), EINVAL);
  assertEquals(space.mremap(0x50000n, 4096n, 8192n, MREMAP_MAYMOVE), EFAULT);
});

Deno.test("Mappings.discard() makes anonymous pages zeros and leaves a file's alone", () => {
  const { space, memory } = spaceOf();
  space.mmap(0x50000n, 4096n, PROT_READ_WRITE, FIXED);
  memory.write(0x50000n, new Uint8Array([1]));
  space.mmap(0x60000n, 4096n, PROT_READ, FIXED, (at) => memory.poke(at, new Uint8Array([2])));
  assertEquals(space.discard(0x50000n, 4096n), 0);
  assertEquals(space.discard(0x60000n, 4096n), 0);
  assertEquals(memory.read(0x50000n, 1), new Uint8Array([0]));
  assertEquals(memory.read(0x60000n, 1), new Uint8Array([2]));
  assertEquals(space.discard(0x70000n, 4096n), ENOMEM);
});

Deno.test("Mappings.mappingAt() tells adjoining mappings apart and keeps a heap one", () => {
  const { space } = spaceOf();
  space.mmap(0x50000n, 4096n, PROT_READ_WRITE, FIXED);
  space.mmap(0x51000n, 4096n, PROT_READ_WRITE, FIXED);
  assert(space.mappingAt(0x50fff) !== space.mappingAt(0x51000));
  space.brk(0x21000n);
  space.brk(0x24000n);
  assertEquals(space.mappingAt(0x20000), space.mappingAt(0x23fff));
  assertEquals(space.mappingAt(0x900000), 0);
});

Deno.test("Machine.stackIdentity() is 0 on the main stack and differs between mapped stacks", () => {
  const machine = createMachine(buildGuest((guest) => guest.finish()), { engine: "ref" });
  const hart = machine.harts[0]!;
  assertEquals(machine.stackIdentity(hart, Number(BigInt.asUintN(32, hart.x[2]!))), 0);
  assert(machine.stackIdentity(hart, 0x21000) !== 0, "a stack among the program's data");
});

Deno.test("createLinux() ends endless recursion with SIGSEGV below 8 MiB of stack", async () => {
  const { bytes } = await readProgram("recurse_p84");
  const machine = createMachine(bytes, { engine: "ref" });
  const top = BigInt.asUintN(64, machine.harts[0]!.x[2]!);
  const outcome = await machine.run();
  assert(outcome.kind === "signal");
  assertEquals(outcome.name, "SIGSEGV");
  const depth = top - outcome.trap!.value;
  assert(depth > 0x7ff000n && depth <= 0x801000n, `${depth} bytes deep`);
});

/** Calls whose results do not depend on where things are put. */
function mappings(guest: GuestText): void {
  const at = 0x50000000;
  guest.noteCall("mmap", 0, 0, PROT_READ, ANONYMOUS, -1, 0);
  guest.noteCall("mmap", at + 1, 4096, PROT_READ, FIXED, -1, 0);
  guest.noteCall("mmap", 0, 4096, PROT_READ, MAP_SHARED, 77, 0);
  guest.noteCall("mmap", at, 8192, PROT_READ_WRITE, FIXED, -1, 0);
  guest.load("t0", at);
  guest.line("sd s1, 0(t0)");
  guest.noteCall("mprotect", at, 4096, PROT_READ);
  guest.noteWord(at);
  guest.noteCall("mprotect", at + 8, 8, PROT_READ);
  guest.noteCall("mprotect", at, 0x10000, PROT_READ);
  guest.noteCall("madvise", at, 4096, MADV_DONTNEED);
  guest.noteWord(at);
  guest.noteCall("mremap", at, 8192, 4096, 0);
  guest.noteCall("mremap", at, 4096, 8192, 0);
  guest.noteCall("munmap", at, 8192);
  guest.noteCall("munmap", at, 8192);
  guest.noteCall("munmap", at + 1, 8192);
  guest.noteCall("munmap", at, 0);
  guest.noteCall("mprotect", at, 4096, PROT_READ);
  guest.finish();
}

Deno.test({
  name: "createLinux() maps as QEMU does (needs qemu-user)",
  ignore: !hasQemu,
  async fn() {
    assertEquals((await runGuest(mappings)).notes, (await askQemu(mappings)).notes);
  },
});
