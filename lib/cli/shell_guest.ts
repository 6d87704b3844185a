/**
 * The shell's hold on the guest: step, next, continue, and a look at where it stands.
 *
 * The guest is stopped whenever a command is typed, always between two of its instructions;
 * instructions of trampolines do not count as steps.
 *
 * @module
 */
import {
  disassemble,
  type Ftrace,
  type Hart,
  type Outcome,
  symbolizerOf,
  X_NAMES,
} from "../../mod.ts";
import { type CliHost, say } from "./host.ts";
import { endingOf, hex, placeText } from "./outcome.ts";

/** What a command on the guest gives. */
export interface GuestResult {
  /** 0, or what ended the guest as an exit code; 130 for Ctrl-C, 124 for the limit. */
  readonly status: number;
  /** Lines to print. */
  readonly text: string;
}

/** The guest, stopped. */
export interface GuestControl {
  /** Its exit code, once it has ended. */
  readonly ended: number | undefined;
  /** Executes `count` instructions. */
  step(count: bigint): Promise<GuestResult>;
  /** Executes one, and if it is a call, the whole call. */
  next(): Promise<GuestResult>;
  /** Runs on: for `count` instructions, to `address`, or to its end. */
  run(until?: { readonly count?: bigint; readonly address?: bigint }): Promise<GuestResult>;
  /** How many harts it has. */
  readonly harts: number;
  /** The calls that a hart is in, innermost first. */
  where(hart: number): string;
  /** A hart's registers. */
  registers(hart: number): string;
}

/** What {@linkcode createGuestControl} works on. */
export interface GuestControlContext {
  /** Where Ctrl-C comes from and endings are said. */
  readonly host: CliHost;
  /** The machine under its tracers. */
  readonly ftrace: Ftrace;
  /** As the program was named. */
  readonly program: string;
  /** `--limit-insns`. */
  readonly limit: number | undefined;
}

const RA = 1;
const SP = 2;

/** Takes hold of a guest. */
export function createGuestControl(context: GuestControlContext): GuestControl {
  const { host, ftrace, program, limit } = context;
  const { machine, core } = ftrace;
  const hart = machine.harts[0]!;
  const { symbol } = symbolizerOf(ftrace);
  const place = (address: bigint, isReturn = false) => placeText(symbol, address, isReturn);
  let ended: number | undefined;

  const here = () => `${hex(hart.pc)} ${place(hart.pc)}: ${instructionText(hart)}\n`;
  const refuse = () => ({
    status: 1,
    text: "",
  });
  /** Lets it run; `quiet` leaves out the line that says where it is. */
  const go = async (count: bigint | undefined, quiet = false): Promise<GuestResult> => {
    const all = limit === undefined ? undefined : BigInt(limit);
    const wanted = count === undefined ? undefined : hart.instret + count;
    const stopAt = wanted === undefined || (all !== undefined && all < wanted) ? all : wanted;
    let outcome: Outcome;
    {
      using _listening = host.onInterrupt(() => machine.requestStop());
      outcome = await machine.run(stopAt === undefined ? {} : { limit: stopAt });
    }
    if (outcome.kind === "interrupted") return { status: 130, text: quiet ? "" : here() };
    if (outcome.kind === "limit" && stopAt !== all) return { status: 0, text: quiet ? "" : here() };
    const ending = endingOf(outcome, { program, limit, quiet: false, place });
    if (outcome.kind !== "limit") ended = ending.code;
    const plain = ending.code === 0 ? [`${program} exited with code 0`] : [];
    say(host, [...ending.lines, ...plain].join("\n"));
    return { status: ending.code, text: "" };
  };
  /** Runs to `address`; `holds` decides whether an arrival there counts. */
  const runTo = async (address: bigint, holds: () => boolean): Promise<GuestResult> => {
    if (hart.pc === address) {
      const left = await go(1n, true);
      if (left.status !== 0 || ended !== undefined) return left;
    }
    let arrived = false;
    const hook = core.hooks.add(Number(address), () => {
      if (!holds()) return;
      arrived = true;
      machine.requestStop();
      return "stop";
    });
    try {
      const result = await go(undefined);
      return arrived ? { ...result, status: 0 } : result;
    } finally {
      hook[Symbol.dispose]();
    }
  };
  const checked = (body: () => Promise<GuestResult>): Promise<GuestResult> => {
    if (ended === undefined) return body();
    say(host, `Cannot go on: ${program} has ended; start the shell again to run it again`);
    return Promise.resolve(refuse());
  };

  return {
    get ended() {
      return ended;
    },
    step: (count) => checked(() => go(count)),
    next: () =>
      checked(async () => {
        const behind = hart.pc + BigInt(lengthAt(hart, hart.pc));
        const sp = hart.x[SP]!;
        const stepped = await go(1n, true);
        if (stepped.status !== 0 || ended !== undefined) return stepped;
        const called = hart.pc !== behind && BigInt.asUintN(64, hart.x[RA]!) === behind;
        return called ? await runTo(behind, () => hart.x[SP]! >= sp) : { status: 0, text: here() };
      }),
    run: ({ count, address } = {}) =>
      checked(() => address === undefined ? go(count) : runTo(address, () => true)),
    harts: machine.harts.length,
    where(id) {
      if (ended !== undefined) return `${program} has ended with exit code ${ended}\n`;
      return machine.unwinder.backtrace(machine.harts[id]!).map((address, number) => {
        // A call may be a function's last instruction, so what it returns to may lie behind it.
        const name = number === 0 ? place(address) : place(address, true);
        return `#${number} ${hex(address)} ${name}\n`;
      }).join("");
    },
    registers(id) {
      const { pc, x } = machine.harts[id]!;
      const cells = [
        ["pc", pc] as const,
        ...X_NAMES.slice(1).map((name, k) => [name, BigInt.asUintN(64, x[k + 1]!)] as const),
      ].map(([name, value]) => `${name.padStart(3)} ${value.toString(16).padStart(16, "0")}`);
      const lines: string[] = [];
      for (let at = 0; at < cells.length; at += 4) lines.push(cells.slice(at, at + 4).join("  "));
      return `${lines.join("\n")}\n`;
    },
  };
}

/** Bytes of the instruction at `pc`. */
function lengthAt({ memory }: Hart, pc: bigint): number {
  return ((memory.read(pc, 2)?.[0] ?? 3) & 3) === 3 ? 4 : 2;
}

function instructionText(hart: Hart): string {
  const bytes = hart.memory.read(hart.pc, lengthAt(hart, hart.pc));
  if (!bytes) return "(nothing is there)";
  const bits = bytes.reduceRight((word, byte) => (word << 8) | byte, 0);
  return disassemble(bytes.length === 2 ? bits : bits >>> 0, hart.pc).replace(/\s+/g, " ");
}
