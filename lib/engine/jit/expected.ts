/**
 * Where the accesses of one region are expected to be: what was learned of each, or else where its
 * base register points while the region is made.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { SP } from "../../isa/abi.ts";
import type { Check } from "./access_facts.ts";
import type { Area, Areas } from "./areas.ts";
import type { Expectations } from "./compile.ts";
import { AREA_CELL, CELLS_HEAD } from "./find_area.ts";
import { CELL } from "./look_closer.ts";
import type { Region } from "./region.ts";

/** What the expectations of a region come from. */
export interface ExpectedParts {
  readonly region: Region;
  /** The region's table slot. */
  readonly slot: number;
  /** Host address of its cells, {@linkcode Expected.cells} bytes of zeros. */
  readonly cells: number;
  /** Whether it is behind page tables, where a cell has an area and nothing is expected. */
  readonly translated: boolean;
  readonly hart: Hart;
  readonly areas: Areas;
  /** Addresses that accesses were seen at, by pc: what is learned goes there. */
  readonly learned: Map<number, number>;
}

/** The expectations of one region. */
export class Expected {
  readonly #parts: ExpectedParts;
  readonly #cells = new Map<number, number>();
  /** The areas that each access was expected in, by pc: one that is written several times may have more. */
  readonly #taken = new Map<number, Set<Area>>();
  readonly #view: DataView;
  /** How many bytes each access asks for that has a cell with an area, by pc. */
  readonly #asked = new Map<number, number>();
  /** Behind the last cell. */
  readonly #end: number;

  /** Bytes that the cells of a region take. */
  static cells({ steps }: Region, translated: boolean): number {
    let count = 0;
    for (const { use } of steps.values()) count += Number(use.access !== undefined);
    return translated ? CELLS_HEAD + (count + 1) * AREA_CELL.size : count * CELL.size;
  }

  /** Clears the cells. */
  constructor(parts: ExpectedParts) {
    this.#parts = parts;
    const { region, hart, cells, slot, translated } = parts;
    const layout = translated ? AREA_CELL : CELL;
    this.#view = hart.memory.hostView;
    let at = translated ? cells + CELLS_HEAD : cells;
    for (const [pc, { use }] of region.steps) {
      if (!use.access) continue;
      this.#cells.set(pc, at);
      this.#view.setUint32(at + layout.slot, slot, true);
      at += layout.size;
    }
    if (translated) this.#view.setUint32(at + layout.slot, slot, true);
    this.#end = at;
  }

  /** As the writer of the region wants to know them. */
  model(): Expectations {
    return {
      expected: (check, pc) => this.#expected(check, pc),
      cellOf: (pc) => this.#cells.get(pc)!,
      areaCell: (pc, bytes) => this.#areaCell(pc, bytes),
      cells: { head: this.#parts.cells, end: this.#end },
    };
  }

  /**
   * What a cell knows is true of so many bytes only: where an access is written several times and asks
   * for others elsewhere, those ask each time, with the cell behind the last one.
   */
  #areaCell(pc: number, bytes: number): { readonly cell: number; readonly isKept: boolean } {
    const first = this.#asked.get(pc) ?? bytes;
    this.#asked.set(pc, first);
    const isKept = first === bytes;
    return { cell: isKept ? this.#cells.get(pc)! : this.#end, isKept };
  }

  /** Whether the region's code takes an area for granted. */
  reliesOn(area: Area): boolean {
    for (const areas of this.#taken.values()) if (areas.has(area)) return true;
    return false;
  }

  #expected(check: Check, pc: number): Area | undefined {
    const area = this.#find(check, pc);
    if (area) {
      const areas = this.#taken.get(pc);
      if (areas) areas.add(area);
      else this.#taken.set(pc, new Set([area]));
    }
    return area;
  }

  #find({ base, low, writes }: Check, pc: number): Area | undefined {
    const { areas, learned, hart } = this.#parts;
    if (base === 0) return areas.around(low, writes);
    const seen = learned.get(pc);
    return (seen === undefined ? undefined : areas.around(seen, writes)) ??
      areas.around(addressIn(hart, base), writes) ?? areas.around(addressIn(hart, SP), writes);
  }

  /** Takes in where accesses were; false if nothing new was learned. */
  learn(): boolean {
    const { learned, region, areas } = this.#parts;
    let anyNew = false;
    for (const [pc, at] of this.#cells) {
      if (this.#view.getUint32(at + CELL.asked, true) === 0) continue;
      const address = Number(this.#view.getBigUint64(at + CELL.base, true));
      const { writes } = region.steps.get(pc)!.use.access!;
      const now = areas.around(address, writes);
      learned.set(pc, address);
      anyNew ||= now !== undefined && !this.#taken.get(pc)?.has(now);
    }
    return anyNew;
  }
}

function addressIn(hart: Hart, register: number): number {
  return Number(BigInt.asUintN(64, hart.x[register]!));
}
