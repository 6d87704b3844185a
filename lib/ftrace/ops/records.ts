/**
 * The list of functions that can be traced: one record for each site of the program, and on request
 * one for each function without.
 *
 * A record that the era cannot switch is served by a hook of the engine at its address (a virtual
 * site), unless the era is to be followed to the letter. Why a record is what it is stays with it.
 *
 * How sites are found is `lib/program/sites.ts`; how they are switched is `lib/patcher`.
 *
 * @module
 */
import type { Machine } from "../../machine/machine.ts";
import type { ElfSymbol } from "../../program/elf.ts";
import type { SiteSource } from "../../program/sites.ts";
import { createRecord, type DynFtrace } from "../../patcher/dyn_ftrace.ts";
import type { AddressSpace } from "../../memory/space.ts";
import type { Era } from "../era.ts";
import { EntryLiveness } from "./entry_liveness.ts";

/** How {@linkcode createRecords} treats what the era cannot switch. */
export interface RecordOptions {
  /** Whether sites that the era cannot switch are refused, as its kernel does. */
  readonly strict: boolean;
  /** Which functions without a site have records, too: all, those that are asked for by name, or none. */
  readonly virtual: VirtualSites;
  /** Address of `ftrace_caller`, which sites must reach. */
  readonly caller: bigint;
}

/** Which functions without a call site are served. */
export type VirtualSites = "all" | "auto" | "off";

/** Functions that return a second time to the same place, so that their return cannot be caught. */
const RETURNS_TWICE = /^_*(sig)?setjmp$|^_*vfork$|^_*getcontext$/;
/** Functions that are linked in t0, or at whose entry ra is not the way back. */
const LINK_IN_T0 = /^__riscv_(save|restore)_\d+$|^OUTLINED_FUNCTION_\d+$|^_start$|@plt$/;

/** Makes the records of a program, in order of address. */
export function createRecords(machine: Machine, era: Era, options: RecordOptions): DynFtrace[] {
  const drafts: Draft[] = [];
  const entries = new Set<bigint>();
  const liveness = new EntryLiveness(machine.space);
  machine.sites.forEach((site, number) => {
    entries.add(site.entry);
    drafts.push(draftOf(site, number, era, liveness, options));
  });
  if (options.virtual === "all") {
    for (const symbol of machine.symbols.functions) {
      if (entries.has(symbol.address)) continue;
      entries.add(symbol.address);
      drafts.push(withoutSite(symbol, liveness));
    }
  }
  drafts.sort((a, b) => a.entry < b.entry ? -1 : 1);
  return drafts.map(({ symbol, ...draft }, index) => createRecord({ ...draft, index }, symbol));
}

/** What a record is made from; its name is that of the file. */
interface Draft extends Omit<DynFtrace, "index" | "flags"> {
  readonly symbol: ElfSymbol | undefined;
}

function withoutSite(symbol: ElfSymbol, liveness: EntryLiveness): Draft {
  const { address: entry } = symbol;
  const reason = liveness.liveLink(entry) ?? "no-site";
  const name = symbol.mangled ?? symbol.name;
  return { ip: entry, entry, before: 0, after: 0, name, kind: "virtual", reason, symbol };
}

/** Makes the record of a function without a site, behind the `count` that there are. */
export function createNamedRecord(
  named: ElfSymbol,
  count: number,
  space: AddressSpace,
): DynFtrace {
  const { symbol, ...draft } = withoutSite(named, new EntryLiveness(space));
  return createRecord({ ...draft, index: count }, symbol);
}

/** Makes the records of a module, behind the `count` that there are. */
export function createModuleRecords(
  module: string,
  sites: readonly SiteSource[],
  count: number,
  era: Era,
  space: AddressSpace,
  options: RecordOptions,
): DynFtrace[] {
  const liveness = new EntryLiveness(space);
  return sites.map((site, k) => {
    const { symbol, ...draft } = draftOf(site, count + k, era, liveness, options);
    return createRecord({ ...draft, module, index: count + k }, symbol);
  });
}

function draftOf(
  site: SiteSource,
  number: number,
  era: Era,
  liveness: EntryLiveness,
  options: RecordOptions,
): Draft {
  const { entry, before, after, symbol } = site;
  const name = symbol?.mangled ?? symbol?.name ?? `__ftrace_invalid_address___${number}`;
  const reason = symbol
    ? liveness.liveLink(entry) ?? era.scheme.needs(site, options.caller)
    : "no-symbol";
  const kind = reason === undefined
    ? "patched"
    : !symbol || options.strict
    ? "disabled"
    : "virtual";
  return { ip: era.scheme.ip(entry), entry, before, after, name, kind, reason, symbol };
}

/** Reasons why the return of a function cannot be caught. */
export type NoReturnReason = "returns-twice" | "link-in-t0" | "interrupt-handler";

/** Why the return of a record's function cannot be caught by way of ra, or undefined if it can. */
export function noReturnReason(
  record: Pick<DynFtrace, "name" | "mangled" | "kind" | "reason">,
): NoReturnReason | undefined {
  const name = record.mangled ?? record.name;
  if (record.reason === "interrupt-handler") return "interrupt-handler";
  if (record.reason === "t0-live") return "link-in-t0";
  if (RETURNS_TWICE.test(name)) return "returns-twice";
  return record.kind === "virtual" && LINK_IN_T0.test(name) ? "link-in-t0" : undefined;
}
