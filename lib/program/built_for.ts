/**
 * What a program was built for, as its file and its first instructions tell.
 *
 * Nothing in an ELF file says "firmware". What a Linux program's tools leave is certain; what is
 * reached from the entry without a pointer tells the rest: a privileged instruction is none that a
 * process may execute, and an ecall is how it speaks.
 *
 * What follows from it is `lib/machine/platforms.ts`.
 *
 * @module
 */
import { RV64 } from "../isa/decode.ts";
import type { Instruction } from "../isa/encoding.ts";
import { ENTRY_TRAIL, follow, type Trail } from "../isa/follow.ts";
import type { Elf } from "./elf.ts";

/** What speaks for one platform or the other, in words for "it has …". */
export interface BuiltFor {
  /** What only a Linux program has. */
  readonly linux: string | undefined;
  /** What only firmware has. */
  readonly bare: string | undefined;
  /** Whether an ecall is reached from the entry. */
  readonly calls: boolean;
}

const OSABI_LINUX = 3;
/** NT_GNU_ABI_TAG. */
const ABI_TAG = 1;
/** Most instructions that are looked at; of a program that has a mark of Linux's already. */
const MOST = 20_000, MOST_OF_MARKED = 100;
/** Bits 9 and 8 of a CSR's number: the lowest mode that may access it. */
const CSR_MODE = 0x300;

/** Looks at a program's headers, notes and first code. */
export function builtFor(elf: Elf): BuiltFor {
  const linux = linuxMark(elf);
  const { privileged, calls } = reachedCode(elf, linux === undefined ? MOST : MOST_OF_MARKED);
  return { linux, bare: privileged, calls };
}

function linuxMark({ interpreter, osAbi, notes }: Elf): string | undefined {
  if (interpreter !== undefined) return `the dynamic loader ${interpreter}`;
  if (osAbi === OSABI_LINUX) return "the OS ABI of Linux";
  const note = notes.find(({ owner, type }) =>
    (owner === "GNU" && type === ABI_TAG) || owner === "Go"
  );
  return note && `a note of ${note.owner === "Go" ? "Go" : "the C library's ABI"}`;
}

/** Follows jumps, branches and calls from the entry, as far as they name their target. */
function reachedCode(elf: Elf, most: number): { privileged: string | undefined; calls: boolean } {
  const waiting: [pc: bigint, trail: Trail][] = [[elf.entry, ENTRY_TRAIL]];
  const seen = new Set<bigint>();
  let calls = false;
  for (let next = waiting.shift(); next && seen.size < most; next = waiting.shift()) {
    let [pc, trail] = next;
    while (!seen.has(pc) && seen.size < most) {
      seen.add(pc);
      const instruction = instructionAt(elf, pc);
      if (!instruction || instruction.definition.name === "illegal") break;
      if (isPrivileged(instruction)) {
        const { name } = instruction.definition;
        return { privileged: `${name} at 0x${pc.toString(16)}`, calls };
      }
      calls ||= instruction.definition.name === "ecall";
      const { flow, target, trail: behind } = follow(instruction, pc, trail);
      if (target !== undefined) waiting.push([target, flow === "call" ? ENTRY_TRAIL : behind]);
      if (flow === "jump" || flow === "away") break;
      pc += BigInt(instruction.length);
      // What a function has left in registers is not known.
      trail = flow === "call" ? { ...ENTRY_TRAIL, saved: behind.saved } : behind;
    }
  }
  return { privileged: undefined, calls };
}

function instructionAt({ segments }: Elf, pc: bigint): Instruction | undefined {
  const segment = segments.find(({ address, data }) =>
    pc >= address && pc + 2n <= address + BigInt(data.length)
  );
  if (!segment || pc % 2n !== 0n) return undefined;
  const { data } = segment;
  const at = Number(pc - segment.address);
  const low = data[at]! | data[at + 1]! << 8;
  if ((low & 3) !== 3) return RV64.decode(low);
  if (at + 4 > data.length) return undefined;
  return RV64.decode((low | data[at + 2]! << 16 | data[at + 3]! << 24) >>> 0);
}

function isPrivileged({ definition: { name }, word }: Instruction): boolean {
  if (["mret", "sret", "wfi", "sfence.vma"].includes(name)) return true;
  return name.startsWith("csrr") && (word >>> 20 & CSR_MODE) !== 0;
}
