/**
 * Arguments of probe events: `NAME=SOURCE:TYPE`, with or without a name and a type
 * (`kernel/trace/trace_probe.c`).
 *
 * Sources are `probe_source.ts`, types `probe_types.ts`; how values are fetched is `probe_fetch.ts`.
 *
 * @module
 */
import type { EventValue } from "../../events/event_fields.ts";
import type { FindSymbol } from "../../events/event_format.ts";
import type { PtRegs } from "../../trampoline/ftrace_regs.ts";
import { ProbeFault } from "./probe_fault.ts";
import {
  argumentOf,
  entryArgumentsOf,
  type FetchContext,
  fetchElements,
  type FetchFrom,
  type FetchSource,
  type FetchType,
  fetchValue,
  printValue,
} from "./probe_fetch.ts";
import { MAX_OPS, type ParsedSource, parseSource, type ProbeScope } from "./probe_source.ts";
import { fetchTypeOf, parseBitField, type ParsedType, parseType } from "./probe_types.ts";

/** One argument of an event. */
export interface ProbeArg {
  /** Name of the argument, and of its field. */
  readonly name: string;
  /** As it is written back: `fd=%a0`. */
  readonly text: string;
  /** Characters of the command before it. */
  readonly at: number;
  /** Type and length: what must be equal in all probes of an event, with the name. */
  readonly shape: string;
  /** The field's type: `u64`, `string`, `u8[4]`. */
  readonly fieldType: string;
  /** Its part of the print format, and what it prints there. */
  readonly format: string;
  /** What the conversions of the argument's part of the print format take. */
  readonly formatArgs: readonly string[];
  /** Indices of the function's arguments that are to be kept from its entry. */
  readonly keeps: readonly number[];
  /** An argument of the probed function, of those that are kept, at its entry. */
  argument(index: number, regs: PtRegs): bigint;
  /** Value of the argument now, for a hart as it is. */
  fetch(from: FetchFrom): EventValue;
  /** How the argument prints with a value: `fd=0x3`. */
  print(value: EventValue): string;
}

/** What arguments may refer to, and what they are fetched from. */
export interface ProbeArgContext extends FetchContext, ProbeScope {
  /** The symbol that covers an address. */
  readonly symbol: FindSymbol;
}

const MAX_NAME = 32;
const MAX_TEXT = 63;
const IDENTIFIER = /^[A-Za-z_]\w*$/;
/** Names of fields that a probe's event has already. */
const RESERVED = new Set(
  ["common_type", "common_flags", "common_preempt_count", "common_pid", "common_tgid"].concat([
    "__probe_ip",
    "__probe_ret_ip",
    "__probe_func",
  ]),
);

/**
 * Parses one argument.
 *
 * @param used Names that the event's arguments have so far; it is the next one.
 * @param at Characters of the command before it.
 * @throws {ProbeFault} If it is none.
 */
export function parseProbeArg(
  written: string,
  used: readonly string[],
  at: number,
  context: ProbeArgContext,
): ProbeArg {
  const { name, body } = splitName(written, used, at);
  const bodyAt = at + written.length - body.length;
  if (body.length > MAX_TEXT) throw new ProbeFault("ARG_TOO_LONG", bodyAt);
  if (body === "") throw new ProbeFault("NO_ARG_BODY", bodyAt);
  const colon = body.indexOf(":");
  const sourceText = colon < 0 ? body : body.slice(0, colon);
  const typeText = colon < 0 ? undefined : body.slice(colon + 1);
  const typeAt = colon < 0 ? bodyAt : bodyAt + colon + 1;
  const isText = /^(\$comm$|\$COMM$|\\")/.test(sourceText);
  const type = parseType(typeText, typeAt, isText);
  const source = parseSource(sourceText, bodyAt, context);
  const fitted = fit(source, type, typeText, { typeAt, bodyAt });
  return new Argument({ name, body, at }, fitted.source, { ...type, type: fitted.type }, context);
}

/** The argument's name, given or made, and what stands behind it. */
function splitName(written: string, used: readonly string[], at: number) {
  const equals = written.indexOf("=");
  if (equals > MAX_NAME) throw new ProbeFault("ARG_NAME_TOO_LONG", at);
  if (equals === 0) throw new ProbeFault("NO_ARG_NAME", at);
  const name = equals > 0
    ? written.slice(0, equals)
    : IDENTIFIER.test(written)
    ? written
    : `arg${used.length + 1}`;
  if (!IDENTIFIER.test(name)) throw new ProbeFault("BAD_ARG_NAME", at);
  if (RESERVED.has(name) || used.includes(name)) throw new ProbeFault("USED_ARG_NAME", at);
  return { name, body: written.slice(equals + 1) };
}

/** Puts source and type together (`finalize_fetch_insn`). @throws {ProbeFault} If they do not go so. */
function fit(
  { source, ops, ctype }: ParsedSource,
  { type, count, isBitField }: ParsedType,
  typeText: string | undefined,
  { typeAt, bodyAt }: { readonly typeAt: number; readonly bodyAt: number },
): { readonly source: FetchSource; readonly type: FetchType } {
  const isMemory = source.kind === "memory";
  if (ctype && typeText === undefined) return { source, type: fetchTypeOf(ctype) };
  if (ctype && type.isString && type.name !== "symstr") {
    // A pointer to characters that has a name is followed.
    if (ctype.kind !== "string") throw new ProbeFault("BAD_TYPE4STR", bodyAt);
    return { source: { kind: "memory", base: source, offset: 0n }, type };
  }
  if (type.name === "symstr") {
    if (AS_TEXT.has(source.kind)) throw new ProbeFault("BAD_SYMSTRING", typeAt);
  } else if (type.isString && !(isMemory || AS_TEXT.has(source.kind))) {
    throw new ProbeFault("BAD_STRING", typeAt);
  }
  const stores = type.isString
    ? !isMemory || type.name === "symstr" || count !== undefined
    : !isMemory;
  if (stores && ops >= MAX_OPS) throw new ProbeFault("TOO_MANY_OPS", bodyAt);
  const bits = isBitField ? parseBitField(typeText!, type, typeAt) : type;
  if (count !== undefined && (!isMemory || type.name === "symstr")) {
    throw new ProbeFault("BAD_STRING", typeAt);
  }
  return { source, type: bits };
}

/** Sources that hold a string, or the address of one. */
const AS_TEXT: ReadonlySet<FetchSource["kind"]> = new Set(["text", "comm", "immediate"]);

/** An argument that was understood. */
class Argument implements ProbeArg {
  readonly name: string;
  readonly text: string;
  readonly at: number;
  readonly shape: string;
  readonly keeps: readonly number[];
  readonly #source: FetchSource;
  readonly #type: FetchType;
  readonly #count: number | undefined;
  readonly #context: ProbeArgContext;

  constructor(
    { name, body, at }: { readonly name: string; readonly body: string; readonly at: number },
    source: FetchSource,
    { type, count }: ParsedType,
    context: ProbeArgContext,
  ) {
    this.name = name;
    this.text = `${name}=${body}`;
    this.at = at;
    this.shape = `${type.name}[${count ?? ""}] ${name}`;
    this.keeps = entryArgumentsOf(source);
    this.#source = source;
    this.#type = type;
    this.#count = count;
    this.#context = context;
  }

  get fieldType(): string {
    return this.#count === undefined ? this.#type.field : `${this.#type.field}[${this.#count}]`;
  }

  get format(): string {
    const each = this.#type.format;
    const shown = this.#count === undefined ? each : `{${Array(this.#count).fill(each).join(",")}}`;
    return `${this.name}=${shown}`;
  }

  get formatArgs(): readonly string[] {
    const { name } = this;
    const value = (which: string) => this.#type.isString ? `__get_str(${which})` : `REC->${which}`;
    if (this.#count === undefined) return [value(name)];
    return Array.from({ length: this.#count }, (_, k) => value(`${name}[${k}]`));
  }

  argument(index: number, regs: PtRegs): bigint {
    return argumentOf(regs, index, this.#context);
  }

  fetch(from: FetchFrom): EventValue {
    if (this.#count === undefined) {
      return fetchValue(this.#source, this.#type, from, this.#context);
    }
    return fetchElements(this.#source, this.#type, this.#count, from, this.#context) as EventValue;
  }

  print(value: EventValue): string {
    const one = (each: EventValue) => printValue(this.#type, each, this.#context.symbol);
    const shown = Array.isArray(value) ? `{${value.map(one).join(",")}}` : one(value);
    return `${this.name}=${shown}`;
  }
}
