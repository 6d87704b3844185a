/**
 * The users of one machine's graph tracer, sixteen at most, and what they trace together.
 *
 * A user has an index for as long as it is there (`fgraph_array`), by which open calls remember who
 * wants their return; a freed index is given out again as late as possible.
 *
 * @module
 */
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import { FtraceError } from "../ftrace_error.ts";
import { createHash, type FtraceHash, hashAllows, isEmptyHash, replaceSet } from "../ops/filter.ts";
import { FGRAPH_ARRAY_SIZE, type FgraphOps } from "./fgraph_ops.ts";

/** A pattern that no module ever answers: while a hash waits for it, it is not an empty one. */
const NO_MODULE = ":mod:!*";

/** A user and the functions it traces. */
export interface GraphUser {
  /** The handlers of the user. */
  readonly gops: FgraphOps;
  /** Which functions the user traces. */
  readonly hash: FtraceHash;
  /** A handler of its has thrown, at the record with that index. */
  readonly failed: (site: number, error: unknown) => void;
  /**
   * Whether the kernel serves it by rethooks, with all registers, as 6.9 does fprobes: to that kernel
   * it is no user of the graph tracer.
   */
  readonly byRethook?: boolean;
}

/** The users of one graph tracer, by index. */
export class GraphUsers {
  /** What all users together trace; {@linkcode GraphUsers.unite} keeps it. */
  readonly hash: FtraceHash = createHash();
  readonly #limit: number;
  readonly #slots: (GraphUser | undefined)[] = Array(FGRAPH_ARRAY_SIZE).fill(undefined);
  /** Indices that are free, the one longest out of use first. */
  readonly #free: number[] = Array.from({ length: FGRAPH_ARRAY_SIZE }, (_, index) => index);

  /** Starts without users; there may be `limit`: 16, or 1 in the kernels before 6.11. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** How many users there are. */
  get count(): number {
    return this.#slots.filter((user) => user !== undefined).length;
  }

  /** Whether a user is to get all registers. */
  get savesRegs(): boolean {
    return this.#slots.some((user) => user?.byRethook);
  }

  /** The user at an index, or undefined. */
  at(index: number): GraphUser | undefined {
    return this.#slots[index];
  }

  /**
   * Adds a user (`register_ftrace_graph`).
   *
   * @throws {FtraceError} EBUSY if it is registered, or another one is and this kernel serves one
   *   only; ENOSPC if there are sixteen already.
   */
  add(user: GraphUser): void {
    if (this.#slots.some((each) => each?.gops === user.gops)) {
      throw new FtraceError(
        "EBUSY",
        "already-enabled",
        "Cannot register the graph ops: it is registered",
      );
    }
    const taken = this.#all().filter(({ byRethook }) => !byRethook).length;
    const isFull = user.byRethook ? this.#free.length === 0 : taken >= this.#limit;
    if (isFull) throw noRoom(this.#limit);
    this.#slots[this.#free.shift()!] = user;
  }

  /** Whether this user is registered: this registration of its ops, not another. */
  has(user: GraphUser): boolean {
    return this.#slots.includes(user);
  }

  /** Removes a user and gives the index that it had, or −1 if it was not there. */
  remove(gops: FgraphOps): number {
    const index = this.#slots.findIndex((user) => user?.gops === gops);
    if (index < 0) return -1;
    this.#slots[index] = undefined;
    this.#free.push(index);
    return index;
  }

  /** The users that trace a record. */
  of(record: DynFtrace): readonly FgraphOps[] {
    return this.#all().filter(({ hash }) => hashAllows(hash, record.index)).map(({ gops }) => gops);
  }

  /**
   * Rewrites {@linkcode GraphUsers.hash} to what all users together trace: what a user names, and
   * with one that names nothing all but what every such user leaves out and no other names.
   */
  unite(): void {
    const users = this.#all().map(({ hash }) => hash);
    const named = new Set<number>();
    const wide = users.filter((hash) => isEmptyHash(hash, "filter"));
    for (const hash of users) {
      for (const index of hash.filter) if (!hash.notrace.has(index)) named.add(index);
    }
    if (wide.length === 0) {
      replaceSet(this.hash.filter, named);
      replaceSet(this.hash.notrace, new Set());
      const isNothing = named.size === 0 && users.length > 0;
      this.hash.waiting.filter.splice(0, Infinity, ...isNothing ? [NO_MODULE] : []);
      return;
    }
    this.hash.waiting.filter.length = 0;
    const left = wide.map(({ notrace }) => notrace as ReadonlySet<number>)
      .reduce((all, each) => all.intersection(each));
    replaceSet(this.hash.filter, new Set());
    replaceSet(this.hash.notrace, left.difference(named));
  }

  #all(): GraphUser[] {
    return this.#slots.filter((user) => user !== undefined);
  }
}

function noRoom(limit: number): FtraceError {
  return limit === 1
    ? new FtraceError(
      "EBUSY",
      "too-many",
      "Cannot register a second graph ops: this kernel has room for one",
      "no --strict, or a later --era",
    )
    : new FtraceError(
      "ENOSPC",
      "too-many",
      `Cannot register a graph ops: ${limit} are in use`,
    );
}
