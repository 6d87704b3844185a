/**
 * One probe of an event on kprobes or kretprobes: what is recorded when it is hit.
 *
 * A breakpoint is served in an NMI's context, in which Linux writes nothing to the ring buffer unless
 * the architecture has an NMI-safe cmpxchg; RISC-V got it after 6.12, so in older eras such hits count
 * and are not recorded (`kernel/trace/trace_kprobe.c`, `ring_buffer.c`).
 *
 * How events are defined is `kprobe_events.ts`.
 *
 * @module
 */
import type { FindSymbol } from "../../events/event_format.ts";
import type { Hart } from "../../hart/hart.ts";
import type { Machine } from "../../machine/machine.ts";
import type { PtRegs } from "../../trampoline/ftrace_regs.ts";
import type { Era } from "../era.ts";
import type { Prototype } from "../prototypes/header.ts";
import type { Event, TraceEvents } from "../trace/trace_events.ts";
import type { Kprobe } from "./kprobe.ts";
import type { Kprobes } from "./kprobes.ts";
import type { Kretprobe, KretprobeInstance, Kretprobes } from "./kretprobe.ts";
import type { ProbeArg } from "./probe_args.ts";
import type { ProbeEventName } from "./probe_command.ts";
import type { SharingProbe } from "./probe_event_set.ts";
import { fetchArgs, keepArguments, keptArguments, keptAt } from "./probe_record.ts";

/** An event that is recorded when its kprobe or kretprobe is hit. */
export interface KprobeEvent extends Disposable {
  /** Group of the event, `kprobes` unless the definition says otherwise. */
  readonly group: string;
  /** Name of the event. */
  readonly name: string;
  /** The definition as `kprobe_events` reads it back. */
  readonly definition: string;
  /** The event: `event.file.enabled = true` arms the probe. */
  readonly event: Event;
  /** How often the probe was hit; of a return, how often it returned. */
  readonly nhit: number;
  /** How many hits of the probe were not served. */
  readonly nmissed: number;
}

/** The machine and the probe interfaces that `KprobeEvents` is built on. */
export interface KprobeEventsContext {
  /** The machine that is probed. */
  readonly machine: Machine;
  /** The era in force, which decides what a definition may say. */
  readonly era: Era;
  /** Probes on instructions. */
  readonly kprobes: Kprobes;
  /** Probes on returns. */
  readonly kretprobes: Kretprobes;
  /** Where events are defined. */
  readonly traceEvents: TraceEvents;
  /** The symbol that covers an address. */
  readonly symbol: FindSymbol;
  /** The prototype of a function, if it is known. */
  readonly prototypeOf: (name: string) => Prototype | undefined;
  /** Takes a line for the user. */
  readonly report: (line: string) => void;
  /** Notes what is wrong with a command (`error_log`). */
  readonly fault: (command: string, text: string, position: number) => void;
}

/** A parsed and checked line of `kprobe_events`. */
export interface KprobeDefinition extends ProbeEventName {
  /** Whether it is of a function's return. */
  readonly isReturn: boolean;
  /** Most calls that are waited for at a time. */
  readonly maxactive: number;
  /** Address of the probed instruction. */
  readonly address: bigint;
  /** What is recorded with each hit. */
  readonly args: readonly ProbeArg[];
  /** The probed place, as `kprobe_events` prints it. */
  readonly place: string;
}

/** What the breakpoint's context looks like in an event: NMI and hardirq, and a count gone below 0. */
const BREAKPOINT_CONTEXT = { flags: 0x48, preemptCount: 0xff } as const;

/** What a probe tells the events that it is one of. */
export interface EventProbeOwner {
  /** Called when a hit was counted but not recorded. */
  dropped(): void;
  /** The probe was disposed of. */
  disposed(probe: EventProbe): void;
}

/** One probe of an event. */
export class EventProbe implements KprobeEvent, SharingProbe {
  /** Group of its event. */
  readonly group: string;
  /** Name of its event. */
  readonly name: string;
  /** The definition as `kprobe_events` reads it back. */
  readonly definition: string;
  readonly place: string;
  readonly args: readonly ProbeArg[];
  readonly isReturn: boolean;
  readonly #context: KprobeEventsContext;
  readonly #owner: EventProbeOwner;
  readonly #address: bigint;
  readonly #kept: readonly number[];
  /** The kprobe, for an event on an instruction; else the kretprobe is registered. */
  readonly #kp: Kprobe | undefined;
  readonly #rp: Kretprobe | undefined;
  #event: Event | undefined;

  /** Makes the probe, which {@linkcode EventProbe.register} places; `owner` is told of what becomes of it. */
  constructor(
    context: KprobeEventsContext,
    { group, name, isReturn, maxactive, address, args, place }: KprobeDefinition,
    owner: EventProbeOwner,
  ) {
    this.group = group;
    this.name = name;
    this.place = place;
    this.args = args;
    this.isReturn = isReturn;
    const head = isReturn ? `r${maxactive}` : "p";
    const written = args.map(({ text }) => text);
    this.definition = [`${head}:${group}/${name}`, place, ...written].join(" ");
    this.#context = context;
    this.#owner = owner;
    this.#address = address;
    this.#kept = keptArguments(args);
    const at = { at: address, disabled: true };
    if (isReturn) this.#rp = { ...at, maxactive, ...this.#returnHandlers() };
    else this.#kp = { ...at, preHandler: (_kp, regs, hart) => this.#hit(regs, hart) };
  }

  /** The event that its hits are recorded as. */
  get event(): Event {
    return this.#event!;
  }

  /** Hits so far; of a return, returns. */
  get nhit(): number {
    return this.#registration.nhit;
  }

  /** Hits that were not served. */
  get nmissed(): number {
    return this.#registration.nmissed;
  }

  /** Places the probe, which is not armed yet. @throws {FtraceError} As registering one does. */
  register(): void {
    if (this.#rp) this.#context.kretprobes.register(this.#rp);
    else this.#context.kprobes.register(this.#kp!);
  }

  join(event: Event): void {
    this.#event = event;
  }

  arm(on: boolean): void {
    const { kprobes, kretprobes } = this.#context;
    if (this.#rp) on ? kretprobes.enable(this.#rp) : kretprobes.disable(this.#rp);
    else on ? kprobes.enable(this.#kp!) : kprobes.disable(this.#kp!);
  }

  /** Takes the probe away, and the event with its last one. */
  [Symbol.dispose](): void {
    this.#owner.disposed(this);
  }

  withdraw(): void {
    if (this.#rp) this.#context.kretprobes.unregister(this.#rp);
    else this.#context.kprobes.unregister(this.#kp!);
  }

  get #registration(): { readonly nhit: number; readonly nmissed: number } {
    const { kprobes, kretprobes } = this.#context;
    return (this.#rp ? kretprobes.of(this.#rp) : kprobes.of(this.#kp!))!;
  }

  #hit(regs: PtRegs, hart: Hart): void {
    const { kprobes, era } = this.#context;
    const values = { __probe_ip: this.#address, ...fetchArgs(this.args, regs) };
    if (kprobes.isOnFtrace(this.#kp!)) this.event.emit(values, hart);
    else if (era.recordsInNmi) this.event.emit(values, hart, BREAKPOINT_CONTEXT);
    else this.#owner.dropped();
  }

  #returnHandlers(): Pick<Kretprobe, "handler" | "entryHandler" | "dataSize"> {
    const kept = this.#kept;
    const returned = ({ hart, data }: KretprobeInstance, regs: PtRegs) => {
      const where = { __probe_func: this.#address, __probe_ret_ip: regs.epc };
      this.event.emit({ ...where, ...fetchArgs(this.args, regs, keptAt(kept, data)) }, hart);
    };
    if (kept.length === 0) return { handler: returned };
    return {
      handler: returned,
      entryHandler: ({ data }, regs) => keepArguments(this.args, regs, data!),
      dataSize: 8 * kept.length,
    };
  }
}
