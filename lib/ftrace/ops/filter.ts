/**
 * Which functions an ops traces: patterns, and the pair of hashes they fill.
 *
 * The grammar is the kernel's (`kernel/trace/trace_events_filter.c filter_parse_regex`,
 * `lib/glob.c`), quirks included: a star in front and one behind are the only cheap forms, anything
 * else is a full glob, and a leading digit is an index into the list of records.
 *
 * Who owns a hash and when sites are switched is `ftrace_ops.ts`.
 *
 * @module
 */
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import { namesOf, withoutBlanks } from "../../program/readable_symbol.ts";
import { FtraceError } from "../ftrace_error.ts";
import { splitNames } from "./split_names.ts";

/** Whether a name matches, and what kind of comparison that takes. */
export interface Pattern {
  /** The text it was made from, without a leading `!`. */
  readonly text: string;
  /** A leading `!`: matches are removed instead of added. */
  readonly negated: boolean;
  /** 1-based index into the records, if the pattern is a number; NaN if it only begins like one. */
  readonly index: number | undefined;
  /** The module of `pattern:mod:module`, with its own leading `!` if it has one. */
  readonly module: string | undefined;
  /** The only name that matches, if the pattern has no wildcard; found without a search. */
  readonly exact: string | undefined;
  /** Whether `name` matches. */
  readonly matches: (name: string) => boolean;
  /** Whether a name without white space matches the pattern without its own. */
  readonly matchesTight: (name: string) => boolean;
  /** Whether a module's name (undefined is the main program) is one that the pattern asks for. */
  readonly inModule: (module: string | undefined) => boolean;
}

/**
 * Whether `text` is what globs ask for.
 *
 * A glob is of `*`, `?`, `[a-z]`, `[!a]` and backslash (`lib/glob.c glob_match`). A list asks for
 * what one of its globs matches, or for anything if each begins with `!`, less what those match.
 */
export function globMatch(globs: string | readonly string[], text: string): boolean {
  if (typeof globs === "string") return matchGlob(globs, text);
  const isNegated = (glob: string) => glob.startsWith("!");
  if (globs.some((glob) => isNegated(glob) && matchGlob(glob.slice(1), text))) return false;
  return globs.every(isNegated) || globs.some((glob) => !isNegated(glob) && matchGlob(glob, text));
}

function matchGlob(glob: string, text: string): boolean {
  let at = 0;
  let position = 0;
  let starAt = -1;
  let starPosition = 0;
  while (position < text.length) {
    const matched = at < glob.length ? matchOne(glob, at, text[position]!) : undefined;
    if (glob[at] === "*") {
      starAt = at++;
      starPosition = position;
    } else if (matched !== undefined) {
      at = matched;
      position++;
    } else if (starAt >= 0) {
      at = starAt + 1;
      position = ++starPosition;
    } else {
      return false;
    }
  }
  while (glob[at] === "*") at++;
  return at === glob.length;
}

/** Where the glob goes on behind the element at `at`, or undefined if that does not match. */
function matchOne(glob: string, at: number, character: string): number | undefined {
  switch (glob[at]) {
    case "*":
      return undefined;
    case "?":
      return at + 1;
    case "\\":
      return glob[at + 1] === character ? at + 2 : undefined;
    case "[":
      return matchClass(glob, at, character);
    default:
      return glob[at] === character ? at + 1 : undefined;
  }
}

function matchClass(glob: string, start: number, character: string): number | undefined {
  const inverted = glob[start + 1] === "!";
  let at = start + (inverted ? 2 : 1);
  let found = false;
  // As in the kernel, a bracket right behind the opening one is an ordinary member.
  for (let first = true; first || glob[at] !== "]"; first = false) {
    const low = glob[at++];
    // An unterminated class stands for itself.
    if (low === undefined) return glob[start] === character ? start + 1 : undefined;
    let high = low;
    if (glob[at] === "-" && glob[at + 1] !== undefined && glob[at + 1] !== "]") {
      high = glob[at + 1]!;
      at += 2;
    }
    if (low <= character && character <= high) found = true;
  }
  return found === inverted ? undefined : at + 1;
}

/** Reads one pattern of `set_ftrace_filter`. */
export function parsePattern(text: string): Pattern {
  const negated = text.startsWith("!");
  const whole = negated ? text.slice(1) : text;
  const colon = whole.indexOf(":mod:");
  const module = colon >= 0 ? whole.slice(colon + 5) : undefined;
  const search = colon >= 0 ? whole.slice(0, colon) || "*" : whole;
  const index = /^\d/.test(search) ? readNumber(search) : undefined;
  const inModule = module === undefined ? () => true : moduleMatcher(module);
  const exact = index === undefined && !/[*?[\\]/.test(search) ? search : undefined;
  const matchesTight = matcher(withoutBlanks(search));
  const matches = matcher(search);
  return { text: whole, negated, index, module, exact, matches, matchesTight, inModule };
}

/** A number as `kstrtoul` with base 0 reads it: decimal, 0x or octal, all of the text; else NaN. */
function readNumber(text: string): number {
  if (/^0[0-7]+$/.test(text)) return parseInt(text, 8);
  return /^(0x[0-9a-f]+|0|[1-9]\d*)$/i.test(text) ? Number(text) : NaN;
}

/** No name stands for any module; the main program is none, so every `!name` lets it through. */
function moduleMatcher(text: string): (module: string | undefined) => boolean {
  const inverted = text.startsWith("!");
  const name = inverted ? text.slice(1) : text;
  if (name === "") return (module) => (module !== undefined) !== inverted;
  const same = matcher(name);
  return (module) => (module !== undefined && same(module)) !== inverted;
}

function matcher(search: string): (name: string) => boolean {
  const inner = search.slice(1, -1);
  if (/[[?\\]/.test(search) || inner.includes("*")) return (name) => matchGlob(search, name);
  const front = search.startsWith("*");
  const back = search.length > 1 && search.endsWith("*");
  if (search === "*") return () => true;
  if (front && back) return (name) => name.includes(inner);
  if (front) return (name) => name.endsWith(search.slice(1));
  if (back) return (name) => name.startsWith(search.slice(0, -1));
  return (name) => name === search;
}

/**
 * The set of records that an ops asks for: those in `filter` (all, while it is empty) less those in
 * `notrace`. Several ops may share one, as function and function_graph share the global one.
 */
export interface FtraceHash {
  /** Indices of records; empty means every function. */
  readonly filter: Set<number>;
  /** Indices of records that are never traced. */
  readonly notrace: Set<number>;
  /**
   * Texts that name functions of modules which are not loaded, newest first. While there are any
   * the hash is not an empty one: a filter that only waits lets nothing through.
   */
  readonly waiting: { readonly filter: string[]; readonly notrace: string[] };
}

/** A set of records' indices that counts its changes, so that nobody has to compare it to see one. */
class RecordSet extends Set<number> {
  /** How often it has changed. */
  version = 0;

  override add(index: number): this {
    if (!this.has(index)) this.version++;
    return super.add(index);
  }

  override delete(index: number): boolean {
    const had = super.delete(index);
    if (had) this.version++;
    return had;
  }

  override clear(): void {
    if (this.size > 0) this.version++;
    super.clear();
  }
}

/** How often a set of a hash has changed; undefined for a plain set, which has to be compared. */
export function setVersion(set: ReadonlySet<number>): number | undefined {
  return "version" in set && typeof set.version === "number" ? set.version : undefined;
}

/** An empty hash: traces everything. */
export function createHash(): FtraceHash {
  return {
    filter: new RecordSet(),
    notrace: new RecordSet(),
    waiting: { filter: [], notrace: [] },
  };
}

/** Makes `set` hold exactly `indices`; a set that holds them already is left alone. */
export function replaceSet(set: Set<number>, indices: ReadonlySet<number>): void {
  if (set.size === indices.size && set.isSubsetOf(indices)) return;
  set.clear();
  for (const index of indices) set.add(index);
}

/** Whether one half of a hash is empty (`ftrace_hash_empty`). */
export function isEmptyHash(hash: FtraceHash, which: "filter" | "notrace"): boolean {
  return hash[which].size === 0 && hash.waiting[which].length === 0;
}

/** Whether the hash lets record `index` through (`ftrace_ops_test`). */
export function hashAllows(hash: FtraceHash, index: number): boolean {
  return (hash.filter.has(index) || isEmptyHash(hash, "filter")) && !hash.notrace.has(index);
}

/** How a filter is changed. */
export interface FilterChange {
  /** Starts from nothing instead of from what is there. */
  readonly reset?: boolean;
}

/**
 * Adds (or with `!` removes) what `patterns` match, one or several separated by white space.
 *
 * With `reset` the set is emptied first, as opening the control file for writing does. The set is
 * replaced at once, so nothing is traced for a moment that neither the old nor the new one asks for.
 *
 * @throws {FtraceError} EINVAL if a pattern matches no record; the set is then unchanged.
 */
export function updateSet(
  set: Set<number>,
  patterns: readonly string[],
  records: readonly DynFtrace[],
  options: FilterChange = {},
): void {
  const next = new Set(options.reset ? [] : set);
  for (const text of patterns.flatMap((each) => splitNames(each))) {
    const pattern = parsePattern(text);
    const found = matchRecords(pattern, records);
    if (found.length === 0) throw noMatch(text, records);
    for (const { index } of found) {
      if (pattern.negated) next.delete(index);
      else next.add(index);
    }
  }
  set.clear();
  for (const index of next) set.add(index);
}

/** What an ops brings along to choose its functions by. */
interface Choice {
  readonly filter?: readonly string[] | undefined;
  readonly notrace?: readonly string[] | undefined;
}

/**
 * Fills the empty hash of an ops that is being registered from the patterns it came with.
 *
 * Unlike a control file, which is written a word at a time and where an emptied filter is none, the
 * list of an ops says as a whole what is to be traced.
 *
 * @throws {FtraceError} EINVAL if a pattern matches no record, or the filter leaves none.
 */
export function fillHash(
  hash: FtraceHash,
  { filter = [], notrace = [] }: Choice,
  records: readonly DynFtrace[],
): void {
  if (filter.some((text) => text.trim() !== "")) {
    const chosen = selectRecords(filter, records);
    if (chosen.size === 0) throw nothingLeft("trace", filter);
    for (const index of chosen) hash.filter.add(index);
  }
  updateSet(hash.notrace, notrace, records);
}

/**
 * Indices of the records that one of the patterns without `!` matches (of all usable records, if
 * every pattern has one) and none with `!`, whatever their order.
 *
 * @throws {FtraceError} EINVAL if a pattern matches no record.
 */
export function selectRecords(
  patterns: readonly string[],
  records: readonly DynFtrace[],
): ReadonlySet<number> {
  const texts = patterns.flatMap((text) => splitNames(text, ","));
  const removed = texts.filter((text) => text.startsWith("!"));
  const added = texts.filter((text) => !text.startsWith("!"));
  const chosen = new Set<number>();
  updateSet(chosen, added, records);
  if (added.length === 0) { for (const { index } of indexOf(records).usable) chosen.add(index); }
  updateSet(chosen, removed, records);
  return chosen;
}

/** The refusal of patterns that match something and leave nothing of it. */
export function nothingLeft(action: string, patterns: readonly string[]): FtraceError {
  const text = patterns.join(" ");
  return new FtraceError(
    "EINVAL",
    "no-match",
    `Cannot ${action} "${text}": nothing is left of what it matches`,
  );
}

/** Functions that have no record, of which a list of records may be asked for. */
export interface Unlisted {
  /** Adds a record of the function with a name to the list; false if there is none, or it is not to be. */
  give(name: string): boolean;
  /** How many of them match. */
  count(matches: (name: string) => boolean): number;
}

const unlisted = new WeakMap<readonly DynFtrace[], Unlisted>();

/** Lets a function that is named and not in a list of records come into it. */
export function setUnlisted(records: readonly DynFtrace[], others: Unlisted): void {
  unlisted.set(records, others);
}

/** The refusal of a pattern that selects nothing, with the name that was probably meant. */
export function noMatch(text: string, records: readonly DynFtrace[]): FtraceError {
  const others = unlisted.get(records)?.count(parsePattern(text.replace(/^!/, "")).matches) ?? 0;
  if (others > 0) {
    return new FtraceError(
      "EINVAL",
      "no-site",
      `Cannot filter by "${text}": no function with a call site matches, but ${others} without`,
      "--virtual",
    );
  }
  const names = indexOf(records).usable.map(({ name }) => name);
  const near = nearestName(text.replace(/^!/, ""), names);
  const hint = near ? `; did you mean ${near}?` : "";
  return new FtraceError(
    "EINVAL",
    "no-match",
    `Cannot filter by "${text}": no function matches${hint}`,
  );
}

/** The records that a pattern selects; a disabled record is never one of them. */
export function matchRecords(
  pattern: Pattern,
  records: readonly DynFtrace[],
): readonly DynFtrace[] {
  const recordIndex = indexOf(records);
  const { usable } = recordIndex;
  const { index, exact } = pattern;
  if (index !== undefined) return index >= 1 ? usable.slice(index - 1, index) : [];
  if (exact !== undefined) {
    const isAsked = pattern.module === undefined && !pattern.negated;
    const named = isAsked ? recordsNamed(exact, records) : namedIn(recordIndex, exact);
    return pattern.module === undefined
      ? named
      : named.filter(({ module }) => pattern.inModule(module));
  }
  // In a name that a list printed, a star is that of a pointer.
  const [written = ""] = pattern.text.split(":mod:");
  const meant = recordIndex.mangled.length > 0 ? namedIn(recordIndex, written) : [];
  if (meant.length > 0) return meant.filter(({ module }) => pattern.inModule(module));
  return usable.filter((record) => matchesRecord(pattern, record));
}

/** Whether a pattern matches one of a record's names, white space aside, in a module it asks for. */
function matchesRecord(pattern: Pattern, record: DynFtrace): boolean {
  if (!pattern.inModule(record.module)) return false;
  if (record.mangled === undefined) return pattern.matches(record.name);
  return namesOf(record).some((name) =>
    pattern.matches(name) || pattern.matchesTight(withoutBlanks(name))
  );
}

/** The records of functions with a name; one without a call site may come into the list by this. */
export function recordsNamed(name: string, records: readonly DynFtrace[]): readonly DynFtrace[] {
  const index = indexOf(records);
  if (namedIn(index, name).length === 0 && unlisted.get(records)?.give(name)) indexOf(records);
  return namedIn(index, name);
}

/** The records with that name: the file's, or else a readable one, with or without parameters. */
function namedIn(index: RecordIndex, name: string): readonly DynFtrace[] {
  const exact = index.byName.get(name);
  if (exact || index.mangled.length === 0) return exact ?? [];
  const tight = withoutBlanks(name);
  const read = (record: DynFtrace) => {
    for (const each of new Set(namesOf(record).map(withoutBlanks))) {
      addTo(index.byReadable, each, record);
    }
  };
  for (; index.read < index.mangled.length; index.read++) read(index.mangled[index.read]!);
  return index.byReadable.get(tight) ?? [];
}

function addTo(map: Map<string, DynFtrace[]>, name: string, record: DynFtrace): void {
  const named = map.get(name);
  if (named) named.push(record);
  else map.set(name, [record]);
}

/** What patterns are looked up in: the records that are not disabled, in order and by name. */
interface RecordIndex {
  readonly usable: DynFtrace[];
  /** By the name in the file. */
  readonly byName: Map<string, DynFtrace[]>;
  /** Those with a mangled name. */
  readonly mangled: DynFtrace[];
  /** By readable names without blanks, as far as `read` says; filled when one is asked for. */
  readonly byReadable: Map<string, DynFtrace[]>;
  /** How many of `mangled` are in `byReadable`. */
  read: number;
  /** How many records it was made from: a list of records only grows. */
  count: number;
}

const indices = new WeakMap<readonly DynFtrace[], RecordIndex>();

/** The index of a list of records, made when it is first asked for and brought up to its length. */
function indexOf(records: readonly DynFtrace[]): RecordIndex {
  let index = indices.get(records);
  if (!index) {
    const maps = { byName: new Map(), byReadable: new Map() };
    indices.set(records, index = { usable: [], mangled: [], ...maps, read: 0, count: 0 });
  }
  for (; index.count < records.length; index.count++) {
    const record = records[index.count]!;
    if (record.kind === "disabled") continue;
    index.usable.push(record);
    if (record.mangled !== undefined) index.mangled.push(record);
    addTo(index.byName, record.mangled ?? record.name, record);
  }
  return index;
}

/** The name that a mistyped one probably meant: the closest by edits, if it is close. */
export function nearestName(text: string, names: Iterable<string>): string | undefined {
  if (/[*?[\\]/.test(text) || text.length < 3) return undefined;
  let best: string | undefined;
  let least = Math.max(1, Math.floor(text.length / 3)) + 1;
  for (const name of names) {
    if (Math.abs(name.length - text.length) >= least) continue;
    const distance = editDistance(text, name, least);
    if (distance < least) {
      least = distance;
      best = name;
    }
  }
  return best;
}

function editDistance(a: string, b: string, limit: number): number {
  let row = Array.from({ length: b.length + 1 }, (_, k) => k);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
    if (Math.min(...row) >= limit) return limit;
  }
  return row[b.length]!;
}

/** A module has come: what waited for its functions gets them (`process_cached_mods`). */
export function resolveWaiting(
  hash: FtraceHash,
  module: string,
  records: readonly DynFtrace[],
): void {
  for (const which of ["filter", "notrace"] as const) {
    const still: string[] = [];
    for (const text of hash.waiting[which]) {
      const pattern = parsePattern(text);
      if (!pattern.inModule(module)) still.push(text);
      else for (const { index } of matchRecords(pattern, records)) hash[which].add(index);
    }
    hash.waiting[which].splice(0, Infinity, ...still);
  }
}

/** The refusal of an address that a filter cannot name. */
export function noLocation(address: bigint): FtraceError {
  return new FtraceError(
    "ENOENT",
    "no-site",
    `Cannot filter by 0x${address.toString(16)}: it is no ftrace location`,
    "the address of a function that is in available_filter_functions",
  );
}
