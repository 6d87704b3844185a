/**
 * A bare machine: RAM from 0x80000000 on, harts that start in M-mode, a CLINT, a serial port that
 * prints, a test finisher, and the host-target interface (HTIF).
 *
 * A store to `tohost` or the finisher is answered right behind the instruction that made it; the
 * hart asks for attention, and the run loop comes here. A timer is due at an exact instruction: no
 * turn of a hart is longer than until then.
 *
 * What the modes have is `lib/hart/csr.ts`; the run loop is `machine.ts`.
 *
 * @module
 */
import { A0 } from "../../isa/abi.ts";
import type { Hart } from "../../hart/hart.ts";
import type { Trap } from "../../hart/trap.ts";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../../memory/memory.ts";
import { RAM_START } from "./ram.ts";
import { createClint } from "./clint.ts";
import type { Outcome } from "../outcome.ts";
import type { Platform, PlatformContext } from "../platform.ts";

const MIB = 1024 * 1024;
const SYSTEM_WRITE = 64;
const SYSTEM_EXIT = 93;
const EBADF = -9n;
const EFAULT = -14n;
const ENOSYS = -38n;
/** QEMU's sifive_test: where a word ends the machine. */
const FINISHER = 0x100000;
/** QEMU's serial port, of which only the transmitter is there, always ready. */
const SERIAL = 0x10000000;
const LINE_STATUS = 5, READY = 0x60n;
const FINISHER_PASS = 0x5555n, FINISHER_FAIL = 0x3333n;

/** Makes the platform of firmware: a board with RAM and devices. */
export function createBare(
  { memory, symbols, harts, unwinder, options, events, requestService }: PlatformContext,
): Platform {
  const size = (options.ramMib ?? 128) * MIB;
  memory.map(RAM_START, size, READ | WRITE | EXECUTE);
  const address = (name: string) => {
    const found = symbols.named(name)[0];
    return found && Number(found.address);
  };
  const toHost = address("tohost");
  const fromHost = address("fromhost");
  if (toHost !== undefined) checkHostWord("tohost", toHost, size);
  if (fromHost !== undefined) checkHostWord("fromhost", fromHost, size);
  const warned = new Set<number>();
  const page = toHost === undefined ? undefined : Math.floor(toHost / PAGE_SIZE);
  /** What the finisher was told. */
  let finished: Outcome | undefined;
  const clint = createClint(harts, () => {
    events.reschedule();
    requestService();
  });
  events.add(clint);
  memory.attach(clint);
  memory.attach({
    start: FINISHER,
    end: FINISHER + 0x1000,
    read: () => 0n,
    write(_offset, _bytes, value) {
      const status = value & 0xffffn;
      if (status === FINISHER_PASS) finished = { kind: "exit", code: 0 };
      if (status === FINISHER_FAIL) finished = { kind: "exit", code: Number(value >> 16n & 0xffn) };
      requestService();
      return true;
    },
  });
  memory.attach({
    start: SERIAL,
    end: SERIAL + 0x100,
    read: (offset) => offset === LINE_STATUS ? READY : 0n,
    write(offset, _bytes, value) {
      if (offset === 0) print(new Uint8Array([Number(value & 0xffn)]));
      return true;
    },
  });
  const watchHost = () => {
    if (toHost === undefined) return;
    memory.tellStores(page!, (stored) => {
      if (stored > toHost - 8 && stored < toHost + 8) requestService();
    });
  };
  const print = (data: Uint8Array) => options.stdout?.(data);

  const answer = (): Outcome | undefined => {
    if (toHost === undefined) return undefined;
    const command = memory.view.getBigUint64(toHost, true);
    if (command === 0n) return undefined;
    const device = command >> 48n;
    if (device === 0x0101n) {
      print(new Uint8Array([Number(command & 0xffn)]));
      reply(0x0101n << 48n | 1n);
    } else if (device === 0n && (command & 1n) === 1n) {
      return { kind: "exit", code: exitCodeOf(command >> 1n) };
    } else if (device === 0n) {
      const outcome = systemCall(Number(command));
      if (outcome) return outcome;
      reply(1n);
    }
    memory.view.setBigUint64(toHost, 0n, true);
    return undefined;
  };
  const reply = (value: bigint) => {
    if (fromHost !== undefined) memory.view.setBigUint64(fromHost, value, true);
  };

  /** A block of eight words: number, arguments; the result goes into the first. */
  const systemCall = (block: number): Outcome | undefined => {
    if (!memory.allows(BigInt(block), 64, READ | WRITE)) return undefined;
    const word = (k: number) => memory.view.getBigUint64(block + 8 * k, true);
    const number = Number(word(0));
    let result = ENOSYS;
    if (number === SYSTEM_EXIT) return { kind: "exit", code: Number(word(1) & 0xffn) };
    if (number === SYSTEM_WRITE) {
      const data = memory.read(word(2), Number(word(3)));
      const stream = word(1) === 1n ? options.stdout : word(1) === 2n ? options.stderr : undefined;
      if (word(1) !== 1n && word(1) !== 2n) result = EBADF;
      else if (!data) result = EFAULT;
      else {
        stream?.(data);
        result = BigInt(data.length);
      }
    } else if (!warned.has(number)) {
      warned.add(number);
      options.warn?.(
        `system call ${number} is not there on a bare machine (64 write and 93 exit are): ENOSYS`,
      );
    }
    memory.view.setBigInt64(block, result, true);
    return undefined;
  };

  const deliver = (hart: Hart, trap: Trap): Outcome | undefined => {
    // Nothing has changed where no handler can be entered.
    if (hart.takeTrap(trap)) return undefined;
    return { kind: "trap", trap, backtrace: unwinder.backtrace(hart) };
  };

  /** Interrupts come between instructions of the guest's, never inside a trampoline or a site. */
  const interrupt = (hart: Hart): Outcome | undefined => {
    const { pc } = hart;
    if (hart.takeInterrupt()) return undefined;
    const trap = { cause: hart.system!.pendingInterrupt()!, value: 0n, pc };
    return { kind: "trap", trap, backtrace: unwinder.backtrace(hart) };
  };

  return {
    pid: 1,
    executable: "hart0",
    epoch: 0n,
    slept: () => 0n,
    stackIdentity: () => 0,
    commOf: (pid) => harts[pid - 1] && `hart${pid - 1}`,
    start(hart) {
      hart.x[A0] = BigInt(hart.id);
      watchHost();
    },
    trap: deliver,
    interrupt,
    serveDevices: () => finished ?? answer(),
    [Symbol.dispose]() {},
    signature() {
      const begin = address("begin_signature");
      const end = address("end_signature");
      if (begin === undefined || end === undefined || begin > end) return undefined;
      if (!memory.allows(BigInt(begin), end - begin, READ)) return undefined;
      let text = "";
      for (let at = begin; at < end; at += 8) {
        // What a last word has less than 8 bytes is 0.
        const word = new DataView(new ArrayBuffer(8));
        for (let k = 0; k < 8 && at + k < end; k++) word.setUint8(k, memory.view.getUint8(at + k));
        text += word.getBigUint64(0, true).toString(16).padStart(16, "0") + "\n";
      }
      return text;
    },
  };
}

/** An exit code has 8 bits; of a failure's number they must not come to say that it passed. */
function exitCodeOf(number: bigint): number {
  return number !== 0n && (number & 0xffn) === 0n ? 255 : Number(number & 0xffn);
}

/** Refuses a word of the host's that firmware has not in its RAM. */
function checkHostWord(name: string, address: number, ramSize: number): void {
  if (address >= RAM_START && address < RAM_START + ramSize && address % 8 === 0) return;
  throw new SyntaxError(
    `Cannot run firmware: ${name} is at 0x${
      address.toString(16)
    }; it must be a word of 8 bytes, aligned, in RAM from 0x${RAM_START.toString(16)} on`,
  );
}
