/**
 * Punycode (RFC 3492) as Rust writes it: the letters of ASCII, `_`, and where the others belong.
 *
 * @module
 */

const BASE = 36;
const T_MIN = 1;
const T_MAX = 26;
const SKEW = 38;
const DAMP = 700;

/** The text that `encoded` stands for; undefined if it is none. */
export function punycodeText(encoded: string): string | undefined {
  const split = encoded.lastIndexOf("_");
  const characters = [...encoded.slice(0, Math.max(split, 0))];
  let at = split + 1;
  if (at === encoded.length) return undefined;
  let point = 0x80;
  let place = 0;
  let bias = 72;
  for (let isFirst = true; at < encoded.length; isFirst = false) {
    let delta = 0;
    let weight = 1;
    for (let k = BASE;; k += BASE) {
      const digit = "abcdefghijklmnopqrstuvwxyz0123456789".indexOf(encoded.charAt(at++) || "!");
      if (digit < 0) return undefined;
      delta += digit * weight;
      const threshold = Math.min(T_MAX, Math.max(T_MIN, k - bias));
      if (digit < threshold) break;
      weight *= BASE - threshold;
      if (weight > 2 ** 40) return undefined;
    }
    place += delta;
    const count = characters.length + 1;
    bias = adapted(delta, count, isFirst);
    point += Math.floor(place / count);
    place %= count;
    if (point > 0x10ffff) return undefined;
    characters.splice(place++, 0, String.fromCodePoint(point));
  }
  return characters.join("");
}

function adapted(delta: number, count: number, isFirst: boolean): number {
  let rest = isFirst ? Math.floor(delta / DAMP) : delta >> 1;
  rest += Math.floor(rest / count);
  let k = 0;
  for (; rest > ((BASE - T_MIN) * T_MAX) / 2; k += BASE) rest = Math.floor(rest / (BASE - T_MIN));
  return k + Math.floor(((BASE - T_MIN + 1) * rest) / (rest + SKEW));
}
