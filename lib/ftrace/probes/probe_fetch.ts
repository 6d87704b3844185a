/**
 * Values that probe events fetch: out of a register, the stack or the memory behind a pointer, as wide
 * as their type, and how they print (`kernel/trace/trace_probe_kernel.h`).
 *
 * How arguments are written is `probe_args.ts`.
 *
 * @module
 */
import type { EventValue } from "../../events/event_fields.ts";
import type { FindSymbol } from "../../events/event_format.ts";
import type { AddressSpace } from "../../memory/space.ts";
import type { PtRegs } from "../../trampoline/ftrace_regs.ts";

/** Bytes of a string that are fetched (`MAX_STRING_SIZE`). */
const MAX_STRING_SIZE = 4096;
const FAULT = "(fault)";

/** The guest as a probe sees it that a hart has hit. */
export interface FetchContext {
  /** What the hart that hit the probe sees. */
  readonly space: () => AddressSpace;
  /** Name of the task that runs. */
  readonly comm: () => string;
}

/** Where the value of an argument is when a probe is hit. */
export type FetchSource =
  | { readonly kind: "register"; readonly number: number }
  | { readonly kind: "epc" }
  | { readonly kind: "comm" }
  | { readonly kind: "immediate"; readonly value: bigint }
  | { readonly kind: "memory"; readonly base: FetchSource; readonly offset: bigint };

/** How wide a value is, and how it prints. */
export interface FetchType {
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

/** A raw 64-bit value, or undefined where memory faults. */
function rawValue(source: FetchSource, regs: PtRegs, space: AddressSpace): bigint | undefined {
  switch (source.kind) {
    case "register":
      return regs.x(source.number);
    case "epc":
      return regs.epc;
    case "immediate":
      return BigInt.asUintN(64, source.value);
    case "comm":
      return 0n;
    case "memory": {
      const address = addressOf(source, regs, space);
      return address === undefined ? undefined : space.readWord(address, 8);
    }
  }
}

function addressOf(
  { base, offset }: Extract<FetchSource, { kind: "memory" }>,
  regs: PtRegs,
  space: AddressSpace,
): bigint | undefined {
  const start = rawValue(base, regs, space);
  return start === undefined ? undefined : BigInt.asUintN(64, start + offset);
}

/**
 * A value of this type at a source now, for a hart with these registers: memory that faults is 0, or
 * `(fault)` for a string.
 */
export function fetchValue(
  source: FetchSource,
  { size, signed, isString, bits }: FetchType,
  regs: PtRegs,
  { space: seen, comm }: FetchContext,
): EventValue {
  if (source.kind === "comm") return comm();
  const space = seen();
  let raw: bigint;
  if (source.kind === "memory") {
    const address = addressOf(source, regs, space);
    if (isString) return address === undefined ? FAULT : stringAt(space, address) ?? FAULT;
    const bytes = address === undefined ? undefined : space.read(address, size);
    // The kernel records what could not be read as 0.
    raw = [...bytes ?? []].reduceRight((value, byte) => value << 8n | BigInt(byte), 0n);
  } else raw = rawValue(source, regs, space)!;
  if (bits) raw = (raw >> BigInt(bits.shift)) & ((1n << BigInt(bits.width)) - 1n);
  const value = signed ? BigInt.asIntN(8 * size, raw) : BigInt.asUintN(8 * size, raw);
  return size === 8 ? value : Number(value);
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
    case "%pS": {
      const address = BigInt(value as bigint);
      const found = symbol(address);
      if (!found) return `0x${address.toString(16)}`;
      return `${found.name}+0x${(address - found.address).toString(16)}/0x${
        found.size.toString(16)
      }`;
    }
    default:
      return format.startsWith("0x") ? `0x${(value as bigint).toString(16)}` : String(value);
  }
}
