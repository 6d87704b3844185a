/**
 * The first stack of a Linux process: argument count, arguments, environment, auxiliary vector.
 *
 * Laid out as `create_elf_tables` (fs/binfmt_elf.c) does: strings at the top, then the vectors, with
 * sp at argc, aligned to 16.
 *
 * @module
 */
import { ALL_EXTENSIONS, hwcapOf } from "../../isa/isa_string.ts";
import type { AddressSpace } from "../../memory/space.ts";
import type { Elf } from "../../program/elf.ts";

/** Auxiliary vector entries (`include/uapi/linux/auxvec.h`). */
const AT = {
  phdr: 3n,
  phent: 4n,
  phnum: 5n,
  pagesz: 6n,
  base: 7n,
  flags: 8n,
  entry: 9n,
  uid: 11n,
  euid: 12n,
  gid: 13n,
  egid: 14n,
  hwcap: 16n,
  clktck: 17n,
  secure: 23n,
  random: 25n,
  execfn: 31n,
} as const;
const PROGRAM_HEADER_SIZE = 56n;

/** What the kernel puts on a program's initial stack. */
export interface StackContents {
  /** argv, which begins with the program's name. */
  readonly args: readonly string[];
  /** The environment, each variable as `NAME=VALUE`. */
  readonly env: readonly string[];
  /** The ELF file of the program, for its auxiliary vector. */
  readonly elf: Elf;
  /** The load bias: bytes that the program was moved up by. */
  readonly bias: bigint;
  /** The user ID and group ID, for the auxiliary vector. */
  readonly uid: number;
  /** The 16 bytes of AT_RANDOM. */
  readonly random: Uint8Array;
}

/**
 * Writes the stack that ends at `top` and gives sp.
 *
 * @throws {RangeError} If it does not fit into `room` bytes.
 */
export function buildStack(
  space: AddressSpace,
  top: number,
  room: number,
  contents: StackContents,
): bigint {
  const { args, env, elf, bias, uid, random } = contents;
  let at = top - 8;
  const put = (bytes: Uint8Array): bigint => {
    at -= bytes.length;
    if (at < top - room / 4) {
      throw new RangeError("Cannot start the program: its arguments and environment are too long");
    }
    space.poke(BigInt(at), bytes);
    return BigInt(at);
  };
  const text = (value: string) => put(new TextEncoder().encode(value + "\0"));
  const name = text(args[0] ?? "");
  const environment = env.toReversed().map(text).reverse();
  const argumentPlaces = args.toReversed().map(text).reverse();
  at = Math.floor(at / 16) * 16;
  const randomAt = put(random);
  const vector: readonly (readonly [bigint, bigint])[] = [
    [AT.hwcap, hwcapOf(ALL_EXTENSIONS)],
    [AT.pagesz, 4096n],
    [AT.clktck, 100n],
    [AT.phdr, elf.programHeaders.address + bias],
    [AT.phent, PROGRAM_HEADER_SIZE],
    [AT.phnum, BigInt(elf.programHeaders.count)],
    [AT.base, 0n],
    [AT.flags, 0n],
    [AT.entry, elf.entry + bias],
    [AT.uid, BigInt(uid)],
    [AT.euid, BigInt(uid)],
    [AT.gid, BigInt(uid)],
    [AT.egid, BigInt(uid)],
    [AT.secure, 0n],
    [AT.random, randomAt],
    [AT.execfn, name],
    [0n, 0n],
  ];
  const words = [
    BigInt(args.length),
    ...argumentPlaces,
    0n,
    ...environment,
    0n,
    ...vector.flat(),
  ];
  const start = Math.floor((at - words.length * 8) / 16) * 16;
  space.poke(BigInt(start), new Uint8Array(BigUint64Array.from(words).buffer));
  return BigInt(start);
}
