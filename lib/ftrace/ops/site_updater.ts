/**
 * Sites that follow: from records whose users have changed to the changes that the patcher makes.
 *
 * An update has two halves, because the list of ops is published between them: {@linkcode
 * SiteUpdater.plan} works out what is to change and touches no text, and {@linkcode
 * SiteUpdater.settle} notes what has. Virtual sites have a hook of the engine in place of words.
 *
 * The order of an update is `function_core.ts`; what a site calls is `site_target.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { type DynFtrace, FTRACE_FL_ENABLED } from "../../patcher/dyn_ftrace.ts";
import type { SiteChange } from "../../patcher/patcher.ts";
import type { Target } from "../../patcher/scheme.ts";
import type { HookTable } from "./hook_table.ts";
import type { RecordUsers } from "./record_users.ts";
import type { SiteTargets } from "./site_target.ts";

/** The patcher, targets and hooks that {@linkcode SiteUpdater} works with. */
export interface SiteUpdaterParts {
  /** Who traces a record, and which records are due. */
  readonly users: RecordUsers;
  /** Works out what a site calls for its users. */
  readonly targets: SiteTargets;
  /** Hooks of the engine, for virtual sites. */
  readonly hooks: HookTable;
  /** Serves a hart that has come to a virtual site. */
  readonly enterVirtual: (hart: Hart, record: DynFtrace) => void;
}

/** The sites that an update switches. */
export interface SitePlan {
  /** Sites to switch, in order of their records. */
  readonly changes: readonly SiteChange[];
  /** Virtual sites that are called from now on. */
  readonly hooked: readonly DynFtrace[];
}

/** Switches the sites of one machine, and knows what each calls now. */
export class SiteUpdater {
  readonly #parts: SiteUpdaterParts;
  /** By index of the record; none where the site is off. */
  readonly #inForce = new Map<number, Target>();
  readonly #hooks = new Map<number, Disposable>();
  /** Records whose literal sends them through the list, by index. */
  readonly #onList = new Set<number>();
  #visited = 0;

  /** Starts with every site off. */
  constructor(parts: SiteUpdaterParts) {
    this.#parts = parts;
  }

  /** Records that updates have looked at so far. */
  get visited(): number {
    return this.#visited;
  }

  /** Whether a site's literal sends it through the list, once the last plan is carried out. */
  get walksList(): boolean {
    return this.#onList.size > 0;
  }

  /** What the site of a record calls, or what its literal names while it is off. */
  targetOf({ index }: DynFtrace): Target {
    return this.#inForce.get(index) ?? this.#parts.targets.nop;
  }

  /** Works out what is to change; while tracing is not `enabled` every site is to be off. */
  plan(enabled: boolean): SitePlan {
    const changes: SiteChange[] = [];
    const hooked: DynFtrace[] = [];
    const { users: recordUsers, targets } = this.#parts;
    for (const record of recordUsers.due()) {
      this.#visited++;
      const users = recordUsers.of(record);
      targets.setWanted(record, users);
      const isCalled = enabled && users.length > 0;
      if (record.kind === "virtual") {
        if (isCalled) hooked.push(record);
        else this.#unhook(record);
        continue;
      }
      const from = this.#inForce.get(record.index);
      const to = isCalled ? targets.of(users) : undefined;
      if (to && targets.walksList(to)) this.#onList.add(record.index);
      else this.#onList.delete(record.index);
      if (!targets.isSame(from, to)) changes.push({ record, from, to });
    }
    return { changes, hooked };
  }

  /** A plan's sites have been switched: notes what they call, and hooks the virtual ones. */
  settle({ changes, hooked }: SitePlan): void {
    for (const { record, to } of changes) {
      if (to) this.#inForce.set(record.index, to);
      else this.#inForce.delete(record.index);
      this.#parts.targets.setInForce(record, to);
    }
    for (const record of hooked) this.#hook(record);
    this.#parts.users.settle();
  }

  #hook(record: DynFtrace): void {
    record.flags |= FTRACE_FL_ENABLED;
    if (this.#hooks.has(record.index)) return;
    const { hooks, enterVirtual } = this.#parts;
    const hook = hooks.add(Number(record.entry), (hart) => enterVirtual(hart, record));
    this.#hooks.set(record.index, hook);
  }

  #unhook(record: DynFtrace): void {
    const hook = this.#hooks.get(record.index);
    if (!hook) return;
    hook[Symbol.dispose]();
    this.#hooks.delete(record.index);
    record.flags &= ~FTRACE_FL_ENABLED;
  }
}
