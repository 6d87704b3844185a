/**
 * Function commands: what `set_ftrace_filter` takes as `FUNCTIONS:COMMAND[:…][:COUNT]`.
 *
 * A command with a count and the same without one are two types of probe; each type is one dynamic
 * ops on all its functions, registered while it has any (`kernel/trace/ftrace.c
 * register_ftrace_function_probe`, `trace_functions.c`). That is why a counted probe is taken away by
 * `!f:traceon:0` and by nothing else. Counts are each function's own, but for `enable_event`, where
 * the functions of one write share theirs.
 *
 * What is in the file besides is `filter_files.ts`; the same actions at events are `triggers.ts`.
 *
 * @module
 */
import { toInteger } from "../../events/event_subject.ts";
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import type { TracedCall } from "../ops/served_call.ts";
import type { TraceEventFile } from "./event_file.ts";
import { createHash, type FtraceHash, matchRecords, noMatch, parsePattern } from "../ops/filter.ts";
import type { FilterFiles, FunctionCommandCall } from "../ops/filter_files.ts";
import { listedName } from "../ops/filter_files.ts";
import { FtraceError } from "../ftrace_error.ts";
import { type AnyFtraceOps, FTRACE_OPS_FL_DYNAMIC } from "../ops/ftrace_ops.ts";
import type { FunctionCore } from "../ops/function_core.ts";
import { type Countdown, createCountdown, type TracingActions } from "./triggers.ts";

/** The files, core and actions that {@linkcode registerFunctionProbes} connects. */
export interface FunctionProbesHost {
  /** Where commands are written, and listed. */
  readonly files: Pick<FilterFiles, "registerCommand" | "addListing">;
  /** Takes the probes' ops. */
  readonly core: Pick<FunctionCore, "records" | "registerInternal" | "commitHash">;
  /** The actions that commands carry out, such as `traceoff` and `snapshot`. */
  readonly actions: TracingActions;
  /** Prints the buffer, or one hart's, for `dump` and `cpudump`. */
  dump(hart: number | undefined): void;
  /** An event by its group and name. */
  find(system: string, name: string): TraceEventFile | undefined;
}

/** A probe on one function. */
interface Probe {
  /** Behind the function's name in the listing. */
  readonly text: () => string;
  readonly hit: (call: TracedCall) => void;
  /** Called when the probe is taken away. */
  readonly end: () => void;
}

/** All probes of one type. */
interface ProbeType {
  readonly probes: Map<number, Probe>;
  readonly hash: FtraceHash;
  registration: Disposable | undefined;
}

const refuse = (text: string, why: string, instead = "") =>
  new FtraceError("EINVAL", "bad-syntax", `Cannot set "${text}": ${why}`, instead);

/** Does something at a call: gives what, if there is something to do now. */
type Act = (call: TracedCall) => (() => void) | undefined;

/** Makes the commands known to `set_ftrace_filter`. */
export function registerFunctionProbes(host: FunctionProbesHost): void {
  const { actions, dump, files } = host;
  const probes = new FunctionProbes(host);
  probes.registerSimple("traceon", () => {
    if (!actions.tracingOn) return () => actions.tracingOn = true;
  });
  probes.registerSimple("traceoff", () => {
    if (actions.tracingOn) return () => actions.tracingOn = false;
  });
  probes.registerSimple("stacktrace", (call) => () => actions.stack(call.hart, call));
  const allocate = () => actions.allocateSnapshot();
  probes.registerSimple("snapshot", () => () => actions.snapshot(), allocate);
  probes.registerOnce("dump", () => dump(undefined));
  probes.registerOnce("cpudump", ({ hart }) => dump(hart.id), "unlimited");
  probes.registerEventSwitch("enable_event");
  probes.registerEventSwitch("disable_event");
  files.addListing(() => probes.list());
}

class FunctionProbes {
  readonly #host: FunctionProbesHost;
  /** Newest first, as they are listed. */
  #types: readonly (readonly [name: string, type: ProbeType])[] = [];

  constructor(host: FunctionProbesHost) {
    this.#host = host;
  }

  /** Lines of `set_ftrace_filter`, one a probe. */
  list(): readonly string[] {
    const { records } = this.#host.core;
    return this.#types.flatMap(([, { probes }]) =>
      [...probes].sort(([a], [b]) => a - b)
        .map(([index, { text }]) => `${listedName(records[index]!)}:${text()}`)
    );
  }

  /** A command of one action; `prepare` is called before the first probe. */
  registerSimple(name: string, act: Act, prepare: () => void = () => {}): void {
    this.#host.files.registerCommand(name, (command) => {
      const { parameter, remove, text } = command;
      const type = parameter === undefined ? name : `${name}:count`;
      // To take one away any parameter will do: it only says which type.
      const from = remove ? undefined : countOf(parameter?.split(":")[0], text);
      if (!remove) prepare();
      this.#change(type, command, () => {
        const count = createCountdown(from);
        return { text: () => `${name}:${count.text}`, hit: counted(count, act), end() {} };
      });
    });
  }

  /** Once only, whatever the count; as in the kernel, `cpudump` does not show that it has one. */
  registerOnce(name: string, act: (call: TracedCall) => void, text?: string): void {
    this.#host.files.registerCommand(name, (command) =>
      this.#change(name, command, () => {
        const count = createCountdown(1n);
        const hit = counted(count, (call) => () => act(call));
        return { text: () => `${name}:${text ?? count.text}`, hit, end() {} };
      }));
  }

  /** `enable_event:SYSTEM:EVENT[:COUNT]` or its opposite. */
  registerEventSwitch(name: "enable_event" | "disable_event"): void {
    this.#host.files.registerCommand(name, (command) => {
      const { parameter, remove, text } = command;
      const [system = "", event, countText] = parameter?.split(":") ?? [];
      const file = event === undefined ? undefined : this.#host.find(system, event);
      if (!file || file.isBuiltIn) {
        throw new FtraceError(
          "EINVAL",
          "no-match",
          `Cannot set "${text}": there is no event ${system}:${event ?? ""}`,
          `FUNCTIONS:${name}:SYSTEM:EVENT[:COUNT]`,
        );
      }
      if (!remove && countText === "") throw refuse(text, "behind the last colon comes a count");
      const count = createCountdown(remove ? undefined : countOf(countText, text));
      const shown = () => `${name}:${system}:${event}:${count.text}`;
      this.#change(countText === undefined ? name : `${name}:count`, command, () => {
        return eventSwitch(file, name === "enable_event", count, shown);
      });
    });
  }

  /** Adds probes of a type to what the pattern matches, or takes them away. */
  #change(name: string, command: FunctionCommandCall, make: (record: DynFtrace) => Probe): void {
    const { pattern, remove, text } = command;
    const { records } = this.#host.core;
    const matched = matchRecords(parsePattern(pattern), records);
    if (remove) return this.#takeAway(name, matched, text);
    if (matched.length === 0) throw noMatch(pattern, records);
    const type = this.#typeOf(name) ??
      { probes: new Map<number, Probe>(), hash: createHash(), registration: undefined };
    const fresh = matched.filter(({ index }) => !type.probes.has(index));
    if (fresh.length === 0) {
      throw new FtraceError(
        "EINVAL",
        "already-enabled",
        `Cannot set "${text}": every function of it has this probe`,
      );
    }
    for (const record of fresh) type.probes.set(record.index, make(record));
    this.#commit(name, type);
  }

  #takeAway(name: string, matched: readonly DynFtrace[], text: string): void {
    const type = this.#typeOf(name);
    const gone = matched.filter(({ index }) => type?.probes.has(index));
    if (!type || gone.length === 0) {
      throw new FtraceError(
        "ENODEV",
        "no-match",
        `Cannot take away "${text}": there is no such probe`,
        "!FUNCTIONS:COMMAND for one without a count, !FUNCTIONS:COMMAND:0 for one with a count",
      );
    }
    for (const { index } of gone) {
      type.probes.get(index)!.end();
      type.probes.delete(index);
    }
    this.#commit(name, type);
  }

  #typeOf(name: string): ProbeType | undefined {
    return this.#types.find(([each]) => each === name)?.[1];
  }

  /** Makes the ops of a type trace the functions that have a probe of it. */
  #commit(name: string, type: ProbeType): void {
    const { core } = this.#host;
    const next = { records: new Set(type.probes.keys()), waiting: [] };
    if (next.records.size === 0) {
      type.registration?.[Symbol.dispose]();
      type.registration = undefined;
      this.#types = this.#types.filter(([, each]) => each !== type);
      return;
    }
    if (type.registration) return core.commitHash(type.hash, "filter", next);
    for (const index of next.records) type.hash.filter.add(index);
    const ops: AnyFtraceOps = {
      name: "function_trace_probe_call",
      flags: FTRACE_OPS_FL_DYNAMIC,
      hash: type.hash,
    };
    type.registration = core.registerInternal(
      ops,
      (call) => type.probes.get(call.record.index)?.hit(call),
    );
    this.#types = [[name, type], ...this.#types];
  }
}

function countOf(parameter: string | undefined, text: string): bigint | undefined {
  if (parameter === undefined || parameter === "") return undefined;
  const count = toInteger(parameter);
  if (count === undefined || count < 0n) throw refuse(text, `"${parameter}" is no count`);
  return count;
}

/** What a probe does with a call, as often as the count lets it. */
function counted(count: Countdown, act: Act): (call: TracedCall) => void {
  return (call) => {
    if (count.spent) return;
    const todo = act(call);
    if (!todo) return;
    count.take();
    todo();
  };
}

/** A probe that lets an event be recorded, or no longer. */
function eventSwitch(
  file: TraceEventFile,
  enable: boolean,
  count: Countdown,
  text: () => string,
): Probe {
  const hold = file.holdSoft();
  return {
    text,
    hit() {
      if (count.spent || file.softDisabled !== enable) return;
      count.take();
      file.softDisabled = !enable;
    },
    end: () => hold[Symbol.dispose](),
  };
}
