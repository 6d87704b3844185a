/**
 * Reading relocatable objects (`gcc -c`, `ld -r`): sections, symbols, relocations.
 *
 * As in `elf_reader.ts`, every number that says where something lies is checked against the file first, so
 * a damaged file gives a `SyntaxError` that names the field.
 *
 * Where its sections go and how relocations are applied is `link_object.ts`.
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

/** A section of an object that takes memory. */
export interface ObjectSection {
  /** The section's index, by which symbols name it. */
  readonly index: number;
  /** Name of the section, such as `.text`. */
  readonly name: string;
  /** The section's bytes; what memory has beyond them is zero. */
  readonly data: Uint8Array;
  /** Bytes that the section takes in memory. */
  readonly size: number;
  /** Alignment: the section's address is a multiple of this. */
  readonly align: number;
  /** Whether the section may be written. */
  readonly writable: boolean;
  /** Whether the section is code. */
  readonly executable: boolean;
}

/** A symbol that an object defines or wants. */
export interface ObjectSymbol {
  /** Name of the symbol; empty for a section's own. */
  readonly name: string;
  /** Offset in its section, or the value of an absolute one, or the alignment of a common one. */
  readonly value: bigint;
  /** Size of the symbol in bytes; 0 if unknown. */
  readonly size: bigint;
  /** Whether the symbol is a function. */
  readonly isFunction: boolean;
  /** Binding of the symbol: `STB_*` in words. */
  readonly binding: "local" | "global" | "weak" | "other";
  /** Index of the symbol's section, or one of three special places. */
  readonly section: number | "undefined" | "absolute" | "common";
}

/** A place to fill in when addresses are known. */
export interface Relocation {
  /** Index of the section in which it is. */
  readonly section: number;
  /** Offset of the place in that section. */
  readonly offset: number;
  /** Type of the relocation: `R_RISCV_*`. */
  readonly type: number;
  /** Index of the symbol whose address is filled in. */
  readonly symbol: number;
  /** The addend: what is added to the symbol's address. */
  readonly addend: bigint;
}

/** An object that is not linked yet. */
export interface ObjectFile {
  /** Sections that take memory. */
  readonly sections: readonly ObjectSection[];
  /** All symbols; relocations name them by index. */
  readonly symbols: readonly ObjectSymbol[];
  /** Relocations of those sections, in the file's order. */
  readonly relocations: readonly Relocation[];
}

const SHT_SYMTAB = 2;
const SHT_RELA = 4;
const SHT_NOBITS = 8;
const SHF = { write: 1, alloc: 2, exec: 4, tls: 0x400 } as const;
const HEADER = 64, SYMBOL = 24, RELA = 24;
const SPECIAL: Readonly<Record<number, "undefined" | "absolute" | "common">> = {
  0: "undefined",
  0xfff1: "absolute",
  0xfff2: "common",
};
const BINDINGS: readonly ObjectSymbol["binding"][] = ["local", "global", "weak"];
/** More than any patch needs, so that a damaged size does not ask for gigabytes. */
const MOST_MEMORY = 2 ** 26;

interface SectionHeader {
  readonly at: number;
  readonly nameOffset: number;
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly size: number;
  readonly link: number;
  readonly info: number;
  readonly align: number;
}

/** Reads an object. @throws {SyntaxError} Naming the field at fault, or if it is no object. */
export function parseObject(bytes: Uint8Array): ObjectFile {
  const reader = createReader(bytes);
  checkIdentification(bytes, reader);
  const type = reader.u16("e_type", 16);
  if (type !== 1) {
    refuse(
      "e_type",
      16,
      `${type} is no relocatable object; compile it with -c, or join with ld -r`,
    );
  }
  const headers = readHeaders(reader);
  const stringsOf = (header: SectionHeader | undefined, field: string, at: number) => {
    if (!header) refuse(field, at, "there is no such section");
    return createNames(bytes.subarray(header.offset, header.offset + header.size), field, at);
  };
  const nameAt = stringsOf(headers[reader.u16("e_shstrndx", 62)], "e_shstrndx", 62);
  const sections: ObjectSection[] = [];
  headers.forEach((header, index) => {
    const { flags, offset, size, align, type: kind } = header;
    if ((flags & SHF.alloc) === 0 || size === 0) return;
    const name = nameAt(header.nameOffset);
    if (flags & SHF.tls) {
      refuse("sh_flags", header.at + 8, `${name}: thread-local data cannot be added`);
    }
    sections.push({
      index,
      name,
      data: kind === SHT_NOBITS ? new Uint8Array() : bytes.subarray(offset, offset + size),
      size,
      align,
      writable: (flags & SHF.write) !== 0,
      executable: (flags & SHF.exec) !== 0,
    });
  });
  const table = headers.find((header) => header.type === SHT_SYMTAB);
  const symbols = table
    ? readObjectSymbols(
      reader,
      table,
      headers.length,
      stringsOf(headers[table.link], "sh_link", table.at + 40),
    )
    : [];
  const kept = new Map(sections.map((section) => [section.index, section]));
  const relocations = headers.filter((header) => header.type === SHT_RELA && kept.has(header.info))
    .flatMap((header) => readRelocations(reader, header, kept.get(header.info)!, symbols.length));
  return { sections, symbols, relocations };
}

function readHeaders(reader: Reader): SectionHeader[] {
  const count = reader.u16("e_shnum", 60);
  if (count === 0) refuse("e_shnum", 60, "0: there is nothing to link");
  const start = reader.offset("e_shoff", 40);
  if (reader.u16("e_shentsize", 58) !== HEADER) refuse("e_shentsize", 58, "it must be 64");
  reader.span("e_shoff", 40, start, count * HEADER);
  let total = 0;
  return Array.from({ length: count }, (_, k) => {
    const at = start + k * HEADER;
    const type = reader.u32("sh_type", at + 4);
    const inFile = type !== SHT_NOBITS && type !== 0;
    const offset = inFile ? reader.offset("sh_offset", at + 24) : 0;
    const size = Number(reader.u64("sh_size", at + 32));
    if (inFile) reader.span("sh_size", at + 32, offset, size);
    total += size;
    if (total > MOST_MEMORY) refuse("sh_size", at + 32, `${total} bytes are too many`);
    const align = Math.max(1, Number(reader.u64("sh_addralign", at + 48)));
    if (align > 4096 || (align & (align - 1)) !== 0) {
      refuse("sh_addralign", at + 48, `${align} is no power of two up to a page`);
    }
    return {
      at,
      nameOffset: reader.u32("sh_name", at),
      type,
      flags: reader.u32("sh_flags", at + 8),
      offset,
      size,
      link: reader.u32("sh_link", at + 40),
      info: reader.u32("sh_info", at + 44),
      align,
    };
  });
}

function readObjectSymbols(
  reader: Reader,
  table: SectionHeader,
  sections: number,
  nameAt: (offset: number) => string,
): ObjectSymbol[] {
  const symbols: ObjectSymbol[] = [];
  for (let at = table.offset; at + SYMBOL <= table.offset + table.size; at += SYMBOL) {
    const info = reader.u16("st_info", at + 4) & 0xff;
    const index = reader.u16("st_shndx", at + 6);
    if (SPECIAL[index] === undefined && index >= sections) {
      refuse("st_shndx", at + 6, `there is no section ${index}`);
    }
    symbols.push({
      name: nameAt(reader.u32("st_name", at)),
      value: reader.u64("st_value", at + 8),
      size: reader.u64("st_size", at + 16),
      isFunction: (info & 15) === 2,
      binding: BINDINGS[info >> 4] ?? "other",
      section: SPECIAL[index] ?? index,
    });
  }
  return symbols;
}

function readRelocations(
  reader: Reader,
  table: SectionHeader,
  section: ObjectSection,
  symbols: number,
): Relocation[] {
  const relocations: Relocation[] = [];
  for (let at = table.offset; at + RELA <= table.offset + table.size; at += RELA) {
    const offset = Number(reader.u64("r_offset", at));
    const symbol = reader.u32("r_info", at + 12);
    if (offset >= section.size) refuse("r_offset", at, `${section.name} has ${section.size} bytes`);
    if (symbol >= symbols) refuse("r_info", at + 8, `there is no symbol ${symbol}`);
    relocations.push({
      section: section.index,
      offset,
      type: reader.u32("r_info", at + 8),
      symbol,
      addend: BigInt.asIntN(64, reader.u64("r_addend", at + 16)),
    });
  }
  return relocations;
}
