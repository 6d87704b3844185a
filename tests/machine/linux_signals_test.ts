/**
 * Signals of a Linux process: frames, masks, alternate stacks, and how it is killed.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { askQemu, type GuestText, hasQemu, runGuest } from "./linux_guest.ts";

const SIGILL = 4, SIGTRAP = 5, SIGABRT = 6, SIGUSR1 = 10, SIGSEGV = 11, SIGUSR2 = 12, SIGCHLD = 17;
const SA_SIGINFO = 4, SA_ONSTACK = 0x08000000, SA_NODEFER = 0x40000000, SA_RESETHAND = 0x80000000;
const SS_DISABLE = 2;
/** Offsets from the ucontext that a handler gets in a2. */
const UC_STACK_FLAGS = 24, UC_MASK = 40, UC_PC = 176, UC_A3 = 176 + 8 * 13, UC_F8 = 432 + 8 * 8;

/** Installs the handler at a label. */
function handle(
  guest: GuestText,
  signal: number,
  label: string,
  flags = SA_SIGINFO,
  mask = 0n,
): void {
  const action = guest.place(24);
  guest.load("t0", { label });
  guest.load("t1", action);
  guest.line("sd t0, 0(t1)");
  guest.load("t2", flags);
  guest.line("sd t2, 8(t1)");
  guest.load("t2", mask);
  guest.line("sd t2, 16(t1)");
  guest.call("rt_sigaction", signal, action, 0, 8);
}

/** Sends itself a signal. */
function raise(guest: GuestText, signal: number): void {
  guest.call("gettid");
  guest.line("addi s3, a0, 0");
  guest.call("getpid");
  guest.call("tgkill", undefined, "s3", signal);
}

/** Changes the mask: SIG_BLOCK 0, SIG_UNBLOCK 1, SIG_SETMASK 2. */
function mask(guest: GuestText, how: number, ...signals: readonly number[]): void {
  const set = signals.reduce((bits, signal) => bits | 1n << BigInt(signal - 1), 0n);
  const at = guest.place(new Uint8Array(new BigUint64Array([set]).buffer));
  guest.call("rt_sigprocmask", how, at, 0, 8);
}

/** Loads from an address; the handler notes what it is told and goes on behind the load. */
function faultAt(address: bigint): (guest: GuestText) => void {
  return (guest) => {
    handle(guest, SIGSEGV, "handler");
    guest.load("s4", address);
    guest.load("a3", 0x1234);
    guest.line("fcvt.d.l fs0, a3");
    guest.line("fault: ld a5, 0(s4)");
    guest.note("a3");
    guest.line("fmv.x.d a4, fs0");
    guest.note("a4");
    guest.finish(3);

    guest.line("handler:");
    guest.note("a0");
    guest.line("lw t0, 8(a1)");
    guest.note("t0");
    guest.line("ld t0, 16(a1)");
    guest.note("t0");
    guest.line(`ld t0, ${UC_PC}(a2)`);
    guest.load("t1", { label: "fault" });
    guest.line("sub t1, t0, t1");
    guest.note("t1");
    // On behind the load, with another a3 and another fs0.
    guest.line("addi t0, t0, 4");
    guest.line(`sd t0, ${UC_PC}(a2)`);
    guest.line(`ld t0, ${UC_A3}(a2)`);
    guest.line("addi t0, t0, 1");
    guest.line(`sd t0, ${UC_A3}(a2)`);
    guest.line(`ld t0, ${UC_F8}(a2)`);
    guest.line("addi t0, t0, 2");
    guest.line(`sd t0, ${UC_F8}(a2)`);
    guest.line("jalr zero, 0(ra)");
  };
}

const DOUBLE_4660 = 0x40b2340000000000n;

Deno.test("Signals.deliverTrap() tells a handler code and address, and takes registers back from its frame, when a page is unmapped", async () => {
  const { outcome, notes } = await runGuest(faultAt(0x12345678n));
  assertEquals(notes, [11n, 1n, 0x12345678n, 0n, 0x1235n, DOUBLE_4660 + 2n]);
  assertEquals(outcome, { kind: "exit", code: 3 });
});

Deno.test("Signals.deliverTrap() says SEGV_ACCERR when the page is there but not readable", async () => {
  const { notes } = await runGuest((guest) => {
    const PROT_NONE = 0, PRIVATE_ANONYMOUS = 0x22;
    guest.call("mmap", 0x50000000, 4096, PROT_NONE, PRIVATE_ANONYMOUS, -1, 0);
    faultAt(0x50000008n)(guest);
  });
  assertEquals(notes.slice(0, 3), [11n, 2n, 0x50000008n]);
});

Deno.test("Signals.deliverTrap() gives the whole address when it is above 4 GiB", async () => {
  const { notes } = await runGuest(faultAt(0x7fff_1234_5678n));
  assertEquals(notes.slice(0, 3), [11n, 1n, 0x7fff_1234_5678n]);
});

/** What happens for each of the traps, as the handlers note it. */
function traps(guest: GuestText): void {
  handle(guest, SIGILL, "handler");
  handle(guest, SIGTRAP, "handler");
  // There is no CSR of that number.
  guest.line("csrrw zero, 0x800, t0");
  guest.line("ebreak");
  guest.finish();
  guest.line("handler:");
  guest.note("a0");
  guest.line("lw t0, 8(a1)");
  guest.note("t0");
  guest.line(`ld t0, ${UC_PC}(a2)`);
  guest.line("ld t1, 16(a1)");
  guest.line("sub t1, t1, t0");
  guest.note("t1");
  guest.line("addi t0, t0, 4");
  guest.line(`sd t0, ${UC_PC}(a2)`);
  guest.line("jalr zero, 0(ra)");
}

Deno.test("Signals.deliverTrap() gives SIGILL and SIGTRAP the instruction's own address", async () => {
  const { notes } = await runGuest(traps);
  assertEquals(notes, [4n, 1n, 0n, 5n, 1n, 0n]);
});

Deno.test("Signals.deliverTrap() sends SIGBUS with BUS_ADRALN when an atomic is misaligned", async () => {
  const { outcome } = await runGuest((guest) => {
    guest.load("a0", guest.place(16) + 1);
    guest.line("amoadd.w a1, a2, (a0)");
  });
  assert(outcome.kind === "signal");
  assertEquals([outcome.name, outcome.signal], ["SIGBUS", 7]);
});

/** Two signals, blocked while sent; SIGUSR1 twice. */
function blocked(guest: GuestText): void {
  handle(guest, SIGUSR1, "first");
  handle(guest, SIGUSR2, "second");
  mask(guest, 0, SIGUSR1, SIGUSR2);
  raise(guest, SIGUSR2);
  raise(guest, SIGUSR1);
  raise(guest, SIGUSR1);
  const pending = guest.place(8);
  guest.call("rt_sigpending", pending, 8);
  guest.noteWord(pending);
  mask(guest, 1, SIGUSR1, SIGUSR2);
  guest.load("a0", 99);
  guest.note();
  guest.finish();
  for (const label of ["first", "second"]) {
    guest.line(`${label}:`);
    guest.note("a0");
    guest.line(`ld t0, ${UC_MASK}(a2)`);
    guest.note("t0");
    guest.line("jalr zero, 0(ra)");
  }
}

Deno.test("Signals.deliverPending() delivers each standard signal once when it is unblocked, the lowest innermost", async () => {
  const { notes } = await runGuest(blocked);
  const first = 1n << 9n, second = 1n << 11n;
  // SIGUSR1's frame is built first, so SIGUSR2's handler runs first and sees SIGUSR1 masked.
  assertEquals(notes, [first | second, 12n, first, 10n, 0n, 99n]);
});

Deno.test("Signals.deliverPending() masks the signal and sa_mask during a handler when SA_NODEFER is not set", async () => {
  const { notes } = await runGuest((guest) => {
    const old = guest.place(8);
    handle(guest, SIGUSR1, "handler", SA_SIGINFO, 1n << 20n);
    raise(guest, SIGUSR1);
    handle(guest, SIGUSR1, "handler", SA_SIGINFO | SA_NODEFER, 1n << 20n);
    raise(guest, SIGUSR1);
    guest.call("rt_sigprocmask", 0, 0, old, 8);
    guest.noteWord(old);
    guest.finish();
    guest.line("handler:");
    guest.call("rt_sigprocmask", 0, 0, old, 8);
    guest.noteWord(old);
    guest.line("jalr zero, 0(ra)");
  });
  assertEquals(notes, [1n << 20n | 1n << 9n, 1n << 20n, 0n]);
});

Deno.test("Signals.deliverPending() forgets the handler after its first call when SA_RESETHAND is set", async () => {
  const { outcome, stderr } = await runGuest((guest) => {
    const text = guest.place("x");
    handle(guest, SIGUSR1, "handler", SA_SIGINFO | SA_RESETHAND);
    raise(guest, SIGUSR1);
    raise(guest, SIGUSR1);
    guest.finish();
    guest.line("handler:");
    guest.call("write", 2, text, 1);
    guest.line("jalr zero, 0(ra)");
  });
  assertEquals(stderr, "x");
  assert(outcome.kind === "signal");
  assertEquals(outcome.name, "SIGUSR1");
});

Deno.test("Signals.send() does nothing when the signal is ignored by default", async () => {
  const { outcome } = await runGuest((guest) => {
    raise(guest, SIGCHLD);
    guest.finish(5);
  });
  assertEquals(outcome, { kind: "exit", code: 5 });
});

Deno.test("Signals.send() kills with the signal's name when nothing handles it", async () => {
  const { outcome } = await runGuest((guest) => raise(guest, SIGABRT));
  assert(outcome.kind === "signal");
  assertEquals([outcome.signal, outcome.name, outcome.trap], [6, "SIGABRT", undefined]);
});

/** Notes the flags of a `stack_t`, an int with four bytes of padding behind it. */
function noteFlags(guest: GuestText, description: number): void {
  guest.load("t0", description);
  guest.line("lw t0, 8(t0)");
  guest.note("t0");
}

/** A SIGSEGV handler on an alternate stack, for a stack pointer that leads nowhere. */
function overflow(guest: GuestText): void {
  const stack = guest.place(8192), description = guest.place(24), old = guest.place(24);
  guest.load("t0", stack);
  guest.load("t1", description);
  guest.line("sd t0, 0(t1)");
  guest.load("t0", 8192);
  guest.line("sd t0, 16(t1)");
  guest.call("sigaltstack", 0, old);
  noteFlags(guest, old);
  guest.noteCall("sigaltstack", description, 0);
  handle(guest, SIGSEGV, "handler", SA_SIGINFO | SA_ONSTACK);
  guest.load("sp", 0x100);
  guest.line("sd zero, 0(sp)");
  guest.line("handler:");
  guest.load("t0", stack);
  guest.line("sub t1, sp, t0");
  guest.line("srli t1, t1, 13");
  guest.note("t1");
  guest.line(`lw t0, ${UC_STACK_FLAGS}(a2)`);
  guest.note("t0");
  // It may not be changed while it is in use, and says that it is.
  guest.noteCall("sigaltstack", description, 0);
  guest.call("sigaltstack", 0, old);
  noteFlags(guest, old);
  guest.finish();
}

Deno.test("Signals.alternateStack() carries a handler when the stack pointer leads nowhere", async () => {
  const { notes } = await runGuest(overflow);
  assertEquals(notes, [BigInt(SS_DISABLE), 0n, 0n, 0n, -1n, 1n]);
});

/** A signal while the alternate stack is in use, which the handler moves to `offset` in it. */
function nested(offset: number): (guest: GuestText) => void {
  return (guest) => {
    guest.place(4096);
    const stack = guest.place(8192);
    guest.load("t0", stack);
    guest.load("t1", guest.place(24));
    guest.line("sd t0, 0(t1)");
    guest.load("t0", 8192);
    guest.line("sd t0, 16(t1)");
    guest.call("sigaltstack", "t1", 0);
    handle(guest, SIGUSR1, "outer", SA_SIGINFO | SA_ONSTACK);
    handle(guest, SIGUSR2, "inner", SA_SIGINFO | SA_ONSTACK);
    raise(guest, SIGUSR1);
    guest.finish();

    guest.line("outer:");
    guest.line("addi s5, sp, 0");
    guest.line("addi s6, ra, 0");
    guest.line(`lw t0, ${UC_STACK_FLAGS}(a2)`);
    guest.note("t0");
    guest.load("sp", stack + offset);
    raise(guest, SIGUSR2);
    guest.line("addi sp, s5, 0");
    guest.line("jalr zero, 0(s6)");

    guest.line("inner:");
    guest.line(`lw t0, ${UC_STACK_FLAGS}(a2)`);
    guest.note("t0");
    guest.load("t0", stack);
    guest.line("sub t0, sp, t0");
    guest.note("t0");
    guest.line("jalr zero, 0(ra)");
  };
}

Deno.test("Signals.deliverPending() goes on below the interrupted frame when the alternate stack is in use", async () => {
  const { notes, outcome } = await runGuest(nested(4096));
  // sizeof(struct rt_sigframe) in Linux is 1088; QEMU's is shorter, it has no room for quads.
  assertEquals(notes, [0n, 1n, 4096n - 1088n]);
  assertEquals(outcome, { kind: "exit", code: 0 });
});

Deno.test("Signals.deliverPending() kills when a frame would leave the alternate stack", async () => {
  // What lies below it could be written.
  const { outcome } = await runGuest(nested(1024));
  assertEquals(outcome.kind === "signal" && outcome.name, "SIGSEGV");
});

Deno.test("Signals.deliverTrap() kills when no frame can be written, handler or not", async () => {
  const { outcome } = await runGuest((guest) => {
    handle(guest, SIGSEGV, "handler");
    guest.load("sp", 0x100);
    guest.line("fault: sd zero, 0(sp)");
    guest.line("handler:");
    guest.finish();
  });
  assert(outcome.kind === "signal");
  assertEquals([outcome.name, outcome.trap?.value], ["SIGSEGV", 0x100n]);
});

Deno.test("Signals.deliverTrap() kills when the signal is blocked", async () => {
  const { outcome } = await runGuest((guest) => {
    handle(guest, SIGSEGV, "handler");
    mask(guest, 0, SIGSEGV);
    guest.line("ld a0, 0(zero)");
    guest.line("handler:");
    guest.finish();
  });
  assertEquals(outcome.kind === "signal" && outcome.name, "SIGSEGV");
});

const COMPARED: readonly (readonly [string, (guest: GuestText) => void])[] = [
  ["a fault", faultAt(0x12345678n)],
  ["traps", traps],
  ["blocked signals", blocked],
  ["an alternate stack", overflow],
];
for (const [what, program] of COMPARED) {
  Deno.test({
    name: `createLinux() notes what QEMU notes for ${what} (needs qemu-user)`,
    ignore: !hasQemu,
    async fn() {
      assertEquals((await runGuest(program)).notes, (await askQemu(program)).notes);
    },
  });
}
