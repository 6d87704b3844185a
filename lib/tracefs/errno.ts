/**
 * What a control file answers when it refuses: an errno, where it came up, and the reason in words.
 *
 * Whatever lies below throws its own errors (`FtraceError`, a `RangeError` for an unknown option);
 * here they become what a `write()` on that file would give.
 *
 * @module
 */

/** An errno that control files give, by name. */
export type TracefsErrno =
  | "E2BIG"
  | "EACCES"
  | "EADDRNOTAVAIL"
  | "EAGAIN"
  | "EBADF"
  | "EBUSY"
  | "EEXIST"
  | "EFAULT"
  | "EILSEQ"
  | "EINVAL"
  | "EISDIR"
  | "ENODEV"
  | "ENOENT"
  | "ENOMEM"
  | "ENOSPC"
  | "ENOTDIR"
  | "EOPNOTSUPP"
  | "EOVERFLOW"
  | "EPERM"
  | "ERANGE";

/** The C library's words for each. */
const WORDS: Readonly<Record<TracefsErrno, string>> = {
  E2BIG: "Argument list too long",
  EACCES: "Permission denied",
  EADDRNOTAVAIL: "Cannot assign requested address",
  EAGAIN: "Resource temporarily unavailable",
  EBADF: "Bad file descriptor",
  EBUSY: "Device or resource busy",
  EEXIST: "File exists",
  EFAULT: "Bad address",
  EILSEQ: "Invalid or incomplete multibyte or wide character",
  EINVAL: "Invalid argument",
  EISDIR: "Is a directory",
  ENODEV: "No such device",
  ENOENT: "No such file or directory",
  ENOMEM: "Cannot allocate memory",
  ENOSPC: "No space left on device",
  ENOTDIR: "Not a directory",
  EOPNOTSUPP: "Operation not supported",
  EOVERFLOW: "Value too large for defined data type",
  EPERM: "Operation not permitted",
  ERANGE: "Numerical result out of range",
};

/** Which system call gave the errno. */
export type TracefsCall = "open" | "read" | "write";

/** A control file refused something. */
export class TracefsError extends Error {
  /** Always `"TracefsError"`. */
  override readonly name = "TracefsError";
  /** Name of the errno that the system call gave. */
  readonly code: TracefsErrno;
  /** Which system call gave it. */
  readonly call: TracefsCall;
  /** The C library's words for the errno: what a shell prints. */
  readonly words: string;
  /** Our own words: a sentence that begins with "Cannot". */
  readonly reason: string;

  /** `reason` is a sentence that begins with "Cannot". */
  constructor(code: TracefsErrno, call: TracefsCall, reason: string) {
    super(`${code}: ${reason}`);
    this.code = code;
    this.call = call;
    this.words = WORDS[code];
    this.reason = reason;
  }
}

/** Refuses a write with EINVAL. */
export function invalid(reason: string): TracefsError {
  return new TracefsError("EINVAL", "write", reason);
}

/**
 * What a file's handler threw, as what the system call gives. An error that is no refusal is a bug
 * and comes back as it is.
 */
export function asTracefsError(error: unknown, call: TracefsCall): unknown {
  if (!(error instanceof Error) || error instanceof TracefsError) return error;
  const { code } = error as { readonly code?: unknown };
  const [, sentence = error.message] = /^(?:[A-Z0-9]+: )?([^]*)$/.exec(error.message) ?? [];
  if (typeof code === "string" && code in WORDS) {
    return new TracefsError(code as TracefsErrno, call, sentence);
  }
  const refusal = error instanceof RangeError || error instanceof SyntaxError ||
    error instanceof TypeError;
  return refusal && sentence.startsWith("Cannot ")
    ? new TracefsError("EINVAL", call, sentence)
    : error;
}
