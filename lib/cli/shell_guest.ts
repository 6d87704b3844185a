/**
 * The shell's hold on the guest: step, next, continue, finish, and a look at where it stands.
 *
 * The guest is stopped whenever a command is typed, always between two of its instructions;
 * instructions of trampolines do not count as steps. With several harts, the others run, too.
 *
 * @module
 */
import {
  disassemble,
  type Ftrace,
  type Machine,
  type Outcome,
  type RunOptions,
} from "../../mod.ts";
import type { Hart } from "../engine/mod.ts";
import { symbolizerOf } from "../output/mod.ts";
import type { StackFrame } from "../program/mod.ts";
import { fNumber, hex, X_NAMES, xNumber } from "../isa/mod.ts";
import { type CliHost, say } from "./host.ts";
import { endingOf, placeText } from "./outcome.ts";
import { Breakpoints } from "./shell_breakpoints.ts";
import type { ExpressionScope } from "./shell_expression.ts";

/** What a command on the guest prints and returns. */
export interface GuestResult {
  /** 0, or what ended the guest as an exit code; 130 for Ctrl-C, 124 for the limit. */
  readonly status: number;
  /** Lines to print. */
  readonly text: string;
}

/** The host and the traced machine that a {@linkcode StoppedGuest} works on. */
export interface GuestControlContext {
  /** Where Ctrl-C comes from and endings are said. */
  readonly host: CliHost;
  /** The machine under its tracers. */
  readonly ftrace: Ftrace;
  /** Name of the program, as the command line gave it. */
  readonly program: string;
  /** Instructions of the guest after which it is stopped for good (`--limit-insns`). */
  readonly limit: number | undefined;
  /** Whether the guest has begun a line on stdout and not ended it; what is printed next ends it. */
  endLine(): boolean;
}

const RA = X_NAMES.indexOf("ra");
const SP = X_NAMES.indexOf("sp");
const A0 = X_NAMES.indexOf("a0");
/** Exit code of a run that Ctrl-C stopped. */
const INTERRUPTED = 130;

/** Control of the guest, which is stopped between the commands. */
export class StoppedGuest {
  /** Where the guest stops by itself. */
  readonly breakpoints: Breakpoints;
  readonly #context: GuestControlContext;
  #hart: Hart;
  #frame = 0;
  #ended: number | undefined;
  #running = false;

  /** Takes hold of a guest that does not run. */
  constructor(context: GuestControlContext) {
    const { machine } = context.ftrace;
    this.#context = context;
    this.#hart = machine.harts[0]!;
    this.breakpoints = new Breakpoints(
      machine.engine,
      (condition, hart) => condition.evaluate(scopeOf(machine, hart)) !== 0n,
      () => machine.requestStop(),
    );
  }

  /** The guest's exit code, once the guest has ended. */
  get ended(): number | undefined {
    return this.#ended;
  }

  /** Whether the guest is executing, so that Ctrl-C is for it. */
  get running(): boolean {
    return this.#running;
  }

  /** The machine with its program. */
  get machine(): Machine {
    return this.#context.ftrace.machine;
  }

  /** How many harts the guest has. */
  get harts(): number {
    return this.machine.harts.length;
  }

  /** The hart that commands are about: the one that stopped last, or was chosen. */
  get hart(): Hart {
    return this.#hart;
  }

  /** Number of the frame that is looked at; 0 is the innermost. */
  get frame(): number {
    return this.#frame;
  }

  /** Chooses a hart. */
  chooseHart(id: number): void {
    this.#hart = this.machine.harts[id]!;
    this.#frame = 0;
  }

  /** Chooses a frame; false if there is none of that number. */
  chooseFrame(number: number): boolean {
    if (this.frames().length <= number || number < 0) return false;
    this.#frame = number;
    return true;
  }

  /** The frames of the chosen hart, innermost first. */
  frames(): readonly StackFrame[] {
    return this.machine.unwinder.frames(this.#hart);
  }

  /** What names in expressions mean in the chosen frame. */
  get scope(): ExpressionScope {
    const frame = this.#frame === 0 ? undefined : this.frames()[this.#frame];
    return scopeOf(this.machine, this.#hart, frame);
  }

  /** Gives a register of the chosen hart, which has one of that name, another value. */
  setRegister(name: string, value: bigint): void {
    const number = xNumber(name);
    if (name === "pc") this.#hart.pc = BigInt.asUintN(64, value);
    else if (number === undefined) this.#hart.f[fNumber(name)!] = value;
    else if (number !== 0) this.#hart.x[number] = value;
  }

  /** Executes `count` instructions. */
  step(count: bigint): Promise<GuestResult> {
    return this.#unlessEnded(() => this.#go(count));
  }

  /** Executes `count` times one, and if it is a call, the whole call. */
  async next(count = 1n): Promise<GuestResult> {
    let result: GuestResult = { status: 0, text: "" };
    for (let left = count; left > 0n; left--) {
      result = await this.#unlessEnded(() => this.#next());
      if (result.status !== 0 || this.#ended !== undefined) break;
      if (this.breakpoints.reason?.breakpoint) break;
    }
    return result;
  }

  async #next(): Promise<GuestResult> {
    const hart = this.#hart;
    const behind = hart.pc + BigInt(lengthAt(hart, hart.pc));
    const sp = hart.x[SP]!;
    const stepped = await this.#go(1n);
    const called = hart.pc !== behind && BigInt.asUintN(64, hart.x[RA]!) === behind;
    if (stepped.status !== 0 || this.#ended !== undefined || !called) return stepped;
    if (this.breakpoints.reason) return stepped;
    return await this.#runTo([[behind, (at) => at === hart && at.x[SP]! >= sp]]);
  }

  /** Executes one as {@linkcode StoppedGuest.next} does; if that leads back, the whole loop. */
  until(): Promise<GuestResult> {
    return this.#unlessEnded(async () => {
      const hart = this.#hart;
      const { pc } = hart;
      const sp = hart.x[SP]!;
      const behind = pc + BigInt(lengthAt(hart, pc));
      const out = this.frames()[1];
      const result = await this.#next();
      const isBack = hart.pc < pc && hart.x[SP]! === sp && this.breakpoints.reason === undefined;
      if (result.status !== 0 || this.#ended !== undefined || !isBack) return result;
      const here = (at: Hart) => at === hart && at.x[SP]! >= sp;
      return await this.#runTo([[behind, here], ...out ? [[out.pc, here] as const] : []]);
    });
  }

  /** Runs until the chosen frame's function has returned, and says what is in a0 then. */
  finish(): Promise<GuestResult> {
    return this.#unlessEnded(async () => {
      const hart = this.#hart;
      const back = this.frames()[this.#frame + 1];
      if (!back) {
        say(this.#context.host, "Cannot finish: nothing is known to have called this function");
        return { status: 1, text: "" };
      }
      const isBack = (at: Hart) => at === hart && BigInt.asUintN(64, at.x[SP]!) >= back.sp;
      const result = await this.#runTo([[back.pc, isBack]]);
      const { reason } = this.breakpoints;
      if (result.status !== 0 || !reason || reason.breakpoint || reason.failure) return result;
      const value = hart.x[A0]!;
      return { ...result, text: `${result.text}a0 = ${hex(value)} (${value})\n` };
    });
  }

  /** Runs on: for `count` instructions, to `address`, or to its end. */
  run({ count, address }: { count?: bigint; address?: bigint } = {}): Promise<GuestResult> {
    return this.#unlessEnded(() =>
      address === undefined ? this.#go(count) : this.#runTo([[address, () => true]])
    );
  }

  /** The calls that a hart is in, innermost first, as text. */
  where(id: number): string {
    const { program, ftrace: { machine } } = this.#context;
    if (this.#ended !== undefined) return `${program} has ended with exit code ${this.#ended}\n`;
    return machine.unwinder.backtrace(machine.harts[id]!).map((address, number) =>
      this.#frameText(address, number)
    ).join("");
  }

  /** One line for the chosen frame. */
  frameText(): string {
    return this.#frameText(this.frames()[this.#frame]!.pc, this.#frame);
  }

  #frameText(address: bigint, number: number): string {
    // A call may be a function's last instruction, so what it returns to may lie behind it.
    return `#${number} ${hex(address)} ${this.place(address, number > 0)}\n`;
  }

  /** `name+0x4/0x20` for an address. */
  place(address: bigint, isReturn = false): string {
    return placeText(symbolizerOf(this.#context.ftrace).symbol, address, isReturn);
  }

  /** Where a hart stands and what it is about to execute, as a line. */
  here(hart = this.#hart): string {
    const { pc } = hart;
    const mark = this.harts > 1 ? `[hart ${hart.id}] ` : "";
    return `${mark}${hex(pc)} ${this.place(pc)}: ${instructionText(hart)}\n`;
  }

  async #unlessEnded(body: () => Promise<GuestResult>): Promise<GuestResult> {
    if (this.#ended === undefined) return await body();
    const { host, program } = this.#context;
    say(host, `Cannot go on: ${program} has ended; start the shell again to run it again`);
    return { status: 1, text: "" };
  }

  /** Lets the guest run, for `count` instructions of the chosen hart or on and on. */
  async #go(count: bigint | undefined): Promise<GuestResult> {
    const { host, limit, ftrace: { machine } } = this.#context;
    this.breakpoints.leave(machine.harts);
    this.#frame = 0;
    const hart = this.#hart;
    const instret = count === undefined ? undefined : hart.instret + count;
    const all = limit === undefined ? undefined : BigInt(limit);
    const outcome = await this.#runUntil({
      ...(all === undefined ? {} : { limit: all }),
      ...(instret === undefined ? {} : { until: { hart, instret } }),
    });
    const gap = this.#context.endLine() ? "\n" : "";
    const { reason } = this.breakpoints;
    if (reason && outcome.kind === "interrupted") {
      this.#hart = reason.hart;
      if (reason.failure) say(host, reason.failure);
      const { breakpoint } = reason;
      const what = !breakpoint
        ? ""
        : `${breakpoint.temporary ? "Temporary breakpoint" : "Breakpoint"} ${breakpoint.number}, `;
      return { status: 0, text: gap + what + this.here() };
    }
    if (outcome.kind === "interrupted") return { status: INTERRUPTED, text: gap + this.here() };
    const isOver = all !== undefined && machine.harts.some((each) => each.instret >= all);
    if (outcome.kind === "limit" && !isOver) return { status: 0, text: gap + this.here() };
    return { status: this.#tellEnding(outcome), text: "" };
  }

  async #runUntil(options: RunOptions): Promise<Outcome> {
    const { host, ftrace: { machine } } = this.#context;
    using _listening = host.onInterrupt(() => machine.requestStop());
    this.#running = true;
    try {
      return await machine.run(options);
    } finally {
      this.#running = false;
    }
  }

  /** Says how the guest ended, or that the limit was reached; gives the exit code. */
  #tellEnding(outcome: Outcome): number {
    const { host, program, limit } = this.#context;
    const place = (address: bigint, isReturn?: boolean) => this.place(address, isReturn);
    const ending = endingOf(outcome, { program, limit, quiet: false, place });
    if (outcome.kind !== "limit") this.#ended = ending.code;
    const plain = ending.code === 0 ? [`${program} exited with code 0`] : [];
    say(host, [...ending.lines, ...plain].join("\n"));
    return ending.code;
  }

  /** Runs until a hart comes to one of some addresses and what is behind it holds. */
  async #runTo(
    goals: readonly (readonly [address: bigint, holds: (hart: Hart) => boolean])[],
  ): Promise<GuestResult> {
    using placed = new DisposableStack();
    for (const [address, holds] of goals) placed.use(this.breakpoints.goal(address, holds));
    return await this.#go(undefined);
  }
}

/** Bytes of the instruction at `pc`. */
export function lengthAt({ space }: Hart, pc: bigint): number {
  return ((space.read(pc, 2)?.[0] ?? 3) & 3) === 3 ? 4 : 2;
}

function instructionText(hart: Hart): string {
  const bytes = hart.space.read(hart.pc, lengthAt(hart, hart.pc));
  if (!bytes) return "(nothing is there)";
  const bits = bytes.reduceRight((word, byte) => (word << 8) | byte, 0);
  return disassemble(bytes.length === 2 ? bits : bits >>> 0, hart.pc).replace(/\s+/g, " ");
}

/** Sizes of data that an expression reads as a number. */
const WORDS = [1n, 2n, 4n, 8n];

/** What names mean on a hart; in an outer frame only pc and sp are known. */
export function scopeOf(machine: Machine, hart: Hart, frame?: StackFrame): ExpressionScope {
  return {
    register: (name) => registerOf(hart, name, frame),
    symbol(name) {
      const found = machine.symbols.named(name)[0];
      if (!found) return undefined;
      const isWord = found.type === "object" && WORDS.includes(found.size);
      return { address: found.address, dataSize: isWord ? Number(found.size) : 0 };
    },
    read(address, bytes) {
      const word = hart.space.readWord(address, bytes);
      if (word !== undefined) return word;
      throw new RangeError(
        `Cannot read ${bytes} bytes at ${hex(address)}: nothing is there to read`,
      );
    },
  };
}

function registerOf(hart: Hart, name: string, frame: StackFrame | undefined): bigint {
  const number = xNumber(name);
  if (name === "pc") return frame?.pc ?? hart.pc;
  if (frame && name === "sp") return frame.sp;
  if (number !== undefined && frame && number !== 0) {
    throw new RangeError(
      `Cannot read $${name} in an outer frame: only $pc and $sp are known there; frame 0 has all`,
    );
  }
  if (number !== undefined) return hart.x[number]!;
  const float = fNumber(name);
  if (float !== undefined) return hart.f[float]!;
  throw new RangeError(
    `Cannot read $${name}: there is no such register; there are $pc, $a0 and the like, $x10, $fa0`,
  );
}
