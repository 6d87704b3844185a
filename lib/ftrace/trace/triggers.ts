/**
 * Triggers: what an event sets off besides its being recorded.
 *
 * `traceon`, `traceoff`, `snapshot`, `stacktrace`, `enable_event`, `disable_event`, `hist`,
 * `enable_hist`, `disable_hist`, each with a count or a filter. A count goes down only when the
 * trigger changes something (`kernel/trace/trace_events_trigger.c`).
 *
 * When a trigger acts and when not is `event_file.ts`; histograms are `hist_triggers.ts`; the same actions at the entries of functions are
 * `function_probes.ts`.
 *
 * @module
 */
import type { EventFilter } from "../../events/event_filter.ts";
import { toInteger } from "../../events/event_subject.ts";
import type { Hart } from "../../hart/hart.ts";
import type { EnteredCall, EventTrigger, TraceEventFile } from "./event_file.ts";
import { HistTriggers, type HistTriggersHost } from "./hist_triggers.ts";
import { type Command, filterOf, ifText, parseCommand, refusedTrigger } from "./trigger_command.ts";
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

/** The actions, names and events that {@linkcode createTriggers} works with. */
export interface TriggersHost extends HistTriggersHost {
  /** The actions that triggers carry out, such as `traceoff` and `snapshot`. */
  readonly actions: TracingActions;
  /** An event by its group and name. */
  find(system: string, name: string): TraceEventFile | undefined;
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

/** Makes the triggers of a trace. */
export function createTriggers(host: TriggersHost): Triggers {
  return new TriggerCommands(host);
}

/** Triggers of one type: an event has one of them, and either word takes it away. */
const TWINS: Readonly<Record<string, readonly string[]>> = {
  traceon: ["traceon", "traceoff"],
  traceoff: ["traceon", "traceoff"],
};

/** What an event does with a trigger. */
type Fire = EventTrigger["fire"];
/** Whether an occurrence has something to do now, and what. */
type Act = (...occurrence: Parameters<Fire>) => (() => void) | undefined;

/** The commands of trigger files by name, and what carries them out. */
class TriggerCommands implements Triggers {
  readonly names: readonly string[];
  readonly #host: TriggersHost;
  readonly #histograms: HistTriggers;
  readonly #commands: Readonly<Record<string, (file: TraceEventFile, command: Command) => void>>;

  constructor(host: TriggersHost) {
    this.#host = host;
    this.#histograms = new HistTriggers(host);
    const { actions } = host;
    const allocate = () => actions.allocateSnapshot();
    this.#commands = {
      traceon: this.#simple("traceon", () => {
        if (!actions.tracingOn) return () => actions.tracingOn = true;
      }),
      traceoff: this.#simple("traceoff", () => {
        if (actions.tracingOn) return () => actions.tracingOn = false;
      }),
      snapshot: this.#simple("snapshot", () => () => actions.snapshot(), { prepare: allocate }),
      stacktrace: this.#simple(
        "stacktrace",
        ({ hart, call }) => () => actions.stack(hart, call),
        { isPost: true },
      ),
      enable_event: (file, command) => this.#switchEvent("enable_event", file, command),
      disable_event: (file, command) => this.#switchEvent("disable_event", file, command),
      enable_hist: (file, command) => this.#switchHist("enable_hist", file, command),
      disable_hist: (file, command) => this.#switchHist("disable_hist", file, command),
      hist: (file, command) => this.#histograms.write(file, command),
    };
    this.names = Object.keys(this.#commands).filter((name) =>
      host.offersHist || !name.includes("hist")
    );
  }

  write(file: TraceEventFile, text: string): void {
    const command = parseCommand(text);
    const carryOut = Object.hasOwn(this.#commands, command.name)
      ? this.#commands[command.name]
      : undefined;
    if (!carryOut) {
      const { names } = this;
      throw refusedTrigger(command.text, `there is no trigger "${command.name}"`, names.join(", "));
    }
    carryOut(file, command);
  }

  /** A trigger of one action, by its name. */
  #simple(
    kind: string,
    act: Act,
    { isPost = false, prepare = () => {} }: { isPost?: boolean; prepare?: () => void } = {},
  ): (file: TraceEventFile, command: Command) => void {
    return (file, command) => {
      const twins = TWINS[kind] ?? [kind];
      if (command.remove) return twins.forEach((twin) => removeKind(file, twin));
      const taken = file.triggers.find((each) => twins.includes(each.kind))?.kind ?? kind;
      const count = countOf(command.parameter, command);
      const filter = filterOf(command, file, this.#host);
      const fire: Fire = (...occurrence) => {
        if (count.spent) return;
        const todo = act(...occurrence);
        if (!todo) return;
        count.take();
        todo();
      };
      add(file, taken, () => {
        prepare();
        return countedTrigger(kind, command, count, filter, fire, isPost);
      });
    };
  }

  /** `enable_event:SYSTEM:EVENT[:COUNT]` and its opposite. */
  #switchEvent(
    name: "enable_event" | "disable_event",
    file: TraceEventFile,
    command: Command,
  ): void {
    const [system = "", event, countText] = command.parameter?.split(":") ?? [];
    const other = event === undefined ? undefined : this.#host.find(system, event);
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
    const filter = filterOf(command, file, this.#host);
    const taken = file.triggers.find((each) => twins.includes(each.kind))?.kind ?? kind;
    add(file, taken, () => {
      const enable = name === "enable_event";
      const hold = other.holdSoft();
      const fire = () => {
        if (count.spent || other.softDisabled !== enable) return;
        count.take();
        other.softDisabled = !enable;
      };
      const trigger = countedTrigger(kind, command, count, filter, fire);
      return withEnd(trigger, () => hold[Symbol.dispose]());
    });
  }

  /** `enable_hist:SYSTEM:EVENT` and its opposite: the histograms of another event go on, or pause. */
  #switchHist(name: "enable_hist" | "disable_hist", file: TraceEventFile, command: Command): void {
    this.#host.allowHist();
    const [system = "", event = "", countText] = command.parameter?.split(":") ?? [];
    const other = this.#host.find(system, event);
    if (!other) throw refusedTrigger(command.text, `there is no event ${system}:${event}`);
    const kind = `${name}:${system}:${event}`;
    if (command.remove) return removeKind(file, kind);
    const count = countOf(countText, command);
    const filter = filterOf(command, file, this.#host);
    const fire = () => {
      if (count.spent) return;
      count.take();
      this.#histograms.pause(other, name === "disable_hist");
    };
    add(file, kind, () => countedTrigger(kind, command, count, filter, fire));
  }
}

/** A trigger that acts as often as its count lets it, and says what is left of that. */
function countedTrigger(
  kind: string,
  command: Command,
  count: Countdown,
  filter: EventFilter | undefined,
  fire: Fire,
  isPost = false,
): EventTrigger {
  return {
    kind,
    filter,
    isPost,
    needsRecord: false,
    get text() {
      return `${kind}:${count.text}${ifText(command)}`;
    },
    fire,
  };
}

/** A trigger with something to do when it is taken away; its text stays live. */
function withEnd(trigger: EventTrigger, end: () => void): EventTrigger {
  return Object.defineProperties({ end }, Object.getOwnPropertyDescriptors(trigger)) as
    & EventTrigger
    & { end(): void };
}

function countOf(text: string | undefined, command: Command): Countdown {
  if (text === undefined) return createCountdown(undefined);
  const count = toInteger(text);
  if (count === undefined || count < 0n || !/^\d/.test(text)) {
    throw refusedTrigger(command.text, `"${text}" is no count`);
  }
  return createCountdown(count);
}

function add(file: TraceEventFile, kind: string, make: () => EventTrigger): void {
  if (file.triggers.some((each) => each.kind === kind)) {
    throw new FtraceError(
      "EEXIST",
      "already-defined",
      `Cannot set the trigger ${kind}: the event has it`,
      `!${kind} first`,
    );
  }
  file.addTrigger(make());
}

function removeKind(file: TraceEventFile, kind: string): void {
  const found = file.triggers.find((each) => each.kind === kind);
  if (found) file.removeTrigger(found);
}
