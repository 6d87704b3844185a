/**
 * The platform of firmware: a board with RAM and devices, and harts that start in M-mode.
 *
 * What a store to a device asks for is done right behind its instruction; a timer comes at an exact
 * one. A trap that no handler can take, because none of its instructions can be fetched, ends the
 * run.
 *
 * The devices are files of their own, `virt.ts` is their table, and `board.ts` wires them; what the
 * modes have is `lib/hart/csr.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { Trap } from "../../hart/trap.ts";
import { A0 } from "../../isa/abi.ts";
import { EXECUTE, READ, WRITE } from "../../memory/page.ts";
import type { Outcome } from "../outcome.ts";
import type { Platform, PlatformContext } from "../platform.ts";
import { Board } from "./board.ts";
import { RAM_START } from "./ram.ts";
import { signatureText } from "./signature.ts";
import { VIRT } from "./virt.ts";

const MIB = 1024 * 1024;
const DEFAULT_RAM_MIB = 128;

/**
 * Makes the platform of firmware.
 *
 * @throws {RangeError} If two devices of the board want the same addresses.
 * @throws {SyntaxError} If the firmware's symbols put a word of a device's where it cannot be.
 */
export function createBare(context: PlatformContext): Platform {
  const { memory, space, symbols, harts, unwinder, options } = context;
  const ram = { start: RAM_START, size: (options.ramMib ?? DEFAULT_RAM_MIB) * MIB };
  memory.map(ram.start, ram.size, READ | WRITE | EXECUTE);
  const board = new Board(options.board ?? VIRT, ram, context);
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
    },
    trap: (hart, trap) => hart.takeTrap(trap) ? undefined : unhandled(hart, trap),
    interrupt(hart) {
      const { pc } = hart;
      if (hart.takeInterrupt()) return undefined;
      return unhandled(hart, { cause: hart.system!.pendingInterrupt()!, value: 0n, pc });
    },
    serveDevices: () => board.serve(),
    slept: () => 0n,
    stackIdentity: () => 0,
    signature: () => signatureText(space, symbols),
    [Symbol.dispose]: () => board[Symbol.dispose](),
  };
}
