/**
 * Blocks of the guest's heap that are allocated and not freed, by hooking the functions that do it.
 *
 * A block is known by its number, which counts allocations: up to the failure a failed run makes the
 * same ones as the unfailed run, and so does its n-th block.
 *
 * @module
 */
import { type AttachedCall, type CallHandlers, type Ftrace, FtraceError } from "../../../mod.ts";

/** A block that is not freed. */
export interface LiveBlock {
  /** Which allocation of the run made it, from 1. */
  readonly number: number;
  /** The function that gave it. */
  readonly allocator: string;
  /** Where that was called, as `name+0x1a/0x5e`. */
  readonly from: string;
  /** Bytes that were asked for. */
  readonly size: number;
}

/** Blocks of one place that are left at the end, and were not without the failure. */
export interface Leak {
  /** The function that gave them. */
  readonly allocator: string;
  /** Where it was called. */
  readonly from: string;
  /** How many there are. */
  readonly blocks: number;
  /** Bytes that were asked for, of all of them. */
  readonly bytes: number;
}

/** Functions of allocators, by what they do with their arguments. */
const ALLOCATORS = {
  /** Give a block of as many bytes as their last argument says. */
  sized: ["malloc", "valloc", "pvalloc", "pvPortMalloc"],
  aligned: ["aligned_alloc", "memalign"],
  counted: ["calloc", "pvPortCalloc", "k_calloc"],
  resized: ["realloc"],
  recounted: ["reallocarray"],
  /** Store the block where their first argument points. */
  stored: ["posix_memalign"],
  freed: ["free", "cfree", "vPortFree", "k_free"],
} as const;

/** An allocator's call from its entry to its exit. */
type Call = AttachedCall<unknown>;

/** A block as it is kept while the guest runs. */
interface MadeBlock extends Pick<LiveBlock, "number" | "allocator"> {
  readonly returnAddress: bigint;
  readonly size: bigint;
}

/** Follows the blocks of one run until it is disposed of. */
export class LiveBlocks implements Disposable {
  readonly #ftrace: Ftrace;
  readonly #blocks = new Map<bigint, MadeBlock>();
  readonly #attached = new DisposableStack();
  readonly #functions: string[] = [];
  /** Functions that were asked for, which are there. */
  readonly #given: ReadonlySet<string>;
  #made = 0;

  /**
   * Hooks the allocators that the program has.
   *
   * @param alloc More functions that give a block.
   * @param free More functions that free their first argument.
   * @throws {RangeError} If one of these is not there, or cannot be hooked.
   */
  constructor(ftrace: Ftrace, alloc: readonly string[], free: readonly string[]) {
    this.#ftrace = ftrace;
    for (const name of [...alloc, ...free]) {
      if (this.#isTraced(name)) continue;
      const option = alloc.includes(name) ? "--alloc" : "--free";
      throw new RangeError(
        `Cannot follow ${option} ${name}: the program has no such function that can be traced`,
      );
    }
    this.#given = new Set([...alloc, ...free]);
    const gives = (size: (call: Call) => bigint): CallHandlers<unknown> => ({
      onLeave: (call, { value }) => this.#add(value, call, size(call)),
    });
    const regives = (size: (call: Call) => bigint): CallHandlers<unknown> => ({
      onLeave: (call, { value }) => {
        // realloc(p, 0) frees; where it fails, the old block stays.
        if (value !== 0n || size(call) === 0n) this.#blocks.delete(call.args[0]!);
        this.#add(value, call, size(call));
      },
    });
    const { sized, aligned, counted, resized, recounted, stored, freed } = ALLOCATORS;
    this.#attach(sized, gives(({ args }) => args[0]!));
    this.#attach(aligned, gives(({ args }) => args[1]!));
    this.#attach(counted, gives(({ args }) => args[0]! * args[1]!));
    this.#attach(alloc, gives(() => 0n));
    this.#attach(resized, regives(({ args }) => args[1]!));
    this.#attach(recounted, regives(({ args }) => args[1]! * args[2]!));
    this.#attach(stored, { onLeave: (call, { int }) => int === 0 && this.#addStored(call) });
    this.#attach([...freed, ...free], { onEnter: ({ args }) => this.#blocks.delete(args[0]!) });
  }

  /** The allocators that are hooked. */
  get functions(): readonly string[] {
    return this.#functions;
  }

  /** How many blocks have been made so far. */
  get made(): number {
    return this.#made;
  }

  /** The blocks that are there, in the order in which they were made. */
  list(): readonly LiveBlock[] {
    const { guest } = this.#ftrace;
    return [...this.#blocks.values()].sort((a, b) => a.number - b.number).map((block) => ({
      number: block.number,
      allocator: block.allocator,
      from: guest.symbolText(block.returnAddress),
      size: Number(block.size),
    }));
  }

  /** Lets the functions go. */
  [Symbol.dispose](): void {
    this.#attached[Symbol.dispose]();
  }

  #attach(names: readonly string[], handlers: CallHandlers<unknown>): void {
    const { machine } = this.#ftrace;
    const there = names.filter((name) =>
      this.#given.has(name) || machine.symbols.named(name).length > 0 && this.#isTraced(name)
    );
    if (there.length === 0) return;
    this.#functions.push(...there);
    this.#attached.use(this.#ftrace.attach(there, handlers));
  }

  #isTraced(name: string): boolean {
    try {
      return this.#ftrace.select(name).length > 0;
    } catch (error) {
      if (error instanceof FtraceError) return false;
      throw error;
    }
  }

  /** An allocator that calls another has the last word on who made the block. */
  #add(address: bigint, { name, returnAddress }: Call, size: bigint): void {
    if (address === 0n) return;
    this.#blocks.set(address, { number: ++this.#made, allocator: name, returnAddress, size });
  }

  #addStored(call: Call): void {
    const { machine } = this.#ftrace;
    const address = machine.runningHart.space.readWord(call.args[0]!, 8);
    if (address !== undefined) this.#add(BigInt.asUintN(64, address), call, call.args[2]!);
  }
}

/**
 * The blocks that are left in a failed run and not without the failure, by place.
 *
 * @param madeBefore How many blocks had been made when the call failed: up to there, blocks of the
 * same number are the same.
 */
export function leaksOf(
  failed: readonly LiveBlock[],
  unfailed: readonly LiveBlock[],
  madeBefore: number,
): readonly Leak[] {
  const kept = new Set<number>();
  const usual = new Map<string, number>();
  const keyOf = ({ allocator, from }: LiveBlock) => `${allocator} ${from}`;
  for (const block of unfailed) {
    if (block.number <= madeBefore) kept.add(block.number);
    else usual.set(keyOf(block), (usual.get(keyOf(block)) ?? 0) + 1);
  }
  const leaks = new Map<string, Leak>();
  for (const block of failed) {
    const key = keyOf(block);
    const left = block.number <= madeBefore ? kept.has(block.number) : (usual.get(key) ?? 0) > 0;
    if (block.number > madeBefore && left) usual.set(key, usual.get(key)! - 1);
    if (left) continue;
    const { blocks, bytes } = leaks.get(key) ?? { blocks: 0, bytes: 0 };
    const { allocator, from, size } = block;
    leaks.set(key, { allocator, from, blocks: blocks + 1, bytes: bytes + size });
  }
  return [...leaks.values()];
}
