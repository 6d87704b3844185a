/**
 * Writing the code of one WASM function: a growing buffer with a method for each form of instruction.
 *
 * Every method gives the writer back, so that a line of calls reads as the stack code it writes. What
 * has no immediate is written by name: `code.op("i64.add")`.
 *
 * A module around functions is `module.ts`; the same bytes as text are `wat.ts`.
 *
 * @module
 */

/** Codes of the value types in the binary format. */
export const I32 = 0x7f, I64 = 0x7e, F32 = 0x7d, F64 = 0x7c;
/** The code of a value type. */
export type ValueType = 0x7f | 0x7e | 0x7d | 0x7c;
/** The type code of a block without a result. */
const VOID = 0x40;

/** Instructions without immediates, by name; a prefix byte stands above the number behind it. */
export const PLAIN = {
  "unreachable": 0x00,
  "else": 0x05,
  "end": 0x0b,
  "return": 0x0f,
  "drop": 0x1a,
  "select": 0x1b,
  "i32.eqz": 0x45,
  "i32.eq": 0x46,
  "i32.ne": 0x47,
  "i32.lt_s": 0x48,
  "i32.lt_u": 0x49,
  "i32.gt_s": 0x4a,
  "i32.gt_u": 0x4b,
  "i32.le_s": 0x4c,
  "i32.le_u": 0x4d,
  "i32.ge_s": 0x4e,
  "i32.ge_u": 0x4f,
  "i64.eqz": 0x50,
  "i64.eq": 0x51,
  "i64.ne": 0x52,
  "i64.lt_s": 0x53,
  "i64.lt_u": 0x54,
  "i64.gt_s": 0x55,
  "i64.gt_u": 0x56,
  "i64.le_s": 0x57,
  "i64.le_u": 0x58,
  "i64.ge_s": 0x59,
  "i64.ge_u": 0x5a,
  "f32.eq": 0x5b,
  "f32.ne": 0x5c,
  "f32.lt": 0x5d,
  "f32.gt": 0x5e,
  "f32.le": 0x5f,
  "f32.ge": 0x60,
  "f64.eq": 0x61,
  "f64.ne": 0x62,
  "f64.lt": 0x63,
  "f64.gt": 0x64,
  "f64.le": 0x65,
  "f64.ge": 0x66,
  "i32.clz": 0x67,
  "i32.ctz": 0x68,
  "i32.popcnt": 0x69,
  "i32.add": 0x6a,
  "i32.sub": 0x6b,
  "i32.mul": 0x6c,
  "i32.div_s": 0x6d,
  "i32.div_u": 0x6e,
  "i32.rem_s": 0x6f,
  "i32.rem_u": 0x70,
  "i32.and": 0x71,
  "i32.or": 0x72,
  "i32.xor": 0x73,
  "i32.shl": 0x74,
  "i32.shr_s": 0x75,
  "i32.shr_u": 0x76,
  "i32.rotl": 0x77,
  "i32.rotr": 0x78,
  "i64.clz": 0x79,
  "i64.ctz": 0x7a,
  "i64.popcnt": 0x7b,
  "i64.add": 0x7c,
  "i64.sub": 0x7d,
  "i64.mul": 0x7e,
  "i64.div_s": 0x7f,
  "i64.div_u": 0x80,
  "i64.rem_s": 0x81,
  "i64.rem_u": 0x82,
  "i64.and": 0x83,
  "i64.or": 0x84,
  "i64.xor": 0x85,
  "i64.shl": 0x86,
  "i64.shr_s": 0x87,
  "i64.shr_u": 0x88,
  "i64.rotl": 0x89,
  "i64.rotr": 0x8a,
  "f32.abs": 0x8b,
  "f32.neg": 0x8c,
  "f32.ceil": 0x8d,
  "f32.floor": 0x8e,
  "f32.trunc": 0x8f,
  "f32.nearest": 0x90,
  "f32.sqrt": 0x91,
  "f32.add": 0x92,
  "f32.sub": 0x93,
  "f32.mul": 0x94,
  "f32.div": 0x95,
  "f32.min": 0x96,
  "f32.max": 0x97,
  "f32.copysign": 0x98,
  "f64.abs": 0x99,
  "f64.neg": 0x9a,
  "f64.ceil": 0x9b,
  "f64.floor": 0x9c,
  "f64.trunc": 0x9d,
  "f64.nearest": 0x9e,
  "f64.sqrt": 0x9f,
  "f64.add": 0xa0,
  "f64.sub": 0xa1,
  "f64.mul": 0xa2,
  "f64.div": 0xa3,
  "f64.min": 0xa4,
  "f64.max": 0xa5,
  "f64.copysign": 0xa6,
  "i32.wrap_i64": 0xa7,
  "i64.extend_i32_s": 0xac,
  "i64.extend_i32_u": 0xad,
  "f32.convert_i32_s": 0xb2,
  "f32.convert_i32_u": 0xb3,
  "f32.convert_i64_s": 0xb4,
  "f32.convert_i64_u": 0xb5,
  "f32.demote_f64": 0xb6,
  "f64.convert_i32_s": 0xb7,
  "f64.convert_i32_u": 0xb8,
  "f64.convert_i64_s": 0xb9,
  "f64.convert_i64_u": 0xba,
  "f64.promote_f32": 0xbb,
  "i32.reinterpret_f32": 0xbc,
  "i64.reinterpret_f64": 0xbd,
  "f32.reinterpret_i32": 0xbe,
  "f64.reinterpret_i64": 0xbf,
  "i64.extend32_s": 0xc4,
  "i32.trunc_sat_f32_s": 0xfc0000,
  "i32.trunc_sat_f32_u": 0xfc0001,
  "i32.trunc_sat_f64_s": 0xfc0002,
  "i32.trunc_sat_f64_u": 0xfc0003,
  "i64.trunc_sat_f32_s": 0xfc0004,
  "i64.trunc_sat_f32_u": 0xfc0005,
  "i64.trunc_sat_f64_s": 0xfc0006,
  "i64.trunc_sat_f64_u": 0xfc0007,
  "f32x4.splat": 0xfd0013,
  "f64x2.splat": 0xfd0014,
  "f32x4.relaxed_madd": 0xfd0105,
  "f64x2.relaxed_madd": 0xfd0107,
} as const;
/** Name of an instruction without immediates. */
export type PlainName = keyof typeof PLAIN;

/** Loads and stores, by name. */
export const MEMORY = {
  "i32.load": 0x28,
  "i64.load": 0x29,
  "f32.load": 0x2a,
  "f64.load": 0x2b,
  "i32.load8_s": 0x2c,
  "i32.load8_u": 0x2d,
  "i32.load16_s": 0x2e,
  "i32.load16_u": 0x2f,
  "i64.load8_s": 0x30,
  "i64.load8_u": 0x31,
  "i64.load16_s": 0x32,
  "i64.load16_u": 0x33,
  "i64.load32_s": 0x34,
  "i64.load32_u": 0x35,
  "i32.store": 0x36,
  "i64.store": 0x37,
  "f32.store": 0x38,
  "f64.store": 0x39,
  "i32.store8": 0x3a,
  "i32.store16": 0x3b,
  "i64.store8": 0x3c,
  "i64.store16": 0x3d,
  "i64.store32": 0x3e,
} as const;
/** Name of a load or store. */
export type MemoryName = keyof typeof MEMORY;

/** Instructions that take one lane of a vector, by name. */
export const LANE = { "f32x4.extract_lane": 0xfd001f, "f64x2.extract_lane": 0xfd0021 } as const;

/** Instructions with other immediates. */
export const OPCODE = {
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  call: 0x10,
  callIndirect: 0x11,
  returnCallIndirect: 0x13,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  i32Const: 0x41,
  i64Const: 0x42,
  f32Const: 0x43,
  f64Const: 0x44,
} as const;

/** A growing buffer of bytes, and the instructions written to it. */
export class Code {
  #data: Uint8Array<ArrayBuffer>;
  #length = 0;
  readonly #seldom: number[] = [];

  /** An empty buffer, with room for `capacity` bytes at first. */
  constructor(capacity = 256) {
    this.#data = new Uint8Array(capacity);
  }

  /** How many bytes have been written. */
  get length(): number {
    return this.#length;
  }

  /** The bytes written so far, a view that is valid until more are written. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#data.subarray(0, this.#length);
  }

  /** Where conditions stand that seldom hold: each the offset of its `if` or `br_if`, in order. */
  get seldom(): readonly number[] {
    return this.#seldom;
  }

  /** Says of the conditional that is written next that its condition seldom holds. */
  unlikely(): this {
    this.#seldom.push(this.#length);
    return this;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#data.length) return;
    const larger = new Uint8Array(Math.max(this.#data.length * 2, this.#length + count));
    larger.set(this.bytes);
    this.#data = larger;
  }

  /** Appends one byte. */
  byte(value: number): this {
    this.#reserve(1);
    this.#data[this.#length++] = value;
    return this;
  }

  /** Appends bytes as they are. */
  append(bytes: ArrayLike<number>): this {
    this.#reserve(bytes.length);
    this.#data.set(bytes, this.#length);
    this.#length += bytes.length;
    return this;
  }

  /** Appends an unsigned LEB128 number below 2³². */
  unsigned(value: number): this {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    return this.byte(rest);
  }

  /** Appends a signed LEB128 number of 32 bits. */
  signed(value: number): this {
    let rest = value | 0;
    for (;;) {
      const low = rest & 0x7f;
      rest >>= 7;
      if (rest === ((low & 0x40) ? -1 : 0)) return this.byte(low);
      this.byte(low | 0x80);
    }
  }

  /** Appends a signed LEB128 number of 64 bits. */
  signed64(value: bigint): this {
    const number = Number(value);
    // The shortest form of a number does not depend on how many bits it is of.
    if (number === (number | 0)) return this.signed(number);
    let rest = BigInt.asIntN(64, value);
    for (;;) {
      const low = Number(rest & 0x7fn);
      rest >>= 7n;
      if (rest === ((low & 0x40) ? -1n : 0n)) return this.byte(low);
      this.byte(low | 0x80);
    }
  }

  /** Appends a name: its length and its bytes. */
  text(value: string): this {
    const bytes = new TextEncoder().encode(value);
    return this.unsigned(bytes.length).append(bytes);
  }

  /** Appends instructions without immediates. */
  op(...names: readonly PlainName[]): this {
    for (const name of names) {
      const opcode = PLAIN[name];
      if (opcode > 0xff) this.byte(opcode >>> 16).unsigned(opcode & 0xffff);
      else this.byte(opcode);
    }
    return this;
  }

  /** Pushes a local. */
  get(local: number): this {
    return this.byte(OPCODE.localGet).unsigned(local);
  }

  /** Pops into a local. */
  set(local: number): this {
    return this.byte(OPCODE.localSet).unsigned(local);
  }

  /** Copies the top of the stack into a local. */
  tee(local: number): this {
    return this.byte(OPCODE.localTee).unsigned(local);
  }

  /** Pushes a 32-bit number. */
  i32(value: number): this {
    return this.byte(OPCODE.i32Const).signed(value);
  }

  /** Pushes a 64-bit number. */
  i64(value: bigint): this {
    return this.byte(OPCODE.i64Const).signed64(value);
  }

  /** Loads from or stores to memory number `memory`; the address is on the stack. */
  access(name: MemoryName, memory: number, offset = 0): this {
    this.byte(MEMORY[name]);
    if (memory === 0) this.byte(0);
    else this.byte(0x40).unsigned(memory);
    return this.unsigned(offset);
  }

  /** Pushes lane 0 of the vector on the stack. */
  lane(name: keyof typeof LANE): this {
    const opcode = LANE[name];
    return this.byte(opcode >>> 16).unsigned(opcode & 0xffff).byte(0);
  }

  /** Opens a block; `br` to it goes behind its end. */
  block(): this {
    return this.byte(OPCODE.block).byte(VOID);
  }

  /** Opens a loop; `br` to it goes to its start. */
  loop(): this {
    return this.byte(OPCODE.loop).byte(VOID);
  }

  /** Opens a conditional; with a type it gives a value. */
  if(type?: ValueType): this {
    return this.byte(OPCODE.if).byte(type ?? VOID);
  }

  /** Goes to the label `depth` levels out. */
  br(depth: number): this {
    return this.byte(OPCODE.br).unsigned(depth);
  }

  /** Pops i32, and goes to the label `depth` levels out if it is not 0. */
  brIf(depth: number): this {
    return this.byte(OPCODE.brIf).unsigned(depth);
  }

  /** Goes to one of the labels by number. */
  brTable(depths: readonly number[], otherwise: number): this {
    this.byte(OPCODE.brTable).unsigned(depths.length);
    for (const depth of depths) this.unsigned(depth);
    return this.unsigned(otherwise);
  }

  /** Calls a function of the module. */
  call(index: number): this {
    return this.byte(OPCODE.call).unsigned(index);
  }

  /** Calls what the table's entry on the stack names. */
  callIndirect(type: number): this {
    return this.byte(OPCODE.callIndirect).unsigned(type).byte(0);
  }

  /** Calls what the table's entry on the stack names, in place of this function. */
  returnCallIndirect(type: number): this {
    return this.byte(OPCODE.returnCallIndirect).unsigned(type).byte(0);
  }
}
