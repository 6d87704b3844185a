/**
 * The trampolines: real RV64 code for the tracing range, one set for each scheme.
 *
 * Instruction for instruction what the pinned kernels execute (`arch/riscv/kernel/mcount-dyn.S`):
 * the frame, the four arguments of the callback, the restores and the way out through a direct
 * trampoline. A place where the kernel calls C holds a host call of one instruction instead.
 *
 * Layouts are `frame.ts`; how a hart is served at a host call is `lib/ftrace`.
 *
 * @module
 */
import { assemble } from "../isa/asm.ts";
import {
  ARGS_FRAME,
  ARGS_RETURN,
  CALL_OPS_FRAME,
  CALL_OPS_RETURN,
  type FrameLayout,
  REGS_CALLER_FRAME,
  REGS_FRAME,
  type ReturnLayout,
  SHORT_RETURN,
} from "./frame.ts";
import { LIST_FUNC_SOURCE } from "./list_func.ts";
import { OPS_DIRECT_CALL, OPS_FUNC } from "./ops_struct.ts";
import { type Poison, poisonedExit } from "./poison.ts";

/** The name of a set of trampolines; an era says which is its own. */
export type TrampolineName = "regs" | "args" | "preset" | "call-ops";

/** Guest addresses of the trampolines' labels. */
export interface TrampolineSymbols {
  /** `ftrace_caller`, which a switched site calls. */
  readonly ftrace_caller: bigint;
  /** Where a site leads whose users want full registers. */
  readonly ftrace_regs_caller: bigint | undefined;
  /** A function that does nothing. */
  readonly ftrace_stub: bigint;
  /** A direct trampoline that does nothing. */
  readonly ftrace_stub_direct_tramp: bigint;
  /** The patchable pair in `ftrace_caller`. */
  readonly ftrace_call: bigint | undefined;
  /** The patchable pair in `ftrace_regs_caller`. */
  readonly ftrace_regs_call: bigint | undefined;
  /** `return_to_handler`, which a hooked ra holds. */
  readonly return_to_handler: bigint;
  /** Behind its last instruction: what ra holds after it. */
  readonly return_to_handler_end: bigint;
  /** The host call in place of the C function. */
  readonly ftrace_return_to_handler: bigint;
  /** Calls every ops that wants the site. */
  readonly ftrace_ops_list_func: bigint;
  /** The address in the list function that an ops returns to. */
  readonly ftrace_ops_list_back: bigint;
  /** Calls one ops under the recursion lock. */
  readonly ftrace_ops_assist_func: bigint;
  /** The address in the assist function that the ops returns to. */
  readonly ftrace_ops_assist_back: bigint;
  /** Host call: takes the recursion lock, a0 = bit or −1. */
  readonly ftrace_test_recursion_trylock: bigint;
  /** Host call: releases the recursion bit in a0. */
  readonly ftrace_test_recursion_unlock: bigint;
  /** First address behind the list functions. */
  readonly ftrace_list_func_end: bigint;
}

/** Instructions that a way through a trampoline retires. */
export interface PathCost {
  /** Instructions up to the host call, which is counted. */
  readonly before: number;
  /** Instructions after the host call, with the jump that resumes the function. */
  readonly after: number;
}

/** A set of trampolines, assembled. */
export interface Trampolines {
  /** Address of the first byte. */
  readonly origin: bigint;
  /** The assembled instructions. */
  readonly bytes: Uint8Array;
  /** Guest addresses of the labels. */
  readonly symbols: TrampolineSymbols;
  /** Guest addresses of the words that the trampolines load. */
  readonly data: {
    /** The word that holds the ops that the callback gets. */
    readonly function_trace_op: bigint | undefined;
    /** The word that holds the address of the callback. */
    readonly ftrace_call_dest: bigint | undefined;
    /** The word that holds the head of the list of ops. */
    readonly ftrace_ops_list: bigint;
  };
  /** Layout of the frame that `ftrace_caller` builds. */
  readonly frame: FrameLayout;
  /** Layout of the frame that `ftrace_regs_caller` builds, where the era has it. */
  readonly regsFrame: FrameLayout | undefined;
  /** Layout of the frame that `return_to_handler` builds. */
  readonly returnFrame: ReturnLayout;
  /** From ip to t0 as a site leaves it (`FENTRY_RA_OFFSET`, `MCOUNT_INSN_SIZE`). */
  readonly ipOffset: number;
  /** Whether `ftrace_caller` returns with the stack pointer in t4. */
  readonly clobbersT4: boolean;
  /**
   * Whether `ftrace_caller` stores 0 or a direct trampoline's address in the slot of t1, and leaves
   * by t1 if that is not 0 in the end. If not, it keeps t1.
   */
  readonly leavesByT1: boolean;
  /** The registers that the trampolines overwrite on the way back to a function. */
  readonly poison: Poison;
  /** Instructions that each trampoline retires. */
  readonly cost: {
    /** For a call through `ftrace_caller`. */
    readonly caller: PathCost;
    /** For a call through `ftrace_regs_caller`, where the era has it. */
    readonly regsCaller: PathCost | undefined;
    /** For a return through `return_to_handler`. */
    readonly returnToHandler: PathCost;
  };
}

const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, k) => from + k);
const saveArguments = (a0: number) => range(0, 7).map((n) => `sd a${n}, ${a0 + 8 * n}(sp)`);
const loadArguments = (a0: number) => range(0, 7).map((n) => `ld a${n}, ${a0 + 8 * n}(sp)`);

/** The callback's arguments, where one word for all sites holds the ops. */
const globalArguments = (ipOffset: number) => [
  `addi a0, t0, -${ipOffset}`,
  "1: auipc a1, %pcrel_hi(function_trace_op)",
  "addi a1, a1, %pcrel_lo(1b)",
  "ld a2, 0(a1)",
  "mv a1, ra",
  "mv a3, sp",
];

/** A pair that is patched later; it calls the stub until then. */
const patchablePair = (
  label: string,
) => [`${label}:`, "auipc ra, %pcrel_hi(ftrace_stub)", `jalr ra, %pcrel_lo(${label})(ra)`];
/** Back to the function, or to a direct trampoline; a label says where the first way ends. */
const leave = (name: string) => ["bnez t1, 2f", "jr t0", `${name}_end:`, "2: jr t1"];

/** What an ARGS trampoline stores below sp, t4 or a0 aside, and loads again. */
const saveAbi = ["sd t0, 0(sp)", "sd ra, 8(sp)", "sd s0, 24(sp)", "sd t1, 32(sp)"];
const loadAbi = ["ld t0, 0(sp)", "ld ra, 8(sp)", "ld s0, 24(sp)", "ld t1, 32(sp)"];

/** `ftrace_caller` of 6.10 to 6.15. */
function argsCaller(): string[] {
  return [
    "ftrace_caller:",
    "mv t1, zero",
    "mv t4, sp",
    "addi sp, sp, -112",
    "sd t0, 0(sp)",
    "sd ra, 8(sp)",
    "sd t4, 16(sp)",
    "sd s0, 24(sp)",
    "sd t1, 32(sp)",
    ...saveArguments(40),
    ...globalArguments(8),
    ...patchablePair("ftrace_call"),
    "ftrace_caller_back:",
    ...loadAbi,
    ...loadArguments(40),
    "addi sp, sp, 112",
    ...leave("ftrace_caller"),
  ];
}

/** What `ftrace_caller` stores from 6.16 on. */
const saveFregs = (a0: number) => [
  "addi sp, sp, -112",
  ...saveAbi,
  ...saveArguments(a0),
  "mv a0, sp",
  "addi a0, a0, 112",
  "sd a0, 16(sp)",
];

/** `ftrace_caller` of 7.2 without CALL_OPS, which has no direct calls: t1 is kept. */
function presetCaller(): string[] {
  return [
    "ftrace_caller:",
    ...saveFregs(40),
    ...globalArguments(4),
    "3: auipc ra, %pcrel_hi(ftrace_call_dest)",
    "ld ra, %pcrel_lo(3b)(ra)",
    "jalr ra, 0(ra)",
    "ftrace_caller_back:",
    ...loadAbi,
    ...loadArguments(40),
    "addi sp, sp, 112",
    "jr t0",
    "ftrace_caller_end:",
  ];
}

/** `ftrace_caller` of 7.2: the ops comes from the literal at t0 − 16. */
function callOpsCaller(): string[] {
  return [
    "ftrace_caller:",
    "ld t1, -16(t0)",
    `ld t1, ${OPS_DIRECT_CALL}(t1)`,
    "bnez t1, 2f",
    ...saveFregs(48),
    "addi a0, t0, -4",
    "mv a1, ra",
    "ld a2, -16(t0)",
    `ld ra, ${OPS_FUNC}(a2)`,
    "mv a3, sp",
    "jalr ra, 0(ra)",
    "ftrace_caller_back:",
    ...loadAbi,
    ...loadArguments(48),
    "addi sp, sp, 112",
    ...leave("ftrace_caller"),
  ];
}

/** Source of both trampolines of 6.9, with `pt_regs` as their frame. */
function regsCallers(): string[] {
  // t0 is stored twice: as itself, and as epc, from where it is loaded.
  const leftover = (op: string, first: readonly number[]) =>
    [...first, 6, 7, 8, 9, ...range(18, 31)].map((n) => `${op} x${n}, ${8 * n}(sp)`);
  const save = ["addi sp, sp, -288", "sd t0, 0(sp)", "sd ra, 8(sp)", ...saveArguments(80)];
  const load = ["ld t0, 0(sp)", "ld ra, 8(sp)", ...loadArguments(80)];
  return [
    "ftrace_regs_caller:",
    "mv t1, zero",
    ...save,
    ...leftover("sd", [2, 3, 4, 5]),
    ...globalArguments(8),
    ...patchablePair("ftrace_regs_call"),
    "ftrace_regs_caller_back:",
    ...load,
    ...leftover("ld", [2, 3, 4]),
    "addi sp, sp, 288",
    ...leave("ftrace_regs_caller"),
    "ftrace_caller:",
    ...save,
    "sd s0, 64(sp)",
    ...globalArguments(8),
    ...patchablePair("ftrace_call"),
    "ftrace_caller_back:",
    ...load,
    "ld s0, 64(sp)",
    "addi sp, sp, 288",
    "jr t0",
    "ftrace_caller_end:",
  ];
}

/** `return_to_handler` with its frame; the C function gives the address to go on at. */
function returnToHandler(layout: ReturnLayout): string[] {
  const { size, ra, s0, a0, a1 } = layout;
  const saveLinks = [`sd ra, ${ra}(sp)`, `sd s0, ${s0}(sp)`];
  return [
    "return_to_handler:",
    `addi sp, sp, -${size}`,
    ...(layout === SHORT_RETURN ? saveLinks.toReversed() : saveLinks),
    `sd a0, ${a0}(sp)`,
    `sd a1, ${a1}(sp)`,
    `addi s0, sp, ${size}`,
    "mv a0, sp",
    "4: auipc ra, %pcrel_hi(ftrace_return_to_handler)",
    "jalr ra, %pcrel_lo(4b)(ra)",
    "return_to_handler_back:",
    "mv a2, a0",
    `ld ra, ${ra}(sp)`,
    `ld s0, ${s0}(sp)`,
    `ld a0, ${a0}(sp)`,
    `ld a1, ${a1}(sp)`,
    `addi sp, sp, ${size}`,
    "jalr ra, 0(a2)",
    "return_to_handler_end:",
  ];
}

interface Form {
  readonly callers: () => string[];
  readonly frame: FrameLayout;
  readonly regsFrame: FrameLayout | undefined;
  readonly returnFrame: ReturnLayout;
  readonly ipOffset: number;
  readonly words: readonly ("function_trace_op" | "ftrace_call_dest")[];
  readonly clobbersT4: boolean;
  readonly leavesByT1: boolean;
}

const ARGS_FORM: Form = {
  callers: argsCaller,
  frame: ARGS_FRAME,
  regsFrame: undefined,
  returnFrame: ARGS_RETURN,
  ipOffset: 8,
  words: ["function_trace_op"],
  clobbersT4: true,
  leavesByT1: true,
};

const FORMS: Readonly<Record<TrampolineName, Form>> = {
  regs: {
    ...ARGS_FORM,
    callers: regsCallers,
    frame: REGS_CALLER_FRAME,
    regsFrame: REGS_FRAME,
    returnFrame: SHORT_RETURN,
    clobbersT4: false,
    leavesByT1: false,
  },
  args: ARGS_FORM,
  preset: {
    ...ARGS_FORM,
    callers: presetCaller,
    ipOffset: 4,
    words: ["function_trace_op", "ftrace_call_dest"],
    clobbersT4: false,
    leavesByT1: false,
  },
  "call-ops": {
    ...ARGS_FORM,
    callers: callOpsCaller,
    frame: CALL_OPS_FRAME,
    returnFrame: CALL_OPS_RETURN,
    ipOffset: 4,
    words: [],
    clobbersT4: false,
  },
};

const NO_POISON: Poison = { x: [], f: [] };

/** Assembles a set for `origin`, its words at `dataOrigin`. */
export function buildTrampolines(
  name: TrampolineName,
  origin: bigint,
  dataOrigin: bigint,
  poison: Poison = NO_POISON,
): Trampolines {
  const form = FORMS[name];
  const ftrace_ops_list = dataOrigin + BigInt(8 * form.words.length);
  const words = Object.fromEntries(form.words.map((word, k) => [word, dataOrigin + BigInt(8 * k)]));
  const source = [
    ...form.callers().flatMap((line) => line === "jr t0" ? poisonedExit(poison) : [line]),
    "ftrace_stub:",
    "ret",
    "ftrace_stub_direct_tramp:",
    "jr t0",
    ...returnToHandler(form.returnFrame),
    "ftrace_return_to_handler:",
    ".word 0x0000000b",
    ...LIST_FUNC_SOURCE,
  ].join("\n");
  const named = { ...words, ftrace_ops_list };
  const { bytes, symbols, instructions } = assemble(source, { origin, symbols: named });
  const at = (label: string) => symbols.get(label);
  const must = (label: string) => {
    const address = at(label);
    if (address === undefined) {
      throw new RangeError(`Cannot build trampolines: ${label} is missing`);
    }
    return address;
  };
  const between = (from: string, to: string) =>
    instructions.filter(({ address }) => address >= must(from) && address < must(to)).length;
  /** With the host call, and the jump that resumes the function. */
  const path = (name: string): PathCost => ({
    before: between(name, `${name}_back`) + 1,
    after: between(`${name}_back`, `${name}_end`),
  });
  const regsCaller = at("ftrace_regs_caller");
  const stub = must("ftrace_stub");
  return {
    origin,
    bytes,
    symbols: {
      ftrace_caller: must("ftrace_caller"),
      ftrace_regs_caller: regsCaller,
      ftrace_stub: stub,
      ftrace_stub_direct_tramp: must("ftrace_stub_direct_tramp"),
      ftrace_call: at("ftrace_call"),
      ftrace_regs_call: at("ftrace_regs_call"),
      return_to_handler: must("return_to_handler"),
      return_to_handler_end: must("return_to_handler_end"),
      ftrace_return_to_handler: must("ftrace_return_to_handler"),
      ftrace_ops_list_func: must("ftrace_ops_list_func"),
      ftrace_ops_list_back: must("ftrace_ops_list_back"),
      ftrace_ops_assist_func: must("ftrace_ops_assist_func"),
      ftrace_ops_assist_back: must("ftrace_ops_assist_back"),
      ftrace_test_recursion_trylock: must("ftrace_test_recursion_trylock"),
      ftrace_test_recursion_unlock: must("ftrace_test_recursion_unlock"),
      ftrace_list_func_end: must("ftrace_list_func_end"),
    },
    data: {
      function_trace_op: words["function_trace_op"],
      ftrace_call_dest: words["ftrace_call_dest"],
      ftrace_ops_list,
    },
    frame: form.frame,
    regsFrame: form.regsFrame,
    returnFrame: form.returnFrame,
    ipOffset: form.ipOffset,
    clobbersT4: form.clobbersT4,
    leavesByT1: form.leavesByT1,
    poison,
    cost: {
      caller: path("ftrace_caller"),
      regsCaller: regsCaller === undefined ? undefined : path("ftrace_regs_caller"),
      returnToHandler: path("return_to_handler"),
    },
  };
}
