/**
 * Programs that are no ELF file: bytes, and the addresses where they belong.
 *
 * @module
 */
import type { Elf, Segment } from "./elf.ts";

/** Bytes and where they are loaded. */
export interface RawImage {
  /** First address of the bytes. */
  readonly address: bigint;
  /** The bytes. */
  readonly data: Uint8Array;
}

/**
 * The program that images are, the first of which begins it unless `entry` says otherwise. With
 * `symbols`, the ELF file that they were made from, functions have names, and call sites are known.
 *
 * @throws {RangeError} If there is no image.
 */
export function imageProgram(
  images: readonly RawImage[],
  { entry, symbols }: { readonly entry?: bigint | undefined; readonly symbols?: Elf | undefined },
): Elf {
  const [first] = images;
  if (!first) throw new RangeError("Cannot make a program of images: there is none");
  return {
    type: "EXEC",
    entry: entry ?? first.address,
    segments: images.map(segmentOf),
    sections: symbols?.sections ?? [],
    symbols: symbols?.symbols ?? [],
    relatives: [],
    programHeaders: { address: 0n, count: 0 },
    stackExecutable: false,
    interpreter: undefined,
    osAbi: 0,
    notes: [],
    tls: undefined,
    bytes: symbols?.bytes ?? new Uint8Array(0),
    nextStage: images[1]?.address,
  };
}

/** A program and images beside it, such as what it is to boot. */
export function withImages(elf: Elf, images: readonly RawImage[], entry = elf.entry): Elf {
  const segments = [...elf.segments, ...images.map(segmentOf)];
  return { ...elf, entry, segments, nextStage: images[0]?.address };
}

function segmentOf({ address, data }: RawImage): Segment {
  return { address, physical: address, offset: 0, data, size: BigInt(data.length), flags: 7 };
}
