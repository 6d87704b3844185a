/**
 * The shell's commands that let the guest run, and say where it stops: gdb's names for them.
 *
 * @module
 */
import { hex } from "../isa/mod.ts";
import { commandEntry, type ShellCommandContext, type ShellCommandEntry } from "./shell_context.ts";
import type { Breakpoint } from "./shell_breakpoints.ts";
import { type Expression, parseExpression } from "./shell_expression.ts";
import type { GuestResult } from "./shell_guest.ts";

const LOCATION =
  "WHERE is FUNC, FUNC+OFFSET, *EXPRESSION or 0xADDRESS; without it, it is where the guest stands.\n" +
  "A function stops before its first instruction, so $a0 and on are its arguments.\n";

/** Commands that let the guest run, and breakpoints, in the order of `help`. */
export const MOVEMENT_COMMANDS: readonly ShellCommandEntry[] = [
  commandEntry(["step", "s", "si", "stepi"], "[N]", "execute N instructions of the guest", {
    run: step,
    repeats: true,
  }),
  commandEntry(["next", "n", "ni", "nexti"], "[N]", "execute one; a call as a whole", {
    run: next,
    repeats: true,
  }),
  commandEntry(
    ["continue", "c"],
    "[N | until WHERE]",
    "run on, for N instructions or up to a place",
    { run: proceed, repeats: true, details: LOCATION },
  ),
  commandEntry(["until", "u", "advance"], "[WHERE]", "the same; or next, a loop as a whole", {
    run: until,
    repeats: true,
    details: LOCATION,
  }),
  commandEntry(["finish", "fin"], "", "run until this function has returned", {
    run: async (context) => shown(context, await context.guest.finish()),
    repeats: true,
  }),
  commandEntry(["run", "r"], "", "run to the end, a breakpoint, or Ctrl-C", {
    run: async (context) => shown(context, await context.guest.run()),
  }),
  commandEntry(["break", "b", "br"], "[WHERE] [if EXPRESSION]", "stop there; tbreak stops once", {
    run: setBreakpoint,
    details: `${LOCATION}
  break price_of if $a0 > 3 && count == 2
  break *0x10448

Neither the guest nor a tracer notices a breakpoint: trace and times stay as they are.
`,
  }),
  commandEntry(["tbreak", "tb"], "[WHERE] [if EXPRESSION]", "", {
    run: setBreakpoint,
    details: LOCATION,
  }),
  commandEntry(["delete", "d"], "[N…]", "take breakpoints away; enable, disable: switch", {
    run: (context, args) => change(context, "delete", args),
  }),
  commandEntry(["enable"], "[N…]", "", {
    run: (context, args) => change(context, "enable", args),
  }),
  commandEntry(["disable"], "[N…]", "", {
    run: (context, args) => change(context, "disable", args),
  }),
  commandEntry(["condition"], "N [EXPRESSION]", "stop at breakpoint N only if; ignore N COUNT", {
    run: setCondition,
  }),
  commandEntry(["ignore"], "N COUNT", "", { run: ignore }),
];

function shown(context: ShellCommandContext, { status, text }: GuestResult): number {
  context.write(text);
  return status;
}

/** Reads the number that `text` is, or complains. */
function countOf(
  { complain }: ShellCommandContext,
  name: string,
  text: string | undefined,
): bigint | undefined {
  if (text === undefined) return 1n;
  if (/^\d+$/.test(text)) return BigInt(text);
  complain(`sh: ${name}: ${text}: a number of instructions is needed`, undefined);
  return undefined;
}

async function step(
  context: ShellCommandContext,
  args: readonly string[],
  name: string,
): Promise<number> {
  const count = countOf(context, name, args[0]);
  return count === undefined ? 2 : shown(context, await context.guest.step(count));
}

async function next(
  context: ShellCommandContext,
  args: readonly string[],
  name: string,
): Promise<number> {
  const count = countOf(context, name, args[0]);
  return count === undefined ? 2 : shown(context, await context.guest.next(count));
}

async function proceed(
  context: ShellCommandContext,
  args: readonly string[],
  name: string,
): Promise<number> {
  const [first, ...target] = args;
  if (first === undefined) return shown(context, await context.guest.run());
  if (first === "until") return await runTo(context, target.join(" "), `${name}: until`);
  const count = countOf(context, name, first);
  return count === undefined ? 2 : shown(context, await context.guest.run({ count }));
}

async function until(
  context: ShellCommandContext,
  args: readonly string[],
  name: string,
): Promise<number> {
  if (args.length === 0 && name !== "advance") {
    return shown(context, await context.guest.until());
  }
  return await runTo(context, args.join(" "), `${name}:`);
}

async function runTo(
  context: ShellCommandContext,
  target: string,
  who: string,
): Promise<number> {
  const [address] = locate(context, target, who) ?? [];
  return address === undefined ? 1 : shown(context, await context.guest.run({ address }));
}

/** The addresses that a place stands for, or complains; `who` is the command. */
export function locate(
  context: ShellCommandContext,
  text: string,
  who: string,
): readonly bigint[] | undefined {
  const { guest, complain } = context;
  const { symbols } = guest.machine;
  const [, name = "", sign, offset = "0"] =
    /^([^+*]+?)(?:\s*([+-])\s*(0x[0-9a-f]+|\d+))?$/i.exec(text) ?? [];
  const functions = symbols.named(name).filter(({ type }) => type !== "object");
  if (functions.length > 0) {
    const plus = BigInt(offset) * (sign === "-" ? -1n : 1n);
    return [...new Set(functions.map(({ address }) => address + plus))];
  }
  if (!/^(?:\*|0x[0-9a-f]+$)/i.test(text)) {
    complain(`sh: ${who} ${text}: no such function`, undefined);
    context.explain(
      `${who.replace(/:.*/, "")}${
        who.endsWith("until") ? " until" : ""
      } takes the name of a function of the guest, or an address 0x…`,
    );
    return undefined;
  }
  const value = evaluate(context, text.replace(/^\*/, ""), who);
  return value === undefined ? undefined : [BigInt.asUintN(64, value)];
}

/** The value of an expression in the chosen frame, or complains. */
export function evaluate(
  context: ShellCommandContext,
  text: string,
  who: string,
): bigint | undefined {
  try {
    return parseExpression(text).evaluate(context.guest.scope);
  } catch (error) {
    refuse(context, who, error);
    return undefined;
  }
}

/** Complains about an expression. @throws {unknown} What is no refusal. */
export function refuse(context: ShellCommandContext, who: string, error: unknown): void {
  if (!(error instanceof SyntaxError || error instanceof RangeError)) throw error;
  context.complain(`sh: ${who} ${error.message}`, undefined);
}

function setBreakpoint(
  context: ShellCommandContext,
  args: readonly string[],
  name: string,
): number {
  const { guest, write, complain } = context;
  const at = args.indexOf("if");
  const where = (at < 0 ? args : args.slice(0, at)).join(" ");
  let condition: Expression | undefined;
  try {
    if (at >= 0) condition = parseExpression(args.slice(at + 1).join(" "));
  } catch (error) {
    refuse(context, `${name}:`, error);
    return 1;
  }
  const { pc } = guest.frames()[guest.frame]!;
  const addresses = where === "" ? [pc] : locate(context, where, `${name}:`);
  if (!addresses) return 1;
  for (const address of addresses) {
    const isThere = guest.hart.space.read(address, 2) || guest.machine.symbols.at(address);
    if (address % 2n !== 0n || !isThere) {
      const why = isThere ? "instructions have even addresses" : "nothing is there";
      complain(`sh: ${name}: Cannot stop at ${hex(address)}: ${why}`, undefined);
      return 1;
    }
    const temporary = name.startsWith("t");
    const { number } = guest.breakpoints.add(address, temporary, condition);
    const what = temporary ? "Temporary breakpoint" : "Breakpoint";
    write(`${what} ${number} at ${hex(address)} ${guest.place(address)}\n`);
  }
  return 0;
}

/** The breakpoint of a number, or complains. */
function breakpointOf(
  { guest, complain }: ShellCommandContext,
  name: string,
  text = "",
): Breakpoint | undefined {
  const found = guest.breakpoints.all.find(({ number }) => String(number) === text);
  const known = guest.breakpoints.all.map(({ number }) => number).join(", ");
  if (!found) {
    complain(
      `sh: ${name}: ${
        text === "" ? "the number of a breakpoint is needed" : `${text}: no such breakpoint`
      }; ${known === "" ? "there are none" : `there are ${known}`}`,
      undefined,
    );
  }
  return found;
}

function change(
  context: ShellCommandContext,
  name: "delete" | "enable" | "disable",
  args: readonly string[],
): number {
  const { breakpoints } = context.guest;
  const numbers = args.filter((arg) => arg !== "breakpoints");
  const chosen: Breakpoint[] = [];
  for (const text of numbers) {
    const found = breakpointOf(context, name, text);
    if (!found) return 1;
    chosen.push(found);
  }
  for (const breakpoint of numbers.length > 0 ? chosen : [...breakpoints.all]) {
    if (name === "delete") breakpoints.delete(breakpoint);
    else breakpoint.enabled = name === "enable";
  }
  return 0;
}

function setCondition(context: ShellCommandContext, args: readonly string[], name: string): number {
  const [, number = "", text = ""] = /^\s*(\S*)\s*([^]*)$/.exec(args.join(" ")) ?? [];
  const breakpoint = breakpointOf(context, name, number);
  if (!breakpoint) return 1;
  try {
    breakpoint.condition = text === "" ? undefined : parseExpression(text);
    return 0;
  } catch (error) {
    refuse(context, `${name}:`, error);
    return 1;
  }
}

function ignore(
  context: ShellCommandContext,
  [number, count = ""]: readonly string[],
  name: string,
): number {
  const breakpoint = breakpointOf(context, name, number);
  if (!breakpoint) return 1;
  if (!/^\d+$/.test(count)) {
    context.complain(`sh: ${name}: ${count}: how many hits are not to stop is needed`, undefined);
    return 2;
  }
  breakpoint.ignore = Number(count);
  return 0;
}
