/**
 * What a tracer wants to know of the guest besides the call at hand: the time, a name for an
 * address, a string behind a pointer, errno; and a random number that is the same each run.
 *
 * Saved registers are `FtraceRegs`; memory itself is `ftrace.machine.space`, or a hart's own.
 *
 * @module
 */
import type { Hart } from "../hart/hart.ts";
import * as errnoNumbers from "../machine/files/errno.ts";
import type { Machine } from "../machine/machine.ts";
import { randomWords } from "../machine/random.ts";

/** What a tracer can ask of the guest (`ftrace.guest`). */
export interface GuestView {
  /** The hart whose call is being served. */
  readonly currentHart: Hart;
  /** That hart's virtual time in nanoseconds. */
  now(): bigint;
  /** `name+0x9a/0x2f6` for an address in a symbol of known size, else as much as is known of it. */
  symbolText(address: bigint): string;
  /**
   * The string at `address`, up to its 0 byte or `most` bytes; undefined where the guest may not
   * read. Bytes that are no UTF-8 come out as U+FFFD.
   */
  readString(address: bigint, most?: number): string | undefined;
  /**
   * `errno` of the guest's C library in the task that runs; undefined where there is none. Setting
   * it there does nothing.
   */
  errno: number | undefined;
  /** A number from 0 up to 1, from the machine's seed. */
  random(): number;
}

/** Numbers of errors by name, as `ENOMEM: 12`: Linux's, whatever the host. */
export const ERRNO: Readonly<Record<string, number>> = { ...errnoNumbers };

const TP = 4;
/** Makes the view of a machine's guest. */
export function createGuestView(machine: Machine): GuestView {
  const { symbols, elf } = machine;
  const word = randomWords(machine.seed);
  // A thread-local symbol's value is its offset from tp (RISC-V ELF psABI, TLS local exec).
  const errnoOffset = elf.symbols.find(({ name, type }) => name === "errno" && type === "tls")
    ?.address;
  const errnoAddress = (): bigint | undefined =>
    errnoOffset === undefined
      ? symbols.named("errno").find(({ type }) => type === "object")?.address
      : view.currentHart.x[TP]! + errnoOffset;
  const view: GuestView = {
    get currentHart() {
      return machine.runningHart;
    },
    now: () => view.currentHart.now(),
    symbolText(address) {
      const found = symbols.at(address);
      if (!found) return `0x${address.toString(16)}`;
      const { symbol, offset } = found;
      const size = symbol.size > 0n ? `/0x${symbol.size.toString(16)}` : "";
      return `${symbol.name}+0x${offset.toString(16)}${size}`;
    },
    readString(address, most = 256) {
      const bytes = view.currentHart.space.readString(address, most);
      return bytes && new TextDecoder().decode(bytes);
    },
    get errno() {
      const address = errnoAddress();
      const word = address === undefined ? undefined : view.currentHart.space.readWord(address, 4);
      return word === undefined ? undefined : Number(BigInt.asIntN(32, word));
    },
    set errno(value) {
      const address = errnoAddress();
      if (address !== undefined && value !== undefined) {
        view.currentHart.space.writeWord(address, 4, BigInt(value));
      }
    },
    random: () => Number(word() >> 11n) / 2 ** 53,
  };
  return view;
}
