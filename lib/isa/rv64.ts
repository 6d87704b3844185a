/**
 * The list of extensions that there are.
 *
 * A new one is a file of definitions and its line here. An instruction that two entries could match
 * is the first one's.
 *
 * @module
 */
import { type Extension, extension } from "./extension.ts";
import { RV64A } from "./rv64a.ts";
import { RV64C } from "./rv64c.ts";
import { RV64D, RV64F } from "./rv64fd.ts";
import { RV64I, ZIFENCEI } from "./rv64i.ts";
import { RV64M } from "./rv64m.ts";
import { ZBA, ZBB, ZBS, ZICOND } from "./zb.ts";
import { ZBC, ZBKB, ZBKC } from "./zbc.ts";
import { ZCB } from "./zcb.ts";
import { ZFH, ZFHMIN } from "./zfh.ts";
import { ZICBOM, ZICBOZ } from "./zicbo.ts";
import { ZICSR } from "./zicsr.ts";
import { ZAWRS, ZIMOP } from "./zimop.ts";

/** Every extension, single letters first; the order is that of their instructions. */
export const EXTENSIONS: readonly Extension[] = [
  RV64I,
  RV64M,
  RV64A,
  RV64F,
  RV64D,
  RV64C,
  extension("b", { implies: ["zba", "zbb", "zbs"] }),
  extension("g", {
    implies: ["i", "m", "a", "f", "d", "zicsr", "zifencei"],
    present: "shorthand",
  }),
  // Supervisor and user mode; which of their instructions is legal where is for the hart to say.
  extension("s", { present: "always" }),
  extension("u", { present: "always" }),
  ZFHMIN,
  ZFH,
  ZICSR,
  ZIFENCEI,
  // Counters are CSRs, for lib/hart.
  extension("zicntr", { present: "always" }),
  extension("zihpm", { present: "always" }),
  ZBA,
  ZBB,
  ZBS,
  ZICOND,
  ZBC,
  ZBKC,
  ZBKB,
  ZCB,
  ZICBOM,
  ZICBOZ,
  ZIMOP,
  ZAWRS,
  // How accessed and dirty bits of a page table are kept: by a fault, or by the hart.
  extension("svade", { present: "named", replaces: "svadu" }),
  extension("svadu", { present: "always" }),
];
