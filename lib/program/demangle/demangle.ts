/**
 * Mangled names as people write them: C++ (Itanium ABI), Rust (legacy and v0) and D.
 *
 * Reads one name at a time and keeps nothing. A name that is not what it looks like is nobody's
 * error: it has no readable form, and is shown as it is. The readers' limits on depth and length
 * hold for any text.
 *
 * @module
 */
import { readD } from "./dlang.ts";
import { readItanium } from "./itanium.ts";
import { ItaniumWriter } from "./itanium_expression_text.ts";
import type { Node } from "./itanium_nodes.ts";
import { Unreadable } from "./mangled_text.ts";
import { readLegacyRust, readRustV0 } from "./rust.ts";

/** A mangled name in the ways people write it. */
export interface ReadableName {
  /** Without a function's result and parameters: `shop::Cart::add<int>`. */
  readonly name: string;
  /** With its parameters, so that overloads differ: `shop::Cart::add<int>(int) const`. */
  readonly signature: string;
  /** All of it, to the character as `c++filt` prints it: `void shop::Cart::add<int>(int) const`. */
  readonly full: string;
}

/** Names longer than this stay as they are. */
const LONGEST_NAME = 1 << 14;

/** Whether a name may be a mangled one, by how it begins. */
export function looksMangled(name: string): boolean {
  return /^_[ZRD]/.test(name) && name !== "_DYNAMIC";
}

/** Reads a mangled name; undefined if it is none. */
export function demangle(mangled: string): ReadableName | undefined {
  if (!looksMangled(mangled) || mangled.length > LONGEST_NAME) return undefined;
  try {
    return read(mangled);
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

function read(mangled: string): ReadableName {
  switch (mangled[1]) {
    case "R":
      return both(readRustV0(mangled, false), readRustV0(mangled, true));
    case "D": {
      const { short, full } = readD(mangled);
      return both(short, full);
    }
  }
  const legacy = readLegacyRust(mangled, false);
  if (legacy !== undefined) return both(legacy, readLegacyRust(mangled, true)!);
  const { tree, suffix } = readItanium(mangled);
  const clone = /\.(?:[a-zA-Z_]\w*(?:\.\d+)*|\d+)/g;
  const full = new ItaniumWriter({ isVerbose: true }).text(tree) +
    suffix.replace(clone, (each) => ` [clone ${each}]`);
  const name = new ItaniumWriter({ isVerbose: false }).text(withoutParameters(tree)) + suffix;
  return {
    name,
    signature: new ItaniumWriter({ isVerbose: false }).text(withoutResult(tree)) + suffix,
    full,
  };
}

function both(name: string, full: string): ReadableName {
  return { name, signature: full, full };
}

function withoutParameters(tree: Node): Node {
  return tree.kind === "encoding" ? tree.name : tree;
}

function withoutResult(tree: Node): Node {
  return tree.kind === "encoding" ? { ...tree, type: { ...tree.type, result: undefined } } : tree;
}
