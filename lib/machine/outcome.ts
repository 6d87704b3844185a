/**
 * How a run of a guest ends.
 *
 * A fault of the guest's is an outcome, never an exception of the host's; what a process exits with
 * for each outcome is `lib/cli/outcome.ts`.
 *
 * @module
 */
import type { Trap } from "../hart/trap.ts";

/**
 * How a run ended.
 *
 * - `exit`: the guest ended itself; `code` is 0 to 255.
 * - `signal`: a signal ended the process; `trap` is the fault that raised it, if one did.
 * - `limit`: a hart has retired as many instructions as its limit allows.
 * - `interrupted`: somebody asked the machine to stop; another run goes on.
 * - `trap`: firmware trapped, and its handler cannot be executed, or traps itself for ever.
 * - `deadlock`: no hart can ever go on; `reason` says why.
 *
 * A backtrace has the pc first, then return addresses, innermost first.
 */
export type Outcome =
  | { readonly kind: "exit"; readonly code: number }
  | {
    readonly kind: "signal";
    readonly signal: number;
    readonly name: string;
    readonly trap?: Trap | undefined;
    readonly backtrace: readonly bigint[];
  }
  | { readonly kind: "limit" }
  | { readonly kind: "interrupted" }
  | {
    readonly kind: "trap";
    readonly trap: Trap;
    readonly backtrace: readonly bigint[];
    /** The trap in its handler, which comes for ever, if that is why. */
    readonly inHandler?: Trap | undefined;
  }
  | { readonly kind: "deadlock"; readonly reason: string; readonly backtrace: readonly bigint[] };
