/**
 * Values that probe events fetch: out of a register, the stack or the memory behind a pointer, as wide
 * as their type, and how they print (`kernel/trace/trace_probe_kernel.h`).
 *
 * How arguments are written is `probe_args.ts`.
 *
 * @module
 */
import { A0, FA0, SP } from "../../isa/abi.ts";
import { Cause } from "../../isa/sem.ts";
import type { EventValue } from "../../events/event_fields.ts";
import { type FindSymbol, symbolText } from "../../events/event_format.ts";
import type { AddressSpace } from "../../memory/space.ts";
import type { PtRegs } from "../../trampoline/ftrace_regs.ts";
import type { ValuePart } from "../prototypes/calling_convention.ts";

/** Bytes of a string that are fetched (`MAX_STRING_SIZE`). */
const MAX_STRING_SIZE = 4096;
const FAULT = "(fault)";

/** The guest as a probe sees it that a hart has hit. */
export interface FetchContext {
  /** What the hart that hit the probe sees. */
  readonly space: () => AddressSpace;
  /** Name of the task that runs. */
  readonly comm: () => string;
  /** The symbol that covers an address. */
  readonly symbol: FindSymbol;
  /** Float register `number` of that hart. */
  readonly float: (number: number) => bigint;
  /** `status` of the hart that hit the probe, as `pt_regs` would have it. */
  readonly status: () => bigint;
}

/** What a trap leaves in `pt_regs` besides the registers. */
export type TrapField = "status" | "badaddr" | "cause" | "orig_a0";

/** Where the value of an argument is when a probe is hit. */
export type FetchSource =
  | { readonly kind: "register"; readonly number: number }
  | { readonly kind: "epc" | "comm" }
  | { readonly kind: "trap"; readonly field: TrapField }
  | { readonly kind: "immediate"; readonly value: bigint }
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "stack"; readonly word: number }
  /** An argument by {@linkcode argumentIndex}: as it is now, or as it was at the function's entry. */
  | { readonly kind: "argument" | "entryArgument"; readonly index: number }
  | { readonly kind: "memory"; readonly base: FetchSource; readonly offset: bigint };

/** How wide a value is, and how it prints. */
export interface FetchType {
  /** Name of the type in definitions. */
  readonly name: string;
  /** C type of the argument's field. */
  readonly field: string;
  /** Bytes of the value; 0 of a string. */
  readonly size: number;
  /** Whether the value's top bit is a sign. */
  readonly signed: boolean;
  /** A conversion of the kernel's printf. */
  readonly format: string;
  /** Whether it is the bytes up to a zero byte, not a number. */
  readonly isString?: boolean;
  /** Bits of a bit field, and how far up they are. */
  readonly bits?: { readonly width: number; readonly shift: number };
}

/** A hart that hits a probe. */
export interface FetchFrom {
  /** The hart's registers. */
  readonly regs: PtRegs;
  /** Arguments that were kept at the function's entry, by index. */
  readonly entry: ReadonlyMap<number, bigint>;
}

/** Argument registers; what `$argN` names behind them is 0 to a probe. */
const REGISTER_ARGUMENTS = 8;
/** Index of the first word of the stack: `$argN` names none that is as great. */
const STACK_ARGUMENTS = 4096;

/**
 * Number of an argument by where a parameter of a prototype is: 0 to 7 are a0 to a7, as in the
 * kernel, numbers below 0 fa0 to fa7, and those from 4096 on words of the stack.
 */
export function argumentIndex(part: ValuePart): number {
  if (part.in === "float") return -1 - part.at;
  return part.in === "stack" ? STACK_ARGUMENTS + part.at / 8 : part.at;
}

/** Indices of arguments that a source needs from the function's entry. */
export function entryArgumentsOf(source: FetchSource): readonly number[] {
  if (source.kind === "memory") return entryArgumentsOf(source.base);
  return source.kind === "entryArgument" ? [source.index] : [];
}

/** An argument of a function at its entry. */
export function argumentOf(
  regs: PtRegs,
  index: number,
  context: Pick<FetchContext, "space" | "float">,
): bigint {
  if (index < 0) return context.float(FA0 - 1 - index);
  if (index < REGISTER_ARGUMENTS) return regs.x(A0 + index);
  return index < STACK_ARGUMENTS ? 0n : stackWord(regs, index - STACK_ARGUMENTS, context);
}

function stackWord(regs: PtRegs, word: number, { space }: Pick<FetchContext, "space">): bigint {
  return space().readWord(regs.x(SP) + BigInt(8 * word), 8) ?? 0n;
}

/** A raw 64-bit value, or undefined where memory faults. */
function rawValue(source: FetchSource, from: FetchFrom, context: FetchContext): bigint | undefined {
  const { regs, entry } = from;
  switch (source.kind) {
    case "register":
      return regs.x(source.number);
    case "epc":
      return regs.epc;
    case "trap":
      return trapValue(source.field, regs, context);
    case "immediate":
      return BigInt.asUintN(64, source.value);
    case "argument":
      return argumentOf(regs, source.index, context);
    case "entryArgument":
      return entry.get(source.index) ?? 0n;
    case "stack":
      return stackWord(regs, source.word, context);
    case "memory": {
      const address = addressOf(source, from, context);
      return address === undefined ? undefined : context.space().readWord(address, 8);
    }
    default:
      return 0n;
  }
}

/** A probe is a breakpoint, and a breakpoint's address is where it is. */
function trapValue(field: TrapField, { epc }: PtRegs, { status }: FetchContext): bigint {
  if (field === "status") return status();
  if (field === "badaddr") return epc;
  return field === "cause" ? BigInt(Cause.Breakpoint) : 0n;
}

function addressOf(
  { base, offset }: Extract<FetchSource, { kind: "memory" }>,
  from: FetchFrom,
  context: FetchContext,
): bigint | undefined {
  const start = rawValue(base, from, context);
  return start === undefined ? undefined : BigInt.asUintN(64, start + offset);
}

/**
 * A value of this type at a source now: memory that faults is 0, or `(fault)` for a string.
 */
export function fetchValue(
  source: FetchSource,
  type: FetchType,
  from: FetchFrom,
  context: FetchContext,
): EventValue {
  if (type.isString) return fetchText(source, type, from, context);
  const { size, signed, bits } = type;
  let raw: bigint;
  if (source.kind === "memory") {
    const address = addressOf(source, from, context);
    const bytes = address === undefined ? undefined : context.space().read(address, size);
    // The kernel records what could not be read as 0.
    raw = [...bytes ?? []].reduceRight((value, byte) => value << 8n | BigInt(byte), 0n);
  } else raw = rawValue(source, from, context)!;
  if (bits) raw = (raw >> BigInt(bits.shift)) & ((1n << BigInt(bits.width)) - 1n);
  const value = signed ? BigInt.asIntN(8 * size, raw) : BigInt.asUintN(8 * size, raw);
  return size === 8 ? value : Number(value);
}

function fetchText(
  source: FetchSource,
  { name }: FetchType,
  from: FetchFrom,
  context: FetchContext,
): string {
  if (source.kind === "comm") return context.comm();
  if (source.kind === "text") return source.value;
  if (name === "symstr") return symbolText(rawValue(source, from, context) ?? 0n, context.symbol);
  // What a number is written for is the address of a string.
  const address = source.kind === "memory"
    ? addressOf(source, from, context)
    : rawValue(source, from, context);
  return address === undefined ? FAULT : stringAt(context.space(), address) ?? FAULT;
}

/** The elements of an array in memory; of strings, what an array of pointers leads to. */
export function fetchElements(
  source: FetchSource,
  type: FetchType,
  count: number,
  from: FetchFrom,
  context: FetchContext,
): readonly EventValue[] {
  const { base, offset } = source as Extract<FetchSource, { kind: "memory" }>;
  const size = type.isString ? 8 : type.size;
  return Array.from({ length: count }, (_, k): EventValue => {
    const element: FetchSource = { kind: "memory", base, offset: offset + BigInt(k * size) };
    const place: FetchSource = type.isString
      ? { kind: "memory", base: element, offset: 0n }
      : element;
    return fetchValue(place, type, from, context);
  });
}

function stringAt(space: AddressSpace, address: bigint): string | undefined {
  const bytes = space.readString(address, MAX_STRING_SIZE);
  return bytes && new TextDecoder().decode(bytes);
}

/** How a value of a type prints; `symbol` names an address. */
export function printValue({ format }: FetchType, value: EventValue, symbol: FindSymbol): string {
  switch (format) {
    case '\\"%s\\"':
      return `"${value}"`;
    case "'%c'":
      return `'${String.fromCharCode(Number(value))}'`;
    case "%pS":
      return symbolText(BigInt(value as bigint), symbol);
    default:
      return format.startsWith("0x") ? `0x${(value as bigint).toString(16)}` : String(value);
  }
}
