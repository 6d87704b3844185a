/**
 * Which functions of a program read return addresses off the stack, and where they lead.
 *
 * While the graph tracer is on, an unwinder would find `return_to_handler` in every frame and give
 * up: a C++ throw would end in terminate. So each is hooked at its entry, to be shown the truth, and
 * at the places it can lead to, to hide it again.
 *
 * What is put back, and how it is found, is `return_hooks.ts`.
 *
 * @module
 */
import { RA, SP } from "../../isa/abi.ts";
import type { Machine } from "../../machine/machine.ts";
import type { Hart } from "../../hart/hart.ts";
import type { SymbolTable } from "../../program/symbols.ts";
import type { HookTable } from "../ops/hook_table.ts";
import type { ReturnHooks } from "./return_hooks.ts";

/** Functions that read return addresses, so that these must be real at their entry, and return. */
const COME_BACK = ["_Unwind_Backtrace", "backtrace", "__backtrace"];
/** Functions that read return addresses and go on in a landing pad. */
const LEAD_AWAY = [
  "_Unwind_RaiseException",
  "_Unwind_Resume",
  "_Unwind_Resume_or_Rethrow",
  "_Unwind_ForcedUnwind",
];
/** Functions that a landing pad calls first. */
const LANDINGS = ["__cxa_begin_catch", "__cxa_get_exception_ptr"];

/**
 * Whether a program's runtime walks its stacks at any time, moves them, and returns values in more
 * registers than a return trampoline keeps: Go's.
 */
export function walksStacks(symbols: Pick<SymbolTable, "named">): boolean {
  return symbols.named("runtime.goexit").length > 0 ||
    symbols.named("runtime.goexit.abi0").length > 0;
}

/**
 * Whether a function is an unwinder by its name: then its own return address is shown to what it
 * calls, so that it cannot be in the place of another.
 */
export function isUnwinder(name: string): boolean {
  return COME_BACK.includes(name) || LEAD_AWAY.includes(name);
}

/** Hooks a program's unwinders for `returns`; disposing takes the hooks away. */
export function hookUnwinders(
  machine: Machine,
  hooks: HookTable,
  returns: ReturnHooks,
): Disposable {
  const begin = (hart: Hart) => returns.beginUnwinding(hart);
  const end = (hart: Hart) => returns.endUnwinding(hart);
  const placed: Disposable[] = [];
  const at = (names: readonly string[], handler: (hart: Hart) => void) => {
    const addresses = new Set(
      names.flatMap((name) => machine.symbols.named(name).map(({ address }) => address)),
    );
    for (const address of addresses) placed.push(hooks.add(Number(address), handler));
  };
  at(LEAD_AWAY, begin);
  at(LANDINGS, end);
  at(COME_BACK, (hart) => {
    begin(hart);
    // ReturnHooks.beginUnwinding() has made ra real, so this is where the unwinder returns to.
    const sp = hart.x[SP]!;
    const back = hooks.add(Number(BigInt.asUintN(64, hart.x[RA]!)), (returned) => {
      if (returned !== hart || returned.x[SP]! < sp) return;
      back[Symbol.dispose]();
      end(returned);
    });
  });
  return {
    [Symbol.dispose]() {
      for (const hook of placed) hook[Symbol.dispose]();
    },
  };
}
