/**
 * The signature that firmware under test leaves in its RAM, as the architecture tests compare it.
 *
 * @module
 */
import type { AddressSpace } from "../../memory/space.ts";
import type { SymbolTable } from "../../program/symbols.ts";

/** Bytes of a word; each line of the text holds one. */
const WORD = 8;

/**
 * The bytes from `begin_signature` to `end_signature` as lines of 16 hexadecimal digits, a
 * little-endian word each; what a last word has less than 8 bytes is 0. Undefined if there are no
 * such symbols, or not around readable memory.
 */
export function signatureText(space: AddressSpace, symbols: SymbolTable): string | undefined {
  const begin = symbols.named("begin_signature")[0]?.address;
  const end = symbols.named("end_signature")[0]?.address;
  if (begin === undefined || end === undefined || begin > end) return undefined;
  const bytes = space.read(begin, Number(end - begin));
  if (!bytes) return undefined;
  let text = "";
  for (let at = 0; at < bytes.length; at += WORD) {
    const word = new Uint8Array(WORD);
    word.set(bytes.subarray(at, at + WORD));
    const value = new DataView(word.buffer).getBigUint64(0, true);
    text += value.toString(16).padStart(2 * WORD, "0") + "\n";
  }
  return text;
}
