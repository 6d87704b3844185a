/**
 * What runs harts: one interface, several engines behind it.
 *
 * Every engine gives the same state after the same number of instructions; the reference
 * (`reference.ts`) is the oracle of the others. An engine knows no tracer: it offers hooks.
 *
 * What happens at a trap is the machine's affair (`lib/machine`).
 *
 * @module
 */
import type { Hart } from "../hart/hart.ts";
import type { Trap } from "../hart/trap.ts";
import type { CompiledCode, Uncompiled } from "./compiled_code.ts";
import type { EngineStatistics } from "./statistics.ts";
import type { ThunkWriter } from "./thunk.ts";

/** Whether a hart that has come to a breakpoint is to stop there. */
export type BreakTest = (hart: Hart) => boolean;

/** Why {@linkcode Engine.run} came back. */
export type Stop =
  | {
    /** The instruction at `hart.pc` trapped; nothing of it has happened. ecall is one, too. */
    readonly kind: "trap";
    /** The trap that the instruction raised. */
    readonly trap: Trap;
  }
  | {
    /** `hart.instret` has reached the limit. */
    readonly kind: "limit";
  }
  | {
    /** `hart.attention`: an interrupt is to be taken, the hart waits, or a device was told something. */
    readonly kind: "attention";
  }
  | {
    /** A hook asked for it; the instruction at `hart.pc` is still to come. */
    readonly kind: "stopped";
  };

/** Called when a hart is about to execute the instruction at a pc. */
export interface Hook {
  /**
   * Sets `hart.pc` to go on elsewhere; leaving it alone executes the instruction there. `"stop"`
   * makes the engine come back before that.
   */
  host(hart: Hart): "stop" | void;
  /** WASM with the same effect as `host`, for engines that emit code. */
  emit?(thunk: ThunkWriter): void;
}

/** What engines are told of the program and of how to run it; each heeds what concerns it. */
export interface EngineOptions {
  /** The bounds of the function that symbols name at an address; undefined if none does. */
  readonly functionAt?:
    | ((pc: number) => { readonly low: number; readonly high: number } | undefined)
    | undefined;
  /**
   * Interpreted instructions after which a function is compiled, about; 20,000 if absent. 1 compiles
   * whatever was fetched at once, and 0 fetches ahead to do so: for tests.
   */
  readonly jitThreshold?: number | undefined;
  /** Whether compiled code asks nothing of pages: a stray access then reads zeros, or writes. */
  readonly unchecked?: boolean | undefined;
  /** Whether to count for {@linkcode Engine.statistics}, which makes compiled code slower. */
  readonly statistics?: boolean | undefined;
  /** Called with each region that was compiled, for whoever wants to read it. */
  readonly onCompiled?: ((code: CompiledCode) => void) | undefined;
}

/** What executes the instructions of one memory's harts. */
export interface Engine {
  /** Its name in the table of engines (`engines.ts`), which `--engine` takes. */
  readonly name: string;
  /**
   * What the engine has to load before harts go on that have executed so many instructions together;
   * undefined if nothing. A machine waits for it between two slices; without it the engine does the
   * same, only slower.
   */
  prepare?(executed: bigint): Promise<void> | undefined;
  /** Executes instructions until `hart.instret === until`, a trap, or a hook that asks to stop. */
  run(hart: Hart, until: bigint): Stop;
  /**
   * Executes what is left of the tracing range: until pc is outside of it, a trap, or a hook that asks
   * to stop.
   *
   * @returns Undefined once pc is outside.
   */
  leaveTracingRange(hart: Hart): Stop | undefined;
  /** Executes exactly one instruction, without asking hooks; undefined if it retired. */
  step(hart: Hart): Stop | undefined;
  /**
   * Executes the instruction `bits` (16 of them if compressed) as if it stood at `hart.pc`, where
   * memory may hold another one; otherwise as {@linkcode Engine.step}.
   */
  executeBits(hart: Hart, bits: number): Stop | undefined;
  /** Calls `hook` at `pc` from now on. @throws {RangeError} If there is one already. */
  hook(pc: number, hook: Hook): Disposable;
  /**
   * Asks `test` at each arrival at `pc` whether to come back before the instruction there, and before
   * its hook: for a person who looks at the guest, which neither the guest nor a tracer notices.
   *
   * @throws {RangeError} If there is a breakpoint already.
   */
  breakAt(pc: number, test: BreakTest): Disposable;
  /**
   * What it has done so far; undefined unless it was made with `statistics`. The reference, which does
   * all in one way, has none.
   */
  statistics?(): EngineStatistics | undefined;
  /** Why no code is compiled for the function at `pc`; undefined if there is some. */
  whyNotCompiled?(pc: number): Uncompiled | undefined;
}
