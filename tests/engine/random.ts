/**
 * Seeded random numbers, so that a failing test fails again.
 *
 * @module
 */

/** A source of random numbers. */
export interface Random {
  /** An integer from 0 up to `limit`. */
  below(limit: number): number;
  /** An unsigned integer of up to `count` bits. */
  bits(count: number): bigint;
  /** One of `choices`. */
  pick<T>(choices: readonly T[]): T;
}

/** Makes a source: the same seed gives the same numbers (xorshift32). */
export function createRandom(seed: number): Random {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x6c8e9cf5) >>> 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  const below = (limit: number): number => Math.floor(next() / 2 ** 32 * limit);
  return {
    below,
    bits: (count) => ((BigInt(next()) << 32n) | BigInt(next())) & ((1n << BigInt(count)) - 1n),
    pick: (choices) => choices[below(choices.length)]!,
  };
}
