/**
 * Devices as rows of a board's table: a made-up one beside the board's own, and firmware for it.
 *
 * @module
 */
import { ENGINE_NAMES } from "../../../lib/engine/engines.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { BoardMap, DeviceRow } from "../../../lib/machine/board/device.ts";
import { VIRT } from "../../../lib/machine/board/virt.ts";
import { createMachine, type Machine, type MachineOptions } from "../../../lib/machine/machine.ts";
import { BARE, buildBare, la } from "../../program/elf_builder.ts";

const ALARM_START = 0x20000000;
/** Offsets of the alarm's registers. */
const DELAY = 0, RINGING = 8;
const EXTERNAL = 11;

/** An alarm clock, all of it: it rings a number of nanoseconds behind a store to its first word. */
const ALARM: DeviceRow = {
  name: "alarm",
  compatible: ["test,alarm"],
  regions: [{ start: ALARM_START, size: 0x1000 }],
  interrupts: () => [{ hart: 0, interrupt: EXTERNAL }],
  create({ harts, lines }) {
    /** On the time of the hart that set it. */
    let due: { readonly hart: number; readonly at: bigint } | undefined;
    let ringing = false;
    const ring = (on: boolean) => {
      ringing = on;
      lines[0]!.set(on);
    };
    return {
      read: (offset) => offset === RINGING && ringing ? 1n : 0n,
      write(offset, _bytes, value, hart) {
        if (offset === DELAY) due = { hart, at: harts[hart]!.now() + value };
        else if (offset === RINGING) ring(value !== 0n);
        else return false;
        return true;
      },
      nextEvent: ({ id }) => due?.hart === id ? due.at : undefined,
      advance() {
        due = undefined;
        ring(true);
      },
    };
  },
};

const WITH_ALARM: BoardMap = { ...VIRT, devices: [...VIRT.devices, ALARM] };

/** Sets the alarm, does `meanwhile` until it rings, and keeps what its handler saw. */
const firmware = (delay: number, meanwhile: string) => `
_start:
  ${la("t0", "handler")}
  csrw mtvec, t0
  li t0, ${1 << EXTERNAL}
  csrw mie, t0
  csrsi mstatus, 8
  li s1, ${ALARM_START}
  ${la("s3", "data")}
  li t0, ${delay}
  csrr s0, time
  sd t0, ${DELAY}(s1)
again:
  ${meanwhile}
  j again
.align 2
handler:
  csrr s2, time
  ld a0, ${RINGING}(s1)
  sd zero, ${RINGING}(s1)
  ld a1, ${RINGING}(s1)
  csrr a2, mcause
  sub s2, s2, s0
  sd s2, 0(s3)
  sd a0, 8(s3)
  sd a1, 16(s3)
  sd a2, 24(s3)
  li t0, 0x100000
  li t1, 0x5555
  sw t1, 0(t0)
`;

/** Runs firmware; gives the first four words of its data. */
async function run(source: string, options: MachineOptions): Promise<bigint[]> {
  const machine = createMachine(buildBare(source, { data: new Uint8Array(64) }), {
    machine: "bare",
    ...options,
  });
  assertEquals(await machine.run({ limit: 1_000_000n }), { kind: "exit", code: 0 });
  return [0, 1, 2, 3].map((k) => word(machine, BARE.data + 8 * k));
}

function word({ space }: Machine, address: number): bigint {
  return space.readWord(BigInt(address), 8)!;
}

for (const engine of ENGINE_NAMES) {
  for (const [doing, meanwhile] of [["runs", "addi a5, a5, 1"], ["waits", "wfi"]] as const) {
    for (const delay of [2, 3, 100, 4096, 70_001]) {
      Deno.test(`a device of one row interrupts ${delay} ns after it was asked while ${engine} ${doing}`, async () => {
        const board = WITH_ALARM;
        const words = await run(firmware(delay, meanwhile), { engine, board });
        // `time` was read one instruction before the store, and is in the handler's first.
        assertEquals(words, [BigInt(delay) + 1n, 1n, 0n, 1n << 63n | BigInt(EXTERNAL)]);
      });
    }
  }
}

Deno.test("a device of one row interrupts at the same nanosecond with another hart beside, whatever the seed", async () => {
  const source = firmware(5000, "addi a5, a5, 1").replace(
    "_start:",
    "_start:\nbeqz a0, first\naside:\nj aside\nfirst:",
  );
  for (const seed of [0n, 1n, 2n]) {
    const words = await run(source, { board: WITH_ALARM, harts: 2, seed });
    assertEquals(words[0], 5001n);
  }
});

Deno.test("a register that a device refuses is an access fault", async () => {
  const source = `_start:\n${la("t0", "handler")}csrw mtvec, t0\nli s1, ${ALARM_START}
    sd zero, 16(s1)\n.align 2\nhandler:\ncsrr a0, mcause\ncsrr a1, mtval\nli t0, 0x100000
    li t1, 0x5555\nsw t1, 0(t0)`;
  const machine = createMachine(buildBare(source), { machine: "bare", board: WITH_ALARM });
  assertEquals(await machine.run({ limit: 100n }), { kind: "exit", code: 0 });
  assertEquals(
    machine.harts[0]!.x.slice(10, 12),
    new BigInt64Array([7n, BigInt(ALARM_START + 16)]),
  );
});

Deno.test("an input stays up until the last of two lines to it has fallen", () => {
  const set: ((up: boolean) => void)[] = [];
  const wire = (name: string): DeviceRow => ({
    name,
    compatible: [],
    regions: [],
    interrupts: () => [{ hart: 0, interrupt: EXTERNAL }],
    create({ lines }) {
      set.push((up) => lines[0]!.set(up));
      return {};
    },
  });
  const board: BoardMap = { ...VIRT, devices: [wire("one"), wire("two")] };
  const machine = createMachine(buildBare("_start:\nret"), { machine: "bare", board });
  const isUp = () => (machine.harts[0]!.system!.mip >> BigInt(EXTERNAL) & 1n) === 1n;
  const seen = [[0, true], [0, true], [1, true], [0, false], [1, false]] as const;
  assertEquals(
    seen.map(([which, up]) => {
      set[which]!(up);
      return isUp();
    }),
    [true, true, true, true, false],
  );
});

Deno.test("a device is called behind stores to its word of RAM, beside the host interface", async () => {
  const seen: bigint[] = [];
  const doorbell: DeviceRow = {
    name: "doorbell",
    compatible: ["test,doorbell"],
    regions: [],
    interrupts: () => [],
    create: ({ watchStores, space }) => {
      watchStores(BARE.data + 8, () => seen.push(space.readWord(BigInt(BARE.data + 8), 8)!));
      return {};
    },
  };
  const source = `_start:\n${la("s0", "data")}li a0, 5\nsd a0, 8(s0)\nsd a0, 16(s0)\nsd a0, 0(s0)
    li a0, 7\nsw a0, 12(s0)\n${la("t0", "tohost")}li a0, 1\nsd a0, 0(t0)`;
  for (const devices of [[doorbell, ...VIRT.devices], [...VIRT.devices, doorbell]]) {
    seen.length = 0;
    const machine = createMachine(buildBare(source, { data: new Uint8Array(32) }), {
      machine: "bare",
      board: { ...VIRT, devices },
    });
    assertEquals(await machine.run({ limit: 100n }), { kind: "exit", code: 0 });
    assertEquals(seen, [5n, 7n << 32n | 5n]);
  }
});

Deno.test("createMachine() refuses a board on which two things want the same addresses", () => {
  const at = (start: number): BoardMap => ({
    ...VIRT,
    devices: [...VIRT.devices, { ...ALARM, regions: [{ start, size: 0x1000 }] }],
  });
  for (
    const [start, other] of [
      [0x2000ff8, "clint"],
      [0x80000000, "RAM"],
      [0x10000000 - 8, "serial"],
    ] as const
  ) {
    assertThrows(
      () => createMachine(buildBare("_start:\nret"), { machine: "bare", board: at(start) }),
      RangeError,
      `Cannot put alarm at 0x${start.toString(16)}: ${other} is there`,
    );
  }
});

Deno.test("createMachine() puts the tracing range where no device is", () => {
  const devices = [...VIRT.devices, { ...ALARM, regions: [{ start: 0x7fff0000, size: 0x1000 }] }];
  using machine = createMachine(buildBare("_start:\nret"), {
    machine: "bare",
    board: { ...VIRT, devices },
  });
  const { reserved, end } = machine.tracing;
  assert(end <= 0x7fff0000 || reserved >= 0x7fff1000);
});

Deno.test("createMachine() refuses a board when a line leads to a hart that is not there", () => {
  const row = { ...ALARM, interrupts: () => [{ hart: 1, interrupt: EXTERNAL }] };
  assertThrows(
    () =>
      createMachine(buildBare("_start:\nret"), {
        machine: "bare",
        board: { ...VIRT, devices: [row] },
      }),
    RangeError,
    "Cannot connect a line to hart 1",
  );
});

Deno.test("Machine.run() says which device's event does not pass, instead of running for ever", async () => {
  const stuck: DeviceRow = {
    ...ALARM,
    create() {
      let due: bigint | undefined;
      return {
        write: () => (due = 10n) > 0n,
        nextEvent: () => due,
        advance: () => {},
      };
    },
  };
  const board = { ...VIRT, devices: [...VIRT.devices, stuck] };
  const source = `_start:\nli s1, ${ALARM_START}\nagain:\nsd zero, 0(s1)\nj again`;
  const machine = createMachine(buildBare(source), { machine: "bare", board });
  await assertRejects(
    () => machine.run({ limit: 1000n }),
    RangeError,
    "Cannot go on: the event of alarm at 10 ns has happened and is still due",
  );
});

Deno.test("every device of the board says what a device tree needs of it", () => {
  for (const { name, compatible, regions, interrupts } of VIRT.devices) {
    assert(name !== "" && compatible.length > 0, name);
    for (const { start, size } of regions) assert(start % 0x100 === 0 && size > 0, name);
    for (const input of interrupts(4)) assert("source" in input || input.hart < 4, name);
  }
  const [clint] = VIRT.devices;
  assertEquals(
    clint!.interrupts(2),
    [[0, 3], [0, 7], [1, 3], [1, 7]].map(([hart, interrupt]) => ({
      hart: hart!,
      interrupt: interrupt!,
    })),
  );
});
