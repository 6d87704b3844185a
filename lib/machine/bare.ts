/**
 * A bare machine: RAM from 0x80000000 on, one hart in M-mode, and the host-target interface (HTIF).
 *
 * The page of `tohost` is read-only, so that each store to it comes here as a trap, exactly when it
 * happens: the store is carried out by one privileged step and then answered.
 *
 * What M-mode has is `lib/hart/csr.ts`; the run loop is `machine.ts`.
 *
 * @module
 */
import type { Hart } from "../hart/hart.ts";
import type { Trap } from "../hart/trap.ts";
import { Cause } from "../isa/sem.ts";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../memory/memory.ts";
import type { Outcome, Surroundings, SurroundingsContext } from "./machine.ts";

const RAM_START = 0x80000000;
const MIB = 1024 * 1024;
const SYSTEM_WRITE = 64;
const SYSTEM_EXIT = 93;
const EBADF = -9n;
const EFAULT = -14n;
const ENOSYS = -38n;
const A0 = 10;

/** Makes the surroundings of firmware. */
export function createBare(
  { memory, symbols, engine, unwinder, options }: SurroundingsContext,
): Surroundings {
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
  const page = toHost === undefined ? undefined : Math.floor(toHost / PAGE_SIZE) * PAGE_SIZE;
  const guard = () => {
    if (page !== undefined) memory.protect(page, PAGE_SIZE, READ | EXECUTE);
  };
  const print = (data: Uint8Array) => options.stdout?.(data);

  /** Carries out the store that trapped, then answers what it wrote. */
  const storeToHost = (hart: Hart, { bits }: Trap): Outcome | undefined => {
    memory.protect(page!, PAGE_SIZE, READ | WRITE | EXECUTE);
    const stop = bits === undefined ? engine.step(hart) : engine.simulate(hart, bits);
    const outcome = answer(hart);
    guard();
    return outcome ?? (stop?.kind === "trap" ? deliver(hart, stop.trap) : undefined);
  };

  const answer = (hart: Hart): Outcome | undefined => {
    const command = memory.view.getBigUint64(toHost!, true);
    if (command === 0n) return undefined;
    const device = command >> 48n;
    if (device === 0x0101n) {
      print(new Uint8Array([Number(command & 0xffn)]));
      reply(0x0101n << 48n | 1n);
    } else if (device === 0n && (command & 1n) === 1n) {
      return { kind: "exit", code: Number((command >> 1n) & 0xffn) };
    } else if (device === 0n) {
      const outcome = systemCall(hart, Number(command));
      if (outcome) return outcome;
      reply(1n);
    }
    memory.view.setBigUint64(toHost!, 0n, true);
    return undefined;
  };
  const reply = (value: bigint) => {
    if (fromHost !== undefined) memory.view.setBigUint64(fromHost, value, true);
  };

  /** A block of eight words: number, arguments; the result goes into the first. */
  const systemCall = (_hart: Hart, block: number): Outcome | undefined => {
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
    const trace = unwinder.backtrace(hart);
    return hart.takeTrap(trap) ? undefined : { kind: "trap", trap, backtrace: trace };
  };

  return {
    comm: "hart0",
    pid: 1,
    start(hart) {
      hart.x[A0] = BigInt(hart.id);
      guard();
    },
    trap(hart, trap) {
      const { cause, value } = trap;
      const store = cause === Cause.StoreFault && page !== undefined &&
        value >= BigInt(page) && value < BigInt(page + PAGE_SIZE);
      return store ? storeToHost(hart, trap) : deliver(hart, trap);
    },
    signature() {
      const begin = address("begin_signature");
      const end = address("end_signature");
      if (begin === undefined || end === undefined || begin > end) return undefined;
      if (!memory.allows(BigInt(begin), end - begin, READ)) return undefined;
      let text = "";
      for (let at = begin; at + 8 <= end; at += 8) {
        text += memory.view.getBigUint64(at, true).toString(16).padStart(16, "0") + "\n";
      }
      return text;
    },
  };
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
