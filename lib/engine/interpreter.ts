/**
 * The WASM interpreter: decodes instructions into micro-ops when they are first executed, and lets
 * one WASM function run them.
 *
 * Decoding goes through the hart's fetch cache and no further than the instruction at hand, so stale
 * text stays stale until `fence.i` here as on the reference. Whatever the function does not do
 * itself, traps included, it leaves to the reference, one instruction at a time.
 *
 * Pages of the tracing range have micro-ops in a page table of their own, because instructions there
 * count as overhead: the function runs with one table and one counter at a time.
 *
 * The function is `interpreter_code.ts`.
 *
 * @module
 */
import type { Hart } from "../hart/hart.ts";
import { EXIT_REASON, INSTRET, OVERHEAD, PC, SINK, X } from "../hart/state.ts";
import { RV64 } from "../isa/decode.ts";
import { type Instruction, SHIFT } from "../isa/encoding.ts";
import { type Memory, PAGE_SIZE } from "../memory/memory.ts";
import type { Engine, Hook, Stop, TracingRange } from "./engine.ts";
import { Hooks } from "./hooks.ts";
import { Exit, Handler, HandlerTable, interpreterModule, MICRO_OP } from "./interpreter_code.ts";
import type { Plan } from "./plan.ts";
import { Plans } from "./recorder.ts";
import { createReference } from "./reference.ts";
import { compileThunk } from "./thunk.ts";

/** Two more than a page has halfwords: where straight-line code ends up behind its last ones. */
const ENTRIES = PAGE_SIZE / 2 + 2;
const BLOCK_SIZE = ENTRIES * MICRO_OP.size;
/** Bytes of a page table: a host address for each guest page. */
const TABLE_SIZE = 2 ** 20 * 4;
/** V8 replaces a function by its optimised code only when it is called anew: so it comes back often. */
const FUEL = 200_000;

/** The compiled function: `(pointer, fuel, table, counter, bias)` gives the fuel left. */
type Run = (pointer: number, fuel: number, table: number, counter: number, bias: number) => number;

const plans = new Plans();
let handlers: HandlerTable | undefined;
let compiled: WebAssembly.Module | undefined;

/** The handlers and the module are the same for all machines. */
function program(memory: Memory): { table: HandlerTable; module: WebAssembly.Module } {
  handlers ??= new HandlerTable(plans);
  const pages = (of: WebAssembly.Memory) => of.buffer.byteLength / 65536;
  compiled ??= new WebAssembly.Module(
    interpreterModule(handlers, pages(memory.guest), pages(memory.host)).encode(),
  );
  return { table: handlers, module: compiled };
}

/** The micro-ops of one of the two kinds of pages, and how they are counted. */
interface Space {
  /** Host address of its page table. */
  readonly table: number;
  /** Host address of the counter. */
  readonly counter: number;
  /** Whether it is the tracing range's. */
  readonly tracing: boolean;
}

/** Runs harts of one memory. */
class Interpreter {
  readonly #memory: Memory;
  readonly #tracing: TracingRange;
  readonly #reference: Engine;
  readonly #handlers: HandlerTable;
  readonly #run: Run;
  readonly #thunks = new WebAssembly.Table({ element: "anyfunc", initial: 0 });
  readonly #view: DataView;
  readonly #guest: Space;
  readonly #overhead: Space;
  readonly #harts = new Set<Hart>();
  readonly #hooks: Hooks;
  /** Numbers of compiled thunks, by hook. */
  readonly #thunkOf = new Map<Hook, number>();

  constructor(memory: Memory, tracing: TracingRange) {
    this.#memory = memory;
    this.#tracing = tracing;
    this.#reference = createReference(memory, tracing);
    this.#view = memory.hostView;
    const { table, module } = program(memory);
    this.#handlers = table;
    const { guest, host } = memory;
    const imports = { host: { guest, host, thunks: this.#thunks } };
    this.#run = new WebAssembly.Instance(module, imports).exports["run"] as Run;
    const space = (counter: number, isTracing: boolean): Space => ({
      table: memory.allocateHost(TABLE_SIZE, PAGE_SIZE),
      counter,
      tracing: isTracing,
    });
    this.#guest = space(INSTRET, false);
    this.#overhead = space(OVERHEAD, true);
    this.#hooks = new Hooks((pc) => this.#hookChanged(pc));
  }

  /** As {@linkcode Engine.hook}. */
  hook(pc: number, hook: Hook): Disposable {
    return this.#hooks.add(pc, hook);
  }

  /** As {@linkcode Engine.step}. */
  step(hart: Hart): Stop | undefined {
    return this.#reference.step(hart);
  }

  /** As {@linkcode Engine.simulate}. */
  simulate(hart: Hart, bits: number): Stop | undefined {
    return this.#reference.simulate(hart, bits);
  }

  /** As {@linkcode Engine.run}. */
  run(hart: Hart, until: bigint): Stop {
    this.#adopt(hart);
    const limit = Number(until);
    const view = this.#view;
    for (;;) {
      const left = limit - this.#counted();
      if (left <= 0) return { kind: "limit" };
      if (view.getUint32(PC + 4, true) !== 0) {
        const stop = this.#reference.step(hart);
        if (stop) return stop;
        continue;
      }
      const pc = view.getUint32(PC, true);
      const space = this.#spaceOf(pc);
      this.#enter(pc, space, Math.min(left, FUEL));
      const stop = this.#serve(hart, space);
      if (stop) return stop;
    }
  }

  #counted(): number {
    return this.#view.getUint32(INSTRET, true) + this.#view.getUint32(INSTRET + 4, true) * 2 ** 32;
  }

  #isTracing(pc: number): boolean {
    return pc >= this.#tracing.start && pc < this.#tracing.end;
  }

  #spaceOf(pc: number): Space {
    return this.#isTracing(pc) ? this.#overhead : this.#guest;
  }

  /** Runs from `pc` on until the function comes back. */
  #enter(pc: number, space: Space, fuel: number): void {
    const page = Math.floor(pc / PAGE_SIZE);
    const block = this.#blockOf(page, space) || this.#makeBlock(page, space);
    const pointer = block + (pc % PAGE_SIZE) * 8;
    const bias = (page * PAGE_SIZE - block / 8) | 0;
    this.#run(pointer, fuel, space.table, space.counter, bias);
  }

  /** Does what the function came back for. */
  #serve(hart: Hart, space: Space): Stop | undefined {
    const view = this.#view;
    switch (view.getUint32(EXIT_REASON, true)) {
      case Exit.undecoded: {
        const pc = view.getUint32(PC, true);
        // The other space's page was there for its hooks only.
        if (this.#isTracing(pc) !== space.tracing) return undefined;
        return this.#decode(hart, pc, space) ? undefined : this.#reference.step(hart);
      }
      case Exit.reference:
        return this.#reference.step(hart);
      case Exit.hook: {
        const answer = this.#hooks.ask(hart);
        if (answer === "stop") return { kind: "stopped" };
        return answer === "execute" ? this.#reference.step(hart) : undefined;
      }
      case Exit.noPage:
        return this.#makeTargetPage(space);
      default:
        return undefined;
    }
  }

  /** A jump to a page of this space makes its block; one to the other space is {@linkcode run}'s. */
  #makeTargetPage(space: Space): undefined {
    if (this.#view.getUint32(PC + 4, true) !== 0) return undefined;
    const pc = this.#view.getUint32(PC, true);
    const hooked = this.#hooks.pages.has(Math.floor(pc / PAGE_SIZE));
    const page = Math.floor(pc / PAGE_SIZE);
    if (this.#isTracing(pc) === space.tracing || !hooked) return undefined;
    if (this.#blockOf(page, space) === 0) this.#makeBlock(page, space);
  }

  #blockOf(page: number, space: Space): number {
    return this.#view.getUint32(space.table + page * 4, true);
  }

  #makeBlock(page: number, space: Space): number {
    const block = this.#memory.allocateHost(BLOCK_SIZE, MICRO_OP.size);
    this.#view.setUint32(space.table + page * 4, block, true);
    this.#clear(page, space);
    return block;
  }

  /** Forgets what was decoded of a page. */
  #clear(page: number, space: Space): void {
    const block = this.#blockOf(page, space);
    if (block === 0) return;
    this.#memory.hostBytes.fill(0, block, block + BLOCK_SIZE);
    for (let guard = PAGE_SIZE / 2; guard < ENTRIES; guard++) {
      this.#view.setUint16(block + guard * MICRO_OP.size, Handler.cross, true);
    }
    for (const pc of this.#hooks.pages.get(page) ?? []) this.#placeHook(pc, space);
  }

  #adopt(hart: Hart): void {
    if (this.#harts.has(hart)) return;
    this.#harts.add(hart);
    hart.fetched.onDrop((page) => {
      this.#clear(page, this.#guest);
      this.#clear(page, this.#overhead);
    });
  }

  #hookChanged(pc: number): void {
    this.#placeHook(pc, this.#guest);
    this.#placeHook(pc, this.#overhead);
  }

  /** Makes the micro-op at `pc` the hook's, or decoded anew if there is none any more. */
  #placeHook(pc: number, space: Space): void {
    const block = this.#blockOf(Math.floor(pc / PAGE_SIZE), space);
    if (block === 0) return;
    const at = block + (pc % PAGE_SIZE) * 8;
    const hook = this.#hooks.at(pc);
    const handler = !hook ? Handler.undecoded : hook.emit ? Handler.thunk : Handler.hook;
    this.#view.setUint16(at + MICRO_OP.handler, handler, true);
    if (hook?.emit) {
      this.#view.setUint32(at + MICRO_OP.imm, this.#thunk(pc, hook, hook.emit), true);
    }
  }

  #thunk(pc: number, hook: Hook, emit: NonNullable<Hook["emit"]>): number {
    let number = this.#thunkOf.get(hook);
    if (number === undefined) {
      number = this.#thunks.grow(1);
      this.#thunks.set(number, compileThunk(this.#memory, pc, (thunk) => emit.call(hook, thunk)));
      this.#thunkOf.set(hook, number);
    }
    return number;
  }

  /** Writes the micro-op of the instruction at `pc`; false if nothing can be fetched there. */
  #decode(hart: Hart, pc: number, space: Space): boolean {
    if (pc % 2 !== 0) return false;
    const bits = hart.fetched.fetch(pc);
    if (bits < 0) return false;
    const instruction = RV64.decode(bits);
    const plan = plans.of(instruction);
    const at = this.#blockOf(Math.floor(pc / PAGE_SIZE), space) + (pc % PAGE_SIZE) * 8;
    const view = this.#view;
    const { word, length } = instruction;
    const rd = (word >>> SHIFT.rd) & 31;
    const writesX = plan.body.some((piece) => piece.kind === "begin" && piece.file === "x");
    view.setUint16(at + MICRO_OP.rd, rd === 0 && writesX ? SINK - X : rd * 8, true);
    view.setUint16(at + MICRO_OP.rs1, ((word >>> SHIFT.rs1) & 31) * 8, true);
    view.setUint16(at + MICRO_OP.rs2, ((word >>> SHIFT.rs2) & 31) * 8, true);
    const near = this.#encodeImmediate(plan, instruction, pc, at);
    const number = near === undefined ? Handler.leave : this.#handlers.numberOf(plan, length, near);
    view.setUint16(at + MICRO_OP.handler, number, true);
    return true;
  }

  /** Whether a target is in the same page; undefined if it is beyond 4 GiB, which no micro-op says. */
  #encodeImmediate(
    plan: Plan,
    { word, imm, length }: Instruction,
    pc: number,
    at: number,
  ): boolean | undefined {
    const view = this.#view;
    const uses = (kind: string) => plan.body.some((piece) => piece.kind === kind);
    const usesNext = uses("next");
    if (usesNext) view.setUint32(at + MICRO_OP.next, pc + length, true);
    if (plan.flow === "branch" || plan.flow === "jump") {
      const target = pc + imm;
      if (target < 0 || target >= 2 ** 32 || pc + length >= 2 ** 32) return undefined;
      const near = Math.floor(target / PAGE_SIZE) === Math.floor(pc / PAGE_SIZE);
      view.setUint32(at + MICRO_OP.imm, near ? imm * 8 : target, true);
      return near;
    }
    if (usesNext) view.setInt32(at + MICRO_OP.imm, imm, true);
    else if (plan.body.some((piece) => piece.kind === "f" && piece.field === "rs3")) {
      view.setUint16(at + MICRO_OP.rs3, ((word >>> SHIFT.rs3) & 31) * 8, true);
    } else view.setBigInt64(at + MICRO_OP.imm, BigInt(uses("target") ? pc + imm : imm), true);
    return true;
  }
}

/** Makes a WASM interpreter for harts on `memory`. */
export function createInterpreter(memory: Memory, tracing: TracingRange): Engine {
  const interpreter = new Interpreter(memory, tracing);
  return {
    name: "interp",
    run: (hart, until) => interpreter.run(hart, until),
    step: (hart) => interpreter.step(hart),
    simulate: (hart, bits) => interpreter.simulate(hart, bits),
    hook: (pc, hook) => interpreter.hook(pc, hook),
  };
}
