/**
 * A Linux process: the platform of an ordinary program, in user mode.
 *
 * Nothing of the host shows through unless an option says so: time is virtual, randomness seeded,
 * files hidden. What a program needs of the kernel is done here, as the kernel's documentation and
 * headers say.
 *
 * Memory, stack, files, signals and calls are the files beside this one.
 *
 * @module
 */
import { hostFiles } from "../../host/files.ts";
import { A0, A7, SP } from "../../isa/abi.ts";
import type { Hart } from "../../hart/hart.ts";
import type { Trap } from "../../hart/trap.ts";
import { Cause } from "../../isa/sem.ts";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../../memory/page.ts";
import type { Outcome } from "../outcome.ts";
import type { Platform, PlatformContext } from "../platform.ts";
import { randomBytes } from "../random.ts";
import type { CallArguments, CallResult } from "./calls/table.ts";
import { EPOCH } from "../calendar.ts";
import { ERESTARTNOHAND, ERESTARTSYS } from "../files/errno.ts";
import { Files } from "../files/files.ts";
import { Mappings, STACK_SIZE, STACK_TOP } from "./mappings.ts";
import type { Process } from "./process.ts";
import { Signals } from "./signals.ts";
import { buildStack } from "./stack.ts";
import { systemCall } from "./system_calls.ts";
import { Timers } from "./timers.ts";

const PID = 1000;
const UID = 1000;
const SIGRETURN = 139;
/** Longest name of a task, in bytes. */
const COMM_LENGTH = 15;
/** Where the page of the vdso's kind lies: above the stack's end, below the last page. */
const RETURN_PAGE = STACK_TOP - PAGE_SIZE;
/** The lowest address of the stack. */
const STACK_START = RETURN_PAGE - PAGE_SIZE - STACK_SIZE;

/**
 * Makes the platform of a statically linked Linux program.
 *
 * @throws {SyntaxError} If the program is linked to where the stack is.
 */
export function createLinux(context: PlatformContext): Platform {
  checkPlace(context);
  return new Linux(context);
}

function checkPlace({ elf, bias }: PlatformContext): void {
  for (const { address, size } of elf.segments) {
    const start = address + bias;
    if (start + size <= BigInt(STACK_START)) continue;
    throw new SyntaxError(
      `Cannot load the segment at 0x${start.toString(16)}: the stack is there, from ` +
        `0x${STACK_START.toString(16)} on; link the program lower, as with ` +
        "-Wl,-Ttext-segment=0x10000",
    );
  }
}

/** How a run ended, if it did; or a promise of that where the guest waits for input. */
type Served = Outcome | undefined | Promise<Outcome | undefined>;

class Linux implements Platform {
  readonly pid = PID;
  readonly epoch = EPOCH;
  readonly executable: string;
  readonly #context: PlatformContext;
  readonly #name: string;
  readonly #process: Process;
  readonly #timers: Disposable;

  constructor(context: PlatformContext) {
    this.#context = context;
    this.#name = context.options.name ?? "program";
    this.#process = createProcess(context, this.#name);
    this.executable = this.#process.executable;
    this.#timers = context.events.add(this.#process.timers);
  }

  commOf(pid: number): string | undefined {
    return pid === PID ? new TextDecoder().decode(this.#process.attributes.comm) : undefined;
  }

  signature(): undefined {}

  slept(): bigint {
    return this.#process.slept;
  }

  [Symbol.dispose](): void {
    this.#timers[Symbol.dispose]();
    this.#process.files.closeAll();
  }

  start(hart: Hart): void {
    const { elf, bias, space, options } = this.#context;
    const { mappings } = this.#process;
    mappings.adoptProgram(elf.segments.map(({ address, size }) => {
      const start = address + bias;
      return [Number(start), Number(start + size)];
    }));
    mappings.place(STACK_START, STACK_SIZE, READ | WRITE | (elf.stackExecutable ? EXECUTE : 0));
    const random = new Uint8Array(16);
    this.#process.random(random);
    const sp = buildStack(space, STACK_START + STACK_SIZE, STACK_SIZE, {
      args: [this.#name, ...options.args ?? []],
      env: options.env ?? [],
      elf,
      bias,
      uid: UID,
      random,
    });
    hart.x[SP] = BigInt.asIntN(64, sp);
  }

  trap(hart: Hart, trap: Trap): Served {
    // The kernel's way back to the program drops what an lr reserved.
    hart.reservation = { address: -1n, value: 0n };
    if (trap.cause === Cause.EcallU) return this.#call(hart);
    return this.#end(this.#process.signals.deliverTrap(hart, trap));
  }

  /** Closes what is open where the run is over. */
  #end(outcome: Outcome | undefined): Outcome | undefined {
    if (outcome) this.#process.files.closeAll();
    return outcome;
  }

  /** A signal that came by itself: a timer's. */
  interrupt(hart: Hart): Outcome | undefined {
    hart.attention = false;
    hart.reservation = { address: -1n, value: 0n };
    return this.#end(this.#process.signals.deliverPending(hart));
  }

  stackIdentity(_hart: Hart, sp: number): number {
    const { signals, mappings } = this.#process;
    const alternate = signals.alternateStart(sp);
    if (alternate !== undefined) return Number(alternate);
    if (sp > STACK_START && sp <= RETURN_PAGE) return 0;
    // An sp at the end of its stack lies on the page behind it. Negative, to be no address.
    return -mappings.mappingAt(sp - 1);
  }

  #call(hart: Hart): Served {
    const { signals } = this.#process;
    const number = Number(hart.x[A7]!);
    const argument = (n: number) => BigInt.asUintN(64, hart.x[A0 + n]!);
    const args: CallArguments = [
      ...[argument(0), argument(1), argument(2)] as const,
      ...[argument(3), argument(4), argument(5)] as const,
    ];
    hart.instret += 1n;
    hart.pc += 4n;
    if (number === SIGRETURN) {
      return this.#end(signals.return(hart) ?? signals.deliverPending(hart));
    }
    const result = systemCall(number).serve(this.#process, args, hart);
    if (!(result instanceof Promise)) return this.#answer(hart, result, args[0]);
    return result.then((settled) => this.#answer(hart, settled, args[0]));
  }

  /** Puts a call's result into a0 and lets pending signals in. */
  #answer(hart: Hart, result: CallResult, argument: bigint): Outcome | undefined {
    if (typeof result === "object") return this.#end(result);
    const { signals } = this.#process;
    hart.attention = false;
    if (result === -ERESTARTSYS || result === -ERESTARTNOHAND) {
      return this.#end(signals.deliverPending(hart, { result, argument }));
    }
    signals.resume();
    hart.x[A0] = BigInt.asIntN(64, BigInt(result));
    return this.#end(signals.deliverPending(hart));
  }
}

function createProcess(
  { memory, space, tracing, harts, unwinder, events, options }: PlatformContext,
  name: string,
): Process {
  const said = new Set<string>();
  const warnOnce = (line: string) => {
    if (said.has(line)) return;
    said.add(line);
    options.warn?.(line);
  };
  const random = randomBytes(options.seed ?? 0n);
  const mappings = new Mappings(memory, tracing, harts, warnOnce);
  const access = { root: options.root, allow: options.allow, warn: warnOnce, random };
  const files = new Files(hostFiles(), access);
  mappings.place(RETURN_PAGE, PAGE_SIZE, READ | EXECUTE);
  const isMapped = (address: bigint) => mappings.isMapped(address);
  const signals = new Signals(space, RETURN_PAGE, isMapped, unwinder);
  const timers = new Timers({
    hart: harts[0]!,
    signals,
    slept: () => process.slept,
    changed: () => events.reschedule(),
  });
  const process: Process = {
    space,
    harts,
    mappings,
    signals,
    timers,
    files,
    unwinder,
    options,
    executable: name.startsWith("/") ? name : `/${name.replace(/^(\.?\.\/)+/, "")}`,
    pid: PID,
    attributes: { comm: commOf(name), deathSignal: 0, dumpable: 1, noNewPrivileges: 0 },
    uid: UID,
    random,
    warnOnce,
    slept: 0n,
  };
  return process;
}

/** The program's name without folders, cut as the kernel cuts it. */
function commOf(path: string): Uint8Array {
  return new TextEncoder().encode(path.slice(path.lastIndexOf("/") + 1)).slice(0, COMM_LENGTH);
}
