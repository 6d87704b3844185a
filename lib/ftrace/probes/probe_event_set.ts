/**
 * Events that probes share: of one kind, with the same arguments, at several places
 * (`kernel/trace/trace_probe.c trace_probe_append`).
 *
 * The event comes with its first probe and goes with its last one. Probes are armed while it is
 * enabled; what a probe is belongs to `kprobe_event.ts` and `fprobe_events.ts`.
 *
 * @module
 */
import type { FindSymbol } from "../../events/event_format.ts";
import { FtraceError } from "../ftrace_error.ts";
import type { Event, TraceEvents } from "../trace/trace_events.ts";
import type { ProbeArg } from "./probe_args.ts";
import type { ProbeEventName } from "./probe_command.ts";
import { ProbeFault } from "./probe_fault.ts";
import { probeEventDefinition } from "./probe_record.ts";

/** A probe that records its hits as an event. */
export interface SharingProbe extends ProbeEventName {
  /** Where the probe is, as it is read back. */
  readonly place: string;
  /** What is recorded with each hit. */
  readonly args: readonly ProbeArg[];
  /** Whether it is on a return. */
  readonly isReturn: boolean;
  /** Gives the probe its event. */
  join(event: Event): void;
  /** Lets hits be recorded, or no more. */
  arm(on: boolean): void;
  /** Takes the probe out of the guest; it is in no event any more. */
  withdraw(): void;
}

interface Shared<P> {
  readonly event: Event;
  /** In the order in which they came; never empty. */
  readonly probes: P[];
}

/** The events of one kind of probes, and all the probes that they have. */
export class ProbeEventSet<P extends SharingProbe> {
  readonly #traceEvents: TraceEvents;
  readonly #symbol: FindSymbol;
  readonly #shared = new Map<string, Shared<P>>();
  #probes: readonly P[] = [];

  /** Starts without events. */
  constructor(traceEvents: TraceEvents, symbol: FindSymbol) {
    this.#traceEvents = traceEvents;
    this.#symbol = symbol;
  }

  /** All probes, in order of definition. */
  get probes(): readonly P[] {
    return this.#probes;
  }

  /**
   * Whether a probe may have the event of its name: a new one, or one of its like elsewhere.
   *
   * @param line The command that defines it.
   * @throws {ProbeFault} EEXIST if not.
   */
  check(probe: P, line: string): void {
    const { group, name } = probe;
    const shared = this.#shared.get(keyOf(probe));
    if (!shared) {
      if (this.#traceEvents.find(group, name)) throw new ProbeFault("EVENT_EXIST", 0);
      return;
    }
    const [first] = shared.probes as [P];
    if (first.isReturn !== probe.isReturn) throw new ProbeFault("DIFF_PROBE_TYPE", 0);
    const differs = firstDifference(probe.args, first.args);
    if (differs !== undefined) {
      throw new ProbeFault("DIFF_ARG_TYPE", probe.args[differs]?.at ?? line.length + 1);
    }
    if (shared.probes.some((each) => isSame(each, probe))) throw new ProbeFault("SAME_PROBE", 0);
  }

  /** Adds a probe that has been checked. */
  add(probe: P): void {
    const key = keyOf(probe);
    let shared = this.#shared.get(key);
    if (!shared) this.#shared.set(key, shared = this.#share(probe));
    shared.probes.push(probe);
    this.#probes = [...this.#probes, probe];
    probe.join(shared.event);
    if (shared.event.isLive) probe.arm(true);
  }

  /** Takes a probe away, and its event with the last one; false if that has been done. */
  remove(probe: P): boolean {
    if (!this.#probes.includes(probe)) return false;
    this.#probes = this.#probes.filter((each) => each !== probe);
    const key = keyOf(probe);
    const { probes, event } = this.#shared.get(key)!;
    probes.splice(probes.indexOf(probe), 1);
    if (probes.length === 0) {
      this.#shared.delete(key);
      event[Symbol.dispose]();
    }
    probe.withdraw();
    return true;
  }

  /**
   * Carries out `-:[GROUP/]NAME [PLACE [ARGS]]`: takes away what it matches, all of a group if there is
   * no name.
   *
   * @returns Whether anything matched.
   * @throws {FtraceError} EINVAL if it names nothing; EBUSY for the last probe of an enabled event.
   */
  removeNamed(line: string): boolean {
    const [head = "", place, ...args] = line.split(/\s+/);
    const [, group, name] = /^-:(?:([^/]*)\/)?(.*)$/.exec(head) ?? [];
    if (name === undefined || group === undefined && name === "") {
      throw new FtraceError("EINVAL", "bad-syntax", `Cannot remove "${line}": it names no event`);
    }
    const found = this.#probes.filter((probe) =>
      (name === "" || probe.name === name) && (group === undefined || probe.group === group) &&
      (place === undefined || probe.place === place) &&
      args.every((text, k) => probe.args[k]?.text === text)
    );
    for (const probe of found) {
      const { probes, event } = this.#shared.get(keyOf(probe))!;
      if (probes.length === 1 && event.file.isLive) throw busy(probe);
      this.remove(probe);
    }
    return found.length > 0;
  }

  /** Checks that no event is enabled. @throws {FtraceError} EBUSY if one is. */
  checkIdle(): void {
    for (const { event, probes: [probe] } of this.#shared.values()) {
      if (event.file.isLive) throw busy(probe!);
    }
  }

  /** Takes all away. @throws {FtraceError} EBUSY if one is enabled; then all stay. */
  clear(): void {
    this.checkIdle();
    for (const probe of this.#probes) this.remove(probe);
  }

  #share({ group, name, isReturn, args }: P): Shared<P> {
    const probes: P[] = [];
    const event = this.#traceEvents.define({
      ...probeEventDefinition(group, name, isReturn, args, this.#symbol),
      changed: ({ isLive }) => probes.forEach((probe) => probe.arm(isLive)),
    });
    return { event, probes };
  }
}

const keyOf = ({ group, name }: ProbeEventName): string => `${group}/${name}`;

/** The first argument that has not the name and type of its like, or the one where one list ends. */
function firstDifference(a: readonly ProbeArg[], b: readonly ProbeArg[]): number | undefined {
  if (a.length !== b.length) return Math.min(a.length, b.length);
  const at = a.findIndex(({ shape }, k) => shape !== b[k]!.shape);
  return at < 0 ? undefined : at;
}

function isSame(a: SharingProbe, b: SharingProbe): boolean {
  return a.place === b.place && a.args.every(({ text }, k) => text === b.args[k]!.text);
}

function busy({ group, name }: ProbeEventName): FtraceError {
  return new FtraceError(
    "EBUSY",
    "already-enabled",
    `Cannot remove ${group}/${name}: it is enabled`,
    "0 in its enable file, and then this",
  );
}
