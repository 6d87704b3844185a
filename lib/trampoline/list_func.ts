/**
 * `ftrace_ops_list_func` and `ftrace_ops_assist_func`: the C functions between a trampoline and
 * several ops, as real RV64 code (`kernel/trace/ftrace.c`).
 *
 * The list function takes the recursion lock, walks the ops in guest memory, looks the ip up in each
 * one's two hash tables and calls those that want it. Its price is also here as arithmetic, for a
 * path that does not execute it: {@linkcode lookUp} takes the very steps that the code takes.
 *
 * Who fills the structs and tables is `lib/ftrace/ops/tracing_area.ts`.
 *
 * @module
 */
import { OPS_FILTER_HASH, OPS_FLAGS, OPS_FUNC, OPS_NEXT, OPS_NOTRACE_HASH } from "./ops_struct.ts";

/** FTRACE_OPS_FL_STUB: an ops that the walk skips. */
const STUB = 1 << 5;
/** The golden ratio's fraction, as `hash_32` has it. */
const GOLDEN = 0x61c88647;
const HASH_SHIFT = 12;
/** Offset of the first key in a table; its mask lies before. */
const KEYS = 8;

/** A hash table of ips as guest code reads it: u32 mask, u32 0, then mask + 1 keys, 0 for none. */
export interface IpTable {
  /** One less than the number of places, which is a power of two. */
  readonly mask: number;
  /** The places of the hash table: an ip each, 0 where there is none. */
  readonly keys: Uint32Array;
}

/** Makes a table of which at least half is free, so that every search ends. */
export function makeIpTable(ips: readonly number[]): IpTable {
  let size = 2;
  while (size < ips.length * 2) size *= 2;
  const keys = new Uint32Array(size);
  const mask = size - 1;
  for (const ip of ips) {
    let at = hashOf(ip) & mask;
    while (keys[at] !== 0 && keys[at] !== ip) at = (at + 1) & mask;
    keys[at] = ip;
  }
  return { mask, keys };
}

/** The bytes of a table as guest code reads it from memory. */
export function ipTableBytes({ mask, keys }: IpTable): Uint8Array {
  const bytes = new Uint8Array(KEYS + keys.length * 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, mask, true);
  keys.forEach((key, k) => view.setUint32(KEYS + k * 4, key, true));
  return bytes;
}

function hashOf(ip: number): number {
  return Math.imul(ip, GOLDEN) >>> HASH_SHIFT;
}

/** The search of one table: `found` and `absent` are labels. */
function search(table: string, found: string, absent: string, label: string): string[] {
  return [
    `lw s7, 0(${table})`,
    "mulw s8, s0, s4",
    `srliw s8, s8, ${HASH_SHIFT}`,
    `${label}:`,
    "and s8, s8, s7",
    "slli s9, s8, 2",
    `add s9, s9, ${table}`,
    `lwu s9, ${KEYS}(s9)`,
    `beq s9, s0, ${found}`,
    `beqz s9, ${absent}`,
    "addi s8, s8, 1",
    `j ${label}b`,
  ];
}
const SEARCH_SETUP = 3;
const PROBE_FOUND = 5;
const PROBE_ABSENT = 6;
const PROBE_OTHER = 8;

/** Whether a table holds `ip`, and how many instructions the search of it retires. */
export function lookUp({ mask, keys }: IpTable, ip: number): { found: boolean; price: number } {
  let price = SEARCH_SETUP;
  for (let at = hashOf(ip) & mask;; at = (at + 1) & mask) {
    const key = keys[at];
    if (key === ip) return { found: true, price: price + PROBE_FOUND };
    if (key === 0) return { found: false, price: price + PROBE_ABSENT };
    price += PROBE_OTHER;
  }
}

/** Bytes of stack that either function takes, below the trampoline's frame. */
export const LIST_FRAME = 96;
/** Where in it the return address to the trampoline lies. */
export const LIST_FRAME_RA = 88;

// t0 alone is free: every trampoline loads it again. The others are what the traced function left.
const SAVED = range("s", 10);
function range(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, k) => `${letter}${k}`);
}
const enter = [
  `addi sp, sp, -${LIST_FRAME}`,
  `sd ra, ${LIST_FRAME_RA}(sp)`,
  ...SAVED.map((register, k) => `sd ${register}, ${8 * k}(sp)`),
  "mv s0, a0",
  "mv s1, a1",
  "mv s2, a3",
  "mv s3, a2",
  "jal ra, ftrace_test_recursion_trylock",
];
const unlock = ["mv a0, s5", "jal ra, ftrace_test_recursion_unlock"];
const exit = [
  `ld ra, ${LIST_FRAME_RA}(sp)`,
  ...SAVED.map((register, k) => `ld ${register}, ${8 * k}(sp)`),
  `addi sp, sp, ${LIST_FRAME}`,
  "ret",
];
const start = [
  "mv s5, a0",
  "9: auipc s3, %pcrel_hi(ftrace_ops_list)",
  "ld s3, %pcrel_lo(9b)(s3)",
  `lui s4, ${(GOLDEN + 0x800) >>> 12}`,
  `addiw s4, s4, ${((GOLDEN & 0xfff) ^ 0x800) - 0x800}`,
];
const step = ["beqz s3, 18f", `lwu t0, ${OPS_FLAGS}(s3)`, `andi t0, t0, ${STUB}`, "bnez t0, 17f"];
const filter = [`ld s6, ${OPS_FILTER_HASH}(s3)`, "beqz s6, 13f"];
const notrace = [`ld s6, ${OPS_NOTRACE_HASH}(s3)`, "beqz s6, 16f"];
const call = [
  "mv a0, s0",
  "mv a1, s1",
  "mv a2, s3",
  "mv a3, s2",
  `ld t0, ${OPS_FUNC}(s3)`,
  "jalr ra, 0(t0)",
];
const next = [`ld s3, ${OPS_NEXT}(s3)`, "j 10b"];

/**
 * Source of the list and assist functions and of the recursion lock's stubs, for the end of a set
 * of trampolines.
 */
export const LIST_FUNC_SOURCE: readonly string[] = [
  "ftrace_ops_list_func:",
  ...enter,
  "bltz a0, 19f",
  ...start,
  "10:",
  ...step,
  ...filter,
  ...search("s6", "13f", "17f", "12"),
  "13:",
  ...notrace,
  ...search("s6", "17f", "16f", "15"),
  "16:",
  ...call,
  "ftrace_ops_list_back:",
  "17:",
  ...next,
  "18:",
  ...unlock,
  "19:",
  ...exit,
  "ftrace_ops_assist_func:",
  ...enter,
  "bltz a0, 20f",
  "mv s5, a0",
  ...call,
  "ftrace_ops_assist_back:",
  ...unlock,
  "20:",
  ...exit,
  "ftrace_test_recursion_trylock:",
  ".word 0x0000000b",
  "ftrace_test_recursion_unlock:",
  ".word 0x0000000b",
  "ftrace_list_func_end:",
];

/** Instructions of the parts, host calls of the lock and of the callback's stub included. */
export const LIST_PRICE = {
  /** From the entry of either function to the branch behind the lock. */
  enter: enter.length + 2,
  /** Of the list function from there to the first ops. */
  start: start.length,
  /** At each ops: its flags. */
  step: step.length,
  /** At each ops that is no stub: the filter's pointer. */
  filter: filter.length,
  /** At each ops whose filter lets the ip through: the other one's. */
  notrace: notrace.length,
  /** Of a call, with the callback's one instruction. */
  call: call.length + 1,
  /** From an ops to the next. */
  next: next.length,
  /** The look that finds the end of the list. */
  end: 1,
  /** Giving the lock back. */
  unlock: unlock.length + 1,
  /** Of the assist function from the lock to its call. */
  assist: 1,
  /** Back to the trampoline. */
  exit: exit.length,
} as const;
