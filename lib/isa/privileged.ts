/**
 * Machine mode's instructions, and the two that are ours: `hostcall`, and what every word means that
 * is no instruction.
 *
 * In user mode mret is illegal, and hostcall is so outside the tracing range: the readings see to
 * that.
 *
 * @module
 */
import { define, type Entry } from "./encoding.ts";
import { Cause } from "./sem.ts";

/** mret, wfi, hostcall and illegal. */
export const PRIVILEGED: readonly Entry[] = [
  define(
    "mret",
    "001100000010 00000 000 00000 1110011",
    "",
    (s) => s.returnFromTrap("M"),
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
