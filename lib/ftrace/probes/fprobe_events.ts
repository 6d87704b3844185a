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
import { A0, RA, S0, SP, T1 } from "../../isa/abi.ts";
import type { EventValue, FieldDeclarations } from "../../events/event_fields.ts";
import type { FindSymbol } from "../../events/event_format.ts";
import type { Machine } from "../../machine/machine.ts";
import type { FtraceRegs, PtRegs } from "../../trampoline/ftrace_regs.ts";
import { type Fprobe, FPROBE_FL_DISABLED } from "../returns/fprobe.ts";
import { FtraceError } from "../ftrace_error.ts";
import { probeEventName, probePrintFormat } from "./kprobe_events.ts";
import { parseProbeArg, type ProbeArgContext, ProbeFault } from "./probe_args.ts";
import type { Event, TraceEvents } from "../trace/trace_events.ts";

/** An event on an fprobe. */
export interface FprobeEvent extends Disposable {
  /** Its group, `fprobes` unless the definition says otherwise. */
  readonly group: string;
  /** Its name. */
  readonly name: string;
  /** The definition as `dynamic_events` reads it back. */
  readonly definition: string;
  /** The event: `event.file.enabled = true` makes the probe act. */
  readonly event: Event;
}

/** Events on fprobes of one machine. */
export interface FprobeEvents {
  /** All of them, in order of definition. */
  readonly events: readonly FprobeEvent[];
  /**
   * Carries out a line of `dynamic_events`: `f[:[GROUP/]NAME] FUNCTIONS[%return] [ARGS]`.
   *
   * @throws {FtraceError} EINVAL, EEXIST; EOPNOTSUPP where fprobe is refused.
   */
  write(command: string): FprobeEvent;
}

/** What {@linkcode createFprobeEvents} needs. */
export interface FprobeEventsContext {
  /** The machine. */
  readonly machine: Machine;
  /** Where events are defined, and errors noted. */
  readonly traceEvents: TraceEvents;
  /** Names an address. */
  readonly symbol: FindSymbol;
  /** Registers a probe. */
  readonly register: (fp: Fprobe, filter: string) => Disposable;
}

/** Makes the events of one machine's fprobes; there are none at first. */
export function createFprobeEvents(context: FprobeEventsContext): FprobeEvents {
  const { machine, traceEvents, symbol, register } = context;
  let events: readonly FprobeEvent[] = [];
  const printed = (address: bigint): string => {
    const found = symbol(address);
    if (!found) return `0x${address.toString(16)}`;
    const offset = (address - found.address).toString(16);
    return `${found.name}+0x${offset}/0x${found.size.toString(16)}`;
  };

  const define = (line: string): FprobeEvent => {
    const [head, place, ...words] = [...line.matchAll(/\S+/g)].map(({ 0: text, index }) => ({
      text,
      at: index,
    }));
    const [, names] = /^f\d*(?::(\S*))?$/.exec(head?.text ?? "") ?? [null];
    if (names === null) throw new ProbeFault("Unknown command", 0);
    if (!place) throw new ProbeFault("Probe point is not specified", line.length);
    const [, target, suffix] = /^([^%]*)(%.*)?$/.exec(place.text)!;
    if (suffix !== undefined && suffix !== "%return") {
      throw new ProbeFault("Invalid probed address suffix", place.at + target!.length);
    }
    const isReturn = suffix !== undefined;
    const made = `${target}__${isReturn ? "exit" : "entry"}`.replaceAll(/\W/g, "_");
    const colon = head!.text.indexOf(":") + 1;
    const { group, name } = probeEventName(names, { group: "fprobes", name: made }, colon);
    const same = events.find((each) => each.group === group && each.name === name);
    if (same) {
      const other = same.definition.includes("%return") !== isReturn;
      if (other) throw new ProbeFault("Probe type is different from existing probe", 0);
      throw new ProbeFault("There is already the exact same probe event", 0, "EEXIST");
    }
    if (traceEvents.find(group, name)) {
      const said = "Given group/event name is already used by another event";
      throw new ProbeFault(said, line.indexOf(name, colon), "EEXIST");
    }
    const args = words.map(({ text, at }, k) => {
      const atReturn = isReturn && text.includes("$retval");
      const where: ProbeArgContext = {
        space: () => machine.runningHart.space,
        comm: () => machine.comm,
        lookup: (name) => machine.symbols.named(name)[0]?.address,
        symbol,
        isReturn: atReturn,
        isEntry: !atReturn,
      };
      return { ...parseProbeArg(text, k, at, where), atReturn };
    });
    args.forEach((arg, k) => {
      if (args.findIndex((each) => each.name === arg.name) === k) return;
      throw new ProbeFault("This argument name is already used", words[k]!.at);
    });
    const fetch = (
      fregs: FtraceRegs,
      ip: bigint,
      atReturn: boolean,
    ): Record<string, EventValue> => {
      const regs = registersOf(fregs, ip);
      return Object.fromEntries(
        args.filter((arg) => arg.atReturn === atReturn).map((arg) => [arg.name, arg.fetch(regs)]),
      );
    };
    /** What was fetched at the entry of calls that have not returned. */
    const open = new Map<bigint, Record<string, EventValue>>();
    let calls = 0n;
    const fp: Fprobe = {
      flags: FPROBE_FL_DISABLED,
      ...(isReturn
        ? {
          entryDataSize: 8,
          entryHandler(_fp, ip, _retIp, fregs, data) {
            open.set(++calls, fetch(fregs, ip, false));
            data!.setBigUint64(0, calls);
          },
          exitHandler(_fp, ip, retIp, fregs, data) {
            const call = data!.getBigUint64(0);
            const atEntry = open.get(call);
            open.delete(call);
            const where = { __probe_func: ip, __probe_ret_ip: retIp };
            // A call that was entered before the event was enabled has nothing of its entry.
            if (atEntry) event.emit({ ...where, ...atEntry, ...fetch(fregs, retIp, true) });
          },
        }
        : {
          entryHandler: (_fp, ip, _retIp, fregs) =>
            event.emit({ __probe_ip: ip, ...fetch(fregs, ip, false) }),
        }),
    };
    let registration: Disposable;
    try {
      registration = register(fp, target!);
    } catch (error) {
      if (!(error instanceof FtraceError) || error.code === "EOPNOTSUPP") throw error;
      throw new ProbeFault("Invalid probed address or symbol", place.at);
    }
    const where: FieldDeclarations = isReturn
      ? { __probe_func: "unsigned long", __probe_ret_ip: "unsigned long" }
      : { __probe_ip: "unsigned long" };
    const event: Event = traceEvents.define({
      system: group,
      name,
      fields: { ...where, ...Object.fromEntries(args.map((arg) => [arg.name, arg.fieldType])) },
      packed: true,
      enabled: false,
      print(values) {
        const at = (field: string) => values[field] as bigint;
        const where = isReturn
          ? `(${printed(at("__probe_ret_ip"))} <- ${symbol(at("__probe_func"))?.name})`
          : `(${printed(at("__probe_ip"))})`;
        return where + args.map((arg) => ` ${arg.print(values[arg.name]!)}`).join("");
      },
      printFormat: probePrintFormat(isReturn, args),
      changed(file) {
        fp.flags = file.isLive ? 0 : FPROBE_FL_DISABLED;
        // Calls that were left by a jump never come back for theirs.
        if (!file.isLive) open.clear();
      },
    });
    return {
      group,
      name,
      definition: [`f:${group}/${name}`, place.text, ...args.map(({ text }) => text)].join(" "),
      event,
      [Symbol.dispose]() {
        if (!events.includes(this)) return;
        events = events.filter((each) => each !== this);
        event[Symbol.dispose]();
        registration[Symbol.dispose]();
      },
    };
  };

  return {
    get events() {
      return events;
    },
    write(text) {
      const line = text.trim();
      try {
        const event = define(line);
        events = [...events, event];
        return event;
      } catch (error) {
        if (!(error instanceof ProbeFault)) throw error;
        const { message, position, code } = error;
        traceEvents.errorLog.add("trace_fprobe", line, { text: message, position });
        const at = line.slice(position).split(" ")[0] || "the end";
        const what = `Cannot define "${line}": ${message}, at ${at}`;
        const reason = code === "EEXIST" ? "already-defined" : "bad-syntax";
        throw new FtraceError(code, reason, what);
      }
    },
  };
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
