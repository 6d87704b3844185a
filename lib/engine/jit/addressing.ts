/**
 * How a region finds memory and other code: at plain addresses, or through the hart's TLB.
 *
 * Where addresses are translated, a region is made for virtual addresses and for the physical pages
 * that these meant; it asks at its entrance whether they still do. Nothing can change that while it
 * runs: whatever changes a mapping or a mode is the reference's.
 *
 * @module
 */
import { DATA_ENTRIES, FETCH_ENTRIES, STACK_ADDEND, STACK_PAGE } from "../../hart/state.ts";
import { PAGE_SIZE } from "../../memory/page.ts";
import { QUIET } from "../../memory/store_watch.ts";
import { DATA_ENTRY, FETCH_ENTRY } from "../../memory/tlb.ts";
import type { Code } from "../../wasm/code.ts";
import { ENTRANCE, Handler, MICRO_OP } from "../interpreter/micro_op.ts";
import { type AddressHole, HOST } from "../plan/plan.ts";
import { type LastPage, RegionLocal } from "./region_frame.ts";

const PAGE_BITS = Math.log2(PAGE_SIZE);
/** A physical page number's bits in an entry for fetches. */
export const PHYSICAL = 0x7fffffff;

/** How a region's function addresses things. */
export interface Addressing {
  /** Whether data is found through the TLB, so that no check of pages is needed beside. */
  readonly translated: boolean;
  /** Writes the question whether the region is where it was made for: pushes i32, 0 if it is. */
  ask(code: Code): void;
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
    translated: false,
    ask: (code) => void code.i32(0),
    findMicroOp(code, label) {
      code.get(target).i64(32n).op("i64.shr_u", "i32.wrap_i64").unlikely().brIf(label);
      code.get(target).op("i32.wrap_i64").i32(PAGE_BITS).op("i32.shr_u");
      code.i32(2).op("i32.shl").access("i32.load", HOST, pageTable);
      code.tee(microOp).op("i32.eqz").unlikely().brIf(label);
      addOffset(code);
    },
  };
}

/** Addresses behind the TLB, of code whose virtual pages mean these numbers of physical ones. */
export function translatedAddressing(pages: ReadonlyMap<number, number>): Addressing {
  const { target, microOp, word } = RegionLocal;
  return {
    translated: true,
    ask(code) {
      code.i32(0).access("i32.load", HOST, FETCH_ENTRIES).set(word).i32(0);
      for (const [virtual, physical] of pages) {
        const at = (((virtual % FETCH_ENTRY.count) + FETCH_ENTRY.count) % FETCH_ENTRY.count) *
          FETCH_ENTRY.size;
        code.get(word).access("i64.load", HOST, at + FETCH_ENTRY.page);
        code.i64(BigInt(virtual) * BigInt(PAGE_SIZE)).op("i64.ne", "i32.or");
        code.get(word).access("i32.load", HOST, at + FETCH_ENTRY.physical);
        code.i32(PHYSICAL).op("i32.and").i32(physical).op("i32.ne", "i32.or");
      }
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

/** Loads what {@linkcode pushTranslated} needs, where a region is entered. */
export function loadDataEntries(code: Code): void {
  code.i32(0).access("i32.load", HOST, DATA_ENTRIES).set(RegionLocal.entries);
}

/** Takes over the stack's page from whoever looked it up last. */
export function loadStackPage(code: Code, { page, addend }: LastPage): void {
  code.i32(0).access("i64.load", HOST, STACK_PAGE).set(page);
  code.i32(0).access("i32.load", HOST, STACK_ADDEND).set(addend);
}

function storeStackPage(code: Code, { page, addend }: LastPage): void {
  code.i32(0).get(page).access("i64.store", HOST, STACK_PAGE);
  code.i32(0).get(addend).access("i32.store", HOST, STACK_ADDEND);
}

/** What an address has of its page, and of the bits that an aligned one does not have. */
function pushPage(code: Code, bytes: number): void {
  code.get(RegionLocal.long).i64(BigInt(-PAGE_SIZE | (bytes - 1))).op("i64.and");
}

/**
 * Pops a virtual address and pushes the physical one for an access: that of the page where the last
 * such access was, or of one that is looked up. Mappings cannot change while a region runs.
 *
 * `leaveIf` writes the exit for what the TLB does not have, for misaligned addresses and for stores
 * that somebody watches; it is told how many blocks are open around it.
 */
export function pushTranslated(
  code: Code,
  hole: AddressHole,
  last: LastPage,
  leaveIf: (nested: number) => void,
): void {
  const { entries, word, long } = RegionLocal;
  const { access, writes } = hole;
  code.set(long);
  pushPage(code, access.bytes);
  code.get(last.page).op("i64.ne").unlikely().if();
  code.get(long).i64(BigInt(PAGE_BITS)).op("i64.shr_u", "i32.wrap_i64");
  code.i32(DATA_ENTRY.count - 1).op("i32.and").i32(Math.log2(DATA_ENTRY.size)).op("i32.shl");
  code.get(entries).op("i32.add").tee(word);
  // What may be written may be read.
  code.access("i64.load", HOST, writes ? DATA_ENTRY.write : DATA_ENTRY.read);
  pushPage(code, access.bytes);
  code.op("i64.ne");
  leaveIf(1);
  if (last.forWrites && !writes) {
    // A page that may not be written is looked up at each read.
    pushPage(code, 1);
    code.i64(-1n).get(word).access("i64.load", HOST, DATA_ENTRY.write).get(long);
    code.i64(BigInt(-PAGE_SIZE)).op("i64.and", "i64.eq");
    pushQuiet(code);
    code.i32(0).op("i32.ne", "i32.and", "select").set(last.page);
  } else {
    if (writes) {
      pushQuiet(code);
      code.op("i32.eqz");
      leaveIf(1);
    }
    pushPage(code, 1);
    code.set(last.page);
  }
  code.get(word).access("i32.load", HOST, DATA_ENTRY.addend).set(last.addend);
  if (last.isStack) storeStackPage(code, last);
  code.op("end").get(long).op("i32.wrap_i64").get(last.addend).op("i32.add");
}

/** Pushes whether the page of the entry in `word` may be written quietly: not 0. */
function pushQuiet(code: Code): void {
  const { word, long } = RegionLocal;
  code.get(long).op("i32.wrap_i64").get(word).access("i32.load", HOST, DATA_ENTRY.addend);
  code.op("i32.add").i32(PAGE_BITS).op("i32.shr_u").access("i32.load8_u", HOST, QUIET);
}
