/**
 * Builds small ELF64 files from parts, so that a test has a program without a compiler.
 *
 * The file is laid out plainly: header, program headers, contents of segments, contents of sections,
 * section headers. `buildElf` says where each header went, for tests that damage one field.
 *
 * @module
 */
import { assemble } from "../../lib/isa/asm.ts";

/** What a program header describes; PT_LOAD unless it says otherwise. */
export interface SegmentPart {
  readonly address: bigint;
  readonly data: Uint8Array;
  /** Bytes in memory, those of `data` unless given. */
  readonly size?: bigint;
  /** PF_R 4 | PF_W 2 | PF_X 1; all three unless given. */
  readonly flags?: number;
  /** `PT_*`. */
  readonly type?: number;
}

/** A symbol of `.symtab`. */
export interface SymbolPart {
  readonly name: string;
  readonly address: bigint;
  readonly size?: bigint;
  /** STT_NOTYPE 0, STT_OBJECT 1, STT_FUNC 2 (the default), STT_SECTION 3, STT_FILE 4. */
  readonly type?: number;
  /** STB_LOCAL 0, STB_GLOBAL 1 (the default), STB_WEAK 2. */
  readonly binding?: number;
  /** 1, a section that exists, unless given; 0 is an undefined symbol. */
  readonly section?: number;
}

/** A section besides `.symtab`, `.strtab` and `.shstrtab`. */
export interface SectionPart {
  readonly name: string;
  /** `SHT_*`; SHT_PROGBITS unless given. */
  readonly type?: number;
  readonly address?: bigint;
  /** Its contents; without them, the bytes of the segment that lies at its address. */
  readonly data?: Uint8Array;
  readonly size?: bigint;
  readonly link?: number;
}

/** What a file is built from. */
export interface ElfParts {
  readonly type?: "EXEC" | "DYN";
  readonly entry?: bigint;
  readonly segments: readonly SegmentPart[];
  readonly symbols?: readonly SymbolPart[];
  readonly sections?: readonly SectionPart[];
  /** R_RISCV_RELATIVE relocations, in `.rela.dyn`. */
  readonly relatives?: readonly { readonly address: bigint; readonly addend: bigint }[];
  /** Puts segments where a page of the file can be mapped, as a kernel demands; else 8 bytes apart. */
  readonly mappable?: boolean;
  /** Leaves out `.symtab`, `.strtab`, `.shstrtab` and the section headers. */
  readonly stripped?: boolean;
}

/** A built file, and where its headers are. */
export interface BuiltElf {
  readonly bytes: Uint8Array;
  /** Offset of the program header of segment `k`. */
  programHeader(k: number): number;
  /** Offset of the section header of the section of that name. */
  sectionHeader(name: string): number;
  /** Offset of symbol `k` of `.symtab`; 0 is the empty one that every table begins with. */
  symbol(k: number): number;
}

/** 64-bit words as bytes. */
export function words64(...values: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  values.forEach((value, k) => view.setBigUint64(k * 8, BigInt.asUintN(64, value), true));
  return bytes;
}

/** 32-bit words as bytes. */
export function words32(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, k) => view.setUint32(k * 4, value, true));
  return bytes;
}

/** 16-bit words as bytes. */
export function words16(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 2);
  const view = new DataView(bytes.buffer);
  values.forEach((value, k) => view.setUint16(k * 2, value, true));
  return bytes;
}

const HEADER = 64;
const PROGRAM_HEADER = 56;
const SECTION_HEADER = 64;

interface PlacedSection extends SectionPart {
  readonly offset: number;
}

/** Builds the file. */
export function buildElf(parts: ElfParts): BuiltElf {
  const chunks: { readonly offset: number; readonly data: Uint8Array }[] = [];
  const { segments } = parts;
  let end = HEADER + segments.length * PROGRAM_HEADER;
  const place = (data: Uint8Array, congruent?: number): number => {
    const offset = congruent === undefined
      ? Math.ceil(end / 8) * 8
      : Math.ceil((end - congruent) / 4096) * 4096 + congruent;
    chunks.push({ offset, data });
    end = offset + data.length;
    return offset;
  };
  const offsets = segments.map(({ data, address }) =>
    place(data, parts.mappable ? Number(address % 4096n) : undefined)
  );
  const sections = parts.stripped ? [] : placeSections(parts, offsets, place);
  const sectionsAt = sections.length === 0 ? 0 : place(new Uint8Array(sections.length * 64));
  const bytes = new Uint8Array(end);
  for (const { offset, data } of chunks) bytes.set(data, offset);
  writeHeader(bytes, parts, sections.length, sectionsAt);
  segments.forEach((segment, k) =>
    bytes.set(programHeader(segment, offsets[k]!), HEADER + k * PROGRAM_HEADER)
  );
  const names = textTable(sections.map(({ name }) => name)).at;
  sections.forEach((section, k) =>
    bytes.set(sectionHeader(section, names(section.name)), sectionsAt + k * SECTION_HEADER)
  );
  const symbolTable = sections.find(({ name }) => name === ".symtab");
  return {
    bytes,
    programHeader: (k) => HEADER + k * PROGRAM_HEADER,
    sectionHeader: (name) =>
      sectionsAt + sections.findIndex((section) => section.name === name) * SECTION_HEADER,
    symbol: (k) => (symbolTable?.offset ?? 0) + k * 24,
  };
}

function placeSections(
  { sections = [], symbols = [], relatives = [], segments }: ElfParts,
  offsets: readonly number[],
  place: (data: Uint8Array) => number,
): PlacedSection[] {
  const all: SectionPart[] = [{ name: "", type: 0, data: new Uint8Array(0) }, ...sections];
  if (relatives.length > 0) {
    const data = words64(...relatives.flatMap(({ address, addend }) => [address, 3n, addend]));
    all.push({ name: ".rela.dyn", type: 4, address: 0x200n, data });
  }
  const symbolNames = textTable(symbols.map(({ name }) => name));
  const table = new Uint8Array(24 * (symbols.length + 1));
  symbols.forEach((symbol, k) => table.set(symbolBytes(symbol, symbolNames.at), 24 * (k + 1)));
  all.push({ name: ".symtab", type: 2, data: table, link: all.length + 1 });
  all.push({ name: ".strtab", type: 3, data: symbolNames.data });
  const names = textTable([...all.map(({ name }) => name), ".shstrtab"]);
  all.push({ name: ".shstrtab", type: 3, data: names.data });
  return all.map((section) => {
    const { data, address = 0n } = section;
    if (data) return { ...section, offset: place(data) };
    const k = segments.findIndex((each) =>
      each.address <= address && address < each.address + BigInt(each.data.length)
    );
    const inside = k < 0 ? 0 : offsets[k]! + Number(address - segments[k]!.address);
    return { ...section, offset: inside };
  });
}

/** NUL-terminated names, one behind the other, the empty one first. */
function textTable(names: readonly string[]): {
  readonly data: Uint8Array;
  readonly at: (name: string) => number;
} {
  const places = new Map<string, number>([["", 0]]);
  let text = "\0";
  for (const name of names) {
    if (places.has(name)) continue;
    places.set(name, text.length);
    text += `${name}\0`;
  }
  return { data: new TextEncoder().encode(text), at: (name) => places.get(name) ?? 0 };
}

function symbolBytes(
  { name, address, size = 0n, type = 2, binding = 1, section = 1 }: SymbolPart,
  nameAt: (name: string) => number,
): Uint8Array {
  const bytes = new Uint8Array(24);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, nameAt(name), true);
  view.setUint8(4, binding << 4 | type);
  view.setUint16(6, section, true);
  view.setBigUint64(8, address, true);
  view.setBigUint64(16, size, true);
  return bytes;
}

function writeHeader(
  bytes: Uint8Array,
  { type = "EXEC", entry, segments }: ElfParts,
  sectionCount: number,
  sectionsAt: number,
): void {
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, type === "EXEC" ? 2 : 3, true);
  view.setUint16(18, 243, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, entry ?? segments[0]?.address ?? 0n, true);
  view.setBigUint64(32, BigInt(HEADER), true);
  view.setBigUint64(40, BigInt(sectionsAt), true);
  view.setUint16(52, HEADER, true);
  view.setUint16(54, PROGRAM_HEADER, true);
  view.setUint16(56, segments.length, true);
  view.setUint16(58, SECTION_HEADER, true);
  view.setUint16(60, sectionCount, true);
  // .shstrtab is always the last section.
  view.setUint16(62, Math.max(0, sectionCount - 1), true);
}

function programHeader(
  { address, data, size, flags = 7, type = 1 }: SegmentPart,
  offset: number,
): Uint8Array {
  return new Uint8Array([
    ...words32(type, flags),
    ...words64(BigInt(offset), address, address, BigInt(data.length)),
    ...words64(size ?? BigInt(data.length), 8n),
  ]);
}

function sectionHeader(
  { type = 1, address = 0n, data, size, link = 0, offset }: PlacedSection,
  nameAt: number,
): Uint8Array {
  return new Uint8Array([
    ...words32(nameAt, type),
    ...words64(0n, address, BigInt(offset), size ?? BigInt(data?.length ?? 0)),
    ...words32(link, 0),
    ...words64(8n, type === 2 || type === 4 ? 24n : 0n),
  ]);
}

/** Where {@linkcode buildBare} puts things besides the text at 0x80000000. */
export const BARE = { tohost: 0x80001000, fromhost: 0x80001008, data: 0x80002000 } as const;

/** Two instructions that load an address, wherever it is. */
export function la(register: string, label: string): string {
  return `9: auipc ${register}, %pcrel_hi(${label})\naddi ${register}, ${register}, %pcrel_lo(9b)\n`;
}

/**
 * Assembles firmware at 0x80000000, with `tohost`, `fromhost` and `data` behind it, into a program.
 * Its labels become symbols; `symbols` are more of them, which the text may name, too.
 */
export function buildBare(
  source: string,
  options: {
    readonly data?: Uint8Array;
    readonly symbols?: Readonly<Record<string, bigint>>;
    /** Leaves out `tohost` and `fromhost`. */
    readonly withoutHost?: boolean;
  } = {},
): Uint8Array {
  const origin = 0x80000000n;
  const { tohost, fromhost, data } = BARE;
  const host = options.withoutHost ? {} : { tohost: BigInt(tohost), fromhost: BigInt(fromhost) };
  const named = { ...host, data: BigInt(data), ...options.symbols };
  const { bytes, symbols } = assemble(source, { origin, symbols: named });
  const all = new Map([...symbols, ...Object.entries(named)]);
  return buildElf({
    entry: symbols.get("_start") ?? origin,
    segments: [
      { address: origin, data: bytes },
      { address: BigInt(tohost), data: new Uint8Array(16) },
      { address: BigInt(data), data: options.data ?? new Uint8Array(8) },
    ],
    sections: [{ name: ".text", address: origin, size: BigInt(bytes.length) }],
    symbols: [...all].map(([name, address]) => ({ name, address, type: 0 })),
  }).bytes;
}
