/**
 * What a file is that is no program to run, told by its first bytes, and what to do with it.
 *
 * @module
 */

const LATER = "kernels come with a later version; firmware and static Linux programs run";

/** Texts by where they stand in a file, the most exact first. */
const SIGNS: readonly (readonly [at: number, sign: string, what: string])[] = [
  [0x38, "RSC\x05", `it is a Linux kernel for RISC-V (Image): ${LATER}`],
  [0x30, "RISCV\0\0\0", `it is a Linux kernel for RISC-V (Image): ${LATER}`],
  [0x38, "ARMd", "it is a Linux kernel for arm64"],
  [0x202, "HdrS", "it is a Linux kernel for x86 (bzImage)"],
  [4, "zimg", `it is a compressed Linux kernel (EFI zboot): ${LATER}`],
  [0, "MZ", "it is an EFI or Windows program (PE); name a RISC-V ELF"],
  [0, "\x1f\x8b", `it is compressed (gzip), perhaps a kernel's Image.gz; unpack it; ${LATER}`],
  [0, "\xfd7zXZ", "it is compressed (xz); unpack it first"],
  [0, "\x28\xb5\x2f\xfd", "it is compressed (zstd); unpack it first"],
  [0, "\xd0\x0d\xfe\xed", "it is a device tree or a FIT image; name firmware's ELF"],
  [0, "\x27\x05\x19\x56", "it is a uImage; name firmware's ELF, or load what is in it"],
  [0, "!<arch>\n", "it is an archive of objects; link it into a program first"],
];

/** What a file is that is no ELF, if it can be told; undefined for an ELF file and for raw bytes. */
export function foreignFile(bytes: Uint8Array): string | undefined {
  return SIGNS.find(([at, sign]) => [...sign].every((c, k) => bytes[at + k] === c.charCodeAt(0)))
    ?.[2];
}

/** Whether bytes may be a raw image: they are some, and neither ELF nor a script. */
export function isRaw(bytes: Uint8Array): boolean {
  const [first, second] = bytes;
  const isElf = first === 0x7f && second === 0x45;
  return bytes.length > 0 && !isElf && !(first === 0x23 && second === 0x21);
}
