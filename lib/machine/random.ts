/**
 * Numbers from a seed: the same seed gives the same ones, on every host.
 *
 * @module
 */

/** A sequence of unsigned 64-bit numbers: SplitMix64 (Steele, Lea and Flood 2014). */
export function randomWords(seed: bigint): () => bigint {
  let state = BigInt.asUintN(64, seed);
  return () => {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let z = state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return z ^ (z >> 31n);
  };
}

/** Makes a source of pseudorandom bytes from a seed. */
export function randomBytes(seed: bigint): (bytes: Uint8Array) => void {
  const next = randomWords(seed);
  return (bytes) => {
    for (let at = 0; at < bytes.length; at += 8) {
      let word = next();
      for (let k = at; k < Math.min(at + 8, bytes.length); k++) {
        bytes[k] = Number(word & 0xffn);
        word >>= 8n;
      }
    }
  };
}
