/**
 * The sites of one hart: where compiled code goes when it calls a function that begins with one.
 *
 * A site is no part of its function's region, which begins behind it, so neither that nor any caller
 * is compiled anew when the site is switched. While a site is open, which is as long as the hart has
 * fetched words that lead on, nobody is to be asked there, and the region is there, the call slot of
 * its address executes both words and goes on in the region; else it leaves, and the interpreter does
 * what the site says now.
 *
 * What words are a site is `site_words.ts`; the code of call slots, `call_slots.ts`. Behind page
 * tables there are none.
 *
 * @module
 */
import type { HostHeap } from "../../memory/host_heap.ts";
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
  readonly heap: HostHeap;
  readonly slots: CallSlots;
  readonly source: FetchedCode;
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
  isOpen: boolean;
}

/** Opens and closes the sites of one hart. */
export class Sites {
  readonly #parts: SiteParts;
  readonly #byEntry = new Map<number, Site>();
  /** Those whose first word is in a page, by its number. */
  readonly #byPage = new Map<number, Site[]>();

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

  /** Whether there is a site at an address. */
  has(pc: number): boolean {
    return this.#byEntry.has(pc);
  }

  #add(entry: number): void {
    const { heap, slots } = this.#parts;
    const entrance = heap.allocate(ENTRANCE.size, 16);
    const site: Site = { entry, slot: slots.of(entry), entrance, isOpen: false };
    this.#byEntry.set(entry, site);
    const page = Math.floor(entry / PAGE_SIZE);
    const here = this.#byPage.get(page);
    if (here) here.push(site);
    else this.#byPage.set(page, [site]);
    this.#update(site);
  }

  /** A word, a hook or a region came to an address, or went: what begins or ends there may open. */
  changed(pc: number): void {
    for (let entry = pc; entry >= pc - SITE_SIZE; entry -= SITE_SIZE / 2) {
      const site = this.#byEntry.get(entry);
      if (site) this.#update(site);
    }
  }

  /** A word is to be fetched anew. */
  dropped(pc: number): void {
    const site = this.#byEntry.get(pc) ?? this.#byEntry.get(pc - SITE_SIZE / 2);
    if (site?.isOpen) this.#close(site);
  }

  /** The micro-ops of a page were made anew. */
  pageMade(page: number): void {
    for (const site of this.#byPage.get(page) ?? []) if (site.isOpen) this.#enter(site);
  }

  #update(site: Site): void {
    const { slots, source, hooks, regionAt } = this.#parts;
    const { entry, slot } = site;
    const behind = entry + SITE_SIZE;
    const isAsked = hooks.at(entry) !== undefined || hooks.at(entry + 4) !== undefined;
    const words = isAsked ? undefined : source.siteAt(entry);
    const region = words?.isOff ? regionAt(behind) : undefined;
    if (region !== undefined) {
      slots.open(slot, { region, t0: words!.t0 });
      if (!site.isOpen) this.#enter(site);
      site.isOpen = true;
    } else if (site.isOpen) this.#close(site);
  }

  #close(site: Site): void {
    const { slots, space } = this.#parts;
    slots.close(site.slot);
    space.removeEntrance(site.entry, site.slot);
    site.isOpen = false;
  }

  /** Makes the micro-op at a site enter its slot; where its page has none, that waits for it. */
  #enter({ entry, slot, entrance }: Site): void {
    const { space, decoder } = this.#parts;
    if (!space.has(Math.floor(entry / PAGE_SIZE))) return;
    decoder.decodeApart(space, entry, entrance + ENTRANCE.microOp);
    space.writeEntrance(entry, slot, entrance);
  }
}
