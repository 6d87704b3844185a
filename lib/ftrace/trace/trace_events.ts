/**
 * The events of one trace: the tracers' own, and those that plugins define.
 *
 * ```ts
 * import { createFtrace, createMachine } from "../../../mod.ts";
 *
 * const program = await Deno.readFile("tests/fixtures/elf/hello_bare_p84");
 * const ftrace = createFtrace(createMachine(program, { stdout: () => {} }));
 * const event = ftrace.defineEvent({
 *   name: "alloc",
 *   fields: { size: "u64", who: "string" },
 *   print: "size=%llu who=%s",
 * });
 * event.emit({ size: 64, who: "parse" }); // alloc: size=64 who=parse
 * ```
 *
 * What a field can be is `lib/events/event_fields.ts`; enabling and filters are `event_file.ts`,
 * triggers `triggers.ts`.
 *
 * @module
 */
import {
  type EventValue,
  type FieldDeclarations,
  layoutFields,
  normalizeValues,
} from "../../events/event_fields.ts";
import {
  compilePrint,
  type FindSymbol,
  plainPrint,
  type PrintEvent,
  printFormatOf,
} from "../../events/event_format.ts";
import { createErrorLog, type ErrorLog } from "../../events/error_log.ts";
import type { FilterWords } from "../../events/filter_predicate.ts";
import type { Hart } from "../../hart/hart.ts";
import { type BuiltInEventName, builtInEvents, firstFreeId } from "./builtin_events.ts";
import type { TracedCall } from "../ops/served_call.ts";
import {
  createEventFile,
  type EnteredCall,
  type EventFileHost,
  type TraceEventFile,
} from "./event_file.ts";
import type { EventCommon, NamedEvent } from "./events.ts";
import type { GraphEntry, GraphReturn } from "../returns/fgraph_ops.ts";
import { globMatch } from "../ops/filter.ts";
import { FtraceError } from "../ftrace_error.ts";
import { createPidFilter, pidAllows, type PidFilter } from "../ops/pid_filter.ts";
import type { HistogramClock } from "./hist_triggers.ts";
import { createTriggers, type TracingActions, type Triggers } from "./triggers.ts";
import type { FtraceRegs } from "../../trampoline/ftrace_regs.ts";

/** What an event of one's own is. */
export interface EventDefinition<F extends FieldDeclarations = FieldDeclarations> {
  /** Its name, a C identifier. */
  readonly name: string;
  /** Its group, a C identifier; `hartrace` by default. */
  readonly system?: string;
  /**
   * Fields and their kernel types, in order: `u8` to `s64`, `bool`, `int`, `unsigned long`, `pid_t`, `void *`,
   * `char[16]`, `u32[4]`, `string`, `cpumask`, `bitmask`, `__data_loc TYPE[]`.
   */
  readonly fields: F;
  /**
   * How it prints: a format of the kernel's printf, whose conversions take the fields in order, or a function
   * of the values. Without it, `name=value` of each.
   */
  readonly print?: string | ((values: { readonly [K in keyof F]: EventValue }) => string);
  /** Whether it is recorded from the start (true), or only once somebody enables it. */
  readonly enabled?: boolean;
  /** Lays fields out without gaps, as in the events of probes. */
  readonly packed?: boolean;
  /** What the format file says of printing, if `print` does not tell. */
  readonly printFormat?: string;
  /** Told when {@linkcode TraceEventFile.isLive} may have changed. */
  readonly changed?: (file: TraceEventFile) => void;
}

/** An event of one's own. Disposing it takes it out of the trace's events; what it recorded stays. */
export interface Event<F extends FieldDeclarations = FieldDeclarations> extends Disposable {
  /** Its state and its description. */
  readonly file: TraceEventFile;
  /** Whether emitting has any effect now: ask before costly values are found out. */
  readonly isLive: boolean;
  /** How many times it was recorded: no filter refused it, and the buffer took it. */
  readonly recorded: number;
  /**
   * The event occurs, on `hart` (the running one by default), now, in a task's context unless `context`
   * says otherwise.
   *
   * @throws {TypeError} If a value is missing or does not fit its field.
   */
  emit(
    values: { readonly [K in keyof F]: EventValue },
    hart?: Hart,
    context?: Pick<EventCommon, "flags" | "preemptCount">,
  ): void;
}

/** What {@linkcode createTraceEvents} needs of its surroundings. */
export interface TraceEventsHost {
  /** All harts of the machine, on any of which an event may occur. */
  readonly harts: readonly Hart[];
  /** The hart on which an event occurs if none is named. */
  hart(): Hart;
  /** Whether function events have arguments, as from 6.16 on. */
  readonly hasEventArgs: boolean;
  /** Whether the era's kernel has histograms. */
  readonly hasHist: boolean;
  /** Whether what the era's kernel refuses is refused. */
  readonly strict: boolean;
  /** The actions that triggers carry out, such as `traceoff` and `snapshot`. */
  readonly actions: TracingActions;
  /** The trace's clock, as histograms use it. */
  readonly clock: HistogramClock;
  /** Stores an event; false if the buffer did not take it. */
  record(event: NamedEvent): boolean;
  /** Task of a hart. */
  pid(hart: Hart): number;
  /** Name of a task. */
  comm(pid: number): string | undefined;
  /** Names an address. */
  readonly symbol: FindSymbol;
  /** The function of that name, or that covers an address. */
  readonly functionRange: FilterWords["functionRange"];
  /** The call whose tracers run now. */
  currentCall(): EnteredCall | undefined;
  /** Return addresses of a hart, innermost first. */
  callers(hart: Hart, call: EnteredCall | undefined): readonly bigint[];
  /** Says whether the function tracer's events are only recorded, so that the fast path may do it. */
  functionIsPlain(plain: boolean): void;
  /** Takes a line about something that is not as in the era's kernel. */
  report(line: string): void;
}

/** The events of one trace. */
export interface TraceEvents {
  /** All of them, the tracers' own first. */
  readonly files: readonly TraceEventFile[];
  /** One of the tracers' own. */
  builtIn(name: BuiltInEventName): TraceEventFile;
  /** One by its group and name, or undefined. */
  find(system: string, name: string): TraceEventFile | undefined;
  /** Defines one. @throws {FtraceError} EEXIST. @throws {SyntaxError} If a name, type or format is wrong. */
  define<const F extends FieldDeclarations>(definition: EventDefinition<F>): Event<F>;
  /** Tasks whose events occur (`set_event_pid`, `set_event_notrace_pid`); the tracers' own ask nobody. */
  readonly pids: PidFilter;
  /** Whether histograms are served: by the era's kernel, or in its place. */
  readonly offersHist: boolean;
  /** What was wrong with filters, triggers and probes (`error_log`); others may add to it. */
  readonly errorLog: ErrorLog;
  /** A function is entered under the function tracer, which records it by `write`. */
  enterFunction(call: TracedCall, write: () => void): void;
  /** A marker is written, which sets off what is set on `events/ftrace/print`. */
  enterMarker(ip: bigint, text: string, write: () => void): void;
  /** Whether the graph's events are recorded and nothing else, so that nobody need be asked. */
  readonly graphIsPlain: boolean;
  /** A function is entered under the graph tracer; gives whether the call passed the filter. */
  enterGraph(entry: GraphEntry, depth: number, fregs: FtraceRegs, write: () => void): boolean;
  /** A function returns under the graph tracer. */
  leaveGraph(exit: GraphReturn, depth: number, rettime: bigint, write: () => void): void;
}

/** Makes the events of a trace; there are only the tracers' own at first. */
export function createTraceEvents(host: TraceEventsHost): TraceEvents {
  return new EventTable(host);
}

/** The events, and what they share: the error log, the pids, the triggers. */
class EventTable implements TraceEvents {
  readonly pids: PidFilter = createPidFilter();
  readonly errorLog: ErrorLog;
  readonly offersHist: boolean;
  readonly #host: TraceEventsHost;
  readonly #triggers: Triggers;
  readonly #fileHost: EventFileHost;
  readonly #builtIn: ReadonlyMap<string, TraceEventFile>;
  readonly #function: TraceEventFile;
  readonly #entry: TraceEventFile;
  readonly #exit: TraceEventFile;
  #files: readonly TraceEventFile[];
  #graphIsPlain = true;
  #nextId: number;
  #saidHist = false;

  constructor(host: TraceEventsHost) {
    this.#host = host;
    this.errorLog = createErrorLog(() => host.hart().now());
    this.offersHist = host.hasHist || !host.strict;
    const words = { glob: globMatch, functionRange: host.functionRange };
    this.#triggers = createTriggers({
      actions: host.actions,
      errorLog: this.errorLog,
      words,
      names: { symbol: host.symbol, comm: host.comm },
      find: (system, name) => this.find(system, name),
      clock: host.clock,
      callers: host.callers,
      offersHist: this.offersHist,
      allowHist: () => this.#allowHist(),
    });
    this.#fileHost = this.#makeFileHost(words);
    const builtIn = builtInEvents(host.hasEventArgs).map((event) => {
      const fields = [...event.fields, ...event.extra];
      return [event.name, createEventFile(event, fields, true, this.#fileHost)] as const;
    });
    this.#builtIn = new Map<string, TraceEventFile>(builtIn);
    this.#files = [...this.#builtIn.values()];
    this.#nextId = firstFreeId(host.hasEventArgs);
    this.#function = this.builtIn("function");
    this.#entry = this.builtIn("funcgraph_entry");
    this.#exit = this.builtIn("funcgraph_exit");
  }

  get files(): readonly TraceEventFile[] {
    return this.#files;
  }

  get graphIsPlain(): boolean {
    return this.#graphIsPlain;
  }

  builtIn(name: BuiltInEventName): TraceEventFile {
    return this.#builtIn.get(name)!;
  }

  find(system: string, name: string): TraceEventFile | undefined {
    return this.#files.find(({ description }) =>
      description.system === system && description.name === name
    );
  }

  enterFunction(call: TracedCall, write: () => void): void {
    if (this.#function.isPlain) return write();
    const { hart, ip, parentIp, fregs } = call;
    const values = withArguments({ ip, parent_ip: parentIp }, fregs);
    this.#function.occur({ hart, call, values }, write);
  }

  enterMarker(ip: bigint, text: string, write: () => void): void {
    const { actions } = this.#host;
    const print = this.builtIn("print");
    if (print.isPlain || !actions.tracingOn) return write();
    const occurrence = { hart: this.#host.hart(), call: this.#host.currentCall() };
    print.occurStored({ ...occurrence, values: { ip, buf: text } }, write);
  }

  enterGraph(entry: GraphEntry, depth: number, fregs: FtraceRegs, write: () => void): boolean {
    // A depth is a long from 6.16 on.
    const { harts, hasEventArgs } = this.#host;
    const given = { func: entry.func, depth: hasEventArgs ? BigInt(depth) : depth };
    const values = withArguments(given, fregs);
    let passed = false;
    this.#entry.occur(
      { hart: harts[entry.cpu]!, values, call: this.#host.currentCall() },
      () => {
        passed = true;
        write();
      },
    );
    return passed;
  }

  leaveGraph(exit: GraphReturn, depth: number, rettime: bigint, write: () => void): void {
    const { func, overrun, callTime: calltime, returnValue: retval } = exit;
    const values = { func, depth, overrun, calltime, rettime, retval };
    this.#exit.occur({ hart: this.#host.harts[exit.cpu]!, values }, write);
  }

  define<const F extends FieldDeclarations>(definition: EventDefinition<F>): Event<F> {
    const { name, system = "hartrace", print } = definition;
    this.#requireFreeName(system, name);
    const fields = layoutFields(definition.fields, definition);
    const format = typeof print === "string" ? print : plainPrint(fields);
    const description = {
      system,
      name,
      id: this.#nextId,
      fields,
      printFormat: definition.printFormat ?? printFormatOf(format, fields),
    };
    const toText: PrintEvent = typeof print === "function"
      ? (values) => print(values as Parameters<typeof print>[0])
      : compilePrint(format, fields);
    this.#nextId++;
    const file = createEventFile(description, fields, false, this.#fileHost, definition.changed);
    if (definition.enabled ?? true) file.enabled = true;
    this.#files = [...this.#files, file];
    return new DefinedEvent(file, toText, this.#host, this.pids, () => {
      this.#files = this.#files.filter((each) => each !== file);
    });
  }

  /** Refuses a name that is no identifier, or another event's. */
  #requireFreeName(system: string, name: string): void {
    for (const word of [name, system]) {
      if (!/^[A-Za-z_]\w*$/.test(word)) {
        throw new SyntaxError(`Cannot define the event ${system}:${name}: it is no C identifier`);
      }
    }
    if (!this.find(system, name)) return;
    throw new FtraceError(
      "EEXIST",
      "already-defined",
      `Cannot define the event ${system}:${name}: there is one of that name`,
    );
  }

  #allowHist(): void {
    const host = this.#host;
    if (host.hasHist) return;
    if (host.strict) {
      throw new FtraceError(
        "EINVAL",
        "not-supported-by-era",
        "Cannot set a hist trigger: this era's kernel is built without them",
        "--era call-ops, or no --strict",
      );
    }
    if (!this.#saidHist) host.report("hist triggers are served, though this era's kernel has none");
    this.#saidHist = true;
  }

  #makeFileHost(words: EventFileHost["words"]): EventFileHost {
    const host = this.#host;
    const { actions } = host;
    return {
      get tracingOn() {
        return actions.tracingOn;
      },
      set tracingOn(on) {
        actions.tracingOn = on;
      },
      errorLog: this.errorLog,
      words,
      subject({ id }, { hart, values }) {
        const pid = host.pid(hart);
        const comm = pid === 0 ? "swapper/0" : host.comm(pid) ?? "<...>";
        return { values, type: id, flags: 0, preemptCount: 0, pid, cpu: hart.id, comm };
      },
      writeTrigger: (file, text) => this.#triggers.write(file, text),
      triggerNames: this.#triggers.names,
      changed: (file) => this.#changed(file),
    };
  }

  /** Notes whether the tracers' events still need nobody to be asked. */
  #changed(file: TraceEventFile): void {
    if (file === this.#function) this.#host.functionIsPlain(file.isPlain);
    else if (file.isBuiltIn) this.#graphIsPlain = this.#entry.isPlain && this.#exit.isPlain;
  }
}

/** An event that somebody defined. */
class DefinedEvent<F extends FieldDeclarations> implements Event<F> {
  readonly file: TraceEventFile;
  readonly #toText: PrintEvent;
  readonly #host: TraceEventsHost;
  readonly #pids: PidFilter;
  readonly #remove: () => void;
  #recorded = 0;

  constructor(
    file: TraceEventFile,
    toText: PrintEvent,
    host: TraceEventsHost,
    pids: PidFilter,
    remove: () => void,
  ) {
    this.file = file;
    this.#toText = toText;
    this.#host = host;
    this.#pids = pids;
    this.#remove = remove;
  }

  get recorded(): number {
    return this.#recorded;
  }

  get isLive(): boolean {
    return this.file.isLive;
  }

  // A function of its own, so that a tracer may take it out of the event.
  readonly emit = (
    given: { readonly [K in keyof F]: EventValue },
    hart: Hart = this.#host.hart(),
    context?: Pick<EventCommon, "flags" | "preemptCount">,
  ): void => {
    const host = this.#host;
    const { description, fields } = this.file;
    if (!this.file.isLive || !pidAllows(this.#pids, host.pid(hart))) return;
    const values = normalizeValues(fields, given);
    const toText = this.#toText;
    this.file.occur({ hart, values, call: host.currentCall() }, () => {
      const isRecorded = host.record({
        time: hart.now(),
        cpu: hart.id,
        pid: host.pid(hart),
        flags: 0,
        preemptCount: 0,
        ...context,
        type: "event",
        name: description.name,
        description,
        values,
        get text() {
          return toText(values, host.symbol);
        },
      });
      if (isRecorded) this.#recorded++;
    });
  };

  [Symbol.dispose](): void {
    const { file } = this;
    for (const trigger of file.triggers) file.removeTrigger(trigger);
    if (file.isLive) file.enabled = false;
    this.#remove();
  }
}

/** Lays the argument registers beside an entry's own fields. */
function withArguments(
  values: Record<string, EventValue>,
  fregs: FtraceRegs,
): Record<string, EventValue> {
  const registers = Array.from({ length: 8 }, (_, n) => BigInt.asUintN(64, fregs.argument(n)));
  registers.forEach((value, n) => values[`a${n}`] = value);
  values["args"] = registers;
  return values;
}
