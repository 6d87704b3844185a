/**
 * Refusals: what the kernel answers with an errno, said in words.
 *
 * The kernel tells a caller `-EINVAL` and nothing else. Here the errno stays, because scripts test
 * for it, and the reason and the way out come with it. Misuse of a function's types is not a
 * refusal: that is a `TypeError` or a `RangeError`.
 *
 * @module
 */

/** The errno of a refusal, as the kernel of the chosen era returns it. */
export type FtraceErrorCode =
  | "E2BIG"
  | "EADDRNOTAVAIL"
  | "EBUSY"
  | "EEXIST"
  | "EILSEQ"
  | "EINVAL"
  | "ENODEV"
  | "ENOENT"
  | "ENOSPC"
  | "ENOMEM"
  | "EOPNOTSUPP";

/** Why something cannot be traced: the closed list that `list --why` and every refusal use. */
export type FtraceReason =
  | "already-direct"
  | "already-defined"
  | "already-enabled"
  | "already-ipmodify"
  | "ambiguous"
  | "bad-syntax"
  | "blacklisted"
  | "deleted"
  | "empty-filter"
  | "ftrace-disabled"
  | "inlined"
  | "interrupt-handler"
  | "link-in-t0"
  | "misaligned"
  | "no-command"
  | "no-ipmodify"
  | "no-literal"
  | "no-match"
  | "no-regs"
  | "no-site"
  | "no-symbol"
  | "not-a-number"
  | "not-enabled"
  | "not-entry"
  | "not-in-filter"
  | "not-instruction-boundary"
  | "not-supported-by-era"
  | "not-text"
  | "notrace"
  | "on-ftrace-slot"
  | "on-reject-list"
  | "out-of-reach"
  | "permanent"
  | "returns-twice"
  | "site-too-small"
  | "t0-live"
  | "too-many";

/** Tracing was refused. The one error class of this package that callers are meant to catch. */
export class FtraceError extends Error {
  /** Always `"FtraceError"`: tell it by this where two copies of the package meet. */
  override readonly name = "FtraceError";
  /** Name of the errno that the kernel would give. */
  readonly code: FtraceErrorCode;
  /** Which rule refused the request. */
  readonly reason: FtraceReason;
  /** What to use instead; empty if there is nothing. */
  readonly instead: string;

  /** `what` completes "Cannot …", sentence case and without a full stop. */
  constructor(code: FtraceErrorCode, reason: FtraceReason, what: string, instead = "") {
    super(`${code}: ${what}${instead ? `; use ${instead} instead` : ""}`);
    this.code = code;
    this.reason = reason;
    this.instead = instead;
  }
}

/**
 * Throws what a check gave, if it refused. A check returns its refusal, so that `why` can ask the
 * very function that registering asks, without registering anything.
 *
 * @throws {FtraceError} The refusal.
 */
export function throwRefusal(refusal: FtraceError | undefined): void {
  if (refusal) throw refusal;
}
