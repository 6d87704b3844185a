/**
 * Small Linux programs for the tests of `lib/machine/linux`, written one instruction and one
 * system call at a time, so that a test needs no compiler.
 *
 * A program notes values as it goes and writes all of them to its standard output at the end, as
 * 64-bit words. So QEMU can be asked for the same values.
 *
 * @module
 */
import { assemble } from "../../lib/isa/asm.ts";
import { SYSTEM_CALLS } from "../../lib/machine/linux/names.ts";
import { createMachine, type MachineOptions } from "../../lib/machine/machine.ts";
import type { Outcome } from "../../lib/machine/outcome.ts";
import { missingTool } from "../program/elf_oracle.ts";

const START = 0x10000;
/** The text follows the headers, which are in memory, too. */
const HEADERS = 176;
/** Address of the first instruction. */
export const TEXT = START + HEADERS;
/** Constants, within reach of a 12-bit offset from s1; the last word is where the next note goes. */
const POOL = 0x20000;
const CURSOR = POOL + 2040;
const NOTES = POOL + 0x800;
const DATA = POOL + 0x1000;
const DATA_END = POOL + 0x10000;
const PAGE = 0x1000;

/** A number, or a label's address. */
export type GuestValue = number | bigint | { readonly label: string };
/** An argument: a value, a register's name, or nothing: what the register holds already. */
export type GuestArgument = GuestValue | string | undefined;

/** What a program is written with. s1 is taken; t5 and t6 change in every step but `line`. */
export interface GuestText {
  /** Assembly. */
  line(source: string): void;
  /** Puts a value into a register. */
  load(register: string, value: GuestValue): void;
  /** Loads arguments and makes the system call of this name, or number. */
  call(name: string | number, ...args: readonly GuestArgument[]): void;
  /** Notes a register's value. */
  note(register?: string): void;
  /** Makes a system call and notes its result. */
  noteCall(name: string | number, ...args: readonly GuestArgument[]): void;
  /** Notes the 64 bits at an address. */
  noteWord(address: GuestValue): void;
  /** Puts bytes, a text that ends in 0, or so many zeros into memory, on 16 bytes; their address. */
  place(contents: Uint8Array | string | number): number;
  /** Writes the notes to standard output and exits. */
  finish(code?: number): void;
}

/** How a program ended, and what it said. */
export interface GuestRun {
  readonly outcome: Outcome;
  /** Standard output as 64-bit words: the notes. */
  readonly notes: readonly bigint[];
  readonly stderr: string;
  readonly warnings: readonly string[];
}

const NUMBERS = new Map(Object.entries(SYSTEM_CALLS).map(([number, name]) => [name, number]));

/** Assembles a program. */
export function buildGuest(write: (guest: GuestText) => void): Uint8Array {
  const lines = ["_start:", "addi s1, zero, 1", "slli s1, s1, 17"];
  const pool: GuestValue[] = [];
  const data = new Uint8Array(DATA_END - POOL);
  let end = DATA;
  const guest: GuestText = {
    line: (source) => void lines.push(source),
    load(register, value) {
      if (typeof value === "number" && value >= -2048 && value < 2048) {
        lines.push(`addi ${register}, zero, ${value}`);
      } else lines.push(`ld ${register}, ${(pool.push(value) - 1) * 8}(s1)`);
    },
    call(name, ...args) {
      args.forEach((value, k) => {
        if (typeof value === "string") lines.push(`addi a${k}, ${value}, 0`);
        else if (value !== undefined) guest.load(`a${k}`, value);
      });
      const number = typeof name === "number" ? name : NUMBERS.get(name);
      if (number === undefined) throw new RangeError(`Cannot call ${name}: there is no such call`);
      guest.load("a7", Number(number));
      lines.push("ecall");
    },
    note(register = "a0") {
      const offset = CURSOR - POOL;
      lines.push(`ld t6, ${offset}(s1)`, `sd ${register}, 0(t6)`, "addi t6, t6, 8");
      lines.push(`sd t6, ${offset}(s1)`);
    },
    noteCall(name, ...args) {
      guest.call(name, ...args);
      guest.note();
    },
    noteWord(address) {
      guest.load("t5", address);
      lines.push("ld t5, 0(t5)");
      guest.note("t5");
    },
    place(contents) {
      const bytes = typeof contents === "number"
        ? new Uint8Array(contents)
        : typeof contents === "string"
        ? new TextEncoder().encode(`${contents}\0`)
        : contents;
      const address = end;
      data.set(bytes, address - POOL);
      end = Math.ceil((address + bytes.length) / 16) * 16;
      return address;
    },
    finish(code = 0) {
      guest.load("a1", NOTES);
      lines.push(`ld a2, ${CURSOR - POOL}(s1)`, "sub a2, a2, a1");
      guest.call("write", 1);
      guest.call("exit_group", code);
    },
  };
  write(guest);
  const { bytes: text, symbols } = assemble(lines.join("\n"), { origin: BigInt(TEXT) });
  const view = new DataView(data.buffer);
  pool.forEach((value, k) => {
    const word = typeof value === "object" ? symbols.get(value.label) : BigInt(value);
    if (word === undefined) throw new RangeError("Cannot build a program: a label is missing");
    view.setBigUint64(k * 8, BigInt.asUintN(64, word), true);
  });
  view.setBigUint64(CURSOR - POOL, BigInt(NOTES), true);
  return elfOf(text, data);
}

/** A file whose two segments lie in it as in memory, page by page, as a kernel wants it. */
function elfOf(text: Uint8Array, data: Uint8Array): Uint8Array {
  const dataAt = Math.ceil((HEADERS + text.length) / PAGE) * PAGE;
  const file = new Uint8Array(dataAt + data.length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  for (const [at, value] of [[16, 2], [18, 243], [52, 64], [54, 56], [56, 2], [58, 64]] as const) {
    view.setUint16(at, value, true);
  }
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(TEXT), true);
  view.setBigUint64(32, 64n, true);
  // e_flags: compressed instructions, double-precision calls.
  view.setUint32(48, 5, true);
  const segment = (at: number, flags: number, offset: number, address: number, size: number) => {
    view.setUint32(at, 1, true);
    view.setUint32(at + 4, flags, true);
    [offset, address, address, size, size, PAGE].forEach((value, k) =>
      view.setBigUint64(at + 8 + 8 * k, BigInt(value), true)
    );
  };
  segment(64, 5, 0, START, HEADERS + text.length);
  segment(120, 6, dataAt, POOL, data.length);
  file.set(text, HEADERS);
  file.set(data, dataAt);
  return file;
}

/** Runs a program on the reference. */
export async function runGuest(
  write: (guest: GuestText) => void,
  options: MachineOptions = {},
): Promise<GuestRun> {
  const out: Uint8Array[] = [], err: Uint8Array[] = [];
  const warnings: string[] = [];
  const machine = createMachine(buildGuest(write), {
    engine: "ref",
    stdout: (data) => void out.push(data.slice()),
    stderr: (data) => void err.push(data.slice()),
    warn: (line) => void warnings.push(line),
    ...options,
  });
  const outcome = await machine.run({ limit: 1_000_000n });
  const stderr = err.map((data) => new TextDecoder().decode(data)).join("");
  return { outcome, notes: wordsOf(join(out)), stderr, warnings };
}

/** Whether QEMU is here to be asked. */
export const hasQemu: boolean = !await missingTool("qemu-riscv64");

/** The notes of a program that QEMU ran, and its exit code. */
export async function askQemu(
  write: (guest: GuestText) => void,
): Promise<{ notes: readonly bigint[]; code: number }> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeFile(file, buildGuest(write), { mode: 0o755 });
    const { stdout, code } = await new Deno.Command("qemu-riscv64", {
      args: [file],
      clearEnv: true,
    }).output();
    return { notes: wordsOf(stdout), code };
  } finally {
    await Deno.remove(file);
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function wordsOf(bytes: Uint8Array): readonly bigint[] {
  return [...new BigInt64Array(bytes.slice(0, bytes.length - bytes.length % 8).buffer)];
}
