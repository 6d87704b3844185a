/**
 * Events on fprobes: `f:NAME FUNCTION n=$arg1`, `f:NAME FUNCTION%return r=$retval`.
 *
 * A definition may name functions by a glob; the event is then of all of them. The probe is
 * soft-disabled until its event is enabled. At a return `$retval` is what the function gives, and
 * everything else is what it was at the entry (`kernel/trace/trace_fprobe.c`).
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
import { type Fprobe, FPROBE_FL_DISABLED } from "../returns/fprobe.ts";
import { FtraceError } from "../ftrace_error.ts";
import { type ProbeArg, type ProbeArgContext, ProbeFault } from "./probe_args.ts";
import {
  commandWords,
  parseProbeArgs,
  probeEventName,
  refuseCommand,
  splitReturnSuffix,
} from "./probe_command.ts";
import { fetchArgs, probeEventDefinition, type ProbeValues } from "./probe_record.ts";
import type { Event, TraceEvents } from "../trace/trace_events.ts";

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
  /** Registers a probe on functions by patterns. */
  readonly register: (fp: Fprobe, filter: string) => Disposable;
}

/** A command that was understood. */
interface Definition {
  readonly group: string;
  readonly name: string;
  /** Patterns of functions. */
  readonly target: string;
  /** Characters of the command before it. */
  readonly targetAt: number;
  readonly isReturn: boolean;
  /** Arguments that are fetched at the entry, and at the return; all of them in order. */
  readonly args: readonly ProbeArg[];
  readonly atEntry: readonly ProbeArg[];
  readonly atReturn: readonly ProbeArg[];
  /** As `dynamic_events` reads it back. */
  readonly text: string;
}

/** Events on fprobes of one machine. */
export class FprobeEvents {
  readonly #context: FprobeEventsContext;
  #events: readonly EventFprobe[] = [];

  /** Starts without events. */
  constructor(context: FprobeEventsContext) {
    bindMethods(this);
    this.#context = context;
  }

  /** All of them, in order of definition. */
  get events(): readonly FprobeEvent[] {
    return this.#events;
  }

  /**
   * Carries out a line of `dynamic_events`: `f[:[GROUP/]NAME] FUNCTIONS[%return] [ARGS]`.
   *
   * @throws {FtraceError} EINVAL, EEXIST; EOPNOTSUPP where fprobe is refused.
   */
  write(command: string): FprobeEvent {
    const line = command.trim();
    try {
      const definition = this.#understand(line);
      const event = new EventFprobe(this.#context, definition, (disposed) => {
        if (!this.#events.includes(disposed)) return false;
        this.#events = this.#events.filter((each) => each !== disposed);
        return true;
      });
      this.#events = [...this.#events, event];
      return event;
    } catch (error) {
      if (!(error instanceof ProbeFault)) throw error;
      const { message, position } = error;
      this.#context.traceEvents.errorLog.add("trace_fprobe", line, { text: message, position });
      throw refuseCommand(line, error);
    }
  }

  #understand(line: string): Definition {
    const [head, place, ...words] = commandWords(line);
    const [, names] = /^f\d*(?::(\S*))?$/.exec(head?.text ?? "") ?? [null];
    if (names === null) throw new ProbeFault("Unknown command", 0);
    if (!place) throw new ProbeFault("Probe point is not specified", line.length);
    const [target, isReturn] = splitReturnSuffix(place);
    const made = `${target}__${isReturn ? "exit" : "entry"}`.replaceAll(/\W/g, "_");
    const colon = head!.text.indexOf(":") + 1;
    const { group, name } = probeEventName(names, { group: "fprobes", name: made }, colon);
    this.#checkName(group, name, isReturn, line.indexOf(name, colon));
    const isAtReturn = (text: string) => isReturn && text.includes("$retval");
    const args = parseProbeArgs(words, ({ text }) => this.#argContext(isAtReturn(text)));
    const atReturn = args.filter((_, k) => isAtReturn(words[k]!.text));
    const atEntry = args.filter((arg) => !atReturn.includes(arg));
    const text = [`f:${group}/${name}`, place.text, ...args.map(({ text }) => text)].join(" ");
    return { group, name, target, targetAt: place.at, isReturn, args, atEntry, atReturn, text };
  }

  #checkName(group: string, name: string, isReturn: boolean, at: number): void {
    const same = this.#events.find((each) => each.group === group && each.name === name);
    if (same) {
      const other = same.definition.includes("%return") !== isReturn;
      if (other) throw new ProbeFault("Probe type is different from existing probe", 0);
      throw new ProbeFault("There is already the exact same probe event", 0, "EEXIST");
    }
    if (this.#context.traceEvents.find(group, name)) {
      const said = "Given group/event name is already used by another event";
      throw new ProbeFault(said, at, "EEXIST");
    }
  }

  #argContext(isReturn: boolean): ProbeArgContext {
    const { machine, symbol } = this.#context;
    return {
      space: () => machine.runningHart.space,
      comm: () => machine.comm,
      lookup: (name) => machine.symbols.named(name)[0]?.address,
      symbol,
      isReturn,
      isEntry: !isReturn,
    };
  }
}

/** An event and its probe. */
class EventFprobe implements FprobeEvent {
  readonly group: string;
  readonly name: string;
  readonly definition: string;
  readonly event: Event;
  readonly #definition: Definition;
  readonly #registration: Disposable;
  readonly #disposed: (event: EventFprobe) => boolean;
  readonly #probe: Fprobe;
  /** What was fetched at the entry of calls that have not returned. */
  readonly #open = new Map<bigint, ProbeValues>();
  #calls = 0n;

  constructor(
    { traceEvents, symbol, register }: FprobeEventsContext,
    definition: Definition,
    disposed: (event: EventFprobe) => boolean,
  ) {
    const { group, name, isReturn, args, target, targetAt } = definition;
    this.group = group;
    this.name = name;
    this.definition = definition.text;
    this.#definition = definition;
    this.#disposed = disposed;
    const fp = this.#probe = { flags: FPROBE_FL_DISABLED, ...this.#handlers() };
    try {
      this.#registration = register(fp, target);
    } catch (error) {
      if (!(error instanceof FtraceError) || error.code === "EOPNOTSUPP") throw error;
      throw new ProbeFault("Invalid probed address or symbol", targetAt);
    }
    this.event = traceEvents.define({
      ...probeEventDefinition(group, name, isReturn, args, symbol),
      changed: ({ isLive }) => this.#arm(isLive),
    });
  }

  [Symbol.dispose](): void {
    if (!this.#disposed(this)) return;
    this.event[Symbol.dispose]();
    this.#registration[Symbol.dispose]();
  }

  #arm(on: boolean): void {
    this.#probe.flags = on ? 0 : FPROBE_FL_DISABLED;
    // Calls that were left by a jump never come back for theirs.
    if (!on) this.#open.clear();
  }

  #handlers(): Fprobe {
    const { isReturn, atEntry, atReturn } = this.#definition;
    if (!isReturn) {
      return {
        entryHandler: (_fp, ip, _retIp, fregs) =>
          this.event.emit({ __probe_ip: ip, ...fetchArgs(atEntry, registersOf(fregs, ip)) }),
      };
    }
    return {
      entryDataSize: 8,
      entryHandler: (_fp, ip, _retIp, fregs, data) => {
        this.#open.set(++this.#calls, fetchArgs(atEntry, registersOf(fregs, ip)));
        data!.setBigUint64(0, this.#calls);
      },
      exitHandler: (_fp, ip, retIp, fregs, data) => {
        const call = data!.getBigUint64(0);
        const entered = this.#open.get(call);
        this.#open.delete(call);
        // A call that was entered before the event was enabled has nothing of its entry.
        if (!entered) return;
        const where = { __probe_func: ip, __probe_ret_ip: retIp };
        const returned = fetchArgs(atReturn, registersOf(fregs, retIp));
        this.event.emit({ ...where, ...entered, ...returned });
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
