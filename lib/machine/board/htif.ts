/**
 * The host-target interface: firmware asks through the word `tohost` in its RAM and is answered
 * through `fromhost`, as on Spike.
 *
 * Where the words are, the firmware's symbols say. A command is answered right behind the
 * instruction that stored it, so firmware that waits for `tohost` to be 0 again does not wait.
 * Every store to the page of `tohost` is looked at; link it into a page of its own.
 *
 * @module
 */
import { READ, WRITE } from "../../memory/page.ts";
import type { AddressSpace } from "../../memory/space.ts";
import type { Outcome } from "../outcome.ts";
import type { BoardDevice, DeviceContext, DeviceRow } from "./device.ts";

/** Bits 63 to 48 of a command: device 1, function 1 prints a character. Device 0 calls the host. */
const PRINT = 0x0101n, CALL = 0n;
/** System calls of a block, and errnos of those that fail, negative. */
const SYS_WRITE = 64n, SYS_EXIT = 93n;
const EBADF = -9n, EFAULT = -14n, ENOSYS = -38n;
/** A block has eight words: the call's number, then its arguments; the result replaces the number. */
const BLOCK_SIZE = 64, WORD = 8n;

class Htif implements BoardDevice {
  readonly #context: DeviceContext;
  readonly #space: AddressSpace;
  readonly #toHost: bigint;
  readonly #fromHost: bigint | undefined;
  /** Numbers of calls that are not there, of which a line was said. */
  readonly #warned = new Set<bigint>();

  constructor(context: DeviceContext, toHost: number, fromHost: number | undefined) {
    this.#context = context;
    this.#space = context.space;
    this.#toHost = BigInt(toHost);
    this.#fromHost = fromHost === undefined ? undefined : BigInt(fromHost);
    context.watchStores(toHost, () => context.requestService());
  }

  serve(): Outcome | undefined {
    const command = this.#read(this.#toHost);
    if (command === 0n) return undefined;
    const device = command >> 48n;
    if (device === PRINT) {
      this.#context.stdout(new Uint8Array([Number(command & 0xffn)]));
      this.#reply(PRINT << 48n | 1n);
    } else if (device === CALL && (command & 1n) === 1n) {
      return { kind: "exit", code: exitCodeOf(command >> 1n) };
    } else if (device === CALL) {
      const outcome = this.#call(command);
      if (outcome) return outcome;
      this.#reply(1n);
    }
    this.#space.writeWord(this.#toHost, 8, 0n);
    return undefined;
  }

  /** Serves the call whose block is at an address; one that is not in memory is no call. */
  #call(block: bigint): Outcome | undefined {
    if (!this.#space.allows(block, BLOCK_SIZE, READ | WRITE)) return undefined;
    const number = this.#read(block);
    if (number === SYS_EXIT) {
      return { kind: "exit", code: Number(this.#argument(block, 1) & 0xffn) };
    }
    this.#space.writeWord(
      block,
      8,
      number === SYS_WRITE ? this.#write(block) : this.#refuse(number),
    );
    return undefined;
  }

  /** write(stream, address, length): gives how many bytes were taken, or an errno. */
  #write(block: bigint): bigint {
    const stream = this.#argument(block, 1);
    if (stream !== 1n && stream !== 2n) return EBADF;
    const length = Number(this.#argument(block, 3));
    const data = this.#space.read(this.#argument(block, 2), length);
    if (!data) return EFAULT;
    if (stream === 1n) this.#context.stdout(data);
    else this.#context.stderr(data);
    return BigInt(data.length);
  }

  #refuse(number: bigint): bigint {
    if (!this.#warned.has(number)) {
      this.#warned.add(number);
      this.#context.warn(
        `system call ${number} is not there on a bare machine (64 write and 93 exit are): ENOSYS`,
      );
    }
    return ENOSYS;
  }

  #argument(block: bigint, index: number): bigint {
    return this.#read(block + BigInt(index) * WORD);
  }

  /** A word of RAM that is known to be there. */
  #read(address: bigint): bigint {
    return this.#space.readWord(address, 8) ?? 0n;
  }

  #reply(value: bigint): void {
    if (this.#fromHost !== undefined) this.#space.writeWord(this.#fromHost, 8, value);
  }
}

/** An exit code has 8 bits; of a failure's number they must not come to say that it passed. */
function exitCodeOf(number: bigint): number {
  return number !== 0n && (number & 0xffn) === 0n ? 255 : Number(number & 0xffn);
}

/** Where the firmware has a word of the host's, if anywhere. @throws {SyntaxError} If not in RAM. */
function hostWord({ symbols, ram }: DeviceContext, name: string): number | undefined {
  const found = symbols.named(name)[0];
  if (!found) return undefined;
  const address = Number(found.address);
  if (address >= ram.start && address < ram.start + ram.size && address % 8 === 0) return address;
  throw new SyntaxError(
    `Cannot run firmware: ${name} is at 0x${
      address.toString(16)
    }; it must be a word of 8 bytes, aligned, in RAM from 0x${ram.start.toString(16)} on`,
  );
}

/** Answers firmware that has the symbol `tohost`; for any other, there is no such device. */
export const HTIF: DeviceRow = {
  name: "htif",
  compatible: ["ucb,htif0"],
  regions: [],
  interrupts: () => [],
  isPresent: (symbols) => symbols.named("tohost").length > 0,
  create(context) {
    const toHost = hostWord(context, "tohost");
    const fromHost = hostWord(context, "fromhost");
    return new Htif(context, toHost!, fromHost);
  },
};
