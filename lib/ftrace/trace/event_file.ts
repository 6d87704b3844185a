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
  /** Does what it does. */
  fire(occurrence: EventOccurrence, subject: () => FilterSubject): void;
  /** It is taken away. */
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
  /** Its triggers, newest first. */
  readonly triggers: readonly EventTrigger[];
  /** The `trigger` file: its triggers, or which there are. */
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
}

/** What event files share. */
export interface EventFileHost {
  /** Whether events are stored (`tracing_on`). */
  tracingOn: boolean;
  /** What was wrong. */
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
  told: (file: TraceEventFile) => void = () => {},
): TraceEventFile {
  /** Whether it occurs at all, recorded or not. */
  let occurs = isBuiltIn;
  let softDisabled = false;
  let holders = 0;
  let filter: EventFilter | undefined;
  let filterText = "none";
  let triggers: readonly EventTrigger[] = [];
  /** Soft mode for the sake of triggers. */
  let hold: Disposable | undefined;

  const changed = () => {
    host.changed(file);
    told(file);
  };
  const file: TraceEventFile = {
    description,
    fields,
    isBuiltIn,
    get enabled() {
      return occurs && !softDisabled;
    },
    set enabled(on) {
      if (isBuiltIn) return;
      if (on) {
        softDisabled = false;
        occurs = true;
      } else {
        if (holders === 0) occurs = false;
        softDisabled = holders > 0;
      }
      changed();
    },
    get softDisabled() {
      return softDisabled;
    },
    set softDisabled(off) {
      if (holders > 0) softDisabled = off;
      changed();
    },
    get enableText() {
      return `${file.enabled ? "1" : "0"}${holders > 0 ? "*" : ""}`;
    },
    get isLive() {
      return occurs;
    },
    get isPlain() {
      return occurs && !softDisabled && filter === undefined && triggers.length === 0;
    },
    get filterText() {
      return filterText;
    },
    setFilter(text) {
      const expression = text.trim();
      filter = undefined;
      filterText = "none";
      changed();
      if (expression === "0") return;
      filter = compileEventFilter(expression, fields, host, ({ text: what, position }) => {
        const caret = "^".padStart(position > 0 ? Math.min(position, expression.length) + 1 : 0);
        filterText = `${expression}\n${caret}\nparse_error: ${what}`;
      });
      filterText = expression;
      changed();
    },
    get triggers() {
      return triggers;
    },
    readTriggers: () =>
      triggers.length > 0
        ? triggers.map(({ text }) => `${text}\n`).join("")
        : `# Available triggers:\n# ${host.triggerNames.join(" ")}\n`,
    writeTrigger: (text) => host.writeTrigger(file, text),
    readHist: () => triggers.flatMap(({ readHist }) => readHist?.() ?? []).join("\n\n"),
    holdSoft() {
      if (holders++ === 0 && !occurs) {
        softDisabled = true;
        occurs = true;
      }
      changed();
      let held = true;
      return {
        [Symbol.dispose]() {
          if (!held) return;
          held = false;
          if (--holders > 0 || !softDisabled) return;
          softDisabled = false;
          occurs = isBuiltIn;
          changed();
        },
      };
    },
    addTrigger(trigger) {
      triggers = [trigger, ...triggers];
      hold ??= file.holdSoft();
      changed();
    },
    removeTrigger(trigger) {
      if (!triggers.includes(trigger)) return;
      triggers = triggers.filter((each) => each !== trigger);
      trigger.end?.();
      if (triggers.length === 0) {
        hold?.[Symbol.dispose]();
        hold = undefined;
      }
      changed();
    },
    occur(occurrence, write) {
      let made: FilterSubject | undefined;
      const subject = () => made ??= host.subject(description, occurrence);
      const isRecorded = () => !softDisabled && (!filter || filter.matches(subject()));
      if (triggers.length === 0) {
        if (isRecorded()) write();
        return;
      }
      const conditional = triggers.some(({ filter, isPost, needsRecord }) =>
        filter !== undefined || isPost || needsRecord
      );
      if (!conditional) {
        // These act before the event gets its place: a traceoff keeps the event itself out.
        for (const trigger of triggers) trigger.fire(occurrence, subject);
        if (isRecorded()) write();
        return;
      }
      // The event has its place already when these act, so a traceoff does not keep it out.
      const placed = host.tracingOn;
      const later: EventTrigger[] = [];
      for (const trigger of triggers) {
        if (trigger.filter && !trigger.filter.matches(subject())) continue;
        if (trigger.isPost) later.push(trigger);
        else trigger.fire(occurrence, subject);
      }
      if (isRecorded()) {
        const after = host.tracingOn;
        if (after !== placed) host.tracingOn = placed;
        write();
        if (after !== placed) host.tracingOn = after;
      }
      for (const trigger of later) trigger.fire(occurrence, subject);
    },
  };
  return file;
}
