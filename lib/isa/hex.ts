/**
 * Numbers of the guest as people read them.
 *
 * @module
 */

/** An address or a register as `0x…`: unsigned, 64 bits, with at least `digits` digits. */
export function hex(value: bigint, digits = 1): string {
  return `0x${BigInt.asUintN(64, value).toString(16).padStart(digits, "0")}`;
}
