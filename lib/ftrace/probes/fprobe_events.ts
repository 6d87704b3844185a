/**
 * Events on fprobes: `f:NAME FUNCTION n=$arg1`, `f:NAME FUNCTION%return r=$retval`.
 *
 * A definition may name functions by a glob; the event is then of all of them. Functions are probed
 * while the event is enabled. At a return `$argN` is what it was at the entry, and everything else
 * is what it is then (`kernel/trace/trace_fprobe.c`).
 *
 * What an argument can be is `probe_args.ts`; the probe itself is `fprobe.ts`.
 *
 * @module
 */
import { bindMethods } from "../bound.ts";
import { A0, RA, S0, SP, T1 } from "../../isa/abi.ts";
import type { FindSymbol } from "../../events/event_format.ts";
import type { Machine } from "../../machine/machine.ts";
import type { FtraceRegs, PtRegs } from "../../trampoline/ftrace_regs.ts";
import { FtraceError } from "../ftrace_error.ts";
import { callPlaces } from "../prototypes/call_values.ts";
import type { Prototype } from "../prototypes/header.ts";
import { type Fprobe, MAX_FPROBE_DATA_SIZE } from "../returns/fprobe.ts";
import type { Event, TraceEvents } from "../trace/trace_events.ts";
import type { ProbeArg } from "./probe_args.ts";
import {
  parseMaxactive,
  parseProbeArgs,
  type ProbeCommand,
  type ProbeEventName,
  probeEventName,
  refuseCommand,
  splitCommand,
  splitReturnSuffix,
} from "./probe_command.ts";
import { ProbeEventSet, type SharingProbe } from "./probe_event_set.ts";
import { ProbeFault } from "./probe_fault.ts";
import { fetchArgs, keepArguments, keptArguments, keptAt } from "./probe_record.ts";

/** An event on an fprobe. */
export interface FprobeEvent extends Disposable {
  /** Group of the event, `fprobes` unless the definition says otherwise. */
  readonly group: string;
  /** Name of the event. */
  readonly name: string;
  /** The definition as `dynamic_events` reads it back. */
  readonly definition: string;
  /** The event: `event.file.enabled = true` makes the probe act. */
  readonly event: Event;
}

/** What {@linkcode FprobeEvents} stands on. */
export interface FprobeEventsContext {
  /** The machine that is probed. */
  readonly machine: Machine;
  /** Where events are defined, and errors noted. */
  readonly traceEvents: TraceEvents;
  /** The symbol that covers an address. */
  readonly symbol: FindSymbol;
  /** The prototype of a function, if it is known. */
  readonly prototypeOf: (name: string) => Prototype | undefined;
  /** Whether a command may say how many calls its returns wait for. */
  readonly hasMaxactive: boolean;
  /** Whether a pattern names a function that can be probed. */
  readonly matches: (filter: string) => boolean;
  /** Registers a probe on functions by patterns. */
  readonly register: (fp: Fprobe, filter: string) => Disposable;
  /** Takes a line for the user. */
  readonly report: (line: string) => void;
}

/** A command that was understood. */
interface Definition extends ProbeEventName {
  /** Patterns of functions, and the suffix that the command has. */
  readonly target: string;
  readonly place: string;
  readonly isReturn: boolean;
  /** Calls that are waited for at a time, 0 for any number. */
  readonly maxactive: number;
  readonly args: readonly ProbeArg[];
}

/** Events on fprobes of one machine. */
export class FprobeEvents {
  readonly #context: FprobeEventsContext;
  readonly #set: ProbeEventSet<EventFprobe>;

  /** Starts without events. */
  constructor(context: FprobeEventsContext) {
    bindMethods(this);
    this.#context = context;
    this.#set = new ProbeEventSet(context.traceEvents, context.symbol);
  }

  /** All of them, in order of definition. */
  get events(): readonly FprobeEvent[] {
    return this.#set.probes;
  }

  /**
   * Carries out a line of `dynamic_events`: `f[:[GROUP/]NAME] FUNCTIONS[%return] [ARGS]`. A name that
   * is there already gets more functions, if the arguments are the same. Where `$retval` is asked for,
   * it is a return. In eras up to 6.12 `f10:NAME FUNCTIONS%return` waits for ten calls at a time.
   *
   * @throws {FtraceError} EINVAL, also for an event that is there; ENOENT, E2BIG; EOPNOTSUPP where
   *   fprobe is refused.
   */
  write(text: string): FprobeEvent {
    const command = splitCommand(text, /^f/);
    const { line } = command;
    try {
      const probe = new EventFprobe(
        this.#context,
        this.#understand(command),
        (disposed) => void this.#set.remove(disposed),
      );
      this.#set.check(probe, line);
      if (!this.#context.matches(probe.target)) {
        throw new ProbeFault("BAD_PROBE_ADDR", command.place.at);
      }
      this.#set.add(probe);
      return probe;
    } catch (error) {
      if (!(error instanceof ProbeFault)) throw error;
      const { message, position, code } = error;
      this.#context.traceEvents.errorLog.add("trace_fprobe", line, { text: message, position });
      const refusal = refuseCommand(line, error);
      if (code !== "EEXIST") throw refusal;
      throw new FtraceError("EINVAL", refusal.reason, refusal.message.replace(/^\w+: /, ""));
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

  /** Takes all away. @throws {FtraceError} EBUSY if one is enabled; then all stay. */
  clear(): void {
    this.#set.clear();
  }

  /** @throws {ProbeFault} In the order in which the kernel looks at the parts. */
  #understand(command: ProbeCommand): Definition {
    const { machine, symbol, prototypeOf } = this.#context;
    const maxactive = this.#maxactiveOf(command);
    const [target, hasSuffix] = splitReturnSuffix(command.place);
    const isReturn = hasSuffix || command.args.some(({ text }) => /\$retval(?!\w)/.test(text));
    if (maxactive > 0 && !isReturn) throw new ProbeFault("BAD_MAXACT_TYPE", 1);
    const made = `${target}__${isReturn ? "exit" : "entry"}`.replaceAll(/\W/g, "_");
    const names = probeEventName(command.head, { group: "fprobes", name: made });
    const prototype = prototypeOf(target);
    const args = parseProbeArgs(command.args, {
      space: () => machine.runningHart.space,
      comm: () => machine.comm,
      float: (number) => machine.runningHart.f[number]!,
      status: () => 0n,
      lookup: (name) => machine.symbols.called(name)[0]?.address,
      symbol,
      isReturn,
      isEntry: !isReturn,
      isFprobe: true,
      prototype,
      places: prototype && callPlaces(prototype, machine.elf.bytes),
    });
    if (isReturn && 8 * keptArguments(args).length > MAX_FPROBE_DATA_SIZE) {
      throw new ProbeFault("TOO_MANY_EARGS", command.args[0]!.at);
    }
    const place = isReturn ? `${target}%return` : target;
    return { ...names, target, place, isReturn, maxactive, args };
  }

  #maxactiveOf({ head }: ProbeCommand): number {
    if (this.#context.hasMaxactive) return parseMaxactive(head);
    if (/^f[^:]/.test(head.text)) throw new ProbeFault("BAD_MAXACT", 1);
    return 0;
  }
}

/** One probe of an event. */
class EventFprobe implements FprobeEvent, SharingProbe {
  readonly group: string;
  readonly name: string;
  readonly definition: string;
  readonly target: string;
  readonly place: string;
  readonly isReturn: boolean;
  readonly args: readonly ProbeArg[];
  readonly #context: FprobeEventsContext;
  readonly #disposed: (event: EventFprobe) => void;
  readonly #probe: Fprobe;
  /** Calls that may be waited for at a time, and those that are. */
  readonly #maxactive: number;
  #waiting = 0;
  #event: Event | undefined;
  #registration: Disposable | undefined;

  constructor(
    context: FprobeEventsContext,
    { group, name, target, place, isReturn, maxactive, args }: Definition,
    disposed: (event: EventFprobe) => void,
  ) {
    this.group = group;
    this.name = name;
    this.target = target;
    this.place = place;
    this.isReturn = isReturn;
    this.args = args;
    this.definition = [`f:${group}/${name}`, place, ...args.map(({ text }) => text)].join(" ");
    this.#context = context;
    this.#disposed = disposed;
    this.#maxactive = maxactive || Infinity;
    this.#probe = isReturn ? this.#returnProbe() : {
      entryHandler: (_fp, ip, _retIp, fregs) =>
        this.event.emit({ __probe_ip: ip, ...fetchArgs(args, registersOf(fregs, ip)) }),
    };
  }

  get event(): Event {
    return this.#event!;
  }

  join(event: Event): void {
    this.#event = event;
  }

  arm(on: boolean): void {
    if (on === (this.#registration !== undefined)) return;
    this.#registration?.[Symbol.dispose]();
    this.#registration = undefined;
    this.#waiting = 0;
    if (!on) return;
    try {
      this.#registration = this.#context.register(this.#probe, this.target);
    } catch (error) {
      if (!(error instanceof FtraceError)) throw error;
      this.#context.report(`[${this.group}/${this.name}] ${error.message}`);
    }
  }

  [Symbol.dispose](): void {
    this.#disposed(this);
  }

  withdraw(): void {
    this.arm(false);
  }

  #returnProbe(): Fprobe {
    const kept = keptArguments(this.args);
    const exit: Fprobe = {
      exitHandler: (_fp, ip, retIp, fregs, data) => {
        this.#waiting--;
        const where = { __probe_func: ip, __probe_ret_ip: retIp };
        const regs = registersOf(fregs, retIp);
        this.event.emit({ ...where, ...fetchArgs(this.args, regs, keptAt(kept, data)) });
      },
    };
    if (kept.length === 0 && this.#maxactive === Infinity) return exit;
    return {
      ...exit,
      entryDataSize: 8 * kept.length,
      entryHandler: (_fp, ip, _retIp, fregs, data) => {
        if (this.#waiting === this.#maxactive) return 1;
        this.#waiting++;
        if (data) keepArguments(this.args, registersOf(fregs, ip), data);
      },
    };
  }
}

/** The registers of a call as arguments read them; those that ftrace does not save are 0. */
function registersOf(fregs: FtraceRegs, epc: bigint): PtRegs {
  return {
    epc,
    x(number) {
      if (number >= A0 && number < A0 + 8) return BigInt.asUintN(64, fregs.argument(number - A0));
      switch (number) {
        case RA:
          return fregs.returnAddress;
        case SP:
          return fregs.stackPointer;
        case S0:
          return fregs.framePointer;
        default:
          return number === T1 ? fregs.partialRegs().t1 : 0n;
      }
    },
    setX() {},
  };
}
