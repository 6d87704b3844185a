/**
 * Pipes, eventfds, `poll` and `select` of a Linux program, as QEMU's host has them; and the end of a
 * program that waits for itself.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { askQemu, type GuestText, hasQemu, runGuest } from "./linux_guest.ts";

const O_NONBLOCK = 0o4000, O_CLOEXEC = 0o2000000, EFD_SEMAPHORE = 1;
const F_GETFL = 3, F_SETFL = 4, SEEK_CUR = 1;
const POLLIN = 1, POLLPRI = 2, POLLOUT = 4;
const SIGPIPE = 13, SIG_IGN = 1;

/** Makes a pipe of the next two descriptors, into s2 (to read) and s3 (to write). */
function pipe(guest: GuestText, flags = 0): void {
  const at = guest.place(16);
  guest.noteCall("pipe2", at, flags);
  guest.load("t5", at);
  guest.line("lw s2, 0(t5)");
  guest.line("lw s3, 4(t5)");
}

/** `struct pollfd`s, for descriptors 0 to 7. */
function pollfds(...entries: readonly (readonly [fd: number, events: number])[]): Uint8Array {
  const data = new Uint8Array(Math.ceil(entries.length / 2) * 16);
  const view = new DataView(data.buffer);
  entries.forEach(([fd, events], k) => {
    view.setInt32(k * 8, fd, true);
    view.setInt16(k * 8 + 4, events, true);
  });
  return data;
}

const word = (value: bigint) => new Uint8Array(new BigInt64Array([value]).buffer);
const time = (seconds: bigint, nanoseconds: bigint) =>
  new Uint8Array(new BigInt64Array([seconds, nanoseconds]).buffer);

const PROGRAMS: Readonly<Record<string, (guest: GuestText) => void>> = {
  "reads what it wrote to a pipe": (guest) => {
    const text = guest.place("0123456789abcdef"), room = guest.place(64);
    pipe(guest, O_CLOEXEC);
    guest.note("s2");
    guest.note("s3");
    guest.noteCall("write", "s3", text, 12);
    guest.noteCall("read", "s2", room, 8);
    guest.noteWord(room);
    guest.noteCall("write", "s3", text, 16);
    guest.noteCall("read", "s2", room, 64);
    for (const k of [0, 8, 16]) guest.noteWord(room + k);
    guest.noteCall("read", "s3", room, 8);
    guest.noteCall("write", "s2", text, 8);
    guest.noteCall("lseek", "s2", 0, SEEK_CUR);
    guest.noteCall("pread64", "s2", room, 8, 0);
    guest.noteCall("write", "s3", 8, 8);
    guest.noteCall("write", "s3", text, 4);
    guest.noteCall("dup", "s3");
    guest.line("addi s4, a0, 0");
    guest.noteCall("close", "s3");
    guest.noteCall("write", "s4", text, 2);
    guest.noteCall("close", "s4");
    guest.noteCall("read", "s2", room, 64);
    guest.noteCall("read", "s2", room, 64);
    guest.noteCall("pipe2", 8, 0);
    guest.noteCall("pipe2", room, 1);
  },
  "never waits for a pipe that it asked not to wait for": (guest) => {
    const room = guest.place(0x2000);
    pipe(guest, O_NONBLOCK);
    guest.noteCall("fcntl", "s2", F_GETFL);
    guest.noteCall("fcntl", "s3", F_GETFL);
    guest.noteCall("read", "s2", room, 8);
    for (let k = 0; k < 8; k++) guest.noteCall("write", "s3", room, 0x2000);
    guest.noteCall("write", "s3", room, 1);
    guest.noteCall("read", "s2", room, 4096);
    guest.noteCall("write", "s3", room, 4096);
    guest.noteCall("write", "s3", room, 1);
    pipe(guest);
    guest.noteCall("fcntl", "s2", F_GETFL);
    guest.noteCall("fcntl", "s2", F_SETFL, O_NONBLOCK);
    guest.noteCall("fcntl", "s2", F_GETFL);
    guest.noteCall("read", "s2", room, 8);
  },
  "writes to a pipe that nobody reads": (guest) => {
    pipe(guest);
    const action = guest.place(new Uint8Array(new BigInt64Array([BigInt(SIG_IGN), 0n, 0n]).buffer));
    guest.noteCall("rt_sigaction", SIGPIPE, action, 0, 8);
    guest.noteCall("close", "s2");
    guest.noteCall("write", "s3", guest.place("x"), 1);
  },
  "counts with an eventfd": (guest) => {
    const room = guest.place(32), three = guest.place(word(3n)), most = guest.place(word(-2n));
    const beyond = guest.place(word(-1n));
    for (const flags of [O_NONBLOCK, O_NONBLOCK | EFD_SEMAPHORE]) {
      guest.noteCall("eventfd2", 2, flags);
      guest.line("addi s2, a0, 0");
      guest.noteCall("write", "s2", three, 8);
      for (let k = 0; k < 3; k++) {
        guest.noteCall("read", "s2", room, 16);
        guest.noteWord(room);
      }
      guest.noteCall("read", "s2", room, 7);
      guest.noteCall("write", "s2", three, 4);
      guest.noteCall("write", "s2", beyond, 8);
      guest.noteCall("write", "s2", most, 8);
      guest.noteCall("write", "s2", three, 8);
    }
    guest.noteCall("eventfd2", 0, 8);
  },
  "polls": (guest) => {
    pipe(guest);
    const both = POLLIN | POLLOUT;
    const fds = guest.place(
      pollfds([3, both], [4, both], [-1, both], [77, both], [3, 0], [4, POLLPRI]),
    );
    const zero = guest.place(time(0n, 0n)), later = guest.place(time(0n, 1_000_000n));
    const wrong = guest.place(time(0n, -1n));
    const look = (count: number, timeout: number) => {
      guest.noteCall("ppoll", fds, count, timeout, 0, 8);
      for (let k = 0; k < 6; k++) guest.noteWord(fds + 8 * k);
    };
    look(6, zero);
    look(1, later);
    look(0, zero);
    guest.call("write", "s3", guest.place("abc"), 3);
    look(6, 0);
    guest.call("close", "s3");
    look(6, zero);
    guest.call("read", "s2", guest.place(16), 16);
    look(6, zero);
    guest.noteCall("ppoll", fds, 0, wrong, 0, 8);
    guest.noteCall("ppoll", 8, 2, zero, 0, 8);
    pipe(guest);
    guest.call("close", "s2");
    look(6, zero);
  },
  "selects": (guest) => {
    pipe(guest);
    const zero = guest.place(time(0n, 0n));
    const [reads, writes, urgent] = [0, 0, 0].map(() => guest.place(16)) as [
      number,
      number,
      number,
    ];
    const look = (count: number, sets: readonly [number, number, number], timeout = zero) => {
      const set = (at: number, bits: number) => {
        guest.load("t5", at);
        guest.load("t6", bits);
        guest.line("sd t6, 0(t5)");
      };
      set(reads, sets[0]);
      set(writes, sets[1]);
      set(urgent, sets[2]);
      guest.noteCall("pselect6", count, reads, writes, urgent, timeout, 0);
      for (const at of [reads, writes, urgent]) guest.noteWord(at);
    };
    look(5, [0b11000, 0b11000, 0b11000]);
    guest.call("write", "s3", guest.place("abc"), 3);
    look(5, [0b11000, 0b11000, 0b11000]);
    look(4, [0b11000, 0b11000, 0]);
    look(0, [0b11000, 0b11000, 0]);
    look(70, [1 << 20, 0, 0]);
    look(5, [0b01000, 0, 0], 0);
    guest.noteCall("pselect6", -1, 0, 0, 0, zero, 0);
    guest.noteCall("pselect6", 5, 0, 0, 0, zero, 0);
    guest.noteCall("pselect6", 5, 8, 0, 0, zero, 0);
    guest.call("close", "s3");
    guest.call("read", "s2", guest.place(16), 16);
    look(5, [0b01000, 0, 0]);
  },
};

for (const [what, program] of Object.entries(PROGRAMS)) {
  Deno.test({
    name: `a Linux program ${what} as under QEMU (needs qemu-user)`,
    ignore: !hasQemu,
    async fn() {
      const write = (guest: GuestText) => {
        program(guest);
        guest.finish();
      };
      const { notes, warnings } = await runGuest(write);
      assertEquals(notes, (await askQemu(write)).notes);
      assertEquals(warnings, []);
      assert(notes.length > 0);
    },
  });
}

const WAITS: Readonly<Record<string, (guest: GuestText) => void>> = {
  "reads what it alone could write": (guest) => {
    pipe(guest);
    guest.call("read", "s2", guest.place(16), 1);
  },
  "fills what it alone could read": (guest) => {
    pipe(guest);
    guest.call("write", "s3", 0x20000, 0x10000);
    guest.call("write", "s3", 0x20000, 1);
  },
  "waits for descriptors that it alone could make ready": (guest) => {
    pipe(guest);
    guest.call("ppoll", guest.place(pollfds([3, POLLIN])), 1, 0, 0, 8);
  },
};
for (const [what, program] of Object.entries(WAITS)) {
  Deno.test(`a Linux program ends in a deadlock when its only thread ${what}`, async () => {
    const { outcome } = await runGuest((guest) => {
      program(guest);
      guest.finish();
    });
    assert(outcome.kind === "deadlock");
    assertEquals(outcome.reason, `its only thread ${what}`);
  });
}

Deno.test("an eventfd refuses a buffer that is longer than its 64 bits, as Linux 6.12 does", async () => {
  const { notes } = await runGuest((guest) => {
    guest.call("eventfd2", 0, O_NONBLOCK);
    guest.line("addi s2, a0, 0");
    guest.noteCall("write", "s2", guest.place(word(1n)), 12);
    guest.finish();
  });
  assertEquals(notes, [-22n]);
});

Deno.test("a Linux program's poll lets its time pass", async () => {
  const { notes } = await runGuest((guest) => {
    guest.line("csrrs s2, 0xc01, zero");
    guest.noteCall("ppoll", 0, 0, guest.place(time(3n, 5n)), 0, 8);
    guest.line("csrrs s3, 0xc01, zero");
    guest.line("sub s3, s3, s2");
    guest.note("s3");
    guest.finish();
  });
  assertEquals(notes[0], 0n);
  assert(notes[1]! >= 3_000_000_005n && notes[1]! < 3_000_000_100n);
});
