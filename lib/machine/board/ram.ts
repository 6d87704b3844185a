/**
 * Where a board's RAM begins.
 *
 * Firmware is linked there, harts reset there, and the tracing range ends there.
 *
 * @module
 */

/** First physical address of RAM, as on QEMU's virt board. */
export const RAM_START = 0x80000000;
