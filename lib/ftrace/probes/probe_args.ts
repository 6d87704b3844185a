/**
 * Fetch arguments of probe events: `NAME=%a0:x64`, `+8(%sp):string`, `$retval`, and the like.
 *
 * An argument says where a value is when the probe is hit (a register, the stack, memory behind a
 * pointer), and a type says how wide it is and how it prints (`kernel/trace/trace_probe.c`).
 *
 * How values are fetched is `probe_fetch.ts`; the events are `kprobe_events.ts`.
 *
 * @module
 */
import { A0, SP } from "../../isa/abi.ts";
import type { EventValue } from "../../events/event_fields.ts";
import type { FindSymbol } from "../../events/event_format.ts";
import type { PtRegs } from "../../trampoline/ftrace_regs.ts";
import {
  type FetchContext,
  type FetchSource,
  type FetchType,
  fetchValue,
  printValue,
} from "./probe_fetch.ts";

/** What is wrong with a command, and after how many of its characters. */
export class ProbeFault extends Error {
  /** Name of the class: always `"ProbeFault"`. */
  override readonly name = "ProbeFault";
  /** Characters of the command before the place. */
  readonly position: number;

  /** The errno that the command is refused with. */
  readonly code: "EINVAL" | "EEXIST" | "EADDRNOTAVAIL";

  /** A fault at `position`; `text` is the kernel's words for it. */
  constructor(text: string, position: number, code: ProbeFault["code"] = "EINVAL") {
    super(text);
    this.position = position;
    this.code = code;
  }
}

/** One argument of an event. */
export interface ProbeArg {
  /** Name of the argument, and of its field. */
  readonly name: string;
  /** As it is written back: `fd=%a0`. */
  readonly text: string;
  /** The field's type: `u64`, `string`, `u8[4]`. */
  readonly fieldType: string;
  /** Its part of the print format, and what it prints there. */
  readonly format: string;
  /** What the conversions of the argument's part of the print format take. */
  readonly formatArgs: readonly string[];
  /** Value of the argument now, for a hart with these registers. */
  fetch(regs: PtRegs): EventValue;
  /** How the argument prints with a value: `fd=0x3`. */
  print(value: EventValue): string;
}

/** What arguments may refer to. */
export interface ProbeArgContext extends FetchContext {
  /** Address of the symbol with a name, or undefined. */
  readonly lookup: (name: string) => bigint | undefined;
  /** The symbol that covers an address. */
  readonly symbol: FindSymbol;
  /** Whether the probe is on a return. */
  readonly isReturn: boolean;
  /** Whether it is at a function's entry. */
  readonly isEntry: boolean;
}

/** Names of registers, as `struct pt_regs` has them. */
const REGISTERS = ("zero ra sp gp tp t0 t1 t2 s0 s1 a0 a1 a2 a3 a4 a5 a6 a7 s2 s3 s4 s5 s6 s7 s8 " +
  "s9 s10 s11 t3 t4 t5 t6").split(" ");
const MAX_ARRAY_LENGTH = 64;
/** Words of a kernel stack (`THREAD_SIZE`). */
const STACK_WORDS = 2048;
const IDENTIFIER = /^[A-Za-z_]\w*$/;

const TYPES: Readonly<Record<string, FetchType>> = Object.fromEntries([
  ...[8, 16, 32, 64].flatMap((bits) => {
    const size = bits / 8;
    const long = bits === 64 ? "L" : "";
    return [
      [`u${bits}`, { field: `u${bits}`, size, signed: false, format: `%${long}u` }],
      [`s${bits}`, { field: `s${bits}`, size, signed: true, format: `%${long}d` }],
      [`x${bits}`, { field: `u${bits}`, size, signed: false, format: `0x%${long}x` }],
    ] as [string, FetchType][];
  }),
  ["char", { field: "u8", size: 1, signed: false, format: "'%c'" }],
  ["symbol", { field: "u64", size: 8, signed: false, format: "%pS" }],
  ["string", { field: "string", size: 0, signed: false, format: '\\"%s\\"', isString: true }],
  ["ustring", { field: "string", size: 0, signed: false, format: '\\"%s\\"', isString: true }],
]);

/**
 * Parses one argument.
 *
 * @param index Its place among the event's, from 0.
 * @param position Characters of the command before it.
 * @throws {ProbeFault} If it is none.
 */
export function parseProbeArg(
  written: string,
  index: number,
  position: number,
  context: ProbeArgContext,
): ProbeArg {
  const equals = /^[^%$+\-@\\]*=/.exec(written)?.[0].length ?? 0;
  const name = equals > 0 ? written.slice(0, equals - 1) : `arg${index + 1}`;
  if (name === "") throw new ProbeFault("Argument name is not specified", position);
  if (!IDENTIFIER.test(name)) {
    throw new ProbeFault("Argument name must follow the same rules as C identifiers", position);
  }
  const body = written.slice(equals);
  if (body === "") throw new ProbeFault("No argument expression", position + equals);
  const colon = body.lastIndexOf(":");
  const sourceText = colon < 0 ? body : body.slice(0, colon);
  const typeText = colon < 0 ? undefined : body.slice(colon + 1);
  const source = parseSource(sourceText, position + equals, context);
  const isComm = source.kind === "comm";
  const { type, count } = parseType(
    typeText ?? (isComm ? "string" : "x64"),
    position + equals + colon + 1,
  );
  if (type.isString ? source.kind !== "memory" && !isComm : isComm) {
    throw new ProbeFault(
      type.isString
        ? "String accepts only memory argument"
        : "$comm and $immstr only accepts string type",
      position + equals,
    );
  }
  if (count !== undefined && source.kind !== "memory") {
    throw new ProbeFault("Array requires memory argument", position + equals);
  }
  const part = type.format;
  const record = type.isString ? `__get_str(${name})` : `REC->${name}`;
  const indexes = Array.from({ length: count ?? 1 }, (_, k) => k);
  return {
    name,
    text: `${name}=${body}`,
    fieldType: count === undefined ? type.field : `${type.field}[${count}]`,
    format: `${name}=${count === undefined ? part : `{${indexes.map(() => part).join(",")}}`}`,
    formatArgs: count === undefined ? [record] : indexes.map((k) => `${record}[${k}]`),
    fetch(regs) {
      if (count === undefined) return fetchValue(source, type, regs, context);
      const { base, offset } = source as Extract<FetchSource, { kind: "memory" }>;
      return indexes.map((k) => {
        const at = { kind: "memory", base, offset: offset + BigInt(k * type.size) } as const;
        return fetchValue(at, type, regs, context) as number | bigint;
      });
    },
    print: (value) => {
      const shown = Array.isArray(value)
        ? `{${value.map((each) => printValue(type, each as EventValue, context.symbol)).join(",")}}`
        : printValue(type, value, context.symbol);
      return `${name}=${shown}`;
    },
  };
}

function parseSource(text: string, position: number, context: ProbeArgContext): FetchSource {
  switch (text[0]) {
    case "%": {
      const number = REGISTERS.indexOf(text.slice(1));
      if (text === "%epc") return { kind: "epc" };
      if (number <= 0) throw new ProbeFault("Invalid register name", position);
      return { kind: "register", number };
    }
    case "$":
      return parseVariable(text.slice(1), position, context);
    case "\\": {
      const value = parseInteger(text.slice(1));
      if (value === undefined) throw new ProbeFault("Invalid immediate value", position + 1);
      return { kind: "immediate", value };
    }
    case "@": {
      if (text[1] === "+") {
        throw new ProbeFault("File offset is not available with kprobe", position);
      }
      const [, base, offset] = /^@([\w.$]+)([+-]\w+)?$/.exec(text) ?? [];
      const start = base === undefined ? undefined : parseInteger(base) ?? context.lookup(base);
      const more = offset === undefined ? 0n : parseInteger(offset);
      if (start === undefined || more === undefined) {
        throw new ProbeFault("Invalid memory address", position);
      }
      return { kind: "memory", base: { kind: "immediate", value: start }, offset: more };
    }
    case "+":
    case "-": {
      const [, sign, digits] = /^([+-])u?(\w+)\(/.exec(text) ?? [];
      const size = digits === undefined ? undefined : parseInteger(digits);
      if (size === undefined) throw new ProbeFault("Invalid dereference offset", position);
      const open = text.indexOf("(");
      if (!text.endsWith(")")) {
        throw new ProbeFault("Dereference brace is not closed", position + text.length);
      }
      const base = parseSource(text.slice(open + 1, -1), position + open + 1, context);
      if (base.kind === "comm") {
        throw new ProbeFault("$comm can't be dereferenced", position + open + 1);
      }
      return { kind: "memory", base, offset: sign === "-" ? -size : size };
    }
    default:
      throw new ProbeFault("Invalid fetch argument", position);
  }
}

function parseVariable(text: string, position: number, context: ProbeArgContext): FetchSource {
  if (text === "retval") {
    if (!context.isReturn) throw new ProbeFault("$retval is not available on probe", position);
    return { kind: "register", number: A0 };
  }
  if (text === "comm" || text === "COMM") return { kind: "comm" };
  if (text === "stack") return { kind: "register", number: SP };
  const [, kind, digits] = /^(stack|arg)(\d+)$/.exec(text) ?? [];
  const number = Number(digits);
  if (kind === "stack") {
    if (number >= STACK_WORDS) throw new ProbeFault("Invalid stack number", position);
    const base: FetchSource = { kind: "register", number: SP };
    return { kind: "memory", base, offset: BigInt(8 * number) };
  }
  if (kind === "arg") {
    if (number < 1 || number > 8) throw new ProbeFault("Invalid argument number", position);
    if (!context.isEntry) {
      throw new ProbeFault("$arg* can be used only on function entry or exit", position);
    }
    return { kind: "register", number: A0 + number - 1 };
  }
  throw new ProbeFault("Invalid $-variable specified", position);
}

function parseType(text: string, position: number): { type: FetchType; count: number | undefined } {
  const [, element, length] = /^(.*?)(?:\[(\w*)\])?$/.exec(text)!;
  const bitField = /^b(\d+)@(\d+)\/(8|16|32|64)$/.exec(element!);
  const [width, shift, container] = (bitField ?? []).slice(1).map(Number);
  let type = TYPES[element!];
  if (bitField) {
    if (width! < 1 || width! + shift! > container!) {
      throw new ProbeFault("Invalid bitfield", position);
    }
    type = { ...TYPES[`x${container}`]!, bits: { width: width!, shift: shift! } };
  }
  if (!type) throw new ProbeFault("Unknown type is specified", position);
  if (length === undefined) return { type, count: undefined };
  const count = Number(length);
  if (!Number.isInteger(count) || count < 1 || type.isString) {
    throw new ProbeFault("Invalid array size", position);
  }
  if (count > MAX_ARRAY_LENGTH) throw new ProbeFault("Array number is too big", position);
  return { type, count };
}

function parseInteger(text: string): bigint | undefined {
  if (!/^[+-]?(0x[0-9a-f]+|\d+)$/i.test(text)) return undefined;
  const size = BigInt(text.replace(/^[+-]/, ""));
  return text.startsWith("-") ? -size : size;
}
