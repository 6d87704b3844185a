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
import type { Hart } from "../../hart/hart.ts";
import { EXIT_REASON, INSTRET, OVERHEAD, PC, SINK, X } from "../../hart/state.ts";
import { type Instruction, SHIFT } from "../../isa/encoding.ts";
import { EXECUTE, PAGE_SIZE } from "../../memory/page.ts";
import type { Memory } from "../../memory/memory.ts";
import { FETCH_ENTRY } from "../../memory/tlb.ts";
import type { Engine, Hook, Stop } from "../engine.ts";
import { Hooks } from "../hooks.ts";
import { interpreterModule } from "./emitted_loop.ts";
import { HandlerTable } from "./handler_table.ts";
import { Exit, Handler, MICRO_OP } from "./micro_op.ts";
import type { Plan } from "../plan/plan.ts";
import { Plans } from "../plan/plans.ts";
import { createReference } from "../reference/reference.ts";
import { compileThunk } from "../thunk.ts";

/** Two more than a page has halfwords: where straight-line code ends up behind its last ones. */
const ENTRIES = PAGE_SIZE / 2 + 2;
const BLOCK_SIZE = ENTRIES * MICRO_OP.size;
/** Bytes of a page table: a host address for each guest page. */
const TABLE_SIZE = 2 ** 20 * 4;
/** V8 replaces a function by its optimised code only when it is called anew: so it comes back often. */
const FUEL = 200_000;

/** The compiled function: `(pointer, fuel, table, counter, bias)` gives the fuel left. */
type Run = (pointer: number, fuel: number, table: number, counter: number, bias: number) => number;
/** The translating one: `(pointer, fuel, fetch entries, counter, bias, data entries)`. */
type TranslatingRun = (
  pointer: number,
  fuel: number,
  fetches: number,
  counter: number,
  bias: bigint,
  data: number,
) => number;

const plans = new Plans();
let handlers: HandlerTable | undefined;
/** The modules are the same for all machines: the plain one, and the translating one. */
const compiled: WebAssembly.Module[] = [];

/** Makes the function for one machine. */
function instantiate(
  { guest, host }: Memory,
  thunks: WebAssembly.Table,
  translating: boolean,
): WebAssembly.ExportValue {
  handlers ??= new HandlerTable(plans);
  const pages = (of: WebAssembly.Memory) => of.buffer.byteLength / 65536;
  const module = compiled[translating ? 1 : 0] ??= new WebAssembly.Module(
    interpreterModule(handlers, pages(guest), pages(host), translating).encode(),
  );
  return new WebAssembly.Instance(module, { host: { guest, host, thunks } }).exports["run"]!;
}

/** The micro-ops of one hart: plain or translated, the guest's or the tracing range's. */
interface Space {
  /** Host address of its page table. */
  readonly table: number;
  /** Host address of the counter. */
  readonly counter: number;
  /** Whether it is the tracing range's. */
  readonly tracing: boolean;
  /** Whether micro-ops say only where targets lie from pc. */
  readonly translated: boolean;
}

/** The spaces of one hart. */
interface Spaces {
  readonly guest: Space;
  readonly overhead: Space;
  readonly translated: {
    readonly guest: Space;
    readonly overhead: Space;
    /** Host address of entries for fetches from the tracing range. */
    readonly fetches: number;
  } | undefined;
  readonly all: readonly Space[];
}

/** Runs harts of one memory. */
class Interpreter {
  readonly #memory: Memory;
  readonly #reference: Engine;
  readonly #run: Run;
  #translatingRun: TranslatingRun | undefined;
  readonly #thunks = new WebAssembly.Table({ element: "anyfunc", initial: 0 });
  readonly #view: DataView;
  readonly #harts = new Map<Hart, Spaces>();
  readonly #hooks: Hooks;
  /** Numbers of compiled thunks, by hook. */
  readonly #thunkOf = new Map<Hook, number>();

  constructor(memory: Memory) {
    this.#memory = memory;
    this.#reference = createReference(memory);
    this.#view = memory.hostView;
    this.#run = instantiate(memory, this.#thunks, false) as Run;
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

  /** As {@linkcode Engine.executeBits}. */
  executeBits(hart: Hart, bits: number): Stop | undefined {
    return this.#reference.executeBits(hart, bits);
  }

  /** As {@linkcode Engine.run}. */
  run(hart: Hart, until: bigint): Stop {
    const spaces = this.#spacesOf(hart);
    const limit = Number(until);
    for (;;) {
      const left = limit - this.#counted();
      if (left <= 0) return { kind: "limit" };
      if (hart.attention) return { kind: "attention" };
      const stop = this.#advance(hart, spaces, Math.min(left, FUEL));
      if (stop) return stop;
    }
  }

  /** As {@linkcode Engine.leaveTracingRange}. */
  leaveTracingRange(hart: Hart): Stop | undefined {
    const spaces = this.#spacesOf(hart);
    while (hart.isTracing) {
      const stop = this.#advance(hart, spaces, FUEL);
      if (stop) return stop;
    }
    return undefined;
  }

  /** Runs some instructions, all of them the guest's or all of the tracing range. */
  #advance(hart: Hart, spaces: Spaces, fuel: number): Stop | undefined {
    if (!hart.flat) return this.#advanceTranslated(hart, spaces, fuel);
    const view = this.#view;
    if (view.getUint32(PC + 4, true) !== 0) return this.#reference.step(hart);
    const pc = view.getUint32(PC, true);
    const space = this.#isTracing(pc) ? spaces.overhead : spaces.guest;
    this.#enter(pc, space, fuel);
    return this.#serve(hart, space);
  }

  #counted(): number {
    return this.#view.getUint32(INSTRET, true) + this.#view.getUint32(INSTRET + 4, true) * 2 ** 32;
  }

  #isTracing(pc: number): boolean {
    return this.#memory.isTracing(pc);
  }

  /** Runs from `pc` on until the function comes back. */
  #enter(pc: number, space: Space, fuel: number): void {
    const page = Math.floor(pc / PAGE_SIZE);
    const block = this.#blockOf(page, space) || this.#makeBlock(page, space);
    const pointer = block + (pc % PAGE_SIZE) * 8;
    const bias = (page * PAGE_SIZE - block / 8) | 0;
    this.#run(pointer, fuel, space.table, space.counter, bias);
  }

  /** As {@linkcode Interpreter.#advance} where addresses are translated. */
  #advanceTranslated(hart: Hart, spaces: Spaces, fuel: number): Stop | undefined {
    const translated = spaces.translated!;
    const { translation } = hart.system!;
    const { tlb, fetchBank } = translation;
    const pc = BigInt.asIntN(64, hart.pc);
    const { isTracing } = hart;
    const space = isTracing ? translated.overhead : translated.guest;
    const physical = isTracing ? Number(pc) : this.#executable(hart, pc);
    if (physical < 0) return this.#reference.step(hart);
    const page = Math.floor(physical / PAGE_SIZE);
    const block = this.#blockOf(page, space) || this.#makeBlock(page, space);
    const fetches = isTracing ? translated.fetches : tlb.fetchesOf(fetchBank);
    if (!isTracing) this.#link(tlb.fetchEntry(fetchBank, pc), pc, block, space);
    this.#translatingRun ??= instantiate(this.#memory, this.#thunks, true) as TranslatingRun;
    this.#translatingRun(
      block + (physical % PAGE_SIZE) * 8,
      fuel,
      fetches,
      space.counter,
      (pc & ~BigInt(PAGE_SIZE - 1)) - BigInt(block / 8),
      tlb.dataOf(translation.dataBank),
    );
    return this.#serve(hart, space);
  }

  /** Where an instruction is, or −1 if it cannot be fetched, or its page is not one in the TLB. */
  #executable(hart: Hart, pc: bigint): number {
    const { translation } = hart.system!;
    const physical = translation.fetch(pc);
    if (physical < 0 || (pc & 1n) !== 0n) return -1;
    if (!(this.#memory.permissions[Math.floor(physical / PAGE_SIZE)]! & EXECUTE)) return -1;
    return translation.tlb.fetch(translation.fetchBank, pc);
  }

  /** Lets jumps to a virtual page lead to the micro-ops of its physical one. */
  #link(entry: number, pc: bigint, block: number, space: Space): void {
    if (this.#view.getUint32(entry + FETCH_ENTRY.own, true) === block) return;
    this.#view.setUint32(entry + FETCH_ENTRY.own, block, true);
    // Hooks of the tracing range are not for a page of the guest's there.
    if (this.#memory.isTracing(pc)) return;
    // Hooks are at virtual addresses.
    for (const hooked of this.#hooks.pages.get(Number(pc >> 12n)) ?? []) {
      this.#writeHook(hooked, block + (hooked % PAGE_SIZE) * 8, space);
    }
  }

  /** Does what the function came back for. */
  #serve(hart: Hart, space: Space): Stop | undefined {
    const view = this.#view;
    switch (view.getUint32(EXIT_REASON, true)) {
      case Exit.undecoded: {
        // The other space's page was there for its hooks only.
        if (hart.isTracing !== space.tracing) return undefined;
        return this.#decode(hart, space) ? undefined : this.#reference.step(hart);
      }
      case Exit.reference:
        return this.#reference.step(hart);
      case Exit.hook: {
        const answer = this.#hooks.ask(hart);
        if (answer === "stop") return { kind: "stopped" };
        return answer === "execute" ? this.#reference.step(hart) : undefined;
      }
      case Exit.noPage:
        return space.translated ? undefined : this.#makeTargetPage(space);
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
    const block = this.#memory.heap.allocate(BLOCK_SIZE, MICRO_OP.size);
    this.#view.setUint32(space.table + page * 4, block, true);
    for (let guard = PAGE_SIZE / 2; guard < ENTRIES; guard++) {
      this.#view.setUint16(block + guard * MICRO_OP.size, Handler.cross, true);
    }
    for (const pc of this.#hooks.pages.get(page) ?? []) this.#placeHook(pc, space);
    return block;
  }

  #spacesOf(hart: Hart): Spaces {
    let spaces = this.#harts.get(hart);
    if (!spaces) this.#harts.set(hart, spaces = this.#adopt(hart));
    return spaces;
  }

  #adopt(hart: Hart): Spaces {
    const space = (tracing: boolean, translated: boolean): Space => ({
      table: this.#memory.heap.allocate(TABLE_SIZE, PAGE_SIZE),
      counter: tracing ? OVERHEAD : INSTRET,
      tracing,
      translated,
    });
    const guest = space(false, false), overhead = space(true, false);
    let translated: Spaces["translated"];
    if (hart.system) {
      const bytes = FETCH_ENTRY.size * FETCH_ENTRY.count;
      const fetches = this.#memory.heap.allocate(bytes, PAGE_SIZE);
      this.#memory.hostBytes.fill(0xff, fetches, fetches + bytes);
      translated = { guest: space(false, true), overhead: space(true, true), fetches };
    }
    const all = [guest, overhead, ...translated ? [translated.guest, translated.overhead] : []];
    hart.fetched.onDrop((pc) => {
      for (const each of all) this.#forget(pc, each);
    });
    return { guest, overhead, translated, all };
  }

  /** What was decoded at `pc` is no longer what a hart fetches there; a hook stays. */
  #forget(pc: number, space: Space): void {
    const block = this.#blockOf(Math.floor(pc / PAGE_SIZE), space);
    if (block === 0) return;
    const at = block + (pc % PAGE_SIZE) * 8 + MICRO_OP.handler;
    const handler = this.#view.getUint16(at, true);
    if (handler === Handler.hook || handler === Handler.thunk) return;
    this.#view.setUint16(at, Handler.undecoded, true);
  }

  #hookChanged(pc: number): void {
    for (const [hart, { all }] of this.#harts) {
      for (const space of all) this.#placeHook(pc, space);
      // Pages that lie elsewhere are linked anew, and get the hook then.
      hart.system?.translation.tlb.forgetOwn(BigInt(pc));
    }
  }

  /** Makes the micro-op at `pc` the hook's, or decoded anew if there is none any more. */
  #placeHook(pc: number, space: Space): void {
    const block = this.#blockOf(Math.floor(pc / PAGE_SIZE), space);
    if (block !== 0) this.#writeHook(pc, block + (pc % PAGE_SIZE) * 8, space);
  }

  #writeHook(pc: number, at: number, space: Space): void {
    const hook = this.#hooks.at(pc);
    // A thunk knows nothing of translation.
    const emit = space.translated ? undefined : hook?.emit;
    const handler = !hook ? Handler.undecoded : emit ? Handler.thunk : Handler.hook;
    this.#view.setUint16(at + MICRO_OP.handler, handler, true);
    if (hook && emit) this.#view.setUint32(at + MICRO_OP.imm, this.#thunk(pc, hook, emit), true);
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

  /** Writes the micro-op of the instruction at pc; false if nothing can be fetched there. */
  #decode(hart: Hart, space: Space): boolean {
    const pc = hart.pcNumber;
    let physical = pc;
    if (space.translated && !space.tracing) {
      physical = this.#executable(hart, BigInt.asIntN(64, hart.pc));
      if (physical < 0) return false;
    }
    if (physical % 2 !== 0) return false;
    const at = this.#blockOf(Math.floor(physical / PAGE_SIZE), space) + (physical % PAGE_SIZE) * 8;
    if (space.translated && physical % PAGE_SIZE === PAGE_SIZE - 2) {
      // Only the reference knows where the second half of such an instruction is.
      const wide = (this.#memory.view.getUint16(physical, true) & 3) === 3;
      if (wide) {
        this.#view.setUint16(at + MICRO_OP.handler, Handler.leave, true);
        return true;
      }
    }
    const bits = hart.fetched.fetch(physical);
    if (bits < 0) return false;
    const instruction = hart.isa.decode(bits);
    const plan = plans.of(instruction);
    const view = this.#view;
    const { word, length } = instruction;
    const rd = (word >>> SHIFT.rd) & 31;
    const writesX = plan.body.some((piece) => piece.kind === "begin" && piece.file === "x");
    view.setUint16(at + MICRO_OP.rd, rd === 0 && writesX ? SINK - X : rd * 8, true);
    view.setUint16(at + MICRO_OP.rs1, ((word >>> SHIFT.rs1) & 31) * 8, true);
    view.setUint16(at + MICRO_OP.rs2, ((word >>> SHIFT.rs2) & 31) * 8, true);
    const near = space.translated
      ? this.#encodeRelative(plan, instruction, physical, at)
      : this.#encodeImmediate(plan, instruction, pc, at);
    // Without compressed instructions the reference sees to it that targets are aligned.
    const { flow } = plan;
    const jumps = flow === "indirect" ||
      ((flow === "jump" || flow === "branch") && instruction.imm % 4 !== 0);
    const leaves = near === undefined || (jumps && !hart.hasCompressed);
    const number = leaves ? Handler.leave : handlers!.numberOf(plan, length, near);
    view.setUint16(at + MICRO_OP.handler, number, true);
    return true;
  }

  /** The same where pc is not known: targets are distances. */
  #encodeRelative(plan: Plan, { word, imm }: Instruction, physical: number, at: number): boolean {
    const view = this.#view;
    const target = (physical % PAGE_SIZE) + imm;
    const near = target >= 0 && target < PAGE_SIZE;
    const jumps = plan.flow === "branch" || plan.flow === "jump";
    if (jumps && near) view.setInt32(at + MICRO_OP.imm, imm * 8, true);
    else if (plan.body.some((piece) => piece.kind === "f" && piece.field === "rs3")) {
      view.setUint16(at + MICRO_OP.rs3, ((word >>> SHIFT.rs3) & 31) * 8, true);
    } else view.setBigInt64(at + MICRO_OP.imm, BigInt(imm), true);
    return near;
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
export function createInterpreter(memory: Memory): Engine {
  const interpreter = new Interpreter(memory);
  return {
    name: "interp",
    leaveTracingRange: (hart) => interpreter.leaveTracingRange(hart),
    run: (hart, until) => interpreter.run(hart, until),
    step: (hart) => interpreter.step(hart),
    executeBits: (hart, bits) => interpreter.executeBits(hart, bits),
    hook: (pc, hook) => interpreter.hook(pc, hook),
  };
}
