/**
 * What a region is: the blocks of one guest function, as far as a hart has fetched them.
 *
 * An instruction that was not fetched yet is where the region is left, so a region never knows more
 * than the hart does; whatever makes the hart fetch anew drops the region.
 *
 * How blocks are ordered and nested is `control_flow.ts`; which registers they need, `liveness.ts`.
 *
 * @module
 */
import type { Instruction } from "../../isa/encoding.ts";
import type { Plan } from "../plan/plan.ts";
import type { Bounds } from "./functions.ts";
import { type PlanUse, registerAt, useOf } from "./plan_use.ts";

/** The address of a block that stands for no instruction. */
const NOWHERE = NaN;
/** How much further a function reaches behind where an indirect jump was seen to go. */
const FURTHER = 4096;
/** Registers that calls leave their return address in, by the calling convention: ra and t0. */
const LINKS = (1 << 1) | (1 << 5);

/** One instruction of a region. */
export interface Step {
  /** Its address. */
  readonly pc: number;
  readonly instruction: Instruction;
  readonly plan: Plan;
  readonly use: PlanUse;
}

/** How a block ends. */
export type EndKind =
  /** Goes on at `target`. */
  | "goto"
  /** Goes to `target` or to `next`. */
  | "branch"
  /** Calls `target` and is expected back at `next`. */
  | "call"
  /** Calls what is inlined, which is entered at `to`. */
  | "enter"
  /** Calls what a register says. */
  | "callIndirect"
  /** Goes where ra or t0 says. */
  | "return"
  /** Goes where ra or t0 says at the end of an inlined call, which is expected to be `next`. */
  | "comeBack"
  /** Goes where another register says, by way of the region's jump table. */
  | "dispatch"
  /** Is the jump table: goes where the target leads that was set before. */
  | "jumpTable"
  /** Leaves the region at `target`: nothing more is known, or the reference is to execute it. */
  | "exit";

/** The end of a block. */
export interface End {
  readonly kind: EndKind;
  /** Where control goes on, if that is known. */
  readonly target: number;
  /** The address behind the last instruction. */
  readonly next: number;
  /** The instruction that decides; none where control just goes on or leaves. */
  readonly step: Step | undefined;
  /** The block at `target` where control may go there inside the region. */
  readonly to?: Block | undefined;
  /** The block at `next` where control may go there, or comes back to there. */
  readonly behind?: Block | undefined;
  /** Of a call that passes a site itself: host address of what the stub of the site reads. */
  readonly passes?: number | undefined;
}

/** Instructions that are entered at the first and left at the last. */
export class Block {
  readonly pc: number;
  /** The instructions before the one that ends the block. */
  readonly steps: Step[] = [];
  #end: End;
  readonly successors: Block[] = [];
  readonly predecessors: Block[] = [];
  /** Whether an indirect jump may come here. */
  isSwitchTarget = false;

  /** An empty block at `pc`, which leaves the region. */
  constructor(pc: number) {
    this.pc = pc;
    this.#end = { kind: "exit", target: pc, next: pc, step: undefined };
  }

  /** How it ends. */
  get end(): End {
    return this.#end;
  }

  /** Ends it in this way, with its edges to where `lead` says. */
  endAs(end: End, lead: (to: Block) => Block = (to) => to): void {
    for (const successor of this.successors.splice(0)) {
      successor.predecessors.splice(successor.predecessors.indexOf(this), 1);
    }
    const to = end.to && lead(end.to), behind = end.behind && lead(end.behind);
    this.#end = { ...end, to, behind };
    for (const each of new Set([to, behind])) if (each) this.connect(each);
  }

  /** Adds an edge. */
  connect(to: Block): void {
    this.successors.push(to);
    to.predecessors.push(this);
  }

  /** Whether it ends in a call. */
  get isCall(): boolean {
    return this.end.kind === "call" || this.end.kind === "callIndirect";
  }

  #all: Step[] | undefined;

  /** All of its instructions, once its end is known. */
  get all(): readonly Step[] {
    return this.#all ??= this.end.step ? [...this.steps, this.end.step] : this.steps;
  }

  /** How many instructions it has. */
  get count(): number {
    return this.steps.length + (this.end.step ? 1 : 0);
  }
}

/** Copies of blocks with the same instructions, whose ends are still to be said. */
export function copyBlocks(blocks: Iterable<Block>): Map<Block, Block> {
  const copies = new Map<Block, Block>();
  for (const block of blocks) {
    const copy = new Block(block.pc);
    copy.steps.push(...block.steps);
    copies.set(block, copy);
  }
  return copies;
}

/** The blocks of a function that can be reached from where it is entered. */
export interface Region {
  readonly entry: Block;
  readonly blocks: ReadonlyMap<number, Block>;
  /** Its instructions. */
  readonly steps: ReadonlyMap<number, Step>;
  /** How many are written, as those of copied blocks are several times. */
  readonly written: number;
}

/** Where a region is made from. */
export interface CodeSource {
  /** The instruction at `pc` if it was fetched and nobody has to be asked before it. */
  peek(pc: number): Instruction | undefined;
  /** Its plan, which leaves it to the reference where the hart wants that. */
  plan(instruction: Instruction): Plan;
  /** Where indirect jumps of the region at `entry` were seen to go. */
  jumpTargets(entry: number): Iterable<number>;
  /** Where the function around `pc` begins and ends. */
  bounds(pc: number): Bounds;
  /** Where a function that begins at `pc` goes on: there, or behind the site that it begins with. */
  behindSite(pc: number): number;
  /** A region has no more instructions than these. */
  readonly most: number;
}

function endOf({ pc, instruction, plan }: Step): EndKind {
  const rd = registerAt(instruction, "rd"), rs1 = registerAt(instruction, "rs1");
  switch (plan.flow) {
    case "branch":
      return "branch";
    case "jump":
      return rd === 0 ? "goto" : "call";
    case "indirect":
      return rd !== 0 ? "callIndirect" : (LINKS >>> rs1) & 1 ? "return" : "dispatch";
    default:
      throw new TypeError(`Cannot end a block at 0x${pc.toString(16)}: it goes on`);
  }
}

/** Follows the fetched instructions of one function from its entry on. */
class Discovery {
  readonly #source: CodeSource;
  readonly #entry: number;
  #low: number;
  #high: number;
  readonly steps = new Map<number, Step>();
  readonly #leaders = new Set<number>();
  readonly #work: number[] = [];
  readonly #jumpTable = new Block(NOWHERE);
  /** Whether an indirect jump was found. */
  #jumpsAnywhere = false;

  constructor(source: CodeSource, entry: number) {
    this.#source = source;
    this.#entry = entry;
    const { low, high } = source.bounds(entry);
    // A function that goes on in itself may be traced there: it does so by its slot.
    this.#low = Math.min(source.behindSite(low), entry);
    this.#high = high;
    this.#lead(entry);
    this.#follow();
  }

  /**
   * Where indirect jumps are known to go: what was executed here and is reached in no other way, and
   * where one was seen to go.
   */
  readonly switchTargets: number[] = [];

  #follow(): void {
    this.#drain();
    if (!this.#jumpsAnywhere) return;
    for (let pc = this.#low; pc < this.#high; pc += 2) {
      if (this.steps.has(pc) || this.#overlaps(pc) || !this.#source.peek(pc)) continue;
      this.#jumpTo(pc);
    }
    for (const pc of this.#source.jumpTargets(this.#entry)) {
      if (this.switchTargets.includes(pc) || !this.#source.peek(pc)) continue;
      // Where no symbol says it, a function may reach further than it seemed.
      this.#high = Math.max(this.#high, pc + FURTHER);
      this.#low = Math.min(this.#low, pc);
      this.#jumpTo(pc);
    }
  }

  #jumpTo(pc: number): void {
    this.switchTargets.push(pc);
    this.#lead(pc);
    this.#drain();
  }

  /** Whether `pc` is the second half of an instruction. */
  #overlaps(pc: number): boolean {
    return this.steps.get(pc - 2)?.instruction.length === 4;
  }

  #lead(pc: number): void {
    if (pc < this.#low || pc >= this.#high || this.#leaders.has(pc)) return;
    this.#leaders.add(pc);
    this.#work.push(pc);
  }

  #drain(): void {
    for (let pc = this.#work.pop(); pc !== undefined; pc = this.#work.pop()) this.#run(pc);
  }

  /** Follows straight-line code from `pc` on. */
  #run(pc: number): void {
    while (pc < this.#high && this.steps.size < this.#source.most) {
      if (this.steps.has(pc)) return void this.#leaders.add(pc);
      const instruction = this.#source.peek(pc);
      if (!instruction) return;
      const plan = this.#source.plan(instruction);
      if (plan.flow === "leave") return;
      const step = { pc, instruction, plan, use: useOf(plan) };
      this.steps.set(pc, step);
      pc += instruction.length;
      if (plan.flow === "next") continue;
      const kind = endOf(step);
      if (kind === "branch" || kind === "goto") this.#lead(step.pc + instruction.imm);
      if (kind === "branch" || kind === "call" || kind === "callIndirect") this.#lead(pc);
      if (kind === "dispatch") this.#jumpsAnywhere = true;
      return;
    }
  }

  blocks(): Map<number, Block> {
    const blocks = new Map<number, Block>();
    for (const pc of [...this.#leaders].sort((a, b) => a - b)) {
      if (this.steps.has(pc)) blocks.set(pc, new Block(pc));
    }
    for (const block of blocks.values()) this.#fill(block, blocks);
    this.#fillJumpTable(blocks);
    return blocks;
  }

  #fill(block: Block, blocks: ReadonlyMap<number, Block>): void {
    for (let pc = block.pc;;) {
      const step = this.steps.get(pc);
      if (!step) return block.endAs({ kind: "exit", target: pc, next: pc, step: undefined });
      const next = pc + step.instruction.length;
      if (step.plan.flow !== "next") return this.#decide(block, step, blocks);
      block.steps.push(step);
      pc = next;
      const to = blocks.get(pc);
      if (to) return block.endAs({ kind: "goto", target: pc, next: pc, step: undefined, to });
    }
  }

  /** Ends a block with the instruction that decides where control goes. */
  #decide(block: Block, step: Step, blocks: ReadonlyMap<number, Block>): void {
    const kind = endOf(step);
    const target = step.pc + step.instruction.imm, next = step.pc + step.instruction.length;
    const isCall = kind === "call" || kind === "callIndirect";
    const to = kind === "goto" || kind === "branch" ? blocks.get(target) : undefined;
    const behind = kind === "branch" || isCall ? blocks.get(next) : undefined;
    block.endAs({ kind, target, next, step, to, behind });
    if (kind === "dispatch") block.connect(this.#jumpTable);
  }

  /**
   * All indirect jumps meet in one place, so that a loop which they lead around has one entry. A target
   * is reached from there alone, or from before as well.
   */
  #fillJumpTable(blocks: ReadonlyMap<number, Block>): void {
    this.#jumpTable.endAs({ kind: "jumpTable", target: 0, next: 0, step: undefined });
    for (const pc of this.switchTargets) {
      const target = blocks.get(pc);
      if (!target) continue;
      target.isSwitchTarget = true;
      this.#jumpTable.connect(target);
    }
  }
}

/** The region that is entered at `entry`; undefined if not even that instruction can be in one. */
export function discoverRegion(source: CodeSource, entry: number): Region | undefined {
  const discovery = new Discovery(source, entry);
  const blocks = discovery.blocks();
  const first = blocks.get(entry);
  const { steps } = discovery;
  return first && { entry: first, blocks, steps, written: steps.size };
}
