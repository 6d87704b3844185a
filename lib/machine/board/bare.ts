/**
 * The platform of firmware: a board with RAM and devices, and harts that start in M-mode.
 *
 * What a store to a device asks for is done right behind its instruction; a timer comes at an exact
 * one. A trap that no handler can take, because none of its instructions can be fetched, or it traps
 * itself for ever, ends the run.
 *
 * A hart finds its number in a0, the address of the device tree in a1, and in a2 what `boot_data.ts`
 * says of the stage after the firmware.
 *
 * The devices are files of their own, `virt.ts` is their table, and `board.ts` wires them; what the
 * modes have is `lib/hart/csr.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { Trap } from "../../hart/trap.ts";
import { A0, A1, A2 } from "../../isa/abi.ts";
import { Cause } from "../../isa/sem.ts";
import { EXECUTE, READ, WRITE } from "../../memory/page.ts";
import type { Outcome } from "../outcome.ts";
import type { Platform, PlatformContext } from "../platform.ts";
import { Board } from "./board.ts";
import { placeBootData } from "./boot_data.ts";
import { memoryMapOf } from "./memory_map.ts";
import { isSemihostingCall, Semihosting } from "./semihosting.ts";
import { signatureText } from "./signature.ts";
import { TrapLoops } from "./trap_loops.ts";
import { VIRT } from "./virt.ts";

const ASKS_ITS_HOST = "the firmware asks its host by semihosting (an ebreak between two shifts), " +
  "which is a plain breakpoint here; --semihosting answers it, --semihosting=user in U-mode, too";

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
  const found = placeBootData(devices, map, context);
  const semihosting = options.semihosting && new Semihosting(context, map.ram);
  const loops = new TrapLoops(harts, devices.devices.flatMap(({ regions }) => regions));
  let asked = false;
  const unhandled = (hart: Hart, trap: Trap, inHandler?: Trap): Outcome => {
    if (asked) options.warn?.(ASKS_ITS_HOST);
    return { kind: "trap", trap, backtrace: unwinder.backtrace(hart), inHandler };
  };
  return {
    pid: 1,
    executable: "hart0",
    epoch: 0n,
    commOf: (pid) => harts[pid - 1] && `hart${pid - 1}`,
    start(hart) {
      hart.x[A0] = BigInt(hart.id);
      hart.x[A1] = BigInt(found.tree);
      hart.x[A2] = BigInt(found.next);
    },
    trap(hart, trap) {
      if (trap.cause === Cause.Breakpoint && isSemihostingCall(hart, trap)) {
        const isServed = hart.mode !== "U" || options.semihosting === "user";
        if (semihosting && isServed) return semihosting.serve(hart);
        asked = true;
      }
      const { first, again } = loops.count(hart, trap);
      if (again) return unhandled(hart, first, trap);
      return hart.takeTrap(trap) ? undefined : unhandled(hart, trap);
    },
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
    [Symbol.dispose]() {
      board[Symbol.dispose]();
      semihosting?.[Symbol.dispose]();
    },
  };
}
