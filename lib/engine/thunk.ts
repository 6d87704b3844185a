/**
 * What a hook may write into an emitted thunk.
 *
 * @module
 */

/** Writes the WASM of one thunk. */
export interface ThunkWriter {
  /** Address of the instruction whose place the thunk takes. */
  readonly pc: number;
}
