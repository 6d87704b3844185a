/**
 * The shell's commands that look at the guest, and set its registers and memory: gdb's names and
 * forms for them.
 *
 * @module
 */
import { disassemble, globMatch } from "../../mod.ts";
import { hex, X_NAMES } from "../isa/mod.ts";
import type { WordSize } from "../engine/mod.ts";
import { commandEntry, type ShellCommandContext, type ShellCommandEntry } from "./shell_context.ts";
import { parseExpression, symbolOf } from "./shell_expression.ts";
import { lengthAt, type StoppedGuest } from "./shell_guest.ts";
import { evaluate, locate, refuse } from "./shell_movement.ts";

const EXPRESSIONS =
  `Expressions are C's: $a0, $pc and other registers, names of data (its value) and of functions (the
address), &NAME, *(int *)ADDRESS, {short}ADDRESS, numbers, + - * / % & | ^ << >> == < && and so on.
Put a | into parentheses: outside of them it is the shell's.
`;

/** Commands that look at the guest, in the order of `help`. */
export const INSPECTION_COMMANDS: readonly ShellCommandEntry[] = [
  commandEntry(["where", "bt", "backtrace"], "[HART]", "the calls that the guest is in", {
    run: where,
  }),
  commandEntry(["frame", "f"], "[N]", "look at one of them; up, down: at the next", {
    run: chooseFrame,
  }),
  commandEntry(["up"], "[N]", "", { run: chooseFrame, repeats: true }),
  commandEntry(["down"], "[N]", "", { run: chooseFrame, repeats: true }),
  commandEntry(["hart", "thread"], "[N]", "which hart commands are about", { run: chooseHart }),
  commandEntry(["regs"], "[HART]", "its registers", { run: registers }),
  commandEntry(["print", "p"], "[/x|d|u|o|t|c|a] EXPRESSION", "the value of an expression", {
    run: printValue,
    details: `${EXPRESSIONS}
  print $a0              print/x counter & 0xff         p *(int *)($sp + 8)
`,
  }),
  commandEntry(["x"], "[/NFU] [ADDRESS]", "memory: x/4xg $sp, x/s $a0, x/8i $pc", {
    run: examine,
    repeats: true,
    details:
      `N is how many, F how they are shown: x d u o t (base), a (address), c (character), s (string),
i (instruction); U how large each is: b, h, w or g, for 1, 2, 4 or 8 bytes. Without ADDRESS it goes on
behind what it showed last, as an empty line does.

${EXPRESSIONS}`,
  }),
  commandEntry(["disas", "disassemble"], "[WHERE | FROM,TO | FROM,+N]", "its instructions", {
    run: disassembly,
  }),
  commandEntry(
    ["info", "i"],
    "registers|breakpoints|functions|…",
    "also: symbol ADDRESS, harts, frame",
    {
      run: info,
      details: `info registers [NAME…]     info breakpoints        info functions [GLOB]
info symbol ADDRESS        info harts              info frame
`,
    },
  ),
];

/** Reads the number of the hart that `text` names, or complains. */
function hartOf(
  { complain, guest }: ShellCommandContext,
  name: string,
  text = String(guest.hart.id),
): number | undefined {
  if (/^\d+$/.test(text) && Number(text) < guest.harts) return Number(text);
  complain(`sh: ${name}: ${text}: no such hart; there are ${guest.harts}`, undefined);
  return undefined;
}

function where(context: ShellCommandContext, [text]: readonly string[], name: string): number {
  const hart = hartOf(context, name, text);
  if (hart === undefined) return 1;
  context.write(context.guest.where(hart));
  return 0;
}

function chooseHart(context: ShellCommandContext, [text]: readonly string[], name: string): number {
  const hart = hartOf(context, name, text);
  if (hart === undefined) return 1;
  if (text !== undefined) context.guest.chooseHart(hart);
  context.write(context.guest.here());
  return 0;
}

function chooseFrame(
  context: ShellCommandContext,
  [text]: readonly string[],
  name: string,
): number {
  const { guest, complain, write } = context;
  const moves = name === "up" || name === "down";
  if (!/^\d*$/.test(text ?? "")) {
    complain(`sh: ${name}: ${text}: a number is needed`, undefined);
    return 2;
  }
  const number = text === undefined ? (moves ? 1 : guest.frame) : Number(text);
  const wanted = name === "up"
    ? guest.frame + number
    : name === "down"
    ? guest.frame - number
    : number;
  if (!guest.chooseFrame(wanted)) {
    const last = guest.frames().length - 1;
    complain(`sh: ${name}: there is no frame ${wanted}; there are 0 to ${last}`, undefined);
    return 1;
  }
  write(guest.frameText());
  return 0;
}

function registers(context: ShellCommandContext, [text]: readonly string[], name: string): number {
  const hart = hartOf(context, name, text);
  if (hart === undefined) return 1;
  context.write(registersText(context.guest, hart));
  return 0;
}

/** A hart's pc and integer registers, as text. */
function registersText({ machine }: StoppedGuest, id: number): string {
  const { pc, x } = machine.harts[id]!;
  const cells = [
    ["pc", pc] as const,
    ...X_NAMES.slice(1).map((name, k) => [name, BigInt.asUintN(64, x[k + 1]!)] as const),
  ].map(([name, value]) => `${name.padStart(3)} ${value.toString(16).padStart(16, "0")}`);
  const lines: string[] = [];
  for (let at = 0; at < cells.length; at += 4) lines.push(cells.slice(at, at + 4).join("  "));
  return `${lines.join("\n")}\n`;
}

/** `<name+4>` for an address, or nothing. */
function symbolText({ machine }: StoppedGuest, address: bigint): string {
  const found = machine.symbols.at(BigInt.asUintN(64, address));
  return found ? `<${found.symbol.name}+${found.offset}>` : "";
}

/** A value of so many bytes in one of gdb's formats. */
function valueText(guest: StoppedGuest, value: bigint, format: string, bytes: number): string {
  const bits = bytes * 8;
  const unsigned = BigInt.asUintN(bits, value);
  switch (format) {
    case "x":
      return `0x${unsigned.toString(16)}`;
    case "u":
      return `${unsigned}`;
    case "o":
      return unsigned === 0n ? "0" : `0${unsigned.toString(8)}`;
    case "t":
      return unsigned.toString(2);
    case "c": {
      const code = Number(BigInt.asUintN(8, value));
      const isShown = code >= 32 && code < 127;
      return `${BigInt.asIntN(8, value)} '${
        isShown ? String.fromCharCode(code) : `\\${code.toString(8).padStart(3, "0")}`
      }'`;
    }
    case "a":
      return `${hex(unsigned)} ${symbolText(guest, unsigned)}`.trimEnd();
    default:
      return `${BigInt.asIntN(bits, value)}`;
  }
}

/** Takes `/FORMAT` off the front of a command's arguments. */
function formatOf(args: readonly string[]): { readonly format: string; readonly text: string } {
  const [, format = "", text = ""] = /^(?:\/(\w*))?\s*([^]*)$/.exec(args.join(" ")) ?? [];
  return { format, text: text.trim() };
}

function printValue(context: ShellCommandContext, args: readonly string[], name: string): number {
  const { guest, write, complain } = context;
  const { format, text } = formatOf(args);
  if (!/^[xduotca]?$/.test(format)) {
    complain(`sh: ${name}: /${format}: a format is one of x d u o t c a`, undefined);
    return 2;
  }
  try {
    const expression = parseExpression(text);
    const value = expression.evaluate(guest.scope);
    const isNamed = expression.isAddress && symbolText(guest, value) !== "";
    write(`${valueText(guest, value, format || (isNamed ? "a" : "d"), 8)}\n`);
    return 0;
  } catch (error) {
    refuse(context, `${name}:`, error);
    return 1;
  }
}

const UNITS: Readonly<Record<string, WordSize>> = { b: 1, h: 2, w: 4, g: 8 };
const PER_LINE: Readonly<Record<number, number>> = { 1: 8, 2: 8, 4: 4, 8: 2 };
/** Most that one command shows. */
const MOST = 100_000;

/** Where `x` goes on, and how, for each guest. */
const shownLast = new WeakMap<
  StoppedGuest,
  { at: bigint; format: string; bytes: WordSize; count: number }
>();

function examine(context: ShellCommandContext, args: readonly string[], name: string): number {
  const { guest, complain } = context;
  const { format, text } = formatOf(args);
  const last = shownLast.get(guest) ??
    { at: guest.hart.pc, format: "x", bytes: 4 as const, count: 1 };
  const [, count, letters] = /^(\d*)([a-z]*)$/.exec(format) ?? [];
  if (letters === undefined || !/^[xduotcasibhwg]*$/.test(letters)) {
    complain(`sh: ${name}: /${format}: write a count, one of xduotcasi and one of bhwg`, undefined);
    return 2;
  }
  const shape = /[xduotcasi]/.exec(letters)?.[0] ?? last.format;
  const unit = UNITS[/[bhwg]/.exec(letters)?.[0] ?? ""];
  const bytes = unit ?? (shape === "c" ? 1 : shape === "a" ? 8 : last.bytes);
  const isSame = format === "" && text === "";
  const many = count ? Number(count) : isSame ? last.count : 1;
  const at = text === "" ? last.at : evaluate(context, text, `${name}:`);
  if (at === undefined) return 1;
  const lines = shape === "i" || shape === "s" ? 1 : PER_LINE[bytes]!;
  let address = BigInt.asUintN(64, at);
  for (let left = Math.min(many, MOST); left > 0; left -= lines) {
    const line = examinedLine(guest, address, shape, bytes, Math.min(left, lines));
    if (line === undefined) {
      complain(`sh: ${name}: Cannot access memory at ${hex(address)}: nothing is there`, undefined);
      return 1;
    }
    context.write(line.text);
    address = line.end;
  }
  shownLast.set(guest, { at: address, format: shape, bytes, count: many });
  return 0;
}

function examinedLine(
  guest: StoppedGuest,
  address: bigint,
  shape: string,
  bytes: WordSize,
  count: number,
): { readonly text: string; readonly end: bigint } | undefined {
  const { space } = guest.hart;
  if (shape === "i") return instructionLine(guest, address);
  const head = `${hex(address)} ${symbolText(guest, address)}`.trimEnd();
  if (shape === "s") {
    const text = space.readString(address, 4096);
    if (!text) return undefined;
    const end = address + BigInt(text.length) + 1n;
    return { text: `${head}:\t${JSON.stringify(new TextDecoder().decode(text))}\n`, end };
  }
  const cells: string[] = [];
  for (let k = 0; k < count; k++) {
    const word = space.readWord(address + BigInt(k * bytes), bytes);
    if (word === undefined && k === 0) return undefined;
    if (word === undefined) break;
    const text = valueText(guest, word, shape, bytes);
    cells.push(shape === "x" ? `0x${text.slice(2).padStart(bytes * 2, "0")}` : text);
  }
  return { text: `${head}:\t${cells.join("\t")}\n`, end: address + BigInt(cells.length * bytes) };
}

/** One instruction as gdb shows it; `from` names offsets alone. */
function instructionLine(
  guest: StoppedGuest,
  address: bigint,
  from?: bigint,
): { readonly text: string; readonly end: bigint } | undefined {
  const { hart } = guest;
  const length = lengthAt(hart, address);
  const word = hart.space.readWord(address, length as WordSize);
  if (word === undefined) return undefined;
  const mark = address === hart.pc ? "=> " : "   ";
  const place = from === undefined ? symbolText(guest, address) : `<+${address - from}>`;
  const text = disassemble(Number(word), address, {
    symbol: (target) => symbolText(guest, target).slice(1, -1).replace(/\+0$/, "") || undefined,
  });
  return {
    text: `${mark}${`${hex(address)} ${place}`.trimEnd()}:\t${text}\n`,
    end: address + BigInt(length),
  };
}

function disassembly(context: ShellCommandContext, args: readonly string[], name: string): number {
  const { guest, write, complain } = context;
  const range = rangeOf(context, args.join(" "), name);
  if (!range) return 1;
  const { start, end, label } = range;
  write(`Dump of assembler code ${label}:\n`);
  for (let at = start; at < end;) {
    const line = instructionLine(guest, at, range.named ? start : undefined);
    if (!line) {
      complain(`sh: ${name}: Cannot access memory at ${hex(at)}: nothing is there`, undefined);
      return 1;
    }
    write(line.text);
    at = line.end;
  }
  write("End of assembler dump.\n");
  return 0;
}

function rangeOf(
  context: ShellCommandContext,
  text: string,
  name: string,
): { start: bigint; end: bigint; label: string; named: boolean } | undefined {
  const { guest, complain } = context;
  const [from = "", to] = text.split(",").map((part) => part.trim());
  const pc = guest.frames()[guest.frame]!.pc;
  const [start] = from === "" ? [pc] : locate(context, from, `${name}:`) ?? [];
  if (start === undefined) return undefined;
  if (to !== undefined) {
    const value = evaluate(context, to.replace(/^\+/, ""), `${name}:`);
    if (value === undefined) return undefined;
    const end = to.startsWith("+") ? start + value : BigInt.asUintN(64, value);
    return { start, end, label: `from ${hex(start)} to ${hex(end)}`, named: false };
  }
  const symbol = guest.machine.symbols.at(start)?.symbol;
  if (!symbol) {
    complain(
      `sh: ${name}: no function is known at ${hex(start)}; write ${name} FROM,+BYTES`,
      undefined,
    );
    return undefined;
  }
  const end = guest.machine.symbols.endOf(symbol) ?? symbol.address + 4n;
  return { start: symbol.address, end, label: `for function ${symbol.name}`, named: true };
}

const INFO: Readonly<
  Record<string, (context: ShellCommandContext, args: readonly string[]) => number>
> = {
  breakpoints: infoBreakpoints,
  frame: (context) => (context.write(context.guest.frameText()), 0),
  functions: infoFunctions,
  harts: infoHarts,
  registers: infoRegisters,
  symbol: infoSymbol,
  threads: infoHarts,
};

function info(
  context: ShellCommandContext,
  [what = "", ...args]: readonly string[],
  name: string,
): number {
  const found = Object.keys(INFO).filter((each) => what !== "" && each.startsWith(what));
  const chosen = found.includes(what)
    ? what
    : found.length === 1
    ? found[0]
    : what === "f"
    ? "frame"
    : undefined;
  if (chosen !== undefined) return INFO[chosen]!(context, args);
  const names = Object.keys(INFO).filter((each) => each !== "threads").join(", ");
  context.complain(`sh: ${name}: ${what || "of what?"}: there are ${names}`, undefined);
  return 2;
}

function infoBreakpoints({ guest, write }: ShellCommandContext): number {
  const { all } = guest.breakpoints;
  if (all.length === 0) write("No breakpoints.\n");
  else write("Num Disp Enb Hits Address            What\n");
  for (const { number, temporary, enabled, hits, address, condition, ignore } of all) {
    const row = [
      String(number).padEnd(3),
      temporary ? "del " : "keep",
      enabled ? "y  " : "n  ",
      String(hits).padEnd(4),
      hex(address, 16),
      guest.place(address),
    ];
    write(`${row.join(" ")}\n`);
    if (condition) write(`        stop only if ${condition.text}\n`);
    if (ignore > 0) write(`        ignore next ${ignore} hits\n`);
  }
  return 0;
}

function infoFunctions({ guest, write }: ShellCommandContext, [glob]: readonly string[]): number {
  const found = guest.machine.symbols.functions.filter(({ name }) =>
    glob === undefined || globMatch(glob, name)
  );
  for (const { address, name } of found) write(`${hex(address, 16)}  ${name}\n`);
  return found.length > 0 ? 0 : 1;
}

function infoHarts({ guest, write }: ShellCommandContext): number {
  for (const hart of guest.machine.harts) {
    write(
      `${hart === guest.hart ? "*" : " "} hart ${hart.id} ${
        guest.here(hart).replace(/^\[hart \d+\] /, "")
      }`,
    );
  }
  return 0;
}

function infoRegisters(context: ShellCommandContext, args: readonly string[]): number {
  const { guest, write } = context;
  if (args.length === 0) {
    write(registersText(guest, guest.hart.id));
    return 0;
  }
  for (const name of args.map((arg) => arg.replace(/^\$/, ""))) {
    const value = evaluate(context, `$${name}`, "info:");
    if (value === undefined) return 1;
    const place = ["pc", "ra"].includes(name) ? symbolText(guest, value) : `${value}`;
    write(`${name.padEnd(14)} ${hex(value).padEnd(18)} ${place}\n`);
  }
  return 0;
}

function infoSymbol(context: ShellCommandContext, args: readonly string[]): number {
  const { guest, write } = context;
  const value = evaluate(context, args.join(" "), "info:");
  if (value === undefined) return 1;
  const found = guest.machine.symbols.at(BigInt.asUintN(64, value));
  if (!found) write(`No symbol covers ${hex(value)}.\n`);
  else write(`${found.symbol.name}${found.offset > 0n ? ` + ${found.offset}` : ""}\n`);
  return found ? 0 : 1;
}

/** `set [var] PLACE = EXPRESSION`: changes a register or memory of the guest. */
export function assign(context: ShellCommandContext, text: string): number {
  const { guest, complain } = context;
  const [, left = "", right] = /^(?:var(?:iable)?\s)?([^=]*?[^=!<>])=(?!=)([^]*)$/.exec(text) ?? [];
  if (right === undefined) {
    complain(`sh: set: ${text}: write set $a0 = 3, or set {int}ADDRESS = 3`, undefined);
    return 2;
  }
  try {
    const { place } = parseExpression(left);
    const value = parseExpression(right).evaluate(guest.scope);
    if (!place) {
      throw new SyntaxError(
        `Cannot set "${left.trim()}": it is no register, data or {TYPE}ADDRESS`,
      );
    }
    if ("register" in place) setRegister(guest, place.register, value);
    else {
      const { address, dataSize } = "symbol" in place
        ? symbolOf(guest.scope, place.symbol)
        : { address: place.address(guest.scope), dataSize: place.bytes };
      const isWritten = dataSize > 0 &&
        guest.hart.space.writeWord(address, dataSize as WordSize, value);
      if (!isWritten) {
        throw new RangeError(`Cannot write at ${hex(address)}: no data can be written there`);
      }
    }
    return 0;
  } catch (error) {
    refuse(context, "set:", error);
    return 1;
  }
}

function setRegister(guest: StoppedGuest, name: string, value: bigint): void {
  if (guest.frame !== 0) {
    throw new RangeError(`Cannot set $${name} in an outer frame: frame 0 has it`);
  }
  // Refuses a name that there is not.
  guest.scope.register(name);
  guest.setRegister(name, value);
}
