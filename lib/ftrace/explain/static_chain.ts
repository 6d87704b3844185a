/**
 * Which functions take a static chain in t2, as gcc's nested functions do.
 *
 * A trampoline does not keep t2, as nobody else needs it at an entry. A function that takes a chain
 * can be told from its code: t2 is live at its entry, and no trap leads to it.
 *
 * What is live at an entry is `lib/ftrace/ops/entry_liveness.ts`; the table of registers is
 * `lib/trampoline/poison.ts`.
 *
 * @module
 */
import { T2 } from "../../isa/abi.ts";
import type { ElfSymbol } from "../../program/elf.ts";
import type { Machine } from "../../machine/machine.ts";
import { EXECUTE } from "../../memory/page.ts";
import { EntryLiveness } from "../ops/entry_liveness.ts";

/** The functions of a program that take a static chain in t2, in order of address. */
export function staticChainFunctions({ symbols, memory, space }: Machine): readonly ElfSymbol[] {
  const liveness = new EntryLiveness(space);
  return symbols.functions.filter(({ address, size }) =>
    size > 0n && memory.allows(address, Number(size), EXECUTE) &&
    liveness.isLive(address, T2) && !liveness.returnsFromTrap(address)
  );
}
