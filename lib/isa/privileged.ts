/**
 * Instructions of the privileged modes, and the two that are ours: `hostcall`, and what every word
 * means that is no instruction.
 *
 * Where a mode may not execute one it is illegal, and hostcall is so outside the tracing range: the
 * readings see to that.
 *
 * @module
 */
import { define, type Entry } from "./encoding.ts";
import { Cause } from "./sem.ts";

/** mret, sret, wfi, sfence.vma, hostcall and illegal. */
export const PRIVILEGED: readonly Entry[] = [
  define(
    "mret",
    "001100000010 00000 000 00000 1110011",
    "",
    (s) => s.returnFromTrap("M"),
  ),
  define(
    "sret",
    "000100000010 00000 000 00000 1110011",
    "",
    (s) => s.returnFromTrap("S"),
  ),
  define(
    "sfence.vma",
    "0001001 rs2 rs1 000 00000 1110011",
    "rs1,rs2",
    (s) => s.forgetTranslations(s.x("rs1"), s.x("rs2")),
  ),
  define(
    "wfi",
    "000100000101 00000 000 00000 1110011",
    "",
    (s) => s.wait(),
  ),
  // In custom-0, which the ISA leaves to implementations: asks the host for service `imm`.
  define(
    "hostcall",
    "imm[11:0] 00000 000 00000 0001011",
    "imm",
    (s) => s.trap(Cause.HostCall, s.imm()),
  ),
  // Its pattern, all zeros, is the one word that the ISA promises never to be an instruction.
  define(
    "illegal",
    "00000000000000000000000000000000",
    "",
    (s) => s.trap(Cause.Illegal),
  ),
];
