/**
 * `struct dyn_ftrace`: one record for each function that can be traced.
 *
 * The flags have the kernel's bits (`include/linux/ftrace.h`): a count of users in the low nineteen,
 * what is wanted and what is in force above.
 *
 * What the site looks like is `scheme.ts`; who counts users is `lib/ftrace`.
 *
 * @module
 */

/** The site calls a trampoline. */
export const FTRACE_FL_ENABLED: number = 1 << 31;
/** Some user wants full `pt_regs`. */
export const FTRACE_FL_REGS: number = 1 << 30;
/** The site calls the trampoline that saves full `pt_regs`. */
export const FTRACE_FL_REGS_EN: number = 1 << 29;
/** One user has a trampoline of its own; never on RISC-V. */
export const FTRACE_FL_TRAMP: number = 1 << 28;
/** The site calls that user's own trampoline; never on RISC-V. */
export const FTRACE_FL_TRAMP_EN: number = 1 << 27;
/** A user owns the instruction pointer here. */
export const FTRACE_FL_IPMODIFY: number = 1 << 26;
/** The site is left as it is (`FTRACE_FL_DISABLED`). */
export const FTRACE_FL_DISABLED: number = 1 << 25;
/** A direct call is attached to the function. */
export const FTRACE_FL_DIRECT: number = 1 << 24;
/** The site makes the direct call itself, without a trampoline. */
export const FTRACE_FL_DIRECT_EN: number = 1 << 23;
/** The one user may be named by the site's literal. */
export const FTRACE_FL_CALL_OPS: number = 1 << 22;
/** The one user is named by the site's literal. */
export const FTRACE_FL_CALL_OPS_EN: number = 1 << 21;
/** The function was traced at some time. */
export const FTRACE_FL_TOUCHED: number = 1 << 20;
/** The function had a user that modified the ip, or a direct call, at some time. */
export const FTRACE_FL_MODIFIED: number = 1 << 19;
/** The bits of `flags` that count the record's users. */
export const FTRACE_FL_REF_MASK: number = (1 << 19) - 1;

/** How a record is served: by its site, by a hook of the engine, or not at all. */
export type RecordKind = "patched" | "virtual" | "disabled";

/** One function that can be traced, or the reason why it cannot. */
export interface DynFtrace {
  /** Place in the list of records, in order of address. */
  readonly index: number;
  /** The site as its era names it: the entry, or entry + 4. */
  readonly ip: bigint;
  /** Address of the function's first instruction. */
  readonly entry: bigint;
  /** Bytes of nop before the entry. */
  readonly before: number;
  /** Bytes of nop from the entry on. */
  readonly after: number;
  /** The function's symbol, readable; `__ftrace_invalid_address___N` if there is none. */
  readonly name: string;
  /** The symbol as the file has it, where `name` is what people write instead. */
  readonly mangled?: string | undefined;
  /** `name` with parameters, where the file has a mangled one. */
  readonly signature?: string | undefined;
  /** The module (a shared object) it belongs to; absent in the main program. */
  readonly module?: string | undefined;
  /** What makes calls reach the tracers: the site, a hook of the engine, or nothing. */
  readonly kind: RecordKind;
  /** Why the site does not serve the record, for `virtual` and `disabled` ones. */
  readonly reason: string | undefined;
  /** `FTRACE_FL_*` and the count of users. */
  flags: number;
}

/** What a function with a mangled name is called, read when it is asked for. */
export interface MangledNames {
  /** The name as the file has it. */
  readonly mangled?: string;
  /** The readable one. */
  readonly name: string;
  /** The readable one with parameters. */
  readonly signature?: string;
}

/**
 * Makes a record that nobody uses yet. Of a function whose name is mangled (`names`), the readable
 * one is read when it is asked for.
 */
export function createRecord(
  fields: Omit<DynFtrace, "flags">,
  names?: MangledNames,
): DynFtrace {
  const record = { ...fields, flags: fields.kind === "disabled" ? FTRACE_FL_DISABLED : 0 };
  if (names?.mangled === undefined) return record;
  const read = (get: () => string | undefined) => ({ get, enumerable: true });
  return Object.defineProperties({ ...record, mangled: names.mangled }, {
    name: read(() => names.name),
    signature: read(() => names.signature),
  });
}

/** How many users a record has. */
export function ftraceRefCount(record: DynFtrace): number {
  return record.flags & FTRACE_FL_REF_MASK;
}
