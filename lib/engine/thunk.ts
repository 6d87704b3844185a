/**
 * WASM that a hook brings along, so that an engine which emits code need not come back to the host.
 *
 * A thunk is a function without parameters that gives 1 once it has set the hart's pc (in its state,
 * `lib/hart/state.ts`), or 0 if it has done nothing and the host is to be asked. It must leave
 * `instret` alone; `overhead` is its own to charge. Both counters are up to date when it is called.
 *
 * @module
 */
import type { Memory } from "../memory/memory.ts";
import { type Code, I32, type ValueType } from "../wasm/code.ts";
import { Module } from "../wasm/module.ts";
import { GUEST, HOST } from "./plan/plan.ts";

/** What a hook writes its thunk with. */
export interface ThunkWriter {
  /** Address of the instruction whose place the thunk takes. */
  readonly pc: number;
  /** Its code; the value left on the stack is the answer. */
  readonly code: Code;
  /** Number of guest memory in accesses. */
  readonly guest: number;
  /** Number of host memory in accesses. */
  readonly host: number;
  /** A new local. */
  local(type: ValueType): number;
}

/** Compiles the thunk that `write` writes. */
export function compileThunk(
  memory: Memory,
  pc: number,
  write: (thunk: ThunkWriter) => void,
): () => number {
  const module = new Module();
  module.importMemory("guest", memory.guest.buffer.byteLength / 65536);
  module.importMemory("host", memory.host.buffer.byteLength / 65536);
  const { code, locals } = module.function(module.type([], [I32]), [], "thunk");
  write({ pc, code, guest: GUEST, host: HOST, local: (type) => locals.push(type) - 1 });
  const compiled = new WebAssembly.Module(module.encode());
  const { guest, host } = memory;
  return new WebAssembly.Instance(compiled, { host: { guest, host } }).exports["thunk"] as () =>
    number;
}
