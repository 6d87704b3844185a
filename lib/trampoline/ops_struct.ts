/**
 * `struct ftrace_ops` as it lies in guest memory: offsets of what guest code reads.
 *
 * `func` comes first because the trampoline relies on it, `direct_call` is where Linux 7.2 has it.
 *
 * @module
 */

/** Bytes of a struct. */
export const OPS_SIZE = 256;
/** Offset of `func`. */
export const OPS_FUNC = 0;
/** Offset of `next`, 0 at the end of the list. */
export const OPS_NEXT = 8;
/** Offset of `flags`. */
export const OPS_FLAGS = 16;
/** Offset of the address of the table of what is not traced; 0 if that is nothing. */
export const OPS_NOTRACE_HASH = 40;
/** Offset of the address of the table of what is traced; 0 if that is everything. */
export const OPS_FILTER_HASH = 48;
/** Offset of `direct_call`. */
export const OPS_DIRECT_CALL = 192;
