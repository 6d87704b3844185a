/**
 * The platform of firmware: a board with RAM and devices, and harts that start in M-mode.
 *
 * What a store to a device asks for is done right behind its instruction; a timer comes at an exact
 * one. A trap that no handler can take, because none of its instructions can be fetched, ends the
 * run.
 *
 * A hart finds its number in a0 and the address of the device tree in a1.
 *
 * The devices are files of their own, `virt.ts` is their table, and `board.ts` wires them; what the
 * modes have is `lib/hart/csr.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { Trap } from "../../hart/trap.ts";
import { A0, A1 } from "../../isa/abi.ts";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../../memory/page.ts";
import type { Outcome } from "../outcome.ts";
import type { Platform, PlatformContext } from "../platform.ts";
import { Board } from "./board.ts";
import { deviceTree } from "./device_tree.ts";
import type { Region } from "./device.ts";
import { memoryMapOf } from "./memory_map.ts";
import { signatureText } from "./signature.ts";
import { VIRT } from "./virt.ts";

/**
 * Makes the platform of firmware.
 *
 * @throws {RangeError} If two devices of the board, or one and memory, want the same addresses.
 * @throws {SyntaxError} If the firmware's symbols put a word of a device's where it cannot be.
 */
export function createBare(context: PlatformContext): Platform {
  const { memory, space, symbols, harts, unwinder, options } = context;
  const map = memoryMapOf(options);
  for (const { start, size } of map.all) memory.map(start, size, READ | WRITE | EXECUTE);
  const devices = options.board ?? VIRT;
  const board = new Board(devices, map, context);
  const tree = deviceTree(devices, map, context);
  const treeAt = placeOfTree(map.ram, tree.length, context);
  if (treeAt !== 0) space.poke(BigInt(treeAt), tree);
  const unhandled = (hart: Hart, trap: Trap): Outcome => ({
    kind: "trap",
    trap,
    backtrace: unwinder.backtrace(hart),
  });
  return {
    pid: 1,
    executable: "hart0",
    epoch: 0n,
    commOf: (pid) => harts[pid - 1] && `hart${pid - 1}`,
    start(hart) {
      hart.x[A0] = BigInt(hart.id);
      hart.x[A1] = BigInt(treeAt);
    },
    trap: (hart, trap) => hart.takeTrap(trap) ? undefined : unhandled(hart, trap),
    interrupt(hart) {
      const { pc } = hart;
      if (hart.takeInterrupt()) return undefined;
      return unhandled(hart, { cause: hart.system!.pendingInterrupt()!, value: 0n, pc });
    },
    serveDevices: () => board.serve(),
    awaitedInput: (isLastHope) => board.awaitedInput(isLastHope),
    get inputEnded() {
      return board.inputEnded;
    },
    slept: () => 0n,
    stackIdentity: () => 0,
    signature: () => signatureText(space, symbols),
    [Symbol.dispose]: () => board[Symbol.dispose](),
  };
}

/**
 * Where the device tree goes: as on QEMU's board at the last multiple of 2 MiB that leaves a megabyte
 * of RAM behind it, or further down if the program is there; 0 if there is no room.
 */
function placeOfTree(
  { start, size }: Region,
  length: number,
  { elf, bias }: PlatformContext,
): number {
  const taken = elf.segments.map(({ address, size }) => {
    const first = Number(address + bias);
    return { first, end: first + Number(size) };
  });
  const isFree = (at: number) => taken.every(({ first, end }) => at + length <= first || at >= end);
  for (const [align, behind] of [[2 * MIB, MIB], [PAGE_SIZE, length]] as const) {
    const highest = Math.floor((start + size - behind) / align) * align;
    for (let at = highest; at >= start; at -= align) if (isFree(at)) return at;
  }
  return 0;
}
