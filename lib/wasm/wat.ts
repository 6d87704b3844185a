/**
 * WASM bytes as text, for snapshots and for whoever wants to see what was emitted.
 *
 * It reads what `code.ts` writes and refuses everything else.
 *
 * @module
 */
import { LANE, MEMORY, OPCODE, PLAIN, type ValueType } from "./code.ts";

const NAMES = new Map<number, string>(
  [...Object.entries(PLAIN), ...Object.entries(MEMORY), ...Object.entries(LANE)].map((
    [name, opcode],
  ) => [opcode, name]),
);
const TYPES: Readonly<Record<number, string>> = {
  0x7f: "i32",
  0x7e: "i64",
  0x7d: "f32",
  0x7c: "f64",
  0x40: "",
};
/** First bytes of instructions whose number follows. */
const PREFIXES: readonly number[] = [0xfc, 0xfd];

/** Names by number, for the text; what has none is its number. */
export interface CodeNames {
  readonly memories?: readonly string[];
  readonly locals?: readonly (string | undefined)[];
  readonly functions?: readonly string[];
}

/** One instruction as text. */
export interface CodeLine {
  /** Where it begins in the code, in bytes. */
  readonly at: number;
  /** How many blocks it lies in. */
  readonly depth: number;
  readonly text: string;
}

/**
 * The code of one function (as in `WasmFunction.code`) as indented text, one instruction a line.
 *
 * @throws {SyntaxError} At an opcode that `code.ts` does not write.
 */
export function codeText(bytes: Uint8Array, memories: readonly string[] = []): string {
  const lines = [...codeLines(bytes, { memories })];
  return lines.map(({ depth, text }) => "  ".repeat(depth) + text).join("\n");
}

/**
 * The instructions of one function's code in their order.
 *
 * @throws {SyntaxError} At an opcode that `code.ts` does not write.
 */
export function* codeLines(bytes: Uint8Array, names: CodeNames = {}): Iterable<CodeLine> {
  const reader = new Reader(bytes);
  let depth = 0;
  while (!reader.done) {
    const { at } = reader;
    const opcode = reader.opcode();
    if (opcode === PLAIN.end || opcode === PLAIN.else) depth = Math.max(0, depth - 1);
    yield { at, depth, text: instructionText(opcode, reader, names) };
    if (opcode === PLAIN.else || isOpening(opcode)) depth++;
  }
}

/** The name of a value type. */
export function typeName(type: ValueType): string {
  return TYPES[type]!;
}

function isOpening(opcode: number): boolean {
  return opcode === OPCODE.block || opcode === OPCODE.loop || opcode === OPCODE.if;
}

function instructionText(opcode: number, reader: Reader, names: CodeNames): string {
  switch (opcode) {
    case OPCODE.block:
    case OPCODE.loop:
    case OPCODE.if: {
      const name = opcode === OPCODE.block ? "block" : opcode === OPCODE.loop ? "loop" : "if";
      const type = TYPES[reader.byte()] ?? "?";
      return type === "" ? name : `${name} (result ${type})`;
    }
    case OPCODE.br:
      return `br ${reader.unsigned()}`;
    case OPCODE.brIf:
      return `br_if ${reader.unsigned()}`;
    case OPCODE.brTable: {
      const count = reader.unsigned();
      return `br_table ${Array.from({ length: count + 1 }, () => reader.unsigned()).join(" ")}`;
    }
    case OPCODE.call:
      return `call ${numberText(reader, names.functions)}`;
    case OPCODE.callIndirect:
    case OPCODE.returnCallIndirect: {
      const type = reader.unsigned();
      reader.byte();
      const name = opcode === OPCODE.callIndirect ? "call_indirect" : "return_call_indirect";
      return `${name} (type ${type})`;
    }
    case OPCODE.localGet:
      return `local.get ${numberText(reader, names.locals)}`;
    case OPCODE.localSet:
      return `local.set ${numberText(reader, names.locals)}`;
    case OPCODE.localTee:
      return `local.tee ${numberText(reader, names.locals)}`;
    case OPCODE.i32Const:
      return `i32.const ${reader.signed()}`;
    case OPCODE.i64Const:
      return `i64.const ${reader.signed()}`;
  }
  const name = NAMES.get(opcode);
  if (name === undefined) {
    throw new SyntaxError(
      `Cannot read the code: opcode 0x${opcode.toString(16)} at ${reader.at - 1} is unknown`,
    );
  }
  if (name in LANE) return `${name} ${reader.byte()}`;
  return name in MEMORY ? `${name}${accessText(reader, names)}` : name;
}

function numberText(reader: Reader, names: readonly (string | undefined)[] = []): string {
  const number = reader.unsigned();
  const name = names[number];
  return name === undefined ? String(number) : `$${name}`;
}

function accessText(reader: Reader, { memories = [] }: CodeNames): string {
  const flags = reader.unsigned();
  const memory = flags & 0x40 ? reader.unsigned() : 0;
  const offset = reader.unsigned();
  const where = memories[memory] ?? (memory === 0 ? "" : String(memory));
  return (where ? ` $${where}` : "") + (offset ? ` offset=${offset}` : "");
}

/** Reads numbers from bytes. */
class Reader {
  readonly #bytes: Uint8Array;
  at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.at >= this.#bytes.length;
  }

  byte(): number {
    const value = this.#bytes[this.at++];
    if (value === undefined) throw new SyntaxError("Cannot read the code: it ends too early");
    return value;
  }

  opcode(): number {
    const first = this.byte();
    return PREFIXES.includes(first) ? (first << 16) | this.unsigned() : first;
  }

  unsigned(): number {
    return Number(BigInt.asUintN(32, this.#number().value));
  }

  signed(): bigint {
    const { value, bits } = this.#number();
    return BigInt.asIntN(bits, value);
  }

  #number(): { value: bigint; bits: number } {
    let value = 0n;
    for (let bits = 0;;) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << BigInt(bits);
      bits += 7;
      if (byte < 0x80) return { value, bits };
    }
  }
}
