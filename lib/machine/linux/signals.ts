/**
 * Signals of a Linux process: actions, masks, and frames on the guest's stack.
 *
 * A frame is the kernel's `struct rt_sigframe` (arch/riscv/kernel/signal.c), so handlers may look at
 * and change the interrupted registers; its return goes through a page of code that holds what the
 * vdso's `__vdso_rt_sigreturn` does.
 *
 * @module
 */
import { A0, A1, A2, RA, SP } from "../../isa/abi.ts";
import type { Hart } from "../../hart/hart.ts";
import { Cause } from "../../isa/sem.ts";
import type { Trap } from "../../hart/trap.ts";
import type { AddressSpace } from "../../memory/space.ts";
import type { Unwinder } from "../../program/unwinder.ts";
import { EFAULT, EINVAL, ENOMEM, EPERM } from "./errno.ts";
import type { Outcome } from "../outcome.ts";

/** Names by number. */
export const SIGNALS: readonly string[] =
  ("0 SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 " +
    "SIGPIPE SIGALRM SIGTERM SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG " +
    "SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS").split(" ");
const SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGKILL = 9, SIGSEGV = 11, SIGSTOP = 19;
/** What is ignored if nothing else was said. */
const IGNORED_BY_DEFAULT: readonly number[] = [17, 18, 23, 28];
const SIGRTMIN = 32;
const LAST_SIGNAL = 64;

const SIG_DFL = 0n, SIG_IGN = 1n;
const SA_ONSTACK = 0x08000000n;
const SA_NODEFER = 0x40000000n;
const SA_RESETHAND = 0x80000000n;
const SS_ONSTACK = 1, SS_DISABLE = 2;
const MINSIGSTKSZ = 2048n;
const SI_TKILL = -6;

/** Offsets in the frame: siginfo, then ucontext with the mask and the registers. */
const FRAME = {
  size: 1088,
  signo: 0,
  code: 8,
  address: 16,
  context: 128,
  stack: 128 + 16,
  mask: 128 + 40,
  registers: 128 + 176,
  floats: 128 + 176 + 256,
  fcsr: 128 + 176 + 512,
} as const;
/** `li a7, 139; ecall`: rt_sigreturn. */
const SIGRETURN_CODE = new Uint32Array([0x08b00893, 0x00000073]);

interface Action {
  readonly handler: bigint;
  readonly flags: bigint;
  readonly mask: bigint;
}
/** What a signal is about. */
interface SignalInfo {
  readonly signal: number;
  readonly code: number;
  /** si_addr of a fault; si_pid and si_uid of one that was sent. */
  readonly value: bigint;
  readonly trap?: Trap | undefined;
}
interface AlternateStack {
  readonly start: bigint;
  readonly size: bigint;
  readonly flags: number;
}

const DEFAULT: Action = { handler: SIG_DFL, flags: 0n, mask: 0n };
const bitOf = (signal: number): bigint => 1n << BigInt(signal - 1);
const UNBLOCKABLE = bitOf(SIGKILL) | bitOf(SIGSTOP);

/** The signal state of the process. Calls give 0 or a negated errno. */
export class Signals {
  readonly #unwinder: Unwinder<Hart>;
  readonly #space: AddressSpace;
  readonly #returnCode: bigint;
  readonly #isMapped: (address: bigint) => boolean;
  readonly #actions = new Map<number, Action>();
  readonly #pending: SignalInfo[] = [];
  #mask = 0n;
  #alternate: AlternateStack = { start: 0n, size: 0n, flags: SS_DISABLE };

  /** @param returnCode Address of a page with room for the code that handlers return to. */
  constructor(
    space: AddressSpace,
    returnCode: number,
    isMapped: (address: bigint) => boolean,
    unwinder: Unwinder<Hart>,
  ) {
    this.#space = space;
    this.#unwinder = unwinder;
    this.#returnCode = BigInt(returnCode);
    this.#isMapped = isMapped;
    space.poke(BigInt(returnCode), new Uint8Array(SIGRETURN_CODE.buffer));
  }

  /** `rt_sigaction`. */
  action(signal: number, newAt: bigint, oldAt: bigint, setSize: bigint): number {
    if (setSize !== 8n || signal < 1 || signal > LAST_SIGNAL) return -EINVAL;
    if (newAt !== 0n && (signal === SIGKILL || signal === SIGSTOP)) return -EINVAL;
    const old = this.#actions.get(signal) ?? DEFAULT;
    if (oldAt !== 0n && !this.#writeWords(oldAt, [old.handler, old.flags, old.mask])) {
      return -EFAULT;
    }
    if (newAt !== 0n) {
      const words = this.#readWords(newAt, 3);
      if (!words) return -EFAULT;
      const [handler, flags, mask] = words as [bigint, bigint, bigint];
      this.#actions.set(signal, { handler, flags, mask: mask & ~UNBLOCKABLE });
    }
    return 0;
  }

  /** `rt_sigprocmask`. */
  procmask(how: number, newAt: bigint, oldAt: bigint, setSize: bigint): number {
    if (setSize !== 8n) return -EINVAL;
    const old = this.#mask;
    if (newAt !== 0n) {
      const set = this.#readWords(newAt, 1)?.[0];
      if (set === undefined) return -EFAULT;
      const changed = [old | set, old & ~set, set][how];
      if (changed === undefined) return -EINVAL;
      this.#mask = changed & ~UNBLOCKABLE;
    }
    if (oldAt !== 0n && !this.#writeWords(oldAt, [old])) return -EFAULT;
    return 0;
  }

  /** `rt_sigpending`. */
  pending(setAt: bigint): number {
    const set = this.#pending.reduce((bits, { signal }) => bits | bitOf(signal), 0n);
    return this.#writeWords(setAt, [set]) ? 0 : -EFAULT;
  }

  /** `sigaltstack`. */
  alternateStack(newAt: bigint, oldAt: bigint, sp: bigint): number {
    const old = this.#alternate;
    const on = this.#isOnAlternate(sp);
    if (oldAt !== 0n) {
      const flags = on ? SS_ONSTACK : old.flags;
      if (!this.#writeWords(oldAt, [old.start, BigInt(flags), old.size])) return -EFAULT;
    }
    if (newAt === 0n) return 0;
    if (on) return -EPERM;
    const words = this.#readWords(newAt, 3);
    if (!words) return -EFAULT;
    const [start, flagWord, size] = words as [bigint, bigint, bigint];
    const flags = Number(flagWord & 0xffffffffn);
    if (flags & SS_DISABLE) this.#alternate = { start: 0n, size: 0n, flags: SS_DISABLE };
    else if (flags !== 0 && flags !== SS_ONSTACK) return -EINVAL;
    else if (size < MINSIGSTKSZ) return -ENOMEM;
    else this.#alternate = { start, size, flags: 0 };
    return 0;
  }

  /** Whether an address lies on the alternate stack. */
  #isOnAlternate(sp: bigint): boolean {
    const { start, size } = this.#alternate;
    return size > 0n && sp > start && sp <= start + size;
  }

  /** The alternate stack that an address lies on, by its start. */
  alternateStart(sp: number): bigint | undefined {
    // Asked at each traced call; hardly a program has one.
    if (this.#alternate.size === 0n) return undefined;
    return this.#isOnAlternate(BigInt(sp)) ? this.#alternate.start : undefined;
  }

  /** Sends the process a signal of its own, as `tgkill` does. */
  send(signal: number, pid: number, uid: number): number {
    if (signal < 0 || signal > LAST_SIGNAL) return -EINVAL;
    if (signal === 0) return 0;
    // Standard signals do not queue: what is pending already stays the only one.
    if (signal < SIGRTMIN && this.#pending.some((each) => each.signal === signal)) return 0;
    const value = BigInt(pid) | (BigInt(uid) << 32n);
    this.#pending.push({ signal, code: SI_TKILL, value });
    return 0;
  }

  /**
   * Delivers what is pending and not blocked, before the hart goes on at its pc: the lowest number
   * first, so that its handler runs last, inside the frames of the others.
   */
  deliverPending(hart: Hart): Outcome | undefined {
    for (;;) {
      const open = this.#pending.filter(({ signal }) => (this.#mask & bitOf(signal)) === 0n);
      const [first, ...others] = open;
      if (!first) return undefined;
      const info = others.reduce((least, each) => each.signal < least.signal ? each : least, first);
      this.#pending.splice(this.#pending.indexOf(info), 1);
      const outcome = this.#deliver(hart, info);
      if (outcome) return outcome;
    }
  }

  /** Turns a trap into its signal. One that is blocked or ignored kills, as the kernel forces it. */
  deliverTrap(hart: Hart, trap: Trap): Outcome | undefined {
    const info = this.#infoOf(trap);
    const handler = this.#actions.get(info.signal)?.handler ?? SIG_DFL;
    if (this.#mask & bitOf(info.signal) || handler === SIG_IGN) {
      this.#actions.set(info.signal, DEFAULT);
      this.#mask &= ~bitOf(info.signal);
    }
    return this.#deliver(hart, info);
  }

  #infoOf(trap: Trap): SignalInfo {
    const { cause, value, pc } = trap;
    switch (cause) {
      case Cause.Illegal:
        return { signal: SIGILL, code: 1, value: pc, trap };
      case Cause.Breakpoint:
        return { signal: SIGTRAP, code: 1, value: pc, trap };
      case Cause.LoadMisaligned:
      case Cause.StoreMisaligned:
      case Cause.FetchMisaligned:
        return { signal: SIGBUS, code: 1, value, trap };
      default:
        return { signal: SIGSEGV, code: this.#isMapped(value) ? 2 : 1, value, trap };
    }
  }

  #deliver(hart: Hart, info: SignalInfo): Outcome | undefined {
    const { signal } = info;
    const action = this.#actions.get(signal) ?? DEFAULT;
    if (action.handler === SIG_IGN) return undefined;
    if (action.handler === SIG_DFL) {
      return IGNORED_BY_DEFAULT.includes(signal) ? undefined : this.#kill(hart, info);
    }
    const frame = this.#frameAddress(hart, action);
    if (frame === undefined || !this.#writeFrame(hart, frame, info)) {
      return this.#kill(hart, { ...info, signal: SIGSEGV });
    }
    if (action.flags & SA_RESETHAND) this.#actions.set(signal, DEFAULT);
    this.#mask |= action.mask | (action.flags & SA_NODEFER ? 0n : bitOf(signal));
    hart.x[RA] = this.#returnCode;
    hart.x[SP] = frame;
    hart.x[A0] = BigInt(signal);
    hart.x[A1] = frame;
    hart.x[A2] = frame + BigInt(FRAME.context);
    hart.pc = action.handler & ~1n;
    return undefined;
  }

  #kill(hart: Hart, { signal, trap }: SignalInfo): Outcome {
    const name = SIGNALS[signal] ?? `SIGRT${signal}`;
    return { kind: "signal", signal, name, trap, backtrace: this.#unwinder.backtrace(hart) };
  }

  /** Where the frame goes; undefined if it would leave the alternate stack that is in use. */
  #frameAddress(hart: Hart, action: Action): bigint | undefined {
    let sp = BigInt.asUintN(64, hart.x[SP]!);
    const { start, size, flags } = this.#alternate;
    const onAlternate = this.#isOnAlternate(sp);
    if (onAlternate && !this.#isOnAlternate(sp - BigInt(FRAME.size))) return undefined;
    const useAlternate = (action.flags & SA_ONSTACK) !== 0n && !(flags & SS_DISABLE);
    if (useAlternate && !onAlternate) sp = start + size;
    return (sp - BigInt(FRAME.size)) & ~15n;
  }

  #writeFrame(hart: Hart, frame: bigint, { signal, code, value }: SignalInfo): boolean {
    const bytes = new Uint8Array(FRAME.size);
    const view = new DataView(bytes.buffer);
    view.setInt32(FRAME.signo, signal, true);
    view.setInt32(FRAME.code, code, true);
    view.setBigUint64(FRAME.address, value, true);
    const { start, size, flags } = this.#alternate;
    const onAlternate = this.#isOnAlternate(BigInt.asUintN(64, hart.x[SP]!));
    view.setBigUint64(FRAME.stack, start, true);
    view.setInt32(FRAME.stack + 8, onAlternate ? SS_ONSTACK : flags, true);
    view.setBigUint64(FRAME.stack + 16, size, true);
    view.setBigUint64(FRAME.mask, this.#mask, true);
    view.setBigUint64(FRAME.registers, hart.pc, true);
    for (let n = 1; n < 32; n++) view.setBigInt64(FRAME.registers + 8 * n, hart.x[n]!, true);
    hart.f.forEach((bits, n) => view.setBigUint64(FRAME.floats + 8 * n, bits, true));
    view.setUint32(FRAME.fcsr, hart.fcsr, true);
    return this.#space.write(frame, bytes);
  }

  /** `rt_sigreturn`: all registers come back from the frame at sp. */
  return(hart: Hart): Outcome | undefined {
    const frame = this.#space.read(BigInt.asUintN(64, hart.x[SP]!), FRAME.size);
    if (!frame) return this.#kill(hart, { signal: SIGSEGV, code: 1, value: 0n });
    const view = new DataView(frame.buffer);
    this.#mask = view.getBigUint64(FRAME.mask, true) & ~UNBLOCKABLE;
    // sepc has no lowest bit.
    hart.pc = view.getBigUint64(FRAME.registers, true) & ~1n;
    for (let n = 1; n < 32; n++) hart.x[n] = view.getBigInt64(FRAME.registers + 8 * n, true);
    for (let n = 0; n < 32; n++) hart.f[n] = view.getBigUint64(FRAME.floats + 8 * n, true);
    hart.fcsr = view.getUint32(FRAME.fcsr, true);
    return undefined;
  }

  #readWords(at: bigint, count: number): readonly bigint[] | undefined {
    const bytes = this.#space.read(at, count * 8);
    return bytes && [...new BigUint64Array(bytes.buffer)];
  }

  #writeWords(at: bigint, words: readonly bigint[]): boolean {
    return this.#space.write(at, new Uint8Array(new BigUint64Array(words).buffer));
  }
}
