/**
 * Programs that are made when they are measured: as many functions as asked, or as much memory.
 *
 * They are put together by our assembler, so no compiler is needed. Two words of each function
 * hold its number, so no two are alike.
 *
 * @module
 */
import { assemble } from "../../lib/isa/asm.ts";
import { buildElf } from "../../tests/program/elf_builder.ts";

const TEXT = 0x20000n;
/** Bytes from one function to the next. */
export const FUNCTION_SIZE = 64;
/** Where the first function is. */
export const FIRST_FUNCTION = 0x21000;

const EXIT = "li a7, 93\necall\n";

/** What stands at every function, but for its number. */
const FUNCTION = `
  lui t0, 0
  addi t0, t0, 0
  add a0, a0, t0
  slli t1, a0, 7
  xor a0, a0, t1
  srli t1, a0, 9
  andi t2, a0, 1
  beqz t2, 1f
  addi a0, a0, 13
1:
  xor a0, a0, t1
  ret
`;

/** The file of a program whose text is `bytes`, with symbols at these addresses. */
function fileOf(bytes: Uint8Array, functions: number): Uint8Array {
  return buildElf({
    entry: TEXT,
    mappable: true,
    segments: [{ address: TEXT, data: bytes, flags: 5 }],
    sections: [{ name: ".text", address: TEXT, size: BigInt(bytes.length) }],
    symbols: [
      { name: "_start", address: TEXT },
      ...Array.from({ length: functions }, (_, k) => ({
        name: `f${k}`,
        address: BigInt(FIRST_FUNCTION + k * FUNCTION_SIZE),
        size: BigInt(FUNCTION_SIZE),
      })),
    ],
  }).bytes;
}

/** A Linux program of `count` functions that calls the first `called` of them, `rounds` times over. */
export function manyFunctions(count: number, called: number, rounds: number): Uint8Array {
  const start = assemble(
    `
    li s0, ${rounds}
  again:
    li s1, ${FIRST_FUNCTION}
    li s2, ${FIRST_FUNCTION + called * FUNCTION_SIZE}
  each:
    jalr ra, 0(s1)
    addi s1, s1, ${FUNCTION_SIZE}
    bltu s1, s2, each
    addi s0, s0, -1
    bnez s0, again
    andi a0, a0, 127
    ${EXIT}`,
    { origin: TEXT },
  ).bytes;
  const body = assemble(FUNCTION).bytes;
  const before = FIRST_FUNCTION - Number(TEXT);
  const bytes = new Uint8Array(before + count * FUNCTION_SIZE);
  bytes.set(start);
  const view = new DataView(bytes.buffer);
  for (let k = 0; k < count; k++) {
    const at = before + k * FUNCTION_SIZE;
    bytes.set(body, at);
    view.setUint32(at, view.getUint32(at, true) | (k >> 11) << 12, true);
    view.setUint32(at + 4, view.getUint32(at + 4, true) | (k & 0x7ff) << 20, true);
  }
  return fileOf(bytes, count);
}

/**
 * A Linux program that maps so many MiB, 16 at a time, stores to each page, then reads what is
 * there. It exits with 1 if it gets no more memory, and with 2 if it read something else.
 */
export function touchesMemory(mebibytes: number): Uint8Array {
  const { bytes } = assemble(
    `
    li s0, ${mebibytes / 16}
    li s2, 4096
    li s3, 0
  more:
    li a0, 0
    li a1, 0x1000000
    li a2, 3
    li a3, 0x22
    li a4, -1
    li a5, 0
    li a7, 222
    ecall
    bltz a0, refused
    li t3, 0x1000000
    add t3, t3, a0
    mv t0, a0
  store:
    sd t0, 0(t0)
    add t0, t0, s2
    bltu t0, t3, store
    mv t0, a0
  read:
    ld t1, 0(t0)
    xor t1, t1, t0
    or s3, s3, t1
    add t0, t0, s2
    bltu t0, t3, read
    addi s0, s0, -1
    bnez s0, more
    snez a0, s3
    slli a0, a0, 1
    ${EXIT}
  refused:
    li a0, 1
    ${EXIT}`,
    { origin: TEXT },
  );
  return fileOf(bytes, 0);
}
