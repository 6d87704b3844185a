/**
 * Events on kprobes and kretprobes: `p:NAME FUNCTION+8 fd=%a0`, `r:NAME FUNCTION ret=$retval`.
 *
 * The probe exists from the definition on and is armed while its event is enabled
 * (`kernel/trace/trace_kprobe.c`). Several probes with the same arguments share an event.
 *
 * What an argument can be is `probe_args.ts`, commands are `probe_command.ts`; what one probe records
 * is `kprobe_event.ts`.
 *
 * @module
 */
import { bindMethods } from "../bound.ts";
import { FtraceError } from "../ftrace_error.ts";
import type { Event } from "../trace/trace_events.ts";
import {
  EventProbe,
  type KprobeDefinition,
  type KprobeEvent,
  type KprobeEventsContext,
} from "./kprobe_event.ts";
import { type ProbeArg, ProbeFault } from "./probe_args.ts";
import {
  type KprobeCommand,
  parseKprobeCommand,
  parseProbeArgs,
  refuseCommand,
} from "./probe_command.ts";
import { probeEventDefinition } from "./probe_record.ts";

/** Probes that share an event: the same arguments at several places. */
interface ProbeSet {
  readonly event: Event;
  readonly isReturn: boolean;
  readonly args: readonly ProbeArg[];
  /** The probes of the event, by the place that each is at. */
  readonly probes: Map<string, EventProbe>;
}

/** The events on kprobes and kretprobes of one machine (`kprobe_events`). */
export class KprobeEvents {
  readonly #context: KprobeEventsContext;
  #events: readonly EventProbe[] = [];
  readonly #sets = new Map<string, ProbeSet>();
  #saidDropped = false;

  /** Starts without events. */
  constructor(context: KprobeEventsContext) {
    bindMethods(this);
    this.#context = context;
  }

  /** All events on probes, in order of definition. */
  get events(): readonly KprobeEvent[] {
    return this.#events;
  }

  /**
   * Carries out one line for `kprobe_events`: `p[:[GROUP/]NAME] PLACE [ARGS]`,
   * `r[MAXACTIVE][:[GROUP/]NAME] FUNCTION [ARGS]`, `FUNCTION%return`, or `-:[GROUP/]NAME`, which
   * takes one away and gives undefined. A name that is there already gets one more place, if the
   * arguments are the same.
   *
   * @throws {FtraceError} With that kernel's errno; EBUSY for removing one that is enabled.
   */
  write(text: string): KprobeEvent | undefined {
    const line = text.trim();
    if (line.startsWith("-:")) {
      this.#remove(line);
      return undefined;
    }
    try {
      const command = parseKprobeCommand(line);
      const { group, name } = command;
      if (!this.#sets.has(`${group}/${name}`) && this.#context.traceEvents.find(group, name)) {
        const said = "Given group/event name is already used by another event";
        throw new ProbeFault(said, line.indexOf(name), "EEXIST");
      }
      const event = this.#define(this.#understand(command));
      this.#events = [...this.#events, event];
      return event;
    } catch (error) {
      if (!(error instanceof ProbeFault)) throw error;
      this.#context.fault(line, error.message, error.position);
      throw refuseCommand(line, error);
    }
  }

  /** Takes all away (`> kprobe_events`). @throws {FtraceError} EBUSY if one is enabled; then all stay. */
  clear(): void {
    this.#removeAll(this.#events);
  }

  /** `kprobe_events`, each definition on its line. */
  read(): string {
    return this.#events.map(({ definition }) => `${definition}\n`).join("");
  }

  /** `kprobe_profile`: hits and misses of each. */
  profile(): string {
    return this.#events.map(({ name, nhit, nmissed }) =>
      `  ${name.padEnd(44)} ${String(nhit).padStart(15)} ${String(nmissed).padStart(15)}\n`
    ).join("");
  }

  #understand(command: KprobeCommand): KprobeDefinition {
    const { machine, symbol } = this.#context;
    const { isReturn, placeAt } = command;
    const address = this.#addressOf(command);
    const found = machine.symbols.at(address);
    const isEntry = found?.offset === 0n;
    if (isReturn && !isEntry) {
      throw new ProbeFault("Retprobe address must be an function entry", placeAt);
    }
    const args = parseProbeArgs(command.args, () => ({
      space: () => machine.runningHart.space,
      comm: () => machine.comm,
      lookup: (name) => machine.symbols.named(name)[0]?.address,
      symbol,
      isReturn,
      isEntry,
    }));
    const place = !found
      ? `0x${address.toString(16)}`
      : isEntry
      ? found.symbol.name
      : `${found.symbol.name}+${found.offset}`;
    const key = `${place} ${args.map(({ text }) => text).join(" ")}`;
    return { command, address, args, place, key };
  }

  #addressOf({ place, placeAt }: KprobeCommand): bigint {
    const { symbols } = this.#context.machine;
    const [, base = "", offset = "0"] = /^([^+]+)(?:\+(\w+))?$/.exec(place) ?? [];
    const named = symbols.named(base);
    if (named.filter(({ type }) => type === "func").length > 1) {
      throw new ProbeFault("The symbol is not unique", placeAt, "EADDRNOTAVAIL");
    }
    const start = /^0x[0-9a-f]+$/i.test(base) ? BigInt(base) : named[0]?.address;
    if (start === undefined || !/^(0x[0-9a-f]+|\d+)$/i.test(offset)) {
      throw new ProbeFault("Invalid probed address or symbol", placeAt);
    }
    return start + BigInt(offset);
  }

  #define(definition: KprobeDefinition): EventProbe {
    const { command: { group, name, isReturn, placeAt, line }, args, key } = definition;
    const setKey = `${group}/${name}`;
    const known = this.#sets.get(setKey);
    if (known) checkSame(known, definition);
    const probe: EventProbe = new EventProbe(this.#context, definition, {
      dropped: () => this.#sayDropped(),
      disposed: () => this.#forget(setKey, key, probe),
    });
    try {
      probe.register();
    } catch (error) {
      if (!(error instanceof FtraceError)) throw error;
      const isInside = error.code === "EILSEQ";
      const text = isInside
        ? "Probe point is not an instruction boundary"
        : "Failed to register probe event";
      this.#context.fault(line, text, placeAt);
      throw error;
    }
    const set = known ?? this.#makeSet(group, name, isReturn, args);
    this.#sets.set(setKey, set);
    set.probes.set(key, probe);
    probe.join(set.event);
    return probe;
  }

  #makeSet(group: string, name: string, isReturn: boolean, args: readonly ProbeArg[]): ProbeSet {
    const { traceEvents, symbol } = this.#context;
    // Until the event is enabled its probes are not armed, so nothing has been missed.
    const probes = new Map<string, EventProbe>();
    const event = traceEvents.define({
      ...probeEventDefinition(group, name, isReturn, args, symbol),
      changed: ({ isLive }) => probes.forEach((probe) => probe.arm(isLive)),
    });
    return { event, isReturn, args, probes };
  }

  /** Takes a disposed probe out; false if that has been done. */
  #forget(setKey: string, key: string, probe: EventProbe): boolean {
    if (!this.#events.includes(probe)) return false;
    this.#events = this.#events.filter((each) => each !== probe);
    const set = this.#sets.get(setKey)!;
    set.probes.delete(key);
    if (set.probes.size === 0) {
      this.#sets.delete(setKey);
      set.event[Symbol.dispose]();
    }
    return true;
  }

  #sayDropped(): void {
    if (this.#saidDropped) return;
    this.#saidDropped = true;
    this.#context.report(
      "kprobe events are counted and not recorded: a breakpoint is served like an NMI, in which " +
        `RISC-V writes no events in era ${this.#context.era.name}; kprobe_profile has the ` +
        "counts, and --era call-ops records them",
    );
  }

  #remove(text: string): void {
    const [, group = "kprobes", name] = /^-:(?:([^/]+)\/)?(\S+)$/.exec(text) ?? [];
    const found = this.#events.filter((each) => each.name === name && each.group === group);
    if (found.length === 0) {
      const what = `Cannot remove ${text.slice(2)}: there is none`;
      throw new FtraceError("ENOENT", "no-match", what);
    }
    this.#removeAll(found);
  }

  #removeAll(found: readonly KprobeEvent[]): void {
    const enabled = found.find(({ event }) => event.file.isLive);
    if (enabled) {
      const what = `Cannot remove ${enabled.group}/${enabled.name}: it is enabled`;
      const instead = "0 in its enable file, and then this";
      throw new FtraceError("EBUSY", "already-enabled", what, instead);
    }
    for (const each of found) each[Symbol.dispose]();
  }
}

/**
 * Whether another probe may join an event: of the same kind, with the same arguments, elsewhere.
 *
 * @throws {ProbeFault} EEXIST if not.
 */
function checkSame(set: ProbeSet, { command: { isReturn }, args, key }: KprobeDefinition): void {
  const refuse = (text: string) => new ProbeFault(text, 0, "EEXIST");
  if (set.isReturn !== isReturn) throw refuse("Probe type is different from existing probe");
  const shape = (arg: ProbeArg | undefined) => `${arg?.fieldType} ${arg?.format}`;
  const longest = Math.max(args.length, set.args.length);
  for (let k = 0; k < longest; k++) {
    if (shape(args[k]) === shape(set.args[k])) continue;
    throw refuse("Argument type or name is different from existing probe");
  }
  if (set.probes.has(key)) throw refuse("There is already the exact same probe event");
}
