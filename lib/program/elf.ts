/**
 * Reading ELF files: 64-bit little-endian RISC-V programs, fixed (EXEC) or position-independent.
 *
 * How fields are read, and what is refused, is `elf_reader.ts`. Objects that are not linked yet are
 * `object_file.ts`.
 * Symbols by address are `symbols.ts`; call sites are `sites.ts`; loading is `machine.ts`.
 *
 * @module
 */
import {
  checkIdentification,
  createNames,
  createReader,
  type Reader,
  refuse,
} from "./elf_reader.ts";

/** A part of the file that is mapped (PT_LOAD). */
export interface Segment {
  /** Address of the segment in the file, before a load bias. */
  readonly address: bigint;
  /** Where firmware's loader puts its bytes (p_paddr); startup code copies them to `address`. */
  readonly physical: bigint;
  /** Where its bytes lie in the file. */
  readonly offset: number;
  /** The segment's bytes in the file; what memory has beyond them is zero. */
  readonly data: Uint8Array;
  /** Bytes that the segment takes in memory. */
  readonly size: bigint;
  /** The segment's permissions: PF_X 1, PF_W 2, PF_R 4. */
  readonly flags: number;
}

/** A section of the file, as its header describes it. */
export interface Section {
  /** Name of the section, such as `.text`. */
  readonly name: string;
  /** Type of the section: `SHT_*`. */
  readonly type: number;
  /** Flags of the section: `SHF_*`, of which EXECINSTR is 4. */
  readonly flags: bigint;
  /** Address of the section, 0 if it is not loaded. */
  readonly address: bigint;
  /** Where the section's bytes lie in the file. */
  readonly offset: number;
  /** Bytes of the section. */
  readonly size: number;
  /** `sh_link`: index of a section that belongs to this one, such as its string table. */
  readonly link: number;
}

/** A symbol of a program: a name for an address. */
export interface ElfSymbol {
  /** Name of the symbol; symbols without a name are left out. */
  readonly name: string;
  /** Address, before a bias; of a thread-local symbol its offset in the image. */
  readonly address: bigint;
  /** Size of the symbol in bytes; 0 if unknown. */
  readonly size: bigint;
  /** Type of the symbol: `STT_*` in words. */
  readonly type: "notype" | "object" | "func" | "tls" | "other";
  /** Binding of the symbol: `STB_*` in words. */
  readonly binding: "local" | "global" | "weak" | "other";
  /** The name as the file has it, where `name` is what people write instead. */
  readonly mangled?: string;
  /** `name` with the parameters that tell overloads apart, where the file has a mangled one. */
  readonly signature?: string;
}

/** A program as its file has it, before it is loaded. */
export interface Elf {
  /** EXEC is loaded at the file's own addresses; DYN may be moved by a bias. */
  readonly type: "EXEC" | "DYN";
  /** Address of the first instruction. */
  readonly entry: bigint;
  /** The segments that are mapped, in the file's order. */
  readonly segments: readonly Segment[];
  /** Sections, none if the file was stripped of them. */
  readonly sections: readonly Section[];
  /** The symbols of `.symtab`, or else of `.dynsym`. */
  readonly symbols: readonly ElfSymbol[];
  /** R_RISCV_RELATIVE relocations: where, and the addend that belongs there. */
  readonly relatives: readonly { readonly address: bigint; readonly addend: bigint }[];
  /** Address of the program headers in memory, and how many. */
  readonly programHeaders: { readonly address: bigint; readonly count: number };
  /** Whether PT_GNU_STACK asks for an executable stack. */
  readonly stackExecutable: boolean;
  /** The dynamic loader it wants, if any. */
  readonly interpreter: string | undefined;
  /** EI_OSABI: 0 says nothing, 3 is GNU/Linux. */
  readonly osAbi: number;
  /** The owner and type of each note (PT_NOTE). */
  readonly notes: readonly { readonly owner: string; readonly type: number }[];
  /** Address of the thread-local image and its size in memory, if any. */
  readonly tls: { readonly address: bigint; readonly size: bigint } | undefined;
  /** All bytes of the file. */
  readonly bytes: Uint8Array;
  /** Images that are loaded beside the program, at addresses that no bias moves. */
  readonly images?: readonly RawImage[] | undefined;
  /** Where it begins instead of at {@linkcode Elf.entry}, if anywhere; no bias moves it. */
  readonly start?: bigint | undefined;
  /** Where the first image beside the program is loaded, which firmware may boot. */
  readonly nextStage?: bigint | undefined;
}

/** Bytes and where they are loaded. */
export interface RawImage {
  /** First address of the bytes. */
  readonly address: bigint;
  /** The bytes. */
  readonly data: Uint8Array;
}

const PT_LOAD = 1;
const PT_INTERP = 3;
const PT_NOTE = 4;
const PT_TLS = 7;
const PT_GNU_STACK = 0x6474e551;
const SHT_SYMTAB = 2;
const SHT_RELA = 4;
const SHT_NOBITS = 8;
const SHT_DYNSYM = 11;
const R_RISCV_RELATIVE = 3;
const PROGRAM_HEADER_SIZE = 56;
const SECTION_HEADER_SIZE = 64;
const SYMBOL_SIZE = 24;
const RELA_SIZE = 24;
const ADDRESS_LIMIT = 1n << 32n;
/** Where kernels are linked to: the last 2 GiB of addresses. */
const KERNEL_START = 0xffffffff_80000000n;

/** What lies at an address that no guest has, and what to do. */
function beyondText(address: bigint): string {
  if (address >= KERNEL_START) {
    return ", as in a Linux kernel (vmlinux): kernels come with a later version";
  }
  if (address < ADDRESS_LIMIT) return "";
  return ", where a guest's addresses end: link it lower, as with -Wl,-Ttext-segment=0x10000";
}

/** Reads a program. @throws {SyntaxError} Naming the field at fault and its offset in the file. */
export function parseElf(bytes: Uint8Array): Elf {
  const reader = createReader(bytes);
  checkIdentification(bytes, reader);
  const type = reader.u16("e_type", 16);
  if (type !== 2 && type !== 3) {
    const kinds: Record<number, string> = {
      1: "a relocatable object: link it first, or give it to --livepatch",
      4: "a core dump",
    };
    refuse("e_type", 16, `${type} is ${kinds[type] ?? "no program"}`);
  }
  const programOffset = reader.offset("e_phoff", 32);
  const count = reader.u16("e_phnum", 56);
  if (count === 0) refuse("e_phnum", 56, "0: there is nothing to load");
  const entrySize = reader.u16("e_phentsize", 54);
  if (entrySize !== PROGRAM_HEADER_SIZE) refuse("e_phentsize", 54, `${entrySize}: it must be 56`);
  reader.span("e_phoff", 32, programOffset, count * PROGRAM_HEADER_SIZE);
  const segments: Segment[] = [];
  let stackExecutable = false;
  let interpreter: Uint8Array | undefined;
  let tls: Elf["tls"];
  const notes: Elf["notes"][number][] = [];
  let headerAddress = 0n;
  for (let k = 0; k < count; k++) {
    const at = programOffset + k * PROGRAM_HEADER_SIZE;
    const kind = reader.u32("p_type", at);
    const flags = reader.u32("p_flags", at + 4);
    if (kind === PT_GNU_STACK) stackExecutable = (flags & 1) !== 0;
    if (kind !== PT_LOAD && kind !== PT_INTERP && kind !== PT_TLS && kind !== PT_NOTE) continue;
    const offset = reader.offset("p_offset", at + 8);
    const address = reader.u64("p_vaddr", at + 16);
    const physical = reader.u64("p_paddr", at + 24);
    const fileSize = reader.offset("p_filesz", at + 32);
    const size = reader.u64("p_memsz", at + 40);
    reader.span("p_filesz", at + 32, offset, fileSize);
    const data = bytes.subarray(offset, offset + fileSize);
    if (kind === PT_INTERP) interpreter = data;
    else if (kind === PT_NOTE) notes.push(...readNotes(data));
    else if (kind === PT_TLS) tls = { address, size };
    else {
      if (size < BigInt(fileSize)) refuse("p_memsz", at + 40, "less than p_filesz");
      if (address >= ADDRESS_LIMIT || size > ADDRESS_LIMIT || address + size > ADDRESS_LIMIT) {
        refuse(
          "p_vaddr",
          at + 16,
          `0x${address.toString(16)} + 0x${size.toString(16)} lies beyond 4 GiB${
            beyondText(address)
          }`,
        );
      }
      segments.push({ address, physical, offset, data, size, flags });
      if (offset <= programOffset && programOffset < offset + fileSize) {
        headerAddress = address + BigInt(programOffset - offset);
      }
    }
  }
  if (segments.length === 0) refuse("e_phnum", 56, `none of ${count} program headers is PT_LOAD`);
  const entry = reader.u64("e_entry", 24);
  const sections = readSections(reader, bytes);
  return {
    type: type === 2 ? "EXEC" : "DYN",
    entry,
    segments,
    sections,
    symbols: readSymbols(reader, bytes, sections),
    relatives: readRelatives(reader, sections),
    programHeaders: { address: headerAddress, count },
    stackExecutable,
    interpreter: interpreter && createNames(interpreter, "p_type", programOffset)(0),
    osAbi: bytes[7]!,
    notes,
    tls,
    bytes,
  };
}

/** The notes of a segment; what is damaged ends them, as nothing depends on a note. */
function readNotes(data: Uint8Array): Elf["notes"][number][] {
  const notes: Elf["notes"][number][] = [];
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const padded = (length: number) => Math.ceil(length / 4) * 4;
  for (let at = 0; at + 12 <= data.length;) {
    const length = view.getUint32(at, true), size = view.getUint32(at + 4, true);
    if (length === 0 || at + 12 + length > data.length) break;
    const owner = new TextDecoder().decode(data.subarray(at + 12, at + 11 + length));
    notes.push({ owner, type: view.getUint32(at + 8, true) });
    at += 12 + padded(length) + padded(size);
  }
  return notes;
}

function readSections(reader: Reader, bytes: Uint8Array): Section[] {
  const count = reader.u16("e_shnum", 60);
  if (count === 0) return [];
  const start = reader.offset("e_shoff", 40);
  const entrySize = reader.u16("e_shentsize", 58);
  if (entrySize !== SECTION_HEADER_SIZE) refuse("e_shentsize", 58, `${entrySize}: it must be 64`);
  reader.span("e_shoff", 40, start, count * SECTION_HEADER_SIZE);
  let total = 0;
  const drafts = Array.from({ length: count }, (_, k) => {
    const at = start + k * SECTION_HEADER_SIZE;
    const type = reader.u32("sh_type", at + 4);
    const inFile = type !== SHT_NOBITS && type !== 0;
    const offset = inFile ? reader.offset("sh_offset", at + 24) : 0;
    const size = inFile ? reader.offset("sh_size", at + 32) : 0;
    reader.span("sh_size", at + 32, offset, size);
    // No byte is in two sections, so that reading them all is no more work than the file is long.
    total += size;
    if (total > bytes.length) {
      refuse("sh_size", at + 32, `sections overlap: the first ${k + 1} have ${total} bytes in all`);
    }
    const address = reader.u64("sh_addr", at + 16);
    return {
      nameOffset: reader.u32("sh_name", at),
      type,
      flags: reader.u64("sh_flags", at + 8),
      address,
      offset,
      size,
      link: reader.u32("sh_link", at + 40),
    };
  });
  const names = drafts[reader.u16("e_shstrndx", 62)];
  if (!names) refuse("e_shstrndx", 62, "there is no such section");
  const nameAt = createNames(contentOf(bytes, names), "sh_name", start);
  return drafts.map(({ nameOffset, ...section }) => ({ ...section, name: nameAt(nameOffset) }));
}

function contentOf(bytes: Uint8Array, { offset, size }: { offset: number; size: number }) {
  return bytes.subarray(offset, offset + size);
}

const TYPES: Readonly<Record<number, ElfSymbol["type"]>> = {
  0: "notype",
  1: "object",
  2: "func",
  6: "tls",
};
const BINDINGS: readonly ElfSymbol["binding"][] = ["local", "global", "weak"];

function readSymbols(reader: Reader, bytes: Uint8Array, sections: readonly Section[]): ElfSymbol[] {
  const table = sections.find(({ type }) => type === SHT_SYMTAB) ??
    sections.find(({ type }) => type === SHT_DYNSYM);
  if (!table) return [];
  const names = sections[table.link];
  if (!names) {
    const header = reader.offset("e_shoff", 40) + sections.indexOf(table) * SECTION_HEADER_SIZE;
    refuse(
      "sh_link",
      header + 40,
      `the symbol table names string table ${table.link}, and there is none`,
    );
  }
  const nameAt = createNames(contentOf(bytes, names), "st_name", table.offset);
  const symbols: ElfSymbol[] = [];
  for (let at = table.offset; at + SYMBOL_SIZE <= table.offset + table.size; at += SYMBOL_SIZE) {
    const info = bytes[at + 4]!;
    const section = reader.u16("st_shndx", at + 6);
    const type = TYPES[info & 15] ?? "other";
    // Sections, files and undefined symbols name no place in the program.
    if (type === "other" || section === 0) continue;
    const name = nameAt(reader.u32("st_name", at));
    if (name === "") continue;
    symbols.push({
      name,
      address: reader.u64("st_value", at + 8),
      size: reader.u64("st_size", at + 16),
      type,
      binding: BINDINGS[info >> 4] ?? "other",
    });
  }
  return symbols;
}

function readRelatives(
  reader: Reader,
  sections: readonly Section[],
): { address: bigint; addend: bigint }[] {
  const relatives: { address: bigint; addend: bigint }[] = [];
  for (const { type, offset, size, address } of sections) {
    if (type !== SHT_RELA || address === 0n) continue;
    for (let at = offset; at + RELA_SIZE <= offset + size; at += RELA_SIZE) {
      if (reader.u32("r_info", at + 8) !== R_RISCV_RELATIVE) continue;
      relatives.push({
        address: reader.u64("r_offset", at),
        addend: reader.u64("r_addend", at + 16),
      });
    }
  }
  return relatives;
}
