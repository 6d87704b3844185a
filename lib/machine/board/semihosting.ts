/**
 * Semihosting: firmware asks its host through an ebreak between two shifts that do nothing.
 *
 * a0 has the operation and a1 the address of its arguments, as ARM's specification has them and
 * RISC-V took them over; answers are QEMU's. Nothing of the host shows through but the files that a
 * Linux process would see, too: time is virtual, and no command is run.
 *
 * Which files these are is `../files/files.ts`.
 *
 * @module
 */
import { HostFailure, hostFiles } from "../../host/files.ts";
import type { Hart } from "../../hart/hart.ts";
import type { Trap } from "../../hart/trap.ts";
import { A0, A1 } from "../../isa/abi.ts";
import { PAGE_SIZE, WRITE } from "../../memory/page.ts";
import { BILLION, EPOCH } from "../calendar.ts";
import { E2BIG, EACCES, EBADF, EFAULT, EINVAL, ENOSYS, EPERM } from "../files/errno.ts";
import { errnoOf, Files, type OpenFile } from "../files/files.ts";
import type { Outcome } from "../outcome.ts";
import type { PlatformContext } from "../platform.ts";
import { randomBytes } from "../random.ts";
import type { Region } from "./device.ts";

/** `slli x0, x0, 0x1f; ebreak; srai x0, x0, 7`. */
const SEQUENCE = [0x01f01013, 0x00100073, 0x40705013] as const;
/** Opening flags by mode: r, r+, w, w+, a, a+, each also as binary (asm-generic/fcntl.h). */
const OPEN_FLAGS = [0o0, 0o2, 0o1101, 0o1102, 0o2101, 0o2102] as const;
/** What `:semihosting-features` holds: exits have a code, and `:tt` opens stderr, too. */
const FEATURES = Uint8Array.of(0x53, 0x48, 0x46, 0x42, 3);
const WORD = 8n;
/** ADP_Stopped_ApplicationExit: the guest ended itself. */
const APPLICATION_EXIT = 0x20026n;
/** What a0 holds after an operation without an answer. */
const NO_ANSWER = 0xdeadbeefn;
const MOST_TEXT = 4096;

/** Whether a breakpoint trap is a call: the sequence around it lies in one page. */
export function isSemihostingCall(hart: Hart, { pc }: Trap): boolean {
  const start = pc - 4n;
  if (Number(start % BigInt(PAGE_SIZE)) > PAGE_SIZE - 12) return false;
  const bytes = hart.space.peek(start, 12);
  if (!bytes) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return SEQUENCE.every((word, k) => view.getUint32(4 * k, true) === word);
}

/** An answer for a0, or an errno that makes it −1. */
type Answer = bigint | { readonly errno: number };
type Served = Answer | Outcome | Promise<Answer>;
/** One operation: its arguments are read by number. */
type Operation = (call: Call) => Served;

const fails = (errno: number): Answer => ({ errno });
/** What a call of `Files` gives: a number, or a negated errno. */
const answerOf = (result: number): Answer => result < 0 ? fails(-result) : BigInt(result);
/** 0, or why not. */
const done = (result: undefined | HostFailure): Answer =>
  result instanceof HostFailure ? fails(errnoOf(result)) : 0n;

/** Thrown where the arguments of a call are not what they must be; the call fails with `errno`. */
class BadArgument extends Error {
  readonly errno: number;

  constructor(errno: number) {
    super();
    this.errno = errno;
  }
}

/** A call of a hart's: where its arguments are, and the memory they are in. */
class Call {
  readonly hart: Hart;
  /** a1: the arguments' address; of some operations the argument itself. */
  readonly block: bigint;

  constructor(hart: Hart) {
    this.hart = hart;
    this.block = BigInt.asUintN(64, hart.x[A1]!);
  }

  /** Argument `k`, unsigned. @throws {BadArgument} If it is not in memory. */
  word(k: number): bigint {
    const bytes = this.bytes(this.block + BigInt(k) * WORD, 8);
    return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  }

  /** Argument `k` as a number. */
  number(k: number): number {
    return Number(BigInt.asIntN(64, this.word(k)));
  }

  /** Bytes that the caller may read. @throws {BadArgument} If it may not. */
  bytes(address: bigint, length: number): Uint8Array {
    const bytes = this.tryBytes(address, length);
    if (!bytes) throw new BadArgument(EFAULT);
    return bytes;
  }

  /** Bytes that the caller may read, or undefined. */
  tryBytes(address: bigint, length: number): Uint8Array | undefined {
    return length >= 0 && length < 2 ** 32 ? this.hart.space.read(address, length) : undefined;
  }

  /** Whether the caller may write there. */
  hasRoom(address: bigint, length: number): boolean {
    return length >= 0 && length < 2 ** 32 && this.hart.space.allows(address, length, WRITE);
  }

  /** The text at argument `k`. */
  text(k: number): string {
    return this.textAt(this.word(k));
  }

  /** The name at argument `k`. @throws {BadArgument} If its length is not argument `lengthAt`. */
  name(k: number, lengthAt = k + 1): string {
    const [start, length] = [this.word(k), this.word(lengthAt)];
    const name = this.textAt(start);
    const [end] = this.bytes(start + length, 1);
    if (end !== 0) throw new BadArgument(EINVAL);
    return name;
  }

  /** The text at an address, up to its zero byte. @throws {BadArgument} If it does not end. */
  textAt(address: bigint): string {
    const found: number[] = [];
    for (let at = address; found.length < MOST_TEXT; at++) {
      const [byte] = this.bytes(at, 1);
      if (byte === 0) return new TextDecoder().decode(new Uint8Array(found));
      found.push(byte!);
    }
    throw new BadArgument(EFAULT);
  }

  /** Writes where the caller may. @throws {BadArgument} If it may not. */
  put(address: bigint, bytes: Uint8Array): void {
    if (!this.hart.space.write(address, bytes)) throw new BadArgument(EFAULT);
  }

  /** Writes words to memory. */
  putWords(address: bigint, ...words: readonly bigint[]): void {
    this.put(address, new Uint8Array(BigUint64Array.from(words).buffer));
  }
}

/** The host's end of the calls of one machine's harts. */
export class Semihosting {
  readonly #context: PlatformContext;
  readonly #ram: Region;
  readonly #files: Files;
  /** How far each handle of the features has been read. */
  readonly #features = new Map<number, number>();
  #errno = 0;
  readonly #said = new Set<string>();

  /** Opens what the options show. @throws {RangeError} If that is not there. */
  constructor(context: PlatformContext, ram: Region) {
    this.#context = context;
    this.#ram = ram;
    const { root, allow, seed = 0n } = context.options;
    const warn = (line: string) => this.#warnOnce(line);
    this.#files = new Files(hostFiles(), { root, allow, warn, random: randomBytes(seed) });
  }

  /** Closes the guest's files. */
  [Symbol.dispose](): void {
    this.#files.closeAll();
  }

  /** Serves the call at the hart's ebreak; the hart goes on behind it. */
  serve(hart: Hart): Outcome | undefined | Promise<undefined> {
    const number = Number(BigInt.asUintN(32, hart.x[A0]!));
    hart.instret += 1n;
    hart.pc += 4n;
    const served = this.#attempt(hart, number);
    if (served instanceof Promise) return served.then((answer) => this.#answer(hart, answer));
    if (typeof served === "object" && "kind" in served) return served;
    this.#answer(hart, served);
    return undefined;
  }

  #attempt(hart: Hart, number: number): Served {
    const operation = this.#operations[number];
    if (!operation) {
      this.#warnOnce(`semihosting has no operation 0x${number.toString(16)}: ENOSYS`);
      return fails(ENOSYS);
    }
    try {
      return operation(new Call(hart));
    } catch (error) {
      if (error instanceof BadArgument) return fails(error.errno);
      throw error;
    }
  }

  #answer(hart: Hart, answer: Answer): undefined {
    if (typeof answer === "object") this.#errno = answer.errno;
    hart.x[A0] = BigInt.asIntN(64, typeof answer === "object" ? -1n : answer);
  }

  #warnOnce(line: string): void {
    if (this.#said.has(line)) return;
    this.#said.add(line);
    this.#context.options.warn?.(line);
  }

  /** Operations by number, in the specification's order. */
  readonly #operations: Readonly<Record<number, Operation>> = {
    0x01: (call) => this.#open(call),
    0x02: (call) => {
      this.#features.delete(call.number(0));
      return answerOf(this.#files.close(call.number(0)));
    },
    0x03: (call) => this.#print(call.bytes(call.block, 1)),
    0x04: (call) => this.#print(new TextEncoder().encode(call.textAt(call.block))),
    0x05: (call) => this.#write(call),
    0x06: (call) => this.#read(call),
    0x07: () => this.#input(1).then((data) => data.length === 0 ? fails(EINVAL) : BigInt(data[0]!)),
    0x08: (call) => call.number(0) < 0 ? 1n : 0n,
    // No handle is a terminal: what the guest prints must not depend on who looks.
    0x09: (call) => this.#isOpen(call.number(0)) ? 0n : fails(EBADF),
    0x0a: (call) => this.#seek(call.number(0), call.number(1)),
    0x0c: (call) => this.#length(call.number(0)),
    0x0d: (call) => this.#temporaryName(call),
    0x0e: (call) => this.#remove(call.name(0)),
    0x0f: (call) => this.#rename(call.name(0), call.name(2)),
    0x10: ({ hart }) => hart.now() / (BILLION / 100n),
    0x11: ({ hart }) => (EPOCH + hart.now()) / BILLION,
    0x12: (call) => {
      this.#warnOnce(`the guest may not run ${call.text(0)} on the host (SYS_SYSTEM): EPERM`);
      return fails(EPERM);
    },
    0x13: () => BigInt(this.#errno),
    0x15: (call) => this.#commandLine(call),
    0x16: (call) => {
      const [start, end] = this.#heap();
      call.putWords(call.word(0), start, end, end, start);
      return 0n;
    },
    0x17: () => 0n,
    0x18: (call) => exit(call),
    0x20: (call) => exit(call),
    0x30: (call) => {
      call.putWords(call.block, call.hart.now());
      return 0n;
    },
    0x31: () => BILLION,
  };

  #open(call: Call): Answer {
    const name = call.text(0), mode = call.number(1);
    const flags = OPEN_FLAGS[mode >> 1];
    if (mode < 0 || flags === undefined) return fails(EINVAL);
    if (name === ":tt") return answerOf(this.#files.duplicate(mode < 4 ? 0 : mode < 8 ? 1 : 2, 3));
    if (name !== ":semihosting-features") {
      return answerOf(this.#files.open(call.name(0, 2), flags, 0o644));
    }
    if (mode > 1) return fails(EACCES);
    // The handle is one of standard input's that is never asked.
    const handle = this.#files.duplicate(0, 3);
    if (handle > 0) this.#features.set(handle, 0);
    return answerOf(handle);
  }

  #isOpen(handle: number): OpenFile | undefined {
    return this.#files.get(handle);
  }

  #print(data: Uint8Array): Answer {
    this.#context.options.stdout?.(data);
    return NO_ANSWER;
  }

  /** Gives how many bytes were not written. */
  #write(call: Call): Answer {
    const [handle, length] = [call.number(0), call.number(2)];
    const open = this.#features.has(handle) ? undefined : this.#files.get(handle);
    if (!open) return this.#notMoved(EBADF, length);
    const data = call.tryBytes(call.word(1), length);
    if (!data) return this.#notMoved(EFAULT, length);
    if (open.kind === "stdout" || open.kind === "stderr") {
      this.#context.options[open.kind]?.(data);
      return 0n;
    }
    const count = this.#files.write(open, data);
    return count < 0 ? this.#notMoved(-count, length) : BigInt(length - count);
  }

  /** Gives how many bytes were not read: all at the end of the file. */
  #read(call: Call): Answer | Promise<Answer> {
    const [handle, length] = [call.number(0), call.number(2)];
    const address = call.word(1);
    const take = (data: Uint8Array): Answer => {
      call.put(address, data);
      return BigInt(length - data.length);
    };
    const at = this.#features.get(handle), open = this.#files.get(handle);
    if (!open) return this.#notMoved(EBADF, length);
    if (!call.hasRoom(address, length)) return this.#notMoved(EFAULT, length);
    if (at !== undefined) {
      const data = FEATURES.slice(at, at + length);
      this.#features.set(handle, at + data.length);
      return take(data);
    }
    if (open.kind === "stdin") return this.#input(length).then(take);
    const data = new Uint8Array(length);
    const count = this.#files.read(open, data);
    return count < 0 ? this.#notMoved(-count, length) : take(data.subarray(0, count));
  }

  /** Nothing was read or written: an answer that is the whole length, and an errno. */
  #notMoved(errno: number, length: number): Answer {
    this.#errno = errno;
    return BigInt(length);
  }

  async #input(length: number): Promise<Uint8Array> {
    return await this.#context.options.stdin?.(length) ?? new Uint8Array(0);
  }

  #seek(handle: number, offset: number): Answer {
    if (this.#features.has(handle)) {
      if (offset < 0 || offset > FEATURES.length) return fails(EINVAL);
      this.#features.set(handle, offset);
      return 0n;
    }
    const result = this.#files.seek(handle, offset, 0);
    return result < 0 ? fails(-result) : 0n;
  }

  #length(handle: number): Answer {
    if (this.#features.has(handle)) return BigInt(FEATURES.length);
    const open = this.#files.get(handle);
    if (!open) return fails(EBADF);
    const stat = this.#files.statOf(open);
    return typeof stat === "number" ? fails(-stat) : BigInt(stat?.size ?? 0);
  }

  #temporaryName(call: Call): Answer {
    const number = (call.number(1) & 0xff).toString(16).padStart(2, "0");
    const name = new TextEncoder().encode(`/tmp/hartrace-${number}\0`);
    if (name.length > call.number(2)) return fails(EINVAL);
    call.put(call.word(0), name);
    return 0n;
  }

  #remove(name: string): Answer {
    const place = this.#files.existing(name, false);
    if (typeof place === "number") return fails(-place);
    return done(this.#files.host.remove(place));
  }

  #rename(name: string, to: string): Answer {
    const from = this.#files.existing(name, false);
    if (typeof from === "number") return fails(-from);
    const place = this.#files.name(to);
    return typeof place === "number" ? fails(-place) : done(this.#files.host.rename(from, place));
  }

  /** Puts the program's name and arguments, with spaces between, where the guest has room. */
  #commandLine(call: Call): Answer {
    const { name = "program", args = [] } = this.#context.options;
    const text = new TextEncoder().encode(`${[name, ...args].join(" ")}\0`);
    if (BigInt(text.length) > call.word(1)) return fails(E2BIG);
    call.put(call.word(0), text);
    call.putWords(call.block + WORD, BigInt(text.length - 1));
    return 0n;
  }

  /** The largest stretch of RAM that the program's file leaves free. */
  #heap(): readonly [start: bigint, end: bigint] {
    const { elf, bias } = this.#context;
    const end = BigInt(this.#ram.start + this.#ram.size);
    const ranges = elf.segments.map(({ physical, size }) => [physical + bias, size] as const)
      .sort(([a], [b]) => a < b ? -1 : 1);
    let best: readonly [bigint, bigint] = [0n, 0n];
    let free = BigInt(this.#ram.start);
    for (const [start, size] of [...ranges, [end, 0n] as const]) {
      if (start <= end && start - free > best[1] - best[0]) best = [free, start];
      if (start + size > free) free = start + size;
    }
    return best;
  }
}

/** Ends the run with the guest's code, or 1 if it says that something went wrong. */
function exit(call: Call): Outcome {
  const code = call.word(0) === APPLICATION_EXIT ? Number(call.word(1) & 0xffn) : 1;
  return { kind: "exit", code };
}
