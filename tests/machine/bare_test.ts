/**
 * Firmware: what it sees of the host, of machine mode, and how it ends.
 *
 * @module
 */
import { ENGINE_NAMES } from "../../lib/engine/engines.ts";
import { assert, assertEquals } from "@std/assert";
import { createMachine, type Machine, type MachineOptions } from "../../lib/machine/machine.ts";
import { readExpected, readProgram } from "../fixtures/expected.ts";
import { BARE, buildBare, la, words64 } from "../program/elf_builder.ts";

/** A machine with its output collected; on the reference unless told otherwise. */
function machineOf(
  program: Uint8Array,
  options: MachineOptions = {},
): { readonly machine: Machine; readonly printed: () => string; readonly warned: string[] } {
  let printed = "";
  const warned: string[] = [];
  const decoder = new TextDecoder();
  const machine = createMachine(program, {
    engine: "ref",
    stdout: (data) => void (printed += decoder.decode(data)),
    stderr: (data) => void (printed += `[stderr: ${decoder.decode(data)}]`),
    warn: (line) => void warned.push(line),
    ...options,
  });
  return { machine, printed: () => printed, warned };
}

/** The 64-bit word at `address`. */
function word({ memory }: Machine, address: number): bigint {
  return memory.view.getBigUint64(address, true);
}

/** Stores the words of `data` into tohost one after the other, then waits for ever. */
const STORE_WORDS = `
_start:
  ${la("t0", "tohost")}
  ${la("t2", "data")}
next:
  ld t1, 0(t2)
  sd t1, 0(t0)
  addi t2, t2, 8
  j next
`;

for (const [value, code] of [[1n, 0], [3n, 1], [11n, 5], [0x1ffn, 255], [0x201n, 255]] as const) {
  Deno.test(`createBare() ends with exit code ${code} when ${value} is stored to tohost`, async () => {
    const { machine } = machineOf(buildBare(STORE_WORDS, { data: words64(value) }));
    assertEquals(await machine.run({ limit: 1000n }), { kind: "exit", code });
  });
}

Deno.test("createBare() prints a character for each command of device 1 when it is stored to tohost", async () => {
  const commands = [..."Hi\n"].map((letter) => 0x0101n << 48n | BigInt(letter.charCodeAt(0)));
  const { machine, printed } = machineOf(
    buildBare(STORE_WORDS, { data: words64(...commands, 0n, 1n) }),
  );
  assertEquals(await machine.run({ limit: 1000n }), { kind: "exit", code: 0 });
  assertEquals(printed(), "Hi\n");
  assertEquals(word(machine, BARE.fromhost) >> 48n, 0x0101n, "the device has answered");
});

Deno.test("createBare() takes a command at the moment of its store when the guest waits for tohost to be 0", async () => {
  const source = `
  _start:
    ${la("t0", "tohost")}
    ${la("t2", "data")}
    ld t1, 0(t2)
    sd t1, 0(t0)
    ld a1, 0(t0)
    ld a2, 8(t0)
    sd zero, 8(t0)
    ld a3, 8(t0)
    li t1, 1
    sd t1, 0(t0)
  `;
  const { machine } = machineOf(buildBare(source, { data: words64(0x0101n << 48n | 65n) }));
  await machine.run({ limit: 100n });
  const { x, instret } = machine.harts[0]!;
  assertEquals(x[11], 0n, "tohost is 0 again");
  assert(x[12] !== 0n, "fromhost holds the answer");
  assertEquals(x[13], 0n, "and can be cleared");
  assertEquals(instret, 12n, "each store counts once");
});

/** Makes one system call with the block at data + 64, and keeps what comes back in a4, a5. */
const CALL = `
_start:
  ${la("t0", "tohost")}
  ${la("t2", "data")}
  sd t2, 0(t0)
  ld a4, 8(t0)
  ld a5, 0(t2)
  li t1, 1
  sd t1, 0(t0)
`;

const TEXT_AT = BigInt(BARE.data + 64);
/** A block, and a text behind it. */
function call(...block: readonly bigint[]): Uint8Array {
  const data = new Uint8Array(128);
  data.set(words64(...block));
  data.set(new TextEncoder().encode("text"), 64);
  return data;
}

Deno.test("createBare() answers a system call block by its first word and fromhost 1 when it is write", async () => {
  const cases: readonly [readonly bigint[], bigint, string][] = [
    [[64n, 1n, TEXT_AT, 4n], 4n, "text"],
    [[64n, 2n, TEXT_AT, 2n], 2n, "[stderr: te]"],
    [[64n, 3n, TEXT_AT, 4n], -9n, ""],
    [[64n, 1n, 0x1000n, 4n], -14n, ""],
    [[64n, 1n, TEXT_AT, 1n << 32n], -14n, ""],
    [[64n, 1n, TEXT_AT, 0n], 0n, ""],
  ];
  for (const [block, result, output] of cases) {
    const { machine, printed } = machineOf(buildBare(CALL, { data: call(...block) }));
    assertEquals(await machine.run({ limit: 100n }), { kind: "exit", code: 0 });
    const { x } = machine.harts[0]!;
    assertEquals([x[14], x[15], printed()], [1n, result, output], block.join(" "));
  }
});

Deno.test("createBare() ends with the block's argument when the system call is exit", async () => {
  const { machine } = machineOf(buildBare(CALL, { data: call(93n, 42n) }));
  assertEquals(await machine.run({ limit: 100n }), { kind: "exit", code: 42 });
});

Deno.test("createBare() gives ENOSYS and says so once when it does not know a system call", async () => {
  const twice = CALL.replace("ld a4", "li t3, 57\nsd t3, 0(t2)\nsd t2, 0(t0)\nld a4");
  const { machine, warned } = machineOf(buildBare(twice, { data: call(57n, 1n) }));
  assertEquals(await machine.run({ limit: 100n }), { kind: "exit", code: 0 });
  assertEquals(machine.harts[0]!.x[15], -38n);
  assertEquals(warned.length, 1);
  assert(warned[0]!.startsWith("system call 57 "), warned[0]);
});

Deno.test("Machine.signature() gives the words between its symbols when a program has them", async () => {
  const data = words64(0xfeedf00dn, 0n, -1n);
  const symbols = { begin_signature: BigInt(BARE.data), end_signature: BigInt(BARE.data + 16) };
  const { machine } = machineOf(buildBare(STORE_WORDS, { data, symbols }));
  assertEquals(machine.signature(), "00000000feedf00d\n0000000000000000\n");
  const odd = { begin_signature: BigInt(BARE.data), end_signature: BigInt(BARE.data + 18) };
  const padded = machineOf(buildBare(STORE_WORDS, { data, symbols: odd })).machine;
  assertEquals(
    padded.signature(),
    "00000000feedf00d\n0000000000000000\n000000000000ffff\n",
  );
  const without = machineOf(buildBare(STORE_WORDS));
  assertEquals(without.machine.signature(), undefined);
  const { bytes } = await readProgram("hello_bare_p84");
  const hello = machineOf(bytes).machine;
  await hello.run();
  // 1² + … + 4² = 30, 1² + … + 10² = 385.
  assertEquals(
    hello.signature(),
    [0xfeedf00d, 30, 385, 30 ^ 385].map((value) => `${value.toString(16).padStart(16, "0")}\n`)
      .join(""),
  );
});

Deno.test("Machine.signature() is not there when its symbols lie outside RAM or end before they begin", () => {
  for (const [begin, end] of [[0x80002000n, 1n << 60n], [0n, 8n], [0x80002008n, 0x80002000n]]) {
    const symbols = { begin_signature: begin!, end_signature: end! };
    assertEquals(machineOf(buildBare(STORE_WORDS, { symbols })).machine.signature(), undefined);
  }
});

Deno.test("createMachine() refuses firmware when tohost lies outside RAM", () => {
  for (const tohost of [0x1000n, 1n << 40n, 0x80001ffcn]) {
    let message = "";
    try {
      machineOf(buildBare("_start:\nret", { withoutHost: true, symbols: { tohost } }));
    } catch (error) {
      assert(error instanceof SyntaxError);
      message = error.message;
    }
    assert(message.startsWith("Cannot run firmware: tohost"), `${tohost.toString(16)}: ${message}`);
  }
});

for (const { name, machine: kind, runs } of (await readExpected()).programs) {
  if (kind !== "bare" || runs.length === 0 || /^(sieve|fib|bench)/.test(name)) continue;
  // What answers semihosting is asked for in `programs_test.ts`.
  if (runs[0]!.semihosting) continue;
  for (const engine of ENGINE_NAMES) {
    Deno.test(`createMachine() prints and returns what QEMU does when ${engine} runs ${name}`, async () => {
      const { bytes } = await readProgram(name);
      const { machine, printed } = machineOf(bytes, { engine });
      const { code, stdout } = runs[0]!;
      assertEquals(await machine.run({ limit: 10_000_000n }), { kind: "exit", code });
      assertEquals(printed(), stdout);
    });
  }
}
