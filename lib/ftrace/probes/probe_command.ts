/**
 * Commands that define events on probes: `p:GROUP/NAME PLACE ARGS` and the like, taken apart.
 *
 * What is wrong with one is a `ProbeFault` with its place in the command as `error_log` shows it:
 * its words with one blank between them. Parts are looked at in the kernel's order, so that of two
 * errors the same one is told (`kernel/trace/trace_probe.c`).
 *
 * What an argument can be is `probe_args.ts`; what an event is of is `kprobe_events.ts` and
 * `fprobe_events.ts`.
 *
 * @module
 */
import { FtraceError, type FtraceReason } from "../ftrace_error.ts";
import { splitNames } from "../ops/split_names.ts";
import type { Prototype } from "../prototypes/header.ts";
import { parseProbeArg, type ProbeArg, type ProbeArgContext } from "./probe_args.ts";
import { parseUnsigned, ProbeFault } from "./probe_fault.ts";
import { seesArguments } from "./probe_source.ts";

/** A word of a command. */
export interface CommandWord {
  /** The word's text. */
  readonly text: string;
  /** Characters of the command before it. */
  readonly at: number;
}

/** A command, taken apart into words. */
export interface ProbeCommand {
  /** The words with one blank between them. */
  readonly line: string;
  /** What stands first: the kind of probe, and its names. */
  readonly head: CommandWord;
  /** Where the probe is to be. */
  readonly place: CommandWord;
  /** Arguments, not parsed yet. */
  readonly args: readonly CommandWord[];
}

/** The name of an event and of its group. */
export interface ProbeEventName {
  /** Group of the event. */
  readonly group: string;
  /** Name of the event. */
  readonly name: string;
}

const MAX_MAXACTIVE = 4096n;
const MAX_ARGS = 128;
const MAX_NAME = 64;
const IDENTIFIER = /^[A-Za-z_]\w*$/;
const SYSTEM_NAME = /^[A-Za-z_][\w-]*$/;

/** @throws {FtraceError} EINVAL if it has no place; the kernel notes nothing then. */
export function splitCommand(text: string, kinds: RegExp): ProbeCommand {
  // A qualified name may have blanks, which no command has that names a function of C.
  const words = text.includes("::") ? splitNames(text) : text.trim().split(/\s+/);
  const line = words.join(" ");
  let at = 0;
  const [head, place, ...args] = words.map((word) => {
    const start = at;
    at += word.length + 1;
    return { text: word, at: start };
  });
  if (!head || !kinds.test(head.text)) {
    throw new FtraceError(
      "EINVAL",
      "bad-syntax",
      `Cannot define "${line}": it begins with neither p nor r`,
    );
  }
  if (!place) {
    throw new FtraceError(
      "EINVAL",
      "bad-syntax",
      `Cannot define "${line}": it does not say where the probe is to be`,
      `${head.text} FUNCTION`,
    );
  }
  return { line, head, place, args };
}

/** A place of a command without its suffix, and whether that says `%return`. @throws {ProbeFault} For another suffix. */
export function splitReturnSuffix(place: CommandWord): [target: string, isReturn: boolean] {
  const [, target = "", suffix] = /^([^%]*)(%.*)?$/.exec(place.text)!;
  if (suffix !== undefined && suffix !== "%return") {
    throw new ProbeFault("BAD_ADDR_SUFFIX", place.at + target.length);
  }
  return [target, suffix !== undefined];
}

/**
 * How many calls `r20:NAME` or `f20:NAME` waits for at a time, 0 if it does not say.
 *
 * @throws {ProbeFault} For a number that is none or too big, or one at a kprobe.
 */
export function parseMaxactive({ text }: CommandWord): number {
  if (!/^.\d/.test(text)) return 0;
  if (text[0] === "p") throw new ProbeFault("BAD_MAXACT_TYPE", 1);
  const digits = text.slice(1).split(":", 1)[0]!;
  const number = digits.length < MAX_NAME ? parseUnsigned(digits) : undefined;
  if (!number || number >= 1n << 32n) throw new ProbeFault("BAD_MAXACT", 1);
  if (number > MAX_MAXACTIVE) throw new ProbeFault("MAXACT_TOO_BIG", 1);
  return Number(number);
}

/**
 * The names that a command gives (`GROUP/NAME`, `GROUP.NAME`, `NAME`), or the standard ones where it
 * gives none.
 *
 * @throws {ProbeFault} If one is empty, too long, or no identifier.
 */
export function probeEventName({ text }: CommandWord, standard: ProbeEventName): ProbeEventName {
  const colon = text.indexOf(":");
  if (colon < 0) return standard;
  const names = text.slice(colon + 1);
  const at = colon + 1;
  const slash = names.includes("/") ? names.indexOf("/") : names.indexOf(".");
  const group = slash < 0 ? standard.group : names.slice(0, slash);
  if (slash === 0) throw new ProbeFault("NO_GROUP_NAME", at);
  if (slash >= MAX_NAME) throw new ProbeFault("GROUP_TOO_LONG", at);
  if (slash > 0 && !SYSTEM_NAME.test(group)) throw new ProbeFault("BAD_GROUP_NAME", at);
  const name = names.slice(slash + 1);
  const nameAt = at + slash + 1;
  if (name === "" && slash > 0) return { group, name: standard.name };
  if (name === "") throw new ProbeFault("NO_EVENT_NAME", nameAt);
  if (name.length >= MAX_NAME) throw new ProbeFault("EVENT_TOO_LONG", nameAt);
  if (!IDENTIFIER.test(name)) throw new ProbeFault("BAD_EVENT_NAME", nameAt);
  return { group, name };
}

/**
 * Parses the arguments of a command; `$arg*` stands for all parameters of the function, `$arg2` for
 * its second one, by name, where its prototype is known.
 *
 * @throws {ProbeFault} If one is wrong, two have one name, or they are more than 128.
 */
export function parseProbeArgs(
  words: readonly CommandWord[],
  context: ProbeArgContext,
): ProbeArg[] {
  const expanded = expandArguments(words, context);
  if (expanded.length > MAX_ARGS) throw new ProbeFault("TOO_MANY_ARGS", words[0]!.at);
  const args: ProbeArg[] = [];
  for (const { text, at } of expanded) {
    args.push(parseProbeArg(text, args.map(({ name }) => name), at, context));
  }
  return args;
}

function expandArguments(
  words: readonly CommandWord[],
  context: ProbeArgContext,
): readonly CommandWord[] {
  checkArguments(words, context);
  const all = words.find(({ text }) => text === "$arg*");
  const parameters = context.prototype?.parameters ?? [];
  if (all && parameters.length === 0) throw new ProbeFault("NOSUP_BTFARG", all.at);
  return words.flatMap((word) => {
    if (word === all) return parameters.map((_, n) => named(parameters, n, "", word.at));
    const [, digits, type] = /^\$arg(\d+)(.*)$/.exec(word.text) ?? [];
    if (digits === undefined || parameters.length === 0) return [word];
    if (type !== "" && !type!.startsWith(":")) throw new ProbeFault("BAD_VAR", word.at);
    return [named(parameters, Number(digits) - 1, type!, word.at)];
  });
}

/** Looks at every word that begins with `$arg` (`argv_has_var_arg`). */
function checkArguments(words: readonly CommandWord[], context: ProbeArgContext): void {
  let seen = false;
  for (const { text, at } of words.filter(({ text }) => text.startsWith("$arg"))) {
    if (!seesArguments(context)) throw new ProbeFault("NOFENTRY_ARGS", at);
    if (/^\d/.test(text.slice(4))) continue;
    if (text[4] !== "*") throw new ProbeFault("BAD_VAR", at);
    if (seen) throw new ProbeFault("DOUBLE_ARGS", at);
    seen = true;
  }
}

/** The nth parameter by its name, which a prototype may leave out. */
function named(
  parameters: Prototype["parameters"],
  n: number,
  type: string,
  at: number,
): CommandWord {
  const parameter = parameters[n];
  if (!parameter) throw new ProbeFault("NO_BTFARG", at);
  return { text: `${parameter.name || `$arg${n + 1}`}${type}`, at };
}

const REASONS: Readonly<Partial<Record<ProbeFault["code"], FtraceReason>>> = {
  EEXIST: "already-defined",
  E2BIG: "too-many",
};

/** The refusal of a command that something is wrong with; fprobes answer EINVAL where an event is there. */
export function refuseCommand(line: string, fault: ProbeFault): FtraceError {
  const { message, position, code } = fault;
  const at = line.slice(position).split(" ")[0] || "the end";
  const reason = REASONS[code] ?? "bad-syntax";
  return new FtraceError(code, reason, `Cannot define "${line}": ${message}, at ${at}`);
}
