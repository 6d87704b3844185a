/**
 * One event in a trace: whether it is recorded, and what happens when it occurs
 * (`struct trace_event_file`, the folder `events/SYSTEM/NAME`).
 *
 * An event that somebody must see without its being recorded (a trigger, a function command that is
 * to enable it) is in soft mode: it occurs, but is discarded while it is soft-disabled. The `enable`
 * file then shows a star (`kernel/trace/trace_events.c __ftrace_event_enable_disable`).
 *
 * Which events there are is `trace_events.ts`.
 *
 * @module
 */
import type { EventValues } from "../events/event_fields.ts";
import type { EventDescription } from "../events/event_format.ts";
import type { Hart } from "../hart/hart.ts";

/** An event as it occurs. */
export interface EventOccurrence {
  /** The hart it occurs on. */
  readonly hart: Hart;
  /** Values of its fields. */
  readonly values: EventValues;
}

/** See the module. */
export interface TraceEventFile {
  /** What its record looks like. */
  readonly description: EventDescription;
  /** Whether it is the tracers' own: recorded by whichever is in force, and not to be disabled. */
  readonly isBuiltIn: boolean;
  /** Whether it is recorded; writing it is writing the `enable` file. */
  enabled: boolean;
  /** Whether it occurs, but is discarded. Only in soft mode. */
  softDisabled: boolean;
  /** Whether somebody holds it in soft mode. */
  readonly isSoft: boolean;
  /** The `enable` file: `0` or `1`, with a star in soft mode. */
  readonly enableText: string;
  /** Whether an occurrence has any effect; if not, its values need not be found out. */
  readonly isLive: boolean;
  /** Whether an occurrence is recorded and nothing else: the tracers' fast paths serve only that. */
  readonly isPlain: boolean;
  /** Holds the event in soft mode until disposed of. */
  holdSoft(): Disposable;
  /** The event occurs: calls `write` if it is to be recorded. */
  occur(occurrence: EventOccurrence, write: () => void): void;
}

/** Makes the file of an event that is not enabled, or of a built-in one, which always is. */
export function createEventFile(
  description: EventDescription,
  isBuiltIn: boolean,
  changed: (file: TraceEventFile) => void = () => {},
): TraceEventFile {
  /** Whether it occurs at all, recorded or not. */
  let occurs = isBuiltIn;
  let softDisabled = false;
  let holders = 0;
  const file: TraceEventFile = {
    description,
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
      changed(file);
    },
    get softDisabled() {
      return softDisabled;
    },
    set softDisabled(off) {
      if (holders > 0) softDisabled = off;
    },
    get isSoft() {
      return holders > 0;
    },
    get enableText() {
      return `${file.enabled ? "1" : "0"}${holders > 0 ? "*" : ""}`;
    },
    get isLive() {
      return occurs;
    },
    get isPlain() {
      return occurs && !softDisabled;
    },
    holdSoft() {
      if (holders++ === 0 && !occurs) {
        softDisabled = true;
        occurs = true;
        changed(file);
      }
      let held = true;
      return {
        [Symbol.dispose]() {
          if (!held) return;
          held = false;
          if (--holders > 0 || !softDisabled) return;
          softDisabled = false;
          occurs = isBuiltIn;
          changed(file);
        },
      };
    },
    occur(_occurrence, write) {
      if (!softDisabled) write();
    },
  };
  return file;
}
