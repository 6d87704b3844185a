/**
 * What tracing must not change: guests that leave the ways of calls and returns, under every tracer.
 *
 * Each run is compared with one that nobody traces: what the guest prints, its exit code, and how many
 * instructions it has retired. Of the graph, calls close in the order of their stack.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import type { EngineName } from "../../lib/engine/engines.ts";
import type { EraName } from "../../lib/ftrace/era.ts";
import type { Tracer } from "../../mod.ts";
import { builtInTracers } from "../../trace.ts";
import { graph, traced } from "../ftrace/guest.ts";
import { THOROUGH } from "../thorough.ts";

const GUESTS = [
  ...["irq_nest_p84", "tasks_p84", "tasks_irq_stack_p84", "trap_bare_p84"],
  ...["coroutines_p84", "throws_p84", "signal_jump_p84", "walker_p84"],
  "ticks_p84",
];
const ERAS: readonly EraName[] = ["regs", "args", "preset", "call-ops"];

/** A function of each guest that is called often, for tracers that want to be told one. */
const FUNCTION: Readonly<Record<string, string>> = {
  irq_nest_p84: "note_depth",
  tasks_p84: "serve",
  tasks_irq_stack_p84: "serve",
  trap_bare_p84: "print",
  coroutines_p84: "leaf",
  throws_p84: "_Z5plaini",
  signal_jump_p84: "leaf",
  walker_p84: "recurse",
  ticks_p84: "leaf",
};

/** Values of the options that a tracer has no working default for; `fail` changes what is returned. */
function optionsOf({ name, options = {} }: Tracer, guest: string): Record<string, unknown> {
  const at = FUNCTION[guest]!;
  const given: Readonly<Record<string, Record<string, unknown>>> = {
    args: { of: `long ${at}(long first)` },
    fail: { at: [at], nth: 1_000_000 },
    // Behind the words that ftrace switches, where every era allows one.
    kprobe: { at: [`${at}+8`] },
  };
  const defaults = Object.entries(options).map(([key, value]) => [key, value.default]);
  return { ...Object.fromEntries(defaults), ...given[name] };
}

interface Ending {
  readonly outcome: unknown;
  readonly output: string;
  readonly instret: bigint;
}

const endings = new Map<string, Promise<Ending>>();

/** How a guest ends whose sites have their nops, and that nobody traces. */
function untraced(name: string, era: EraName): Promise<Ending> {
  const key = `${name} ${era}`;
  let ending = endings.get(key);
  if (!ending) endings.set(key, ending = runUntraced(name, era));
  return ending;
}

async function runUntraced(name: string, era: EraName): Promise<Ending> {
  const guest = await traced(name, { era });
  const outcome = await guest.run();
  return { outcome, output: guest.output(), instret: guest.machine.harts[0]!.instret };
}

interface Setup {
  readonly era: EraName;
  readonly returns: "auto" | "shadow";
  readonly virtual: boolean;
  readonly trampoline: "guest" | "fast";
  readonly engine: EngineName;
}

/** Every era, patched and virtual, on both paths; and both engines and ways to notice returns in each era. */
function* setups(): Iterable<Setup> {
  for (const era of ERAS) {
    for (const virtual of [false, true]) {
      for (const trampoline of ["guest", "fast"] as const) {
        yield { era, returns: "auto", virtual, trampoline, engine: "interp" };
      }
      yield { era, returns: "shadow", virtual, trampoline: "fast", engine: "interp" };
    }
    yield { era, returns: "auto", virtual: true, trampoline: "guest", engine: "ref" };
  }
}

/** The ways to run a guest, or in a short run two that have as little in common as can be. */
const SETUPS: readonly Setup[] = THOROUGH ? [...setups()] : [
  { era: "regs", returns: "auto", virtual: true, trampoline: "guest", engine: "interp" },
  { era: "call-ops", returns: "shadow", virtual: false, trampoline: "fast", engine: "interp" },
];

/** Tracers that have no frames of their own among the guest's: once is enough in a short run. */
const LIGHT = new Set(["function", "stack", "watch", "hist", "fail", "kprobe", "args"]);

/** The ways to run a guest. What walks the frame pointers sees return addresses unless they are left alone. */
function setupsOf(guest: string): readonly Setup[] {
  return guest === "walker_p84" ? SETUPS.map((setup) => ({ ...setup, returns: "shadow" })) : SETUPS;
}

for (const name of GUESTS) {
  for (const tracer of await builtInTracers()) {
    Deno.test(`${tracer.name} changes nothing of ${name}`, async () => {
      const ways = setupsOf(name).slice(0, THOROUGH || !LIGHT.has(tracer.name) ? undefined : 1);
      for (const setup of ways) {
        const { era, engine } = setup;
        const guest = await traced(name, { ...setup, print: () => {} }, { engine });
        const handle = await tracer.init(guest.ftrace, optionsOf(tracer, name) as never);
        const outcome = await guest.run();
        if (handle && Symbol.dispose in handle) handle[Symbol.dispose]();
        const { instret } = guest.machine.harts[0]!;
        const where = JSON.stringify(setup);
        assertEquals(
          { outcome, output: guest.output(), instret },
          await untraced(name, era),
          where,
        );
        assertEquals(
          guest.reports.filter((line) => /unregistered|unavailable/.test(line)),
          [],
          where,
        );
      }
    });
  }

  Deno.test(`the graph of ${name} closes calls in the order of their stacks`, async () => {
    for (const setup of setupsOf(name)) {
      const guest = await traced(name, setup, { engine: setup.engine });
      const stacks: string[][] = [];
      let open = 0;
      guest.ftrace.registerFtraceGraph({
        entryFunc({ site, stack, returns, depth }) {
          const calls = stacks[stack] ??= [];
          assertEquals(depth, calls.length);
          if (!returns) return false;
          calls.push(guest.ftrace.records[site]!.name);
          open++;
          return true;
        },
        retFunc({ site, stack, depth }) {
          assertEquals(stacks[stack]!.pop(), guest.ftrace.records[site]!.name);
          assertEquals(depth, stacks[stack]!.length);
          open--;
        },
      });
      graph(guest.ftrace);
      await guest.run();
      let recorded = 0;
      for (const event of guest.ftrace.events()) {
        if (event.type === "funcgraph_entry") recorded++;
        if (event.type === "funcgraph_exit") recorded--;
        if ("depth" in event) assert(event.depth >= 0);
      }
      // What is entered and never returns (setjmp) is an entry alone.
      assert(recorded >= open, `${recorded} ${open}`);
    }
  });
}
