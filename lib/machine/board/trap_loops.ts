/**
 * Finds harts whose handlers trap themselves for ever.
 *
 * It says so only where it is certain. Either the first instruction of a handler traps, of any mode:
 * then nothing ever happens. Or an M-mode handler traps behind a few instructions that only compute
 * with registers: these, the trap and what the instructions write are all that the next trap can
 * depend on, so if they come again, they come for ever. No interrupt can come in between, as M-mode
 * has them off, and no other hart may be there to change the text. A handler that moves sp down each
 * time never comes to the same state, and runs on.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { Mstatus } from "../../hart/privilege.ts";
import type { Trap } from "../../hart/trap.ts";
import { RV64 } from "../../isa/decode.ts";
import type { Region } from "./device.ts";

/** So many traps in a row, without an instruction in between, come for ever. */
const MOST_TRAPS = 8;
/** Bytes of the widest access. */
const WIDEST = 8;
/** Most instructions of a handler before the one that traps. */
const MOST_BEFORE = 32;
/** Instructions that read and write integer registers, and go on behind themselves. */
const COMPUTING = new Set(
  ("lui auipc addi slti sltiu xori ori andi slli srli srai add sub sll slt sltu xor srl sra or and " +
    "addiw slliw srliw sraiw addw subw sllw srlw sraw").split(" "),
);
const CSR_ACCESS = new Set(["csrrw", "csrrs", "csrrc", "csrrwi", "csrrsi", "csrrci"]);
/** mstatus, mscratch, mepc, mcause, mtval: with the integer registers all that is compared. */
const COMPARED = new Set([0x300, 0x340, 0x341, 0x342, 0x343]);
/** mhartid, which nobody writes. */
const CONSTANT = 0xf14;

/** What is known of one hart's traps. */
interface Row {
  /** The trap that the row of traps began with. */
  first: Trap;
  /** Traps since then without an instruction in between. */
  traps: number;
  /** Traps since then, each of them in the handler of the one before. */
  inside: number;
  /** A state of those: Brent's method of finding a circle keeps one. */
  state: string;
  retired: bigint;
  overhead: bigint;
}

/** The traps in a row of all harts. */
export class TrapLoops {
  readonly #rows: readonly Row[];
  readonly #devices: readonly Region[];

  /** Knows of no trap yet. What a device refuses, at addresses of `devices`, it may take later. */
  constructor(harts: readonly Hart[], devices: readonly Region[]) {
    this.#devices = devices;
    const first = { cause: 0, value: 0n, pc: 0n };
    this.#rows = harts.map(() => {
      return { first, traps: 0, inside: 0, state: "", retired: -1n, overhead: -1n };
    });
  }

  /** Counts a trap; gives the first one of its row, and whether the row has no end. */
  count(hart: Hart, trap: Trap): { readonly first: Trap; readonly again: boolean } {
    const row = this.#rows[hart.id]!;
    const { instret, overhead } = hart;
    const isAtOnce = row.retired + row.overhead === instret + overhead;
    const isInside = isAtOnce || this.#isInside(hart, trap, row);
    if (!isInside) Object.assign(row, { first: trap, inside: 0, state: "" });
    row.traps = isAtOnce ? row.traps + 1 : 1;
    Object.assign(row, { retired: instret, overhead });
    const again = row.traps > MOST_TRAPS || isInside && this.#comesAgain(hart, trap, row);
    return { first: row.first, again };
  }

  /** Whether the trap comes behind a few computing instructions of the last trap's handler. */
  #isInside({ fetched, instret, overhead, mode, system }: Hart, trap: Trap, row: Row): boolean {
    const count = instret - row.retired;
    const { pc } = trap;
    if (this.#rows.length > 1 || mode !== "M" || this.#isOfDevice(trap)) return false;
    if ((system!.mstatus & (Mstatus.MIE | Mstatus.MPRV)) !== 0n) return false;
    if (row.retired < 0n || count > MOST_BEFORE || overhead !== row.overhead) return false;
    let at = system!.mtvec & ~3n;
    if (at > pc || pc >= 2n ** 32n) return false;
    for (let k = 0n; k < count; k++) {
      const bits = fetched.fetch(Number(at));
      const instruction = bits < 0 ? undefined : RV64.decode(bits);
      if (!instruction || !onlyComputes(instruction.definition.name, instruction.word)) {
        return false;
      }
      at += BigInt(instruction.length);
    }
    return at === pc;
  }

  #isOfDevice({ value }: Trap): boolean {
    return this.#devices.some(({ start, size }) =>
      value > BigInt(start - WIDEST) && value < BigInt(start + size)
    );
  }

  /** Whether the state has been there before in this row, as far as the one that is kept tells. */
  #comesAgain(hart: Hart, { cause, value, pc }: Trap, row: Row): boolean {
    const { mstatus, mscratch, mepc, mcause, mtval } = hart.system!;
    const state = [cause, value, pc, mstatus, mscratch, mepc, mcause, mtval, ...hart.x].join();
    if (state === row.state) return true;
    row.inside++;
    if ((row.inside & row.inside - 1) === 0) row.state = state;
    return false;
  }
}

/** Whether an instruction depends on and changes nothing that is not compared. */
function onlyComputes(name: string, word: number): boolean {
  if (COMPUTING.has(name)) return true;
  const csr = word >>> 20;
  return CSR_ACCESS.has(name) && (COMPARED.has(csr) || csr === CONSTANT);
}
