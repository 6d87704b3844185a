/**
 * What can be wrong with the definition of a probe event: the kernel's table of errors, in its own
 * spelling (`kernel/trace/trace_probe.h`), and a fault with its place in the command.
 *
 * @module
 */

/** The texts of `error_log`, by the kernel's names for them. */
export const PROBE_ERRORS = {
  BAD_MAXACT_TYPE: "Maxactive is only for function exit",
  BAD_MAXACT: "Invalid maxactive number",
  MAXACT_TOO_BIG: "Maxactive is too big",
  BAD_PROBE_ADDR: "Invalid probed address or symbol",
  NON_UNIQ_SYMBOL: "The symbol is not unique",
  BAD_RETPROBE: "Retprobe address must be an function entry",
  BAD_ADDR_SUFFIX: "Invalid probed address suffix",
  NO_GROUP_NAME: "Group name is not specified",
  GROUP_TOO_LONG: "Group name is too long",
  BAD_GROUP_NAME: "Group name must follow the same rules as C identifiers",
  NO_EVENT_NAME: "Event name is not specified",
  EVENT_TOO_LONG: "Event name is too long",
  BAD_EVENT_NAME: "Event name must follow the same rules as C identifiers",
  EVENT_EXIST: "Given group/event name is already used by another event",
  RETVAL_ON_PROBE: "$retval is not available on probe",
  NO_RETVAL: "This function returns 'void' type",
  BAD_STACK_NUM: "Invalid stack number",
  BAD_ARG_NUM: "Invalid argument number",
  BAD_VAR: "Invalid $-valiable specified",
  BAD_REG_NAME: "Invalid register name",
  BAD_MEM_ADDR: "Invalid memory address",
  BAD_IMM: "Invalid immediate value",
  IMMSTR_NO_CLOSE: "String is not closed with '\"'",
  FILE_ON_KPROBE: "File offset is not available with kprobe",
  TOO_MANY_OPS: "Dereference is too much nested",
  DEREF_NEED_BRACE: "Dereference needs a brace",
  BAD_DEREF_OFFS: "Invalid dereference offset",
  DEREF_OPEN_BRACE: "Dereference brace is not closed",
  COMM_CANT_DEREF: "$comm can not be dereferenced",
  BAD_FETCH_ARG: "Invalid fetch argument",
  ARRAY_NO_CLOSE: "Array is not closed",
  BAD_ARRAY_SUFFIX: "Array has wrong suffix",
  BAD_ARRAY_NUM: "Invalid array size",
  ARRAY_TOO_BIG: "Array number is too big",
  BAD_TYPE: "Unknown type is specified",
  BAD_STRING: "String accepts only memory argument",
  BAD_SYMSTRING: "Symbol String doesn't accept data/userdata",
  BAD_BITFIELD: "Invalid bitfield",
  ARG_NAME_TOO_LONG: "Argument name is too long",
  NO_ARG_NAME: "Argument name is not specified",
  BAD_ARG_NAME: "Argument name must follow the same rules as C identifiers",
  USED_ARG_NAME: "This argument name is already used",
  ARG_TOO_LONG: "Argument expression is too long",
  NO_ARG_BODY: "No argument expression",
  BAD_INSN_BNDRY: "Probe point is not an instruction boundary",
  FAIL_REG_PROBE: "Failed to register probe event",
  DIFF_PROBE_TYPE: "Probe type is different from existing probe",
  DIFF_ARG_TYPE: "Argument type or name is different from existing probe",
  SAME_PROBE: "There is already the exact same probe event",
  NOSUP_BTFARG: "BTF is not available or not supported",
  NO_BTFARG: "This variable is not found at this probe point",
  NO_BTF_ENTRY: "No BTF entry for this probe point",
  BAD_VAR_ARGS: "$arg* must be an independent parameter without name etc.",
  NOFENTRY_ARGS: "$arg* can be used only on function entry or exit",
  DOUBLE_ARGS: "$arg* can be used only once in the parameters",
  NO_PTR_STRCT: "This is not a pointer to union/structure.",
  NOSUP_DAT_ARG: "Non pointer structure/union argument is not supported.",
  BAD_HYPHEN: "Failed to parse single hyphen. Forgot '>'?",
  NO_BTF_FIELD: "This field is not found.",
  BAD_TYPE4STR: "This type does not fit for string.",
  NEED_STRING_TYPE: "$comm and immediate-string only accepts string type",
  TOO_MANY_ARGS: "Too many arguments are specified",
  TOO_MANY_EARGS: "Too many entry arguments specified",
} as const;

/** The kernel's name of an error. */
export type ProbeError = keyof typeof PROBE_ERRORS;

/** Errno that a definition is refused with; what is not here is EINVAL. */
const ERRNO = {
  EVENT_EXIST: "EEXIST",
  DIFF_PROBE_TYPE: "EEXIST",
  DIFF_ARG_TYPE: "EEXIST",
  SAME_PROBE: "EEXIST",
  NON_UNIQ_SYMBOL: "EADDRNOTAVAIL",
  ARG_TOO_LONG: "E2BIG",
  TOO_MANY_ARGS: "E2BIG",
  TOO_MANY_EARGS: "E2BIG",
  NO_RETVAL: "ENOENT",
  NO_BTFARG: "ENOENT",
  NO_BTF_ENTRY: "ENOENT",
  NO_BTF_FIELD: "ENOENT",
  NOSUP_DAT_ARG: "EOPNOTSUPP",
} as const satisfies Partial<Record<ProbeError, string>>;

/** What is wrong with a command, and after how many of its characters. */
export class ProbeFault extends Error {
  /** Name of the class: always `"ProbeFault"`. */
  override readonly name = "ProbeFault";
  /** The kernel's name of the error. */
  readonly error: ProbeError;
  /** Characters of the command before the place. */
  readonly position: number;
  /** The errno that the command is refused with. */
  readonly code: "EINVAL" | (typeof ERRNO)[keyof typeof ERRNO];

  /** A fault at `position`. */
  constructor(error: ProbeError, position: number) {
    super(PROBE_ERRORS[error]);
    this.error = error;
    this.position = position;
    this.code = (ERRNO as Partial<Record<ProbeError, (typeof ERRNO)[keyof typeof ERRNO]>>)[error] ??
      "EINVAL";
  }
}

/** A number as the kernel reads one without a sign (`kstrtoul`): decimal, 0x…, or octal by a 0. */
export function parseUnsigned(text: string): bigint | undefined {
  const [, digits] = /^\+?(0x[0-9a-f]+|0[0-7]*|[1-9]\d*)$/i.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const value = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits);
  return value < 1n << 64n ? value : undefined;
}

/** A number as the kernel reads one that may be negative (`kstrtol`). */
export function parseSigned(text: string): bigint | undefined {
  const size = parseUnsigned(text.startsWith("-") ? text.slice(1) : text);
  if (size === undefined || text.startsWith("-+")) return undefined;
  const value = text.startsWith("-") ? -size : size;
  return value >= -(1n << 63n) && value < 1n << 63n ? value : undefined;
}
