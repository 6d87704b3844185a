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
import { A0, A7, SP } from "../../isa/abi.ts";
import type { Hart } from "../../hart/hart.ts";
import { hostFiles } from "../../host/files.ts";
import { Cause } from "../../isa/sem.ts";
import { EXECUTE, PAGE_SIZE, READ, WRITE } from "../../memory/page.ts";
import { EPOCH, systemCall } from "./calls.ts";
import { Files } from "./files.ts";
import { AddressSpace, STACK_SIZE, STACK_TOP } from "./mappings.ts";
import type { CallArguments, CallResult, Process } from "./process.ts";
import { Signals } from "./signals.ts";
import { buildStack } from "./stack.ts";
import type { Outcome } from "../outcome.ts";
import type { Platform, PlatformContext } from "../platform.ts";
import { randomWords } from "../random.ts";

const PID = 1000;
const UID = 1000;
const SIGRETURN = 139;
/** Longest name of a task, in bytes. */
const COMM_LENGTH = 15;
/** Where the page of the vdso's kind lies: above the stack's end, below the last page. */
const RETURN_PAGE = STACK_TOP - PAGE_SIZE;

/** Makes the platform of a statically linked Linux program. */
export function createLinux(context: PlatformContext): Platform {
  const { memory, elf, bias, tracing, harts, unwinder, options } = context;
  const name = options.name ?? "program";
  const said = new Set<string>();
  const warnOnce = (line: string) => {
    if (said.has(line)) return;
    said.add(line);
    options.warn?.(line);
  };
  const space = new AddressSpace(memory, tracing, harts, warnOnce);
  const random = createRandom(options.seed ?? 0n);
  const access = { root: options.root, allow: options.allow, warn: warnOnce, random };
  const files = new Files(hostFiles(), access);
  space.place(RETURN_PAGE, PAGE_SIZE, READ | EXECUTE);
  const signals = new Signals(
    memory,
    RETURN_PAGE,
    (address) => space.isMapped(address),
    unwinder,
  );
  const process: Process = {
    memory,
    harts,
    space,
    signals,
    files,
    unwinder,
    options,
    executable: name.startsWith("/") ? name : `/${name.replace(/^(\.?\.\/)+/, "")}`,
    pid: PID,
    uid: UID,
    random,
    warnOnce,
    slept: 0n,
  };

  /** Puts a call's result into a0 and lets pending signals in. */
  const finish = (hart: Hart, result: CallResult): Outcome | undefined => {
    if (typeof result === "object") {
      files.closeAll();
      return result;
    }
    hart.x[A0] = BigInt.asIntN(64, BigInt(result));
    return signals.deliverPending(hart);
  };

  const call = (hart: Hart): Outcome | undefined | Promise<Outcome | undefined> => {
    const number = Number(hart.x[A7]!);
    const args = Array.from(
      { length: 6 },
      (_, n) => BigInt.asUintN(64, hart.x[A0 + n]!),
    ) as unknown as CallArguments;
    hart.instret += 1n;
    hart.pc += 4n;
    if (number === SIGRETURN) return signals.return(hart) ?? signals.deliverPending(hart);
    const result = systemCall(number)(process, args, hart);
    if (result instanceof Promise) return result.then((settled) => finish(hart, settled));
    return finish(hart, result);
  };

  return {
    commOf: (pid) => pid === PID ? basename(name) : undefined,
    pid: PID,
    signature: () => undefined,
    [Symbol.dispose]: () => files.closeAll(),
    start(hart) {
      const end = elf.segments.reduce((most, segment) => {
        const last = Number(segment.address + bias + segment.size);
        return Math.max(most, last);
      }, 0);
      space.adoptProgram(end);
      const low = RETURN_PAGE - PAGE_SIZE - STACK_SIZE;
      space.place(low, STACK_SIZE, READ | WRITE | (elf.stackExecutable ? EXECUTE : 0));
      const random = new Uint8Array(16);
      process.random(random);
      hart.x[SP] = BigInt.asIntN(
        64,
        buildStack(memory, low + STACK_SIZE, STACK_SIZE, {
          args: [name, ...options.args ?? []],
          env: options.env ?? [],
          elf,
          bias,
          uid: UID,
          random,
        }),
      );
    },
    trap(hart, trap) {
      // The kernel's way back to the program drops what an lr reserved.
      hart.reservation = { address: -1n, value: 0n };
      if (trap.cause === Cause.EcallU) return call(hart);
      const outcome = signals.deliverTrap(hart, trap);
      if (outcome) files.closeAll();
      return outcome;
    },
    executable: process.executable,
    slept: () => process.slept,
    epoch: EPOCH,
    stackIdentity(_hart, sp) {
      const alternate = signals.alternateStart(sp);
      if (alternate !== undefined) return Number(alternate);
      if (sp > RETURN_PAGE - PAGE_SIZE - STACK_SIZE && sp <= RETURN_PAGE) return 0;
      // An sp at the end of its stack lies on the page behind it. Negative, to be no address.
      return -space.mappingAt(sp - 1);
    },
  };
}

/** The program's name without folders, cut as the kernel cuts it. */
function basename(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1).slice(0, COMM_LENGTH);
}

/** Bytes from a seed. */
function createRandom(seed: bigint): (bytes: Uint8Array) => void {
  const next = randomWords(seed);
  return (bytes) => {
    for (let at = 0; at < bytes.length; at += 8) {
      let word = next();
      for (let k = at; k < Math.min(at + 8, bytes.length); k++) {
        bytes[k] = Number(word & 0xffn);
        word >>= 8n;
      }
    }
  };
}
