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
import { createTriggers, type TracingActions } from "./triggers.ts";
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
  /** All harts. */
  readonly harts: readonly Hart[];
  /** The hart on which an event occurs if none is named. */
  hart(): Hart;
  /** Whether function events have arguments, as from 6.16 on. */
  readonly hasEventArgs: boolean;
  /** Whether the era's kernel has histograms. */
  readonly hasHist: boolean;
  /** Whether what the era's kernel refuses is refused. */
  readonly strict: boolean;
  /** What triggers do. */
  readonly actions: TracingActions;
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
  /** Whether the graph's events are recorded and nothing else, so that nobody need be asked. */
  readonly graphIsPlain: boolean;
  /** The same under the graph tracer; gives whether the call passed the filter. */
  enterGraph(entry: GraphEntry, depth: number, fregs: FtraceRegs, write: () => void): boolean;
  /** A function returns under the graph tracer. */
  leaveGraph(exit: GraphReturn, depth: number, rettime: bigint, write: () => void): void;
}

/** Makes the events of a trace; there are only the tracers' own at first. */
export function createTraceEvents(host: TraceEventsHost): TraceEvents {
  const { actions, harts } = host;
  const errorLog = createErrorLog(() => host.hart().now());
  const pids = createPidFilter();
  const words = { glob: globMatch, functionRange: host.functionRange };
  let saidHist = false;
  const find = (system: string, name: string) =>
    files.find(({ description }) => description.system === system && description.name === name);
  const triggers = createTriggers({
    actions,
    errorLog,
    words,
    names: { symbol: host.symbol, comm: host.comm },
    find,
    callers: host.callers,
    offersHist: host.hasHist || !host.strict,
    allowHist() {
      if (host.hasHist) return;
      if (host.strict) {
        throw new FtraceError(
          "EINVAL",
          "not-supported-by-era",
          "Cannot set a hist trigger: this era's kernel is built without them",
          "--era call-ops, or no --strict",
        );
      }
      if (!saidHist) host.report("hist triggers are served, though this era's kernel has none");
      saidHist = true;
    },
  });
  const fileHost: EventFileHost = {
    get tracingOn() {
      return actions.tracingOn;
    },
    set tracingOn(on) {
      actions.tracingOn = on;
    },
    errorLog,
    words,
    subject({ id }, { hart, values }) {
      const pid = host.pid(hart);
      const comm = pid === 0 ? "swapper/0" : host.comm(pid) ?? "<...>";
      return { values, type: id, flags: 0, preemptCount: 0, pid, cpu: hart.id, comm };
    },
    writeTrigger: (file, text) => triggers.write(file, text),
    triggerNames: triggers.names,
    changed(file) {
      if (file === functionFile) host.functionIsPlain(file.isPlain);
      else if (file.isBuiltIn) graphIsPlain = entryFile.isPlain && exitFile.isPlain;
    },
  };
  let graphIsPlain = true;
  const builtIn = new Map<string, TraceEventFile>();
  for (const event of builtInEvents(host.hasEventArgs)) {
    const fields = [...event.fields, ...event.extra];
    builtIn.set(event.name, createEventFile(event, fields, true, fileHost));
  }
  let files: readonly TraceEventFile[] = [...builtIn.values()];
  let nextId = firstFreeId(host.hasEventArgs);
  const stamp = (hart: Hart): EventCommon => ({
    time: hart.now(),
    cpu: hart.id,
    pid: host.pid(hart),
    flags: 0,
    preemptCount: 0,
  });
  /** Lays the argument registers beside an entry's own fields. */
  const withArguments = (values: Record<string, EventValue>, fregs: FtraceRegs) => {
    const registers = Array.from({ length: 8 }, (_, n) => BigInt.asUintN(64, fregs.argument(n)));
    registers.forEach((value, n) => values[`a${n}`] = value);
    values["args"] = registers;
    return values;
  };
  const functionFile = builtIn.get("function")!;
  const entryFile = builtIn.get("funcgraph_entry")!;
  const exitFile = builtIn.get("funcgraph_exit")!;
  /** A depth as the event has it: a long from 6.16 on. */
  const depthOf = (depth: number) => host.hasEventArgs ? BigInt(depth) : depth;
  return {
    offersHist: host.hasHist || !host.strict,
    pids,
    errorLog,
    enterFunction(call, write) {
      if (functionFile.isPlain) return write();
      const { hart, ip, parentIp, fregs } = call;
      const values = withArguments({ ip, parent_ip: parentIp }, fregs);
      functionFile.occur({ hart, call, values }, write);
    },
    get graphIsPlain() {
      return graphIsPlain;
    },
    enterGraph(entry, depth, fregs, write) {
      const values = withArguments({ func: entry.func, depth: depthOf(depth) }, fregs);
      let passed = false;
      entryFile.occur({ hart: harts[entry.cpu]!, values, call: host.currentCall() }, () => {
        passed = true;
        write();
      });
      return passed;
    },
    leaveGraph(exit, depth, rettime, write) {
      const { func, overrun, callTime: calltime, returnValue: retval } = exit;
      const values = { func, depth, overrun, calltime, rettime, retval };
      exitFile.occur({ hart: harts[exit.cpu]!, values }, write);
    },
    get files() {
      return files;
    },
    builtIn: (name) => builtIn.get(name)!,
    find,
    define(definition) {
      const { name, system = "hartrace", print } = definition;
      for (const word of [name, system]) {
        if (!/^[A-Za-z_]\w*$/.test(word)) {
          throw new SyntaxError(`Cannot define the event ${system}:${name}: it is no C identifier`);
        }
      }
      if (find(system, name)) {
        throw new FtraceError(
          "EEXIST",
          "already-defined",
          `Cannot define the event ${system}:${name}: there is one of that name`,
        );
      }
      const fields = layoutFields(definition.fields, definition);
      const format = typeof print === "string" ? print : plainPrint(fields);
      const description = {
        system,
        name,
        id: nextId,
        fields,
        printFormat: definition.printFormat ?? printFormatOf(format, fields),
      };
      const toText: PrintEvent = typeof print === "function"
        ? (values) => print(values as Parameters<typeof print>[0])
        : compilePrint(format, fields);
      nextId++;
      const file = createEventFile(description, fields, false, fileHost, definition.changed);
      if (definition.enabled ?? true) file.enabled = true;
      files = [...files, file];
      let recorded = 0;
      return {
        file,
        get recorded() {
          return recorded;
        },
        get isLive() {
          return file.isLive;
        },
        emit(given, hart = host.hart(), context) {
          if (!file.isLive || !pidAllows(pids, host.pid(hart))) return;
          const values = normalizeValues(fields, given);
          file.occur({ hart, values, call: host.currentCall() }, () => {
            const isRecorded = host.record({
              ...stamp(hart),
              ...context,
              type: "event",
              name,
              description,
              values,
              get text() {
                return toText(values, host.symbol);
              },
            });
            if (isRecorded) recorded++;
          });
        },
        [Symbol.dispose]() {
          for (const trigger of file.triggers) file.removeTrigger(trigger);
          if (file.isLive) file.enabled = false;
          files = files.filter((each) => each !== file);
        },
      };
    },
  };
}
