/**
 * The events of one trace: the tracers' own, and those that plugins define.
 *
 * ```ts
 * import { createFtrace, createMachine } from "../../mod.ts";
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
 * What a field can be is `lib/events/event_fields.ts`; enabling is `event_file.ts`.
 *
 * @module
 */
import {
  type EventValue,
  type FieldDeclarations,
  layoutFields,
  normalizeValues,
} from "../events/event_fields.ts";
import {
  compilePrint,
  type FindSymbol,
  plainPrint,
  type PrintEvent,
  printFormatOf,
} from "../events/event_format.ts";
import type { Hart } from "../hart/hart.ts";
import { type BuiltInEventName, builtInEvents, firstFreeId } from "./builtin_events.ts";
import { createEventFile, type TraceEventFile } from "./event_file.ts";
import type { EventCommon, NamedEvent } from "./events.ts";
import { FtraceError } from "./ftrace_error.ts";

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
  /** The hart on which an event occurs if none is named. */
  hart(): Hart;
  /** Whether function events have arguments, as from 6.16 on. */
  readonly hasEventArgs: boolean;
  /** Stores an event. */
  record(event: NamedEvent): void;
  /** Task of a hart. */
  pid(hart: Hart): number;
  /** Names an address. */
  readonly symbol: FindSymbol;
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
  /** What an event that occurs on a hart now has in common with all. */
  stamp(hart: Hart): EventCommon;
}

/** Makes the events of a trace; there are only the tracers' own at first. */
export function createTraceEvents(host: TraceEventsHost): TraceEvents {
  const builtIn = new Map<string, TraceEventFile>();
  for (const event of builtInEvents(host.hasEventArgs)) {
    builtIn.set(event.name, createEventFile(event, true));
  }
  let files: readonly TraceEventFile[] = [...builtIn.values()];
  let nextId = firstFreeId(host.hasEventArgs);
  const find = (system: string, name: string) =>
    files.find(({ description }) => description.system === system && description.name === name);
  const stamp = (hart: Hart): EventCommon => ({
    time: hart.now(),
    cpu: hart.id,
    pid: host.pid(hart),
    flags: 0,
    preemptCount: 0,
  });
  return {
    get files() {
      return files;
    },
    builtIn: (name) => builtIn.get(name)!,
    find,
    stamp,
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
      const file = createEventFile(description, false, definition.changed);
      if (definition.enabled ?? true) file.enabled = true;
      files = [...files, file];
      return {
        file,
        get isLive() {
          return file.isLive;
        },
        emit(given, hart = host.hart(), context) {
          if (!file.isLive) return;
          const values = normalizeValues(fields, given);
          file.occur({ hart, values }, () =>
            host.record({
              ...stamp(hart),
              ...context,
              type: "event",
              name,
              description,
              values,
              get text() {
                return toText(values, host.symbol);
              },
            }));
        },
        [Symbol.dispose]() {
          if (file.isLive) file.enabled = false;
          files = files.filter((each) => each !== file);
        },
      };
    },
  };
}
