/**
 * Who traces a record, kept up by what changes, so that an update looks only at records that a
 * change can reach.
 *
 * An ops with an empty filter reaches every record, one with a filter only those in it. What each
 * hash held when sites last followed it is remembered; {@linkcode RecordUsers.follow} compares, and
 * what differs is due. Records stay due until {@linkcode RecordUsers.settle}, so an update that was
 * refused half way is made up for by the next one.
 *
 * What is done about a record that is due is `site_updater.ts`; what a hash is, `filter.ts`.
 *
 * @module
 */
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import { type FtraceHash, isEmptyHash, setVersion } from "./filter.ts";
import type { RegisteredOps } from "./ops_dispatch.ts";

/** What a hash reached when it was last followed, and the ops that have it. */
interface Reach {
  readonly hash: FtraceHash;
  readonly users: RegisteredOps[];
  /** Whether the ops traces every record but those in `notrace`. */
  isWide: boolean;
  readonly filter: HalfSeen;
  readonly notrace: HalfSeen;
}

/** One half of a hash as it was, and the version of the set by which a change is seen. */
interface HalfSeen {
  records: ReadonlySet<number>;
  version: number | undefined;
}

/** The users of each record, and which records an update has to look at. */
export class RecordUsers {
  readonly #records: readonly DynFtrace[];
  readonly #reaches = new Map<FtraceHash, Reach>();
  readonly #wide = new Set<Reach>();
  /** By index of the record: those whose filter names it. */
  readonly #narrow = new Map<number, Set<Reach>>();
  readonly #due = new Set<number>();
  #isAllDue = false;
  /** How long the list was when it was looked at last. */
  #known: number;

  /** Starts without users; `records` may grow. */
  constructor(records: readonly DynFtrace[]) {
    this.#records = records;
    this.#known = records.length;
  }

  /** The ops that trace a record, newest first. */
  of({ kind, index }: DynFtrace): readonly RegisteredOps[] {
    const found: RegisteredOps[] = [];
    if (kind === "disabled") return found;
    for (const { notrace, users } of this.#wide) {
      if (!notrace.records.has(index)) found.push(...users);
    }
    for (const { notrace, users } of this.#narrow.get(index) ?? []) {
      if (!notrace.records.has(index)) found.push(...users);
    }
    return found.length > 1 ? found.sort((a, b) => b.order - a.order) : found;
  }

  /** Adds an ops: the records that its hash traces are due for an update. */
  add(entry: RegisteredOps): void {
    const { hash } = entry;
    let reach = this.#reaches.get(hash);
    if (!reach) {
      reach = {
        hash,
        users: [],
        isWide: isEmptyHash(hash, "filter"),
        filter: seen(hash.filter),
        notrace: seen(hash.notrace),
      };
      this.#reaches.set(hash, reach);
      this.#attach(reach);
    }
    reach.users.push(entry);
    this.#reachIsDue(reach);
  }

  /** Removes an ops: the records that its hash traced are due for an update. */
  remove(entry: RegisteredOps): void {
    const reach = this.#reaches.get(entry.hash);
    const at = reach?.users.indexOf(entry) ?? -1;
    if (!reach || at < 0) return;
    reach.users.splice(at, 1);
    this.#reachIsDue(reach);
    if (reach.users.length > 0) return;
    this.#detach(reach);
    this.#reaches.delete(entry.hash);
  }

  /** What an ops reaches is due: it is called in another way from now on. */
  changed(entry: RegisteredOps): void {
    const reach = this.#reaches.get(entry.hash);
    if (reach) this.#reachIsDue(reach);
  }

  /** Every record that has a user is due: tracing is switched on or off as a whole. */
  everyUserChanged(): void {
    for (const reach of this.#reaches.values()) this.#reachIsDue(reach);
  }

  /** Compares each hash with what it was: records that it reaches otherwise now are due, and new ones. */
  follow(): void {
    // Ops without a filter reach what the list has grown by.
    for (; this.#known < this.#records.length; this.#known++) {
      if (this.#wide.size > 0) this.#due.add(this.#known);
    }
    for (const reach of this.#reaches.values()) this.#followHash(reach);
  }

  /** The records that an update has to look at, in order of their index. */
  due(): readonly DynFtrace[] {
    if (this.#isAllDue) return this.#records;
    return [...this.#due].sort((a, b) => a - b).map((index) => this.#records[index]!)
      .filter((record) => record !== undefined);
  }

  /** Sites have followed: nothing is due any more. */
  settle(): void {
    this.#due.clear();
    this.#isAllDue = false;
  }

  #followHash(reach: Reach): void {
    const { hash } = reach;
    const isWide = isEmptyHash(hash, "filter");
    const filter = difference(reach.filter, hash.filter);
    const notrace = difference(reach.notrace, hash.notrace);
    if (isWide !== reach.isWide) this.#isAllDue = true;
    if (isWide !== reach.isWide || filter.length > 0) {
      this.#detach(reach);
      reach.isWide = isWide;
      reach.filter.records = new Set(hash.filter);
      this.#attach(reach);
    }
    if (notrace.length > 0) reach.notrace.records = new Set(hash.notrace);
    for (const index of filter) this.#due.add(index);
    for (const index of notrace) this.#due.add(index);
  }

  #reachIsDue({ isWide, filter }: Reach): void {
    if (isWide) this.#isAllDue = true;
    else for (const index of filter.records) this.#due.add(index);
  }

  #attach(reach: Reach): void {
    if (reach.isWide) this.#wide.add(reach);
    for (const index of reach.filter.records) {
      const here = this.#narrow.get(index);
      if (here) here.add(reach);
      else this.#narrow.set(index, new Set([reach]));
    }
  }

  #detach(reach: Reach): void {
    this.#wide.delete(reach);
    for (const index of reach.filter.records) {
      const here = this.#narrow.get(index);
      here?.delete(reach);
      if (here?.size === 0) this.#narrow.delete(index);
    }
  }
}

function seen(set: ReadonlySet<number>): HalfSeen {
  return { records: new Set(set), version: setVersion(set) };
}

/** What is in one of the two only; notes the version, so that nothing is compared twice. */
function difference(half: HalfSeen, now: ReadonlySet<number>): readonly number[] {
  const version = setVersion(now);
  if (version !== undefined && version === half.version) return [];
  half.version = version;
  return [...half.records.symmetricDifference(now)];
}
