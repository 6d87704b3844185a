/**
 * Which functions take a static chain in t2, as gcc's nested functions do.
 *
 * A trampoline does not keep t2, as nobody else needs it at an entry. A function that takes a chain
 * can be told from its code: some path from its entry reads t2 before writing it. A path ends at a
 * call, after which t2 is anybody's, and where it leaves the function.
 *
 * What an instruction reads and writes is `lib/isa/collect.ts`; the table of registers is
 * `lib/trampoline/poison.ts`.
 *
 * @module
 */
import { RA, T2 } from "../../isa/abi.ts";
import { collect } from "../../isa/collect.ts";
import { RV64 } from "../../isa/decode.ts";
import type { ElfSymbol } from "../../program/elf.ts";
import type { Machine } from "../../machine/machine.ts";
import { EXECUTE } from "../../memory/page.ts";

/** More instructions than lie before a function's first use of its chain, on any path. */
const MOST = 400;

/** The functions of a program that take a static chain in t2, in order of address. */
export function staticChainFunctions({ symbols, memory }: Machine): readonly ElfSymbol[] {
  return symbols.functions.filter((symbol) => {
    const { address, size } = symbol;
    return size > 0n && memory.allows(address, Number(size), EXECUTE) &&
      readsBeforeWriting(memory.view, Number(address), Number(size), T2);
  });
}

/** Whether a path from the entry of a function reads a register before anything writes it. */
function readsBeforeWriting(
  view: DataView,
  entry: number,
  size: number,
  register: number,
): boolean {
  const end = entry + size;
  const seen = new Set<number>();
  const open = [entry];
  for (let at = open.pop(); at !== undefined && seen.size < MOST; at = open.pop()) {
    if (at < entry || at + 2 > end || seen.has(at)) continue;
    seen.add(at);
    const half = view.getUint16(at, true);
    const bits = (half & 3) === 3 && at + 4 <= end ? view.getUint32(at, true) : half;
    const { definition, word, length, imm } = RV64.decode(bits);
    if (definition.name === "illegal") continue;
    const { readsX, writesX, flow } = collect(definition, word);
    if (readsX.has(register)) return true;
    if (writesX.has(register) || flow === "indirect" || flow === "trap") continue;
    const isCall = flow === "jump" && writesX.has(RA);
    if (isCall) continue;
    if (flow === "branch" || flow === "jump") open.push(at + imm);
    if (flow !== "jump") open.push(at + length);
  }
  return false;
}
