/**
 * `arch_rethook_trampoline`: where a function returns to whose return a kretprobe waits for.
 *
 * It saves `pt_regs` without sp and epc, calls C, takes the result for the return address, and
 * restores everything else (`arch/riscv/kernel/probes/rethook_trampoline.S`). The C function is a
 * host call. The frame is the one of `ftrace_regs_caller`.
 *
 * Who knows the return addresses is `lib/ftrace/returns`.
 *
 * @module
 */
import { assemble } from "../isa/asm.ts";
import { REGS_FRAME } from "./frame.ts";

/** The assembled code and labels of `arch_rethook_trampoline`. */
export interface RethookTrampoline {
  /** Text, from the first instruction on. */
  readonly bytes: Uint8Array;
  /** Address of the trampoline's first instruction: what a hooked ra holds. */
  readonly arch_rethook_trampoline: bigint;
  /** The host call in place of the C function: a0 is the frame, and then the return address. */
  readonly arch_rethook_trampoline_callback: bigint;
}

/** Assembles the trampoline for `origin`. */
export function buildRethookTrampoline(origin: bigint): RethookTrampoline {
  const { size } = REGS_FRAME;
  const registers = Array.from({ length: 31 }, (_, k) => k + 1).filter((n) => n !== 2);
  const { bytes, symbols } = assemble(
    [
      "arch_rethook_trampoline:",
      `addi sp, sp, -${size}`,
      ...registers.map((n) => `sd x${n}, ${8 * n}(sp)`),
      "mv a0, sp",
      "1: auipc ra, %pcrel_hi(arch_rethook_trampoline_callback)",
      "jalr ra, %pcrel_lo(1b)(ra)",
      "mv ra, a0",
      ...registers.filter((n) => n !== 1).map((n) => `ld x${n}, ${8 * n}(sp)`),
      `addi sp, sp, ${size}`,
      "ret",
      "arch_rethook_trampoline_callback:",
      ".word 0x0000000b",
    ].join("\n"),
    { origin },
  );
  return {
    bytes,
    arch_rethook_trampoline: symbols.get("arch_rethook_trampoline")!,
    arch_rethook_trampoline_callback: symbols.get("arch_rethook_trampoline_callback")!,
  };
}
