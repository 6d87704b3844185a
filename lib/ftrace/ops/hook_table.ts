/**
 * Several hooks at one address: the engine takes one, tracing wants a virtual site, a kprobe and an
 * unwinder's entry at the same place.
 *
 * Handlers run in the order of registration, until one has moved the hart's pc.
 *
 * @module
 */
import type { Engine } from "../../engine/engine.ts";
import type { Hart } from "../../hart/hart.ts";

/** Hooks by address, as many at one as wanted. */
export interface HookTable {
  /**
   * Calls `handler` whenever a hart is about to execute the instruction at `pc`. `"stop"` makes the
   * engine come back before that, once all of them have been called.
   */
  add(pc: number, handler: (hart: Hart) => "stop" | void): Disposable;
}

/** Makes an empty table over an engine's hooks. */
export function createHookTable(engine: Engine): HookTable {
  const handlers = new Map<number, Set<(hart: Hart) => "stop" | void>>();
  const hooks = new Map<number, Disposable>();
  return {
    add(pc, handler) {
      let here = handlers.get(pc);
      if (!here) {
        handlers.set(pc, here = new Set());
        const all = here;
        hooks.set(
          pc,
          engine.hook(pc, {
            host(hart) {
              let answer: "stop" | undefined;
              for (const each of [...all]) {
                if (!all.has(each)) continue;
                if (each(hart) === "stop") answer = "stop";
                if (hart.pc !== BigInt(pc)) break;
              }
              return answer;
            },
          }),
        );
      }
      here.add(handler);
      return {
        [Symbol.dispose]() {
          here.delete(handler);
          if (here.size > 0 || handlers.get(pc) !== here) return;
          handlers.delete(pc);
          hooks.get(pc)?.[Symbol.dispose]();
          hooks.delete(pc);
        },
      };
    },
  };
}
