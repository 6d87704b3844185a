/**
 * What firmware finds in RAM before its first instruction: the device tree, for a1, and behind it
 * what a loader tells firmware about the stage after it, for a2.
 *
 * The latter is what OpenSBI's `fw_dynamic` asks for, and what QEMU's board has for every firmware
 * (`include/sbi/fw_dynamic.h`): six words.
 *
 * @module
 */
import { PAGE_SIZE } from "../../memory/page.ts";
import type { PlatformContext } from "../platform.ts";
import type { BoardMap, Region } from "./device.ts";
import { deviceTree } from "./device_tree.ts";
import type { MemoryMap } from "./memory_map.ts";

const MIB = 1024 * 1024;
/** "OSBI", the version of the words, and the mode of the next stage: S. */
const MAGIC = 0x4942534fn, VERSION = 2n, SUPERVISOR = 1n;
const WORD = 8;

/** Addresses of what firmware finds; 0 if there is no room for it. */
export interface BootData {
  /** The flattened device tree. */
  readonly tree: number;
  /** The six words about the next stage. */
  readonly next: number;
}

/** Puts the device tree of a board, and what is to boot next, into its RAM. */
export function placeBootData(
  map: BoardMap,
  memory: MemoryMap,
  context: PlatformContext,
): BootData {
  const tree = deviceTree(map, memory, context);
  const next = nextStage(context.elf.nextStage ?? 0n);
  const behind = Math.ceil(tree.length / WORD) * WORD;
  const at = placeOf(memory.ram, behind + next.length, context);
  if (at === 0) return { tree: 0, next: 0 };
  context.memory.poke(at, tree);
  context.memory.poke(at + behind, next);
  return { tree: at, next: at + behind };
}

/** The stage at `address`, 0 if there is none, with no options; hart 0 is to boot it. */
function nextStage(address: bigint): Uint8Array {
  const words = [MAGIC, VERSION, address, SUPERVISOR, 0n, 0n];
  const bytes = new DataView(new ArrayBuffer(WORD * words.length));
  words.forEach((word, k) => bytes.setBigUint64(WORD * k, word, true));
  return new Uint8Array(bytes.buffer);
}

/**
 * Where they go: the tree as on QEMU's board at the last multiple of 2 MiB that leaves a megabyte
 * of RAM behind it, or further down if the program is there; 0 if there is no room.
 */
function placeOf(
  { start, size }: Region,
  length: number,
  { elf, bias }: PlatformContext,
): number {
  // Data is loaded at one address and may be copied to another.
  const taken = elf.segments.flatMap(({ address, physical, size }) =>
    [address, physical].map((first) => {
      return { first: Number(first + bias), end: Number(first + bias + size) };
    })
  );
  const isFree = (at: number) => taken.every(({ first, end }) => at + length <= first || at >= end);
  for (const [align, behind] of [[2 * MIB, MIB], [PAGE_SIZE, length]] as const) {
    const highest = Math.floor((start + size - behind) / align) * align;
    for (let at = highest; at >= start; at -= align) if (isFree(at)) return at;
  }
  return 0;
}
