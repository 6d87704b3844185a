/**
 * What a site's users make of it: which trampoline it calls, which ops its literal names, and what
 * its record's flags say (`__ftrace_hash_rec_update`, `ftrace_get_addr_new`, `ftrace_check_record`).
 *
 * Who the users are is `record_users.ts`; when sites are switched is `site_updater.ts`.
 *
 * @module
 */
import {
  type DynFtrace,
  FTRACE_FL_CALL_OPS,
  FTRACE_FL_CALL_OPS_EN,
  FTRACE_FL_DIRECT,
  FTRACE_FL_DIRECT_EN,
  FTRACE_FL_IPMODIFY,
  FTRACE_FL_MODIFIED,
  FTRACE_FL_REF_MASK,
  FTRACE_FL_REGS,
  FTRACE_FL_REGS_EN,
  FTRACE_FL_TOUCHED,
} from "../../patcher/dyn_ftrace.ts";
import type { Target } from "../../patcher/scheme.ts";
import type { Era } from "../era.ts";
import { FTRACE_OPS_FL_DIRECT, FTRACE_OPS_FL_IPMODIFY } from "./ftrace_ops.ts";
import type { RegisteredOps } from "./ops_dispatch.ts";
import { dispatchOf, wantsRegs } from "./ops_rules.ts";
import { OPS_SLOT, type TracingArea } from "./tracing_area.ts";

/** Flags of a record that say what is wanted of it, made anew when its users change. */
const WANTED = FTRACE_FL_REGS | FTRACE_FL_IPMODIFY | FTRACE_FL_DIRECT | FTRACE_FL_CALL_OPS;
/** The flags of a record that say how its site is switched, besides ENABLED. */
const IN_FORCE = FTRACE_FL_REGS_EN | FTRACE_FL_DIRECT_EN | FTRACE_FL_CALL_OPS_EN;

/** Targets and flags of sites in one era, with one machine's trampolines. */
export class SiteTargets {
  /** What the literal of a site that is off names: the ops that does nothing. */
  readonly nop: Target;
  readonly #era: Era;
  readonly #area: TracingArea;
  readonly #list: bigint;

  /** Looks trampolines and structs up in `area`. */
  constructor(era: Era, area: TracingArea) {
    this.#era = era;
    this.#area = area;
    this.#list = area.ops(OPS_SLOT.list);
    this.nop = { caller: area.trampolines.symbols.ftrace_caller, ops: area.ops(OPS_SLOT.nop) };
  }

  /** What a site calls for its users, of which there is at least one. */
  of(users: readonly RegisteredOps[]): Target {
    const [only] = users;
    const direct = users.length === 1 ? only!.directCall : 0n;
    const literals = this.#era.opsLiteral;
    if (direct !== 0n && !literals) return { caller: direct, ops: this.#list };
    const { ftrace_caller, ftrace_regs_caller } = this.#area.trampolines.symbols;
    return {
      caller: ftrace_regs_caller !== undefined && users.some(({ flags }) => wantsRegs(flags))
        ? ftrace_regs_caller
        : ftrace_caller,
      ops: literals ? this.#area.ops(this.#slotFor(users)) : this.#list,
    };
  }

  /** Whether a site's literal sends it through the list. */
  walksList(target: Target): boolean {
    return this.#era.opsLiteral && target.ops === this.#list;
  }

  /** Whether two targets are the same words; without a literal a site does not say which ops it calls. */
  isSame(from: Target | undefined, to: Target | undefined): boolean {
    return from?.caller === to?.caller && (!this.#era.opsLiteral || from?.ops === to?.ops);
  }

  /** Writes into a record's flags what its users want of it. */
  setWanted(record: DynFtrace, users: readonly RegisteredOps[]): void {
    let wanted = users.length;
    if (users.length > 0) wanted |= FTRACE_FL_TOUCHED;
    for (const { flags } of users) {
      if (this.#era.savesRegs && wantsRegs(flags)) wanted |= FTRACE_FL_REGS;
      if (flags & FTRACE_OPS_FL_IPMODIFY) wanted |= FTRACE_FL_IPMODIFY | FTRACE_FL_MODIFIED;
      if (flags & FTRACE_OPS_FL_DIRECT) wanted |= FTRACE_FL_DIRECT | FTRACE_FL_MODIFIED;
    }
    const isNamed = this.#era.opsLiteral && users.length > 0 &&
      this.#slotFor(users) !== OPS_SLOT.list;
    if (isNamed) wanted |= FTRACE_FL_CALL_OPS;
    record.flags = (record.flags & ~(FTRACE_FL_REF_MASK | WANTED)) | wanted;
  }

  /** Writes into a record's flags how its site is switched now. */
  setInForce(record: DynFtrace, to: Target | undefined): void {
    record.flags &= ~IN_FORCE;
    if (!to) return;
    const isAlone = (record.flags & FTRACE_FL_REF_MASK) === 1;
    if (to.caller === this.#area.trampolines.symbols.ftrace_regs_caller) {
      record.flags |= FTRACE_FL_REGS_EN;
    }
    if (record.flags & FTRACE_FL_DIRECT && isAlone) record.flags |= FTRACE_FL_DIRECT_EN;
    if (this.#era.opsLiteral && to.ops !== this.#list) record.flags |= FTRACE_FL_CALL_OPS_EN;
  }

  /** Whom the literal of a site names: its one ops, or the list of all. */
  #slotFor(users: readonly RegisteredOps[]): number {
    const [only] = users;
    const isAlone = users.length === 1 &&
      dispatchOf(only!.flags, this.#era.opsLiteral) === "direct";
    return isAlone ? only!.slot : OPS_SLOT.list;
  }
}
