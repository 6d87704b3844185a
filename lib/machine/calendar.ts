/**
 * What time it is for a guest that asks for the date: virtual time, counted from a fixed moment.
 *
 * @module
 */

/** Nanoseconds of a second. */
export const BILLION = 1_000_000_000n;
/** CLOCK_REALTIME of the first instruction: 2033-05-18, a time that no real run is mistaken for. */
export const EPOCH: bigint = 2_000_000_000n * BILLION;
