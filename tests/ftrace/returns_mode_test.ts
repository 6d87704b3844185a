import { assert, assertEquals } from "@std/assert";
import { EntryLiveness } from "../../lib/ftrace/ops/entry_liveness.ts";
import { findContextSwitches } from "../../lib/ftrace/returns/stack_switches.ts";
import { fixture, hartrace } from "../cli/command_line.ts";
import { callEvents, graph, openCalls, traced } from "./guest.ts";
import { makeFirmware, tracedFirmware } from "./made_guest.ts";

const UNTRACED = "called from where it was called\nby jump 33\ncallers 3 6 9\n";

for (const virtual of [false, true]) {
  Deno.test(`returns: shadow shows a program that walks its stack what is there (virtual: ${virtual})`, async () => {
    const guest = await traced("walker_p84", { returns: "shadow", virtual });
    graph(guest.ftrace);
    await guest.run();
    assertEquals(guest.output(), UNTRACED);
    const events = callEvents(guest.ftrace);
    assert(events.some(({ kind, name }) => kind === "exit" && name === "walk"));
    assertEquals(openCalls(events).filter((name) => /walk|ask|jump|last/.test(name)), []);
  });

  Deno.test(`returns: auto leaves ra alone in a function that reads it, hijack in none (virtual: ${virtual})`, async () => {
    for (const [returns, answer] of [["auto", "where it was called"], ["hijack", "elsewhere"]]) {
      const guest = await traced("walker_p84", { returns: returns as "auto" | "hijack", virtual });
      graph(guest.ftrace);
      await guest.run();
      assertEquals(guest.output().split("\n")[0], `called from ${answer}`);
      assertEquals(openCalls(callEvents(guest.ftrace)).includes("who_called"), false);
    }
  });
}

Deno.test("a return value that an exit handler changes reaches the caller, however the return is noticed", async () => {
  for (const returns of ["shadow", "hijack"] as const) {
    const guest = await traced("walker_p84", { returns });
    guest.ftrace.registerFtraceGraph({
      filter: ["recurse"],
      entryFunc: () => true,
      retFunc: (_exit, fregs) => void (fregs!.returnValue = 77n),
    });
    await guest.run();
    assertEquals(guest.output().split("\n")[2], "callers 77 77 77");
  }
});

Deno.test("readsReturnAddress() finds functions that ask who has called them", async () => {
  const { machine } = await traced("walker_p84");
  const liveness = new EntryLiveness(machine.space);
  const reads = (name: string) =>
    liveness.readsReturnAddress(machine.symbols.named(name)[0]!.address);
  // jump() ends in a jump to last(), so that what that one reads is its own.
  for (const name of ["who_called", "last", "jump"]) {
    assertEquals([name, reads(name)], [name, true]);
  }
  for (const name of ["ask", "walk", "program", "print", "put_text", "print_number"]) {
    assertEquals([name, reads(name)], [name, false]);
  }
});

Deno.test("a program with Go's runtime, whose results are in more registers, has ra left alone", async () => {
  for (
    const [name, returns, result] of [
      ["runtime.goexit", "auto", 7n],
      ["runtime.goexit", "shadow", 7n],
      ["runtime.goexit", "hijack", undefined],
    ] as const
  ) {
    const program = makeFirmware(
      [{ name: "results", body: "li a0, 5\nli a2, 7\nret" }, { name }],
      "call f0\nmv s1, a2\nmv s2, a0",
    );
    const { machine, ftrace } = tracedFirmware(program, { returns });
    graph(ftrace);
    await machine.run();
    const { x } = machine.harts[0]!;
    assertEquals(x[18], 5n);
    // What Linux keeps at a return is a0 and a1, which hold a function's result there.
    assertEquals(x[9] === 7n, result === 7n, returns);
    assertEquals(openCalls(callEvents(ftrace)), []);
  }
});

Deno.test("findContextSwitches() finds what loads sp, and not what adds to it", async () => {
  const named = async (name: string) => {
    const { machine } = await traced(name);
    const { switches, trapReturns } = findContextSwitches(machine);
    const at = (address: bigint) => machine.symbols.at(address)!.symbol.name;
    return {
      switches: switches.map(({ before, isJump }) => `${at(before)}${isJump ? " jumps" : ""}`),
      trapReturns: trapReturns.map(at),
    };
  };
  assertEquals(await named("tasks_irq_stack_p84"), {
    switches: ["_start", "trap", "trap", "start_first", "start_first"],
    trapReturns: ["trap", "start_first"],
  });
  const { switches } = await named("coroutines_p84");
  for (const name of ["change", "setcontext", "swapcontext", "__longjmp jumps"]) {
    assert(switches.includes(name), `${name} of ${switches}`);
  }
});

Deno.test("--returns is told apart and explained on the command line", async () => {
  const walker = fixture("walker_p84");
  const { stdout } = await hartrace(["-q", "-p", "nop", "--returns", "shadow", walker]);
  assertEquals(stdout, UNTRACED);
  const { code, stderr } = await hartrace(["-q", "--returns", "shadows", walker]);
  assertEquals(code, 125);
  assert(/--returns.*auto, hijack, shadow|auto\|hijack\|shadow/.test(stderr), stderr);
});
