/**
 * Floats that JavaScript has no number for: 128 bits (`long double`) and 16 bits (`_Float16`).
 *
 * @module
 */

const FRACTION = 112n;
const BIAS = 16383;
/** Digits of a number that no double holds. */
const DIGITS = 17;

/** A binary128 as text: as the nearest double prints, or with an exponent that no double has. */
export function binary128Text(bits: bigint): string {
  const sign = bits >> 127n === 0n ? "" : "-";
  const exponent = Number(bits >> FRACTION & 0x7fffn);
  const fraction = bits & ((1n << FRACTION) - 1n);
  if (exponent === 0x7fff) return fraction === 0n ? `${sign}Infinity` : "NaN";
  const whole = exponent === 0 ? fraction : fraction | 1n << FRACTION;
  const power = Math.max(exponent, 1) - BIAS - Number(FRACTION);
  if (whole === 0n) return `${sign}0`;
  if (power + whole.toString(2).length > 1023 || power + whole.toString(2).length < -1021) {
    return sign + scientific(whole, power);
  }
  return `${sign}${nearest(whole, power)}`;
}

/** The double next to `whole` · 2^`power`, ties to even. */
function nearest(whole: bigint, power: number): number {
  const spare = whole.toString(2).length - 53;
  if (spare <= 0) return Number(whole) * 2 ** power;
  // Number() rounds to the nearest, ties to even; two steps keep 2 ** power a normal number.
  return Number(whole) * 2 ** Math.ceil(power / 2) * 2 ** Math.floor(power / 2);
}

/** `1.234e+4000`. */
function scientific(whole: bigint, power: number): string {
  const scale = power < 0 ? Math.ceil(-power * Math.log10(2)) : 0;
  const value = power < 0
    ? (whole * 10n ** BigInt(scale + DIGITS)) >> BigInt(-power)
    : whole << BigInt(power);
  const digits = value.toString();
  const exponent = digits.length - 1 - (power < 0 ? scale + DIGITS : 0);
  const shown = digits.slice(1, DIGITS).replace(/0+$/, "");
  return `${digits[0]}${shown ? "." : ""}${shown}e${exponent < 0 ? "" : "+"}${exponent}`;
}

/** The number that 16 bits are (binary16). */
export function halfNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = bits >> 10 & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent === 0
    ? sign * fraction * 2 ** -24
    : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
