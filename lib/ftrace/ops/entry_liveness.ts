/**
 * What is live at the entry of a function, told from its code.
 *
 * A register is live there if some path from the entry reads it before anything writes it. A path
 * ends where the calling convention makes the register anybody's: at a call, unless of a routine that
 * saves it (a naked handler calls one), and where a return or an indirect jump leaves the function. A return from a trap is the exception: it gives every
 * register back to the code that was interrupted, so it reads them all. That is how interrupt
 * handlers are known, whose entries no call leads to.
 *
 * What an instruction reads and writes is `lib/isa/collect.ts`.
 *
 * @module
 */
import { RA, T0 } from "../../isa/abi.ts";
import { collect, type Collected } from "../../isa/collect.ts";
import { RV64 } from "../../isa/decode.ts";
import type { AddressSpace } from "../../memory/space.ts";

/** More instructions than lie between an entry and the first use of what the function was given. */
const MOST = 400;
/** The longest functions that are searched to their end for a return from a trap. */
const MOST_OF_HANDLER = 4000;

/** Why no trampoline may be called at an entry: t0, which the call is linked in, is live there. */
export type LiveLink = "interrupt-handler" | "t0-live";

/** What the code of one address space says of its functions. */
export class EntryLiveness {
  readonly #space: AddressSpace;
  /** Instructions met so far, by their bits: programs repeat themselves. */
  readonly #steps = new Map<number, Step | undefined>();

  /** Reads functions in `space`, which nobody has patched yet. */
  constructor(space: AddressSpace) {
    this.#space = space;
  }

  /** Why a call linked in t0 would harm who comes to `entry`; undefined if it harms nobody. */
  liveLink(entry: bigint): LiveLink | undefined {
    if (!this.isLive(entry, T0)) return undefined;
    return this.returnsFromTrap(entry) ? "interrupt-handler" : "t0-live";
  }

  /** Whether some path from a function's entry reads a register before anything writes it. */
  isLive(entry: bigint, register: number): boolean {
    return this.#isLive(entry, register, (callee) => this.#isLive(callee, register, () => false));
  }

  /** {@linkcode isLive}, with `isLiveAt` telling whether a function that is called reads what its caller was given. */
  #isLive(entry: bigint, register: number, isLiveAt: (callee: bigint) => boolean): boolean {
    return this.#search(entry, MOST, ({ readsX, writesX, flow, offset }, at) => {
      if (flow === "trap-return" || readsX.has(register)) return "found";
      if (writesX.has(register) || flow === "indirect" || flow === "trap") return "ends";
      const isCall = flow === "jump" && writesX.has(RA);
      if (!isCall) return "goes on";
      return isLiveAt(at + offset) ? "found" : "ends";
    });
  }

  /** Whether a function can be left by a return from a trap, its calls having returned. */
  returnsFromTrap(entry: bigint): boolean {
    return this.#search(entry, MOST_OF_HANDLER, ({ writesX, flow }) => {
      if (flow === "trap-return") return "found";
      const isJump = flow === "jump" || flow === "indirect";
      if (isJump && writesX.size > 0) return "comes back";
      return flow === "indirect" ? "ends" : "goes on";
    });
  }

  /** Takes every path from `entry`, at most so many instructions, until one is found. */
  #search(entry: bigint, most: number, judge: (step: Step, at: bigint) => Verdict): boolean {
    const seen = new Set<bigint>();
    const open = [entry];
    for (let at = open.pop(); at !== undefined && seen.size < most; at = open.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      const step = this.#stepAt(at);
      const verdict = step ? judge(step, at) : "ends";
      if (verdict === "found") return true;
      if (!step || verdict === "ends") continue;
      const { flow, offset, length } = step;
      const isCall = verdict === "comes back";
      if (!isCall && (flow === "branch" || flow === "jump")) open.push(at + offset);
      if (isCall || flow !== "jump") open.push(at + length);
    }
    return false;
  }

  /** The instruction at an address, or undefined if there is none. */
  #stepAt(at: bigint): Step | undefined {
    const low = this.#space.peek(at, 2);
    if (!low) return undefined;
    const half = low[0]! | low[1]! << 8;
    const high = (half & 3) === 3 ? this.#space.peek(at + 2n, 2) : undefined;
    const bits = high ? (half | high[0]! << 16 | high[1]! << 24) >>> 0 : half;
    let step = this.#steps.get(bits);
    if (step === undefined && !this.#steps.has(bits)) {
      this.#steps.set(bits, step = stepOf(bits));
    }
    return step;
  }
}

/** What one instruction means for a search: end of its path, of the search, or the call it is comes back. */
type Verdict = "found" | "ends" | "goes on" | "comes back";

/** What a search looks at in an instruction. */
interface Step extends Pick<Collected, "readsX" | "writesX" | "flow"> {
  /** Bytes to the target of a branch or jump. */
  readonly offset: bigint;
  /** Bytes of the instruction. */
  readonly length: bigint;
}

function stepOf(bits: number): Step | undefined {
  const { definition, word, length, imm } = RV64.decode(bits);
  if (definition.name === "illegal") return undefined;
  const { readsX, writesX, flow } = collect(definition, word);
  return { readsX, writesX, flow, offset: BigInt(imm), length: BigInt(length) };
}
