/**
 * Random programs with control flow of every kind: loops, irreducible graphs, nested and recursive
 * calls, tail calls, jump tables, calls through pointers, returns to elsewhere and jumps out of many
 * calls at once. Each ends, because each way round costs one of a counter.
 *
 * Between that they do what the pieces of `fuzz_pieces.ts` do, in memory at the edge of what is
 * mapped, so that any of it may fault. x2 points at constants and x8 at memory to play with, as
 * there; x25 counts short loops, x26 what may still be executed, and x27 is the stack pointer.
 *
 * @module
 */
import { assemble, type Assembly } from "../../lib/isa/asm.ts";
import { PAGE_SIZE } from "../../lib/memory/page.ts";
import { FUZZ_CLASSES, type FuzzClass, type Piece, randomPiece } from "./fuzz_pieces.ts";
import type { Random } from "./random.ts";

/** Where the program is. */
export const CFG_CODE = 0x100000;
/** Pages that it has there, all of which it may write. */
export const CFG_CODE_PAGES = 24;
/** Behind the last byte of its stack. */
export const CFG_STACK = 0x220000;
/** Bytes of its stack. */
export const CFG_STACK_SIZE = 0x20000;
/** Its page of constants, which it may only read; x2 points at its middle. */
export const CFG_CONSTANTS = 0x240000;

/** The word of which a site has two while it is off. */
export const CFG_NOP = 0x13;

/** A program. */
export interface CfgProgram {
  readonly source: string;
  readonly assembly: Assembly;
  /** What is at x8. */
  readonly arena: number;
  /** Where each function begins, in order, and the end of the last one. */
  readonly bounds: readonly number[];
}

/** What a program is made of. */
export interface CfgShape {
  readonly functions: number;
  /** Blocks of a function. */
  readonly blocks: number;
  /** Times round. */
  readonly fuel: number;
  readonly arena: number;
  /** Classes that pieces are from. */
  readonly kinds: readonly FuzzClass[];
}

/** Registers that hold pointers, until something else happens to them. */
const POINTERS = [9, 18, 19, 20];
const TEMPORARIES = [5, 6, 7, 10, 11, 12, 28, 29];
/** What does not fit into a loop that x25 counts. */
const COUNTED = FUZZ_CLASSES.filter((kind) => !["control", "mixed", "selfmod"].includes(kind));

/** Makes a program. */
export function cfgProgram(shape: CfgShape, random: Random): CfgProgram {
  const source = new CfgWriter(shape, random).write();
  const assembly = assemble(source, { origin: BigInt(CFG_CODE), compress: random.below(2) === 0 });
  if (assembly.bytes.length > CFG_CODE_PAGES * PAGE_SIZE) {
    throw new RangeError(`Cannot make the program: ${assembly.bytes.length} bytes are too many`);
  }
  const names = Array.from({ length: shape.functions }, (_, k) => `f${k}`);
  const bounds = [...names, "end"].map((name) => Number(assembly.symbols.get(name)));
  return { source, assembly, arena: shape.arena, bounds: [CFG_CODE, ...bounds] };
}

class CfgWriter {
  readonly #shape: CfgShape;
  readonly #random: Random;
  readonly #lines: string[] = [];
  readonly #data: string[] = [];
  /** Whether functions begin with a site. */
  readonly #sites: boolean;
  #labels = 0;

  constructor(shape: CfgShape, random: Random) {
    this.#shape = shape;
    this.#random = random;
    this.#sites = random.below(2) === 0;
  }

  write(): string {
    const { functions, fuel, arena } = this.#shape;
    this.#put(`li x2, ${CFG_CONSTANTS + PAGE_SIZE / 2}`, `li x8, ${arena}`, `li x26, ${fuel}`);
    this.#put(`main: li x27, ${CFG_STACK}`, "addi x26, x26, -1", "blt x26, x0, stop");
    this.#put(`andi x10, x26, ${2 ** Math.floor(Math.log2(functions)) - 1}`, "slli x10, x10, 3");
    this.#put("la x11, functions", "add x11, x11, x10", "ld x11, 0(x11)", "jalr ra, 0(x11)");
    this.#put("j main", "stop: ebreak");
    const names = Array.from({ length: functions }, (_, k) => `f${k}`);
    this.#data.push(".balign 8", `functions: .dword ${names.join(", ")}`);
    for (let k = 0; k < functions; k++) this.#function(k);
    // What a site leads to while it is switched on.
    this.#put("tracer: addi x10, x10, 1", "jr x5", "end: ebreak");
    return [...this.#lines, ...this.#data].join("\n");
  }

  #put(...lines: readonly string[]): void {
    this.#lines.push(...lines);
  }

  #pick<T>(choices: readonly T[]): T {
    return this.#random.pick(choices);
  }

  #chance(of: number): boolean {
    return this.#random.below(of) === 0;
  }

  #label(): string {
    return `l${this.#labels++}`;
  }

  #function(number: number): void {
    const { blocks } = this.#shape;
    this.#put(`f${number}:`);
    if (this.#sites) this.#put(...Array(2).fill(`.4byte ${CFG_NOP}`));
    this.#put("addi x27, x27, -16", "sd ra, 0(x27)");
    for (let block = 0; block < blocks; block++) {
      this.#put(`f${number}_${block}:`);
      if (this.#chance(5)) this.#shortLoop();
      this.#body(this.#random.below(7), this.#shape.kinds);
      this.#put("addi x26, x26, -1", `blt x26, x0, f${number}_out`);
      this.#end(number, block);
    }
    this.#put(`f${number}_out: ld ra, 0(x27)`, "addi x27, x27, 16", "ret");
  }

  // ---- straight code

  #body(count: number, kinds: readonly FuzzClass[]): void {
    for (let k = 0; k < count; k++) {
      if (this.#chance(2)) this.#access();
      else this.#piece(randomPiece(this.#pick(kinds), this.#random));
    }
  }

  #piece(piece: Piece): void {
    for (const { bits, bytes } of piece) {
      this.#put(bytes === 2 ? `.2byte ${bits & 0xffff}` : `.4byte ${bits >>> 0}`);
    }
  }

  /** Points somewhere, or goes through a pointer. */
  #access(): void {
    const random = this.#random;
    const to = this.#pick(POINTERS), from = this.#pick([8, ...POINTERS]);
    const value = this.#pick(TEMPORARIES);
    const offset = this.#pick([0, 0, 8, 16, -8, 24, 1, 3, random.below(256), -random.below(2048)]);
    switch (random.below(9)) {
      case 0:
        return this.#put(`addi x${to}, x${from}, ${offset}`);
      case 1:
        return this.#put(`mv x${to}, x${from}`);
      case 2:
        return this.#put(`li x${to}, ${this.#shape.arena + offset}`);
      case 3:
        return this.#put(`andi x${value}, x${value}, ${random.below(256)}`) ??
          this.#put(`add x${to}, x8, x${value}`);
      case 4:
        return this.#put(`addi x${from === 8 ? to : from}, x8, ${offset}`);
      case 5:
      case 6:
        return this.#put(
          `${this.#pick(["sb", "sh", "sw", "sd"])} x${value}, ${offset}(x${from})`,
        );
      default:
        return this.#put(
          `${this.#pick(["lb", "lbu", "lh", "lw", "lwu", "ld"])} x${value}, ${offset}(x${from})`,
        );
    }
  }

  /** A loop of one block, whose rounds are few, many or next to endless for its size. */
  #shortLoop(): void {
    const label = this.#label();
    const stride = this.#pick([0, 1, 8, 8, 64]);
    this.#put(`li x25, ${this.#pick([1, 2, 3, 4, 5, 7, 40])}`, `addi x9, x8, -64`, `${label}:`);
    this.#body(1 + this.#random.below(4), COUNTED);
    if (this.#chance(2)) this.#put("ld x5, 0(x9)", "sd x5, 8(x9)", `addi x9, x9, ${stride}`);
    this.#put("addi x25, x25, -1", `${this.#pick(["bgtz x25", "blt x0, x25"])}, ${label}`);
  }

  // ---- ends of blocks

  #end(number: number, block: number): void {
    const { blocks, functions } = this.#shape;
    const target = () => `f${number}_${this.#random.below(blocks)}`;
    const next = block + 1 < blocks ? `f${number}_${block + 1}` : `f${number}_out`;
    const other = () => `f${this.#random.below(functions)}`;
    const a = this.#random.below(32), b = this.#pick([0, this.#random.below(32)]);
    switch (this.#random.below(13)) {
      case 0:
        return this.#put(`j ${target()}`);
      case 1:
      case 2:
      case 3: {
        const branch = this.#pick(["beq", "bne", "blt", "bge", "bltu", "bgeu"]);
        return this.#put(
          `${branch} x${a}, x${b}, ${target()}`,
          `j ${this.#pick([target(), next])}`,
        );
      }
      case 4:
        return this.#put(`call ${other()}`);
      case 5:
        return this.#put(`jal ${other()}`);
      case 6:
        return this.#callPointer(other());
      case 7:
        return this.#jumpTable([target(), target(), next, target()]);
      case 8:
        return this.#leaveFor(other());
      case 9:
        return this.#unusualReturn(next);
      case 10:
        return this.#millicode();
      default:
        return this.#put(`andi x10, x${a}, ${1 + this.#random.below(3)}`, `beqz x10, ${target()}`);
    }
  }

  #callPointer(target: string): void {
    const register = this.#pick([1, 5, 7, 31]);
    const link = this.#pick(["ra", "ra", "ra", "x6"]);
    this.#put(`la x${register}, ${target}`);
    if (link !== "ra") this.#put("mv x6, ra", `jalr ra, 0(x${register === 1 ? 1 : register})`);
    else this.#put(`jalr ra, ${this.#pick([0, 0, 1])}(x${register})`);
  }

  #jumpTable(targets: readonly string[]): void {
    const random = this.#random;
    const at = this.#pick([7, 28, 31]);
    const index = `andi x10, x${random.below(32)}, 3`;
    if (this.#chance(3)) {
      this.#put(index, "slli x10, x10, 2", ".option push", ".option norvc", `auipc x${at}, 0`);
      this.#put(`add x${at}, x${at}, x10`, `jalr x0, 12(x${at})`);
      for (const target of targets) this.#put(`j ${target}`);
      return this.#put(".option pop");
    }
    const table = this.#label();
    this.#data.push(".balign 8", `${table}: .dword ${targets.join(", ")}`);
    this.#put(index, "slli x10, x10, 3", `la x${at}, ${table}`, `add x${at}, x${at}, x10`);
    this.#put(`ld x${at}, 0(x${at})`, `jr x${at}`);
  }

  /** A tail call. */
  #leaveFor(target: string): void {
    this.#put("ld ra, 0(x27)", "addi x27, x27, 16");
    if (this.#chance(2)) this.#put(`tail ${target}`);
    else this.#put(`j ${target}`);
  }

  /** Out of all calls at once, out of two, or back behind the instruction that called. */
  #unusualReturn(next: string): void {
    switch (this.#random.below(5)) {
      case 0:
        return this.#put(`li x27, ${CFG_STACK}`, "j main");
      case 1:
        return this.#put(`li x27, ${CFG_STACK}`, "la x31, main", "jr x31");
      case 2:
        return this.#put(`li x27, ${CFG_STACK}`, "la ra, main", "ret");
      case 3:
        return this.#put(
          `li x10, ${CFG_STACK - 16}`,
          `bgeu x27, x10, ${next}`,
          "ld ra, 16(x27)",
          "addi x27, x27, 32",
          "ret",
        );
      default: {
        // The callee comes back four bytes further on.
        const [callee, behind] = [this.#label(), this.#label()];
        return this.#put(
          ...[".option push", ".option norvc", `jal ra, ${callee}`, "addi x10, x10, 1"],
          ...["addi x11, x11, 1", `j ${behind}`, `${callee}: addi ra, ra, 4`, "ret"],
          ...[".option pop", `${behind}:`],
        );
      }
    }
  }

  /** A routine that is called with t0 as its link register, and may call on. */
  #millicode(): void {
    const [callee, behind] = [this.#label(), this.#label()];
    this.#put(`jal x5, ${callee}`, `j ${behind}`, `${callee}:`);
    this.#put("addi x10, x10, 1", "jr x5", `${behind}:`);
  }
}
