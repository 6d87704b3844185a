import { assert, assertEquals } from "@std/assert";
import { createMachine, type Machine, type MachineOptions } from "../../mod.ts";

function machineOf(argument: string, options: MachineOptions = {}): Machine {
  const elf = Deno.readFileSync(new URL("../fixtures/elf/fib_p84", import.meta.url));
  return createMachine(elf, { stdout() {}, args: [argument], ...options });
}

function whyNot({ engine, symbols }: Machine) {
  return engine.whyNotCompiled!(Number(symbols.called("fib")[0]!.address));
}

Deno.test("createLateJit() has nothing to load when a run is short", async () => {
  using machine = machineOf("1");
  await machine.run();
  const { instret } = machine.harts[0]!;
  assert(instret > 0n && instret < 100_000n);
  assertEquals(machine.engine.prepare!(instret), undefined);
  assertEquals(whyNot(machine), { reason: "cold", seen: 0, needed: 2, period: 10_000 });
});

Deno.test("createLateJit() compiles what a machine is in when the run turns out to be long", async () => {
  using machine = machineOf("24");
  await machine.run();
  assert(machine.harts[0]!.instret > 1_000_000n);
  assertEquals(whyNot(machine), undefined);
  assertEquals(machine.engine.prepare!(10n ** 9n), undefined, "it is there");
});

Deno.test("createLateJit() loads before the first instruction when a threshold is given", async () => {
  using machine = machineOf("1", { jitThreshold: 1 });
  assert(machine.engine.prepare!(0n) instanceof Promise);
  await machine.run();
  assertEquals(whyNot(machine), undefined);
});
