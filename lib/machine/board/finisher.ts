/**
 * The test finisher: a word that ends the machine, where QEMU's virt board has it (sifive_test).
 *
 * @module
 */
import type { Outcome } from "../outcome.ts";
import type { DeviceRow } from "./device.ts";

/** Low 16 bits of the word: the test has passed, or failed with the code in the bits above. */
const PASS = 0x5555n, FAIL = 0x3333n;
/** The board is to start anew. */
const RESET = 0x7777n;
const NO_RESET =
  "the firmware asked for a reset, which ends the run: nothing starts a board anew here";

function outcomeOf(word: bigint): Outcome | undefined {
  const status = word & 0xffffn;
  if (status === PASS || status === RESET) return { kind: "exit", code: 0 };
  return status === FAIL ? { kind: "exit", code: Number(word >> 16n & 0xffn) } : undefined;
}

/** Ends the run behind the store of a word that says how the test went, or asks for a reset. */
export const FINISHER: DeviceRow = {
  name: "test",
  compatible: ["sifive,test1", "sifive,test0", "syscon"],
  regions: [{ start: 0x100000, size: 0x1000 }],
  interrupts: () => [],
  create({ requestService, warn }) {
    let finished: Outcome | undefined;
    return {
      write(offset, _bytes, value) {
        if (offset !== 0) return true;
        if ((value & 0xffffn) === RESET) warn(NO_RESET);
        finished = outcomeOf(value) ?? finished;
        requestService();
        return true;
      },
      serve: () => finished,
    };
  },
};
