/**
 * From an address to the bytes of a module: one region, analysed and written.
 *
 * @module
 */
import type { Memory } from "../../memory/memory.ts";
import { Module } from "../../wasm/module.ts";
import { AccessFacts } from "./access_facts.ts";
import type { Addressing } from "./addressing.ts";
import { BlockWriter } from "./block_writer.ts";
import { ControlFlow } from "./control_flow.ts";
import { Liveness } from "./liveness.ts";
import { lookCloserType } from "./look_closer.ts";
import { NarrowRegisters } from "./narrow.ts";
import type { Region } from "./region.ts";
import { RegionFrame, regionType } from "./region_frame.ts";
import { type AccessModel, mayLeave, RegionSink } from "./region_sink.ts";
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
}

/** What is expected of a region's accesses. */
export type Expectations = Pick<AccessModel, "expected" | "cellOf">;

/** The module that was made of a region, which exports `run`. */
export interface WrittenRegion {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The code of its function, for whoever wants to read it. */
  readonly code: Uint8Array;
}

/** Writes a region. */
export function writeRegion(
  options: RegionOptions,
  region: Region,
  expectations: Expectations,
  addressing: Addressing,
): WrittenRegion {
  const { memory, aligned, unchecked } = options;
  const { translated } = addressing;
  const module = new Module();
  module.importMemory("guest", memory.guest.buffer.byteLength / 65536);
  module.importMemory("host", memory.host.buffer.byteLength / 65536);
  module.importTable("thunks");
  const lookCloser = module.importFunction("lookCloser", lookCloserType(module));
  const type = regionType(module);
  const { code, locals, index: self } = module.function(type, [], "run");
  const model: AccessModel = { aligned, unchecked, translated, lookCloser, ...expectations };
  const frame = new RegionFrame(locals);
  const flow = new ControlFlow(region);
  const facts = new AccessFacts(flow);
  const leaving = new Set(flow.order.filter((block) => {
    const [checks] = facts.checks(block, 1);
    return block.steps.some((step, at) => mayLeave(step, checks![at], model));
  }));
  const liveness = new Liveness(flow, leaving);
  const narrow = new NarrowRegisters(flow);
  const sink = new RegionSink(code, frame, model);
  const blocks = new BlockWriter({ code, frame, sink, model, facts, liveness, narrow });
  const links = { type, self, addressing, slotOf: (at: number) => options.slotOf(at) };
  new RegionWriter({ region, flow, liveness, frame, code, blocks, links }).write();
  return { bytes: module.encode(), code: code.bytes };
}
