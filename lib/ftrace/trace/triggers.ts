/**
 * Triggers: what an event sets off besides its being recorded.
 *
 * `traceon`, `traceoff`, `snapshot`, `stacktrace`, `enable_event`, `disable_event`, `hist`,
 * `enable_hist`, `disable_hist`, each with a count or a filter. A count goes down only when the
 * trigger changes something (`kernel/trace/trace_events_trigger.c`).
 *
 * When a trigger acts and when not is `event_file.ts`; the same actions at the entries of functions are
 * `function_probes.ts`.
 *
 * @module
 */
import type { ErrorLog } from "../../events/error_log.ts";
import { toInteger } from "../../events/event_subject.ts";
import { createHistogram } from "../../events/histogram.ts";
import type { HistogramWords } from "../../events/histogram_column.ts";
import type { Hart } from "../../hart/hart.ts";
import {
  compileEventFilter,
  type EnteredCall,
  type EventFileHost,
  type EventTrigger,
  type TraceEventFile,
} from "./event_file.ts";
import { FtraceError } from "../ftrace_error.ts";

/** What triggers and function commands do to the trace. */
export interface TracingActions {
  /** Whether events are stored (`tracing_on`). */
  tracingOn: boolean;
  /** Writes a stack event. */
  stack(hart: Hart, call: EnteredCall | undefined): void;
  /** Exchanges the buffer for the snapshot's. */
  snapshot(): void;
  /** Makes room for snapshots. */
  allocateSnapshot(): void;
}

/** What {@linkcode createTriggers} needs. */
export interface TriggersHost {
  /** What there is to be done. */
  readonly actions: TracingActions;
  /** What was wrong. */
  readonly errorLog: ErrorLog;
  /** What names in filters stand for. */
  readonly words: EventFileHost["words"];
  /** What names in histograms stand for. */
  readonly names: Omit<HistogramWords, "fields">;
  /** An event by its group and name. */
  find(system: string, name: string): TraceEventFile | undefined;
  /** Return addresses of a hart, innermost first. */
  callers(hart: Hart, call: EnteredCall | undefined): readonly bigint[];
  /** Called before the first histogram: refuses if there are none in this era, or says that there are not. */
  allowHist(): void;
  /** Whether histograms are among the triggers that a trigger file offers. */
  readonly offersHist: boolean;
}

/** Carries out writes to trigger files. */
export interface Triggers {
  /** The names, as an empty trigger file lists them. */
  readonly names: readonly string[];
  /** Writes a trigger file. @throws {FtraceError} EINVAL, EEXIST, ENOENT, as the kernel. */
  write(file: TraceEventFile, text: string): void;
}

/** A count that goes down: `:unlimited` or `:count=N`. */
export interface Countdown {
  /** `unlimited`, or `count=N` with what is left. */
  readonly text: string;
  /** Whether there is nothing left. */
  readonly spent: boolean;
  /** Counts one down. */
  take(): void;
}

/** Makes a count; undefined is without an end. */
export function createCountdown(from: bigint | undefined): Countdown {
  let left = from;
  return {
    get text() {
      return left === undefined ? "unlimited" : `count=${left}`;
    },
    get spent() {
      return left === 0n;
    },
    take() {
      if (left !== undefined) left--;
    },
  };
}

interface Command {
  readonly remove: boolean;
  readonly name: string;
  readonly parameter: string | undefined;
  readonly condition: string | undefined;
  readonly text: string;
}

const refuse = (text: string, why: string, instead = "") =>
  new FtraceError("EINVAL", "bad-syntax", `Cannot set the trigger "${text}": ${why}`, instead);

/** Splits `!name:parameter if condition` (`event_trigger_separate_filter`). */
function parseCommand(line: string): Command {
  const text = line.trim();
  const [, mark, name, behind = ""] = /^(!?)([^:\s]*)(?::|\s+|$)([^]*)$/.exec(text)!;
  const isParameter = text[mark!.length + name!.length] === ":";
  const [, parameter, rest] = isParameter
    ? /^(\S*)\s*([^]*)$/.exec(behind)!
    : [, undefined, behind];
  const condition = /^if\s+(\S[^]*)$/.exec(rest!)?.[1];
  if (rest !== "" && condition === undefined) {
    throw refuse(text, `behind the trigger comes "if FILTER", not "${rest}"`);
  }
  return { remove: mark === "!", name: name!, parameter: parameter || undefined, condition, text };
}

/** Makes the triggers of a trace. */
export function createTriggers(host: TriggersHost): Triggers {
  const { actions } = host;
  type Fire = EventTrigger["fire"];

  const filterOf = ({ condition }: Command, file: TraceEventFile) =>
    condition === undefined ? undefined : compileEventFilter(condition, file.fields, host);
  const ifText = ({ condition }: Command) => condition === undefined ? "" : ` if ${condition}`;
  const countOf = (text: string | undefined, command: Command) => {
    if (text === undefined || text === "") return createCountdown(undefined);
    const count = toInteger(text);
    if (count === undefined || count < 0n) throw refuse(command.text, `"${text}" is no count`);
    return createCountdown(count);
  };
  const add = (
    file: TraceEventFile,
    { kind }: { readonly kind: string },
    make: () => EventTrigger,
  ) => {
    if (file.triggers.some((each) => each.kind === kind)) {
      throw new FtraceError(
        "EEXIST",
        "already-defined",
        `Cannot set the trigger ${kind}: the event has it`,
        `!${kind} first`,
      );
    }
    file.addTrigger(make());
  };
  const removeKind = (file: TraceEventFile, kind: string) => {
    const found = file.triggers.find((each) => each.kind === kind);
    if (found) file.removeTrigger(found);
  };

  /** A trigger of one action, by its name; `act` says whether it changes something now, and then does it. */
  const simple = (
    kind: string,
    act: (...occurrence: Parameters<Fire>) => (() => void) | undefined,
    { isPost = false, prepare = () => {} }: { isPost?: boolean; prepare?: () => void } = {},
  ) =>
  (file: TraceEventFile, command: Command) => {
    if (command.remove) return removeKind(file, kind);
    const count = countOf(command.parameter, command);
    const filter = filterOf(command, file);
    add(file, { kind }, () => {
      prepare();
      return {
        kind,
        filter,
        isPost,
        needsRecord: false,
        get text() {
          return `${kind}:${count.text}${ifText(command)}`;
        },
        fire(...occurrence) {
          if (count.spent) return;
          const todo = act(...occurrence);
          if (!todo) return;
          count.take();
          todo();
        },
      };
    });
  };

  /** `enable_event:SYSTEM:EVENT[:COUNT]` and its opposite. */
  const eventTrigger =
    (name: "enable_event" | "disable_event") => (file: TraceEventFile, command: Command) => {
      const [system = "", event, countText] = command.parameter?.split(":") ?? [];
      const other = event === undefined ? undefined : host.find(system, event);
      if (!other || other.isBuiltIn) {
        throw new FtraceError(
          "EINVAL",
          "no-match",
          `Cannot set the trigger "${command.text}": there is no event ${system}:${event ?? ""}`,
          `${name}:SYSTEM:EVENT`,
        );
      }
      const kind = `${name}:${system}:${event}`;
      // Both are of one type: an event has one of them for another event, and either word takes it away.
      const twins = [`enable_event:${system}:${event}`, `disable_event:${system}:${event}`];
      if (command.remove) return twins.forEach((twin) => removeKind(file, twin));
      const count = countOf(countText, command);
      const filter = filterOf(command, file);
      const taken = file.triggers.find((each) => twins.includes(each.kind))?.kind ?? kind;
      add(file, { kind: taken }, () => {
        const enable = name === "enable_event";
        const hold = other.holdSoft();
        return {
          kind,
          filter,
          isPost: false,
          needsRecord: false,
          get text() {
            return `${kind}:${count.text}${ifText(command)}`;
          },
          end: () => hold[Symbol.dispose](),
          fire() {
            if (count.spent || other.softDisabled !== enable) return;
            count.take();
            other.softDisabled = !enable;
          },
        };
      });
    };

  interface HistTrigger extends EventTrigger {
    paused: boolean;
    readonly clear: () => void;
    readonly identity: string;
  }
  const hists = new WeakMap<EventTrigger, HistTrigger>();

  const hist = (file: TraceEventFile, command: Command) => {
    host.allowHist();
    const written = `hist${command.parameter === undefined ? "" : `:${command.parameter}`}`;
    const { system, name } = file.description;
    const made = createHistogram(written, { ...host.names, fields: file.fields });
    if ("refusal" in made) {
      const { why, fault } = made.refusal;
      if (fault) host.errorLog.add(`hist:${system}:${name}`, written, fault);
      throw refuse(command.text, why, fault ? "" : "hist:keys=FIELD[:vals=FIELD][:sort=FIELD]");
    }
    const { histogram } = made;
    const identity = `hist:${histogram.identity}${ifText(command)}`;
    const there = file.triggers.map((each) => hists.get(each)).find((each) =>
      each?.identity === identity
    );
    if (command.remove) {
      if (there) file.removeTrigger(there);
      return;
    }
    if (there) {
      if (histogram.request === undefined) {
        const fault = { text: "Hist trigger already exists", position: 0 };
        host.errorLog.add(`hist:${system}:${name}`, written, fault);
        throw new FtraceError(
          "EEXIST",
          "already-defined",
          `Cannot set the trigger "${command.text}": the event has this histogram`,
          "clear, pause or continue",
        );
      }
      if (histogram.request === "clear") there.clear();
      else there.paused = histogram.request === "pause";
      return;
    }
    if (histogram.request === "clear" || histogram.request === "continue") {
      const text = "Can't clear or continue a nonexistent hist trigger";
      host.errorLog.add(`hist:${system}:${name}`, written, { text, position: 0 });
      throw new FtraceError(
        "ENOENT",
        "no-match",
        `Cannot ${histogram.request} the histogram "${command.text}": there is none`,
      );
    }
    const filter = filterOf(command, file);
    const trigger: HistTrigger = {
      kind: identity,
      identity,
      filter,
      isPost: false,
      needsRecord: true,
      paused: histogram.request === "pause",
      clear: () => histogram.clear(),
      get text() {
        const state = trigger.paused ? "paused" : "active";
        return `hist:${histogram.text}${ifText(command)} [${state}]`;
      },
      fire({ hart, call }, subject) {
        if (trigger.paused) return;
        histogram.add({ ...subject(), stack: () => host.callers(hart, call) });
      },
      readHist: () => histogram.read(trigger.text),
    };
    hists.set(trigger, trigger);
    file.addTrigger(trigger);
  };

  /** `enable_hist:SYSTEM:EVENT` and its opposite: the histograms of another event go on, or pause. */
  const histSwitch =
    (name: "enable_hist" | "disable_hist") => (file: TraceEventFile, command: Command) => {
      host.allowHist();
      const [system = "", event = "", countText] = command.parameter?.split(":") ?? [];
      const other = host.find(system, event);
      if (!other) throw refuse(command.text, `there is no event ${system}:${event}`);
      const kind = `${name}:${system}:${event}`;
      if (command.remove) return removeKind(file, kind);
      const count = countOf(countText, command);
      const filter = filterOf(command, file);
      add(file, { kind }, () => ({
        kind,
        filter,
        isPost: false,
        needsRecord: false,
        get text() {
          return `${kind}:${count.text}${ifText(command)}`;
        },
        fire() {
          if (count.spent) return;
          count.take();
          for (const each of other.triggers) {
            const found = hists.get(each);
            if (found) found.paused = name === "disable_hist";
          }
        },
      }));
    };

  const commands: Readonly<Record<string, (file: TraceEventFile, command: Command) => void>> = {
    traceon: simple("traceon", () => {
      if (!actions.tracingOn) return () => actions.tracingOn = true;
    }),
    traceoff: simple("traceoff", () => {
      if (actions.tracingOn) return () => actions.tracingOn = false;
    }),
    snapshot: simple("snapshot", () => () => actions.snapshot(), {
      prepare: () => actions.allocateSnapshot(),
    }),
    stacktrace: simple(
      "stacktrace",
      ({ hart, call }) => () => actions.stack(hart, call),
      { isPost: true },
    ),
    enable_event: eventTrigger("enable_event"),
    disable_event: eventTrigger("disable_event"),
    enable_hist: histSwitch("enable_hist"),
    disable_hist: histSwitch("disable_hist"),
    hist,
  };
  const names = Object.keys(commands).filter((name) => host.offersHist || !name.includes("hist"));
  return {
    names,
    write(file, text) {
      const command = parseCommand(text);
      const carryOut = commands[command.name];
      if (!carryOut) {
        throw refuse(command.text, `there is no trigger "${command.name}"`, names.join(", "));
      }
      carryOut(file, command);
    },
  };
}
