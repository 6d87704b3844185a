/**
 * Firmware with as many functions as a captured kernel had, and of those names that its capture
 * `filter_behaviour` shows, so that each of its patterns matches as many functions as it did there.
 *
 * The capture shows four names and a count of each answer. Whatever else the kernel's functions were
 * called is made up here: enough names that match one pattern and no other, and then names that
 * match none.
 *
 * @module
 */
import { assemble } from "../../lib/isa/asm.ts";
import { buildElf, words64 } from "../program/elf_builder.ts";

/** One write of a capture, and what came of it. */
export interface CapturedWrite {
  readonly text: string;
  readonly file: string;
  /** The file's lines that are no comments. */
  readonly count: number;
  readonly refused: boolean;
  /** The first four lines. */
  readonly shown: readonly string[];
}

/** The `--- echo` steps of a capture. */
export function readWrites(capture: string): readonly CapturedWrite[] {
  return [...capture.matchAll(
    /^--- echo '(.*)' > (\S+)\n(sh: .*\n)?rc=\d count=(\d+) : (.*)$/gm,
  )].map(([, text, file, refused, count, shown]) => ({
    text: text!,
    file: file!,
    count: Number(count),
    refused: refused !== undefined,
    shown: shown!.split("|").filter((line) => line !== ""),
  }));
}

/** Names of functions that give what the capture shows, in order of address. */
export function worldNames(capture: string, vfs: readonly string[]): readonly string[] {
  const writes = readWrites(capture);
  const of = (text: string) => writes.find((each) => each.text === text)!;
  const all = of("*").count;
  const at = new Map<number, string>();
  for (const { text, shown } of writes) {
    const numbers = /^\d+( \d+)*$/.test(text) ? text.split(" ").map(Number) : [];
    numbers.forEach((number, k) => shown[k] && at.set(number, shown[k]));
  }
  // Probes are below the functions that these names have, and were counted with them.
  const repeated = ["__riscv_sys_old_shmctl", "type_show"].flatMap((name) =>
    Array<string>(of(name).count - 7).fill(name)
  );
  const firsts = ["*", "*read*:mod:!*", "*_read", "*sys_re*", "a*b*c"].flatMap((text) =>
    of(text).shown
  );
  const last = of("k*_read").shown;
  const named = [...inOrder(firsts, writes), ...vfs, ...last, ...repeated];
  const have = (matches: (name: string) => boolean) =>
    [...named, ...at.values()].filter(matches).length;
  const fill = (text: string, matches: RegExp, make: (k: number) => string) => {
    const missing = of(text).count - have((name) => matches.test(name));
    if (missing < 0) throw new RangeError(`Cannot make a world: ${text} matches too much`);
    for (let k = 0; k < missing; k++) named.push(make(k));
  };
  fill("k*_read", /^k.*_read$/, (k) => `k${k}_read`);
  fill("*_read", /_read$/, (k) => `made${k}_read`);
  fill("*sys_re*", /sys_re/, (k) => `made${k}sys_remap`);
  fill("*read*:mod:!*", /read/, (k) => `made${k}readx`);
  fill("a*b*c", /^a.*b.*c$/, (k) => `a${k}bxc`);
  const names: string[] = [];
  const rest = named.filter((name) => ![...at.values()].includes(name) || name === "type_show");
  for (let k = 1; k <= all; k++) {
    names.push(at.get(k) ?? rest.shift() ?? `made${k}`);
  }
  if (rest.length > 0) throw new RangeError(`Cannot make a world: no room for ${rest.join(" ")}`);
  return names;
}

/** The names, each as often as one answer shows it, ordered so that each answer's order holds. */
function inOrder(names: readonly string[], writes: readonly CapturedWrite[]): readonly string[] {
  const often = new Map<string, number>();
  for (const name of new Set(names)) {
    const most = writes.map(({ shown }) => shown.filter((each) => each === name).length);
    often.set(name, Math.max(...most));
  }
  return [...often].flatMap(([name, count]) => Array<string>(count).fill(name));
}

const ORIGIN = 0x80000000n;
/** Behind the text, far from it; trampolines need a stack. */
const STACK = ORIGIN + 0x4000000n;
const STRIDE = 24;
const C_NOP = 0x0001;
const C_RET = 0x8082;

/** Firmware with functions of these names; it calls `called` one after the other, for ever. */
export function buildWorld(names: readonly string[], called: readonly string[]): Uint8Array {
  const start = 256;
  const text = new Uint8Array(start + names.length * STRIDE);
  const view = new DataView(text.buffer);
  const entry = (k: number) => start + k * STRIDE + 8;
  names.forEach((_, k) => {
    for (let at = -8; at < 8; at += 2) view.setUint16(entry(k) + at, C_NOP, true);
    view.setUint16(entry(k) + 8, C_RET, true);
  });
  const calls = called.map((name) => {
    const target = ORIGIN + BigInt(entry(names.indexOf(name)));
    return `li t1, ${target}\njalr ra, 0(t1)`;
  });
  const { bytes } = assemble(["_start:", `li sp, ${STACK}`, "1:", ...calls, "j 1b"].join("\n"), {
    origin: ORIGIN,
  });
  if (bytes.length > start - 8) throw new RangeError("Cannot build the world: too many calls");
  text.set(bytes);
  return buildElf({
    entry: ORIGIN,
    segments: [{ address: ORIGIN, data: text }],
    sections: [
      { name: ".text", address: ORIGIN, size: BigInt(text.length) },
      {
        name: "__patchable_function_entries",
        address: 0x1000n,
        data: words64(...names.map((_, k) => ORIGIN + BigInt(entry(k) - 8))),
      },
    ],
    symbols: [
      { name: "_start", address: ORIGIN, size: BigInt(bytes.length) },
      ...names.map((name, k) => ({ name, address: ORIGIN + BigInt(entry(k)), size: 10n })),
    ],
  }).bytes;
}
