/**
 * Reading fields of ELF files.
 *
 * Every number that says where something lies is checked against the file before it is used, so a
 * damaged file gives a `SyntaxError` that names the field and its offset, never anything else.
 *
 * @module
 */

const HEADER_SIZE = 64;

/** Machines that people hand over by mistake, by `e_machine`. */
const MACHINES: Readonly<Record<number, string>> = {
  3: "i386",
  8: "MIPS",
  20: "PowerPC",
  21: "PowerPC64",
  22: "S390",
  40: "ARM",
  62: "x86-64",
  183: "AArch64",
  258: "LoongArch",
};

/** Refuses the file. @throws {SyntaxError} Always, naming the field and its offset. */
export function refuse(field: string, offset: number, what: string): never {
  throw new SyntaxError(`Cannot read ELF: ${field} at offset 0x${offset.toString(16)}: ${what}`);
}

/** Checks that a file is for us. @throws {SyntaxError} If it is no 64-bit little-endian RISC-V ELF. */
export function checkIdentification(bytes: Uint8Array, reader: Reader): void {
  const magic = [0x7f, 0x45, 0x4c, 0x46];
  if (bytes.length === 0) refuse("e_ident", 0, "the file is empty");
  if (magic.some((byte, k) => bytes[k] !== byte)) {
    const script = bytes[0] === 0x23 && bytes[1] === 0x21;
    refuse(
      "e_ident",
      0,
      script ? "the file is a script; name a RISC-V ELF" : "the file is no ELF; name a RISC-V ELF",
    );
  }
  if (bytes.length < HEADER_SIZE) {
    refuse("e_ident", 0, `the file ends after ${bytes.length} of 64 header bytes`);
  }
  if (bytes[4] !== 2) refuse("EI_CLASS", 4, "the file is not 64-bit; compile for rv64");
  if (bytes[5] !== 1) refuse("EI_DATA", 5, "the file is not little-endian");
  const machine = reader.u16("e_machine", 18);
  if (machine !== 243) {
    refuse(
      "e_machine",
      18,
      `${MACHINES[machine] ?? `machine ${machine}`}, not RISC-V; use a riscv64 compiler`,
    );
  }
}

/** Reads fields of a file; each names the field for a refusal. */
export interface Reader {
  /** An unsigned field of 16 bits at an offset. */
  u16(field: string, at: number): number;
  /** An unsigned field of 32 bits at an offset. */
  u32(field: string, at: number): number;
  /** An unsigned field of 64 bits at an offset. */
  u64(field: string, at: number): bigint;
  /** A u64 that lies within the file. */
  offset(field: string, at: number): number;
  /** Checks that `length` bytes from `offset` are in the file. */
  span(field: string, at: number, offset: number, length: number): void;
}

/** A reader of a file. @throws {SyntaxError} From each read that is not within it. */
export function createReader(bytes: Uint8Array): Reader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const check = (field: string, at: number, size: number) => {
    if (at < 0 || at + size > bytes.length) {
      refuse(field, at, `the file ends at 0x${bytes.length.toString(16)}`);
    }
  };
  const span = (field: string, at: number, offset: number, length: number) => {
    if (offset + length <= bytes.length) return;
    const end = (offset + length).toString(16);
    refuse(
      field,
      at,
      `it reaches to 0x${end}, and the file ends at 0x${
        bytes.length.toString(16)
      }; it is truncated`,
    );
  };
  return {
    u16(field, at) {
      check(field, at, 2);
      return view.getUint16(at, true);
    },
    u32(field, at) {
      check(field, at, 4);
      return view.getUint32(at, true);
    },
    u64(field, at) {
      check(field, at, 8);
      return view.getBigUint64(at, true);
    },
    offset(field, at) {
      check(field, at, 8);
      const value = view.getBigUint64(at, true);
      if (value > BigInt(bytes.length)) span(field, at, Number(value), 0);
      return Number(value);
    },
    span,
  };
}

const decoder = new TextDecoder();
/** A table whose names together are this many times its own length is no honest one. */
const MOST_SHARING = 64;

/**
 * Reads the NUL-terminated texts of a table; what runs past its end is cut.
 *
 * Names may share bytes, and damaged ones can all be as long as the table: what is read in all is
 * limited, and beyond that the field that names them, in the table at `at`, is refused.
 */
export function createNames(
  table: Uint8Array,
  field: string,
  at: number,
): (offset: number) => string {
  let left = 65536 + table.length * MOST_SHARING;
  return (offset) => {
    const nul = table.indexOf(0, offset);
    const end = nul < 0 ? table.length : nul;
    left -= Math.max(0, end - offset);
    if (left < 0) {
      refuse(field, at, "the names are longer than any table of strings would make them");
    }
    return decoder.decode(table.subarray(offset, end));
  };
}
