/**
 * Encodings that the ISA defines and objdump 2.40 does not print, or prints otherwise, each with its
 * reason. Everything else must print alike.
 *
 * @module
 */

import { ZCB } from "../../lib/isa/zcb.ts";

/** One class of exceptions. */
export interface ObjdumpException {
  /** Why objdump is no oracle here. */
  readonly reason: string;
  /** Our mnemonics that it is about. */
  readonly mnemonics: readonly string[];
  /** What objdump prints there. */
  readonly theirs: RegExp;
}

/** All of them. */
export const OBJDUMP_EXCEPTIONS: readonly ObjdumpException[] = [
  {
    reason: "unused fields of a fence are reserved, and a hart ignores them; objdump wants zeros",
    mnemonics: ["fence", "fence.i"],
    theirs: /^\.4byte/,
  },
  {
    reason: "Zicond is younger than binutils 2.40",
    mnemonics: ["czero.eqz", "czero.nez"],
    theirs: /^\.4byte/,
  },
  {
    reason: "Zimop is younger than binutils 2.40",
    mnemonics: [
      ...Array.from({ length: 32 }, (_, n) => `mop.r.${n}`),
      ...Array.from({ length: 8 }, (_, n) => `mop.rr.${n}`),
    ],
    theirs: /^\.4byte/,
  },
  {
    reason: "Zcb is younger than binutils 2.40",
    mnemonics: ZCB.compressed.map(({ name }) => name),
    theirs: /^\.2byte/,
  },
  {
    reason: "custom-0 is ours: the host call, legal in the tracing range only",
    mnemonics: ["hostcall"],
    theirs: /^\.4byte/,
  },
  {
    reason: "an exact conversion ignores its rounding mode; objdump knows it with rm = 0 only",
    mnemonics: ["fcvt.d.w", "fcvt.d.wu", "fcvt.d.s", "fcvt.s.h", "fcvt.d.h"],
    theirs: /^\.4byte/,
  },
  {
    reason: "an increment of 0 is reserved; objdump prints it",
    mnemonics: [".2byte"],
    theirs: /^c\.addi16sp\tsp,0$/,
  },
];
