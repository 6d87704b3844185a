/**
 * What prototypes make of registers: `int add(int a, int b)` turns a0 and a1 into `a=2, b=3`.
 *
 * Integers and pointers are in a0–a7 and then on the stack, floating point in fa0–fa7 and then with
 * the integers (RISC-V psABI, LP64D). The kernel's frame holds no floating-point register; at a
 * traced entry the hart's own still are the caller's.
 *
 * How prototypes are read is `prototype.ts`.
 *
 * @module
 */
import type { FtraceRegs } from "../trampoline/ftrace_regs.ts";
import type { Ftrace } from "./ftrace.ts";
import type { CType, Prototype } from "./prototype.ts";

const FA0 = 10;

/** The arguments of a call at its entry: `a=2, text="two"`. */
export function argumentsText(
  { parameters, variadic }: Prototype,
  fregs: FtraceRegs,
  ftrace: Ftrace,
): string {
  const { guest } = ftrace;
  let integers = 0;
  let floats = 0;
  const word = (): bigint => {
    const n = integers++;
    if (n < 8) return fregs.argument(n);
    return fregs.kernelStackNth(n - 8);
  };
  const texts = parameters.map(({ name, type }) => {
    const value = type.kind === "float" && floats < 8
      ? guest.currentHart.f[FA0 + floats++]!
      : word();
    return `${name}${name ? "=" : ""}${valueText(type, value, ftrace)}`;
  });
  return [...texts, ...variadic ? ["..."] : []].join(", ");
}

/** What a function returns, at its exit; undefined for void. */
export function returnText(
  { returns }: Prototype,
  fregs: FtraceRegs,
  ftrace: Ftrace,
): string | undefined {
  if (returns.kind === "void") return undefined;
  const value = returns.kind === "float" ? ftrace.guest.currentHart.f[FA0]! : fregs.returnValue;
  return valueText(returns, value, ftrace);
}

/** The longest string that is shown in full, in characters. */
const MOST = 48;

/** Formats a register's value as the C type has it. */
export function valueText(type: CType, value: bigint, { guest, symbol }: Ftrace): string {
  const hex = value === 0n ? "NULL" : `0x${value.toString(16)}`;
  switch (type.kind) {
    case "void":
    case "struct":
      return "";
    case "bool":
      return (value & 0xffn) === 0n ? "false" : "true";
    case "pointer":
      return hex;
    case "function":
      return symbol(value) ?? hex;
    case "string": {
      const text = value === 0n ? undefined : guest.readString(value, MOST + 1);
      if (text === undefined) return hex;
      return text.length > MOST
        ? `${JSON.stringify(text.slice(0, MOST))}...`
        : JSON.stringify(text);
    }
    case "enum": {
      const number = BigInt.asIntN(32, value);
      return type.names.get(number) ?? number.toString();
    }
    case "float": {
      const bits = new DataView(new ArrayBuffer(8));
      bits.setBigUint64(0, value);
      // A float is boxed in the lower half.
      return `${type.bytes === 4 ? Math.fround(bits.getFloat32(4)) : bits.getFloat64(0)}`;
    }
    case "integer": {
      const { bytes, signed } = type;
      const number = signed ? BigInt.asIntN(bytes * 8, value) : BigInt.asUintN(bytes * 8, value);
      const printable = bytes === 1 && number >= 0x20n && number < 0x7fn;
      return printable ? `'${String.fromCharCode(Number(number))}'` : number.toString();
    }
  }
}
