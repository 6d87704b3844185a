/**
 * Fixtures under ftrace, for tests: a machine with its output kept, and what was reported.
 *
 * @module
 */
import { createFtrace, type Ftrace, type FtraceOptions } from "../../lib/ftrace/ftrace.ts";
import { createMachine, type Machine, type MachineOptions } from "../../lib/machine/machine.ts";
import type { Outcome } from "../../lib/machine/outcome.ts";
import { readProgram } from "../fixtures/expected.ts";
import type { CallEvent } from "../fixtures/call_tree.ts";

/** A fixture ready to run. */
export interface TracedGuest {
  readonly machine: Machine;
  readonly ftrace: Ftrace;
  /** Lines that ftrace reported. */
  readonly reports: readonly string[];
  /** Runs it to its end; gives the outcome. */
  run(): Promise<Outcome>;
  /** What it has printed. */
  output(): string;
}

/** Loads a fixture under ftrace. */
export async function traced(
  name: string,
  options: FtraceOptions = {},
  machineOptions: MachineOptions = {},
): Promise<TracedGuest> {
  const { bytes } = await readProgram(name);
  const decoder = new TextDecoder();
  let printed = "";
  const machine = createMachine(bytes, {
    name: `elf/${name}`,
    stdout: (data) => void (printed += decoder.decode(data, { stream: true })),
    stderr: () => {},
    ...machineOptions,
  });
  const reports: string[] = [];
  const ftrace = createFtrace(machine, { report: (line) => reports.push(line), ...options });
  return { machine, ftrace, reports, run: () => machine.run(), output: () => printed };
}

/** Registers the graph tracer as the plugin does. */
export function graph(ftrace: Ftrace): void {
  const { entryFunc, retFunc } = ftrace.graph;
  ftrace.registerFtraceGraph({ entryFunc, retFunc, hash: ftrace.globalHash });
}

/** The entries and exits of a graph trace by name. @throws {Error} If events were lost. */
export function callEvents(ftrace: Ftrace): CallEvent[] {
  const events: CallEvent[] = [];
  for (const event of ftrace.events()) {
    if (event.type === "funcgraph_entry" || event.type === "funcgraph_exit") {
      const name = ftrace.symbol(event.func) ?? `0x${event.func.toString(16)}`;
      events.push({ kind: event.type === "funcgraph_entry" ? "entry" : "exit", name });
    }
  }
  return events;
}

/** Events as lines, times and all, so that two traces can be compared. */
export function eventLines(ftrace: Ftrace): string[] {
  const lines: string[] = [];
  for (const event of ftrace.events()) {
    const fields = Object.entries(event).map(([name, value]) => {
      const named = name === "ip" || name === "func"
        ? ftrace.symbol(value as bigint) ?? value
        : value;
      return `${name}=${named}`;
    });
    lines.push(fields.join(" "));
  }
  return lines;
}

/**
 * The calls that are open at the end of a trace, outermost first.
 *
 * @throws {Error} If an exit is not that of the innermost open call.
 */
export function openCalls(events: readonly CallEvent[]): string[] {
  const open: string[] = [];
  for (const [k, { kind, name }] of events.entries()) {
    if (kind === "entry") open.push(name);
    else if (open.pop() !== name) throw new Error(`exit ${k} of ${name} closes another call`);
  }
  return open;
}
