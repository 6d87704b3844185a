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
import { EFAULT, EINTR, EINVAL, ENOMEM, EPERM, ERESTARTSYS } from "../files/errno.ts";
import type { Outcome } from "../outcome.ts";

/** Names by number. */
export const SIGNALS: readonly string[] =
  ("0 SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 " +
    "SIGPIPE SIGALRM SIGTERM SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG " +
    "SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS").split(" ");
/** Bytes of a `siginfo_t`. */
export const SIGINFO_SIZE = 128;
const SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGKILL = 9, SIGSEGV = 11, SIGSTOP = 19;
/** What is ignored if nothing else was said. */
const IGNORED_BY_DEFAULT: readonly number[] = [17, 18, 23, 28];
const SIGRTMIN = 32;
/** The highest number of a signal. */
export const LAST_SIGNAL = 64;

const SIG_DFL = 0n, SIG_IGN = 1n;
const SA_ONSTACK = 0x08000000n;
const SA_RESTART = 0x10000000n;
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
  payload: 24,
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
/** What a signal is about: the kernel's `siginfo_t`. */
export interface SignalInfo {
  /** si_signo, from 1 to 64. */
  readonly signal: number;
  /** si_code: why it was sent. */
  readonly code: number;
  /** si_addr of a fault; si_pid and si_uid of one that was sent; si_tid and si_overrun of a timer's. */
  readonly value: bigint;
  /** si_value of one that carries something. 0 if absent. */
  readonly payload?: bigint | undefined;
  /** The fault that it tells of. */
  readonly trap?: Trap | undefined;
  /** The timer that sent it, which has one signal pending at most and renews `value` as it is taken. */
  readonly timer?: { taken(): bigint } | undefined;
}
/** A system call that was interrupted, and how it begins again: at the ecall, with its first a0. */
export interface Interrupted {
  /** The negated errno, or restart code, that it gave. */
  readonly result: number;
  /** Its first argument. */
  readonly argument: bigint;
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
  /** The mask that comes back once a call with a mask of its own is over. */
  #saved: bigint | undefined;
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
      if (this.#isIgnored(signal)) this.#drop((each) => each.signal === signal);
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
    this.post({ signal, code: SI_TKILL, value: BigInt(pid) | (BigInt(uid) << 32n) });
    return 0;
  }

  /**
   * Makes a signal pending. Standard ones do not queue: what is pending already stays the only one.
   *
   * @returns False if it is ignored, and forgotten.
   */
  post(info: SignalInfo): boolean {
    const { signal, timer } = info;
    if (this.#isIgnored(signal) && (this.#mask & bitOf(signal)) === 0n) return false;
    const isThere = this.#pending.some((each) =>
      timer ? each.timer === timer : signal < SIGRTMIN && each.signal === signal
    );
    if (!isThere) this.#pending.push(info);
    return true;
  }

  /** Forgets what a timer has pending. */
  forget(timer: object): void {
    this.#drop((each) => each.timer === timer);
  }

  #drop(isDropped: (info: SignalInfo) => boolean): void {
    for (let k = this.#pending.length - 1; k >= 0; k--) {
      const info = this.#pending[k]!;
      if (!isDropped(info)) continue;
      this.#pending.splice(k, 1);
      info.timer?.taken();
    }
  }

  #isIgnored(signal: number): boolean {
    const { handler } = this.#actions.get(signal) ?? DEFAULT;
    return handler === SIG_IGN || (handler === SIG_DFL && IGNORED_BY_DEFAULT.includes(signal));
  }

  /** Whether a signal of this number would end a wait: it is neither blocked nor ignored. */
  wouldInterrupt(signal: number): boolean {
    return (this.#mask & bitOf(signal)) === 0n && !this.#isIgnored(signal);
  }

  /** Whether something is pending that ends a wait. */
  get interrupts(): boolean {
    return this.#pending.some(({ signal }) => this.wouldInterrupt(signal));
  }

  /**
   * Puts the mask at an address in force until the system call is over, as `ppoll` and
   * `rt_sigsuspend` do; none is there where the address is 0. A handler that runs returns to the
   * old one.
   */
  suspend(setAt: bigint, setSize: bigint): number {
    if (setAt === 0n) return 0;
    if (setSize !== 8n) return -EINVAL;
    const set = this.#readWords(setAt, 1)?.[0];
    if (set === undefined) return -EFAULT;
    this.#saved = this.#mask;
    this.#mask = set & ~UNBLOCKABLE;
    return 0;
  }

  /** Ends what {@linkcode Signals.suspend} began, for a call that no signal has interrupted. */
  resume(): void {
    this.#mask = this.#saved ?? this.#mask;
    this.#saved = undefined;
  }

  /** Whether one of a set of signals is pending, which bit n − 1 of it stands for. */
  hasPending(set: bigint): boolean {
    return this.#pending.some(({ signal }) => set & bitOf(signal));
  }

  /** Takes the lowest pending signal of a set, writing its siginfo where the address is not 0. */
  take(set: bigint, infoAt: bigint): number {
    const info = this.#dequeue(({ signal }) => (set & bitOf(signal)) !== 0n);
    if (!info) return 0;
    const bytes = new Uint8Array(SIGINFO_SIZE);
    writeInfo(new DataView(bytes.buffer), info);
    return infoAt !== 0n && !this.#space.write(infoAt, bytes) ? -EFAULT : info.signal;
  }

  /** The pending signal of the lowest number that is asked for, which is pending no more. */
  #dequeue(isWanted: (info: SignalInfo) => boolean): SignalInfo | undefined {
    const [first, ...others] = this.#pending.filter(isWanted);
    if (!first) return undefined;
    const info = others.reduce((least, each) => each.signal < least.signal ? each : least, first);
    this.#pending.splice(this.#pending.indexOf(info), 1);
    return info.timer ? { ...info, value: info.timer.taken() } : info;
  }

  /**
   * Delivers what is pending and not blocked, before the hart goes on at its pc: the lowest number
   * first, so that its handler runs last, inside the frames of the others. The first handler says
   * whether a call that was interrupted begins again (SA_RESTART).
   */
  deliverPending(hart: Hart, interrupted?: Interrupted): Outcome | undefined {
    let call = interrupted;
    for (;;) {
      const info = this.#dequeue(({ signal }) => (this.#mask & bitOf(signal)) === 0n);
      if (!info) break;
      if (this.#isIgnored(info.signal)) continue;
      const outcome = this.#deliver(hart, info, call);
      if (outcome) return outcome;
      call = undefined;
    }
    this.resume();
    return undefined;
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

  #deliver(hart: Hart, info: SignalInfo, interrupted?: Interrupted): Outcome | undefined {
    const { signal } = info;
    const action = this.#actions.get(signal) ?? DEFAULT;
    if (action.handler === SIG_IGN) return undefined;
    if (action.handler === SIG_DFL) {
      return IGNORED_BY_DEFAULT.includes(signal) ? undefined : this.#kill(hart, info);
    }
    if (interrupted) {
      const isRestarted = interrupted.result === -ERESTARTSYS && (action.flags & SA_RESTART) !== 0n;
      hart.x[A0] = isRestarted ? BigInt.asIntN(64, interrupted.argument) : BigInt(-EINTR);
      if (isRestarted) hart.pc -= 4n;
    }
    const frame = this.#frameAddress(hart, action);
    if (frame === undefined || !this.#writeFrame(hart, frame, info)) {
      return this.#kill(hart, { ...info, signal: SIGSEGV });
    }
    this.#saved = undefined;
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

  #writeFrame(hart: Hart, frame: bigint, info: SignalInfo): boolean {
    const bytes = new Uint8Array(FRAME.size);
    const view = new DataView(bytes.buffer);
    writeInfo(view, info);
    const { start, size, flags } = this.#alternate;
    const onAlternate = this.#isOnAlternate(BigInt.asUintN(64, hart.x[SP]!));
    view.setBigUint64(FRAME.stack, start, true);
    view.setInt32(FRAME.stack + 8, onAlternate ? SS_ONSTACK : flags, true);
    view.setBigUint64(FRAME.stack + 16, size, true);
    view.setBigUint64(FRAME.mask, this.#saved ?? this.#mask, true);
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

/** Writes a `siginfo_t`, which a frame begins with. */
function writeInfo(view: DataView, { signal, code, value, payload = 0n }: SignalInfo): void {
  view.setInt32(FRAME.signo, signal, true);
  view.setInt32(FRAME.code, code, true);
  view.setBigUint64(FRAME.address, value, true);
  view.setBigUint64(FRAME.payload, payload, true);
}
