/**
 * Symbols and tasks for a trace that was read back from text.
 *
 * The text mostly has names where events have addresses. This gives each name a place of its own,
 * or the real one where sym-addr printed it, and answers for exactly the addresses it has given.
 * Which names mean what is for `parse_lines.ts` and `parse_graph_lines.ts`.
 *
 * @module
 */
import type { Symbolizer } from "../../ftrace/trace/events.ts";

/** Names for addresses, growing while a text is read. */
export interface MadeUpSymbols {
  /** Gives the names that the text has told so far. */
  readonly symbolizer: Symbolizer;
  /** Address of `name` at an offset into it, as far as the text tells where it lies. */
  address(name: string, where?: SymbolPlace): bigint;
  /** Address of a place in a mapped file, the real one if the text has it. */
  userAddress(path: string, offset: bigint, address: bigint | undefined): bigint;
  /** Notes the name of a task. */
  nameTask(pid: number, comm: string): void;
  /** Notes the thread group of a task. */
  groupTask(pid: number, tgid: number): void;
}

/** What the text says about a symbol beside its name. */
export interface SymbolPlace {
  /** Offset of the address from the symbol's start, in bytes. */
  readonly offset?: bigint | undefined;
  /** Size of the symbol in bytes. */
  readonly size?: bigint | undefined;
  /** The address itself, if the text has it. */
  readonly address?: bigint | undefined;
}

/** Far from anything real, and as far apart as no function is long. */
const FIRST_ADDRESS = 0xffff_f000_0000_0000n;
const SPACING = 1n << 24n;

/** Makes a table without symbols and tasks. */
export function createMadeUpSymbols(): MadeUpSymbols {
  type Symbol = NonNullable<ReturnType<Symbolizer["symbol"]>>;
  const symbols = new Map<bigint, Symbol>();
  /** Where each symbol starts, by name and size: static functions may share a name. */
  const bases = new Map<string, bigint>();
  const comms = new Map<number, string>();
  const objects = new Map<bigint, { readonly path: string; readonly offset: bigint }>();
  const groups = new Map<number, number>();
  return {
    symbolizer: {
      symbol: (address) => symbols.get(address),
      comm: (pid) => comms.get(pid),
      tgid: (pid) => groups.get(pid),
      object: (address) => objects.get(address),
    },
    address(name, { offset = 0n, size = SPACING, address } = {}) {
      let base = address === undefined ? undefined : address - offset;
      if (base === undefined) {
        const key = `${name}/${size}`;
        base = bases.get(key) ?? FIRST_ADDRESS + BigInt(bases.size) * SPACING;
        bases.set(key, base);
      }
      symbols.set(base + offset, { name, address: base, size });
      return base + offset;
    },
    userAddress(path, offset, address) {
      const key = `${path}/object`;
      const base = bases.get(key) ?? FIRST_ADDRESS + BigInt(bases.size) * SPACING;
      bases.set(key, base);
      const place = address ?? base + offset;
      objects.set(place, { path, offset });
      return place;
    },
    nameTask(pid, comm) {
      if (comm !== "<...>") comms.set(pid, comm);
    },
    groupTask: (pid, tgid) => void groups.set(pid, tgid),
  };
}
