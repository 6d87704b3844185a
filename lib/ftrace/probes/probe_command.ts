/**
 * Commands that define events on probes: `p:GROUP/NAME PLACE ARGS` and the like, taken apart.
 *
 * What is wrong with one is a `ProbeFault` with its place in the text, as `error_log` shows it
 * (`kernel/trace/trace_probe.c`).
 *
 * What an argument can be is `probe_args.ts`; what an event is of is `kprobe_events.ts` and
 * `fprobe_events.ts`.
 *
 * @module
 */
import { FtraceError } from "../ftrace_error.ts";
import { parseProbeArg, type ProbeArg, type ProbeArgContext, ProbeFault } from "./probe_args.ts";

/** A word of a command. */
export interface CommandWord {
  /** The word's text. */
  readonly text: string;
  /** Characters of the command before it. */
  readonly at: number;
}

/** A command of `kprobe_events`, taken apart. */
export interface KprobeCommand {
  /** The command as it was written. */
  readonly line: string;
  /** Whether it is of a function's return. */
  readonly isReturn: boolean;
  /** Most calls that are waited for at a time. */
  readonly maxactive: number;
  /** Group of the event. */
  readonly group: string;
  /** Name of the event. */
  readonly name: string;
  /** Where the probe is to be. */
  readonly place: string;
  /** Characters before the place. */
  readonly placeAt: number;
  /** Arguments, not parsed yet. */
  readonly args: readonly CommandWord[];
}

const MAX_MAXACTIVE = 4096;
const MAX_ARGS = 128;
const MAX_NAME = 63;
const IDENTIFIER = /^[A-Za-z_]\w*$/;

/** The words of a command, with where each begins. */
export function commandWords(line: string): CommandWord[] {
  return [...line.matchAll(/\S+/g)].map(({ 0: text, index }) => ({ text, at: index }));
}

/** A place of a command without its suffix, and whether that says `%return`. @throws {ProbeFault} For another suffix. */
export function splitReturnSuffix(place: CommandWord): [target: string, isReturn: boolean] {
  const [, target = "", suffix] = /^([^%]*)(%.*)?$/.exec(place.text)!;
  if (suffix !== undefined && suffix !== "%return") {
    throw new ProbeFault("Invalid probed address suffix", place.at + target.length);
  }
  return [target, suffix !== undefined];
}

/**
 * Takes a line of `kprobe_events` apart.
 *
 * @throws {ProbeFault} If something in it is wrong.
 * @throws {FtraceError} EINVAL if it is no such command at all.
 */
export function parseKprobeCommand(line: string): KprobeCommand {
  const [head, place, ...args] = commandWords(line);
  const [, kind, active, names] = /^([pr])(\d*)(?::(\S*))?$/.exec(head?.text ?? "") ?? [];
  if (!head || !kind) {
    throw new FtraceError(
      "EINVAL",
      "bad-syntax",
      `Cannot define "${line}": it begins with neither p nor r`,
    );
  }
  if (!place) throw new ProbeFault("Probe point is not specified", line.length);
  if (kind === "p" && active) throw new ProbeFault("Maxactive is not for kprobe", 1);
  const maxactive = Number(active ?? 0);
  if (maxactive > MAX_MAXACTIVE) throw new ProbeFault("Maxactive is too big", 1);
  const [target, hasSuffix] = splitReturnSuffix(place);
  const isReturn = kind === "r" || hasSuffix;
  const [symbol, offset = "0"] = target.split("+") as [string, string?];
  const made = `${isReturn ? "r" : "p"}_${symbol}_${Number(offset)}`.replaceAll(/\W/g, "_");
  const standard = { group: "kprobes", name: made };
  const { group, name } = probeEventName(names, standard, head.text.indexOf(":") + 1);
  return {
    line,
    isReturn,
    maxactive: isReturn && maxactive === 0 ? 10 : maxactive,
    group,
    name,
    place: target,
    placeAt: place.at,
    args,
  };
}

/**
 * The names that a command gives (`GROUP/NAME`, `NAME`), or the standard ones where it gives none.
 *
 * @param at Characters of the command before them.
 * @throws {ProbeFault} If one is empty, too long, or no identifier.
 */
export function probeEventName(
  names: string | undefined,
  standard: { readonly group: string; readonly name: string },
  at: number,
): { readonly group: string; readonly name: string } {
  if (names === "") throw new ProbeFault("Event name is not specified", at);
  const slash = names?.indexOf("/") ?? -1;
  const group = names !== undefined && slash >= 0 ? names.slice(0, slash) : standard.group;
  if (group === "") throw new ProbeFault("Group name is not specified", at);
  if (group.length > MAX_NAME) throw new ProbeFault("Group name is too long", at);
  if (!IDENTIFIER.test(group)) {
    throw new ProbeFault("Group name must follow the same rules as C identifiers", at);
  }
  const given = names?.slice(slash + 1);
  if (given === undefined || given === "") return { group, name: standard.name };
  if (given.length > MAX_NAME) throw new ProbeFault("Event name is too long", at + slash + 1);
  if (!IDENTIFIER.test(given)) {
    const text = "Event name must follow the same rules as C identifiers";
    throw new ProbeFault(text, at + slash + 1);
  }
  return { group, name: given };
}

/**
 * Parses the arguments of a command, each in a context of its own.
 *
 * @throws {ProbeFault} If one is wrong, two have one name, or they are more than 128.
 */
export function parseProbeArgs(
  words: readonly CommandWord[],
  contextOf: (word: CommandWord) => ProbeArgContext,
): ProbeArg[] {
  const args = words.map((word, k) => parseProbeArg(word.text, k, word.at, contextOf(word)));
  args.forEach(({ name }, k) => {
    if (args.findIndex((each) => each.name === name) === k) return;
    throw new ProbeFault("This argument name is already used", words[k]!.at);
  });
  if (args.length > MAX_ARGS) {
    throw new ProbeFault("Too many arguments are specified", words[MAX_ARGS]!.at);
  }
  return args;
}

/** The refusal of a command that something is wrong with. */
export function refuseCommand(line: string, { message, position, code }: ProbeFault): FtraceError {
  const at = line.slice(position).split(" ")[0] || "the end";
  const reason = code === "EEXIST" ? "already-defined" : "bad-syntax";
  return new FtraceError(code, reason, `Cannot define "${line}": ${message}, at ${at}`);
}
