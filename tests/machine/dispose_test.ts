/**
 * What a machine gives back when it is disposed of, and what is left of it then.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { createMachine, type Machine } from "../../lib/machine/machine.ts";
import { buildBare } from "../program/elf_builder.ts";
import { ADDRESSES, addressesOfDisposed } from "./disposed_machines.ts";
import { buildGuest } from "./linux_guest.ts";

const COUNTING = "_start:\nloop:\naddi a1, a1, 1\nj loop\n";
const REASON = "Cannot use the machine: it was disposed";

/** Names of files that this process has open. */
function openFiles(): string[] {
  return [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
    try {
      return [Deno.readLinkSync(`/proc/self/fd/${name}`)];
    } catch {
      // The descriptor of the folder that is listed.
      return [];
    }
  });
}

Deno.test("Machine[Symbol.dispose]() leaves every member a TypeError", async () => {
  const machine = createMachine(buildBare(COUNTING), { engine: "ref" });
  await machine.run({ limit: 10n });
  const { harts } = machine;
  machine[Symbol.dispose]();
  machine[Symbol.dispose]();
  const uses: Readonly<Record<string, (left: Machine) => unknown>> = {
    commOf: (left) => left.commOf(1),
    hostCall: (left) => left.hostCall(0, () => {}),
    onBreakpoint: (left) => left.onBreakpoint((_hart, trap) => trap),
    step: (left) => left.step(harts[0]!),
    fenceI: (left) => left.fenceI(),
    park: (left) => left.park(() => true),
    requestStop: (left) => left.requestStop(),
    slept: (left) => left.slept(),
    stackIdentity: (left) => left.stackIdentity(harts[0]!, 0),
    signature: (left) => left.signature(),
  };
  for (const name of Object.keys(machine) as Exclude<keyof Machine, symbol>[]) {
    if (name === "run") continue;
    const use = uses[name] ?? ((left: Machine) => left[name]);
    assertThrows(() => use(machine), TypeError, REASON, name);
  }
  await assertRejects(() => machine.run(), TypeError, REASON);
});

Deno.test("Machine[Symbol.dispose]() ends a run as interrupted", async () => {
  const machine = createMachine(buildBare(COUNTING), { engine: "ref" });
  let slices = 0;
  const run = machine.run({ slice: () => ++slices === 2 ? machine[Symbol.dispose]() : undefined });
  assertEquals(await run, { kind: "interrupted" });
  assertEquals(slices, 2);
});

Deno.test("Machine[Symbol.dispose]() ends a run that waits for input, which then changes nothing", async () => {
  const program = buildGuest((guest) => {
    const buffer = guest.place(8);
    guest.noteCall("read", 0, buffer, 8);
    guest.finish();
  });
  const written: Uint8Array[] = [];
  let answer = (_data: Uint8Array) => {};
  const machine = createMachine(program, {
    engine: "ref",
    stdin: () => new Promise((resolve) => answer = resolve),
    stdout: (data) => void written.push(data),
  });
  const run = machine.run();
  await new Promise((resolve) => setTimeout(resolve, 20));
  machine[Symbol.dispose]();
  assertEquals(await run, { kind: "interrupted" });
  answer(new Uint8Array(8));
  await new Promise((resolve) => setTimeout(resolve, 1));
  assertEquals(written, []);
});

Deno.test({
  name: "Machine[Symbol.dispose]() closes the files of the host that its guest has open",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const path = await Deno.makeTempFile();
    const program = buildGuest((guest) => {
      guest.call("openat", -100, guest.place(path), 0, 0);
      guest.line("spin:\nj spin");
    });
    const machine = createMachine(program, { engine: "ref", allow: [path] });
    assertEquals(await machine.run({ limit: 1000n }), { kind: "limit" });
    assert(openFiles().includes(path), "the guest has opened it");
    machine[Symbol.dispose]();
    assert(!openFiles().includes(path), "it is closed");
    await Deno.remove(path);
  },
});

Deno.test({
  name: "machines that were disposed of hold no memory, though all 40 are kept",
  ignore: Deno.build.os !== "linux",
  async fn() {
    // V8 collects a memory of 5 GiB of addresses when the next ones are made.
    const most = await addressesOfDisposed(40);
    assert(most >= ADDRESSES, `${most} bytes are less than one machine has`);
    assert(most < 10 * ADDRESSES, `${Math.round(most / 2 ** 30)} GiB are in use`);
  },
});
