/**
 * Events on kprobes and kretprobes: `p:NAME FUNCTION+8 fd=%a0`, `r:NAME FUNCTION ret=$retval`.
 *
 * The probe exists from the definition on and is armed while its event is enabled. A breakpoint is
 * served in an NMI's context, in which Linux writes nothing to the ring buffer unless the
 * architecture has an NMI-safe cmpxchg; RISC-V got it after 6.12, so in older eras such hits count
 * and are not recorded (`kernel/trace/trace_kprobe.c`, `ring_buffer.c`).
 *
 * What an argument can be is `probe_args.ts`; probes themselves are `kprobes.ts`, `kretprobe.ts`.
 *
 * @module
 */
import type { EventValue, FieldDeclarations } from "../../events/event_fields.ts";
import type { FindSymbol } from "../../events/event_format.ts";
import type { Hart } from "../../hart/hart.ts";
import type { Machine } from "../../machine/machine.ts";
import type { PtRegs } from "../../trampoline/ftrace_regs.ts";
import type { Era } from "../era.ts";
import { FtraceError, type FtraceErrorCode } from "../ftrace_error.ts";
import type { Kprobe } from "./kprobe.ts";
import type { Kprobes } from "./kprobes.ts";
import type { Kretprobe, Kretprobes } from "./kretprobe.ts";
import { parseProbeArg, type ProbeArg, type ProbeArgContext, ProbeFault } from "./probe_args.ts";
import type { Event, TraceEvents } from "../trace/trace_events.ts";

/** An event on a probe. */
export interface KprobeEvent extends Disposable {
  /** Its group, `kprobes` unless the definition says otherwise. */
  readonly group: string;
  /** Its name. */
  readonly name: string;
  /** The definition as `kprobe_events` reads it back. */
  readonly definition: string;
  /** The event: `event.file.enabled = true` arms the probe. */
  readonly event: Event;
  /** Hits so far; of a return, returns. */
  readonly nhit: number;
  /** Hits that were not served. */
  readonly nmissed: number;
}

/** Events on probes of one machine. */
export interface KprobeEvents {
  /** All of them, in order of definition. */
  readonly events: readonly KprobeEvent[];
  /**
   * Carries out one line for `kprobe_events`: `p[:[GROUP/]NAME] PLACE [ARGS]`,
   * `r[MAXACTIVE][:[GROUP/]NAME] FUNCTION [ARGS]`, `FUNCTION%return`, or `-:[GROUP/]NAME`, which
   * takes one away and gives undefined. A name that is there already gets one more place, if the
   * arguments are the same.
   *
   * @throws {FtraceError} With that kernel's errno; EBUSY for removing one that is enabled.
   */
  write(command: string): KprobeEvent | undefined;
  /** Takes all away (`> kprobe_events`). @throws {FtraceError} EBUSY if one is enabled; then all stay. */
  clear(): void;
  /** `kprobe_events`, each definition on its line. */
  read(): string;
  /** `kprobe_profile`: hits and misses of each. */
  profile(): string;
}

/** What {@linkcode createKprobeEvents} needs. */
export interface KprobeEventsContext {
  /** The machine. */
  readonly machine: Machine;
  /** The kernel's ways in force. */
  readonly era: Era;
  /** Probes on instructions. */
  readonly kprobes: Kprobes;
  /** Probes on returns. */
  readonly kretprobes: Kretprobes;
  /** Where events are defined. */
  readonly traceEvents: TraceEvents;
  /** Names an address. */
  readonly symbol: FindSymbol;
  /** Takes a line for the user. */
  readonly report: (line: string) => void;
  /** Notes what is wrong with a command (`error_log`). */
  readonly fault: (command: string, text: string, position: number) => void;
}

/** Probes that share an event: the same arguments at several places. */
interface ProbeSet {
  readonly event: Event;
  readonly isReturn: boolean;
  readonly args: readonly ProbeArg[];
  /** Arms or disarms each of them, by where it is. */
  readonly arm: Map<string, (on: boolean) => void>;
}

/** A command taken apart. */
interface Command {
  /** As it was written. */
  readonly line: string;
  readonly isReturn: boolean;
  readonly maxactive: number;
  readonly group: string;
  readonly name: string;
  readonly place: string;
  /** Characters before the place. */
  readonly placeAt: number;
  readonly args: readonly { readonly text: string; readonly at: number }[];
}

/** What the breakpoint's context looks like in an event: NMI and hardirq, and a count gone below 0. */
const BREAKPOINT_CONTEXT = { flags: 0x48, preemptCount: 0xff } as const;
const MAX_MAXACTIVE = 4096;
const MAX_ARGS = 128;
const MAX_NAME = 63;
const IDENTIFIER = /^[A-Za-z_]\w*$/;

/** Makes the events of one machine's probes; there are none at first. */
export function createKprobeEvents(context: KprobeEventsContext): KprobeEvents {
  const { machine, era, kprobes, kretprobes, traceEvents, symbol } = context;
  const { symbols } = machine;
  let events: readonly KprobeEvent[] = [];
  const sets = new Map<string, ProbeSet>();
  let saidDropped = false;
  const lookup = (name: string) => symbols.named(name)[0]?.address;

  const addressOf = ({ place, placeAt }: Command): bigint => {
    const [, base = "", offset = "0"] = /^([^+]+)(?:\+(\w+))?$/.exec(place) ?? [];
    if (symbols.named(base).filter(({ type }) => type === "func").length > 1) {
      throw new ProbeFault("The symbol is not unique", placeAt, "EADDRNOTAVAIL");
    }
    const start = /^0x[0-9a-f]+$/i.test(base) ? BigInt(base) : lookup(base);
    if (start === undefined || !/^(0x[0-9a-f]+|\d+)$/i.test(offset)) {
      throw new ProbeFault("Invalid probed address or symbol", placeAt);
    }
    return start + BigInt(offset);
  };

  const placeText = (address: bigint): string => {
    const found = symbols.at(address);
    if (!found) return `0x${address.toString(16)}`;
    const { symbol: { name }, offset } = found;
    return offset === 0n ? name : `${name}+${offset}`;
  };
  /** `name+0x8/0xf0`, as events print where they are. */
  const printed = (address: bigint): string => {
    const found = symbol(address);
    if (!found) return `0x${address.toString(16)}`;
    const offset = (address - found.address).toString(16);
    return `${found.name}+0x${offset}/0x${found.size.toString(16)}`;
  };

  const define = (command: Command): KprobeEvent => {
    const { isReturn, group, name } = command;
    const address = addressOf(command);
    if (isReturn && symbols.at(address)?.offset !== 0n) {
      throw new ProbeFault("Retprobe address must be an function entry", command.placeAt);
    }
    const argContext: ProbeArgContext = {
      space: () => machine.runningHart.space,
      comm: () => machine.comm,
      lookup,
      symbol,
      isReturn,
      isEntry: symbols.at(address)?.offset === 0n,
    };
    const args = command.args.map(({ text, at }, k) => parseProbeArg(text, k, at, argContext));
    args.forEach((arg, k) => {
      if (args.findIndex((each) => each.name === arg.name) === k) return;
      throw new ProbeFault("This argument name is already used", command.args[k]!.at);
    });
    if (args.length > MAX_ARGS) {
      throw new ProbeFault("Too many arguments are specified", command.args[MAX_ARGS]!.at);
    }
    const key = `${group}/${name}`;
    const place = placeText(address);
    const written = args.map(({ text }) => text).join(" ");
    const mine = `${place} ${written}`;
    const known = sets.get(key);
    if (known) checkSame(known, { ...command, args }, mine);
    const where: FieldDeclarations = isReturn
      ? { __probe_func: "unsigned long", __probe_ret_ip: "unsigned long" }
      : { __probe_ip: "unsigned long" };
    const fetchAll = (regs: PtRegs): Record<string, EventValue> =>
      Object.fromEntries(args.map((arg) => [arg.name, arg.fetch(regs)]));
    const printArgs = (values: Readonly<Record<string, EventValue>>) =>
      args.map((arg) => ` ${arg.print(values[arg.name]!)}`).join("");
    const onHit = (regs: PtRegs, hart: Hart) => {
      const values = { __probe_ip: address, ...fetchAll(regs) };
      if (kprobes.isOnFtrace(kp)) return event.emit(values, hart);
      if (era.recordsInNmi) return event.emit(values, hart, BREAKPOINT_CONTEXT);
      if (saidDropped) return;
      saidDropped = true;
      context.report(
        `kprobe events are counted and not recorded: a breakpoint is served like an NMI, in which ` +
          `RISC-V writes no events in era ${era.name}; kprobe_profile has the counts, and ` +
          "--era call-ops records them",
      );
    };
    const kp: Kprobe = {
      at: address,
      disabled: true,
      preHandler: (_kp, regs, hart) => void onHit(regs, hart),
    };
    const rp: Kretprobe = {
      at: address,
      disabled: true,
      maxactive: command.maxactive,
      handler({ hart }, regs) {
        const where = { __probe_func: address, __probe_ret_ip: regs.epc };
        event.emit({ ...where, ...fetchAll(regs) }, hart);
      },
    };
    try {
      if (isReturn) kretprobes.register(rp);
      else kprobes.register(kp);
    } catch (error) {
      if (!(error instanceof FtraceError)) throw error;
      context.fault(
        command.line,
        error.code === "EILSEQ"
          ? "Probe point is not an instruction boundary"
          : "Failed to register probe event",
        command.placeAt,
      );
      throw error;
    }
    // Until the event is enabled the probe is not armed, so nothing has been missed.
    const arm = new Map<string, (on: boolean) => void>();
    const event = known?.event ?? traceEvents.define({
      name,
      system: group,
      fields: { ...where, ...Object.fromEntries(args.map((arg) => [arg.name, arg.fieldType])) },
      packed: true,
      enabled: false,
      print: (values) => {
        const at = (field: string) => values[field] as bigint;
        const place = isReturn
          ? `(${printed(at("__probe_ret_ip"))} <- ${symbol(at("__probe_func"))?.name})`
          : `(${printed(at("__probe_ip"))})`;
        return place + printArgs(values);
      },
      printFormat: probePrintFormat(isReturn, args),
      changed: ({ isLive }) => arm.forEach((each) => each(isLive)),
    });
    const set: ProbeSet = known ?? { event, isReturn, args, arm };
    sets.set(key, set);
    const armThis = (on: boolean) => {
      if (isReturn) on ? kretprobes.enable(rp) : kretprobes.disable(rp);
      else on ? kprobes.enable(kp) : kprobes.disable(kp);
    };
    set.arm.set(mine, armThis);
    if (event.isLive) armThis(true);
    const head = isReturn ? `r${command.maxactive}` : "p";
    const definition = [`${head}:${key}`, place, ...args.map(({ text }) => text)].join(" ");
    return {
      group,
      name,
      definition,
      event,
      get nhit() {
        return (isReturn ? rp : kp).nhit ?? 0;
      },
      get nmissed() {
        return (isReturn ? rp : kp).nmissed ?? 0;
      },
      [Symbol.dispose]() {
        if (!events.includes(this)) return;
        events = events.filter((each) => each !== this);
        set.arm.delete(mine);
        if (set.arm.size === 0) {
          sets.delete(key);
          event[Symbol.dispose]();
        }
        if (isReturn) kretprobes.unregister(rp);
        else kprobes.unregister(kp);
      },
    };
  };

  const busy = (found: readonly KprobeEvent[]) => {
    const enabled = found.find(({ event }) => event.file.isLive);
    if (!enabled) return;
    const what = `Cannot remove ${enabled.group}/${enabled.name}: it is enabled`;
    throw refusal("EBUSY", "already-enabled", what, "0 in its enable file, and then this");
  };
  const removeAll = (found: readonly KprobeEvent[]) => {
    busy(found);
    for (const each of found) each[Symbol.dispose]();
  };
  const remove = (text: string) => {
    const [, group = "kprobes", name] = /^-:(?:([^/]+)\/)?(\S+)$/.exec(text) ?? [];
    const found = events.filter((each) => each.name === name && each.group === group);
    if (found.length === 0) {
      throw refusal("ENOENT", "no-match", `Cannot remove ${text.slice(2)}: there is none`);
    }
    removeAll(found);
  };

  return {
    get events() {
      return events;
    },
    write(text) {
      const line = text.trim();
      if (line.startsWith("-:")) {
        remove(line);
        return undefined;
      }
      try {
        const command = parseCommand(line);
        const { group, name } = command;
        if (!sets.has(`${group}/${name}`) && traceEvents.find(group, name)) {
          const said = "Given group/event name is already used by another event";
          throw new ProbeFault(said, line.indexOf(name), "EEXIST");
        }
        const event = define(command);
        events = [...events, event];
        return event;
      } catch (error) {
        if (!(error instanceof ProbeFault)) throw error;
        context.fault(line, error.message, error.position);
        const at = `${line.slice(error.position).split(" ")[0] || "the end"}`;
        const reason = error.code === "EEXIST" ? "already-defined" : "bad-syntax";
        throw refusal(error.code, reason, `Cannot define "${line}": ${error.message}, at ${at}`);
      }
    },
    clear: () => removeAll(events),
    read: () => events.map(({ definition }) => `${definition}\n`).join(""),
    profile: () =>
      events.map(({ name, nhit, nmissed }) =>
        `  ${name.padEnd(44)} ${String(nhit).padStart(15)} ${String(nmissed).padStart(15)}\n`
      ).join(""),
  };
}

function refusal(
  code: FtraceErrorCode,
  reason: FtraceError["reason"],
  what: string,
  instead = "",
): FtraceError {
  return new FtraceError(code, reason, what, instead);
}

/**
 * Whether another probe may join an event: of the same kind, with the same arguments, elsewhere.
 *
 * @throws {ProbeFault} EEXIST if not.
 */
function checkSame(
  set: ProbeSet,
  { isReturn, args }: { readonly isReturn: boolean; readonly args: readonly ProbeArg[] },
  mine: string,
): void {
  const refuse = (text: string) => new ProbeFault(text, 0, "EEXIST");
  if (set.isReturn !== isReturn) throw refuse("Probe type is different from existing probe");
  const shape = (arg: ProbeArg | undefined) => `${arg?.fieldType} ${arg?.format}`;
  const longest = Math.max(args.length, set.args.length);
  for (let k = 0; k < longest; k++) {
    if (shape(args[k]) === shape(set.args[k])) continue;
    throw refuse("Argument type or name is different from existing probe");
  }
  if (set.arm.has(mine)) throw refuse("There is already the exact same probe event");
}

/** What a format file says of printing: the place, or both places of a return, and the arguments. */
export function probePrintFormat(isReturn: boolean, args: readonly ProbeArg[]): string {
  const where = isReturn ? ["__probe_func", "__probe_ret_ip"] : ["__probe_ip"];
  const format = `"(${where.map(() => "%lx").join(" <- ")})${
    args.map((arg) => ` ${arg.format}`).join("")
  }"`;
  const values = args.flatMap((arg) => arg.formatArgs);
  return [format, ...where.map((field) => `REC->${field}`), ...values].join(", ");
}

/** @throws {ProbeFault} If it is no command. */
function parseCommand(line: string): Command {
  const words = [...line.matchAll(/\S+/g)].map(({ 0: text, index }) => ({ text, at: index }));
  const [head, place, ...args] = words;
  const [, kind, active, names] = /^([pr])(\d*)(?::(\S*))?$/.exec(head?.text ?? "") ?? [];
  if (!head || !kind) {
    throw refusal(
      "EINVAL",
      "bad-syntax",
      `Cannot define "${line}": it begins with neither p nor r`,
    );
  }
  if (!place) throw new ProbeFault("Probe point is not specified", line.length);
  if (kind === "p" && active) throw new ProbeFault("Maxactive is not for kprobe", 1);
  const maxactive = Number(active ?? 0);
  if (maxactive > MAX_MAXACTIVE) throw new ProbeFault("Maxactive is too big", 1);
  const [, target, suffix] = /^([^%]*)(%.*)?$/.exec(place.text)!;
  if (suffix !== undefined && suffix !== "%return") {
    throw new ProbeFault("Invalid probed address suffix", place.at + target!.length);
  }
  const isReturn = kind === "r" || suffix === "%return";
  const [symbol, offset = "0"] = target!.split("+") as [string, string?];
  const made = `${isReturn ? "r" : "p"}_${symbol}_${Number(offset)}`.replaceAll(/\W/g, "_");
  const standard = { group: "kprobes", name: made };
  const { group, name } = probeEventName(names, standard, head.text.indexOf(":") + 1);
  return {
    line,
    isReturn,
    maxactive: isReturn && maxactive === 0 ? 10 : maxactive,
    group,
    name,
    place: target!,
    placeAt: place.at,
    args,
  };
}

/**
 * The names that a command gives (`GROUP/NAME`, `NAME`), or the standard ones where it gives none.
 *
 * @param at Characters of the command before them.
 * @throws {ProbeFault} If one is empty, too long, or no identifier.
 */
export function probeEventName(
  names: string | undefined,
  standard: { readonly group: string; readonly name: string },
  at: number,
): { readonly group: string; readonly name: string } {
  if (names === "") throw new ProbeFault("Event name is not specified", at);
  const slash = names?.indexOf("/") ?? -1;
  const group = names !== undefined && slash >= 0 ? names.slice(0, slash) : standard.group;
  if (group === "") throw new ProbeFault("Group name is not specified", at);
  if (group.length > MAX_NAME) throw new ProbeFault("Group name is too long", at);
  if (!IDENTIFIER.test(group)) {
    throw new ProbeFault("Group name must follow the same rules as C identifiers", at);
  }
  const given = names?.slice(slash + 1);
  if (given === undefined || given === "") return { group, name: standard.name };
  if (given.length > MAX_NAME) throw new ProbeFault("Event name is too long", at + slash + 1);
  if (!IDENTIFIER.test(given)) {
    const text = "Event name must follow the same rules as C identifiers";
    throw new ProbeFault(text, at + slash + 1);
  }
  return { group, name: given };
}
