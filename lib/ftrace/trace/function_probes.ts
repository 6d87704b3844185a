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
import { FtraceError } from "../ftrace_error.ts";
import { type AnyFtraceOps, FTRACE_OPS_FL_DYNAMIC } from "../ops/ftrace_ops.ts";
import type { FunctionCore } from "../ops/function_core.ts";
import { type Countdown, createCountdown, type TracingActions } from "./triggers.ts";

/** What {@linkcode registerFunctionProbes} needs. */
export interface FunctionProbesHost {
  /** Where commands are written, and listed. */
  readonly files: Pick<FilterFiles, "registerCommand" | "addListing">;
  /** Takes the probes' ops. */
  readonly core: Pick<FunctionCore, "records" | "registerInternal" | "commitHash">;
  /** What commands do. */
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
  /** It is taken away. */
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

/** Makes the commands known to `set_ftrace_filter`. */
export function registerFunctionProbes(
  { files, core, actions, dump, find }: FunctionProbesHost,
): void {
  const { records } = core;
  /** Newest first, as they are listed. */
  let types: readonly (readonly [name: string, type: ProbeType])[] = [];

  const typeOf = (name: string) => types.find(([each]) => each === name)?.[1];
  const commit = (name: string, type: ProbeType) => {
    const next = { records: new Set(type.probes.keys()), waiting: [] };
    if (next.records.size === 0) {
      type.registration?.[Symbol.dispose]();
      type.registration = undefined;
      types = types.filter(([, each]) => each !== type);
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
    types = [[name, type], ...types];
  };

  /** Adds probes of a type to what the pattern matches, or takes them away. */
  const change = (
    name: string,
    { pattern, remove, text }: FunctionCommandCall,
    make: (record: DynFtrace) => Probe,
  ) => {
    const matched = matchRecords(parsePattern(pattern), records);
    if (remove) {
      const type = typeOf(name);
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
      return commit(name, type);
    }
    if (matched.length === 0) throw noMatch(pattern, records);
    const type = typeOf(name) ??
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
    commit(name, type);
  };

  const countOf = (parameter: string | undefined, text: string): bigint | undefined => {
    if (parameter === undefined || parameter === "") return undefined;
    const count = toInteger(parameter);
    if (count === undefined || count < 0n) throw refuse(text, `"${parameter}" is no count`);
    return count;
  };

  /** A command of one action; `act` says whether it changes something now, and then does it. */
  const simple = (
    name: string,
    act: (call: TracedCall) => (() => void) | undefined,
    prepare: () => void = () => {},
  ) =>
    files.registerCommand(name, (command) => {
      const { parameter, remove, text } = command;
      const type = parameter === undefined ? name : `${name}:count`;
      // To take one away any parameter will do: it only says which type.
      const from = remove ? undefined : countOf(parameter?.split(":")[0], text);
      if (!remove) prepare();
      change(type, command, () => {
        const count = createCountdown(from);
        return { text: () => `${name}:${count.text}`, hit: counted(count, act), end() {} };
      });
    });
  const counted = (count: Countdown, act: (call: TracedCall) => (() => void) | undefined) =>
  (
    call: TracedCall,
  ) => {
    if (count.spent) return;
    const todo = act(call);
    if (!todo) return;
    count.take();
    todo();
  };

  simple("traceon", () => {
    if (!actions.tracingOn) return () => actions.tracingOn = true;
  });
  simple("traceoff", () => {
    if (actions.tracingOn) return () => actions.tracingOn = false;
  });
  simple("stacktrace", (call) => () => actions.stack(call.hart, call));
  simple("snapshot", () => () => actions.snapshot(), () => actions.allocateSnapshot());

  /** Once only, whatever the count; as in the kernel, `cpudump` does not show that it has one. */
  const once = (name: string, act: (call: TracedCall) => void, text?: string) =>
    files.registerCommand(name, (command) =>
      change(name, command, () => {
        const count = createCountdown(1n);
        const hit = counted(count, (call) => () => act(call));
        return { text: () => `${name}:${text ?? count.text}`, hit, end() {} };
      }));
  once("dump", () => dump(undefined));
  once("cpudump", ({ hart }) => dump(hart.id), "unlimited");

  for (const name of ["enable_event", "disable_event"] as const) {
    const enable = name === "enable_event";
    files.registerCommand(name, (command) => {
      const { parameter, remove, text } = command;
      const [system = "", event, counted] = parameter?.split(":") ?? [];
      const file = event === undefined ? undefined : find(system, event);
      if (!file || file.isBuiltIn) {
        throw new FtraceError(
          "EINVAL",
          "no-match",
          `Cannot set "${text}": there is no event ${system}:${event ?? ""}`,
          `FUNCTIONS:${name}:SYSTEM:EVENT[:COUNT]`,
        );
      }
      if (!remove && counted === "") throw refuse(text, "behind the last colon comes a count");
      const from = remove ? undefined : countOf(counted, text);
      const count = createCountdown(from);
      change(counted === undefined ? name : `${name}:count`, command, () => {
        const hold = file.holdSoft();
        return {
          text: () => `${name}:${system}:${event}:${count.text}`,
          hit() {
            if (count.spent || file.softDisabled !== enable) return;
            count.take();
            file.softDisabled = !enable;
          },
          end: () => hold[Symbol.dispose](),
        };
      });
    });
  }

  files.addListing(() =>
    types.flatMap(([, { probes }]) =>
      [...probes].sort(([a], [b]) => a - b).map(([index, { text }]) =>
        `${records[index]!.name}:${text()}`
      )
    )
  );
}
