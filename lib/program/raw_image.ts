/**
 * Programs that are no ELF file: bytes, and the addresses where they belong.
 *
 * @module
 */
import type { Elf, RawImage, Segment } from "./elf.ts";

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

/** A program and images beside it, such as what it is to boot; with `start` it begins there. */
export function withImages(elf: Elf, images: readonly RawImage[], start?: bigint): Elf {
  return { ...elf, images, start, nextStage: images[0]?.address };
}

/** The program with its images among its segments, once it is known that `bias` moves these. */
export function placeImages(elf: Elf, bias: bigint): Elf {
  const { images = [], start } = elf;
  const beside = images.map(({ address, data }) => segmentOf({ address: address - bias, data }));
  return {
    ...elf,
    entry: start === undefined ? elf.entry : start - bias,
    segments: [...elf.segments, ...beside],
    images: [],
    start: undefined,
  };
}

function segmentOf({ address, data }: RawImage): Segment {
  return { address, physical: address, offset: 0, data, size: BigInt(data.length), flags: 7 };
}
