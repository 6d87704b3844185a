/**
 * Hist triggers: the histograms that events have, alone or shared by a name.
 *
 * Events that give one name to histograms of the same fields count into one table; each has its own
 * filter and is paused by itself (`kernel/trace/trace_events_hist.c hist_register_trigger`). The table
 * is `../../events/histogram.ts`.
 *
 * @module
 */
import type { CommandFault, ErrorLog } from "../../events/error_log.ts";
import { createHistogram, type Histogram } from "../../events/histogram.ts";
import type { HistogramWords } from "../../events/histogram_column.ts";
import type { Hart } from "../../hart/hart.ts";
import { FtraceError } from "../ftrace_error.ts";
import type { EnteredCall, EventFileHost, EventTrigger, TraceEventFile } from "./event_file.ts";
import { type Command, filterOf, ifText, refusedTrigger } from "./trigger_command.ts";

/** The trace's clock, as histograms use it. */
export interface HistogramClock {
  /** Chooses it; false if there is none of that name. */
  set(name: string): boolean;
  /** The time of a hart by it; in microseconds if so asked and if the clock counts nanoseconds. */
  now(hart: Hart, inMicroseconds: boolean): bigint;
}

/** What {@linkcode HistTriggers} works with. */
export interface HistTriggersHost {
  /** The log of refused triggers (`error_log`). */
  readonly errorLog: ErrorLog;
  /** What names in filters stand for. */
  readonly words: EventFileHost["words"];
  /** What names in histograms stand for. */
  readonly names: Pick<HistogramWords, "symbol" | "comm">;
  /** The clock that `common_timestamp` is by. */
  readonly clock: HistogramClock;
  /** Return addresses of a hart, innermost first. */
  callers(hart: Hart, call: EnteredCall | undefined): readonly bigint[];
  /** Called before the first histogram: refuses if there are none in this era, or says that there are not. */
  allowHist(): void;
}

interface HistTrigger extends EventTrigger {
  paused: boolean;
  readonly histogram: Histogram;
  readonly identity: string;
}

type Fault = (fault: CommandFault) => void;

/** Histograms that events have as triggers. */
export class HistTriggers {
  readonly #host: HistTriggersHost;
  readonly #triggers = new WeakMap<EventTrigger, HistTrigger>();
  /** Triggers by the name that they share. */
  readonly #named = new Map<string, Set<HistTrigger>>();

  /** Makes a trace's, of which there are none yet. */
  constructor(host: HistTriggersHost) {
    this.#host = host;
  }

  /** Lets the histograms of an event go on, or pause. */
  pause(file: TraceEventFile, paused: boolean): void {
    for (const each of file.triggers) {
      const found = this.#triggers.get(each);
      if (found) found.paused = paused;
    }
  }

  /** `hist:keys=…`: makes a histogram, takes it away, clears it, pauses it or lets it go on. */
  write(file: TraceEventFile, command: Command): void {
    this.#host.allowHist();
    const written = `hist${command.parameter === undefined ? "" : `:${command.parameter}`}`;
    const fault = (fault: CommandFault) => {
      const { system, name } = file.description;
      this.#host.errorLog.add(`hist:${system}:${name}`, written, fault);
    };
    const made = createHistogram(written, { ...this.#host.names, fields: file.fields });
    if ("refusal" in made) {
      const { why, fault: found, code } = made.refusal;
      if (found) fault(found);
      if (code === "ENOENT") throw missing(command, why);
      throw refusedTrigger(
        command.text,
        why,
        found ? "" : "hist:keys=FIELD[:vals=FIELD][:sort=FIELD]",
      );
    }
    const { histogram } = made;
    const identity = `hist:${histogram.identity}${ifText(command)}`;
    const there = file.triggers.map((each) => this.#triggers.get(each)).find((each) =>
      each?.identity === identity
    );
    if (command.remove) {
      if (there) file.removeTrigger(there);
    } else if (there) change(there, histogram, command, fault);
    else this.#add(file, command, this.#shared(histogram, command, fault), histogram, fault);
  }

  /** The triggers that share a histogram's name. */
  #sharing({ name }: Histogram): ReadonlySet<HistTrigger> {
    return (name === undefined ? undefined : this.#named.get(name)) ?? new Set();
  }

  /** The histogram of that name if there is one. @throws {FtraceError} EINVAL if it is another. */
  #shared(histogram: Histogram, command: Command, fault: Fault): Histogram {
    const [first] = this.#sharing(histogram);
    if (!first) return histogram;
    if (first.histogram.shape === histogram.shape) return first.histogram;
    const text = "Named hist trigger doesn't match existing named trigger (includes variables)";
    const position = `hist:${command.parameter}`.indexOf(histogram.name!);
    fault({ text, position });
    throw refusedTrigger(
      command.text,
      `${histogram.name} has other fields: hist:${first.histogram.text}`,
    );
  }

  #add(
    file: TraceEventFile,
    command: Command,
    histogram: Histogram,
    { request, identity: written, clock }: Histogram,
    fault: Fault,
  ): void {
    const identity = `hist:${written}${ifText(command)}`;
    if (request === "clear" || request === "continue") {
      fault({ text: "Can't clear or continue a nonexistent hist trigger", position: 0 });
      throw missing(command, "there is no such histogram");
    }
    const host = this.#host;
    const filter = filterOf(command, file, host);
    if (clock !== undefined && !host.clock.set(clock)) {
      const position = Math.max(0, `hist:${command.parameter}`.indexOf(clock));
      fault({ text: "Couldn't set trace_clock", position });
      throw refusedTrigger(command.text, `there is no trace clock "${clock}"`);
    }
    const trigger: HistTrigger = {
      kind: identity,
      identity,
      filter,
      isPost: false,
      needsRecord: true,
      paused: request === "pause",
      histogram,
      get text() {
        const state = trigger.paused ? "paused" : "active";
        return `hist:${histogram.text}${ifText(command)} [${state}]`;
      },
      fire({ hart, call }, subject) {
        if (trigger.paused) return;
        histogram.add({
          ...subject(),
          stack: () => host.callers(hart, call),
          time: (inMicroseconds) => host.clock.now(hart, inMicroseconds),
        });
      },
      readHist: () => histogram.read(trigger.text),
      end: () => this.#forget(trigger),
    };
    this.#triggers.set(trigger, trigger);
    this.#remember(trigger);
    file.addTrigger(trigger);
  }

  #remember(trigger: HistTrigger): void {
    const { name } = trigger.histogram;
    if (name === undefined) return;
    const users = this.#named.get(name) ?? new Set();
    this.#named.set(name, users.add(trigger));
  }

  #forget(trigger: HistTrigger): void {
    const users = this.#sharing(trigger.histogram) as Set<HistTrigger>;
    users.delete(trigger);
    if (users.size === 0) this.#named.delete(trigger.histogram.name ?? "");
  }
}

/** The error of what asks for something that is not there. */
function missing(command: Command, why: string): FtraceError {
  return new FtraceError("ENOENT", "no-match", `Cannot set the trigger "${command.text}": ${why}`);
}

/** Clears, pauses or goes on with a histogram that is there. @throws {FtraceError} EEXIST. */
function change(there: HistTrigger, { request }: Histogram, command: Command, fault: Fault): void {
  if (request === undefined) {
    fault({ text: "Hist trigger already exists", position: 0 });
    throw new FtraceError(
      "EEXIST",
      "already-defined",
      `Cannot set the trigger "${command.text}": the event has this histogram`,
      "clear, pause or continue",
    );
  }
  if (request === "clear") there.histogram.clear();
  else there.paused = request === "pause";
}
