/**
 * Pages: their size, and what may be done with the bytes of one.
 *
 * @module
 */

/** Bytes of a page. */
export const PAGE_SIZE = 4096;
/** How many pages the guest's 4 GiB are. */
export const GUEST_PAGES: number = 2 ** 32 / PAGE_SIZE;
/** Page permission: loads. */
export const READ = 1;
/** Page permission: stores; an atomic needs both. */
export const WRITE = 2;
/** Page permission: fetches. */
export const EXECUTE = 4;
