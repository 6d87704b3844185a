import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { assemble } from "../../lib/isa/asm.ts";
import { RV64 } from "../../lib/isa/decode.ts";
import { disassemble } from "../../lib/isa/disasm.ts";
import { parseElf } from "../../lib/program/elf.ts";
import { createRandom } from "../engine/random.ts";
import { programFile } from "../fixtures/expected.ts";
import { dumpBytes, dumpFile, present, TEXT_ADDRESS } from "./objdump.ts";
import { OBJDUMP_EXCEPTIONS } from "./objdump_exceptions.ts";

const ready = present();

interface Encoded {
  readonly bits: number;
  readonly bytes: 2 | 4;
}

/** Text without what objdump adds for people: symbols and comments. */
function plain(text: string): string {
  return text.replace(/ <[^>]*>$/, "").replace(/\s*#.*$/, "").trimEnd();
}

/** Whether two lines say the same; a target is a bare number where it has a symbol. */
function same(theirs: string, ours: string): boolean {
  return theirs === ours || theirs.replace(/\b([0-9a-f]+)$/, "0x$1") === ours;
}

/** Where our text differs from objdump's, without the exceptions. */
function mismatches(words: readonly Encoded[]): string[] {
  const text = new Uint8Array(words.reduce((total, { bytes }) => total + bytes, 0));
  const view = new DataView(text.buffer);
  const places: number[] = [];
  let at = 0;
  for (const { bits, bytes } of words) {
    places.push(at);
    if (bytes === 2) view.setUint16(at, bits, true);
    else view.setUint32(at, bits, true);
    at += bytes;
  }
  const lines = new Map(dumpBytes(text).map((line) => [line.address - TEXT_ADDRESS, line.text]));
  const wrong: string[] = [];
  words.forEach(({ bits }, k) => {
    const theirs = plain(lines.get(places[k]!) ?? "nothing");
    const ours = plain(disassemble(bits, BigInt(TEXT_ADDRESS + places[k]!)));
    const mnemonic = ours.split("\t")[0]!;
    const excepted = OBJDUMP_EXCEPTIONS.some((exception) =>
      exception.mnemonics.includes(mnemonic) && exception.theirs.test(theirs)
    );
    if (!same(theirs, ours) && !excepted) {
      wrong.push(`0x${bits.toString(16)}: ${ours}, objdump ${theirs}`);
    }
  });
  return wrong.slice(0, 20);
}

const halves: readonly Encoded[] = Array.from({ length: 65536 }, (_, bits) => ({
  bits,
  bytes: 2 as const,
})).filter(({ bits }) => (bits & 3) !== 3);

/** Words of every definition with random fields, and random words of 32 bits. */
function sample(seed: number, ofEach: number, others: number): Encoded[] {
  const random = createRandom(seed);
  const words: Encoded[] = [];
  for (const { pattern } of RV64.definitions) {
    if ((pattern.match & 3) !== 3) continue;
    for (let k = 0; k < ofEach; k++) {
      const free = Number(random.bits(32)) & ~pattern.mask;
      words.push({ bits: (pattern.match | free) >>> 0, bytes: 4 });
    }
  }
  for (let k = 0; k < others; k++) {
    const bits = (Number(random.bits(32)) | 3) >>> 0;
    // Five ones are the prefix of instructions of 48 bits and more.
    if ((bits & 31) !== 31) words.push({ bits, bytes: 4 });
  }
  return words;
}

Deno.test({
  name: "disassemble() prints every 16-bit word as objdump does (needs binutils)",
  ignore: !ready,
  fn: () => assertEquals(mismatches(halves), []),
});

Deno.test({
  name: "disassemble() prints a sample of 32-bit words as objdump does (needs binutils)",
  ignore: !ready,
  fn: () => assertEquals(mismatches(sample(1, 150, 40_000)), []),
});

Deno.test({
  name: "disassemble() prints a whole static program as objdump does (needs binutils)",
  ignore: !ready,
  async fn() {
    const elf = parseElf(await Deno.readFile(programFile("calls_p84")));
    const wrong: string[] = [];
    const lines = dumpFile(fromFileUrl(programFile("calls_p84")));
    for (const { address, text } of lines) {
      const segment = elf.segments.find((each) =>
        Number(each.address) <= address && address < Number(each.address) + each.data.length
      )!;
      const { data } = segment;
      const at = address - Number(segment.address);
      const half = data[at]! | (data[at + 1]! << 8);
      const bits = (half & 3) === 3
        ? (half | (data[at + 2]! << 16) | (data[at + 3]! << 24)) >>> 0
        : half;
      const ours = disassemble(bits, BigInt(address));
      const theirs = plain(text);
      // Data between functions is not always cut where we would cut it.
      if (!same(theirs, ours) && !theirs.startsWith(".")) wrong.push(`${ours}, objdump ${theirs}`);
    }
    assertEquals(lines.length > 50_000, true);
    assertEquals(wrong.slice(0, 20), []);
  },
});

Deno.test("assemble() gives the bits back wherever the text carries all of them", () => {
  const wrong: string[] = [];
  const origin = 0x80000000n; // so far up that no target wraps
  /** Bits that their text does not show: reserved fields, and a rounding mode that is ignored. */
  const silent = ["fence", "fence.i", "fcvt.d.w", "fcvt.d.wu", "fcvt.d.s"];
  for (const { bits, bytes } of [...halves, ...sample(2, 40, 0)]) {
    const text = disassemble(bits, origin);
    if (text.startsWith(".") || text.includes("unknown")) continue;
    if (bytes === 4 && silent.includes(RV64.decode(bits).definition.name)) continue;
    const assembly = assemble(text, { origin });
    const view = new DataView(assembly.bytes.buffer, assembly.bytes.byteOffset);
    const back = assembly.bytes.length === 2 ? view.getUint16(0, true) : view.getUint32(0, true);
    if (back !== bits) wrong.push(`${text}: 0x${bits.toString(16)} became 0x${back.toString(16)}`);
  }
  assertEquals(wrong.slice(0, 20), []);
});
