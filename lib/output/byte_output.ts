/**
 * Where the bytes of a trace go: the one thing that a format needs of the outside.
 *
 * @module
 */

/** A file, a pipe, or what a test gives. */
export interface ByteOutput {
  /** Bytes written so far, by whomever: where the next one goes. */
  readonly position: number;
  /** Writes all of `bytes`, which are the caller's again then. What cannot be written is the output's own affair to report. */
  write(bytes: Uint8Array): void | Promise<void>;
  /** What only a file can do; undefined where what is written is gone. */
  readonly file: RewritableFile | undefined;
}

/** A file that is open for writing. */
export interface RewritableFile {
  /** Writes bytes over those at `at`; the file's end stays where it is. */
  rewrite(at: number, bytes: Uint8Array): void;
  /** Takes `length` bytes at `at` out and moves what follows there; false if that is too much. */
  cut(at: number, length: number): boolean;
}
