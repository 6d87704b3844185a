/**
 * The words of a call site, and how they are switched: four schemes.
 *
 * In the two older ones a site is a pair of words that change together, so no hart may be between
 * them. In the two newer ones the first word is fixed at load and one aligned store of the second
 * switches the site, which a hart sees entirely or not at all (`arch/riscv/kernel/ftrace.c` of 6.9,
 * 6.12 and 7.2).
 *
 * Who writes the words is `patcher.ts`; what they call is `lib/trampoline`.
 *
 * @module
 */
import { RV64 } from "../isa/decode.ts";
import { insert } from "../isa/encoding.ts";

/** The name of a scheme; an era says which is its own. */
export type SchemeName = "regs" | "args" | "preset" | "call-ops";

/** What a switched site leads to. */
export interface Target {
  /** Address of the trampoline. */
  readonly caller: bigint;
  /** Guest address of the `struct ftrace_ops` that a literal names. */
  readonly ops: bigint;
}

/** A store to guest text: 4 or 8 bytes, in one piece. */
export interface Write {
  /** Address of the first byte stored. */
  readonly address: bigint;
  /** The bytes to store from that address on. */
  readonly bytes: Uint8Array;
  /** Which fence the kernel makes after it, besides those at the end of the update. */
  readonly fence: "none" | "local" | "remote";
}

/** What of a site decides whether a scheme can switch it. */
export interface Site {
  /** Address of the function's first instruction. */
  readonly entry: bigint;
  /** Bytes of nop before the function's entry. */
  readonly before: number;
  /** Bytes of nop from the function's entry on. */
  readonly after: number;
}

/** How the instructions of a site look and in which steps they are switched. */
export interface SiteScheme {
  /** Name of the scheme, for reports. */
  readonly name: SchemeName;
  /** Bytes that ftrace owns at `ip` (`MCOUNT_INSN_SIZE`). */
  readonly mcountInsnSize: 8 | 4;
  /** Whether harts must be parked while a site changes. */
  readonly parks: boolean;
  /** Fences at the end of an update: none more, one local one on each hart, or one remote one. */
  readonly fencesAtEnd: "none" | "each-hart" | "remote";
  /** Whether a literal before the function names the ops. */
  readonly literal: boolean;
  /** The site as the kernel names it (`ftrace_call_adjust`). */
  ip(entry: bigint): bigint;
  /** The function behind a site (`arch_ftrace_get_symaddr`). */
  entryOf(ip: bigint): bigint;
  /** Why this scheme cannot switch a site, or undefined if it can. */
  needs(
    site: Site,
    caller: bigint,
  ): "site-too-small" | "misaligned" | "no-literal" | "out-of-reach" | undefined;
  /** The stores of `ftrace_init_nop`, which turn the compiler's nops into a site that is off. */
  initial(entry: bigint, target: Target): readonly Write[];
  /** The stores of `ftrace_make_call`, in order, which switch a site on. */
  makeCall(entry: bigint, target: Target): readonly Write[];
  /**
   * The stores of `ftrace_make_nop`, in order, which switch a site off. `nop` names the ops that
   * does nothing.
   */
  makeNop(entry: bigint, nop: Target): readonly Write[];
  /** What `ftrace_modify_call` expects to find at the entry before it writes. */
  expected(entry: bigint, current: Target): Uint8Array;
}

/** `addi x0, x0, 0`. */
export const NOP4: number = RV64.assemble("addi zero, zero, 0");

const AUIPC = RV64.named("auipc").pattern;
const JALR = RV64.named("jalr").pattern;
const NUMBERS = { ra: 1, t0: 5 } as const;

/** The two words of `auipc REG, hi; jalr REG, lo(REG)` from `at` to `target`. */
export function callPair(
  register: "t0" | "ra",
  at: bigint,
  target: bigint,
): readonly [number, number] {
  const offset = Number(BigInt.asIntN(32, target - at));
  const low = offset << 20 >> 20;
  const rd = NUMBERS[register];
  return [
    insert(AUIPC, { rd, imm: (offset - low) | 0 }),
    insert(JALR, { rd, rs1: rd, imm: low }),
  ];
}

/** Whether the pair reaches: −2^31 − 2^11 up to 2^31 − 2^11 − 1 bytes from the auipc. */
export function pairReaches(at: bigint, target: bigint): boolean {
  const offset = target - at;
  return offset >= -(2n ** 31n) - 2n ** 11n && offset < 2n ** 31n - 2n ** 11n;
}

/** 32-bit words as bytes of guest text. */
export function wordBytes(...words: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(words.length * 4);
  const view = new DataView(bytes.buffer);
  words.forEach((word, k) => view.setUint32(k * 4, word, true));
  return bytes;
}

const NOP_BYTES = wordBytes(NOP4);

/** The ops that a literal named last, as most sites of one update name the same. */
let lastLiteral = { ops: 0n, bytes: wordBytes(0, 0) };

function literalBytes(ops: bigint): Uint8Array {
  if (lastLiteral.ops !== ops) {
    const [low, high] = [ops, ops >> 32n].map((half) => Number(BigInt.asUintN(32, half)));
    lastLiteral = { ops, bytes: wordBytes(low!, high!) };
  }
  return lastLiteral.bytes;
}

const bytesOf = (word: number): Uint8Array => word === NOP4 ? NOP_BYTES : wordBytes(word);

type Fence = Write["fence"];

/** Two words that change together; harts are parked. */
function twoWords(
  name: SchemeName,
  fence: Fence,
  fencesAtEnd: SiteScheme["fencesAtEnd"],
): SiteScheme {
  const both = (entry: bigint, words: readonly number[]): readonly Write[] =>
    words.map((word, k) => ({
      address: entry + BigInt(k * 4),
      bytes: bytesOf(word),
      fence: k === 1 ? fence : "none",
    }));
  const nops = (entry: bigint) => both(entry, [NOP4, NOP4]);
  return {
    name,
    mcountInsnSize: 8,
    parks: true,
    fencesAtEnd,
    literal: false,
    ip: (entry) => entry,
    entryOf: (ip) => ip,
    needs(site, caller) {
      if (site.after < 8) return "site-too-small";
      return pairReaches(site.entry, caller) ? undefined : "out-of-reach";
    },
    initial: nops,
    makeCall: (entry, { caller }) => both(entry, callPair("t0", entry, caller)),
    makeNop: nops,
    expected: (entry, { caller }) => wordBytes(...callPair("t0", entry, caller)),
  };
}

/** One word that changes by one aligned store, the auipc before it fixed. */
function oneWord(name: SchemeName, literal: boolean): SiteScheme {
  /** Every change of a literal is fenced remotely, before the word that makes use of it. */
  const nameOps = (entry: bigint, ops: bigint): readonly Write[] =>
    literal ? [{ address: entry - 8n, bytes: literalBytes(ops), fence: "remote" }] : [];
  const second = (entry: bigint, word: number): Write => ({
    address: entry + 4n,
    bytes: bytesOf(word),
    fence: "local",
  });
  return {
    name,
    mcountInsnSize: 4,
    parks: false,
    fencesAtEnd: "remote",
    literal,
    ip: (entry) => entry + 4n,
    entryOf: (ip) => ip - 4n,
    needs(site, caller) {
      if (site.after < 8) return "site-too-small";
      if (literal && site.before < 8) return "no-literal";
      if (site.entry % (literal ? 8n : 4n) !== 0n) return "misaligned";
      return pairReaches(site.entry, caller) ? undefined : "out-of-reach";
    },
    initial(entry, { caller, ops }) {
      const [auipc] = callPair("t0", entry, caller);
      return [...nameOps(entry, ops), {
        address: entry,
        bytes: wordBytes(auipc, NOP4),
        fence: "none",
      }];
    },
    makeCall(entry, { caller, ops }) {
      return [...nameOps(entry, ops), second(entry, callPair("t0", entry, caller)[1])];
    },
    makeNop: (entry, nop) => [...nameOps(entry, nop.ops), second(entry, NOP4)],
    expected: (entry, { caller }) => wordBytes(callPair("t0", entry, caller)[0]),
  };
}

/** Every scheme by its name. */
export const SCHEMES: Readonly<Record<SchemeName, SiteScheme>> = {
  // 6.9 asks for a remote fence.i at every site; 6.12 has each hart run one when all are done.
  regs: twoWords("regs", "remote", "none"),
  args: twoWords("args", "local", "each-hart"),
  preset: oneWord("preset", false),
  "call-ops": oneWord("call-ops", true),
};
