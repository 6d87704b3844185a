/**
 * Timers of a Linux program and what their signals interrupt, as QEMU's host has them; and that they
 * come at the same instruction on every engine.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { askQemu, type GuestText, hasQemu, runGuest } from "./linux_guest.ts";

const SIGUSR1 = 10, SIGALRM = 14, SIGVTALRM = 26, SIGRTMIN = 34;
const SA_SIGINFO = 4, SA_RESTART = 0x10000000;
const CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, CLOCK_PROCESS_CPUTIME_ID = 2;
const ITIMER_REAL = 0, ITIMER_VIRTUAL = 1;
const O_NONBLOCK = 0o4000;
const UC_PC = 176, UC_S5 = 176 + 8 * 21;

const words = (...values: readonly (bigint | number)[]) =>
  new Uint8Array(new BigInt64Array(values.map((value) => BigInt(value))).buffer);
/** An interval and a time left, each in seconds and micro- or nanoseconds. */
const setting = (left: number, interval = 0) => words(0, interval, 0, left);
const bitOf = (signal: number) => 1n << BigInt(signal - 1);

/** Installs the handler at a label. */
function handle(guest: GuestText, signal: number, label = "handler", flags = SA_SIGINFO): void {
  const action = guest.place(24);
  guest.load("t0", { label });
  guest.load("t1", action);
  guest.line("sd t0, 0(t1)");
  guest.load("t2", flags);
  guest.line("sd t2, 8(t1)");
  guest.call("rt_sigaction", signal, action, 0, 8);
}

function block(guest: GuestText, ...signals: readonly number[]): void {
  const set = signals.reduce((bits, signal) => bits | bitOf(signal), 0n);
  guest.call("rt_sigprocmask", 0, guest.place(words(set)), 0, 8);
}

/** A handler that notes its signal, code and value, and counts in s5. */
function handler(guest: GuestText, more: () => void = () => {}): void {
  guest.line("handler:");
  guest.note("a0");
  guest.line("lw t0, 8(a1)");
  guest.note("t0");
  guest.line("ld t0, 24(a1)");
  guest.note("t0");
  guest.line("addi s5, s5, 1");
  guest.line(`sd s5, ${UC_S5}(a2)`);
  more();
  guest.line("jalr zero, 0(ra)");
}

/** Goes round until the handler has counted to so many. */
function spin(guest: GuestText, count: number): void {
  guest.load("t4", count);
  guest.line(`spin${count}: blt s5, t4, spin${count}`);
}

/** A `struct sigevent`. */
function sigevent(signal: number, notify: number, value: bigint): Uint8Array {
  const data = new Uint8Array(64);
  const view = new DataView(data.buffer);
  view.setBigInt64(0, value, true);
  view.setInt32(8, signal, true);
  view.setInt32(12, notify, true);
  return data;
}

const PROGRAMS: Readonly<Record<string, (guest: GuestText) => void>> = {
  "is interrupted by an interval timer wherever it is": (guest) => {
    handle(guest, SIGALRM);
    guest.noteCall("setitimer", ITIMER_REAL, guest.place(setting(300)), 0);
    guest.line("addi s5, zero, 0");
    spin(guest, 1);
    guest.noteCall("getitimer", ITIMER_REAL, guest.place(32));
    guest.noteCall("setitimer", ITIMER_REAL, guest.place(setting(300, 900_000)), 0);
    spin(guest, 2);
    guest.noteCall("setitimer", ITIMER_REAL, 0, 0);
    guest.note("s5");
    guest.finish();
    handler(guest);
  },
  "is interrupted by its own work": (guest) => {
    handle(guest, SIGVTALRM);
    guest.noteCall("setitimer", ITIMER_VIRTUAL, guest.place(setting(300)), 0);
    guest.line("addi s5, zero, 0");
    spin(guest, 1);
    guest.note("s5");
    guest.finish();
    handler(guest);
  },
  "is refused timers that cannot be": (guest) => {
    const room = guest.place(64), id = guest.place(8);
    for (const which of [-1, 3]) {
      guest.noteCall("setitimer", which, guest.place(setting(1)), 0);
      guest.noteCall("getitimer", which, room);
    }
    guest.noteCall("setitimer", ITIMER_REAL, guest.place(setting(1_000_000)), 0);
    guest.noteCall("setitimer", ITIMER_REAL, guest.place(setting(-1)), 0);
    guest.noteCall("setitimer", ITIMER_REAL, 8, 0);
    guest.noteCall("getitimer", ITIMER_REAL, 8);
    for (const clock of [-1, 12, 77]) guest.noteCall("timer_create", clock, 0, id);
    guest.noteCall("timer_create", CLOCK_MONOTONIC, guest.place(sigevent(65, 0, 0n)), id);
    guest.noteCall("timer_create", CLOCK_MONOTONIC, guest.place(sigevent(10, 8, 0n)), id);
    guest.noteCall("timer_create", CLOCK_MONOTONIC, 0, 8);
    for (const call of ["timer_delete", "timer_getoverrun"]) guest.noteCall(call, 5);
    guest.noteCall("timer_gettime", 5, room);
    guest.noteCall("timer_settime", 5, 0, guest.place(setting(1)), 0);
    guest.noteCall("timerfd_create", CLOCK_PROCESS_CPUTIME_ID, 0);
    guest.noteCall("timerfd_create", CLOCK_MONOTONIC, 1);
    guest.noteCall("timerfd_settime", 0, 0, guest.place(setting(1)), 0);
    guest.noteCall("timerfd_gettime", 99, room);
    guest.finish();
  },
  "sleeps until a timer's signal": (guest) => {
    handle(guest, SIGALRM);
    guest.line("addi s5, zero, 0");
    const alarm = guest.place(setting(300)), long = guest.place(words(5, 0));
    const rest = guest.place(words(77, 0));
    const arm = () => guest.call("setitimer", ITIMER_REAL, alarm, 0);
    arm();
    guest.noteCall("nanosleep", long, rest);
    guest.noteWord(rest);
    arm();
    guest.noteCall("clock_nanosleep", CLOCK_MONOTONIC, 0, long, 0);
    arm();
    guest.noteCall("ppoll", 0, 0, 0, 0, 8);
    arm();
    guest.noteCall("pselect6", 0, 0, 0, 0, long, 0);
    arm();
    guest.noteCall("rt_sigsuspend", guest.place(8), 8);
    guest.note("s5");
    // What nobody would hear of lets the whole time pass.
    handle(guest, SIGALRM, "handler", SA_SIGINFO);
    const action = guest.place(words(1, 0, 0));
    guest.call("rt_sigaction", SIGALRM, action, 0, 8);
    arm();
    guest.noteCall("nanosleep", guest.place(words(0, 9_000_000)), 0);
    guest.finish();
    handler(guest);
  },
  "begins a read again behind a handler that asks for it": (guest) => {
    const at = guest.place(16), text = guest.place("x"), room = guest.place(16);
    const alarm = guest.place(setting(300));
    guest.call("pipe2", at, 0);
    guest.load("t5", at);
    guest.line("lw s2, 0(t5)");
    guest.line("lw s3, 4(t5)");
    guest.line("addi s5, zero, 0");
    for (const flags of [SA_SIGINFO, SA_SIGINFO | SA_RESTART]) {
      handle(guest, SIGALRM, "handler", flags);
      guest.call("setitimer", ITIMER_REAL, alarm, 0);
      guest.noteCall("read", "s2", room, 4);
    }
    guest.finish();
    handler(guest, () => {
      // The first one finds nothing to read; the second writes what the read waits for.
      guest.line("addi s6, ra, 0");
      guest.load("t0", 2);
      guest.line("blt s5, t0, enough");
      guest.call("write", "s3", text, 1);
      guest.line("enough: addi ra, s6, 0");
    });
  },
  "has POSIX timers with values of their own": (guest) => {
    handle(guest, SIGUSR1);
    handle(guest, SIGRTMIN);
    const id = guest.place(8), room = guest.place(32);
    guest.line("addi s5, zero, 0");
    const create = (clock: number, event: Uint8Array) => {
      guest.noteCall("timer_create", clock, guest.place(event), id);
      guest.load("t5", id);
      // QEMU numbers timers in a way of its own.
      guest.line("lw s2, 0(t5)");
    };
    for (const [k, signal] of [SIGUSR1, SIGRTMIN].entries()) {
      create(CLOCK_MONOTONIC, sigevent(signal, 0, 0x1234n));
      guest.noteCall("timer_settime", "s2", 0, guest.place(setting(300_000)), 0);
      spin(guest, k + 1);
      guest.noteCall("timer_getoverrun", "s2");
      guest.noteCall("timer_gettime", "s2", room);
      for (const at of [0, 8, 16, 24]) guest.noteWord(room + at);
    }
    // A moment that is past expires at once.
    guest.noteCall("timer_settime", "s2", 1, guest.place(words(0, 0, 0, 1)), 0);
    spin(guest, 3);
    create(CLOCK_REALTIME, sigevent(0, 1, 0n));
    guest.noteCall("timer_settime", "s2", 0, guest.place(words(7, 0, 100, 0)), 0);
    guest.noteCall("timer_gettime", "s2", room);
    for (const at of [0, 8, 16]) guest.noteWord(room + at);
    guest.noteCall("timer_settime", "s2", 0, guest.place(words(0, 0, 0, 0)), room);
    guest.noteWord(room + 16);
    for (let k = 0; k < 2; k++) guest.noteCall("timer_delete", "s2");
    guest.finish();
    handler(guest);
  },
  "waits for a blocked signal": (guest) => {
    block(guest, SIGALRM, SIGUSR1);
    const info = guest.place(128), set = guest.place(words(bitOf(SIGALRM)));
    const both = guest.place(words(bitOf(SIGALRM) | bitOf(SIGUSR1)));
    guest.noteCall("rt_sigtimedwait", set, info, guest.place(words(0, 1_000_000)), 8);
    guest.call("setitimer", ITIMER_REAL, guest.place(setting(300)), 0);
    guest.noteCall("rt_sigtimedwait", set, info, 0, 8);
    guest.noteWord(info);
    guest.call("getpid");
    guest.line("addi s2, a0, 0");
    const sent = new Uint8Array(128);
    new DataView(sent.buffer).setInt32(0, SIGUSR1, true);
    new DataView(sent.buffer).setInt32(8, -1, true);
    new DataView(sent.buffer).setBigInt64(24, 0x5678n, true);
    guest.noteCall("rt_sigqueueinfo", "s2", SIGUSR1, guest.place(sent));
    guest.noteCall("rt_sigtimedwait", both, info, guest.place(words(0, 0)), 8);
    guest.line("addi t0, zero, 0");
    guest.noteWord(info + 24);
    guest.noteCall("rt_sigtimedwait", both, info, guest.place(words(0, 0)), 8);
    guest.noteCall("rt_sigtimedwait", both, info, guest.place(words(0, 0)), 4);
    guest.noteCall("rt_sigqueueinfo", "s2", 65, info);
    guest.finish();
  },
  "hears in rt_sigsuspend what is blocked otherwise": (guest) => {
    handle(guest, SIGALRM);
    guest.line("addi s5, zero, 0");
    block(guest, SIGALRM);
    guest.call("setitimer", ITIMER_REAL, guest.place(setting(300)), 0);
    guest.noteCall("rt_sigsuspend", guest.place(8), 8);
    const old = guest.place(8);
    guest.call("rt_sigprocmask", 0, 0, old, 8);
    guest.noteWord(old);
    guest.noteCall("rt_sigsuspend", guest.place(8), 4);
    guest.call("setitimer", ITIMER_REAL, guest.place(setting(300)), 0);
    guest.noteCall("ppoll", 0, 0, 0, guest.place(8), 8);
    guest.call("rt_sigprocmask", 0, 0, old, 8);
    guest.noteWord(old);
    guest.finish();
    handler(guest);
  },
  "counts with a timerfd": (guest) => {
    const room = guest.place(32), zero = guest.place(words(0, 0));
    guest.noteCall("timerfd_create", CLOCK_MONOTONIC, O_NONBLOCK);
    guest.line("addi s2, a0, 0");
    guest.noteCall("read", "s2", room, 8);
    guest.noteCall("timerfd_settime", "s2", 0, guest.place(setting(300_000)), 0);
    const poll = guest.place(words(BigInt(3) | 1n << 32n));
    guest.noteCall("ppoll", poll, 1, zero, 0, 8);
    guest.noteCall("ppoll", poll, 1, 0, 0, 8);
    guest.noteWord(poll);
    guest.noteCall("read", "s2", room, 4);
    guest.noteCall("read", "s2", room, 8);
    guest.noteWord(room);
    guest.noteCall("read", "s2", room, 8);
    guest.noteCall("timerfd_settime", "s2", 4, guest.place(setting(1)), 0);
    guest.noteCall("write", "s2", room, 8);
    guest.noteCall("timerfd_create", CLOCK_REALTIME, 0);
    guest.line("addi s3, a0, 0");
    guest.noteCall("timerfd_settime", "s3", 0, guest.place(setting(1_000_000)), 0);
    guest.noteCall("read", "s3", room, 8);
    guest.noteWord(room);
    guest.noteCall("timerfd_gettime", "s3", room);
    for (const at of [0, 8, 16, 24]) guest.noteWord(room + at);
    guest.finish();
  },
};

for (const [what, program] of Object.entries(PROGRAMS)) {
  Deno.test({
    name: `a Linux program ${what} as under QEMU (needs qemu-user)`,
    ignore: !hasQemu,
    async fn() {
      const { notes, warnings, outcome } = await runGuest(program);
      assertEquals(warnings, []);
      assertEquals(outcome, { kind: "exit", code: 0 });
      assertEquals(notes, (await askQemu(program)).notes);
      assert(notes.length > 0);
    },
  });
}

Deno.test("Timers count what passes while a signal is blocked as its overrun", async () => {
  const { notes } = await runGuest((guest) => {
    const id = guest.place(8), info = guest.place(128);
    block(guest, SIGUSR1);
    guest.call("timer_create", CLOCK_MONOTONIC, guest.place(sigevent(SIGUSR1, 0, 9n)), id);
    guest.call("timer_settime", 0, 0, guest.place(setting(1_000_000, 1_000_000)), 0);
    guest.call("nanosleep", guest.place(words(0, 5_500_000)), 0);
    guest.noteCall("rt_sigtimedwait", guest.place(words(bitOf(SIGUSR1))), info, 0, 8);
    guest.load("t0", info);
    guest.line("lw t1, 20(t0)");
    guest.note("t1");
    guest.noteCall("timer_getoverrun", 0);
    guest.finish();
  });
  assertEquals(notes, [BigInt(SIGUSR1), 4n, 4n]);
});

Deno.test("Timers kill with SIGALRM when nobody handles it, and a wait that nothing ends is a deadlock", async () => {
  const alarm = (guest: GuestText) =>
    guest.call("setitimer", ITIMER_REAL, guest.place(setting(300)), 0);
  const killed = await runGuest((guest) => {
    alarm(guest);
    guest.line("round: beq zero, zero, round");
  });
  assert(killed.outcome.kind === "signal");
  assertEquals(killed.outcome.name, "SIGALRM");
  const stuck = await runGuest((guest) => {
    block(guest, SIGALRM);
    alarm(guest);
    guest.call("ppoll", 0, 0, 0, 0, 8);
  });
  assertEquals(stuck.outcome.kind, "deadlock");
});

/** Notes at which instruction each signal came: how far a counter was. */
function counting(guest: GuestText): void {
  handle(guest, SIGALRM);
  guest.line("addi s5, zero, 0");
  guest.line("addi s6, zero, 0");
  guest.call("setitimer", ITIMER_REAL, guest.place(setting(7, 13)), 0);
  guest.load("t4", 20);
  guest.line("round: addi s6, s6, 1");
  guest.line("blt s5, t4, round");
  guest.note("s6");
  guest.finish();
  guest.line("handler:");
  guest.note("s6");
  guest.line(`ld t0, ${UC_PC}(a2)`);
  guest.note("t0");
  guest.line("addi s5, s5, 1");
  guest.line(`sd s5, ${UC_S5}(a2)`);
  guest.line("jalr zero, 0(ra)");
}

Deno.test("Timers come at the same instruction on every engine", async () => {
  const [first, second] = [
    await runGuest(counting, { engine: "ref" }),
    await runGuest(counting, { engine: "interp" }),
  ];
  assert(first.notes.length > 20);
  assertEquals(first.notes, second.notes);
});
