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
import { callPlaces } from "../prototypes/call_values.ts";
import { FtraceError } from "../ftrace_error.ts";
import {
  EventProbe,
  type KprobeDefinition,
  type KprobeEvent,
  type KprobeEventsContext,
} from "./kprobe_event.ts";
import {
  parseMaxactive,
  parseProbeArgs,
  type ProbeCommand,
  probeEventName,
  refuseCommand,
  splitCommand,
  splitReturnSuffix,
} from "./probe_command.ts";
import { ProbeEventSet } from "./probe_event_set.ts";
import { parseSigned, parseUnsigned, ProbeFault } from "./probe_fault.ts";

/** Where a command wants its probe. */
interface ProbePlace {
  readonly address: bigint;
  readonly isReturn: boolean;
  /** The function at whose entry it is, if it is at one's. */
  readonly entryOf: string | undefined;
  /** The function that it is in by the command's own words. */
  readonly named: string | undefined;
  /** As the place is read back. */
  readonly text: string;
  /** What the event is called unless it is given a name. */
  readonly eventName: string;
}

const MAX_OFFSET = 1n << 32n;
/** Calls that a return waits for at a time unless it says how many. */
const MAXACTIVE = 10;

/** The events on kprobes and kretprobes of one machine (`kprobe_events`). */
export class KprobeEvents {
  readonly #context: KprobeEventsContext;
  readonly #set: ProbeEventSet<EventProbe>;
  #saidDropped = false;

  /** Starts without events. */
  constructor(context: KprobeEventsContext) {
    bindMethods(this);
    this.#context = context;
    this.#set = new ProbeEventSet(context.traceEvents, context.symbol);
  }

  /** All events on probes, in order of definition. */
  get events(): readonly KprobeEvent[] {
    return this.#set.probes;
  }

  /**
   * Carries out one line for `kprobe_events`: `p[:[GROUP/]NAME] PLACE [ARGS]`,
   * `r[MAXACTIVE][:[GROUP/]NAME] FUNCTION [ARGS]`, `FUNCTION%return`, or
   * `-:[GROUP/]NAME [PLACE [ARGS]]`, which takes what it matches away and gives undefined. A name
   * that is there already gets one more place, if the arguments are the same.
   *
   * @throws {FtraceError} With that kernel's errno; EBUSY for removing the last of one that is enabled.
   */
  write(text: string): KprobeEvent | undefined {
    if (text.trim().startsWith("-")) {
      if (this.remove(text)) return undefined;
      const what = `Cannot remove ${text.trim().slice(2)}: there is none`;
      throw new FtraceError("ENOENT", "no-match", what);
    }
    const command = splitCommand(text, /^[pr]/);
    try {
      return this.#define(command);
    } catch (error) {
      if (!(error instanceof ProbeFault)) throw error;
      this.#context.fault(command.line, error.message, error.position);
      throw refuseCommand(command.line, error);
    }
  }

  /** Carries out `-:[GROUP/]NAME …`; whether anything matched. @throws {FtraceError} EBUSY, EINVAL. */
  remove(text: string): boolean {
    return this.#set.removeNamed(text.trim());
  }

  /** Checks that no event is enabled. @throws {FtraceError} EBUSY if one is. */
  checkIdle(): void {
    this.#set.checkIdle();
  }

  /** Takes all away (`> kprobe_events`). @throws {FtraceError} EBUSY if one is enabled; then all stay. */
  clear(): void {
    this.#set.clear();
  }

  /** `kprobe_events`, each definition on its line. */
  read(): string {
    return this.events.map(({ definition }) => `${definition}\n`).join("");
  }

  /** `kprobe_profile`: hits and misses of each. */
  profile(): string {
    return this.events.map(({ name, nhit, nmissed }) =>
      `  ${name.padEnd(44)} ${String(nhit).padStart(15)} ${String(nmissed).padStart(15)}\n`
    ).join("");
  }

  #define(command: ProbeCommand): EventProbe {
    const probe = new EventProbe(this.#context, this.#understand(command), {
      dropped: () => this.#sayDropped(),
      disposed: (disposed) => void this.#set.remove(disposed),
    });
    this.#set.check(probe, command.line);
    try {
      probe.register();
    } catch (error) {
      if (!(error instanceof FtraceError)) throw error;
      const fault = new ProbeFault(
        error.code === "EILSEQ" ? "BAD_INSN_BNDRY" : "FAIL_REG_PROBE",
        command.place.at,
      );
      this.#context.fault(command.line, fault.message, fault.position);
      throw error;
    }
    this.#set.add(probe);
    return probe;
  }

  /** @throws {ProbeFault} In the order in which the kernel looks at the parts. */
  #understand(command: ProbeCommand): KprobeDefinition {
    const { machine, symbol, prototypeOf } = this.#context;
    const maxactive = parseMaxactive(command.head);
    const place = this.#placeOf(command);
    const { isReturn, address, entryOf, named } = place;
    const names = probeEventName(command.head, { group: "kprobes", name: place.eventName });
    const prototype = named === undefined ? undefined : prototypeOf(named);
    const args = parseProbeArgs(command.args, {
      space: () => machine.runningHart.space,
      comm: () => machine.comm,
      float: (number) => machine.runningHart.f[number]!,
      status: () => machine.runningHart.system?.mstatus ?? 0n,
      lookup: (name) => machine.symbols.called(name)[0]?.address,
      symbol,
      isReturn,
      isEntry: entryOf !== undefined,
      isFprobe: false,
      prototype,
      places: prototype && callPlaces(prototype, machine.elf.bytes),
    });
    const most = isReturn && maxactive === 0 ? MAXACTIVE : maxactive;
    return { ...names, isReturn, maxactive: most, address, args, place: place.text };
  }

  #placeOf({ head, place }: ProbeCommand): ProbePlace {
    const { symbols } = this.#context.machine;
    const isKretprobe = head.text.startsWith("r");
    const numeric = parseUnsigned(place.text);
    if (numeric !== undefined) {
      const text = `0x${numeric.toString(16)}`;
      const eventName = `${isKretprobe ? "r" : "p"}_${text}`;
      const found = symbols.at(numeric);
      const offset = found?.offset ? `+${found.offset}` : "";
      const known = found ? `${found.symbol.name}${offset}` : text;
      return {
        ...{ address: numeric, isReturn: isKretprobe, entryOf: undefined, named: undefined },
        ...{ text: known, eventName },
      };
    }
    const [target, hasSuffix] = splitReturnSuffix(place);
    const isReturn = isKretprobe || hasSuffix;
    const [, name = "", more] = /^([^+-]*)([+-].*)?$/.exec(target)!;
    const offset = more === undefined ? 0n : parseSigned(more);
    if (offset === undefined || offset < 0n || offset >= MAX_OFFSET) {
      throw new ProbeFault("BAD_PROBE_ADDR", place.at);
    }
    const address = this.#symbolAt(name, place.at) + offset;
    const isEntry = symbols.at(address)?.offset === 0n;
    if (isReturn && !isEntry) throw new ProbeFault("BAD_RETPROBE", place.at);
    return {
      ...{ address, isReturn, entryOf: isEntry ? name : undefined, named: name },
      text: offset === 0n ? name : `${name}+${offset}`,
      eventName: `${isReturn ? "r" : "p"}_${name}_${offset}`.replaceAll(/\W/g, "_"),
    };
  }

  #symbolAt(name: string, at: number): bigint {
    const named = this.#context.machine.symbols.called(name);
    if (named.filter(({ type }) => type === "func").length > 1) {
      throw new ProbeFault("NON_UNIQ_SYMBOL", at);
    }
    if (!named[0]) throw new ProbeFault("BAD_PROBE_ADDR", at);
    return named[0].address;
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
}
