/**
 * `list registers`: what is live at a function's entry, and which functions of PROGRAM bend the rule.
 *
 * @module
 */
import { ENTRY_REGISTERS, type EntryRegister, staticChainFunctions } from "../ftrace/mod.ts";
import type { Ftrace } from "../../mod.ts";

/** A row of the table. */
type Row = Readonly<Record<"register" | "live" | "holds" | "ftrace_caller", string>>;

/** The live-register table for the era in force, with the functions that take a chain in t2. */
export function registerRows({ core, machine }: Ftrace): readonly Row[] {
  const chains = staticChainFunctions(machine).map(({ name }) => name);
  const { frame } = core.area.trampolines;
  const slots: Readonly<Record<string, number | undefined>> = {
    ra: frame.ra,
    sp: frame.sp,
    t0: frame.epc,
    t1: frame.t1,
    s0: frame.s0,
    a: frame.a0,
  };
  const kept = ({ names, live }: EntryRegister): string => {
    const first = names[0]!;
    const slot = slots[first === "a0" ? "a" : first];
    if (slot !== undefined) {
      return names.length > 1 ? `saved at ${slot} to ${slot + 56}` : `saved at ${slot}`;
    }
    return live === true
      ? first === "sp" ? "kept by adding what was taken" : "not touched"
      : "not kept";
  };
  return ENTRY_REGISTERS.map((entry) => ({
    register: entry.names.length > 1 ? `${entry.names[0]}-${entry.names.at(-1)}` : entry.names[0]!,
    live: liveText(entry.live, chains),
    holds: entry.role,
    ftrace_caller: kept(entry),
  }));
}

function liveText(live: EntryRegister["live"], chains: readonly string[]): string {
  switch (live) {
    case "chain":
      return chains.length > 0 ? `in ${chains.join(", ")}` : "in no function here";
    case "floats":
      return "outside the table";
    default:
      return live ? "yes" : "no";
  }
}
