/**
 * Zicbom and Zicboz: operations on cache blocks, which are 64 bytes here.
 *
 * There is no cache, so managing one does nothing but fault where it may not.
 *
 * @module
 */
import { define, type Entry } from "./encoding.ts";

const MANAGED: readonly (readonly [name: string, code: string])[] = [
  ["cbo.inval", "000000000000"],
  ["cbo.clean", "000000000001"],
  ["cbo.flush", "000000000010"],
];

/** The Zicbom and Zicboz extensions. */
export const ZICBO: readonly Entry[] = [
  ...MANAGED.map(([name, code]) =>
    define(
      name,
      `${code} rs1 010 00000 0001111`,
      "(rs1)",
      (s) => s.cacheBlock("manage", s.x("rs1")),
    )
  ),
  define(
    "cbo.zero",
    "000000000100 rs1 010 00000 0001111",
    "(rs1)",
    (s) => s.cacheBlock("zero", s.x("rs1")),
  ),
];
