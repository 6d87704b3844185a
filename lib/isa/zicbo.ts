/**
 * Zicbom and Zicboz: operations on cache blocks, which are 64 bytes here.
 *
 * There is no cache, so managing one does nothing but fault where it may not.
 *
 * @module
 */
import { define } from "./encoding.ts";
import { type Extension, extension } from "./extension.ts";

const MANAGED: readonly (readonly [name: string, code: string])[] = [
  ["cbo.inval", "000000000000"],
  ["cbo.clean", "000000000001"],
  ["cbo.flush", "000000000010"],
];

/** Zicbom: cache blocks are managed. */
export const ZICBOM: Extension = extension("zicbom", {
  entries: [
    ...MANAGED.map(([name, code]) =>
      define(
        name,
        `${code} rs1 010 00000 0001111`,
        "(rs1)",
        (s) => s.cacheBlock("manage", s.x("rs1")),
      )
    ),
  ],
});

/** Zicboz: cache blocks are zeroed. */
export const ZICBOZ: Extension = extension("zicboz", {
  hwprobe: [6],
  entries: [
    define(
      "cbo.zero",
      "000000000100 rs1 010 00000 0001111",
      "(rs1)",
      (s) => s.cacheBlock("zero", s.x("rs1")),
    ),
  ],
});
