/**
 * Calls that fail instead of running: which calls count, what they return, and what errno becomes.
 *
 * Whoever injects says only which of the calls that count is to fail; the tracer `fail` asks chance
 * and its counters, the command `fail --each` takes one call after the other.
 *
 * @module
 */
import type { FtraceRegs } from "../trampoline/ftrace_regs.ts";
import type { Ftrace } from "./ftrace.ts";
import { ERRNO } from "./guest_view.ts";
import { globMatch } from "./ops/filter.ts";
import { CALLERS_OPTION, type OptionValues, type TracerOption } from "./tracer_options.ts";

/** The options that say which calls count and how they fail. */
export const FAULT_OPTIONS: {
  /** Functions whose calls fail. */
  readonly at: TracerOption & { readonly default: readonly string[] };
  /** What a failed call returns. */
  readonly return: TracerOption & { readonly default: string };
  /** What errno becomes. */
  readonly errno: TracerOption & { readonly default: string };
  /** Whose calls count. */
  readonly caller: TracerOption & { readonly default: readonly string[] };
} = {
  at: { description: "functions to fail, globs between blanks, !GLOB for not", default: [] },
  return: {
    description:
      "a number, NULL, -1, -ENOMEM; auto: as the C library's fail (malloc: NULL, ENOMEM)",
    default: "auto",
  },
  errno: { description: "what errno becomes, for a C library: ENOMEM or a number", default: "" },
  caller: CALLERS_OPTION,
};

/** A call that has just been made to fail, while its function's entry is served. */
export interface FailedCall {
  /** Which of the calls that count it is, from 1. */
  readonly number: number;
  /** Name of the function. */
  readonly name: string;
  /** Address of the function's site. */
  readonly ip: bigint;
  /** Where the call returns to. */
  readonly parentIp: bigint;
  /** The registers that the entry saved; the result is among them. */
  readonly fregs: FtraceRegs;
  /** What the call returns, as it was asked for: `NULL`, `-ENOMEM`. */
  readonly returned: string;
}

/** What is to fail. */
export interface FaultInjection extends OptionValues<typeof FAULT_OPTIONS> {
  /** What the user calls an option, for errors: `fail.return`. */
  optionName(key: "at" | "return" | "errno"): string;
  /** Whether a call of the function `name` fails, the `number`-th (from 1) of those that count. */
  shouldFail(number: number, name: string, parentIp: bigint): boolean;
  /** Called behind each call that was made to fail. */
  failed?(call: FailedCall): void;
}

/** Calls that are made to fail until this is disposed of. */
export interface InjectedFaults extends Disposable {
  /** How many calls have counted. */
  readonly calls: number;
  /** How many of them have failed. */
  readonly failed: number;
}

/** How functions of a C library fail, and which errno they leave. */
const USUAL_FAILURES: readonly (readonly [names: string, returns: string, errno: string])[] = [
  ["malloc calloc realloc reallocarray aligned_alloc memalign valloc pvalloc", "NULL", "ENOMEM"],
  ["strdup strndup pvPortMalloc pvPortCalloc k_malloc k_calloc", "NULL", "ENOMEM"],
  ["posix_memalign", "ENOMEM", ""],
  ["mmap sbrk", "-1", "ENOMEM"],
  ["fopen fdopen freopen opendir tmpfile", "NULL", "EMFILE"],
  ["open openat creat dup pipe", "-1", "EMFILE"],
  ["read write pread pwrite readv writev lseek close fsync ftruncate stat fstat", "-1", "EIO"],
];

/** What a call returns and what errno becomes, read from their texts. */
interface Failure {
  readonly returned: string;
  readonly value: bigint;
  readonly errno: bigint | undefined;
}

/**
 * Makes calls fail, by an IPMODIFY ops.
 *
 * @throws {FtraceError} EINVAL if a glob matches nothing; EBUSY if another tracer changes where the
 * function goes on.
 * @throws {RangeError} For a result or an errno that cannot be read, or an unknown caller.
 */
export function injectFaults(ftrace: Ftrace, injection: FaultInjection): InjectedFaults {
  const { at, caller } = injection;
  if (at.length === 0) {
    throw new RangeError(
      `Cannot inject failures: write ${injection.optionName("at")}=FUNCTION`,
    );
  }
  checkCallers(ftrace, caller);
  const failureOf = failures(injection);
  const { guest } = ftrace;
  let calls = 0, failed = 0;
  let saidErrno = false;
  const setErrno = (errno: bigint) => {
    if (guest.errno === undefined && !saidErrno && injection.errno !== "") {
      ftrace.report("[fail] Cannot set errno: the program has none that is known by symbol");
      saidErrno = true;
    }
    guest.errno = Number(errno);
  };
  const registered = ftrace.registerFtraceFunction({
    name: "fail",
    filter: at,
    flags: ftrace.flags.IPMODIFY,
    func(ip, parentIp, _ops, fregs) {
      if (caller.length > 0 && !globMatch(caller, ftrace.symbol(parentIp) ?? "")) return;
      const number = ++calls;
      const name = ftrace.symbol(ip) ?? "";
      if (!injection.shouldFail(number, name, parentIp)) return;
      failed++;
      const { returned, value, errno } = failureOf(name);
      fregs.overrideWithReturn(value);
      if (errno !== undefined) setErrno(errno);
      injection.failed?.({ number, name, ip, parentIp, fregs, returned });
    },
  });
  return {
    get calls() {
      return calls;
    },
    get failed() {
      return failed;
    },
    [Symbol.dispose]: () => registered[Symbol.dispose](),
  };
}

/** How each function fails; what is asked for is read, and refused, before any call. */
function failures(injection: FaultInjection): (name: string) => Failure {
  const read = (returned: string, errno: string): Failure => ({
    returned,
    value: numberOf(injection.optionName("return"), returned),
    errno: errno === "" ? undefined : numberOf(injection.optionName("errno"), errno),
  });
  if (injection.return !== "auto") {
    const asked = read(injection.return, injection.errno);
    return () => asked;
  }
  const usual = new Map(
    USUAL_FAILURES.flatMap(([names, returned, errno]) =>
      names.split(" ").map((name) => [name, read(returned, injection.errno || errno)])
    ),
  );
  const other = read("-ENOMEM", injection.errno);
  return (name) => usual.get(name) ?? other;
}

/** Reads `NULL`, a number in C's notation, or an error's name with or without a sign. */
function numberOf(option: string, text: string): bigint {
  const [, sign, rest] = /^([+-]?)(.+)$/.exec(text.trim()) ?? [];
  const known = rest === "NULL" ? 0 : ERRNO[rest ?? ""];
  if (known === undefined && !/^(0x[0-9a-f]+|\d+)$/i.test(rest ?? "")) {
    const close = Object.keys(ERRNO).slice(0, 40).join(", ");
    throw new RangeError(
      `Cannot set ${option} to "${text}": it takes a number, NULL, or an error such as ${close}`,
    );
  }
  const number = BigInt(known ?? rest!);
  return sign === "-" ? -number : number;
}

function checkCallers(ftrace: Ftrace, callers: readonly string[]): void {
  const { functions } = ftrace.machine.symbols;
  for (const glob of callers.map((text) => text.replace(/^!/, ""))) {
    if (functions.some(({ name }) => globMatch(glob, name))) continue;
    throw new RangeError(`Cannot fail calls from ${glob}: the program has no such function`);
  }
}
