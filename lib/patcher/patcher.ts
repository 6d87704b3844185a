/**
 * The only code that writes guest text.
 *
 * Other harts may be fetching the very words that change. Under the two-word schemes they are parked
 * outside every site first, and each runs `fence.i` before it goes on; under the one-word schemes a
 * hart sees the old word or the new one, and a remote fence at the end bounds for how long. The
 * stores, their order and the fences are those of the scheme's kernel, and are counted.
 *
 * *Which* sites change is decided in `lib/ftrace`; what the words are is `scheme.ts`.
 *
 * @module
 */
import {
  type DynFtrace,
  FTRACE_FL_CALL_OPS_EN,
  FTRACE_FL_ENABLED,
  FTRACE_FL_REGS_EN,
} from "./dyn_ftrace.ts";
import { callPair, NOP4, type SiteScheme, type Target, wordBytes, type Write } from "./scheme.ts";

/** What the patcher needs of a machine, small enough that a model of one can give it too. */
export interface PatchText {
  /** A copy of guest text. */
  read(address: bigint, length: number): Uint8Array;
  /** One store of 2, 4 or 8 bytes, whatever the page's permissions. */
  write(address: bigint, bytes: Uint8Array): void;
  /**
   * Moves every hart out of places where text may not change under it; gives in how many
   * instructions.
   */
  park(inside: (pc: number) => boolean): number;
  /** `fence.i` on the hart that patches. */
  localFenceI(): void;
  /** `fence.i` on every hart. */
  remoteFenceI(): void;
}

/** A change of one site: from what it calls now to what it shall call; undefined is nothing. */
export interface SiteChange {
  /** The record of the site to be patched. */
  readonly record: DynFtrace;
  /** What the site calls before the change; undefined if it is off. */
  readonly from: Target | undefined;
  /** What the site calls after the change; undefined to switch it off. */
  readonly to: Target | undefined;
}

/** What patching has cost so far. */
export interface PatchStatistics {
  /** Times that harts were parked. */
  parks: number;
  /** Instructions that harts had to execute to get out of the way. */
  steps: number;
  /** Stores to guest text and to the literals before functions. */
  writes: number;
  /** Times that the patching hart executed `fence.i`. */
  localFences: number;
  /** Times that every hart was made to execute `fence.i`. */
  remoteFences: number;
}

/** A site did not hold what its record says (`ftrace_bug`). From then on tracing is off. */
export class FtraceBug extends Error {
  /** Always `"FtraceBug"`. */
  override readonly name = "FtraceBug";
  /** Address of the site. */
  readonly ip: bigint;
  /** The bytes that the site should have held. */
  readonly expected: Uint8Array;
  /** The bytes that the site held instead. */
  readonly found: Uint8Array;

  /** Reports the site at `ip`. */
  constructor(ip: bigint, expected: Uint8Array, found: Uint8Array) {
    super(
      `Cannot patch 0x${ip.toString(16)}: expected (${hexWords(expected)}) but got (${
        hexWords(found)
      })`,
    );
    this.ip = ip;
    this.expected = expected;
    this.found = found;
  }
}

function hexWords(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const words: string[] = [];
  for (let at = 0; at < bytes.length; at += 4) {
    words.push(view.getUint32(at, true).toString(16).padStart(8, "0"));
  }
  return words.join(" ");
}

/** Switches the sites of one machine by one scheme. */
export class Patcher {
  /** The scheme by which sites are laid out and switched. */
  readonly scheme: SiteScheme;
  /** What patching has cost so far. */
  readonly statistics: PatchStatistics = {
    parks: 0,
    steps: 0,
    writes: 0,
    localFences: 0,
    remoteFences: 0,
  };
  readonly #text: PatchText;
  /** Halfword addresses inside sites and patchable pairs, where no hart may be. */
  readonly #inside = new Set<number>();
  /** Length of each breakpoint that a probe has planted, by its address. */
  readonly #breakpoints = new Map<number, number>();
  /** Told the address of a probe's breakpoint when the words of a site have gone over it. */
  onOverwrite: ((address: number) => void) | undefined;

  /** Starts with the sites of `records`, none of them switched. */
  constructor(text: PatchText, scheme: SiteScheme, records: readonly DynFtrace[]) {
    this.#text = text;
    this.scheme = scheme;
    for (const record of records) this.addSite(record);
  }

  /** Says that there is one more site, of code that was loaded later. */
  addSite({ kind, entry }: DynFtrace): void {
    if (kind === "patched") this.#guard(entry);
  }

  /** A hart at the first byte of a pair is outside: it has not begun. */
  #guard(start: bigint): void {
    for (let offset = 2; offset < 8; offset += 2) this.#inside.add(Number(start) + offset);
  }

  /** Whether a hart at `pc` is between words that change together. */
  insideSite(pc: number): boolean {
    return this.#inside.has(pc);
  }

  /** Says that there is a patchable pair at `pair`, for {@linkcode ftraceUpdateFtraceFunc}. */
  addPair(pair: bigint): void {
    this.#guard(pair);
  }

  /**
   * Gives a site its initial words, as at boot. A site that the scheme cannot switch gets two nops
   * all the same, so that it takes two instructions in every era.
   */
  ftraceInitNop(record: DynFtrace, nop: Target): void {
    if (record.kind === "patched") this.#writeAll(this.scheme.initial(record.entry, nop));
    else if (record.after >= 8) {
      this.#text.write(record.entry, wordBytes(NOP4, NOP4));
      this.statistics.writes++;
    }
  }

  /** Makes a site call what `target` says (`ftrace_make_call`). */
  ftraceMakeCall(record: DynFtrace, target: Target): void {
    this.#writeAll(this.scheme.makeCall(record.entry, target));
    record.flags |= FTRACE_FL_ENABLED;
  }

  /** Makes a site call nothing (`ftrace_make_nop`). */
  ftraceMakeNop(record: DynFtrace, nop: Target): void {
    this.#writeAll(this.scheme.makeNop(record.entry, nop));
    record.flags &= ~(FTRACE_FL_ENABLED | FTRACE_FL_REGS_EN | FTRACE_FL_CALL_OPS_EN);
  }

  /**
   * Makes a site call something else (`ftrace_modify_call`).
   *
   * @throws {FtraceBug} If the site does not hold what `current` says.
   */
  ftraceModifyCall(record: DynFtrace, current: Target, target: Target): void {
    const expected = this.scheme.expected(record.entry, current);
    const found = this.#text.read(record.entry, expected.length);
    if (expected.some((byte, k) => byte !== found[k])) {
      throw new FtraceBug(record.ip, expected, found);
    }
    this.#writeAll(this.scheme.makeCall(record.entry, target));
  }

  /**
   * Carries out the changes of one update: parks if the scheme must, writes, fences at the end.
   *
   * @throws {FtraceBug} If a site does not hold what its change says it does.
   */
  update(changes: readonly SiteChange[], nop: Target): void {
    if (changes.length === 0) return;
    this.#stopped(() => {
      for (const { record, from, to } of changes) {
        if (!to) this.ftraceMakeNop(record, nop);
        else if (from) this.ftraceModifyCall(record, from, to);
        else this.ftraceMakeCall(record, to);
      }
    });
  }

  /** Points the pair at a label of a trampoline at `func` (`ftrace_update_ftrace_func`). */
  ftraceUpdateFtraceFunc(pair: bigint, func: bigint): void {
    // Where no fence comes at the end, each pair is followed by one for all harts, as a site is.
    const fence = this.scheme.fencesAtEnd === "none" ? "remote" : "local";
    this.#stopped(() => {
      this.#writeAll(
        callPair("ra", pair, func).map((word, k) => ({
          address: pair + BigInt(k * 4),
          bytes: wordBytes(word),
          fence: k === 1 ? fence : "none",
        })),
      );
    });
  }

  /**
   * Puts a probe's breakpoint in place of an instruction (`patch_text`): every hart is stopped, one
   * writes, each runs `fence.i`. Gives the bytes that were there. Who owns them is not asked.
   */
  insertBreakpoint(address: number, bytes: Uint8Array): Uint8Array {
    const found = this.#text.read(BigInt(address), bytes.length);
    this.#patchText(address, bytes);
    this.#breakpoints.set(address, bytes.length);
    return found;
  }

  /** Puts the instruction back, whatever is there by now. */
  removeBreakpoint(address: number, bytes: Uint8Array): void {
    this.#breakpoints.delete(address);
    this.#patchText(address, bytes);
  }

  #patchText(address: number, bytes: Uint8Array): void {
    this.statistics.parks++;
    this.#text.write(BigInt(address), bytes);
    this.statistics.writes++;
    this.#fence("local");
  }

  #stopped(body: () => void): void {
    if (this.scheme.parks) {
      this.statistics.steps += this.#text.park((pc) => this.insideSite(pc));
      this.statistics.parks++;
    }
    body();
    if (this.scheme.fencesAtEnd !== "none") this.#fence("remote");
  }

  #writeAll(writes: readonly Write[]): void {
    for (const { address, bytes, fence } of writes) {
      this.#text.write(address, bytes);
      this.statistics.writes++;
      if (fence !== "none") this.#fence(fence);
      this.#noticeOverwrites(Number(address), bytes.length);
    }
  }

  #noticeOverwrites(start: number, length: number): void {
    if (this.#breakpoints.size === 0) return;
    for (const [address, size] of this.#breakpoints) {
      if (address + size <= start || address >= start + length) continue;
      this.#breakpoints.delete(address);
      this.onOverwrite?.(address);
    }
  }

  #fence(kind: "local" | "remote"): void {
    if (kind === "local") {
      this.#text.localFenceI();
      this.statistics.localFences++;
    } else {
      this.#text.remoteFenceI();
      this.statistics.remoteFences++;
    }
  }
}

/** The words of a site when it is off and when it calls `target`, for a listing. */
export function siteWords(
  scheme: SiteScheme,
  entry: bigint,
  target: Target,
): { readonly off: readonly number[]; readonly on: readonly number[] } {
  const after = (writes: readonly Write[], bytes: Uint8Array) => {
    for (const { address, bytes: written } of writes) {
      const at = Number(address - entry);
      if (at >= 0) bytes.set(written, at);
    }
    return bytes;
  };
  const off = after(scheme.initial(entry, target), new Uint8Array(8));
  const on = after(scheme.makeCall(entry, target), off.slice());
  const words = ({ buffer }: Uint8Array) => [...new Uint32Array(buffer)];
  return { off: words(off), on: words(on) };
}
