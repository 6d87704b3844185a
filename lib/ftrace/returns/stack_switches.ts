/**
 * Where a program leaves its stack by hand, and where it returns from traps.
 *
 * Calls, returns and allocations move sp by what they add to it. Whatever else writes sp (a load from
 * a task's control block, a move from another register, an exchange with mscratch) may go on on another
 * stack: `swapcontext`, `longjmp`, an RTOS's switch of tasks, the change to an interrupt stack. Such
 * instructions are few, and each is hooked. What comes of a switch is `guest_stacks.ts`.
 *
 * Text is read as the file has it, from every symbol on: data between functions would put the boundaries
 * of instructions out of step otherwise.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { S0, SP } from "../../isa/abi.ts";
import { collect } from "../../isa/collect.ts";
import { RV64 } from "../../isa/decode.ts";
import type { Instruction } from "../../isa/encoding.ts";
import type { Elf, Segment } from "../../program/elf.ts";
import type { Machine } from "../../machine/machine.ts";
import type { HookTable } from "../ops/hook_table.ts";

/** A place where sp is loaded, by addresses of the machine. */
export interface StackSwitch {
  /** The first instruction that writes sp. */
  readonly before: bigint;
  /** The instruction behind the last one that does. */
  readonly after: bigint;
  /** Whether it is a longjmp that does it. */
  readonly isJump: boolean;
}

/** What the text of a program does to its contexts. */
export interface ContextSwitches {
  /** Places where sp is loaded. */
  readonly switches: readonly StackSwitch[];
  /** Addresses of mret and sret instructions. */
  readonly trapReturns: readonly bigint[];
}

/** What is called at the places of {@linkcode ContextSwitches}. */
export interface ContextHandlers {
  /** A hart has loaded sp, which was `from`, with `to`: addresses, signed. `isJump` if in a longjmp. */
  switched(hart: Hart, from: number, to: number, isJump: boolean): void;
  /** A hart is about to return from a trap. */
  trapReturn(hart: Hart): void;
}

/** Hooks these places of a program; disposing takes the hooks away. */
export function hookContextSwitches(
  machine: Machine,
  hooks: HookTable,
  handlers: ContextHandlers,
): Disposable {
  const { switches, trapReturns } = findContextSwitches(machine);
  const from: (number | undefined)[] = [];
  const placed: Disposable[] = [];
  for (const { before, after, isJump } of switches) {
    placed.push(hooks.add(Number(before), (hart) => void (from[hart.id] = hart.addressIn(SP))));
    placed.push(hooks.add(Number(after), (hart) => {
      const left = from[hart.id];
      from[hart.id] = undefined;
      if (left !== undefined) handlers.switched(hart, left, hart.addressIn(SP), isJump);
    }));
  }
  for (const at of trapReturns) {
    placed.push(hooks.add(Number(at), (hart) => handlers.trapReturn(hart)));
  }
  return {
    [Symbol.dispose]() {
      for (const hook of placed) hook[Symbol.dispose]();
    },
  };
}

/** Finds them in the executable sections of a program, or its segments if it was stripped of those. */
export function findContextSwitches(
  { elf, bias, symbols }: Pick<Machine, "elf" | "bias" | "symbols">,
): ContextSwitches {
  const switches: StackSwitch[] = [];
  const trapReturns: bigint[] = [];
  const starts = elf.symbols.filter(({ type }) => type === "func" || type === "notype")
    .map(({ address }) => address).sort((a, b) => a < b ? -1 : a > b ? 1 : 0);
  for (const { address, data } of textOf(elf)) {
    const inside = starts.filter((at) => at > address && at < address + BigInt(data.length))
      .map((at) => Number(at - address));
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    const place = (offset: number) => address + bias + BigInt(offset);
    const findings: Findings = {
      switch(first, behind) {
        const before = place(first);
        const isJump = LONGJMP.test(symbols.at(before)?.symbol.name ?? "");
        switches.push({ before, after: place(behind), isJump });
      },
      trapReturn: (at) => void trapReturns.push(place(at)),
    };
    let from = 0;
    for (const until of [...inside, data.length]) {
      sweep(view, from, until, findings);
      from = until;
    }
  }
  return { switches, trapReturns };
}

/** The stretches of a file that hold instructions. */
function textOf({ sections, segments, bytes }: Elf): Pick<Segment, "address" | "data">[] {
  const text = sections.filter(({ flags, address }) => flags & SHF_EXECINSTR && address !== 0n);
  if (text.length === 0) return segments.filter(({ flags }) => flags & PF_X);
  return text.map(({ address, offset, size }) => ({
    address,
    data: bytes.subarray(offset, offset + size),
  }));
}

/** Functions that go back to a frame that is open. */
const LONGJMP = /longjmp/;
const SHF_EXECINSTR = 4n;
const PF_X = 1;

/** Takes what {@linkcode sweep} finds, by offsets. */
interface Findings {
  switch(before: number, after: number): void;
  trapReturn(at: number): void;
}

function sweep(view: DataView, from: number, until: number, findings: Findings): void {
  for (let at = from; at + 2 <= until;) {
    const bits = bitsAt(view, at);
    const length = (bits & 3) === 3 ? 4 : 2;
    if (at + length > until) return;
    if ((bits & SYSTEM) === SYSTEM && isTrapReturn(bits)) findings.trapReturn(at);
    const behind = at + length;
    if (namesSp(bits) && loadsSp(RV64.decode(bits))) {
      const end = behind + (completes(view, bits, behind, until) ? 4 : 0);
      findings.switch(at, end);
      at = end;
    } else at = behind;
  }
}

/** The instruction at an offset, 16 or 32 bits of it. */
function bitsAt(view: DataView, at: number): number {
  const half = view.getUint16(at, true);
  return (half & 3) === 3 && at + 4 <= view.byteLength ? view.getUint32(at, true) : half;
}

/** Opcode bits of `system` instructions, which returns from traps are among. */
const SYSTEM = 0x73;

function isTrapReturn(bits: number): boolean {
  const { definition, word } = RV64.decode(bits);
  return definition.name !== "illegal" && collect(definition, word).flow === "trap-return";
}

/** Whether bits 7 to 11 name sp: rd of a word, and of those 16-bit forms that can write sp. */
function namesSp(bits: number): boolean {
  return (bits >>> 7 & 31) === SP;
}

/** Whether sp goes on at a place that is not reckoned from where it was. */
function loadsSp({ definition, word, imm }: Instruction): boolean {
  if (definition.name === "illegal") return false;
  const { readsX, writesX, memory, touchesCsrs } = collect(definition, word);
  if (!writesX.has(SP)) return false;
  if (memory !== "none" || touchesCsrs) return true;
  // An epilogue finds its frame by the frame pointer.
  return !readsX.has(SP) && !(readsX.has(S0) && imm < 0);
}

/** Whether `bits` gives the upper part of an address, and the instruction behind adds the lower one. */
function completes(view: DataView, bits: number, behind: number, until: number): boolean {
  if (!UPPER_PARTS.has(RV64.decode(bits).definition.name) || behind + 4 > until) return false;
  const next = bitsAt(view, behind);
  return (next & 3) === 3 && namesSp(next) && RV64.decode(next).definition.name === "addi";
}

/** Instructions that give the upper part of an address. */
const UPPER_PARTS: ReadonlySet<string> = new Set(["lui", "auipc"]);
