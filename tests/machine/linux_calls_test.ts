/**
 * System calls about time, randomness and the process, and the table of their numbers.
 *
 * @module
 */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { SYSTEM_CALLS } from "../../lib/machine/linux/names.ts";
import { createMachine } from "../../lib/machine/machine.ts";
import { buildElf } from "../program/elf_builder.ts";
import { askQemu, buildGuest, type GuestText, hasQemu, runGuest } from "./linux_guest.ts";

const CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, CLOCK_PROCESS_CPUTIME_ID = 2;
const EBADF = -9n, EAGAIN = -11n, EFAULT = -14n, EINVAL = -22n, ENOSYS = -38n, ESRCH = -3n;
const ETIMEDOUT = -110n;
const FUTEX_WAIT = 0, FUTEX_WAKE = 1;

function words(...values: readonly bigint[]): Uint8Array {
  return new Uint8Array(new BigInt64Array(values).buffer);
}

/** Reads a clock and notes its seconds and nanoseconds. */
function noteClock(guest: GuestText, clock: number): void {
  const at = guest.place(16);
  guest.call("clock_gettime", clock, at);
  guest.noteWord(at);
  guest.noteWord(at + 8);
}

Deno.test("clock_gettime counts an instruction as a nanosecond, from 2033 on where it is the real time", async () => {
  const { notes } = await runGuest((guest) => {
    noteClock(guest, CLOCK_MONOTONIC);
    guest.line("csrrs t0, 0xc01, zero");
    guest.note("t0");
    noteClock(guest, CLOCK_REALTIME);
    guest.finish();
  });
  const [seconds, nanoseconds, time, real, realNanoseconds] = notes;
  assertEquals([seconds, real], [0n, 2_000_000_000n]);
  // Two instructions before the first call's, and its own five with the ecall.
  assertEquals(nanoseconds, 6n);
  assert(time! > nanoseconds! && realNanoseconds! > time!, "time goes on");
});

Deno.test("nanosleep lets time pass at once for every clock but those of the processor", async () => {
  const { notes } = await runGuest((guest) => {
    guest.noteCall("nanosleep", guest.place(words(5n, 999_999_000n)), 0);
    noteClock(guest, CLOCK_MONOTONIC);
    noteClock(guest, CLOCK_PROCESS_CPUTIME_ID);
    guest.noteCall("nanosleep", guest.place(words(0n, 1_000_000_000n)), 0);
    // Until a time that is past, and one to come.
    guest.noteCall("clock_nanosleep", CLOCK_MONOTONIC, 1, guest.place(words(1n, 0n)), 0);
    noteClock(guest, CLOCK_MONOTONIC);
    guest.noteCall("clock_nanosleep", CLOCK_MONOTONIC, 1, guest.place(words(9n, 0n)), 0);
    noteClock(guest, CLOCK_MONOTONIC);
    guest.finish();
  });
  const [slept, after, , processor, , refused, past, then, , future, at] = notes;
  assertEquals([slept, after, processor, refused], [0n, 5n, 0n, EINVAL]);
  assertEquals([past, then, future, at], [0n, 5n, 0n, 9n]);
});

Deno.test("getrandom gives the same bytes for a seed and others for another", async () => {
  const random = (seed: bigint) =>
    runGuest((guest) => {
      const at = guest.place(24);
      guest.noteCall("getrandom", at, 20, 0);
      guest.noteWord(at);
      guest.noteWord(at + 8);
      guest.noteWord(at + 16);
      guest.finish();
    }, { seed });
  const { notes } = await random(1n);
  assertEquals(notes[0], 20n);
  assertEquals(BigInt.asUintN(64, notes[3]!) >> 32n, 0n, "no more than was asked for");
  assertEquals((await random(1n)).notes, notes);
  assert((await random(2n)).notes[1] !== notes[1]);
});

Deno.test("systemCall() gives ENOSYS and says so once when a call is not there", async () => {
  const { notes, warnings } = await runGuest((guest) => {
    guest.noteCall("socket", 1, 1, 0);
    guest.noteCall("socket", 1, 1, 0);
    guest.noteCall("bpf", 0, 0, 0);
    guest.noteCall(2000);
    guest.noteCall(-1);
    // Numbers are 64 bits wide: this is not getpid.
    guest.load("a7", 172n | 1n << 32n);
    guest.line("ecall");
    guest.note();
    guest.finish();
  });
  assertEquals(notes, Array(6).fill(ENOSYS));
  assertEquals(warnings.filter((line) => line.includes("198 (socket)")).length, 1);
  assertEquals(warnings.filter((line) => line.includes("280 (bpf)")).length, 1);
  assertEquals(warnings.length, 5);
});

Deno.test("getpid, gettid and tgkill agree that the process is 1000", async () => {
  const { notes } = await runGuest((guest) => {
    guest.noteCall("getpid");
    guest.noteCall("gettid");
    guest.noteCall("set_tid_address", 0);
    guest.noteCall("tgkill", 1000, 1000, 0);
    guest.noteCall("kill", 0, 0);
    guest.noteCall("tgkill", 1000, 1001, 0);
    guest.noteCall("kill", 1, 0);
    guest.finish();
  });
  assertEquals(notes, [1000n, 1000n, 1000n, 0n, 0n, ESRCH, ESRCH]);
});

Deno.test("futex wakes nobody, and gives EAGAIN when the word differs", async () => {
  const { notes, outcome } = await runGuest((guest) => {
    const at = guest.place(words(7n));
    guest.noteCall("futex", at, FUTEX_WAKE, 1);
    guest.noteCall("futex", at, FUTEX_WAIT, 8, 0);
    guest.noteCall("futex", at, FUTEX_WAIT, 7, guest.place(words(3n, 0n)));
    noteClock(guest, CLOCK_MONOTONIC);
    guest.finish();
  });
  assertEquals(notes.slice(0, 4), [0n, EAGAIN, ETIMEDOUT, 3n]);
  assertEquals(outcome.kind, "exit");
});

Deno.test("futex ends the run as a deadlock when it waits for ever", async () => {
  const { outcome } = await runGuest((guest) => {
    guest.call("futex", guest.place(words(7n)), FUTEX_WAIT, 7, 0);
  });
  assertEquals(outcome.kind, "deadlock");
});

Deno.test("exit_group gives the low eight bits of its code", async () => {
  const { outcome } = await runGuest((guest) => guest.call("exit_group", 0x1ff));
  assertEquals(outcome, { kind: "exit", code: 255 });
});

Deno.test("riscv_flush_icache makes new instructions seen, which are not before it", async () => {
  const { notes } = await runGuest((guest) => {
    const PROT_ALL = 7, FIXED_ANONYMOUS = 0x32, at = 0x50000000;
    const code = words(0x00008067_00100513n);
    const other = words(0x00008067_00200513n);
    const copy = (source: number) => {
      guest.load("t0", source);
      guest.load("t1", at);
      guest.line("ld t2, 0(t0)");
      guest.line("sd t2, 0(t1)");
    };
    const run = () => {
      guest.load("t1", at);
      guest.line("jalr ra, 0(t1)");
      guest.note();
    };
    guest.call("mmap", at, 4096, PROT_ALL, FIXED_ANONYMOUS, -1, 0);
    copy(guest.place(code));
    run();
    copy(guest.place(other));
    run();
    guest.call("riscv_flush_icache", at, at + 8, 0);
    run();
    guest.finish();
  });
  assertEquals(notes, [1n, 1n, 2n]);
});

Deno.test("riscv_hwprobe answers keys that it knows and marks the others", async () => {
  const pairs = (guest: GuestText) => guest.place(words(3n, 0n, 4n, 0n, 999n, 5n));
  const { notes } = await runGuest((guest) => {
    const at = pairs(guest);
    guest.noteCall("riscv_hwprobe", at, 3, 0, 0, 0);
    for (const offset of [8, 24, 32, 40]) guest.noteWord(at + offset);
    guest.noteCall("riscv_hwprobe", at, 3, 0, 0, 8);
    guest.noteCall("riscv_hwprobe", 16, 1, 0, 0, 0);
    guest.finish();
  });
  const [answer, base, extensions, key, value, flags, fault] = notes;
  assertEquals([answer, base, key, value], [0n, 1n, -1n, 0n]);
  assertEquals(extensions! & 7n, 3n, "F, D and C, no V");
  assertEquals([flags, fault], [EINVAL, EFAULT]);
});

Deno.test("stdin gives what comes, without waiting for a buffer to fill, and then the end", async () => {
  const lines = ["one\n", "two\n"].map((line) => new TextEncoder().encode(line));
  const { notes } = await runGuest((guest) => {
    const at = guest.place(64);
    guest.noteCall("read", 0, 8, 100);
    guest.noteCall("read", 0, at, 0);
    guest.noteCall("read", 0, at, 100 - 50);
    guest.noteCall("readv", 0, guest.place(words(BigInt(at), 4n, BigInt(at) + 8n, 8n)), 2);
    guest.noteCall("read", 0, at, 50);
    guest.noteCall("read", 1, at, 50);
    guest.finish();
  }, { stdin: () => Promise.resolve(lines.shift() ?? new Uint8Array(0)) });
  assertEquals(notes, [EFAULT, 0n, 4n, 4n, 0n, EBADF]);
});

Deno.test("Machine.run() can be stopped while a program waits for input, and the next run goes on with it", async () => {
  let give: (data: Uint8Array) => void = () => {};
  const program = buildGuest((guest) => {
    guest.call("read", 0, guest.place(8), 8);
    guest.call("exit_group");
  });
  const machine = createMachine(program, {
    engine: "ref",
    stdin: () => new Promise((resolve) => give = resolve),
  });
  setTimeout(() => machine.requestStop(), 5);
  assertEquals(await machine.run(), { kind: "interrupted" });
  const going = machine.run();
  give(new Uint8Array(6));
  assertEquals(await going, { kind: "exit", code: 6 });
});

/** Calls whose errors and results are the same wherever a program runs. */
function plain(guest: GuestText): void {
  const at = guest.place(256);
  guest.noteCall("close", 77);
  guest.noteCall("write", 77, at, 1);
  guest.noteCall("write", 1, 8, 1);
  guest.noteCall("fcntl", 77, 1, 0);
  guest.noteCall("dup", 77);
  guest.noteCall("dup3", 1, 1, 0);
  guest.noteCall("dup3", 1, -1, 0);
  guest.noteCall("dup3", 1, 20, 0);
  guest.noteCall("dup", 1);
  guest.noteCall("close", 20);
  guest.noteCall("close", 20);
  guest.noteCall("clock_gettime", 99, at);
  guest.noteCall("clock_gettime", 1, 8);
  guest.noteCall("clock_getres", 1, at);
  guest.noteWord(at + 8);
  guest.noteCall("sched_getaffinity", 0, 3, at);
  guest.noteCall("sched_yield");
  guest.noteCall("prlimit64", 0, 99, 0, at);
  guest.noteCall("prlimit64", 0, 3, 0, 8);
  guest.noteCall("uname", 8);
  guest.noteCall("openat", -100, 8, 0, 0);
  guest.noteCall("openat", -100, guest.place(""), 0, 0);
  guest.noteCall("rt_sigaction", 9, at, 0, 8);
  guest.noteCall("rt_sigaction", 65, 0, at, 8);
  guest.noteCall("rt_sigaction", 10, 0, at, 16);
  guest.noteCall("rt_sigprocmask", 7, at, 0, 8);
  guest.noteCall("readlinkat", -100, 8, at, 10);
  guest.noteCall("lseek", 1, 0, 0);
  guest.noteCall("getcwd", at, 0);
  guest.finish();
}

Deno.test({
  name: "createLinux() answers plain calls as QEMU does (needs qemu-user)",
  ignore: !hasQemu,
  async fn() {
    assertEquals((await runGuest(plain)).notes, (await askQemu(plain)).notes);
  },
});

const HEADER = "/usr/riscv64-linux-gnu/include/asm-generic/unistd.h";
const hasHeader = await Deno.stat(HEADER).then(() => true, () => {
  Deno.stderr.writeSync(new TextEncoder().encode(`${HEADER} is missing: its test is skipped\n`));
  return false;
});

Deno.test({
  name: "SYSTEM_CALLS names numbers as Linux's header does (needs linux-libc-dev-riscv64-cross)",
  ignore: !hasHeader,
  async fn() {
    const text = await Deno.readTextFile(HEADER);
    const theirs = [...text.matchAll(/^#define __NR(?:3264)?_(\w+)\s+(\d+)$/gm)]
      .map(([, name, number]) => [Number(number), name!] as const)
      .filter(([, name]) => !["syscalls", "arch_specific_syscall"].includes(name));
    assert(theirs.length > 250, "the header was understood");
    for (const [number, name] of theirs) {
      // Some machines have sync_file_range with another order of arguments; riscv does not.
      if (name === "sync_file_range2") continue;
      const ours = SYSTEM_CALLS[number];
      // Where a call has a name for 32-bit machines, too, the header leaves the choice open.
      const same = ours === name || ours === name.replace(/64$/, "") || ours === `new${name}`;
      assert(same, `${number} is ${name} there and ${ours} here`);
    }
  },
});

Deno.test("createMachine() refuses a program that wants an interpreter, and says what would help", () => {
  const { bytes } = buildElf({
    entry: 0x10000n,
    segments: [
      { address: 0x10000n, data: new Uint8Array([0x73, 0, 0, 0]), flags: 5 },
      { address: 0x10100n, data: new TextEncoder().encode("/lib/ld.so\0"), flags: 4, type: 3 },
    ],
  });
  const error = assertThrows(() => createMachine(bytes), SyntaxError);
  assert(error.message.includes("/lib/ld.so") && error.message.includes("-static"), error.message);
});

/** Tells the kernel of itself and asks what it has told. */
function attributes(guest: GuestText): void {
  const SET_DEATH = 1, GET_DEATH = 2, GET_DUMPABLE = 3, SET_DUMPABLE = 4, SET_NAME = 15;
  const GET_NAME = 16, SET_NO_NEW = 38, GET_NO_NEW = 39;
  const room = guest.place(16);
  for (const name of ["worker", "a name that is too long", ""]) {
    guest.noteCall("prctl", SET_NAME, guest.place(name), 0, 0, 0);
    guest.noteCall("prctl", GET_NAME, room, 0, 0, 0);
    guest.noteWord(room);
    guest.noteWord(room + 8);
  }
  guest.noteCall("prctl", SET_NAME, 8, 0, 0, 0);
  guest.noteCall("prctl", GET_NAME, 8, 0, 0, 0);
  guest.noteCall("prctl", SET_DEATH, 15, 0, 0, 0);
  guest.noteCall("prctl", SET_DEATH, 65, 0, 0, 0);
  guest.noteCall("prctl", GET_DEATH, room, 0, 0, 0);
  guest.noteWord(room);
  guest.noteCall("prctl", GET_DUMPABLE, 0, 0, 0, 0);
  guest.noteCall("prctl", SET_DUMPABLE, 2, 0, 0, 0);
  guest.noteCall("prctl", SET_DUMPABLE, 0, 0, 0, 0);
  guest.noteCall("prctl", GET_DUMPABLE, 0, 0, 0, 0);
  guest.noteCall("prctl", GET_NO_NEW, 0, 0, 0, 0);
  guest.noteCall("prctl", SET_NO_NEW, 1, 1, 0, 0);
  guest.noteCall("prctl", SET_NO_NEW, 1, 0, 0, 0);
  guest.noteCall("prctl", GET_NO_NEW, 0, 0, 0, 0);
  guest.finish();
}

Deno.test({
  name: "prctl sets and tells what QEMU's does (needs qemu-user)",
  ignore: !hasQemu,
  async fn() {
    const { notes, warnings } = await runGuest(attributes);
    assertEquals(notes, (await askQemu(attributes)).notes);
    assertEquals(warnings, []);
  },
});

Deno.test("machine.comm is the name that the program gave itself", async () => {
  const program = buildGuest((guest) => {
    guest.call("prctl", 15, guest.place("worker\xe9-with-a-tail"), 0, 0, 0);
    guest.finish();
  });
  using machine = createMachine(program, { name: "bin/a-program-of-more-bytes", engine: "ref" });
  assertEquals(machine.comm, "a-program-of-mo");
  await machine.run();
  assertEquals(machine.comm, "workeré-with-a");
  assertEquals(machine.commOf(machine.pid), machine.comm);
});
