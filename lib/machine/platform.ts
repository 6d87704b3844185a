/**
 * What a platform is: the world around the harts, which says what their traps mean.
 *
 * This is the contract between the run loop, which knows no platform, and the platforms (a bare
 * board in `board/`, a Linux process in `linux/`), which know no run loop. So a platform imports
 * this file and never the machine that it is part of.
 *
 * How a run ends is `outcome.ts`.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import type { Hart } from "../hart/hart.ts";
import type { Trap } from "../hart/trap.ts";
import type { Memory } from "../memory/memory.ts";
import type { AddressSpace } from "../memory/space.ts";
import type { Elf } from "../program/elf.ts";
import type { SymbolTable } from "../program/symbols.ts";
import type { Unwinder } from "../program/unwinder.ts";
import type { BoardMap, Region } from "./board/device.ts";
import type { EventQueue } from "./event_queue.ts";
import type { Outcome } from "./outcome.ts";
import type { MachineTracingRange } from "./tracing_range.ts";

/** What the guest is to see of the host, and what the host is to hear of the guest. */
export interface PlatformOptions {
  /** Seed of everything random: the schedule of harts, and a process's random bytes. 0 if absent. */
  readonly seed?: bigint | undefined;
  /** Bare: whose semihosting calls the host answers: nobody's if absent, or those of U-mode, too. */
  readonly semihosting?: "privileged" | "user" | undefined;
  /** The program's arguments, without its name. */
  readonly args?: readonly string[] | undefined;
  /** Linux: the program's environment, each `NAME=VALUE`. */
  readonly env?: readonly string[] | undefined;
  /** The program's name: argv[0], and, without folders, a Linux program's comm. */
  readonly name?: string | undefined;
  /** A folder of the host that is the program's file system, read-only. */
  readonly root?: string | undefined;
  /** Files and folders of the host that the program may see: `PATH` or `PATH:rw`. */
  readonly allow?: readonly string[] | undefined;
  /** Takes what the guest prints on its standard output or its serial port. */
  readonly stdout?: ((data: Uint8Array) => void) | undefined;
  /** Takes what the guest prints on its standard error. */
  readonly stderr?: ((data: Uint8Array) => void) | undefined;
  /** Gives up to `length` bytes of the guest's input; no bytes are the end of it. */
  readonly stdin?: ((length: number) => Promise<Uint8Array>) | undefined;
  /**
   * Bare: asks for input when the guest looks for it (the default), or only when every hart waits and
   * nothing else can end that. For who reads the same input as the guest.
   */
  readonly stdinWhen?: "looking" | "waiting" | undefined;
  /** Takes a line about something that the guest asked for and did not get. */
  readonly warn?: ((line: string) => void) | undefined;
  /** Bare: MiB of RAM, from 0x80000000 on. 128 if absent. */
  readonly ramMib?: number | undefined;
  /** Bare: stretches of memory besides RAM; one that holds 0x80000000 takes the place of it. */
  readonly memoryMap?: readonly Region[] | undefined;
  /** Bare: the devices and where they are. What there is of QEMU's virt board if absent. */
  readonly board?: BoardMap | undefined;
}

/** What a platform is made from: the program, the harts that will run it, and the options. */
export interface PlatformContext {
  /** Guest memory: physical memory of a board, or a process's own. */
  readonly memory: Memory;
  /** The address space of the program. */
  readonly space: AddressSpace;
  /** The ELF file of the program. */
  readonly elf: Elf;
  /** The program's symbols, at the addresses where it was loaded. */
  readonly symbols: SymbolTable;
  /** The load bias: bytes that the program was moved up by. */
  readonly bias: bigint;
  /** Addresses that nothing of the guest's may lie in. */
  readonly tracing: MachineTracingRange;
  /** All harts; hart 0 executes the first instruction. */
  readonly harts: readonly Hart[];
  /** The engine that executes the harts' instructions. */
  readonly engine: Engine;
  /** Finds the callers of a hart's present function. */
  readonly unwinder: Unwinder<Hart>;
  /** What the guest sees of the host. */
  readonly options: PlatformOptions;
  /** The events that fall due at a moment of a hart's time, such as timers. */
  readonly events: EventQueue;
  /**
   * Stops the hart whose turn it is behind its present instruction: the run loop then calls
   * {@linkcode Platform.serveDevices}, and asks anew for the next event.
   */
  requestService(): void;
}

/** What a kind of machine adds to harts and memory: what traps mean, and who the tasks are. */
export interface Platform extends Disposable {
  /** Number of the first hart's task; those of the other harts follow it. */
  readonly pid: number;
  /** Path of the program's file as the guest sees it. */
  readonly executable: string;
  /** CLOCK_REALTIME of the first instruction, in nanoseconds since 1970. */
  readonly epoch: bigint;
  /** Name of the task with a number, or undefined if there is no such task. */
  commOf(pid: number): string | undefined;
  /** Prepares a hart to execute its first instruction. The segments are in memory. */
  start(hart: Hart): void;
  /**
   * Serves a trap of the guest's: undefined goes on at `hart.pc`. An ecall that is served counts
   * itself in `hart.instret`. A promise stops the guest until it is settled.
   */
  trap(hart: Hart, trap: Trap): Outcome | undefined | Promise<Outcome | undefined>;
  /** Takes the interrupt that is pending on a hart; undefined goes on at `hart.pc`. */
  interrupt?(hart: Hart): Outcome | undefined;
  /** Does what somebody asked for with {@linkcode PlatformContext.requestService}. */
  serveDevices?(): Outcome | undefined | Promise<Outcome | undefined>;
  /**
   * Settles when input of the host's has come that may end the wait of the harts, all of which wait;
   * undefined if none is on its way. With `isLastHope`, nothing else can end it, and the host may be
   * asked.
   */
  awaitedInput?(isLastHope: boolean): Promise<void> | undefined;
  /** Whether the input that the guest waits for has come to its end. */
  readonly inputEnded?: boolean;
  /** Virtual nanoseconds that the guest has slept, of those that have passed. */
  slept(): bigint;
  /** Which of the guest's stacks an address lies on: 0 is the first one, others differ. */
  stackIdentity(hart: Hart, sp: number): number;
  /** The text of the signature that firmware under test leaves, if it has the symbols for one. */
  signature(): string | undefined;
  /** Gives back what the platform has of the host's, such as open files; the machine is not used again. */
  [Symbol.dispose](): void;
}
