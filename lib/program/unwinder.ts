/**
 * Where a hart has come from: the frames on its stack, innermost first.
 *
 * Programs are compiled without frame pointers, so a frame is found by reading the function's own
 * code from its entry to the pc: that tells how far sp has moved and where ra lies. Where a program
 * has no symbols, a chain of frame pointers is followed if there is one; nothing is made up.
 *
 * What one instruction does to sp and ra is `lib/isa/follow.ts`.
 *
 * @module
 */
import { RA, S0, SP, T0 } from "../isa/abi.ts";
import { RV64 } from "../isa/decode.ts";
import { ENTRY_TRAIL, follow, type Origin, type Trail } from "../isa/follow.ts";
import type { SymbolTable } from "./symbols.ts";

/** A frame of the stack: one function that has not returned. */
export interface StackFrame {
  /** Where the function stands: the pc, or the address that an inner call returns to. */
  readonly pc: bigint;
  /**
   * The function's stack pointer there, unsigned; a frame's size is the distance to the next one's.
   */
  readonly sp: bigint;
}

/** The registers from which a stack is unwound. */
export interface StackStart {
  /** The pc: where the innermost function stands. */
  readonly pc: bigint;
  /** sp of the innermost function. */
  readonly sp: bigint;
  /** ra, which may hold the innermost function's return address. */
  readonly ra: bigint;
  /** s0, which may be a frame pointer. */
  readonly s0: bigint;
}

/** The real address behind a return address that was found for the frame whose caller's sp is `sp`. */
export type RealReturn = (value: bigint, sp: bigint) => bigint;

/** A hart, as far as unwinding its stack needs it. */
export interface StackHart {
  /** Address of the instruction that the hart comes to next. */
  readonly pc: bigint;
  /** The hart's integer registers, signed. */
  readonly x: ArrayLike<bigint>;
}

/** The bytes that a program and its stacks are made of, as its harts see them. */
export interface StackMemory {
  /** A copy of bytes that may be read, or undefined. */
  read(address: bigint, length: number): Uint8Array | undefined;
  /** Whether an instruction may be fetched from an address. */
  fetchable(address: bigint): boolean;
}

/** Unwinds stacks of one program. */
export interface Unwinder<H extends StackHart = StackHart> {
  /** The frames of a hart, the innermost first, and 64 at most unless `most` says otherwise. */
  frames(hart: H, start?: StackStart, most?: number): readonly StackFrame[];
  /** A hart's pc and the return addresses behind it. */
  backtrace(hart: H): readonly bigint[];
  /**
   * Bytes of stack that the function around `pc` takes for itself at most, as its instructions say;
   * what depends on values at run time is not counted. Undefined where no symbol says which it is.
   */
  frameSize(pc: bigint): number | undefined;
  /** Asked for each return address, once somebody has hidden some. */
  realReturn: ((hart: H, value: bigint, sp: bigint) => bigint) | undefined;
  /** Gives the bits of an instruction that a probe's breakpoint stands for, once there are probes. */
  probedBits: ((pc: bigint) => number | undefined) | undefined;
}

const MOST = 64;
/** Most instructions of a function that are read. */
const MOST_INSTRUCTIONS = 20_000;
/** Registers that a call may change: ra, t0 to t6, a0 to a7. */
const CLOBBERED = [1, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 28, 29, 30, 31];
/** Makes an unwinder of programs whose code lies in `text` and whose harts see stacks as given. */
export function createUnwinder<H extends StackHart>(
  text: StackMemory,
  symbols: SymbolTable,
  stackOf: (hart: H) => StackMemory,
): Unwinder<H> {
  return new CodeUnwinder(text, symbols, stackOf);
}

/** An unwinder that reads functions' instructions, each function once. */
class CodeUnwinder<H extends StackHart> implements Unwinder<H> {
  realReturn: Unwinder<H>["realReturn"];
  probedBits: Unwinder<H>["probedBits"];
  readonly #text: StackMemory;
  readonly #symbols: SymbolTable;
  readonly #stackOf: (hart: H) => StackMemory;
  /** What is known of functions, by the address of their entry. */
  readonly #functions = new Map<bigint, KnownFunction>();

  constructor(text: StackMemory, symbols: SymbolTable, stackOf: (hart: H) => StackMemory) {
    this.#text = text;
    this.#symbols = symbols;
    this.#stackOf = stackOf;
  }

  frames(hart: H, start: StackStart = registersOf(hart), most = MOST): readonly StackFrame[] {
    const resolve: RealReturn = (value, sp) => this.realReturn?.(hart, value, sp) ?? value;
    const trailAt = (pc: bigint, innermost: boolean) => this.#trailAt(pc, innermost);
    return unwind({ memory: this.#stackOf(hart), trailAt, resolve, most }, start);
  }

  backtrace(hart: H): readonly bigint[] {
    return this.frames(hart).map(({ pc }) => pc);
  }

  frameSize(pc: bigint): number | undefined {
    const known = this.#functionAt(pc);
    if (!known) return undefined;
    const sizes = [...known.at.values()].map(({ x }) => x[SP])
      .map((sp) => sp?.register === SP && sp.plus < 0n ? Number(-sp.plus) : 0);
    return Math.max(0, ...sizes);
  }

  #functionAt(address: bigint): KnownFunction | undefined {
    const symbol = this.#symbols.at(address)?.symbol;
    if (!symbol) return undefined;
    const start = symbol.address;
    const end = this.#symbols.endOf(symbol);
    if (end === undefined) return undefined;
    let known = this.#functions.get(start);
    if (!known) {
      known = readFunction(this.#text, start, end, this.probedBits);
      this.#functions.set(start, known);
    }
    return known;
  }

  /** What is known at a pc, or behind the call that returns to it. */
  #trailAt(pc: bigint, innermost: boolean): Trail | undefined {
    const known = this.#functionAt(innermost ? pc : pc - 1n);
    if (!known) return undefined;
    const trail = (innermost ? known.at : known.behindCall).get(pc) ?? known.deepest;
    return innermost ? trail : clobber(trail);
  }
}

function registersOf(hart: StackHart): StackStart {
  const register = (number: number) => BigInt.asUintN(64, hart.x[number]!);
  return { pc: hart.pc, sp: register(SP), ra: register(RA), s0: register(S0) };
}

/**
 * Where a function keeps its return address and caller's registers, at each of its instructions.
 */
interface KnownFunction {
  /** The state of the frame at each instruction that can be reached. */
  readonly at: ReadonlyMap<bigint, Trail>;
  /** Where calls return to, which may lie behind the function if they never do. */
  readonly behindCall: ReadonlyMap<bigint, Trail>;
  /** Where no way of the code leads: landing pads and tables run with the whole frame. */
  readonly deepest: Trail;
}

/** Reads a function's instructions along all their ways, and notes what is known at each. */
function readFunction(
  memory: StackMemory,
  start: bigint,
  end: bigint,
  probedBits: Unwinder["probedBits"],
): KnownFunction {
  const at = new Map<bigint, Trail>();
  const behindCall = new Map<bigint, Trail>();
  let deepest = ENTRY_TRAIL;
  const open: [bigint, Trail][] = [[start, ENTRY_TRAIL]];
  for (let next = open.pop(); next && at.size < MOST_INSTRUCTIONS; next = open.pop()) {
    const [pc, before] = next;
    if (pc < start || pc >= end || at.has(pc)) continue;
    const text = memory.read(pc, 4) ?? memory.read(pc, 2);
    if (!text) continue;
    at.set(pc, before);
    if (before.saved.size > deepest.saved.size) deepest = before;
    const bits = probedBits?.(pc) ?? text.reduce((word, byte, k) => word | (byte << (8 * k)), 0);
    const instruction = RV64.decode(bits);
    const { trail, flow, target, link } = follow(instruction, pc, before);
    const behind = pc + BigInt(instruction.length);
    if (target !== undefined && flow !== "call") open.push([target, trail]);
    if (flow === "next" || flow === "branch") open.push([behind, trail]);
    if (flow === "call") behindCall.set(behind, before);
    if (flow === "call") open.push([behind, link === T0 ? before : clobber(trail)]);
  }
  return { at, behindCall, deepest };
}

function clobber({ x, saved }: Trail): Trail {
  return { x: x.map((origin, n) => CLOBBERED.includes(n) ? undefined : origin), saved };
}

function unwind(
  { memory, trailAt, resolve, most }: {
    readonly memory: StackMemory;
    readonly trailAt: (pc: bigint, innermost: boolean) => Trail | undefined;
    readonly resolve: RealReturn;
    readonly most: number;
  },
  start: StackStart,
): readonly StackFrame[] {
  const executable = (address: bigint) => address !== 0n && memory.fetchable(address);
  const frames: StackFrame[] = [];
  let { pc, sp, ra, s0 } = start;
  for (;;) {
    frames.push({ pc, sp });
    if (frames.length === most) return frames;
    const innermost = frames.length === 1;
    const trail = trailAt(pc, innermost);
    const caller = trail ? callerOf(memory, trail, sp, s0) : undefined;
    if (!caller) {
      const left = most - frames.length;
      const pointed = followPointers(memory, { pc, sp, ra, s0 }, innermost, executable, left);
      return [...frames, ...pointed];
    }
    const back = resolve(caller.ra ?? (innermost ? ra : 0n), caller.sp);
    if (!executable(back)) return frames;
    // Frames go up the stack; only the innermost may have none.
    if (!innermost && caller.sp <= sp) return frames;
    ({ sp, s0 } = caller);
    pc = back;
    ra = 0n;
  }
}

/** The registers of the caller; `ra` is undefined while the return address is still in its register. */
function callerOf(
  memory: StackMemory,
  { x, saved }: Trail,
  sp: bigint,
  s0: bigint,
): { readonly sp: bigint; readonly s0: bigint; readonly ra: bigint | undefined } | undefined {
  const fromEntry = (origin: Origin | undefined) =>
    origin?.register === SP ? origin.plus : undefined;
  const bySp = fromEntry(x[SP]);
  const byS0 = fromEntry(x[S0]);
  const entry = bySp !== undefined ? sp - bySp : byS0 !== undefined ? s0 - byS0 : undefined;
  if (entry === undefined || entry % 8n !== 0n) return undefined;
  const kept = (register: number): bigint | "in place" | undefined => {
    const origin = x[register];
    if (origin?.register === register && origin.plus === 0n) return "in place";
    for (const [offset, of] of saved) {
      if (of !== register) continue;
      const bytes = memory.read(BigInt.asUintN(64, entry + offset), 8);
      return bytes && new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
    }
    return undefined;
  };
  const ra = kept(RA);
  if (ra === undefined) return undefined;
  const frame = kept(S0);
  return {
    sp: entry,
    s0: frame === "in place" ? s0 : frame ?? 0n,
    ra: ra === "in place" ? undefined : ra,
  };
}

/** Without symbols: ra, and the frame records {fp at −16, ra at −8} behind s0 if there are any. */
function followPointers(
  memory: StackMemory,
  { sp, ra, s0 }: StackStart,
  innermost: boolean,
  executable: (address: bigint) => boolean,
  most: number,
): readonly StackFrame[] {
  const found: StackFrame[] = [];
  if (innermost && executable(ra)) found.push({ pc: ra, sp });
  let low = sp;
  let first = innermost;
  for (let frame = s0; found.length < most && frame > low && frame % 8n === 0n;) {
    const record = memory.read(frame - 16n, 16);
    if (!record) break;
    const view = new DataView(record.buffer, record.byteOffset);
    const back = view.getBigUint64(8, true);
    if (!executable(back)) break;
    // The innermost frame may hold what the register still has; others repeat in a recursion.
    if (!first || back !== ra) found.push({ pc: back, sp: frame });
    first = false;
    low = frame;
    frame = view.getBigUint64(0, true);
  }
  return found;
}
