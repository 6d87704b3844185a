/**
 * What is live at the entry of a function, told from its code.
 *
 * A register is live there if some path from the entry reads it before anything writes it. A path
 * ends where the calling convention makes the register anybody's: at a call, unless of a routine that
 * saves it (a naked handler calls one), and where a return or an indirect jump leaves the function. A
 * return from a trap is the exception: it gives every register back to the code that was interrupted,
 * so it reads them all. That is how interrupt
 * handlers are known, whose entries no call leads to.
 *
 * What an instruction reads and writes is `lib/isa/collect.ts`.
 *
 * @module
 */
import { RA, SP, T0 } from "../../isa/abi.ts";
import { collect, type Collected } from "../../isa/collect.ts";
import { RV64 } from "../../isa/decode.ts";
import type { Definition } from "../../isa/encoding.ts";
import { PAGE_SIZE } from "../../memory/page.ts";
import type { AddressSpace } from "../../memory/space.ts";

/** More instructions than lie between an entry and the first use of what the function was given. */
const MOST = 400;
/** The longest functions that are searched to their end for a return from a trap. */
const MOST_OF_HANDLER = 4000;

/** The fields rd, rs1, rs2 and rs3 of a word. */
const REGISTER_FIELDS = 0xf9ff8f80 | 0;

/** Why no trampoline may be called at an entry: t0, which the call is linked in, is live there. */
export type LiveLink = "interrupt-handler" | "t0-live";

/** Whether that is why a record's site is not patched. */
export function hasLiveLink({ reason }: { readonly reason: string | undefined }): boolean {
  return reason === "interrupt-handler" || reason === "t0-live";
}

/** What the code of one address space says of its functions. */
export class EntryLiveness {
  readonly #space: AddressSpace;
  /** Instructions met so far, by their bits: programs repeat themselves. */
  readonly #steps = new Map<number, Step | undefined>();
  /** What they touch, by definition and register fields: nothing else of a word matters to that. */
  readonly #touches = new Map<Definition, Map<number, Collected>>();
  /** Whether a register is live in functions that are called, by 32 × address + register. */
  readonly #liveInside = new Map<number, boolean>();
  /** Pages of text that were read, by address; undefined where nothing is mapped. */
  readonly #pages = new Map<number, Uint8Array | undefined>();

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
    return this.#isLive(Number(entry), register, (callee) => this.#isLiveInside(callee, register));
  }

  /** {@linkcode isLive} for a function that is called: calls that it makes itself end a path. */
  #isLiveInside(entry: number, register: number): boolean {
    const key = entry * 32 + register;
    let answer = this.#liveInside.get(key);
    if (answer === undefined) {
      this.#liveInside.set(key, answer = this.#isLive(entry, register, () => false));
    }
    return answer;
  }

  #isLive(entry: number, register: number, isLiveAt: (callee: number) => boolean): boolean {
    return this.#search(entry, MOST, ({ touches: { readsX, writesX, flow }, offset }, at) => {
      if (flow === "trap-return" || readsX.has(register)) return "found";
      if (writesX.has(register) || flow === "indirect" || flow === "trap") return "ends";
      const isCall = flow === "jump" && writesX.has(RA);
      if (!isCall) return "goes on";
      return isLiveAt(at + offset) ? "found" : "ends";
    });
  }

  /**
   * Whether a function does more with ra, as it was at its entry, than to keep it on its stack and to
   * go back there: it asks who has called it, or saves its context for somebody else.
   */
  readsReturnAddress(entry: bigint): boolean {
    let slot: number | undefined;
    return this.#search(Number(entry), MOST, ({ touches, offset }) => {
      const { readsX, writesX, memory, flow } = touches;
      // A site that is traced now calls through t0, and ra is as it was.
      if (flow === "indirect") return writesX.has(T0) ? "comes back" : "ends";
      if (readsX.has(RA)) {
        const isPrologue = memory === "write" && readsX.has(SP);
        // A copy in another place of the stack is a value that the compiler had no register for.
        if (!isPrologue || offset !== (slot ??= offset)) return "found";
      }
      return writesX.has(RA) || flow === "trap-return" ? "ends" : "goes on";
    });
  }

  /** Whether a function can be left by a return from a trap, its calls having returned. */
  returnsFromTrap(entry: bigint): boolean {
    return this.#search(Number(entry), MOST_OF_HANDLER, ({ touches: { writesX, flow } }) => {
      if (flow === "trap-return") return "found";
      const isJump = flow === "jump" || flow === "indirect";
      if (isJump && writesX.size > 0) return "comes back";
      return flow === "indirect" ? "ends" : "goes on";
    });
  }

  /** Takes every path from `entry`, at most so many instructions, until one is found. */
  #search(entry: number, most: number, judge: (step: Step, at: number) => Verdict): boolean {
    const seen = new Set<number>();
    const open = [entry];
    for (let at = open.pop(); at !== undefined && seen.size < most; at = open.pop()) {
      if (seen.has(at)) continue;
      seen.add(at);
      const step = this.#stepAt(at);
      const verdict = step ? judge(step, at) : "ends";
      if (verdict === "found") return true;
      if (!step || verdict === "ends") continue;
      const { touches: { flow }, offset, length } = step;
      const isCall = verdict === "comes back";
      if (!isCall && (flow === "branch" || flow === "jump")) open.push(at + offset);
      if (isCall || flow !== "jump") open.push(at + length);
    }
    return false;
  }

  /** The instruction at an address, or undefined if there is none. */
  #stepAt(at: number): Step | undefined {
    const low = this.#halfAt(at);
    if (low === undefined) return undefined;
    const bits = (low & 3) === 3 ? (low | (this.#halfAt(at + 2) ?? 0) << 16) >>> 0 : low;
    let step = this.#steps.get(bits);
    if (step === undefined && !this.#steps.has(bits)) {
      this.#steps.set(bits, step = this.#stepOf(bits));
    }
    return step;
  }

  #halfAt(at: number): number | undefined {
    const start = at - at % PAGE_SIZE;
    let page = this.#pages.get(start);
    if (page === undefined && !this.#pages.has(start)) {
      this.#pages.set(start, page = this.#space.peek(BigInt(start), PAGE_SIZE));
    }
    return page && page[at - start]! | page[at - start + 1]! << 8;
  }

  #stepOf(bits: number): Step | undefined {
    const { definition, word, length, imm } = RV64.decode(bits);
    if (definition.name === "illegal") return undefined;
    const registers = word & REGISTER_FIELDS;
    let alike = this.#touches.get(definition);
    if (!alike) this.#touches.set(definition, alike = new Map());
    let touches = alike.get(registers);
    if (!touches) alike.set(registers, touches = collect(definition, word));
    return { touches, offset: imm, length };
  }
}

/** What one instruction means for a search: end of its path, of the search, or the call it is comes back. */
type Verdict = "found" | "ends" | "goes on" | "comes back";

/** What a search looks at in an instruction. */
interface Step {
  /** Registers and flow. */
  readonly touches: Collected;
  /** The immediate: bytes to the target of a branch or jump, or from the base of an access. */
  readonly offset: number;
  /** Bytes of the instruction. */
  readonly length: number;
}
