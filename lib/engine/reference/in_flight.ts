/**
 * The instruction that the reference is executing: what it is, where it goes on, whether it trapped.
 *
 * A trap is a state: once an instruction has trapped, what is left of its definition has no effect.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { Trap } from "../../hart/trap.ts";
import { type Instruction, SHIFT } from "../../isa/encoding.ts";
import { Cause, type Field } from "../../isa/sem.ts";
import { Rounding } from "./softfloat.ts";

/** Instead of the next pc: the instruction trapped. */
export const TRAPPED = -1;
/** Instead of the next pc: that has a bit above 31 set. */
export const FAR = -2;

/** A decoded instruction at an address, with what executing it would work out each time. */
export interface Placed {
  /** The instruction under way, decoded. */
  readonly instruction: Instruction;
  /** Address of the instruction. */
  readonly pc: bigint;
  /** Address of the instruction behind it, or {@linkcode FAR}. */
  readonly next: number;
  /** Address of the instruction behind it, whatever bits it has. */
  readonly link: bigint;
  /** Immediate of the instruction. */
  readonly imm: bigint;
  /** The bits as fetched: 16 of them if compressed. */
  readonly raw: bigint;
  /** The `rm` field, or −1 where the instruction has none. */
  readonly rounding: number;
  /** Whether it reads or writes float registers. */
  readonly floats: boolean;
  /** Whether it lies in the tracing range. */
  readonly tracing: boolean;
}

/** The instruction that one hart executes now. */
export class InFlight {
  /** Who executes it. */
  readonly hart: Hart;
  /** What it is, and where. */
  placed!: Placed;
  /** The instruction's 32-bit form. */
  word = 0;
  /** The next pc if that is below 4 GiB, else {@linkcode FAR}. */
  next = 0;
  /** The next pc, unsigned, where `next` is {@linkcode FAR}. */
  far = 0n;
  /** The trap that it raised. */
  trap: Trap | undefined;

  /** Before the first instruction of `hart`. */
  constructor(hart: Hart) {
    this.hart = hart;
  }

  /** Begins an instruction, which goes on behind itself unless something else is said. */
  begin(placed: Placed): void {
    this.placed = placed;
    this.word = placed.instruction.word;
    this.next = placed.next;
    this.far = placed.link;
    this.trap = undefined;
  }

  /** The rounding mode in force; 5 and above are reserved. */
  get rounding(): number {
    const { rounding } = this.placed;
    return rounding === Rounding.dynamic ? this.hart.fcsr >>> 5 : rounding;
  }

  /** The number of the register that a field names. */
  number(field: Field): number {
    return (this.word >>> SHIFT[field]) & 31;
  }

  /** Raises a trap, unless there is one already. What mtval holds depends on the cause. */
  raise(cause: Cause, value?: bigint): void {
    if (this.trap) return;
    const { pc, raw, tracing } = this.placed;
    if (cause === Cause.Illegal || (cause === Cause.HostCall && !tracing)) {
      this.trap = { cause: Cause.Illegal, value: raw, pc };
    } else if (cause === Cause.Breakpoint) {
      this.trap = { cause, value: pc, pc };
    } else if (cause === Cause.EcallU) {
      const { mode } = this.hart;
      const from = mode === "M" ? Cause.EcallM : mode === "S" ? Cause.EcallS : cause;
      this.trap = { cause: from, value: 0n, pc };
    } else this.trap = { cause, value: value ?? 0n, pc };
  }
}
