/**
 * From an address to the bytes of a module: one region, analysed and written.
 *
 * @module
 */
import type { Memory } from "../../memory/memory.ts";
import type { Code } from "../../wasm/code.ts";
import { Module } from "../../wasm/module.ts";
import { AccessFacts, NO_CHECKS } from "./access_facts.ts";
import type { Addressing } from "./addressing.ts";
import { BlockWriter } from "./block_writer.ts";
import { ControlFlow } from "./control_flow.ts";
import { findAreaType, renewType } from "./find_area.ts";
import { Liveness } from "./liveness.ts";
import { lookCloserType } from "./look_closer.ts";
import { NarrowRegisters } from "./narrow_registers.ts";
import type { ExitReason } from "../statistics.ts";
import type { Region } from "./region.ts";
import type { RegionCounters } from "./region_counters.ts";
import { RegionFrame, regionType } from "./region_frame.ts";
import { type AccessModel, mayLeave, RegionSink } from "./region_sink.ts";
import { RegionNotes } from "./region_notes.ts";
import { RegionWriter } from "./region_writer.ts";

/** What regions of one hart are compiled with. */
export interface RegionOptions {
  readonly memory: Memory;
  /** Whether misaligned accesses trap. */
  readonly aligned: boolean;
  /** Whether nothing is asked of pages. */
  readonly unchecked: boolean;
  /** The table slot of the code at an address. */
  slotOf(pc: number): number;
  /** Why code that is left at an address is left there. */
  reasonAt(pc: number): ExitReason;
  /** What counts for statistics; absent in a plain run. */
  readonly counters: RegionCounters | undefined;
  /** Whether somebody wants to read what is written. */
  readonly isRead: boolean;
}

/** What is expected of a region's accesses. */
export interface Expectations extends Pick<AccessModel, "expected" | "cellOf" | "areaCell"> {
  /** Where the cells of its checks are in host memory. */
  readonly cells: { readonly head: number; readonly end: number };
}

/** The module that was made of a region, which exports `run`. */
export interface WrittenRegion {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The code of its function, for whoever wants to read it. */
  readonly code: Uint8Array;
  /** The function's locals, parameters not among them. */
  readonly frame: RegionFrame;
  /** Names of the module's functions, by number. */
  readonly functions: readonly string[];
  /** What the code stands for; absent in a plain run. */
  readonly notes: RegionNotes | undefined;
}

/** What a region's code is written for. */
export interface RegionPlace {
  /** How memory and other code are found. */
  readonly addressing: Addressing;
  /** Host address of the byte that says that the region was entered. */
  readonly used: number;
  /** Its table slot. */
  readonly slot: number;
}

/** Writes a region. */
export function writeRegion(
  options: RegionOptions,
  region: Region,
  expectations: Expectations,
  place: RegionPlace,
): WrittenRegion {
  const { memory, aligned, unchecked, counters } = options;
  const { addressing } = place;
  const { translated } = addressing;
  const module = new Module();
  module.importMemory("guest", memory.guest.buffer.byteLength / 65536);
  module.importMemory("host", memory.host.buffer.byteLength / 65536);
  module.importTable("thunks");
  const asked = translated ? "findArea" : "lookCloser";
  const askedType = translated ? findAreaType(module) : lookCloserType(module);
  const lookCloser = module.importFunction(asked, askedType);
  const renew = translated ? module.importFunction("renew", renewType(module)) : -1;
  const counting = counters?.declare(module);
  const type = regionType(module);
  const { code, locals, index } = module.function(type, [], counters ? undefined : "run");
  if (counting) counters!.wrap(module, { type, body: index, entry: region.entry.pc, ...counting });
  const isTranslated = translated !== undefined;
  const model = { aligned, unchecked, translated: isTranslated, lookCloser, ...expectations };
  const frame = new RegionFrame(locals);
  const flow = new ControlFlow(region);
  const facts = unchecked && !translated ? NO_CHECKS : new AccessFacts(flow, translated);
  const leaving = new Set(flow.order.filter((block) => {
    const [checks] = facts.checks(block, 1);
    return block.steps.some((step, at) => mayLeave(step, checks![at], model));
  }));
  const liveness = new Liveness(flow, leaving);
  const narrow = new NarrowRegisters(flow, liveness);
  const sink = new RegionSink(code, frame, model);
  const notes = notesOf(options, code);
  const blocks = new BlockWriter({ code, frame, sink, model, facts, liveness, narrow, notes });
  const self = counting ? index + 1 : index;
  const links = {
    ...{ type, self, ...place },
    cells: { ...expectations.cells, renew },
    slotOf: (pc: number) => options.slotOf(pc),
  };
  new RegionWriter({ region, flow, liveness, frame, code, narrow, blocks, links, notes }).write();
  const functions = [
    asked,
    ...translated ? ["renew"] : [],
    ...counting ? ["enter", "leave", "body"] : [],
    "self",
  ];
  return { bytes: module.encode(), code: code.bytes, frame, functions, notes };
}

/** Notes are taken where exits are counted or the code is read. */
function notesOf(options: RegionOptions, code: Code): RegionNotes | undefined {
  const { counters, isRead } = options;
  if (!counters && !isRead) return undefined;
  return new RegionNotes({
    code,
    reasonAt: (pc) => options.reasonAt(pc),
    count: counters && ((at, reason) => counters.countExit(at, reason)),
  });
}
