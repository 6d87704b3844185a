/**
 * The shell's hold on the guest: step, next, continue, and a look at where it stands.
 *
 * The guest is stopped whenever a command is typed, always between two of its instructions;
 * instructions of trampolines do not count as steps.
 *
 * @module
 */
import { disassemble, type Ftrace, type Outcome } from "../../mod.ts";
import type { Hart } from "../engine/mod.ts";
import { symbolizerOf } from "../output/mod.ts";
import { hex, X_NAMES } from "../isa/mod.ts";
import { type CliHost, say } from "./host.ts";
import { endingOf, placeText } from "./outcome.ts";

/** What a command on the guest prints and returns. */
export interface GuestResult {
  /** 0, or what ended the guest as an exit code; 130 for Ctrl-C, 124 for the limit. */
  readonly status: number;
  /** Lines to print. */
  readonly text: string;
}

/** Control of the guest, which is stopped between the commands. */
export interface GuestControl {
  /** The guest's exit code, once the guest has ended. */
  readonly ended: number | undefined;
  /** Executes `count` instructions. */
  step(count: bigint): Promise<GuestResult>;
  /** Executes one, and if it is a call, the whole call. */
  next(): Promise<GuestResult>;
  /** Runs on: for `count` instructions, to `address`, or to its end. */
  run(until?: { readonly count?: bigint; readonly address?: bigint }): Promise<GuestResult>;
  /** How many harts the guest has. */
  readonly harts: number;
  /** The calls that a hart is in, innermost first. */
  where(hart: number): string;
  /** A hart's pc and integer registers, as text. */
  registers(hart: number): string;
}

/** The host and the traced machine that {@linkcode createGuestControl} works on. */
export interface GuestControlContext {
  /** Where Ctrl-C comes from and endings are said. */
  readonly host: CliHost;
  /** The machine under its tracers. */
  readonly ftrace: Ftrace;
  /** Name of the program, as the command line gave it. */
  readonly program: string;
  /** Instructions of the guest after which it is stopped for good (`--limit-insns`). */
  readonly limit: number | undefined;
}

const RA = X_NAMES.indexOf("ra");
const SP = X_NAMES.indexOf("sp");
/** Exit code of a run that Ctrl-C stopped. */
const INTERRUPTED = 130;

/** Makes the shell's control of a guest. */
export function createGuestControl(context: GuestControlContext): GuestControl {
  return new StoppedGuest(context);
}

class StoppedGuest implements GuestControl {
  readonly #context: GuestControlContext;
  readonly #hart: Hart;
  readonly #place: (address: bigint, isReturn?: boolean) => string;
  #ended: number | undefined;

  constructor(context: GuestControlContext) {
    this.#context = context;
    this.#hart = context.ftrace.machine.harts[0]!;
    const { symbol } = symbolizerOf(context.ftrace);
    this.#place = (address, isReturn = false) => placeText(symbol, address, isReturn);
  }

  get ended(): number | undefined {
    return this.#ended;
  }

  get harts(): number {
    return this.#context.ftrace.machine.harts.length;
  }

  step(count: bigint): Promise<GuestResult> {
    return this.#unlessEnded(() => this.#go(count));
  }

  next(): Promise<GuestResult> {
    return this.#unlessEnded(async () => {
      const hart = this.#hart;
      const behind = hart.pc + BigInt(lengthAt(hart, hart.pc));
      const sp = hart.x[SP]!;
      const stepped = await this.#go(1n, true);
      if (stepped.status !== 0 || this.#ended !== undefined) return stepped;
      const called = hart.pc !== behind && BigInt.asUintN(64, hart.x[RA]!) === behind;
      if (!called) return { status: 0, text: this.#here() };
      return await this.#runTo(behind, () => hart.x[SP]! >= sp);
    });
  }

  run({ count, address }: { count?: bigint; address?: bigint } = {}): Promise<GuestResult> {
    return this.#unlessEnded(() =>
      address === undefined ? this.#go(count) : this.#runTo(address, () => true)
    );
  }

  where(id: number): string {
    const { program, ftrace: { machine } } = this.#context;
    if (this.#ended !== undefined) return `${program} has ended with exit code ${this.#ended}\n`;
    return machine.unwinder.backtrace(machine.harts[id]!).map((address, number) => {
      // A call may be a function's last instruction, so what it returns to may lie behind it.
      const name = this.#place(address, number > 0);
      return `#${number} ${hex(address)} ${name}\n`;
    }).join("");
  }

  registers(id: number): string {
    const { pc, x } = this.#context.ftrace.machine.harts[id]!;
    const cells = [
      ["pc", pc] as const,
      ...X_NAMES.slice(1).map((name, k) => [name, BigInt.asUintN(64, x[k + 1]!)] as const),
    ].map(([name, value]) => `${name.padStart(3)} ${value.toString(16).padStart(16, "0")}`);
    const lines: string[] = [];
    for (let at = 0; at < cells.length; at += 4) lines.push(cells.slice(at, at + 4).join("  "));
    return `${lines.join("\n")}\n`;
  }

  #here(): string {
    const { pc } = this.#hart;
    return `${hex(pc)} ${this.#place(pc)}: ${instructionText(this.#hart)}\n`;
  }

  async #unlessEnded(body: () => Promise<GuestResult>): Promise<GuestResult> {
    if (this.#ended === undefined) return await body();
    const { host, program } = this.#context;
    say(host, `Cannot go on: ${program} has ended; start the shell again to run it again`);
    return { status: 1, text: "" };
  }

  /** Lets the guest run; `quiet` leaves out the line that says where it is then. */
  async #go(count: bigint | undefined, quiet = false): Promise<GuestResult> {
    const { limit } = this.#context;
    const all = limit === undefined ? undefined : BigInt(limit);
    const wanted = count === undefined ? undefined : this.#hart.instret + count;
    const stopAt = wanted === undefined || (all !== undefined && all < wanted) ? all : wanted;
    const outcome = await this.#runUntil(stopAt);
    const shown = () => quiet ? "" : this.#here();
    if (outcome.kind === "interrupted") return { status: INTERRUPTED, text: shown() };
    if (outcome.kind === "limit" && stopAt !== all) return { status: 0, text: shown() };
    return { status: this.#tellEnding(outcome), text: "" };
  }

  async #runUntil(limit: bigint | undefined): Promise<Outcome> {
    const { host, ftrace: { machine } } = this.#context;
    using _listening = host.onInterrupt(() => machine.requestStop());
    return await machine.run(limit === undefined ? {} : { limit });
  }

  /** Says how the guest ended, or that the limit was reached; gives the exit code. */
  #tellEnding(outcome: Outcome): number {
    const { host, program, limit } = this.#context;
    const ending = endingOf(outcome, { program, limit, quiet: false, place: this.#place });
    if (outcome.kind !== "limit") this.#ended = ending.code;
    const plain = ending.code === 0 ? [`${program} exited with code 0`] : [];
    say(host, [...ending.lines, ...plain].join("\n"));
    return ending.code;
  }

  /** Runs to `address`; `holds` decides whether an arrival there counts. */
  async #runTo(address: bigint, holds: () => boolean): Promise<GuestResult> {
    const { machine, core } = this.#context.ftrace;
    if (this.#hart.pc === address) {
      const left = await this.#go(1n, true);
      if (left.status !== 0 || this.#ended !== undefined) return left;
    }
    let arrived = false;
    const hook = core.hooks.add(Number(address), () => {
      if (!holds()) return;
      arrived = true;
      machine.requestStop();
      return "stop";
    });
    try {
      const result = await this.#go(undefined);
      return arrived ? { ...result, status: 0 } : result;
    } finally {
      hook[Symbol.dispose]();
    }
  }
}

/** Bytes of the instruction at `pc`. */
function lengthAt({ space }: Hart, pc: bigint): number {
  return ((space.read(pc, 2)?.[0] ?? 3) & 3) === 3 ? 4 : 2;
}

function instructionText(hart: Hart): string {
  const bytes = hart.space.read(hart.pc, lengthAt(hart, hart.pc));
  if (!bytes) return "(nothing is there)";
  const bits = bytes.reduceRight((word, byte) => (word << 8) | byte, 0);
  return disassemble(bytes.length === 2 ? bits : bits >>> 0, hart.pc).replace(/\s+/g, " ");
}
