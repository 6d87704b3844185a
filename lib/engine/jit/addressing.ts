/**
 * How a region finds memory and other code: at plain addresses, or through the hart's TLB.
 *
 * Where addresses are translated, a region is made for virtual addresses and for the physical pages
 * that these meant; it asks at its entrance whether they still do, once in a generation of the TLB.
 * Nothing can change that while it runs: whatever changes a mapping or a mode is the reference's.
 *
 * @module
 */
import { FETCH_ENTRIES, GENERATION } from "../../hart/state.ts";
import { PAGE_SIZE } from "../../memory/page.ts";
import { FETCH_ENTRY, fetchOffset } from "../../memory/tlb.ts";
import type { Code } from "../../wasm/code.ts";
import { ENTRANCE, Handler, MICRO_OP } from "../interpreter/micro_op.ts";
import { HOST } from "../plan/plan.ts";
import type { TranslatedChecks } from "./access_facts.ts";
import { RegionLocal } from "./region_frame.ts";

const PAGE_BITS = Math.log2(PAGE_SIZE);
/** A physical page number's bits in an entry for fetches. */
export const PHYSICAL = 0x7fffffff;

/** Where the cells of a region are, as the code at its entrance wants to know it. */
export interface CellsPlace {
  /** Host address of what lies before them. */
  readonly head: number;
  /** That behind the last one. */
  readonly end: number;
  /** Number of the function that empties them (`find_area.ts`). */
  readonly renew: number;
}

/** How a region's function addresses things. */
export interface Addressing {
  /** Whether addresses are virtual, and what is asked before accesses then. */
  readonly translated: TranslatedChecks | undefined;
  /**
   * Writes what is asked at the entrance of a region whose pages may have moved; `leave` writes the
   * way out for one that is not where it was made for.
   */
  enter(code: Code, cells: CellsPlace, leave: () => void): void;
  /** Writes the way to the micro-op at the target, into its local; goes to a label if there is none. */
  findMicroOp(code: Code, label: number): void;
}

/** Writes the way to the entry of the region at the target, into `word`; label 0 if there is none. */
export function findSlot(code: Code, addressing: Addressing): void {
  const { depth, microOp, word } = RegionLocal;
  code.get(depth).op("i32.eqz").unlikely().brIf(0);
  addressing.findMicroOp(code, 0);
  code.get(microOp).access("i32.load16_u", HOST, MICRO_OP.handler);
  code.i32(Handler.region).op("i32.ne").unlikely().brIf(0);
  if (addressing.translated) {
    // The same page may be mapped at another address.
    code.get(microOp).access("i32.load", HOST, MICRO_OP.next);
    code.access("i64.load", HOST, ENTRANCE.pc).get(RegionLocal.target);
    code.op("i64.ne").unlikely().brIf(0);
  }
  code.get(microOp).access("i32.load", HOST, MICRO_OP.imm).set(word);
}

/** Adds the place of the target's micro-op in its block to what `microOp` holds. */
function addOffset(code: Code): void {
  const { target, microOp } = RegionLocal;
  code.get(target).op("i32.wrap_i64").i32(PAGE_SIZE - 1).op("i32.and").i32(3).op("i32.shl");
  code.get(microOp).op("i32.add").set(microOp);
}

/** Plain addresses; `pageTable` is the host address of the table that leads to micro-ops. */
export function plainAddressing(pageTable: number): Addressing {
  const { target, microOp } = RegionLocal;
  return {
    translated: undefined,
    enter() {},
    findMicroOp(code, label) {
      code.get(target).i64(32n).op("i64.shr_u", "i32.wrap_i64").unlikely().brIf(label);
      code.get(target).op("i32.wrap_i64").i32(PAGE_BITS).op("i32.shr_u");
      code.i32(2).op("i32.shl").access("i32.load", HOST, pageTable);
      code.tee(microOp).op("i32.eqz").unlikely().brIf(label);
      addOffset(code);
    },
  };
}

/** Pushes 0 if these virtual pages mean these numbers of physical ones. */
function askForPages(code: Code, pages: ReadonlyMap<number, number>): void {
  const { word } = RegionLocal;
  code.i32(0).access("i32.load", HOST, FETCH_ENTRIES).set(word).i32(0);
  for (const [virtual, physical] of pages) {
    const at = fetchOffset(virtual);
    code.get(word).access("i64.load", HOST, at + FETCH_ENTRY.page);
    code.i64(BigInt(virtual) * BigInt(PAGE_SIZE)).op("i64.ne", "i32.or");
    code.get(word).access("i32.load", HOST, at + FETCH_ENTRY.physical);
    code.i32(PHYSICAL).op("i32.and").i32(physical).op("i32.ne", "i32.or");
  }
}

/** Addresses behind the TLB, of code whose virtual pages mean these numbers of physical ones. */
export function translatedAddressing(
  pages: ReadonlyMap<number, number>,
  translated: TranslatedChecks,
): Addressing {
  const { target, microOp, word } = RegionLocal;
  return {
    translated,
    enter(code, { head, end, renew }, leave) {
      code.i32(0).access("i64.load", HOST, GENERATION);
      code.i32(0).access("i64.load", HOST, head).op("i64.ne").unlikely().if();
      askForPages(code, pages);
      code.if();
      leave();
      code.op("end");
      code.i32(head).i32(end).call(renew).op("end");
    },
    findMicroOp(code, label) {
      code.get(target).i64(BigInt(PAGE_BITS)).op("i64.shr_u", "i32.wrap_i64");
      code.i32(FETCH_ENTRY.count - 1).op("i32.and").i32(Math.log2(FETCH_ENTRY.size)).op("i32.shl");
      code.i32(0).access("i32.load", HOST, FETCH_ENTRIES).op("i32.add").tee(word);
      code.access("i64.load", HOST, FETCH_ENTRY.page);
      code.get(target).i64(BigInt(-PAGE_SIZE)).op("i64.and", "i64.ne").unlikely().brIf(label);
      code.get(word).access("i32.load", HOST, FETCH_ENTRY.own);
      code.tee(microOp).op("i32.eqz").unlikely().brIf(label);
      addOffset(code);
    },
  };
}
