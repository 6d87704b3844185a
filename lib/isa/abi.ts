/**
 * Numbers of the registers that the calling convention gives a part.
 *
 * Their names, and those of all others, are `names.ts`.
 *
 * @module
 */

/** Return address. */
export const RA = 1;
/** Stack pointer. */
export const SP = 2;
/** Temporary; what a patched call site links with. */
export const T0 = 5;
/** Temporary; where a direct call is kept on the way out of a trampoline. */
export const T1 = 6;
/** Temporary; the static chain of a nested function. */
export const T2 = 7;
/** Frame pointer, where there is one. */
export const S0 = 8;
/** First argument, and the result. */
export const A0 = 10;
/** First floating-point argument, and the result: fa0 among the float registers. */
export const FA0 = 10;
/** Second argument, and the upper half of a result of 16 bytes. */
export const A1 = 11;
/** Third argument. */
export const A2 = 12;
/** Fourth argument. */
export const A3 = 13;
/** Number of a system call. */
export const A7 = 17;
/** Temporary. */
export const T4 = 29;
