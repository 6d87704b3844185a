/**
 * The sites of one hart: where compiled code goes when it calls a function that begins with one.
 *
 * A site is no part of its function's region, which begins behind it, so neither that nor any caller
 * is compiled anew when the site is switched. While a site is open, which is as long as the hart has
 * fetched words that lead on, nobody is to be asked there, and the region is there, the call slot of
 * its address executes both words and goes on in the region; else it leaves, and the interpreter does
 * what the site says now.
 *
 * Behind page tables a site is open for the physical page that it was opened in, which its slot asks.
 *
 * What words are a site is `site_words.ts`; the code of call slots, `call_slots.ts`.
 *
 * @module
 */
import type { Memory } from "../../memory/memory.ts";
import { PAGE_SIZE } from "../../memory/page.ts";
import type { Hooks } from "../hooks.ts";
import type { Decoder } from "../interpreter/decoder.ts";
import { ENTRANCE } from "../interpreter/micro_op.ts";
import type { MicroOpSpace } from "../interpreter/micro_op_space.ts";
import type { CallSlots } from "./call_slots.ts";
import type { FetchedCode } from "./fetched_code.ts";
import { SITE_SIZE } from "./site_words.ts";

/** What sites are made with. */
export interface SiteParts {
  readonly space: MicroOpSpace;
  readonly decoder: Decoder;
  readonly hooks: Hooks;
  readonly memory: Memory;
  readonly slots: CallSlots;
  readonly source: FetchedCode;
  /** Where the instruction at an address lies now; −1 if it is not known. */
  physical(pc: number): number;
  /** The table slot of the region that is entered at an address, if there is one. */
  regionAt(pc: number): number | undefined;
}

/** A function's site. */
interface Site {
  readonly entry: number;
  /** Its call slot. */
  readonly slot: number;
  /** Host address of the micro-op that stands for its first word while it is open. */
  readonly entrance: number;
  /** Its physical address while it is open, else −1. */
  openAt: number;
}

/** Opens and closes the sites of one hart. */
export class Sites {
  readonly #parts: SiteParts;
  readonly #byEntry = new Map<number, Site>();
  /** Sites that are open, by the number of their physical page. */
  readonly #byPage = new Map<number, Set<Site>>();
  /** Sites that are open, by their physical address. */
  readonly #open = new Map<number, Set<Site>>();

  /** Knows none yet. */
  constructor(parts: SiteParts) {
    this.#parts = parts;
  }

  /** Where the region of a function at `pc` begins: there, or behind its site, which is known then. */
  begin(pc: number): number {
    const begin = this.#parts.source.behindSite(pc);
    if (begin !== pc && !this.#byEntry.has(pc)) this.#add(pc);
    return begin;
  }

  #add(entry: number): void {
    const { memory: { heap }, slots } = this.#parts;
    const entrance = heap.allocate(ENTRANCE.size, 16);
    const site: Site = { entry, slot: slots.of(entry), entrance, openAt: -1 };
    this.#byEntry.set(entry, site);
    this.#parts.memory.hostView.setBigInt64(entrance + ENTRANCE.pc, BigInt(entry), true);
    this.#update(site);
  }

  /** A word, a hook or a region came to an address, or went: what begins or ends there may open. */
  changed(pc: number): void {
    for (let entry = pc; entry >= pc - SITE_SIZE; entry -= SITE_SIZE / 2) {
      const site = this.#byEntry.get(entry);
      if (site) this.#update(site);
    }
  }

  /** The word at a physical address is to be fetched anew. */
  dropped(address: number): void {
    for (const first of [address, address - SITE_SIZE / 2]) {
      for (const site of this.#open.get(first) ?? []) this.#close(site);
    }
  }

  /** The micro-ops of a physical page were made anew. */
  pageMade(page: number): void {
    for (const site of this.#byPage.get(page) ?? []) this.#enter(site);
  }

  #update(site: Site): void {
    const { slots, source, hooks, regionAt } = this.#parts;
    const { entry, slot } = site;
    const isAsked = hooks.at(entry) !== undefined || hooks.at(entry + 4) !== undefined;
    const words = isAsked ? undefined : source.siteAt(entry);
    const region = words?.isOff ? regionAt(entry + SITE_SIZE) : undefined;
    const physical = region === undefined ? -1 : this.#parts.physical(entry);
    if (site.openAt !== physical) this.#close(site);
    if (region === undefined) return;
    slots.open(slot, { region, t0: words!.t0, physical });
    if (site.openAt >= 0) return;
    site.openAt = physical;
    addTo(this.#open, physical, site);
    addTo(this.#byPage, Math.floor(physical / PAGE_SIZE), site);
    this.#enter(site);
  }

  #close(site: Site): void {
    const { slots, space } = this.#parts;
    const { openAt, slot } = site;
    if (openAt < 0) return;
    slots.close(slot);
    space.removeEntrance(openAt, slot);
    this.#open.get(openAt)!.delete(site);
    this.#byPage.get(Math.floor(openAt / PAGE_SIZE))!.delete(site);
    site.openAt = -1;
  }

  /** Makes the micro-op at a site enter its slot; where its page has none, that waits for it. */
  #enter({ openAt, slot, entrance }: Site): void {
    const { space, decoder } = this.#parts;
    if (!space.has(Math.floor(openAt / PAGE_SIZE))) return;
    decoder.decodeApart(space, openAt, entrance + ENTRANCE.microOp);
    space.writeEntrance(openAt, slot, entrance);
  }
}

function addTo(sites: Map<number, Set<Site>>, number: number, site: Site): void {
  const here = sites.get(number);
  if (here) here.add(site);
  else sites.set(number, new Set([site]));
}
