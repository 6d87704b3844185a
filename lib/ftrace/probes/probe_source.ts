/**
 * Where the argument of a probe event finds its value: `%a0`, `$stack2`, `+8(%sp)`, `@symbol`, a
 * parameter by its name (`kernel/trace/trace_probe.c parse_probe_arg`).
 *
 * The kernel compiles a source into at most {@linkcode MAX_OPS} instructions, and what does not fit
 * is refused; so the instructions are counted here as it would make them.
 *
 * Types are `probe_types.ts`; how values are fetched is `probe_fetch.ts`.
 *
 * @module
 */
import { A0, SP } from "../../isa/abi.ts";
import type { CallPlaces, ValuePlace } from "../prototypes/calling_convention.ts";
import type { CType } from "../prototypes/ctype.ts";
import type { Prototype } from "../prototypes/header.ts";
import { parseSigned, parseUnsigned, ProbeFault } from "./probe_fault.ts";
import { argumentIndex, type FetchSource, type TrapField } from "./probe_fetch.ts";

/** What a definition may refer to. */
export interface ProbeScope {
  /** Address of the symbol with a name, or undefined. */
  readonly lookup: (name: string) => bigint | undefined;
  /** Whether the probe is on a return. */
  readonly isReturn: boolean;
  /** Whether it is at a function's entry. */
  readonly isEntry: boolean;
  /** Whether it is an fprobe, which has no registers but arguments, result and stack. */
  readonly isFprobe: boolean;
  /** The probed function, if its prototype is known. */
  readonly prototype: Prototype | undefined;
  /** Where its arguments and its result are, if its prototype is known. */
  readonly places: CallPlaces | undefined;
}

/** A source and what is known of its value. */
export interface ParsedSource {
  /** Where the value is. */
  readonly source: FetchSource;
  /** Instructions that the kernel makes of it. */
  readonly ops: number;
  /** The value's C type, if the source is a parameter or a result with a prototype. */
  readonly ctype: CType | undefined;
}

/** Names of registers (`regoffset_table`); `zero` is not among them. */
const REGISTERS = ("zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 " +
  "s9 s10 s11 t3 t4 t5 t6").split(" ");
const TRAP_FIELDS: readonly string[] = [
  "status",
  "badaddr",
  "cause",
  "orig_a0",
] satisfies readonly TrapField[];
/** Words of a kernel stack (`THREAD_SIZE / 8`): the greatest number of a word or an argument. */
const STACK_WORDS = 2048n;
/** Instructions before the one that ends them (`FETCH_INSN_MAX` − 1). */
export const MAX_OPS = 15;

/** Whether arguments of the function can be had: at its entry, or kept from there to its return. */
export function seesArguments({ isReturn, isEntry }: ProbeScope): boolean {
  return isReturn || isEntry;
}

/**
 * Parses a source.
 *
 * @param at Characters of the command before it.
 * @throws {ProbeFault} If it is none.
 */
export function parseSource(text: string, at: number, scope: ProbeScope): ParsedSource {
  switch (text[0]) {
    case "$":
      return parseVariable(text, at, scope);
    case "%":
      return plain(parseRegister(text.slice(1), at, scope));
    case "@":
      return parseAddress(text.slice(1), at, scope);
    case "+":
    case "-":
      return parseDereference(text, at, scope);
    case "\\":
      return plain(parseImmediate(text.slice(1), at));
    default:
      if (!/^[A-Za-z_]/.test(text)) throw new ProbeFault("BAD_FETCH_ARG", at);
      if (!seesArguments(scope)) throw new ProbeFault("NOSUP_BTFARG", at);
      return parseParameter(text, at, scope);
  }
}

function plain(source: FetchSource, ctype?: CType): ParsedSource {
  return { source, ops: 1, ctype };
}

function parseVariable(text: string, at: number, scope: ProbeScope): ParsedSource {
  const name = text.slice(1);
  if (name.startsWith("retval")) {
    if (!scope.isReturn) throw new ProbeFault("RETVAL_ON_PROBE", at);
    return parseResult(text, at, scope);
  }
  if (name === "comm" || name === "COMM") return plain({ kind: "comm" });
  if (name === "stack") return plain({ kind: "register", number: SP });
  const [, kind, digits = ""] = /^(stack|arg)(.*)$/.exec(name) ?? [];
  if (kind === "arg" && digits === "*") throw new ProbeFault("BAD_VAR_ARGS", at);
  const number = /^\d+$/.test(digits) ? BigInt(digits) : undefined;
  if (number === undefined) throw new ProbeFault("BAD_VAR", at);
  if (kind === "stack") {
    if (number > STACK_WORDS) throw new ProbeFault("BAD_STACK_NUM", at);
    return plain({ kind: "stack", word: Number(number) });
  }
  if (number < 1n || number > STACK_WORDS) throw new ProbeFault("BAD_ARG_NUM", at);
  if (!seesArguments(scope)) throw new ProbeFault("NOFENTRY_ARGS", at);
  return plain(argument(Number(number) - 1, scope));
}

/** At a return an argument is what it was at the entry. */
function argument(index: number, { isReturn }: ProbeScope): FetchSource {
  return { kind: isReturn ? "entryArgument" : "argument", index };
}

function parseResult(text: string, at: number, { prototype, places }: ProbeScope): ParsedSource {
  const { name, field, fieldAt, isPointer } = splitField(text, at);
  if (field !== undefined && !isPointer) throw new ProbeFault("NOSUP_DAT_ARG", fieldAt);
  if (name !== "$retval") throw new ProbeFault(prototype ? "NO_BTFARG" : "NO_BTF_ENTRY", at);
  if (prototype?.returns.kind === "void") throw new ProbeFault("NO_RETVAL", at);
  if (field !== undefined) {
    throw new ProbeFault(prototype ? noField(prototype.returns) : "NO_BTF_ENTRY", fieldAt);
  }
  const [part] = places?.result.parts ?? [];
  const isFloat = part?.in === "float";
  const source: FetchSource = isFloat
    ? { kind: "argument", index: argumentIndex(part) }
    : { kind: "register", number: A0 };
  return plain(source, prototype?.returns);
}

function parseParameter(text: string, at: number, scope: ProbeScope): ParsedSource {
  const { name, field, fieldAt, isPointer } = splitField(text, at);
  if (field !== undefined && !isPointer) throw new ProbeFault("NOSUP_DAT_ARG", fieldAt);
  const parameters = scope.prototype?.parameters ?? [];
  if (parameters.length === 0) throw new ProbeFault("NO_BTF_ENTRY", at);
  const index = parameters.findIndex((parameter) => parameter.name === name);
  if (index < 0) throw new ProbeFault("NO_BTFARG", at);
  const { type } = parameters[index]!;
  if (field !== undefined) throw new ProbeFault(noField(type), fieldAt);
  return plain(parameter(scope.places!.parameters[index]!, scope), type);
}

/** What a parameter begins with; one that takes no room has no value. */
function parameter({ parts: [first] }: ValuePlace, scope: ProbeScope): FetchSource {
  return first ? argument(argumentIndex(first), scope) : { kind: "immediate", value: 0n };
}

/** Prototypes keep no members of structures. */
function noField({ kind }: CType): "NO_BTF_FIELD" | "NO_PTR_STRCT" {
  return kind === "pointer" ? "NO_BTF_FIELD" : "NO_PTR_STRCT";
}

/** `name->field` or `name.field`, taken apart. */
function splitField(text: string, at: number) {
  const end = text.search(/[.-]/);
  if (end < 0) return { name: text, field: undefined, fieldAt: at + text.length, isPointer: false };
  const isPointer = text.startsWith("->", end);
  if (text[end] === "-" && !isPointer) throw new ProbeFault("BAD_HYPHEN", at + end);
  const start = end + (isPointer ? 2 : 1);
  return { name: text.slice(0, end), field: text.slice(start), fieldAt: at + start, isPointer };
}

function parseRegister(name: string, at: number, { isFprobe }: ProbeScope): FetchSource {
  if (isFprobe) throw new ProbeFault("BAD_VAR", at);
  if (name === "epc") return { kind: "epc" };
  if (TRAP_FIELDS.includes(name)) return { kind: "trap", field: name as TrapField };
  const number = REGISTERS.indexOf(name);
  if (number <= 0) throw new ProbeFault("BAD_REG_NAME", at);
  return { kind: "register", number };
}

function parseAddress(text: string, at: number, { lookup }: ProbeScope): ParsedSource {
  const memory = (value: bigint, offset: bigint, ops: number): ParsedSource => ({
    source: { kind: "memory", base: { kind: "immediate", value }, offset },
    ops,
    ctype: undefined,
  });
  if (/^\d/.test(text)) {
    const address = parseUnsigned(text);
    if (address === undefined) throw new ProbeFault("BAD_MEM_ADDR", at);
    return memory(address, 0n, 2);
  }
  if (text.startsWith("+")) throw new ProbeFault("FILE_ON_KPROBE", at);
  const [, name = "", more] = /^([^+-]*)([+-].*)?$/.exec(text)!;
  const start = lookup(name);
  const offset = more === undefined ? 0n : parseSigned(more);
  if (start === undefined || offset === undefined) throw new ProbeFault("BAD_MEM_ADDR", at);
  return memory(start, offset, 3);
}

function parseDereference(written: string, at: number, scope: ProbeScope): ParsedSource {
  // Places inside are counted as the kernel does, which leaves out the u of +u8( and the + of +-8(.
  const signed = written[1] === "u" ? written[0]! + written.slice(2) : written;
  const text = signed.replace(/^\+/, "");
  const open = text.indexOf("(");
  if (open < 0) throw new ProbeFault("DEREF_NEED_BRACE", at);
  const offset = parseSigned(text.slice(0, open));
  if (offset === undefined) throw new ProbeFault("BAD_DEREF_OFFS", at);
  const inner = text.slice(open + 1);
  const innerAt = at + open + (text.startsWith("-") ? 1 : 2);
  const close = inner.lastIndexOf(")");
  if (close < 0) throw new ProbeFault("DEREF_OPEN_BRACE", innerAt + inner.length);
  const { source: base, ops } = parseSource(inner.slice(0, close), innerAt, scope);
  if (base.kind === "comm" || base.kind === "text") {
    throw new ProbeFault("COMM_CANT_DEREF", innerAt);
  }
  if (ops >= MAX_OPS) throw new ProbeFault("TOO_MANY_OPS", innerAt);
  return { source: { kind: "memory", base, offset }, ops: ops + 1, ctype: undefined };
}

function parseImmediate(text: string, at: number): FetchSource {
  if (text.startsWith('"')) {
    if (!text.endsWith('"') || text.length < 2) {
      throw new ProbeFault("IMMSTR_NO_CLOSE", at + 1 + text.length);
    }
    return { kind: "text", value: text.slice(1, -1) };
  }
  const signed = text.startsWith("-") || text.startsWith("+");
  const value = signed
    ? parseSigned(text.replace(/^\+/, ""))
    : /^\d/.test(text)
    ? parseUnsigned(text)
    : undefined;
  if (value === undefined) throw new ProbeFault("BAD_IMM", at + 1);
  return { kind: "immediate", value };
}
