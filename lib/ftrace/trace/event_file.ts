/**
 * One event in a trace: whether it is recorded, by which filter, and what happens when it occurs
 * (`struct trace_event_file`, the folder `events/SYSTEM/NAME`).
 *
 * An event that somebody must see without its being recorded (a trigger, a function command that is
 * to enable it) is in soft mode: it occurs, but is discarded while it is soft-disabled. The `enable`
 * file then shows a star (`kernel/trace/trace_events.c __ftrace_event_enable_disable`).
 *
 * Which events there are is `trace_events.ts`; what a trigger does is `triggers.ts`.
 *
 * @module
 */
import type { CommandFault, ErrorLog } from "../../events/error_log.ts";
import type { EventField, EventValues } from "../../events/event_fields.ts";
import { compileFilter, type EventFilter } from "../../events/event_filter.ts";
import type { EventDescription } from "../../events/event_format.ts";
import type { FilterSubject } from "../../events/event_subject.ts";
import { FILTER_FAULTS, type FilterWords } from "../../events/filter_predicate.ts";
import type { Hart } from "../../hart/hart.ts";
import type { TracedCall } from "../ops/served_call.ts";
import { FtraceError } from "../ftrace_error.ts";

/** A traced call, as far as a walk of the stack at its entry needs it. */
export type EnteredCall = Pick<TracedCall, "ip" | "parentIp" | "sp">;

/** An event as it occurs. */
export interface EventOccurrence {
  /** The hart it occurs on. */
  readonly hart: Hart;
  /** Values of its fields. */
  readonly values: EventValues;
  /** The traced call that it tells of, for its stack. */
  readonly call?: EnteredCall | undefined;
}

/** What a trigger does when its event occurs. */
export interface EventTrigger {
  /** What it is, but for count and filter: an event has one of each kind. */
  readonly kind: string;
  /** The line of the trigger file. */
  readonly text: string;
  /** Acts only if the event passes. */
  readonly filter: EventFilter | undefined;
  /** Whether it acts after the event has been recorded. */
  readonly isPost: boolean;
  /** Whether it looks at the event's values. */
  readonly needsRecord: boolean;
  /** The event occurs and has passed the filter: the trigger acts. */
  fire(occurrence: EventOccurrence, subject: () => FilterSubject): void;
  /** Called when the trigger is taken away. */
  end?(): void;
  /** The text of the `hist` file, if it is a histogram. */
  readHist?(): string;
}

/** See the module. */
export interface TraceEventFile {
  /** What its record looks like. */
  readonly description: EventDescription;
  /** What filters and histograms may ask for: its fields, and those that its record has no room for. */
  readonly fields: readonly EventField[];
  /** Whether it is the tracers' own: recorded by whichever is in force, and not to be disabled. */
  readonly isBuiltIn: boolean;
  /** Whether it is recorded; writing it is writing the `enable` file. */
  enabled: boolean;
  /** Whether it occurs, but is discarded. Only in soft mode. */
  softDisabled: boolean;
  /** The `enable` file: `0` or `1`, with a star in soft mode. */
  readonly enableText: string;
  /** Whether an occurrence has any effect; if not, its values need not be found out. */
  readonly isLive: boolean;
  /** Whether an occurrence is recorded and nothing else: the tracers' fast paths serve only that. */
  readonly isPlain: boolean;
  /** The `filter` file: the expression, `none`, or what was wrong with the last one. */
  readonly filterText: string;
  /**
   * Writes the `filter` file; `0` takes the filter away.
   *
   * @throws {FtraceError} EINVAL, with an entry in the error log; there is then no filter.
   */
  setFilter(text: string): void;
  /** The event's triggers, newest first. */
  readonly triggers: readonly EventTrigger[];
  /** The `trigger` file: the event's triggers, or the names of those that there are. */
  readTriggers(): string;
  /**
   * Writes the `trigger` file: `COMMAND[:…][:COUNT][ if FILTER]`, or `!COMMAND…` to take one away.
   *
   * @throws {FtraceError} EINVAL, EEXIST, ENOENT, as the kernel.
   */
  writeTrigger(text: string): void;
  /** The `hist` file: every histogram of the event, "" if there is none. */
  readHist(): string;
  /** Holds the event in soft mode until disposed of. */
  holdSoft(): Disposable;
  /** Adds a trigger, and with it soft mode. */
  addTrigger(trigger: EventTrigger): void;
  /** Takes a trigger away. */
  removeTrigger(trigger: EventTrigger): void;
  /** The event occurs: calls `write` if it is to be recorded. */
  occur(occurrence: EventOccurrence, write: () => void): void;
  /** A marker occurs: it is recorded before its triggers act, so that they act on a trace that has it. */
  occurStored(occurrence: EventOccurrence, write: () => void): void;
}

/** What the files of all events share. */
export interface EventFileHost {
  /** Whether events are stored (`tracing_on`). */
  tracingOn: boolean;
  /** The log of refused filters and triggers (`error_log`). */
  readonly errorLog: ErrorLog;
  /** What names in expressions stand for. */
  readonly words: Omit<FilterWords, "fields">;
  /** An occurrence as filters see it. */
  subject(description: EventDescription, occurrence: EventOccurrence): FilterSubject;
  /** Carries out a write to a trigger file. */
  writeTrigger(file: TraceEventFile, text: string): void;
  /** The names of triggers, as an empty trigger file lists them. */
  readonly triggerNames: readonly string[];
  /** Told when {@linkcode TraceEventFile.isPlain} may have changed. */
  changed(file: TraceEventFile): void;
}

/**
 * Compiles a filter on an event.
 *
 * @throws {FtraceError} EINVAL, with an entry in the error log.
 */
export function compileEventFilter(
  text: string,
  fields: readonly EventField[],
  { words, errorLog }: Pick<EventFileHost, "words" | "errorLog">,
  onFault: (fault: CommandFault) => void = () => {},
): EventFilter {
  const compiled = compileFilter(text, { ...words, fields });
  if ("filter" in compiled) return compiled.filter;
  const { fault } = compiled;
  errorLog.add("event filter parse error", text, fault);
  onFault(fault);
  const names = fields.map(({ name }) => name).join(", ");
  throw new FtraceError(
    "EINVAL",
    "bad-syntax",
    `Cannot filter by "${text}": ${fault.text} at character ${fault.position + 1}`,
    fault.text === FILTER_FAULTS.fieldNotFound ? `one of ${names}, comm, cpu, common_pid` : "",
  );
}

/** Makes the file of an event that is not enabled, or of a built-in one, which always is. */
export function createEventFile(
  description: EventDescription,
  fields: readonly EventField[],
  isBuiltIn: boolean,
  host: EventFileHost,
  changed: (file: TraceEventFile) => void = () => {},
): TraceEventFile {
  return new EventFile(description, fields, isBuiltIn, host, changed);
}

class EventFile implements TraceEventFile {
  readonly description: EventDescription;
  readonly fields: readonly EventField[];
  readonly isBuiltIn: boolean;
  readonly #host: EventFileHost;
  readonly #onChange: (file: TraceEventFile) => void;
  /** Whether the event occurs at all, recorded or not. */
  #occurs: boolean;
  #softDisabled = false;
  #holders = 0;
  #filter: EventFilter | undefined;
  #filterText = "none";
  #triggers: readonly EventTrigger[] = [];
  /** Soft mode for the sake of triggers. */
  #hold: Disposable | undefined;

  constructor(
    description: EventDescription,
    fields: readonly EventField[],
    isBuiltIn: boolean,
    host: EventFileHost,
    onChange: (file: TraceEventFile) => void,
  ) {
    // A tracer may take these out of the file.
    this.setFilter = this.setFilter.bind(this);
    this.writeTrigger = this.writeTrigger.bind(this);
    this.readTriggers = this.readTriggers.bind(this);
    this.readHist = this.readHist.bind(this);
    this.description = description;
    this.fields = fields;
    this.isBuiltIn = isBuiltIn;
    this.#host = host;
    this.#onChange = onChange;
    this.#occurs = isBuiltIn;
  }

  get enabled(): boolean {
    return this.#occurs && !this.#softDisabled;
  }
  set enabled(on: boolean) {
    if (this.isBuiltIn) return;
    if (on) {
      this.#softDisabled = false;
      this.#occurs = true;
    } else {
      if (this.#holders === 0) this.#occurs = false;
      this.#softDisabled = this.#holders > 0;
    }
    this.#changed();
  }

  get softDisabled(): boolean {
    return this.#softDisabled;
  }
  set softDisabled(off: boolean) {
    if (this.#holders > 0) this.#softDisabled = off;
    this.#changed();
  }

  get enableText(): string {
    return `${this.enabled ? "1" : "0"}${this.#holders > 0 ? "*" : ""}`;
  }

  get isLive(): boolean {
    return this.#occurs;
  }

  get isPlain(): boolean {
    return this.enabled && this.#filter === undefined && this.#triggers.length === 0;
  }

  get filterText(): string {
    return this.#filterText;
  }

  setFilter(text: string): void {
    const expression = text.trim();
    this.#filter = undefined;
    this.#filterText = "none";
    this.#changed();
    if (expression === "0") return;
    const onFault = ({ text: what, position }: CommandFault) => {
      const caret = "^".padStart(position > 0 ? Math.min(position, expression.length) + 1 : 0);
      this.#filterText = `${expression}\n${caret}\nparse_error: ${what}`;
    };
    this.#filter = compileEventFilter(expression, this.fields, this.#host, onFault);
    this.#filterText = expression;
    this.#changed();
  }

  get triggers(): readonly EventTrigger[] {
    return this.#triggers;
  }

  readTriggers(): string {
    return this.#triggers.length > 0
      ? this.#triggers.map(({ text }) => `${text}\n`).join("")
      : `# Available triggers:\n# ${this.#host.triggerNames.join(" ")}\n`;
  }

  writeTrigger(text: string): void {
    this.#host.writeTrigger(this, text);
  }

  readHist(): string {
    return this.#triggers.flatMap(({ readHist }) => readHist?.() ?? []).join("\n\n");
  }

  holdSoft(): Disposable {
    if (this.#holders++ === 0 && !this.#occurs) {
      this.#softDisabled = true;
      this.#occurs = true;
    }
    this.#changed();
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (held) this.#release();
        held = false;
      },
    };
  }

  #release(): void {
    if (--this.#holders > 0 || !this.#softDisabled) return;
    this.#softDisabled = false;
    this.#occurs = this.isBuiltIn;
    this.#changed();
  }

  addTrigger(trigger: EventTrigger): void {
    this.#triggers = [trigger, ...this.#triggers];
    this.#hold ??= this.holdSoft();
    this.#changed();
  }

  removeTrigger(trigger: EventTrigger): void {
    if (!this.#triggers.includes(trigger)) return;
    this.#triggers = this.#triggers.filter((each) => each !== trigger);
    trigger.end?.();
    if (this.#triggers.length === 0) {
      this.#hold?.[Symbol.dispose]();
      this.#hold = undefined;
    }
    this.#changed();
  }

  occur(occurrence: EventOccurrence, write: () => void): void {
    let made: FilterSubject | undefined;
    const subject = () => made ??= this.#host.subject(this.description, occurrence);
    const triggers = this.#triggers;
    if (triggers.length === 0) {
      if (this.#records(subject)) write();
      return;
    }
    const conditional = triggers.some(({ filter, isPost, needsRecord }) =>
      filter !== undefined || isPost || needsRecord
    );
    if (conditional) return this.#occurInPlace(occurrence, subject, write);
    // These act before the event gets its place: a traceoff keeps the event itself out.
    for (const trigger of triggers) trigger.fire(occurrence, subject);
    if (this.#records(subject)) write();
  }

  occurStored(occurrence: EventOccurrence, write: () => void): void {
    let made: FilterSubject | undefined;
    const subject = () => made ??= this.#host.subject(this.description, occurrence);
    if (this.#records(subject)) write();
    const due = this.#triggers.filter(({ filter }) => !filter || filter.matches(subject()));
    for (const trigger of due.filter(({ isPost }) => !isPost)) trigger.fire(occurrence, subject);
    for (const trigger of due.filter(({ isPost }) => isPost)) trigger.fire(occurrence, subject);
  }

  /** The event has its place already when its triggers act, so a traceoff does not keep it out. */
  #occurInPlace(
    occurrence: EventOccurrence,
    subject: () => FilterSubject,
    write: () => void,
  ): void {
    const host = this.#host;
    const placed = host.tracingOn;
    const later: EventTrigger[] = [];
    for (const trigger of this.#triggers) {
      if (trigger.filter && !trigger.filter.matches(subject())) continue;
      if (trigger.isPost) later.push(trigger);
      else trigger.fire(occurrence, subject);
    }
    if (this.#records(subject)) {
      const after = host.tracingOn;
      if (after !== placed) host.tracingOn = placed;
      write();
      if (after !== placed) host.tracingOn = after;
    }
    for (const trigger of later) trigger.fire(occurrence, subject);
  }

  #records(subject: () => FilterSubject): boolean {
    return !this.#softDisabled && (!this.#filter || this.#filter.matches(subject()));
  }

  #changed(): void {
    this.#host.changed(this);
    this.#onChange(this);
  }
}
