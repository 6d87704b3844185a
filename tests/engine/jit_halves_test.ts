/**
 * Registers that a region keeps as their low half, or as all of it, and brings from one to the other
 * between blocks, round loops and at exits.
 *
 * The programs are random loops of word instructions and others on few or on many registers, which
 * walk towards memory that they may not write. They are stopped at many places, so that exits and
 * the questions at loop headers are taken, and compared with the reference.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { createJit } from "../../lib/engine/jit/jit.ts";
import { createReference } from "../../lib/engine/reference/reference.ts";
import { assemble } from "../../lib/isa/asm.ts";
import { PAGE_SIZE } from "../../lib/memory/page.ts";
import { CODE, createGuest, DATA, differences, type Guest, resetGuest, stateOf } from "./guest.ts";
import { createRandom, type Random } from "./random.ts";

/** Behind it one may only read. */
const END = DATA + 2 * PAGE_SIZE;
/** Programs of each kind; `deno task test:long` tries more. */
const PROGRAMS = Deno.env.get("HARTRACE_LONG") ? 60 : 10;
const STOPS = 16;

const WORDS = ["addw", "subw", "sllw", "srlw", "sraw", "mulw", "divuw", "remw"];
const WHOLES = ["add", "sub", "and", "or", "xor", "slt", "sltu", "sll", "srl", "mul", "mulhu"];
const WORD_SHIFTS = ["slliw", "srliw", "sraiw"];
const WITH_IMMEDIATE = ["addi", "andi", "ori", "xori", "slti", "sltiu", "addiw"];
const BRANCHES = ["beq", "bne", "blt", "bge", "bltu", "bgeu"];
const LOADS = ["lb", "lbu", "lh", "lhu", "lw", "lwu", "ld"];
const STORES = ["sb", "sh", "sw", "sd"];

/** A loop on as many registers besides its pointer and its count. */
function loopOf(random: Random, count: number): string {
  const names = Array.from({ length: count }, (_, at) => `x${at + 7}`);
  const register = () => random.below(12) === 0 ? "zero" : random.pick(names);
  const rd = () => random.pick(names);
  const immediate = () => random.below(4096) - 2048;
  const operation = (): string => {
    switch (random.below(9)) {
      case 0:
        return `${random.pick(WHOLES)} ${rd()}, ${register()}, ${register()}`;
      case 1:
        return `${random.pick(WORD_SHIFTS)} ${rd()}, ${register()}, ${random.below(32)}`;
      case 2:
        return `${random.pick(WITH_IMMEDIATE)} ${rd()}, ${register()}, ${immediate()}`;
      case 3:
        return `mv ${rd()}, ${register()}`;
      case 4:
        return `addiw ${rd()}, ${register()}, 0`;
      case 5:
        return `${random.pick(LOADS)} ${rd()}, ${-8 * random.below(8)}(x5)`;
      case 6:
        return `${random.pick(STORES)} ${register()}, ${random.pick([-16, -8, 0])}(x5)`;
      case 7:
        return `lui ${rd()}, ${random.below(1 << 20)}`;
      default:
        return `${random.pick(WORDS)} ${rd()}, ${register()}, ${register()}`;
    }
  };
  const operations = () => Array.from({ length: 1 + random.below(count) }, operation);
  const lines = [
    `lui x5, ${END / PAGE_SIZE}`,
    `addi x5, x5, ${-8 * (2 + random.below(10))}`,
    `li x6, ${2 + random.below(16)}`,
    ...operations(),
    "1:",
    ...operations(),
    `${random.pick(BRANCHES)} ${register()}, ${register()}, 2f`,
    ...operations(),
    ...random.below(3) === 0 ? [`${random.pick(BRANCHES)} ${register()}, ${register()}, 3f`] : [],
    ...random.below(2) === 0 ? ["2:", ...operations()] : [...operations(), "2:"],
    "addi x5, x5, 8",
    "addiw x6, x6, -1",
    "bnez x6, 1b",
    "3:",
    ...operations(),
    "ebreak",
  ];
  return lines.join("\n");
}

function begin(guest: Guest, bytes: Uint8Array, seed: number): void {
  const random = createRandom(seed);
  resetGuest(guest);
  guest.memory.poke(CODE, bytes);
  // What was fetched ahead of the last program is not to be taken for this one's.
  guest.hart.fetched.drop();
  for (let register = 7; register < 32; register++) {
    guest.hart.x[register] = BigInt.asIntN(random.pick([8, 32, 33, 64]), random.bits(64));
  }
}

for (const [registers, kind] of [[4, "few"], [10, "some"], [24, "many"]] as const) {
  Deno.test(`run() leaves loops on ${kind} registers as the reference does, wherever it stops`, () => {
    const reference = createGuest(createReference);
    const jits = [0, 1].map((jitThreshold) =>
      createGuest((memory) => createJit(memory, { jitThreshold }))
    );
    for (let seed = 1; seed <= PROGRAMS; seed++) {
      const random = createRandom(seed * 64 + registers);
      const source = loopOf(random, registers);
      const { bytes } = assemble(source, { origin: BigInt(CODE) });
      begin(reference, bytes, seed);
      reference.engine.run(reference.hart, 5_000n);
      const length = Number(reference.hart.instret);
      for (let stop = 0; stop < STOPS; stop++) {
        // The first runs fetch all of it, what is compiled then is there in the others.
        const limit = BigInt(stop < 2 ? length + 2 : 1 + random.below(length + 2));
        begin(reference, bytes, seed);
        const expected = stateOf(reference, reference.engine.run(reference.hart, limit));
        for (const jit of jits) {
          begin(jit, bytes, seed);
          const found = stateOf(jit, jit.engine.run(jit.hart, limit));
          const where = `program ${seed}, ${limit} instructions:\n${source}`;
          assertEquals(differences(found, expected), [], where);
        }
      }
    }
  });
}
