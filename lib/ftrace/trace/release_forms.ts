/**
 * What a kernel prints, counts and lays out differently from one release to the next, as one table.
 *
 * An era is pinned to a release and has its forms in `Era.forms`; a trace that was recorded
 * elsewhere says its release in its header. Nothing else compares releases but the table of trace
 * options (`trace_options.ts`).
 *
 * @module
 */
import { isSince, type ReleaseVersion } from "./trace_options.ts";

/** The forms of one release: each field is named for what it decides. */
export interface ReleaseForms {
  /** An argument whose type is an enum is printed by its name. */
  readonly namesEnums: boolean;
  /** The graph tracer keeps a call's times on the task's shadow stack, and so has less room. */
  readonly keepsTimesOnStack: boolean;
  /** An fprobe without an exit handler has an ftrace_ops of its own instead of the graph tracer. */
  readonly hasEntryFprobes: boolean;
  /** `overwrite` in `events/header_page` is an unsigned char, no int. */
  readonly hasCharOverwrite: boolean;
  /** The latency banner says PREEMPTLAZY, not desktop. */
  readonly isLazilyPreemptible: boolean;
  /** Arguments of system calls from 10 up are marked by 0x. */
  readonly marksHexArguments: boolean;
  /** The number of a raw marker takes its four bytes of the record once, not twice. */
  readonly countsRawNumberOnce: boolean;
  /** An fprobe event does not say how many calls its returns wait for. */
  readonly dropsFprobeMaxactive: boolean;
  /** A returned value is printed `ret=…`, not `= …`. */
  readonly spellsRet: boolean;
  /** There is an event of a graph entry with its return address, and later events count one higher. */
  readonly hasRetaddrEntry: boolean;
}

/** The release from which each form is so. */
const SINCE: Readonly<Record<keyof ReleaseForms, ReleaseVersion>> = {
  namesEnums: [7, 0],
  keepsTimesOnStack: [6, 13],
  hasEntryFprobes: [7, 0],
  hasCharOverwrite: [7, 0],
  isLazilyPreemptible: [7, 0],
  marksHexArguments: [6, 18],
  countsRawNumberOnce: [6, 18],
  dropsFprobeMaxactive: [6, 14],
  spellsRet: [6, 13],
  hasRetaddrEntry: [6, 13],
};

const known = new Map<string, ReleaseForms>();

/**
 * The forms of a release as `uname -r` spells it (`6.12.107+deb13-riscv64`).
 *
 * @throws {SyntaxError} If it does not start with two numbers.
 */
export function formsOf(release: string): ReleaseForms {
  let forms = known.get(release);
  if (!forms) {
    const entries = Object.entries(SINCE).map(([form, since]) => [form, isSince(release, since)]);
    forms = Object.fromEntries(entries) as Record<keyof ReleaseForms, boolean>;
    known.set(release, forms);
  }
  return forms;
}
